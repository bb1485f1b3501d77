"""Keeps the master plan up to date while a run goes on, at a bounded share of the time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from orchestrator.core.state import RunState
from orchestrator.errors import EnvironmentProblem, UsageError

VIEW_INTERVAL = 1.0
VIEW_SHARE = 0.05
"""Views are refreshed at most once a second and for at most a twentieth of the time."""

FIRST_VIEW = 2.0
"""Seconds of a run until its views are first written, with what its later workers will be given.

Before, nobody can have looked; and the first workers come before the first look at them.
"""


def complaints(*writes: Callable[[], object]) -> list[str]:
    """Write views; what is wrong with their templates, each once. Nothing else is lost with the view."""
    found = []
    for write in writes:
        try:
            write()
        except (UsageError, EnvironmentProblem) as error:
            found.append(str(error))
    return list(dict.fromkeys(found))


class Renderer(Protocol):
    """What is needed of `edges.views.Views` while a run goes on."""

    def preview(self, state: RunState) -> int: ...
    def refresh(self, state: RunState, now: datetime) -> None: ...


class Refresher:
    """Refreshes the views of one run.

    Args:
        clock: seconds since the epoch.
    """

    def __init__(self, state: RunState, views: Renderer, clock: Callable[[], float]) -> None:
        self._state = state
        self._views = views
        self._clock = clock
        self._refresh_at = clock() + FIRST_VIEW
        self._viewed = -1

    def refresh(self) -> None:
        """Write the views anew, if anything has changed and it is time."""
        now = self._clock()
        if now < self._refresh_at or self._viewed == self._state.seq:
            return
        # A template that is wrong is told of at the end: a view is not worth a run.
        at = datetime.fromtimestamp(now, UTC)
        if self._viewed < 0:
            complaints(lambda: self._views.preview(self._state))
        complaints(lambda: self._views.refresh(self._state, at))
        self._viewed = self._state.seq
        self._refresh_at = now + max(VIEW_INTERVAL, (self._clock() - now) / VIEW_SHARE)
