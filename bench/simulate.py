"""Schedules on paper: how long a shape takes where starting a task costs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush

from shapes import Shape, batches


def fifo(shape: Shape, slots: int) -> float:
    """Seconds where tasks start in the order in which they become ready."""
    return _listed(shape, slots, None)


def critical_path(shape: Shape, slots: int) -> float:
    """Seconds where of the ready tasks the one with the longest way to the end starts first."""
    return _listed(shape, slots, [-seconds for seconds in shape.remaining()])


def waves(shape: Shape, slots: int) -> float:
    """Seconds where each batch begins when the one before has ended, as a whole."""
    return sum(_packed([shape.seconds[task] for task in batch], slots) for batch in batches(shape))


def _packed(seconds: Sequence[float], slots: int) -> float:
    free = [0.0] * slots
    for taken in seconds:
        heappush(free, heappop(free) + taken)
    return max(free)


def _listed(shape: Shape, slots: int, ranks: Sequence[float] | None) -> float:
    """List scheduling; without `ranks` the order of becoming ready counts."""
    left = [len(needs) for needs in shape.needs]
    dependents = shape.dependents()
    ready: list[tuple[float, int]] = []
    for task, count in enumerate(left):
        if not count:
            heappush(ready, (ranks[task] if ranks else 0.0, task))
    running: list[tuple[float, int]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < slots:
            task = heappop(ready)[1]
            heappush(running, (now + shape.seconds[task], task))
        now, done = heappop(running)
        for dependent in dependents[done]:
            left[dependent] -= 1
            if not left[dependent]:
                heappush(ready, (ranks[dependent] if ranks else now, dependent))
    return now
