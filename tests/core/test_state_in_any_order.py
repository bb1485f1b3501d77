from __future__ import annotations

import copy
from typing import Any

import msgspec
from accounts import counted, recount, snapshot
from fakes import START, Simulation, plan, task
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from orchestrator.core import events
from orchestrator.core.plan import Plan, Task
from orchestrator.core.state import RunState, fold
from orchestrator.errors import ImpossibleEvent

NAMES = ("a", "b", "c", "d", "e")


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    tasks: list[Task] = []
    for at, name in enumerate(names):
        before = st.lists(st.sampled_from(names[:at]), max_size=2, unique=True) if at else st.just([])
        tasks.append(
            task(
                name,
                " ".join(draw(before)),
                after=" ".join(draw(before)),
                run=draw(st.sampled_from(["one", "two"])),
                attempts=draw(st.integers(1, 2)),
                on_failure=draw(st.sampled_from(["skip", "stop", "escalate"])),
            )
        )
    return plan(*draw(st.permutations(tasks)))


class AnyEvents(RuleBasedStateMachine):
    """Events in any order, possible or not: what is refused changes nothing, and the counters are right."""

    def __init__(self) -> None:
        super().__init__()
        self.state = RunState()
        self.told: list[Any] = []
        self.agents: dict[str, int] = {}
        self.tell(events.RunStarted, run="r", project="/", pid=1, version="0")

    def tell(self, kind: Any, **facts: Any) -> None:
        event = kind(seq=len(self.told) + 1, time=START, **facts)
        before = copy.deepcopy(snapshot(self.state))
        try:
            self.state.apply(event)
        except ImpossibleEvent:
            assert snapshot(self.state) == before
        else:
            self.told.append(event)

    @rule(accepted=plans())
    def accept(self, accepted: Plan) -> None:
        self.tell(events.PlanAccepted, plan=accepted)

    @rule(name=st.sampled_from(NAMES), ahead=st.sampled_from([1, 1, 1, 1, 0, 2]))
    def start(self, name: str, ahead: int) -> None:
        number = self.state.by_id[name].number if name in self.state.by_id else 0
        self.tell(events.AttemptStarted, task=name, attempt=number + ahead, cli="shell")

    @rule(
        data=st.data(),
        outcome=st.sampled_from(["success"] * 4 + ["error", "denied", "interrupted", "no credit", "ceiling"]),
        result=st.sampled_from(["x", "y"]),
        ordered=st.booleans(),
    )
    def end(self, data: st.DataObject, outcome: str, result: str, ordered: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.state.running) or NAMES))
        number = self.state.by_id[name].number if name in self.state.by_id else 1
        facts: dict[str, Any] = {"result": result, "ordered": ordered and outcome == "interrupted"}
        self.tell(events.AttemptFinished, task=name, attempt=number, outcome=outcome, **facts)

    @rule(
        kind=st.sampled_from(
            [(events.TaskSkipped, {"reason": "r"}), (events.TaskCancelled, {}), (events.TaskRetried, {}),
             (events.TaskBlocked, {"question": "q"})]
        ),
        name=st.sampled_from(NAMES),
    )  # fmt: skip
    def steer(self, kind: tuple[Any, dict[str, str]], name: str) -> None:
        self.tell(kind[0], task=name, **kind[1])

    @rule(passed=st.booleans())
    def verify_and_finish(self, passed: bool) -> None:
        self.tell(events.PlanVerified, passed=passed)
        self.tell(events.RunFinished, exit=0, reason="completed")

    @invariant()
    def counters_are_right(self) -> None:
        assert counted(self.state) == recount(self.state)
        assert set(self.state.running.values()) <= set(self.state.tasks)

    @invariant()
    def completed_work_was_made_from_the_results_that_hold(self) -> None:
        for one in self.state.tasks:
            if one.mark == "completed":
                assert one.basis == tuple(need.result for need in self.state.needs_of(one))

    @invariant()
    def whoever_can_start_is_known_to_the_scheduler(self) -> None:
        opened = {one.task.id for one in self.state.opened}
        assert {one.task.id for one in self.state.tasks if one.startable} <= opened

    @invariant()
    def agents_are_for_ever(self) -> None:
        for name, number in self.agents.items():
            assert self.state.agent_of(name) == number
        self.agents |= {name: task.agent for name, task in self.state.by_id.items()}
        assert len(set(self.agents.values())) == len(self.agents)

    def teardown(self) -> None:
        # The journal says it all: played again, it gives the same state.
        assert snapshot(fold(self.told)) == snapshot(self.state)


TestAnyEvents = AnyEvents.TestCase
TestAnyEvents.settings = settings(max_examples=80, stateful_step_count=25, deadline=None)


@settings(max_examples=80, deadline=None)
@given(plans(), plans(), st.integers(0, 30))
def test_a_plan_changed_anywhere_in_a_run_is_completed(first: Plan, second: Plan, turns: int) -> None:
    simulation = Simulation(first)
    for _ in range(turns):
        if simulation.turn() is not None:
            break
    try:
        simulation.accept(second)
    except ImpossibleEvent:
        assert simulation.state.running
        return
    assert simulation.run().exit == 0
    assert all(one.mark == "completed" for one in simulation.state.tasks)


def outlined(told: list[Any]) -> list[Any]:
    decode = msgspec.json.Decoder(events.Outlined).decode
    return [decode(events.encode(event)) for event in told]


@settings(max_examples=40, deadline=None)
@given(plans(), st.data())
def test_the_outline_of_a_journal_tells_the_same_statuses(accepted: Plan, data: st.DataObject) -> None:
    outcomes = st.sampled_from(["success", "success", "error", "interrupted", "ceiling"])
    simulation = Simulation(accepted, outcome=lambda name, attempt: data.draw(outcomes))
    simulation.run()
    seen = fold(outlined(simulation.events))
    assert [one.status for one in seen.tasks] == [one.status for one in simulation.state.tasks]
    assert seen.finished == simulation.state.finished
