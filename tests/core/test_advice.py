from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from fakes import Simulation, plan, task
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core.advice import MOST_OVERLAPS, outlook
from orchestrator.core.overlap import writes_overlap
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


def test_overlapping_writes_are_named_in_pairs() -> None:
    tasks = (
        task("a", writes=("docs/**",)),
        task("b", writes=("src/x.py",)),
        task("c", writes=("docs/a.md",)),
        task("d", writes=("docs/**",)),
        task("e"),
    )
    assert outlook(plan(*tasks), [1.0] * 5).overlaps == [("a", "c"), ("a", "d")]


def test_no_more_overlaps_are_named_than_anyone_reads() -> None:
    tasks = [task(f"T-{n}", writes=(f"out/{n}*", "log.txt")) for n in range(200)]
    assert len(outlook(plan(*tasks), [1.0] * 200).overlaps) == MOST_OVERLAPS


def calls(act: Callable[[], object]) -> int:
    count = 0

    def note(_frame: object, what: str, _argument: object) -> None:
        nonlocal count
        count += what == "call"

    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("form", ["out/{}.txt", "out/{}/*.txt", "{}/**"])
def test_overlaps_of_many_different_writes_are_found_without_comparing_all_pairs(form: str) -> None:
    def cost(tasks: int) -> float:
        many = plan(*(task(f"T-{n}", writes=(form.format(f"n{n}"),)) for n in range(tasks)))
        return calls(lambda: outlook(many, [1.0] * tasks)) / tasks

    assert cost(2000) < 1.5 * cost(200)


def test_of_two_tasks_that_end_together_both_count_before_the_next_begins() -> None:
    two, freed = [task("A"), task("B")], [task("long-1", "A B"), task("long-2", "A B")]
    short = [task(f"short-{n}") for n in range(4)]
    both = plan(*two, *freed, *short, task("C"), task("D"), limits=Limits(parallelism=4))
    assert outlook(both, [1, 1, 3, 3, 1, 1, 1, 1, 2, 2]).expected_seconds == 4


PIECES = st.sampled_from(["a", "b", "*", "**", "a*", "?"])
GLOBS = st.lists(PIECES, min_size=1, max_size=3).map("/".join)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(GLOBS, min_size=1, max_size=2).map(tuple), min_size=1, max_size=6))
def test_every_task_with_an_overlap_is_named_and_no_other(writes: list[tuple[str, ...]]) -> None:
    tasks = [task(f"T-{n}", writes=globs) for n, globs in enumerate(writes)]
    named = outlook(plan(*tasks), [1.0] * len(tasks)).overlaps
    assert all(writes_overlap(writes[int(a[2:])], writes[int(b[2:])]) for a, b in named)
    overlapping = {
        f"T-{i}"
        for i, one in enumerate(writes)
        for j, other in enumerate(writes)
        if i != j and writes_overlap(one, other)
    }
    assert {name for pair in named for name in pair} == overlapping


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
