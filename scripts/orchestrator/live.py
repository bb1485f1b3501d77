"""The live table, for a person at a terminal: what runs, for how long, its last line, and how long it may take."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from contextlib import suppress
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live as RichLive
from rich.table import Table
from rich.text import Text

from orchestrator.clis import claude_output
from orchestrator.core import growth
from orchestrator.core.graph import longest_remaining
from orchestrator.core.learning import DEFAULT_SECONDS
from orchestrator.core.plan import seconds
from orchestrator.core.redaction import Redactor
from orchestrator.core.state import RunState, TaskState
from orchestrator.core.tables import labelled_of
from orchestrator.core.text import clean, duration, one_line
from orchestrator.edges.workspace import Workspace
from orchestrator.progress import summary

INTERVAL = 0.5
"""Seconds between two drawings."""

TAIL = 1 << 16
"""Bytes of a worker's output that are looked at for its last line: more than a secret of several lines has."""

MOST_IN_CHAINS = 1000
"""Tasks of a plan whose longest chain is looked for, which takes 1 ms for so many: with more of them, it is rather
the places that are short."""

RECENT = 5
"""Ended tasks that stay on the table."""


class Live:
    """Draws one run; `refresh` is called as often as one likes and draws twice a second."""

    def __init__(self, state: RunState, workspace: Workspace, *, ascii_only: bool = False) -> None:
        self.state = state
        self._workspace = workspace
        self._console = Console(file=sys.stderr)
        self._ascii = ascii_only or not (self._console.encoding or "").lower().startswith("utf")
        self._live = RichLive(
            console=self._console, auto_refresh=False, transient=True, redirect_stdout=False
        )
        self._redactor = Redactor(os.environ)
        self._next = 0.0
        self._recent: deque[str] = deque(maxlen=RECENT)
        self._running: set[str] = set()

    def __enter__(self) -> Live:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._live.stop()

    def refresh(self) -> None:
        """Draw, if it is time."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + INTERVAL
        self._recent.extend(self._running - set(self.state.running))
        self._running = set(self.state.running)
        try:
            self._live.update(self._picture(), refresh=True)
        except OSError:
            # The terminal is gone; the run is not.
            self._next = float("inf")

    def _picture(self) -> Group:
        rows = max(3, self._console.height - 6)
        table = Table(expand=True, box=None, pad_edge=False)
        table.add_column("task", no_wrap=True)
        table.add_column("status", no_wrap=True)
        table.add_column("time", justify="right", no_wrap=True)
        table.add_column("activity", ratio=1, no_wrap=True, overflow="ellipsis")
        now = time.time()
        shown = sorted(self.state.running.values(), key=lambda task: task.index)[:rows]
        for task in shown:
            self._row(table, task, now)
        for name in [name for name in self._recent if name in self.state.by_id][: rows - len(shown)]:
            self._row(table, self.state.by_id[name], now)
        hidden = len(self.state.running) - len(shown)
        foot = [summary(self.state), *growth.lines(self.state), estimate(self.state, now)]
        if hidden > 0:
            foot.insert(0, f"… and {hidden} more running")
        return Group(table, Text("  ".join(part for part in foot if part)))

    def _row(self, table: Table, task: TaskState, now: float) -> None:
        since = task.attempt_at.timestamp() if task.attempt_at else now
        ended = task.ended.timestamp() if task.ended and not task.running else now
        told = self._activity(task) if task.running else one_line(task.reason or task.task.title)
        label = f"{task.task.id} {one_line(task.task.title, 30)}"
        table.add_row(
            Text(label),
            Text(labelled_of(self.state, task, self._ascii)),
            Text(duration(ended - since)),
            Text(told),
        )

    def _activity(self, task: TaskState) -> str:
        folder = self._workspace.attempt(task.task.id, task.number)
        if task.task.cli == "claude" and (last := _last_line(_tail(f"{folder}/stdout"))):
            return one_line(self._redactor.text(claude_output.told(last.encode())))
        tails = (self._redactor.text(clean(_tail(f"{folder}/{name}"))) for name in ("stdout", "stderr"))
        return one_line(next(filter(None, map(_last_line, tails)), ""))


def _tail(path: str) -> str:
    """The end of a file in whole lines: of a secret that is cut nothing would tell what it is."""
    try:
        with open(path, "rb") as file:
            start = max(0, os.fstat(file.fileno()).st_size - TAIL)
            file.seek(start)
            text = file.read(TAIL).decode("utf-8", "replace").replace("\r", "\n")
    except OSError:
        return ""
    whole = text[: text.rfind("\n") + 1]
    return whole.partition("\n")[2] if start else whole


def _last_line(text: str) -> str:
    return next((line for line in reversed(text.split("\n")) if line.strip()), "")


def estimate(state: RunState, now: float) -> str:
    """How long the rest may take; an estimate, and called one.

    It is the work that is left over the places there are, or the longest chain of tasks that is left, whichever
    takes longer.
    """
    if state.plan is None or state.finished:
        return ""
    done = [task.seconds for task in state.tasks if task.seconds is not None and task.task.estimate is None]
    usual = sum(done) / len(done) if done else None
    left = [_left(task, usual, now) for task in state.tasks]
    open_tasks = len(state.tasks) - state.ended
    if not any(left):
        return ""
    places = state.parallelism or state.plan.limits.parallelism
    chain = 0.0
    if len(state.tasks) <= MOST_IN_CHAINS:
        waiting = [[other.index for other in (*task.needed_by, *task.after_of)] for task in state.tasks]
        chain = max(longest_remaining(waiting, left))
    return f"about {duration(max(chain, sum(left) / min(places, max(1, open_tasks))))} left"


def _left(task: TaskState, usual: float | None, now: float) -> float:
    if task.mark:
        return 0.0
    since = now - task.attempt_at.timestamp() if task.running and task.attempt_at else 0.0
    return max(0.0, _expected(task, usual) - since)


def _expected(task: TaskState, usual: float | None) -> float:
    if task.task.estimate is not None:
        return seconds(task.task.estimate)
    return usual or DEFAULT_SECONDS[task.task.cli]
