"""Orders over a dependency graph: cycles, batches, longest paths.

A node is its index in the plan; `edges[i]` holds the indices that `i` waits for. Nothing here recurses, and
the work is proportional to nodes and edges: a chain of 100,000 tasks is as easy as a fan of them.
"""

from __future__ import annotations

from collections.abc import Sequence

Edges = Sequence[Sequence[int]]


def find_cycles(edges: Edges) -> list[list[int]]:
    """Cycles without a common node, at least one wherever some node waits for itself.

    Each begins with its smallest index; every node waits for the next, the last for the first.
    """
    in_order = set(_order(edges))
    stuck = [node for node in range(len(edges)) if node not in in_order]
    walk_of: dict[int, int] = {}
    cycles = []
    for walk, start in enumerate(stuck):
        path, node = [], start
        while node not in walk_of:
            walk_of[node] = walk
            path.append(node)
            node = next(need for need in edges[node] if need not in in_order)
        if walk_of[node] == walk:
            cycles.append(_rotated(path[path.index(node) :]))
    return cycles


def batches(edges: Edges) -> list[int]:
    """The depth of each node: 0 where it waits for nothing, else one more than the deepest it waits for.

    Raises:
        ValueError: the graph has a cycle.
    """
    depth = [0] * len(edges)
    for node in _whole_order(edges):
        if edges[node]:
            depth[node] = 1 + max([depth[need] for need in edges[node]])
    return depth


def longest_remaining(dependents: Edges, weights: Sequence[float]) -> list[float]:
    """For each node the weight of the heaviest path from it to an end, its own weight included.

    `dependents[i]` holds the indices that wait for `i`.

    Raises:
        ValueError: the graph has a cycle.
    """
    remaining = list(weights)
    for node in _whole_order(dependents):
        if dependents[node]:
            remaining[node] += max([remaining[dependent] for dependent in dependents[node]])
    return remaining


def critical_path(edges: Edges, weights: Sequence[float]) -> tuple[list[int], float]:
    """The heaviest path, first node to last, and its weight.

    Raises:
        ValueError: the graph has a cycle.
    """
    if not edges:
        return [], 0.0
    ends = longest_remaining(edges, weights)
    node = max(range(len(ends)), key=ends.__getitem__)
    heaviest, path = ends[node], [node]
    while edges[node]:
        node = max(edges[node], key=ends.__getitem__)
        path.append(node)
    return path[::-1], heaviest


def _order(edges: Edges) -> list[int]:
    """The nodes that can be put in order, each behind all that it waits for."""
    dependents: list[list[int]] = [[] for _ in edges]
    missing = [len(needs) for needs in edges]
    for node, needs in enumerate(edges):
        for need in needs:
            dependents[need].append(node)
    order = [node for node, count in enumerate(missing) if count == 0]
    for node in order:
        for dependent in dependents[node]:
            missing[dependent] -= 1
            if missing[dependent] == 0:
                order.append(dependent)
    return order


def _whole_order(edges: Edges) -> list[int]:
    order = _order(edges)
    if len(order) < len(edges):
        raise ValueError("the graph has a cycle")
    return order


def _rotated(cycle: list[int]) -> list[int]:
    first = cycle.index(min(cycle))
    return cycle[first:] + cycle[:first]
