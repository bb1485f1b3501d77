from __future__ import annotations

from typing import Any

from fakes import START, FakeClock, plan, task
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core import events
from orchestrator.core.governor import Governor, Hold, Sign
from orchestrator.core.learning import Learned
from orchestrator.core.plan import Limits, Task
from orchestrator.core.scheduler import Finish, Launch, Scheduler
from orchestrator.core.spending import LEAST_CEILING, Spending
from orchestrator.core.state import RunState


def worker(name: str, needs: str = "", **fields: Any) -> Task:
    return task(name, needs, cli="claude", run="", description="Do it", **fields)


class Play:
    """A scheduler with a governor; every launch that is decided is recorded."""

    def __init__(self, *tasks: Task, learned: Learned | None = None, cores: int = 8, **fields: Any) -> None:
        self.clock = FakeClock()
        self.state = RunState()
        self.tell(events.RunStarted, run="r-1", project="/project", pid=1, version="0")
        self.tell(events.PlanAccepted, plan=plan(*tasks, **fields))
        self.governor = Governor(16, cores)
        prefixes = [one.worker if one.cli == "claude" else "" for one in tasks]
        self.scheduler = Scheduler(self.state, learned, 16, None, self.governor, prefixes)

    def tell(self, kind: Any, **facts: Any) -> None:
        self.state.apply(kind(seq=self.state.seq + 1, time=self.clock.time, **facts))

    def decide(self) -> list[Any]:
        actions = self.scheduler.decide(self.clock.now)
        for action in actions:
            if isinstance(action, Launch):
                known = {"task": action.task, "attempt": action.attempt, "ceiling_usd": action.ceiling}
                self.tell(events.AttemptStarted, cli="claude", **known)
        return [action.task if isinstance(action, Launch) else action for action in actions]

    def answered(self, *names: str) -> None:
        for name in names:
            self.governor.heard(name, Sign("answered"), self.clock.now)

    def end(self, name: str, outcome: str = "success", **facts: Any) -> None:
        number = self.state.by_id[name].number
        self.tell(events.AttemptFinished, task=name, attempt=number, outcome=outcome, **facts)
        until = facts["until"].timestamp() if "until" in facts else None
        self.governor.ended(name, outcome, until, self.clock.now)


def test_commands_and_other_kinds_go_on_while_one_kind_waits() -> None:
    play = Play(worker("a"), worker("b"), worker("c", worker="test-engineer"), task("d"))
    assert play.decide() == ["a", "c", "d"]
    assert play.scheduler.held is None
    assert play.decide() == []
    assert play.scheduler.held == Hold("the first worker of its kind has not been answered yet", whole=False)
    play.answered("a")
    assert play.decide() == ["b"]


def test_the_most_urgent_of_a_kind_goes_first_when_it_may() -> None:
    play = Play(worker("a", priority="P0"), worker("b", priority="P3"), worker("c", priority="P1"))
    assert play.decide() == ["a"]
    play.end("a")
    assert play.decide() == ["c", "b"]


def test_a_worker_whose_reserve_would_pass_the_budget_waits_for_the_others() -> None:
    play = Play(
        worker("a", budget_usd=3.0, worker="code-analyzer"),
        worker("b", budget_usd=3.0, worker="test-engineer"),
        limits=Limits(budget_usd=5.0),
    )
    assert play.decide() == ["a"]
    assert play.decide() == []
    play.end("a", cost_usd=1.5)
    assert play.decide() == ["b"]
    assert play.state.ceilings == {"a": 3.0, "b": 3.0}


def test_what_a_type_cost_before_is_set_apart_where_a_task_has_no_ceiling() -> None:
    known = Learned(spent={"general": Spending(attempts=2, usd=4.0)})
    play = Play(
        worker("a"), worker("b", worker="test-engineer"), learned=known, limits=Limits(budget_usd=3.0)
    )
    assert play.decide() == ["a", "b"]
    assert play.state.ceilings == {"a": 2.0, "b": 1.0}


def test_the_ceiling_of_a_worker_that_is_alone_is_what_is_left_of_the_budget() -> None:
    play = Play(worker("a"), worker("b", "a", budget_usd=9.0), limits=Limits(budget_usd=5.0))
    assert play.decide() == ["a"]
    assert play.state.ceilings == {"a": 5.0}
    play.end("a", cost_usd=4.0)
    assert play.decide() == ["b"]
    assert play.state.ceilings == {"a": 5.0, "b": 1.0}


def test_workers_that_start_side_by_side_share_what_is_left_of_the_budget() -> None:
    play = Play(*(worker(name) for name in "abcd"), worker("e", "a"), limits=Limits(budget_usd=4.0))
    assert play.decide() == ["a"]
    play.answered("a")
    assert play.decide() == ["b", "c", "d"]
    assert play.state.ceilings == dict.fromkeys("abcd", 1.0)
    play.end("a", cost_usd=0.25)
    assert play.decide() == ["e"]
    assert play.state.ceilings["e"] == 0.75, "what it did not use is there for the next"


def test_those_that_wait_for_their_next_attempt_get_a_share_too() -> None:
    play = Play(worker("a"), worker("b"), limits=Limits(budget_usd=4.0))
    play.decide()
    play.answered("a")
    play.decide()
    play.end("a", "rate limited")
    play.end("b", "rate limited")
    assert play.decide() == []
    play.clock.now += 60
    assert play.decide() == ["a", "b"]
    assert play.state.ceilings == {"a": 2.0, "b": 2.0}


def test_nothing_starts_beside_a_worker_that_may_spend_all_that_is_left() -> None:
    play = Play(worker("a", budget_usd=4.0), worker("b", worker="other"), limits=Limits(budget_usd=4.0))
    assert play.decide() == ["a"]
    assert play.decide() == []
    assert play.scheduler.held == Hold("what is left of the budget is set apart for the workers that run")
    play.end("a", cost_usd=3.0)
    assert play.decide() == ["b"]
    assert play.state.ceilings["b"] == 1.0


def test_a_worker_that_was_adopted_keeps_what_was_set_apart_for_it() -> None:
    play = Play(worker("a"), worker("b"), limits=Limits(budget_usd=4.0))
    assert play.decide() == ["a"]
    governor = Governor(16, 8)
    again = Scheduler(play.state, None, 16, None, governor, ["general", "general"])
    again.adopt(play.state.by_id["a"])
    assert governor.reserved == 2.0


def test_without_a_budget_a_worker_has_its_own_ceiling_or_none() -> None:
    play = Play(worker("a"), worker("b", worker="other", budget_usd=2.0))
    assert play.decide() == ["a", "b"]
    assert play.state.ceilings == {"b": 2.0}


@given(
    budget=st.floats(0.1, 20),
    costs=st.lists(st.floats(0, 5), min_size=2, max_size=6),
    own=st.none() | st.floats(0.05, 9),
)
def test_all_that_runs_together_never_may_cost_more_than_is_left(
    budget: float, costs: list[float], own: float | None
) -> None:
    tasks = [worker(f"t{n}", worker=f"type-{n % 2}", budget_usd=own) for n in range(len(costs))]
    play = Play(*tasks, limits=Limits(budget_usd=budget))
    for cost in costs:
        while names := [name for name in play.decide() if isinstance(name, str)]:
            play.answered(*names)
        running = [play.state.ceilings[name] or 0.0 for name in play.state.running]
        left = max(budget - play.state.cost_usd, LEAST_CEILING)
        assert sum(running) <= left + 1e-9
        first = next(iter(play.state.running), None)
        if first is None:
            break
        play.end(first, cost_usd=min(cost, play.state.ceilings[first] or 0.0))


def test_all_launches_wait_for_the_reset_of_a_usage_limit() -> None:
    play = Play(worker("a"), worker("b"), task("c", "a"))
    assert play.decide() == ["a"]
    reset = play.clock.time.replace(hour=12)
    play.end("a", "usage limited", until=reset)
    assert play.decide() == []
    assert play.scheduler.held == Hold("the usage limit is reached", reset.timestamp())
    assert play.scheduler.next_time() == reset.timestamp()
    play.clock.now = reset.timestamp()
    assert play.decide() == ["a"]
    assert play.scheduler.held is None


def test_a_task_that_waits_alone_for_a_reset_says_so_too() -> None:
    play = Play(worker("a"))
    play.decide()
    play.end("a", "usage limited", until=play.clock.time.replace(hour=12))
    assert play.decide() == []
    assert play.scheduler.held is not None
    assert play.scheduler.held.reason == "the usage limit is reached"


def test_a_run_ends_at_once_where_the_deadline_comes_before_the_reset() -> None:
    play = Play(worker("a"), worker("b"), limits=Limits(deadline="1h"))
    play.decide()
    play.end("a", "usage limited", until=play.clock.time.replace(hour=12))
    assert play.decide() == [Finish(4, "the deadline of 1h comes first: the usage limit is reached")]


def test_a_run_waits_for_a_reset_before_the_deadline() -> None:
    play = Play(worker("a"), limits=Limits(deadline="3h"))
    play.decide()
    play.end("a", "usage limited", until=play.clock.time.replace(hour=12))
    assert play.decide() == []
    assert play.scheduler.next_time() == START.replace(hour=12).timestamp()


def test_workers_that_were_adopted_count() -> None:
    play = Play(worker("a"), worker("b"))
    play.tell(events.AttemptStarted, task="a", attempt=1, cli="claude")
    again = Scheduler(play.state, None, 16, None, play.governor, ["general", "general"])
    again.adopt(play.state.by_id["a"])
    assert again.decide(play.clock.now) == []
    assert again.held is not None
