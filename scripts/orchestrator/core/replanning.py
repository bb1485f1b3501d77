"""The facts about how a plan has grown: origins, rounds, reports not yet looked at, what was put off.

They are part of the state of a run, and change by its events only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from msgspec import Struct

from orchestrator.core.events import Origin, PlanRevised, RevisionProposed, RevisionRejected
from orchestrator.core.plan import Names, Task, TaskOutline
from orchestrator.core.report import Report
from orchestrator.core.revision import Analysis
from orchestrator.core.workers import PLANNER

MOST_ROUNDS_SHOWN = 50
"""Rounds of which the state keeps what was changed, the last: five times what a plan has by default."""


class News(Struct, frozen=True):
    """What an ended task has to say to the planning; `mark` is the fate of the task, None where it has none yet."""

    task: str
    attempt: int
    time: datetime
    mark: str | None
    outcome: str
    reason: str
    report: Report | None

    @property
    def worth_planning(self) -> bool:
        """Whether the plan may have to change: a plain success with nothing new in it changes nothing."""
        if self.mark in ("failed", "blocked"):
            return True
        report = self.report
        return report is not None and bool(
            report.status != "complete" or report.discoveries or report.new_tasks or report.questions
        )


class Round(Struct, frozen=True):
    """One change of the plan, as it is told to people: `by` is `planner` or `person`."""

    number: int
    time: datetime
    by: str
    reason: str
    changes: Names
    refused: Names
    tasks: int
    """How many tasks the plan had after it, without those of the planning itself."""


class Replanning:
    """The facts about one run's growth.

    `first` is how many tasks were planned first, None while none are. `news` are by task, and stay until a planning
    call that considered them is done. `calls` are the planning calls and what each considers; `open_call` is the one
    under way. `in_vain` counts the last planning calls that brought nothing. `finish` is why nothing more is
    planned. `joined` is how many tasks were completed when a synthesis last began.
    `reassigned` are tasks that were given to another worker type, model or description after they had failed.
    """

    def __init__(self) -> None:
        self.first: int | None = None
        self.origins: dict[str, Origin] = {}
        self.deferred: dict[str, str] = {}
        self.news: dict[str, News] = {}
        self.calls: dict[str, tuple[str, Names]] = {}
        self.open_call = ""
        self.made = 0
        self.rounds = 0
        self.in_vain = 0
        self.failed_calls = 0
        self.joined = 0
        self.syntheses: list[str] = []
        self.decisions = 0
        self.history: list[Round] = []
        self.analysis: Analysis | None = None
        self.context = ""
        self.refused: Names = ()
        self.near: Names = ()
        self.finish = ""
        self.proposed: RevisionProposed | None = None
        self.reassigned: set[str] = set()

    def origin_of(self, name: str) -> Origin:
        """Where a task comes from; a task of the plan as it was written is of generation 0."""
        return self.origins.get(name, _FIRST)

    def hear(self, news: News) -> None:
        """An attempt ended for good, or a task began to wait for a person."""
        self.news[news.task] = news

    def revise(self, event: PlanRevised, tasks: Iterable[Task | TaskOutline]) -> None:
        """Take in that the plan was changed; `tasks` are all it has now."""
        self.origins.update(event.origins)
        self.deferred = {**self.deferred, **event.deferred}
        for name in event.dropped:
            self.deferred.pop(name, None)
        self.reassigned.update(event.reassigned)
        self.context = self.context if event.context is None else event.context
        self.analysis = event.analysis or self.analysis
        self.finish = event.finish or self.finish
        if event.by != "program":
            count = sum(not is_planning(task) for task in tasks) - len(self.deferred)
            self._close(event, event.changes, event.refused, event.near, count)
            if self.first is None and event.tasks and event.by == "planner":
                self.first = count
        if event.call:
            self._open(event)

    def _open(self, event: PlanRevised) -> None:
        self.open_call = next(task.id for task in event.tasks if is_planning(task))
        self.calls[self.open_call] = (event.call or "", event.considered)
        self.made += 1
        if event.call == "synthesis":
            self.syntheses.append(self.open_call)
            self.joined = event.completed

    def propose(self, event: RevisionProposed) -> None:
        """A revision waits for a person; the planning call that made it is done."""
        self.proposed = event
        self.open_call = "" if event.source == self.open_call else self.open_call

    def reject(self, event: RevisionRejected, count: int) -> None:
        """Nothing of a revision holds, or a person does not want it."""
        self.finish = event.finish or self.finish
        self._close(event, (), event.refused or (event.reason,), (), count)

    def keep_deferred(self, skipped: Collection[str]) -> None:
        """A person wrote another plan: what it makes run, or leaves out, is not put off any more."""
        self.deferred = {name: why for name, why in self.deferred.items() if name in skipped}

    def fail_call(self, name: str) -> None:
        """A planning call has failed for good; what it considered is still to be considered."""
        if name == self.open_call:
            self.open_call = ""
            self.failed_calls += 1

    def reopen(self, name: str) -> None:
        """A planning call that had failed gets fresh attempts."""
        if name in self.calls and not self.open_call:
            self.open_call = name
            self.failed_calls = max(self.failed_calls - 1, 0)

    def _close(
        self, event: PlanRevised | RevisionRejected, changes: Names, refused: Names, near: Names, count: int
    ) -> None:
        self.proposed = None
        if event.source == self.open_call:
            self.open_call = ""
        for name in self._considered(event.source):
            self.news.pop(name, None)
        if event.source and event.source not in self.syntheses:
            self.rounds += 1
            self.in_vain = 0 if changes and not getattr(event, "in_vain", False) else self.in_vain + 1
        self.decisions += len(changes)
        self.refused, self.near = refused, near
        entry = Round(self.rounds, event.time, event.by, event.reason, changes, refused, count)
        self.history = [*self.history, entry][-MOST_ROUNDS_SHOWN:]

    def _considered(self, call: str) -> Names:
        return self.calls[call][1] if call in self.calls else ()


_FIRST = Origin()


def is_planning(task: Task | TaskOutline) -> bool:
    """Whether a task is one of the program's own calls: to plan, or to join results."""
    return task.worker == PLANNER
