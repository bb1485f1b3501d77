from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from counting import calls
from fakes import START, Simulation, plan, task

from orchestrator.core import events
from orchestrator.core.plan import Limits, Task
from orchestrator.core.scheduler import Finish, Launch, Skip
from orchestrator.core.verdict import luck

NOW = START.timestamp()


def limits(**fields: Any) -> Limits:
    return Limits(**fields)


def failing(*names: str, outcome: str = "error") -> Callable[[str, int], str]:
    return lambda name, attempt: outcome if name in names else "success"


def launched(simulation: Simulation, now: float = NOW) -> list[str]:
    actions = simulation.scheduler.decide(now)
    return [action.task for action in actions if isinstance(action, Launch)]


def test_a_task_starts_when_its_own_needs_are_done_and_not_when_a_batch_is() -> None:
    simulation = Simulation(
        plan(task("slow"), task("quick"), task("next", "quick")), seconds=lambda n, a: 9 if n == "slow" else 1
    )
    assert simulation.run().exit == 0
    assert simulation.launched == ["quick", "slow", "next"]
    assert simulation.state.by_id["next"].ended < simulation.state.by_id["slow"].ended  # type: ignore[operator]


def test_priority_outranks_a_longer_path_and_a_longer_path_outranks_plan_order() -> None:
    tasks = (
        task("first"),
        task("long", estimate="1h"),
        task("urgent", priority="P0"),
        task("head"),
        task("tail", "head", estimate="3h"),
        task("late", priority="P3", estimate="9h"),
    )
    simulation = Simulation(plan(*tasks, limits=limits(parallelism=1)))
    simulation.run()
    assert simulation.launched == ["urgent", "head", "tail", "long", "first", "late"]


def test_equal_tasks_start_in_the_order_of_the_plan() -> None:
    names = [f"T-{number}" for number in range(20)]
    simulation = Simulation(plan(*map(task, names), limits=limits(parallelism=3)))
    simulation.run()
    assert simulation.launched == names


@pytest.mark.parametrize("parallelism", [1, 2, 7])
def test_no_more_than_the_parallelism_run_and_no_fewer_when_there_is_work(parallelism: int) -> None:
    tasks = [task(f"T-{number}") for number in range(20)]
    simulation = Simulation(plan(*tasks), parallelism=parallelism)
    simulation.run()
    assert simulation.most == parallelism
    assert simulation.clock.now - NOW == -(-20 // parallelism)


def test_a_place_that_is_free_is_filled_at_once() -> None:
    tasks = [task(f"T-{number}") for number in range(6)]
    simulation = Simulation(plan(*tasks, limits=limits(parallelism=2)), seconds=lambda n, a: int(n[-1]) + 1)
    simulation.run()
    # 1 3 5 in one seat and 2 4 6 in the other.
    assert simulation.clock.now - NOW == 12


def test_needs_wait_for_completion_and_after_waits_for_any_end() -> None:
    tasks = (task("bad", attempts=1), task("needing", "bad"), task("following", after="bad"))
    simulation = Simulation(plan(*tasks), outcome=failing("bad"))
    assert simulation.run() == Finish(1, "not all tasks were completed")
    assert simulation.launched == ["bad", "following"]
    assert simulation.state.by_id["following"].status == "completed"
    assert simulation.state.by_id["needing"].reason == "dependency failed: it needs bad, which failed"


def test_a_task_in_needs_and_in_after_is_waited_for_once() -> None:
    simulation = Simulation(plan(task("one"), task("two", "one", after="one")))
    assert simulation.run().exit == 0


def test_a_failed_need_skips_its_transitive_dependents_only() -> None:
    tasks = (
        task("bad", attempts=1),
        task("child", "bad"),
        task("grandchild", "child good"),
        task("good"),
        task("other", "good"),
    )
    simulation = Simulation(plan(*tasks), outcome=failing("bad"))
    simulation.run()
    marks = {name: state.mark for name, state in simulation.state.by_id.items()}
    assert marks == {
        "bad": "failed", "child": "skipped", "grandchild": "skipped", "good": "completed", "other": "completed",
    }  # fmt: skip
    reason = simulation.state.by_id["grandchild"].reason
    assert reason == "dependency failed: it needs child, which was skipped"


def test_a_chain_of_any_length_is_skipped_in_one_decision() -> None:
    chain = [task("T-0", attempts=1)] + [task(f"T-{n}", f"T-{n - 1}") for n in range(1, 3000)]
    simulation = Simulation(plan(*chain), outcome=failing("T-0"))
    simulation.turn()
    skips = simulation.scheduler.decide(simulation.clock.now)
    assert [skip.task for skip in skips if isinstance(skip, Skip)] == [f"T-{n}" for n in range(1, 3000)]


def test_a_cancelled_need_is_named_as_such() -> None:
    simulation = Simulation(plan(task("one"), task("two", "one")))
    simulation.tell(events.TaskCancelled, task="one")
    assert simulation.scheduler.decide(NOW) == [
        Skip("two", "dependency failed: it needs one, which was cancelled")
    ]


def test_stop_lets_running_tasks_finish_and_launches_nothing_more() -> None:
    tasks = (task("bad", attempts=1, on_failure="stop"), task("slow"), task("never"))
    simulation = Simulation(
        plan(*tasks, limits=limits(parallelism=2)),
        seconds=lambda n, a: 9 if n == "slow" else 1,
        outcome=failing("bad"),
    )
    assert simulation.run() == Finish(1, "stopped by the failure of bad")
    assert {n: s.status for n, s in simulation.state.by_id.items()} == {
        "bad": "failed", "slow": "completed", "never": "pending",
    }  # fmt: skip


def test_escalate_blocks_the_task_while_its_siblings_go_on() -> None:
    tasks = (task("bad", attempts=2, on_failure="escalate"), task("other"), task("waiting", "bad"))
    simulation = Simulation(plan(*tasks), outcome=failing("bad"))
    assert simulation.run() == Finish(3, "waiting for a person")
    assert {n: s.status for n, s in simulation.state.by_id.items()} == {
        "bad": "blocked", "other": "completed", "waiting": "waiting",
    }  # fmt: skip


def test_a_blocked_task_that_is_retried_unblocks_its_dependents() -> None:
    tasks = (task("bad", attempts=1, on_failure="escalate"), task("waiting", "bad"))
    simulation = Simulation(plan(*tasks), outcome=lambda n, a: "error" if (n, a) == ("bad", 1) else "success")
    assert simulation.run().exit == 3
    simulation.tell(events.TaskRetried, task="bad")
    assert simulation.run().exit == 0


def test_a_retry_waits_for_its_time_and_not_longer() -> None:
    simulation = Simulation(plan(task("T-1")), outcome=lambda n, a: "error" if a < 3 else "success")
    simulation.run()
    starts = [e.time.timestamp() - NOW for e in simulation.events if isinstance(e, events.AttemptStarted)]
    first, second = luck("r-1", "T-1", 1) * 1.0, luck("r-1", "T-1", 2) * 2.0
    assert starts == pytest.approx([0.0, 1 + first, 2 + first + second], abs=1e-5)


def test_another_task_takes_the_place_while_one_is_between_attempts() -> None:
    simulation = Simulation(
        plan(task("one"), task("two"), limits=limits(parallelism=1)),
        outcome=lambda n, a: "error" if (n, a) == ("one", 1) else "success",
    )
    simulation.run()
    assert simulation.launched == ["one", "two", "one"]


def usage_limited(name: str, attempt: int) -> str:
    return "usage limited" if (name, attempt) == ("T-1", 1) else "success"


def test_a_person_who_retries_a_waiting_task_does_not_wait_for_its_time() -> None:
    simulation = Simulation(plan(task("T-1")), outcome=usage_limited)
    simulation.turn()
    assert launched(simulation, simulation.clock.now) == []
    simulation.tell(events.TaskRetried, task="T-1")
    assert launched(simulation, simulation.clock.now) == ["T-1"]


def test_the_time_of_an_attempt_that_was_given_up_does_not_start_the_next_one_early() -> None:
    simulation = Simulation(plan(task("T-1")), outcome=lambda n, a: "usage limited" if a < 3 else "success")
    simulation.turn()
    simulation.scheduler.decide(simulation.clock.now)
    simulation.tell(events.TaskRetried, task="T-1")
    simulation.turn()
    first, second = (event.time.timestamp() + 300 for event in finishes(simulation))
    simulation.clock.now = first
    assert launched(simulation, first) == []
    assert launched(simulation, second) == ["T-1"]


def finishes(simulation: Simulation) -> list[events.AttemptFinished]:
    return [event for event in simulation.events if isinstance(event, events.AttemptFinished)]


def test_a_run_does_not_wait_for_a_task_that_was_cancelled_while_it_waited() -> None:
    simulation = Simulation(plan(task("T-1")), outcome=usage_limited)
    simulation.turn()
    simulation.scheduler.decide(simulation.clock.now)
    simulation.tell(events.TaskCancelled, task="T-1")
    assert simulation.scheduler.decide(simulation.clock.now) == [Finish(1, "not all tasks were completed")]


def test_a_clock_set_back_between_two_dispatchers_makes_no_short_wait_long() -> None:
    simulation = Simulation(plan(task("T-1")), outcome=failing("T-1"))
    simulation.turn()
    again = Simulation(simulation.state.plan or plan(), told=simulation.events)
    assert launched(again, NOW - 7200) == ["T-1"]


def test_a_task_that_waited_for_its_place_while_the_clock_caught_up_is_not_lost() -> None:
    one = plan(task("T-1"), limits=limits(parallelism=1))
    simulation = Simulation(one, outcome=lambda n, a: "error" if a < 2 else "success")
    simulation.turn()
    simulation.scheduler.decide(NOW - 7200, closing=True)
    early = simulation.state.by_id["T-1"].trouble.retry_at - 1e-3
    assert launched(simulation, early) == []
    assert simulation.run().exit == 0


def test_a_usage_limit_is_waited_for_however_long_it_is() -> None:
    simulation = Simulation(plan(task("T-1")))
    reset = simulation.clock.time.replace(hour=23)
    simulation.launch("T-1", 1)
    simulation.end("T-1", 1, "usage limited", until=reset)
    assert launched(simulation, reset.timestamp() - 1) == []
    assert simulation.scheduler.next_time() == reset.timestamp()
    assert launched(simulation, reset.timestamp()) == ["T-1"]


def test_tasks_whose_writes_overlap_never_run_together() -> None:
    tasks = [task(f"T-{n}", writes=("docs/**",) if n % 2 else ("docs/a.md", "src/b")) for n in range(12)]
    simulation = Simulation(plan(*tasks, limits=limits(parallelism=8)))
    assert simulation.run().exit == 0
    assert simulation.most == 1


def test_a_lane_is_free_for_the_others_while_its_task_waits_for_a_retry() -> None:
    simulation = Simulation(
        plan(task("one", writes=("a",)), task("two", writes=("a",))),
        outcome=lambda n, a: "error" if (n, a) == ("one", 1) else "success",
    )
    simulation.run()
    assert simulation.launched == ["one", "two", "one"]


def test_a_cancelled_task_at_the_head_of_its_lane_holds_nobody_up() -> None:
    tasks = [task(f"T-{n}", writes=("a",)) for n in range(4)]
    simulation = Simulation(plan(*tasks))
    simulation.turn()
    simulation.tell(events.TaskCancelled, task="T-1")
    assert simulation.run().exit == 1
    assert simulation.launched == ["T-0", "T-2", "T-3"]


def test_a_thousand_tasks_that_write_one_file_are_cheap() -> None:
    def cost(tasks: int, *writes: str) -> float:
        simulation = Simulation(plan(*(task(f"T-{n}", writes=writes) for n in range(tasks))))
        return calls(simulation.run) / tasks

    assert cost(1000, "out.md") < 1.3 * cost(100, "out.md")
    assert cost(1000, "out.md") < 2 * cost(1000)


@pytest.mark.parametrize("shape", ["fan", "lane", "pairs"])
def test_the_work_for_one_end_does_not_grow_with_the_plan(shape: str) -> None:
    def cost(tasks: int) -> int:
        simulation = Simulation(plan(*shaped(shape, tasks)))
        for _ in range(5):
            simulation.turn()
        return calls(lambda: [simulation.turn() for _ in range(30)]) // len(simulation.launched)

    few, many = cost(200), cost(20_000)
    assert many <= 1.5 * few


def shaped(shape: str, tasks: int) -> list[Task]:
    if shape == "fan":
        return [task(f"T-{n}") for n in range(tasks)]
    if shape == "lane":
        return [task(f"T-{n}", writes=("out",)) for n in range(tasks)]
    return [task(f"T-{n}", f"T-{n - 1}" if n % 2 else "") for n in range(tasks)]
