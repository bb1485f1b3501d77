from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fakes import START, Simulation, plan, task
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core import events
from orchestrator.core.plan import Limits, Plan
from orchestrator.core.scheduler import Finish, Launch
from orchestrator.core.verdict import COUNTING, Outcome

NOW = START.timestamp()


def limits(**fields: Any) -> Limits:
    return Limits(**fields)


def failing(*names: str, outcome: str = "error") -> Callable[[str, int], str]:
    return lambda name, attempt: outcome if name in names else "success"


def launched(simulation: Simulation, now: float = NOW) -> list[str]:
    actions = simulation.scheduler.decide(now)
    return [action.task for action in actions if isinstance(action, Launch)]


def finishes(simulation: Simulation) -> list[events.AttemptFinished]:
    return [event for event in simulation.events if isinstance(event, events.AttemptFinished)]


GLOBS = st.sampled_from(["a", "a/*", "a/b", "b", "b/**", "*/c", "**", "c/d"])
OUTCOMES: st.SearchStrategy[Outcome] = st.sampled_from(
    [*sorted(COUNTING), "success", "denied", "ceiling", "rate limited", "interrupted"]
)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    count = draw(st.integers(1, 12))
    tasks = []
    for number in range(count):
        earlier = [f"T-{other}" for other in range(number)]
        some = st.lists(st.sampled_from(earlier), max_size=2, unique=True) if earlier else st.just([])
        tasks.append(
            task(
                f"T-{number}",
                " ".join(draw(some)),
                after=" ".join(draw(some)),
                writes=tuple(draw(st.lists(GLOBS, max_size=2, unique=True))),
                priority=draw(st.sampled_from(["P0", "P1", "P2"])),
                attempts=draw(st.integers(1, 2)),
                on_failure=draw(st.sampled_from(["skip", "skip", "stop", "escalate"])),
            )
        )
    order = draw(st.permutations(tasks))
    return plan(*order, limits=limits(parallelism=draw(st.integers(1, 5))))


@settings(max_examples=100, deadline=None)
@given(plans(), st.randoms(use_true_random=False))
def test_any_plan_whose_tasks_succeed_is_completed(accepted: Plan, random: Any) -> None:
    simulation = Simulation(accepted, seconds=lambda n, a: random.randint(1, 4))
    assert simulation.run() == Finish(0, "completed")
    assert sorted(simulation.launched) == sorted(one.id for one in accepted.tasks)


@settings(max_examples=100, deadline=None)
@given(plans(), st.randoms(use_true_random=False), st.data())
def test_any_plan_ends_whatever_its_attempts_come_to(
    accepted: Plan, random: Any, data: st.DataObject
) -> None:
    simulation = Simulation(
        accepted, seconds=lambda n, a: random.randint(1, 4), outcome=lambda n, a: data.draw(OUTCOMES)
    )
    finish = simulation.run()
    left = [one for one in simulation.state.tasks if one.status in ("pending", "retrying")]
    assert finish.exit in (0, 1, 3)
    assert not left or simulation.state.stoppers
    assert (finish.exit == 0) == all(one.mark == "completed" for one in simulation.state.tasks)


@settings(max_examples=100, deadline=None)
@given(plans(), st.integers(0, 60), st.randoms(use_true_random=False))
def test_a_dispatcher_that_takes_over_anywhere_completes_the_run(
    accepted: Plan, cut: int, random: Any
) -> None:
    def outcome(name: str, attempt: int) -> str:
        return "success" if attempt > 1 or random.random() < 0.5 else "interrupted"

    first = Simulation(accepted, seconds=lambda n, a: random.randint(1, 4), outcome=outcome)
    first.run()
    told = first.events[: 2 + cut]
    second = Simulation(accepted, told=told)
    done = {one.task.id for one in second.state.tasks if one.mark == "completed"}
    second.tell(events.RunResumed, pid=2, version="0")
    assert second.run().exit == 0
    assert not done & set(second.launched)
