"""What has happened, in the past tense: the lines of the journal.

One tagged union; the tag is the class name. A reader ignores fields it does not know, so that fields can
be added; a type, once written, is never changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from orchestrator.core.plan import Names, Plan, PlanOutline, Task
from orchestrator.core.report import Report
from orchestrator.core.revision import Analysis, By, Revision
from orchestrator.core.workers import WorkerType

Call = Literal["analysis", "replanning", "synthesis"]
"""What a planning call is for."""

SUMMARY_CHARACTERS = 500
"""How much of a result stands in the journal: enough to choose by, little enough to read 100,000 of."""


class Origin(Struct, frozen=True, omit_defaults=True):
    """Where a task comes from: the generation of discovery (0: planned first), and the task that led to it."""

    depth: int = 0
    of: str = ""
    round: int = 0


class _Event(Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True, tag=True, tag_field="type"):
    seq: int
    # Without a zone it could be compared with no other.
    time: Annotated[datetime, Meta(tz=True)]


class RunStarted(_Event, frozen=True):
    """A run began; `pid` is its dispatcher's, `project` the folder its workers work in.

    `parallelism` and `budget_usd` are the ceilings asked for on the command line, None: the plan's.
    """

    run: str
    project: str
    pid: int
    version: str
    parallelism: int | None = None
    budget_usd: float | None = None


class RunResumed(_Event, frozen=True):
    """Another dispatcher took the run over."""

    pid: int
    version: str
    parallelism: int | None = None
    budget_usd: float | None = None


class PlanAccepted(_Event, frozen=True):
    """The plan that holds from here on, whole, and the worker types that its tasks are written for."""

    plan: Plan
    workers: tuple[WorkerType, ...] = ()
    written: Plan | None = None
    """What the file said, where `plan` is that and what revisions had made of it before."""


class PlanRevised(_Event, frozen=True):
    """The plan was changed; all that a replay needs stands here, and no task that stayed as it was.

    `tasks` are new or another now, whole; `dropped` are not part of the plan any more, `deferred` are skipped for want
    of room, `asked` wait for a person, each with the reason by id. `call` is the purpose of a planning call that the
    program adds; `considered` are the tasks whose reports that call, or this revision, takes up.
    """

    by: By
    reason: str = ""
    source: str = ""
    """The planning call that asked for it."""
    order: str = ""
    """The file in the inbox that asked for it."""
    tasks: tuple[Task, ...] = ()
    dropped: dict[str, str] = {}
    deferred: dict[str, str] = {}
    asked: dict[str, str] = {}
    origins: dict[str, Origin] = {}
    reassigned: Names = ()
    in_vain: bool = False
    """Its changes bring nothing: all is put off, or was taken out before."""
    changes: Names = ()
    refused: Names = ()
    near: Names = ()
    call: Call | None = None
    completed: int = 0
    """How many tasks a synthesis joins."""
    considered: Names = ()
    again: Names = ()
    """The tasks whose reports are told once more, for all that was asked for because of them is refused."""
    context: str | None = None
    analysis: Analysis | None = None
    finish: str = ""
    workers: tuple[WorkerType, ...] = ()


class RevisionProposed(_Event, frozen=True):
    """A revision waits for a person; `refused` are those parts of it that could not be read."""

    revision: Revision
    by: By
    source: str = ""
    order: str = ""
    considered: Names = ()
    refused: Names = ()


class RevisionRejected(_Event, frozen=True):
    """Nothing of a revision holds, or a person does not want it; the plan is as it was."""

    by: By
    reason: str
    source: str = ""
    order: str = ""
    refused: Names = ()
    again: Names = ()
    """The tasks whose reports are told once more, together with what was refused."""
    finish: str = ""


class RunRolledBack(_Event, frozen=True):
    """What came after event `to` was taken back; `archive` is where it is kept, `cost_usd` what it had cost."""

    to: int
    archive: str
    cost_usd: float = 0.0
    order: str = ""


class AttemptStarted(_Event, frozen=True):
    """A launch is intended: written and synced before the process exists."""

    task: str
    attempt: int
    cli: str
    session: str | None = None
    ceiling_usd: float | None = None
    """Dollars that it may cost, where there is a ceiling."""


class AttemptFinished(_Event, frozen=True):
    """An attempt was judged; its result file is on disk."""

    task: str
    attempt: int
    outcome: str
    reason: str = ""
    exit: int | None = None
    """Exit status of the process; negative: the signal that killed it; None: nobody saw it."""
    seconds: float = 0.0
    result: str = ""
    """Hash of the result's text: what dependents were given."""
    summary: str = ""
    whole: bool = False
    """Whether `summary` is the whole text of the result."""
    cost_usd: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    model: str = ""
    models: dict[str, float] = {}
    """Dollars by model, where there was more than one."""
    session: str | None = None
    report: Report | None = None
    artifacts: tuple[str, ...] = ()
    denials: tuple[str, ...] = ()
    """Permission rules for what its worker was denied."""
    until: datetime | None = None
    """When a usage limit resets."""
    ordered: bool = False
    """Interrupted through nothing that it did: somebody said so, or it was never launched."""


class TaskBlocked(_Event, frozen=True):
    """A task needs a person."""

    task: str
    question: str


class TaskSkipped(_Event, frozen=True):
    """A task will not run, for the reason given."""

    task: str
    reason: str


class TaskCancelled(_Event, frozen=True):
    """Somebody cancelled a task; `order` names the file in the inbox that asked for it."""

    task: str
    order: str = ""


class TaskRetried(_Event, frozen=True):
    """Somebody gave a task, and what depends on it, fresh attempts.

    With `allow` its session goes on with these permission rules added.
    """

    task: str
    order: str = ""
    allow: tuple[str, ...] = ()


class TaskAnswered(_Event, frozen=True):
    """Somebody answered what a blocked task asked; its session goes on with that."""

    task: str
    text: str
    order: str = ""


class LaunchesPaused(_Event, frozen=True):
    """No worker is launched from here on, for this reason; `until`: when it is known to end."""

    reason: str
    until: datetime | None = None


class LaunchesResumed(_Event, frozen=True):
    """Workers are launched again."""


class PlanVerified(_Event, frozen=True):
    """The commands for the whole plan were run at its end."""

    passed: bool
    reason: str = ""


class RunFinished(_Event, frozen=True):
    """A dispatcher ended the run in good order, with this exit status."""

    exit: int
    reason: str


class PlanOutlined(_Event, frozen=True, tag="PlanAccepted"):
    """`PlanAccepted`, as it is read by those who only look at where a run stands."""

    plan: PlanOutline
    workers = ()
    written = None


class StartOutlined(_Event, frozen=True, tag="AttemptStarted"):
    """`AttemptStarted`, likewise."""

    task: str
    attempt: int
    session = None
    ceiling_usd = None


class FinishOutlined(_Event, frozen=True, tag="AttemptFinished"):
    """`AttemptFinished`, likewise."""

    task: str
    attempt: int
    outcome: str
    reason: str = ""
    cost_usd: float = 0.0
    until: datetime | None = None
    ordered: bool = False
    result = ""
    seconds = 0.0
    session = None
    report = None
    model: str = ""
    models: dict[str, float] = {}
    input_tokens: int = 0
    output_tokens: int = 0


_Others = (
    RunStarted
    | RunResumed
    | TaskBlocked
    | TaskSkipped
    | TaskCancelled
    | TaskRetried
    | TaskAnswered
    | LaunchesPaused
    | LaunchesResumed
    | PlanVerified
    | RevisionProposed
    | RevisionRejected
    | RunRolledBack
    | RunFinished
)
Event = PlanAccepted | PlanRevised | AttemptStarted | AttemptFinished | _Others
Outlined = PlanOutlined | PlanRevised | StartOutlined | FinishOutlined | _Others

Listener = Callable[[Sequence[Event]], None]
"""Hears of the events of one commit, once they are on disk."""

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Event).decode
