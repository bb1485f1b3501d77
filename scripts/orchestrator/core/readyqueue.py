"""Pending tasks by rank, in one heap for each kind: a kind that must wait holds up no other."""

from __future__ import annotations

from heapq import heappop, heappush

Rank = tuple[str, float, int]
Entry = tuple[Rank, int]


class ReadyQueue:
    """Entries of any number of kinds; the lowest rank comes first, of those kinds that are not left waiting."""

    def __init__(self) -> None:
        self._kinds: dict[str, list[Entry]] = {}
        self._tops: list[tuple[Entry, str]] = []
        self._waiting: list[str] = []

    def __bool__(self) -> bool:
        return bool(self._tops or self._waiting)

    def count(self) -> int:
        """How many entries there are of kinds that have a name."""
        return sum(len(heap) for kind, heap in self._kinds.items() if kind)

    def push(self, entry: Entry, kind: str) -> None:
        """Add an entry."""
        heap = self._kinds.setdefault(kind, [])
        heappush(heap, entry)
        if heap[0] is entry and kind not in self._waiting:
            heappush(self._tops, (entry, kind))

    def first(self) -> tuple[Entry, str] | None:
        """The entry to come next, and its kind; it stays until it is taken."""
        while self._tops:
            entry, kind = self._tops[0]
            heap = self._kinds[kind]
            if heap and heap[0] is entry and kind not in self._waiting:
                return entry, kind
            heappop(self._tops)
        return None

    def take(self, kind: str) -> None:
        """Remove the first entry of a kind."""
        heap = self._kinds[kind]
        heappop(heap)
        if heap:
            heappush(self._tops, (heap[0], kind))

    def leave(self, kind: str) -> None:
        """Let a kind wait until `resume`."""
        self._waiting.append(kind)

    def resume(self) -> None:
        """No kind waits any longer."""
        for kind in self._waiting:
            if heap := self._kinds[kind]:
                heappush(self._tops, (heap[0], kind))
        self._waiting.clear()
