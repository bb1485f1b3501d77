"""Which tasks of a plan are kept apart by nothing but their `writes`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, takewhile

from orchestrator.core.graph import Edges
from orchestrator.core.overlap import writes_overlap

MOST_OVERLAPS = 20
"""Pairs that are named."""

MOST_COMPARED = 50_000
"""Comparisons of `writes` until the search is given up: half a second."""

MOST_ORDERED = 1000
"""Tasks of which it is known which of them wait for which; a bit for each in each task of the plan."""

Globs = tuple[str, ...]


def kept_apart(writes: Sequence[Globs], edges: Edges, depths: Sequence[int]) -> list[tuple[int, int]]:
    """Pairs of tasks, by index, whose `writes` overlap and of which none waits for the other.

    Each task that has such a partner is in one of the pairs, and so is one pair of each two sets of globs.

    Args:
        edges: as `graph` takes them.
        depths: the batch of each task; who waits for another has a larger one.
    """
    order = sorted(range(len(writes)), key=depths.__getitem__)
    groups = _Groups()
    groups.gather(writes, order, depths)
    shared = [i for i in order if writes[i] in groups.shared][:MOST_ORDERED] if groups.shared else []
    pairs = _unordered({i: writes[i] for i in shared}, groups.near, _before(shared, order, edges))
    return list(islice(pairs, MOST_OVERLAPS))


def _unordered(
    writes: Mapping[int, Globs], near: Mapping[Globs, Sequence[Globs]], before: Mapping[int, int]
) -> Iterator[tuple[int, int]]:
    """The pairs to name, of the tasks in `writes`, which come in an order in which each is after what it waits for.

    Sets of tasks are numbers: a bit for each, by its place in that order.
    """
    tasks = list(writes)
    members = dict.fromkeys(writes.values(), 0)
    named, told = 0, set()
    for place, (task, mine) in enumerate(writes.items()):
        partners = 0
        for other in (mine, *near.get(mine, ())):
            # Nothing that comes later is waited for: all that came before is unordered but for what `task` waits for.
            free = members.get(other, 0) & ~before[task]
            new = free & ~named
            pair = frozenset((mine, other))
            if free and not new and (pair not in told or not partners | named >> place & 1):
                new = free & -free
            if new:
                told.add(pair)
                partners |= new
        members[mine] |= 1 << place
        named |= partners | bool(partners) << place
        yield from ((tasks[other], task) for other in _bits(partners))


def _before(shared: Sequence[int], order: Iterable[int], edges: Edges) -> dict[int, int]:
    """For each of `shared` those of them that it waits for, also through others: a bit for each, by place."""
    place = {task: 1 << place for place, task in enumerate(shared)}
    known: dict[int, int] = {}
    reached: dict[int, int] = {}
    for task in order:
        if len(known) == len(shared):
            break
        mask = 0
        for need in edges[task]:
            mask |= reached[need]
        if task in place:
            known[task] = mask
        reached[task] = mask | place.get(task, 0)
    return known


def _bits(mask: int) -> Iterator[int]:
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


class _Groups:
    """Which sets of globs overlap: `near` holds for each those that do; `shared` are those to which more than one
    task writes, or that another overlaps."""

    def __init__(self) -> None:
        self.near: dict[Globs, list[Globs]] = {}
        self.shared: set[Globs] = set()

    def gather(self, writes: Sequence[Globs], order: Iterable[int], depths: Sequence[int]) -> None:
        """Look at the tasks until enough are known to be kept apart, or too many sets were compared."""
        neighbours, left, certain = _Neighbours(), MOST_COMPARED, 0
        first: dict[Globs, int] = {}
        for task in order:
            globs = writes[task]
            if globs in first:
                self.shared.add(globs)
            elif globs:
                first[globs] = depths[task]
                if near := neighbours.of(globs):
                    # In one batch none waits for another.
                    certain += sum(first[other] == depths[task] for other in self._join(globs, near))
                    left -= len(near)
                neighbours.add(globs)
            if left <= 0 or certain >= MOST_OVERLAPS:
                return

    def _join(self, globs: Globs, near: Iterable[Globs]) -> list[Globs]:
        found = [other for other in near if writes_overlap(other, globs)]
        for other in found:
            self.near.setdefault(other, []).append(globs)
            self.near.setdefault(globs, []).append(other)
            self.shared |= {globs, other}
        return found


class _Neighbours:
    """Which `writes` can overlap at all: those whose beginnings without wildcards lie on one path."""

    def __init__(self) -> None:
        self._at: dict[Globs, dict[Globs, None]] = {}
        self._below: dict[Globs, dict[Globs, None]] = {}

    def add(self, writes: Globs) -> None:
        for glob in writes:
            start = _beginning(glob)
            self._at.setdefault(start, {})[writes] = None
            for length in range(len(start)):
                self._below.setdefault(start[:length], {})[writes] = None

    def of(self, writes: Globs) -> dict[Globs, None]:
        near: dict[Globs, None] = {}
        for glob in writes:
            start = _beginning(glob)
            near |= self._below.get(start, {})
            for length in range(len(start) + 1):
                near |= self._at.get(start[:length], {})
        return near


def _beginning(glob: str) -> Globs:
    parts = (part for part in glob.split("/") if part not in ("", "."))
    return tuple(takewhile(lambda part: not any(sign in part for sign in "*?["), parts))
