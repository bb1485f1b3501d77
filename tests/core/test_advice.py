from __future__ import annotations

import pytest
from fakes import Simulation, plan, task
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core.advice import outlook
from orchestrator.core.plan import Limits, Plan


def test_the_outlook_names_batches_path_and_times() -> None:
    seen = outlook(plan(task("a"), task("b"), task("c", "a"), task("d", "c b")), [5.0, 1.0, 7.0, 2.0], 2)
    assert seen.batches == [["a", "b"], ["c"], ["d"]]
    assert seen.critical_path == ["a", "c", "d"]
    assert (seen.critical_seconds, seen.work_seconds, seen.expected_seconds) == (14.0, 15.0, 14.0)


def test_the_parallelism_of_the_plan_holds_where_none_is_given() -> None:
    four = [task(f"T-{n}") for n in range(4)]
    assert outlook(plan(*four, limits=Limits(parallelism=2)), [1.0] * 4).expected_seconds == 2.0
    assert outlook(plan(*four, limits=Limits(parallelism=2)), [1.0] * 4, 4).expected_seconds == 1.0


@pytest.mark.parametrize("tasks", [1, 2])
def test_too_few_tasks_do_not_pay(tasks: int) -> None:
    seen = outlook(plan(*(task(f"T-{n}") for n in range(tasks))), [1.0] * tasks)
    noun = "task" if tasks == 1 else "tasks"
    assert seen.warnings == [f"only {tasks} {noun}: doing it directly is quicker than orchestrating it"]


@pytest.mark.parametrize("replan", ["ask", "auto"])
def test_a_plan_that_grows_is_not_called_too_small(replan: str) -> None:
    seen = outlook(plan(task("A"), task("B"), replan=replan), [1.0, 1.0])
    assert seen.warnings == []


def test_a_chain_does_not_pay() -> None:
    chain = [task("T-0"), *(task(f"T-{n}", f"T-{n - 1}") for n in range(1, 5))]
    assert outlook(plan(*chain), [1.0] * 5).warnings == [
        "parallel work does not pay: the critical path is 100% of all work, so the tasks run one after another "
        "whatever the parallelism"
    ]


def workers(count: int) -> Plan:
    return plan(*(task(f"T-{n}", cli="claude", run="") for n in range(count)))


@pytest.mark.parametrize(
    ("count", "seconds", "said"),
    [
        (3, 90.0, "workers do not pay: 3"),
        (5, 119.0, "workers do not pay: 5"),
        (6, 90.0, "the tasks are small"),
    ],
)
def test_workers_with_next_to_nothing_to_do_are_not_worth_their_start(
    count: int, seconds: float, said: str
) -> None:
    found = outlook(workers(count), [seconds] * count, count).warnings
    assert [warning.startswith(said) for warning in found] == [True]
    assert ("cli: session" in found[0]) == (count < 6)


def test_one_worker_with_real_work_or_commands_alone_are_no_small_tasks() -> None:
    assert outlook(workers(3), [60.0, 90.0, 120.0], 3).warnings == []
    commands = plan(*(task(f"T-{n}") for n in range(4)))
    assert outlook(commands, [1.0] * 4, 4).warnings == []


def test_one_at_a_time_is_said() -> None:
    seen = outlook(plan(*(task(f"T-{n}") for n in range(4))), [1.0] * 4, 1)
    assert seen.warnings == ["parallelism is 1: nothing runs side by side"]


def test_idle_workers_are_said() -> None:
    gate = [task(f"T-{n}") for n in range(3)] + [
        task("gate", "T-0"),
        *(task(f"U-{n}", "gate") for n in range(3)),
    ]
    seen = outlook(plan(*gate), [3.0, 0.1, 0.1, 3.0, 0.1, 3.0, 3.0], 2)
    assert any("leave workers idle" in warning for warning in seen.warnings) == (seen.expected_seconds > 9.3)
    wide = outlook(plan(*(task(f"T-{n}") for n in range(8))), [1.0] * 8, 4)
    assert wide.warnings == []


def test_of_two_tasks_that_end_together_both_count_before_the_next_begins() -> None:
    two, freed = [task("A"), task("B")], [task("long-1", "A B"), task("long-2", "A B")]
    short = [task(f"short-{n}") for n in range(4)]
    both = plan(*two, *freed, *short, task("C"), task("D"), limits=Limits(parallelism=4))
    assert outlook(both, [1, 1, 3, 3, 1, 1, 1, 1, 2, 2]).expected_seconds == 4


@st.composite
def weighted(draw: st.DrawFn) -> tuple[Plan, list[float]]:
    count = draw(st.integers(1, 10))
    tasks = [
        task(f"T-{n}", " ".join(draw(st.lists(st.sampled_from([f"T-{m}" for m in range(n)]), max_size=2, unique=True)))
             if n else "")
        for n in range(count)
    ]  # fmt: skip
    weights = [float(draw(st.integers(1, 9))) for _ in tasks]
    return plan(*tasks, limits=Limits(parallelism=draw(st.integers(1, 4)))), weights


@settings(max_examples=100, deadline=None)
@given(weighted())
def test_the_expected_time_is_what_the_scheduler_makes_of_it(drawn: tuple[Plan, list[float]]) -> None:
    accepted, weights = drawn
    told = [
        task(one.id, " ".join(one.needs), estimate=f"{w}s")
        for one, w in zip(accepted.tasks, weights, strict=True)
    ]
    seconds = dict(zip((one.id for one in told), weights, strict=True))
    simulation = Simulation(plan(*told, limits=accepted.limits), seconds=lambda name, attempt: seconds[name])
    begun = simulation.clock.now
    simulation.run()
    seen = outlook(accepted, weights)
    assert seen.expected_seconds == pytest.approx(simulation.clock.now - begun)
    assert seen.critical_seconds <= seen.expected_seconds <= seen.work_seconds


def test_no_dependency_is_blamed_where_there_is_none() -> None:
    seen = outlook(plan(*(task(f"T-{n}") for n in range(5))), [10.0] * 5)
    assert (seen.expected_seconds, seen.warnings) == (20.0, [])
