"""Keeps the master plan up to date while a run goes on, at a bounded share of the time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Protocol

from orchestrator.core.state import RunState
from orchestrator.errors import UsageError

VIEW_INTERVAL = 0.5
VIEW_SHARE = 0.05
"""Views are refreshed at most twice a second and for at most a twentieth of the time."""


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
        # Not at once: the first workers come before the first look at them.
        self._refresh_at = clock() + VIEW_INTERVAL
        self._viewed = -1

    def refresh(self) -> None:
        """Write the views anew, if anything has changed and it is time."""
        now = self._clock()
        if now < self._refresh_at or self._viewed == self._state.seq:
            return
        # A template of the user's own that is wrong is told of at the end: a view is not worth a run.
        with suppress(UsageError):
            if self._viewed < 0:
                self._views.preview(self._state)
            self._views.refresh(self._state, datetime.fromtimestamp(now, UTC))
        self._viewed = self._state.seq
        self._refresh_at = now + max(VIEW_INTERVAL, (self._clock() - now) / VIEW_SHARE)
