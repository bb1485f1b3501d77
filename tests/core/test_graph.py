"""Cycles, batches and longest paths."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.graph import batches, critical_path, find_cycles, longest_remaining

DIAMOND = [[], [0], [0], [1, 2]]


@st.composite
def acyclic(draw: st.DrawFn) -> list[list[int]]:
    size = draw(st.integers(0, 12))
    return [
        draw(st.lists(st.integers(0, max(node - 1, 0)), max_size=3)) if node else [] for node in range(size)
    ]


@st.composite
def graphs(draw: st.DrawFn) -> list[list[int]]:
    size = draw(st.integers(1, 10))
    return draw(st.lists(st.lists(st.integers(0, size - 1), max_size=3), min_size=size, max_size=size))


def turned(edges: list[list[int]]) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in edges]
    for node, needs in enumerate(edges):
        for need in needs:
            found[need].append(node)
    return found


def test_a_diamond_has_three_batches_and_no_cycle() -> None:
    assert batches(DIAMOND) == [0, 1, 1, 2]
    assert find_cycles(DIAMOND) == []


def test_the_critical_path_is_the_heaviest_not_the_longest() -> None:
    assert critical_path(DIAMOND, [1.0, 5.0, 2.0, 1.0]) == ([0, 1, 3], 7.0)
    assert critical_path([[], [0], []], [1.0, 1.0, 9.0]) == ([2], 9.0)
    assert critical_path([], []) == ([], 0.0)


def test_the_remaining_path_includes_the_task_itself() -> None:
    assert longest_remaining(turned(DIAMOND), [1.0, 5.0, 2.0, 1.0]) == [7.0, 6.0, 3.0, 1.0]


@pytest.mark.parametrize("length", [1, 2, 50])
def test_a_cycle_is_named_whole_from_its_first_task(length: int) -> None:
    ring = [[(node + 1) % length] for node in range(length)]
    assert find_cycles([*ring, [0]]) == [list(range(length))]


def test_each_of_several_cycles_is_found_once() -> None:
    assert find_cycles([[1], [0], [3], [2], [0, 2]]) == [[0, 1], [2, 3]]


def test_a_graph_with_a_cycle_has_no_batches() -> None:
    with pytest.raises(ValueError, match="cycle"):
        batches([[1], [0]])


def test_a_chain_of_a_hundred_thousand_needs_no_recursion() -> None:
    size = 100_000
    chain = [[node - 1] if node else [] for node in range(size)]
    assert batches(chain)[-1] == size - 1
    assert critical_path(chain, [1.0] * size)[1] == size
    assert [len(cycle) for cycle in find_cycles([[size - 1], *chain[1:]])] == [size]


@given(acyclic())
def test_no_batch_is_before_that_of_a_need(edges: list[list[int]]) -> None:
    depth = batches(edges)
    assert all(depth[node] > depth[need] for node, needs in enumerate(edges) for need in needs)
    assert all(
        depth[node] == 0 or depth[node] - 1 in {depth[need] for need in edges[node]}
        for node in range(len(edges))
    )


@given(acyclic(), st.data())
def test_the_critical_path_is_a_path_and_the_heaviest(edges: list[list[int]], data: st.DataObject) -> None:
    weights = [float(data.draw(st.integers(0, 9))) for _ in edges]
    path, weight = critical_path(edges, weights)
    assert weight == sum(weights[node] for node in path)
    assert weight == max(longest_remaining(turned(edges), weights), default=0.0)
    assert all(before in edges[node] for before, node in pairwise(path))


@given(graphs())
def test_cycles_are_cycles_and_are_found_wherever_batches_fail(edges: list[list[int]]) -> None:
    cycles = find_cycles(edges)
    for cycle in cycles:
        assert all(after in edges[node] for node, after in zip(cycle, [*cycle[1:], cycle[0]], strict=True))
    nodes = [node for cycle in cycles for node in cycle]
    assert len(nodes) == len(set(nodes))
    if cycles:
        with pytest.raises(ValueError, match="cycle"):
            batches(edges)
    else:
        assert len(batches(edges)) == len(edges)
