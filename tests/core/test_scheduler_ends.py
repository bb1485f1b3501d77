from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fakes import START, Simulation, plan, task

from orchestrator.core import events
from orchestrator.core.plan import Limits, Task
from orchestrator.core.revision import Revision
from orchestrator.core.scheduler import Finish, Launch, Stop, Verify

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


def test_nothing_is_launched_once_the_budget_is_spent() -> None:
    tasks = [task(f"T-{n}") for n in range(3)]
    simulation = Simulation(plan(*tasks, limits=limits(parallelism=1, budget_usd=1.0)))
    simulation.launch("T-0", 1)
    simulation.end("T-0", 1, cost_usd=1.5)
    assert simulation.scheduler.decide(NOW) == [Finish(4, "the budget of $1.00 is spent")]


def test_a_larger_budget_for_this_dispatcher_goes_on() -> None:
    simulation = Simulation(plan(task("a"), task("b"), limits=limits(budget_usd=1.0)), budget=2.0)
    simulation.launch("a", 1)
    simulation.end("a", 1, cost_usd=1.5)
    assert launched(simulation) == ["b"]


def test_a_budget_spent_by_the_last_task_is_no_reason_to_stop() -> None:
    simulation = Simulation(plan(task("a"), limits=limits(budget_usd=1.0), verify=("true",)))
    simulation.launch("a", 1)
    simulation.end("a", 1, cost_usd=1.5)
    assert simulation.scheduler.decide(NOW) == [Verify()]
    assert simulation.run() == Finish(0, "completed")


def test_a_run_that_failed_and_spent_its_budget_has_failed() -> None:
    simulation = Simulation(plan(task("a", attempts=1), limits=limits(budget_usd=1.0)))
    simulation.launch("a", 1)
    simulation.end("a", 1, "error", cost_usd=1.5)
    assert simulation.scheduler.decide(NOW) == [Finish(1, "not all tasks were completed")]


def test_the_deadline_stops_what_runs_and_ends_the_run() -> None:
    simulation = Simulation(
        plan(task("a"), task("b", "a"), limits=limits(deadline="10s")), seconds=lambda n, a: 60
    )
    assert simulation.run() == Finish(4, "the deadline of 10s has passed")
    assert simulation.clock.now == NOW + 10
    assert finishes(simulation)[0].ordered


def test_a_deadline_that_has_passed_wakes_nobody_again() -> None:
    simulation = Simulation(plan(task("a"), limits=limits(deadline="10s")), seconds=lambda n, a: 60)
    simulation.turn()
    assert simulation.scheduler.decide(NOW + 11) == [Stop("the deadline of 10s has passed")]
    assert simulation.scheduler.next_time() is None


def test_a_deadline_behind_the_last_end_wakes_nobody() -> None:
    simulation = Simulation(plan(task("a"), limits=limits(deadline="10s"), verify=("sleep 60",)))
    simulation.launch("a", 1)
    simulation.end("a", 1)
    assert simulation.scheduler.decide(NOW) == [Verify()]
    assert simulation.scheduler.next_time() is None


def test_the_deadline_counts_from_when_this_dispatcher_took_over() -> None:
    one = plan(task("a"), limits=limits(deadline="10s"))
    simulation = Simulation(one)
    simulation.clock.now += 3600
    simulation.tell(events.RunResumed, pid=2, version="0")
    assert simulation.run().exit == 0


def test_a_halting_outcome_launches_nothing_more_and_lets_running_tasks_finish() -> None:
    simulation = Simulation(
        plan(task("out", cli="claude"), task("slow"), task("never"), limits=limits(parallelism=2)),
        seconds=lambda n, a: 5 if n == "slow" else 1,
        outcome=failing("out", outcome="no credit"),
    )
    assert simulation.run() == Finish(5, "no credit")
    assert simulation.launched == ["out", "slow"]
    assert simulation.state.by_id["slow"].mark == "completed"
    assert simulation.state.by_id["out"].used == 0


def test_a_dispatcher_that_takes_over_tries_again_after_a_halting_outcome() -> None:
    simulation = Simulation(plan(task("out")), outcome=lambda n, a: "no credit" if a < 2 else "success")
    assert simulation.run().exit == 5
    simulation.tell(events.RunResumed, pid=2, version="0")
    assert simulation.run().exit == 0


def test_a_session_task_is_never_launched_and_waits_for_a_person() -> None:
    simulation = Simulation(plan(task("here", cli="session", run=""), task("there"), task("then", "here")))
    assert simulation.run() == Finish(
        3, "waiting for a session (to be started: here): `orchestrate next` shows its tasks"
    )
    assert simulation.launched == ["there"]


def test_a_session_task_behind_a_failed_one_is_skipped_and_waits_for_nobody() -> None:
    tasks = (task("bad", attempts=1), task("here", "bad", cli="session", run=""))
    assert Simulation(plan(*tasks), outcome=failing("bad")).run().exit == 1


@pytest.mark.parametrize(("passed", "exit_status"), [(True, 0), (False, 1)])
def test_the_verify_of_the_plan_decides_over_its_end(passed: bool, exit_status: int) -> None:
    simulation = Simulation(plan(task("a"), verify=("make check",)), verified=passed)
    assert simulation.run().exit == exit_status
    assert sum(isinstance(event, events.PlanVerified) for event in simulation.events) == 1


def test_the_verify_of_the_plan_is_not_run_where_a_task_failed() -> None:
    simulation = Simulation(plan(task("a", attempts=1), verify=("make check",)), outcome=failing("a"))
    assert simulation.run().exit == 1
    assert not any(isinstance(event, events.PlanVerified) for event in simulation.events)


def test_a_run_that_closes_before_its_own_verify_has_not_succeeded() -> None:
    simulation = Simulation(plan(task("a"), verify=("make check",)))
    simulation.launch("a", 1)
    simulation.end("a", 1)
    assert simulation.scheduler.decide(NOW, closing=True) == [Finish(1, "the plan's own verify was not run")]


def test_a_task_that_runs_again_after_the_verify_has_the_plan_verified_again() -> None:
    simulation = Simulation(plan(task("a"), verify=("make check",)))
    simulation.launch("a", 1)
    simulation.end("a", 1)
    simulation.tell(events.TaskRetried, task="a")
    simulation.tell(events.PlanVerified, passed=True)
    assert simulation.run().exit == 0
    assert sum(isinstance(event, events.PlanVerified) for event in simulation.events) == 2


def test_a_closing_dispatcher_launches_nothing_and_ends_when_nothing_runs() -> None:
    simulation = Simulation(plan(task("a"), task("b")))
    simulation.launch("a", 1)
    assert simulation.scheduler.decide(NOW, closing=True) == []
    simulation.end("a", 1)
    assert simulation.scheduler.decide(NOW, closing=True) == [Finish(1, "not all tasks were completed")]


EXITS: list[tuple[list[Task], dict[str, str], int]] = [
    ([task("bad", attempts=1), task("ask", on_failure="escalate", attempts=1)], {}, 3),
    ([task("bad", attempts=1), task("login")], {"login": "authentication"}, 5),
    ([task("ask", on_failure="escalate", attempts=1), task("login")], {"login": "authentication"}, 5),
    ([task("bad", attempts=1)], {}, 1),
    ([task("bad", attempts=1, on_failure="stop"), task("ask", attempts=1, on_failure="escalate")], {}, 3),
]


@pytest.mark.parametrize(("tasks", "outcomes", "exit_status"), EXITS)
def test_of_several_exit_statuses_the_first_in_order_holds(
    tasks: list[Task], outcomes: dict[str, str], exit_status: int
) -> None:
    simulation = Simulation(plan(*tasks), outcome=lambda n, a: outcomes.get(n, "error"))
    assert simulation.run().exit == exit_status


def test_an_environment_that_failed_outranks_a_deadline_that_passed() -> None:
    simulation = Simulation(plan(task("login"), limits=limits(deadline="5s")))
    simulation.launch("login", 1)
    simulation.end("login", 1, "no credit")
    assert simulation.scheduler.decide(NOW + 6) == [Finish(5, "no credit")]


def test_the_second_refused_login_of_a_run_launches_nothing_more() -> None:
    simulation = Simulation(
        plan(
            task("out", cli="claude"),
            task("other", cli="claude"),
            task("shell"),
            limits=limits(parallelism=1),
        ),
        outcome=lambda name, attempt: "success" if name == "shell" else "authentication",
    )
    assert simulation.run() == Finish(5, "authentication")
    assert sum(name != "shell" for name in simulation.launched) == 2


def test_a_login_that_works_again_forgives_the_refusal_before() -> None:
    simulation = Simulation(
        plan(task("a", cli="claude"), task("b", "a", cli="claude"), limits=limits(parallelism=1)),
        outcome=lambda name, attempt: "authentication" if attempt == 1 else "success",
    )
    assert simulation.run() == Finish(0, "completed")


def test_a_revision_that_waits_is_no_end_even_where_all_tasks_are_completed() -> None:
    simulation = Simulation(plan(task("A"), replan="ask", verify=("true",)))
    simulation.turn()
    simulation.tell(events.RevisionProposed, revision=Revision(finish="all is done"), by="planner")
    (finish,) = simulation.scheduler.decide(simulation.clock.now)
    assert finish == Finish(3, "a revision of the plan waits for a person: approve or reject it")
