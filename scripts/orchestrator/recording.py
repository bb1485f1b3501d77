"""The one way into the journal while a dispatcher lives: events are taken in at once, and written together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from orchestrator.core.events import Event, Listener
from orchestrator.core.state import RunState


class JournalFile(Protocol):
    """What is needed of `edges.journal.Journal`."""

    def append(self, written: Sequence[Event]) -> None: ...


class Recorder:
    """Takes events into a state, and writes them.

    Args:
        clock: seconds since the epoch.
        listeners: called with the events of each commit once they are on disk.
    """

    def __init__(
        self,
        state: RunState,
        journal: JournalFile,
        clock: Callable[[], float],
        listeners: Sequence[Listener] = (),
    ) -> None:
        self._state = state
        self._journal = journal
        self._clock = clock
        self._listeners = listeners
        self._unwritten: list[Event] = []

    @property
    def unwritten(self) -> bool:
        """Whether something was recorded that is not on disk yet."""
        return bool(self._unwritten)

    def stamp(self) -> dict[str, Any]:
        """Number and time of the next event."""
        return {"seq": self._state.seq + 1, "time": datetime.fromtimestamp(self._clock(), UTC)}

    def record(self, event: Event) -> None:
        """Take one event in; it is on disk after the next commit."""
        self._state.apply(event)
        self._unwritten.append(event)

    def commit(self) -> bool:
        """Write and sync what was recorded; whether there was anything."""
        if not self._unwritten:
            return False
        self._journal.append(self._unwritten)
        written, self._unwritten = self._unwritten, []
        for listen in self._listeners:
            listen(written)
        return True
