from __future__ import annotations

from itertools import combinations

import pytest
from counting import calls
from fakes import plan, task
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core.advice import outlook
from orchestrator.core.apart import MOST_OVERLAPS
from orchestrator.core.overlap import writes_overlap
from orchestrator.core.plan import Task


def overlaps(*tasks: Task) -> list[tuple[str, str]]:
    return outlook(plan(*tasks), [1.0] * len(tasks)).overlaps


def test_overlapping_writes_are_named_in_pairs() -> None:
    assert overlaps(
        task("a", writes=("docs/**",)),
        task("b", writes=("src/x.py",)),
        task("c", writes=("docs/a.md",)),
        task("d", writes=("docs/**",)),
        task("e"),
    ) == [("a", "c"), ("a", "d")]


def test_of_three_that_overlap_each_other_every_pair_is_named() -> None:
    writes = {"a": "docs/**", "b": "docs/*.md", "c": "docs/a.md"}
    found = overlaps(*(task(name, writes=(glob,)) for name, glob in writes.items()))
    assert found == [("a", "b"), ("a", "c"), ("b", "c")]


def test_tasks_that_one_after_another_write_the_same_are_not_named() -> None:
    src = ("src/**",)
    assert overlaps(task("a", writes=src), task("b", "a", writes=src), task("c", "b", writes=src)) == []
    assert overlaps(task("a", writes=src), task("m", "a"), task("b", "m", writes=src)) == []
    assert overlaps(task("a", writes=src), task("b", after="a", writes=src)) == []
    assert overlaps(task("b", "a", writes=("src/b.py",)), task("a", writes=src)) == []


def test_two_that_wait_for_the_same_and_not_for_each_other_are_named() -> None:
    src = ("src/**",)
    assert overlaps(task("a", writes=src), task("b", "a", writes=src), task("c", "a", writes=src)) == [
        ("b", "c")
    ]
    free = overlaps(task("a", writes=src), task("b", "a", writes=src), task("c", writes=src))
    assert free == [("a", "c"), ("c", "b")]


def test_no_more_overlaps_are_named_than_anyone_reads() -> None:
    assert (
        len(overlaps(*(task(f"T-{n}", writes=(f"out/{n}*", "log.txt")) for n in range(200)))) == MOST_OVERLAPS
    )


@pytest.mark.parametrize("form", ["out/{}.txt", "out/{}/*.txt", "{}/**"])
def test_overlaps_of_many_different_writes_are_found_without_comparing_all_pairs(form: str) -> None:
    def cost(tasks: int) -> float:
        many = [task(f"T-{n}", writes=(form.format(f"n{n}"),)) for n in range(tasks)]
        return calls(lambda: overlaps(*many)) / tasks

    assert cost(2000) < 1.5 * cost(200)


@pytest.mark.parametrize("step", [1, 5])
def test_a_long_row_of_tasks_that_write_the_same_costs_no_more_for_each(step: int) -> None:
    def cost(tasks: int) -> float:
        row = [task(f"T-{n}", f"T-{n - step}" if n >= step else "", writes=("src/**",)) for n in range(tasks)]
        return calls(lambda: overlaps(*row)) / tasks

    assert cost(2000) < 1.5 * cost(200)


PIECES = st.sampled_from(["a", "b", "*", "**", "a*", "?"])
GLOBS = st.lists(PIECES, min_size=1, max_size=3).map("/".join)


@st.composite
def writers(draw: st.DrawFn) -> list[Task]:
    """Up to six tasks that write something and wait for some of each other, in any order."""
    count = draw(st.integers(1, 6))
    made = [
        task(
            f"T-{n}",
            " ".join(draw(st.sets(st.sampled_from([f"T-{m}" for m in range(n)]), max_size=2))) if n else "",
            writes=tuple(draw(st.lists(GLOBS, max_size=2))),
        )
        for n in range(count)
    ]
    return draw(st.permutations(made))


def waits_for(tasks: dict[str, Task], one: str, other: str) -> bool:
    return any(need == other or waits_for(tasks, need, other) for need in tasks[one].needs)


@settings(max_examples=300, deadline=None)
@given(writers())
def test_every_task_is_named_that_nothing_but_its_writes_keeps_from_another_and_no_other(
    tasks: list[Task],
) -> None:
    known = {one.id: one for one in tasks}
    wanted = {
        frozenset((one, other))
        for one, other in combinations(known, 2)
        if writes_overlap(known[one].writes, known[other].writes)
        and not (waits_for(known, one, other) or waits_for(known, other, one))
    }
    named = [frozenset(pair) for pair in overlaps(*tasks)]
    assert len(named) == len(set(named))
    assert wanted.issuperset(named)
    assert {name for pair in named for name in pair} == {name for pair in wanted for name in pair}
    sets = {frozenset((known[a].writes, known[b].writes)) for a, b in map(tuple, wanted)}
    assert {frozenset((known[a].writes, known[b].writes)) for a, b in map(tuple, named)} == sets
