"""The facts about how a plan has grown: origins, rounds, reports not yet looked at, what was put off.

They are part of the state of a run, and change by its events only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.core.events import Origin, PlanRevised, RevisionProposed, RevisionRejected
from orchestrator.core.plan import Names, Task, TaskOutline
from orchestrator.core.report import Report
from orchestrator.core.revision import Analysis
from orchestrator.core.workers import PLANNER

MOST_ROUNDS_SHOWN = 50
"""Rounds of which the state keeps what was changed, the last: five times what a plan has by default."""


class News(Struct, frozen=True):
    """What an ended task has to say to the planning; `mark` is the fate of the task, None where it has none yet.

    `again`: an answer that took it up was refused as a whole, and it is told once more.
    """

    task: str
    attempt: int
    time: datetime
    mark: str | None
    outcome: str
    reason: str
    report: Report | None
    again: bool = False

    @property
    def worth_planning(self) -> bool:
        """Whether the plan may have to change: a plain success with nothing new in it changes nothing."""
        if self.mark in ("failed", "blocked"):
            return True
        report = self.report
        return report is not None and bool(
            report.status != "complete" or report.discoveries or report.new_tasks or report.questions
        )


class Asked(NamedTuple):
    """A planning call: what for, the tasks whose reports it considers, and of which of their attempts these are."""

    call: str
    considered: Names
    attempts: dict[str, int]


class Fate(NamedTuple):
    """What came of an answer that changed nothing: `refused`, `rejected` or `planned nothing`, and why."""

    word: str
    why: str


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
    `refused` and `near` are of the planner's last answer. `given_up` are tasks whose reports were told twice, both
    answers refused as a whole, with the reason. `fates` are of the planning calls whose answers changed no task.
    """

    def __init__(self) -> None:
        self.first: int | None = None
        self.origins: dict[str, Origin] = {}
        self.deferred: dict[str, str] = {}
        self.news: dict[str, News] = {}
        self.calls: dict[str, Asked] = {}
        self.open_call = ""
        self.rounds = 0
        self.in_vain = 0
        self.failed_calls = 0
        self.joined = 0
        self.syntheses: list[str] = []
        self.history: list[Round] = []
        self.analysis: Analysis | None = None
        self.context = ""
        self.refused: Names = ()
        self.near: Names = ()
        self.given_up: dict[str, str] = {}
        self.fates: dict[str, Fate] = {}
        self.finish = ""
        self.proposed: RevisionProposed | None = None
        self.reassigned: set[str] = set()

    def origin_of(self, name: str) -> Origin:
        """Where a task comes from; a task of the plan as it was written is of generation 0."""
        return self.origins.get(name, _FIRST)

    def hear(self, news: News) -> None:
        """An attempt ended for good, or a task began to wait for a person."""
        self.news[news.task] = news
        self.given_up.pop(news.task, None)

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
        led_to = (origin.of for origin in event.origins.values())
        for name in (*event.dropped, *led_to, *(task.id for task in event.tasks)):
            self.given_up.pop(name, None)
        if event.by != "program":
            count = sum(not is_planning(task) for task in tasks) - len(self.deferred)
            self._close(event, event.changes, event.refused, event.near, count)
            if self.first is None and count and event.by == "planner":
                self.first = count
        if event.call:
            self._open(event)

    def _open(self, event: PlanRevised) -> None:
        self.open_call = next(task.id for task in event.tasks if is_planning(task))
        attempts = {name: self.news[name].attempt for name in event.considered if name in self.news}
        self.calls[self.open_call] = Asked(event.call or "", event.considered, attempts)
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
        refused = (event.reason,) if event.by == "person" else event.refused
        self._close(event, (), refused, (), count)

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

    def untold(self, source: str) -> Names:
        """The tasks whose reports are told once more, where all that the answer to them asks for is refused."""
        if source not in self.calls or source in self.syntheses:
            return ()
        known = (self.news.get(name) for name in self.calls[source].considered)
        return tuple(news.task for news in known if news and news.worth_planning and not news.again)

    def _close(
        self, event: PlanRevised | RevisionRejected, changes: Names, refused: Names, near: Names, count: int
    ) -> None:
        self.proposed = None
        if event.source == self.open_call:
            self.open_call = ""
        # After a question about the whole the call that is told the answer considers the same reports.
        if event.source in self.calls and not getattr(event, "call", None):
            self._settle(event, changes)
        if event.source and event.source not in self.syntheses:
            self.rounds += 1
            useful = changes and not getattr(event, "in_vain", False)
            # What is told again is decided by the answer to that.
            self.in_vain = 0 if useful else self.in_vain + (not event.again)
            self.fates.pop(event.source, None)
            if not changes and (fate := _fate(event)):
                self.fates[event.source] = fate
        if event.source:
            self.refused, self.near = refused, near
        entry = Round(self.rounds, event.time, event.by, event.reason, changes, refused, count)
        self.history = [*self.history, entry][-MOST_ROUNDS_SHOWN:]

    def _settle(self, event: PlanRevised | RevisionRejected, changes: Names) -> None:
        """What a call considered is done with, but for what is told again; what was heard since then stays."""
        asked = self.calls[event.source]
        for name, attempt in asked.attempts.items():
            news = self.news.get(name)
            if news is None or news.attempt != attempt:
                continue
            if name in event.again:
                self.news[name] = replace(news, again=True)
                continue
            del self.news[name]
            if news.again and event.refused and not changes:
                self.given_up[name] = event.refused[0]


_FIRST = Origin()


def _fate(event: PlanRevised | RevisionRejected) -> Fate | None:
    """What came of an answer without a change of a task; None for one that ends the planning."""
    if event.by == "person":
        return Fate("rejected", event.reason)
    if event.refused:
        more = f" (and {len(event.refused) - 1} more)" if len(event.refused) > 1 else ""
        return Fate("refused", f"{event.refused[0]}{more}")
    return None if event.finish else Fate("planned nothing", event.reason)


def is_planning(task: Task | TaskOutline) -> bool:
    """Whether a task is one of the program's own calls: to plan, or to join results."""
    return task.worker == PLANNER
