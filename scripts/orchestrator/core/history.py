"""What views show beyond the state: the last things that happened, and what went wrong and what followed.

Memory is bounded and the work per event constant, but for an accepted or revised plan, which is looked at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from orchestrator.core.events import (
    AttemptFinished,
    AttemptStarted,
    Event,
    LaunchesPaused,
    LaunchesResumed,
    PlanAccepted,
    PlanRevised,
    PlanVerified,
    RevisionProposed,
    RevisionRejected,
    RunFinished,
    RunResumed,
    RunRolledBack,
    RunStarted,
    TaskAnswered,
    TaskBlocked,
    TaskCancelled,
    TaskRetried,
    TaskSkipped,
)
from orchestrator.core.plan import Plan, Task
from orchestrator.core.report import Report
from orchestrator.core.sameness import changes_work
from orchestrator.core.text import duration
from orchestrator.core.verdict import COUNTING, HALTING, what_follows
from orchestrator.core.workers import GENERAL, WorkerType

LOG_ENTRIES = 200
"""Entries of the execution log that are kept: a few screens; `orchestrate log` has them all."""

FAILURES, SKIPS = 150, 50
"""Errors that are kept. Skips have their own place: one failure can skip thousands, and must stay seen."""

REPORTS = 500
"""Reports that are kept, the latest: what they find and recommend is more than anybody reads at once."""


class LogEntry(NamedTuple):
    """One thing that happened; `task` is empty where it concerns the run."""

    time: datetime
    task: str
    text: str


class ErrorEntry(NamedTuple):
    """One thing that went wrong, and what was done about it; `task` is empty where it concerns the run."""

    time: datetime
    task: str
    error: str
    strategy: str


class _Tries(NamedTuple):
    used: int = 0
    in_a_row: int = 0


class History:
    """The bounded memory that views need beyond the state; every event is noted once."""

    def __init__(self) -> None:
        self.noted = 0
        self.failed = 0
        self.skipped = 0
        self.reports: dict[str, Report] = {}
        """What the last attempts of tasks found and recommended, by task; the latest last."""
        self._last: deque[Event] = deque(maxlen=LOG_ENTRIES)
        self._failures: deque[tuple[int, ErrorEntry]] = deque(maxlen=FAILURES)
        self._skips: deque[tuple[int, ErrorEntry]] = deque(maxlen=SKIPS)
        self._plan: Plan | None = None
        self._tasks: dict[str, Task] = {}
        self._needed: frozenset[str] = frozenset()
        self._workers: dict[str, WorkerType] = {}
        self._tries: dict[str, _Tries] = {}

    def note(self, event: Event) -> None:
        """Take one event in, after the state has accepted it."""
        self.noted += 1
        self._last.append(event)
        if take := _NOTE.get(type(event)):
            take(self, event)

    def take(self, events: Iterable[Event]) -> None:
        """Take several in, in their order."""
        for event in events:
            self.note(event)

    def log(self) -> list[LogEntry]:
        """The last things that happened, the oldest first; raw text."""
        return [LogEntry(event.time, getattr(event, "task", ""), told(event)) for event in self._last]

    @property
    def log_left_out(self) -> int:
        """How many things happened before those that `log` tells."""
        return self.noted - len(self._last)

    def errors(self) -> list[ErrorEntry]:
        """The last things that went wrong, the oldest first; raw text."""
        return [
            entry for _, entry in sorted((*self._failures, *self._skips), key=lambda numbered: numbered[0])
        ]

    @property
    def errors_left_out(self) -> int:
        """How many errors `errors` does not tell."""
        return self.failed + self.skipped - len(self._failures) - len(self._skips)

    def _accept(self, event: PlanAccepted) -> None:
        asked_anew = self._plan is not None and self._plan.request != event.plan.request
        known, self._plan = self._tasks, event.plan
        were, self._workers = self._workers, {worker.name: worker for worker in event.workers}
        self._tasks = {task.id: task for task in event.plan.tasks}
        for name in list(self._tries):
            new = self._tasks.get(name)
            if new is None or self._is_another(known[name], new, were, asked_anew):
                del self._tries[name]
        self._look_at_needs()

    def _revise(self, event: PlanRevised) -> None:
        were = dict(self._workers)
        self._workers |= {worker.name: worker for worker in event.workers}
        for task in event.tasks:
            known = self._tasks.get(task.id)
            if known is not None and self._is_another(known, task, were, False):
                self._tries.pop(task.id, None)
            self._tasks[task.id] = task
        for name in event.dropped:
            self._tasks.pop(name, None)
            self._tries.pop(name, None)
        self._look_at_needs()

    def _look_at_needs(self) -> None:
        self._needed = frozenset(name for task in self._tasks.values() for name in task.needs)

    def _is_another(self, old: Task, new: Task, were: Mapping[str, WorkerType], asked_anew: bool) -> bool:
        was, now = were.get(old.worker, GENERAL), self._workers.get(new.worker, GENERAL)
        return changes_work(old, new, was, now, asked_anew)

    def _finish_attempt(self, event: AttemptFinished) -> None:
        self._keep_report(event)
        task = self._tasks.get(event.task)
        if event.outcome == "success" or task is None:
            self._tries.pop(event.task, None)
            return
        if event.ordered:
            return
        before = self._tries.get(event.task, _Tries())
        used = before.used + (event.outcome in COUNTING)
        replans = self._plan is not None and self._plan.replan != "off"
        then = what_follows(task, event.outcome, used, before.in_a_row, 0.0, replans=replans)
        if then.fate == "again":
            self._tries[event.task] = _Tries(used, 0 if then.counts else before.in_a_row + 1)
        else:
            self._tries.pop(event.task, None)
        strategy = _strategy(task, event, then.fate, used) or self._given_up(event.task, replans)
        self._fail(event, event.task, why(event.outcome, event.reason), strategy)

    def _keep_report(self, event: AttemptFinished) -> None:
        self.reports.pop(event.task, None)
        if event.report is not None:
            self.reports[event.task] = event.report
        if len(self.reports) > REPORTS:
            del self.reports[next(iter(self.reports))]

    def _given_up(self, name: str, replans: bool) -> str:
        """What follows from a failure that only the task's dependents, if any, have to bear."""
        if name not in self._needed:
            return "give up; no task needs it"
        return "replan, else skip dependents" if replans else "skip dependents"

    def _block(self, event: TaskBlocked) -> None:
        self._fail(event, event.task, f"blocked: {event.question}", "escalate: waits for a person")

    def _skip(self, event: TaskSkipped) -> None:
        self.skipped += 1
        self._skips.append((event.seq, ErrorEntry(event.time, event.task, event.reason, "skip")))

    def _forget(self, event: TaskRetried | TaskAnswered) -> None:
        self._tries.pop(event.task, None)

    def _verify(self, event: PlanVerified) -> None:
        if not event.passed:
            self._fail(event, "", f"verify of the plan: {event.reason}", "end the run as failed")

    def _fail(self, event: Event, task: str, error: str, strategy: str) -> None:
        self.failed += 1
        self._failures.append((event.seq, ErrorEntry(event.time, task, error, strategy)))


def why(outcome: str, reason: str) -> str:
    """An outcome and its reason, without saying the same word twice."""
    return reason if reason.startswith(outcome) else f"{outcome}: {reason}" if reason else outcome


def _strategy(task: Task, event: AttemptFinished, fate: str, used: int) -> str:
    """What follows from a failure; empty where nothing is left but to give the task up."""
    if fate == "blocked":
        return "escalate: waits for a person"
    if fate == "failed" and task.on_failure == "escalate":
        return "reassign or split it, else escalate"
    if fate == "failed":
        return "stop the run" if task.on_failure == "stop" else ""
    if event.outcome in COUNTING:
        model = task.fallback_model if used + 1 == task.attempts else None
        return f"retry {used + 1} of {task.attempts}" + (f", with {model}" if model else "")
    if event.outcome in HALTING:
        return "launch nothing more, no attempt used"
    if event.outcome == "authentication":
        return "ask once more, then launch nothing more; no attempt used"
    if event.outcome in ("interrupted", "out of budget"):
        return "continue, no attempt used"
    until = f" until {event.until:%Y-%m-%d %H:%M} UTC" if event.until else ""
    return f"wait{until}, no attempt used"


_NOTE: dict[type, Any] = {
    PlanAccepted: History._accept,
    PlanRevised: History._revise,
    AttemptFinished: History._finish_attempt,
    TaskBlocked: History._block,
    TaskSkipped: History._skip,
    TaskRetried: History._forget,
    TaskAnswered: History._forget,
    PlanVerified: History._verify,
}


def told(event: Event) -> str:
    """An event in a sentence; raw text."""
    match event:
        case RunStarted():
            return f"run {event.run} started by pid {event.pid}"
        case RunResumed():
            return f"run taken on by pid {event.pid}"
        case PlanAccepted():
            return f"plan of {len(event.plan.tasks)} tasks accepted"
        case PlanRevised():
            return _told_of_revision(event)
        case RevisionProposed():
            return f"a revision waits for a person: {event.revision.reason}"
        case RevisionRejected():
            return _told_of_rejection(event)
        case RunRolledBack():
            return f"rolled back to event {event.to}; what came after it is in {event.archive}"
        case AttemptStarted():
            return f"attempt {event.attempt} started ({event.cli})"
        case AttemptFinished():
            ending = why(event.outcome, event.reason)
            return f"attempt {event.attempt} ended after {duration(event.seconds)}, {ending}"
        case TaskBlocked():
            return f"blocked: {event.question}"
        case TaskAnswered():
            return "answered by a person; its session goes on"
        case LaunchesPaused():
            until = f" until {event.until:%Y-%m-%d %H:%M:%S} UTC" if event.until else ""
            return f"no worker is launched: {event.reason}{until}"
        case LaunchesResumed():
            return "workers are launched again"
        case TaskSkipped():
            return f"skipped: {event.reason}"
        case TaskCancelled():
            return "cancelled"
        case TaskRetried():
            return "given fresh attempts"
        case PlanVerified():
            return "plan verified" if event.passed else f"plan not verified: {event.reason}"
        case RunFinished():
            return f"run ended with exit status {event.exit}: {event.reason}"


def _told_of_rejection(event: RevisionRejected) -> str:
    if event.by == "person":
        return f"revision rejected by a person: {event.reason}"
    again = f"; told once more: {', '.join(event.again)}" if event.again else ""
    return (
        f"revision refused: {event.reason}{again}" if event.refused else f"nothing is changed: {event.reason}"
    )


def _told_of_revision(event: PlanRevised) -> str:
    if event.by == "program":
        over = f" over the reports of {', '.join(event.considered)}" if event.considered else ""
        return f"{event.call} asked for{over}"
    changes = "; ".join(event.changes) or "no change of a task"
    return f"plan revised by the {event.by}: {changes}"
