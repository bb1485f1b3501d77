"""The facts about one task of a run, from which its status is derived."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from orchestrator.core.consequences import NEEDS_A_PERSON
from orchestrator.core.plan import Task

STATUSES = (
    "waiting",
    "pending",
    "running",
    "retrying",
    "blocked",
    "completed",
    "failed",
    "skipped",
    "cancelled",
)
DEAD = frozenset(("failed", "skipped", "cancelled"))
ENDED = DEAD | {"completed"}


class _Kept(NamedTuple):
    """A success that may still hold: it does if the inputs turn out to be the same again."""

    basis: tuple[str, ...]
    result: str
    reason: str
    started: datetime | None
    ended: datetime | None


class _Trouble:
    """What most tasks never have, so that 100,000 of them take no memory for it.

    `in_a_row` counts the last attempts that used up none, `interruptions` the last that were interrupted.
    `retry_at` is when the next attempt is due, in seconds since the epoch. `doubted`: the task runs on results that
    a changed plan has taken back. `kept` is a success that was set aside.
    """

    __slots__ = ("doubted", "in_a_row", "interruptions", "kept", "retry_at")

    def __init__(self) -> None:
        self.in_a_row = self.interruptions = 0
        self.retry_at = 0.0
        self.doubted = False
        self.kept: _Kept | None = None


_NONE = _Trouble()
"""For all tasks without trouble; never changed."""


class TaskState:
    """The facts about one task.

    `mark` is its fate once it has one, else None. `seconds` is what its last success took, `work` what all
    its attempts took. `result` is the hash of its result, `basis` the hashes of what it was made from. `trouble` is
    to be read; `in_trouble` is for changing it.
    """

    __slots__ = (
        "after_of",
        "agent",
        "attempt_at",
        "basis",
        "cost_usd",
        "ended",
        "index",
        "mark",
        "needed_by",
        "number",
        "outcome",
        "reason",
        "result",
        "running",
        "seconds",
        "session",
        "started",
        "task",
        "trouble",
        "unmet",
        "used",
        "work",
    )

    def __init__(self, task: Task, index: int, agent: int) -> None:
        self.task = task
        self.index = index
        self.agent = agent
        # One shared tuple until there is something to hold: most tasks of a large plan have neither.
        self.needed_by: Sequence[TaskState] = ()
        self.after_of: Sequence[TaskState] = ()
        self.unmet = 0
        self.number = 0
        self.cost_usd = 0.0
        self.attempt_at: datetime | None = None
        self.trouble = _NONE
        self.session: str | None = None
        self.seconds: float | None = None
        self.work = 0.0
        self.renew()

    def renew(self) -> None:
        """Forget its fate: fresh attempts, numbered on from the last."""
        self.mark: str | None = None
        self.running = False
        self.used = 0
        kept, self.trouble = self.trouble.kept, _NONE
        if kept is not None:
            self.in_trouble.kept = kept
        self.outcome = ""
        self.reason = ""
        self.result = ""
        self.started: datetime | None = None
        self.ended: datetime | None = None
        self.basis: tuple[str, ...] = ()

    def forget(self) -> None:
        """It is another task now: nothing of what it did holds."""
        self.renew()
        self.trouble, self.session = _NONE, None

    def set_aside(self) -> None:
        """Its inputs may change: run again, unless they come out the same."""
        if self.mark == "completed":
            self.in_trouble.kept = _Kept(self.basis, self.result, self.reason, self.started, self.ended)
        self.renew()

    def take_up(self, kept: _Kept) -> None:
        """What was set aside holds after all."""
        self.mark, self.outcome, self.trouble = "completed", "success", _NONE
        self.basis, self.result, self.reason, self.started, self.ended = kept

    @property
    def in_trouble(self) -> _Trouble:
        """Its own trouble, to be changed."""
        if self.trouble is _NONE:
            self.trouble = _Trouble()
        return self.trouble

    def be_out_of_trouble(self) -> None:
        """It has come to an end: nothing of what was counted before holds."""
        self.trouble = _NONE

    @property
    def status(self) -> str:
        """One of STATUSES."""
        if self.mark:
            return self.mark
        if self.running:
            return "running"
        if self.unmet:
            return "waiting"
        return "retrying" if self.outcome else "pending"

    @property
    def skips(self) -> bool:
        """Whether tasks that need it are skipped."""
        return any(task.mark == "skipped" for task in self.needed_by)

    @property
    def gave_up(self) -> bool:
        """Whether all its attempts came to nothing, also where a person is asked about that now."""
        return self.mark == "failed" or (self.mark == "blocked" and self.outcome not in ("", *NEEDS_A_PERSON))

    @property
    def startable(self) -> bool:
        """Whether nothing but a place, and the time of a retry, is missing."""
        return not self.mark and not self.running and not self.unmet


def by_status(tasks: Iterable[TaskState]) -> dict[str, int]:
    """How many of `tasks` have each status, in the order of STATUSES."""
    counts = dict.fromkeys(STATUSES, 0)
    for task in tasks:
        counts[task.status] += 1
    return counts
