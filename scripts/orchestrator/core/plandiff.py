"""What a revision changes, for the person who is to say yes to it: tasks, critical path, time and cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

import msgspec
from msgspec import Struct

from orchestrator.core.advice import outlook
from orchestrator.core.estimate import estimate
from orchestrator.core.events import PlanRevised
from orchestrator.core.learning import Learned, weights
from orchestrator.core.plan import Plan, Task, only
from orchestrator.core.replanning import is_planning
from orchestrator.core.revising import Revised
from orchestrator.core.revision import By, Revision
from orchestrator.core.state import ENDED, RunState
from orchestrator.core.text import duration, one_line
from orchestrator.core.workers import WorkerType

LONGEST_VALUE = 80
"""Characters of a field that is shown."""


class Ahead(Struct, frozen=True):
    """What is still to be done: how many tasks, their critical path, seconds and dollars."""

    tasks: int
    critical_path: list[str]
    critical_seconds: float
    expected_seconds: float
    cost_usd: float


class Line(Struct, frozen=True):
    """What becomes of one task.

    `sign` is `+` added, `-` taken out, `~` changed, `?` waits for a person, `!` put off.
    """

    sign: str
    task: str
    text: str


class PlanDiff(Struct, frozen=True):
    """A plan before and after a revision."""

    tasks: list[Line]
    before: Ahead
    after: Ahead


def as_event(
    state: RunState,
    revision: Revision,
    found: Revised,
    by: By,
    types: Mapping[str, WorkerType],
    now: datetime,
) -> PlanRevised:
    """The event by which what holds of a revision would change a state that is only looked at."""
    names = dict.fromkeys(task.worker for task in found.tasks)
    return PlanRevised(
        seq=state.seq + 1, time=now, by=by, reason=revision.reason, tasks=found.tasks, dropped=found.dropped,
        deferred=found.deferred, asked={name: text for name, text in found.asked.items() if name},
        origins=found.origins, reassigned=found.reassigned, in_vain=found.in_vain, changes=found.changes,
        workers=tuple(types[name] for name in names if name in types),
    )  # fmt: skip


def ahead(state: RunState, learned: Learned) -> Ahead:
    """What is still to be done of a plan as it stands."""
    plan = state.plan
    assert plan is not None
    left = [t.task for t in state.tasks if t.mark not in ENDED and not is_planning(t.task)]
    rest = only(plan, left)
    view = outlook(rest, weights(rest, learned))
    return Ahead(
        tasks=len(left),
        critical_path=view.critical_path,
        critical_seconds=round(view.critical_seconds, 3),
        expected_seconds=round(view.expected_seconds, 3),
        cost_usd=round(estimate(rest, learned.spent).usd, 6),
    )


def changed_tasks(before: Plan, after: Plan, found: Revised) -> list[Line]:
    """What becomes of each task that a revision touches."""
    known = {task.id: task for task in before.tasks}
    return list(_lines(known, after, found))


def _lines(known: Mapping[str, Task], after: Plan, found: Revised) -> Iterator[Line]:
    for name, why in found.dropped.items():
        yield Line("-", name, f"{one_line(known[name].name, LONGEST_VALUE)}: {why}")
    for task in after.tasks:
        if task.id not in known:
            yield Line("+", task.id, _told(task))
        elif task != known[task.id]:
            yield Line("~", task.id, "; ".join(_fields(known[task.id], task)))
    for name, why in found.deferred.items():
        yield Line("!", name, f"put off: {why}")
    for name, question in found.asked.items():
        yield Line("?", name, one_line(question, 300))


def _told(task: Task) -> str:
    facts = [task.worker if task.cli == "claude" else task.cli, task.priority]
    facts += [f"needs {', '.join(task.needs)}"] if task.needs else []
    facts += [f"after {', '.join(task.after)}"] if task.after else []
    return f"{one_line(task.name, LONGEST_VALUE)} ({'; '.join(facts)})"


def _fields(old: Task, new: Task) -> Iterator[str]:
    for name in Task.__struct_fields__:
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            yield f"{name} {_shown(before)} -> {_shown(after)}"


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        value = ", ".join(map(str, value))
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return one_line(text, LONGEST_VALUE) or "none"


def told(diff: PlanDiff) -> Iterator[str]:
    """A diff in lines for people."""
    for line in diff.tasks:
        yield f"{line.sign} {line.task} {line.text}".replace("  ", " ")
    before, after = diff.before, diff.after
    yield f"tasks ahead: {before.tasks} -> {after.tasks}"
    yield f"critical path: {_path(before)} -> {_path(after)}"
    yield f"expected: {duration(before.expected_seconds)} -> {duration(after.expected_seconds)}"
    yield f"estimated cost: ${before.cost_usd:.2f} -> ${after.cost_usd:.2f}"


def _path(view: Ahead) -> str:
    if not view.critical_path:
        return "none"
    names = view.critical_path
    shown = " ".join(names) if len(names) <= 12 else " ".join((*names[:11], f"… {len(names) - 11} more"))
    return f"{duration(view.critical_seconds)} ({shown})"
