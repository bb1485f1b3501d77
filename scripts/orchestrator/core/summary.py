"""What a run came to: its figures, its timeline, and what a person can do next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from orchestrator.core.excerpts import item
from orchestrator.core.graph import batches
from orchestrator.core.history import why
from orchestrator.core.replanning import is_planning
from orchestrator.core.report import LONGEST_ENTRY, Report
from orchestrator.core.state import RunState, TaskState
from orchestrator.core.taskstate import by_status
from orchestrator.core.text import clean, counted, duration, fenced, markdown

BARS = 100
"""Lines of the timeline; a person compares lengths on a few screens, not on twenty."""

BAR_WIDTH = 50
"""Strokes of the longest bar: with an id and a duration beside it, a line of a terminal."""

EXACT = 1e-6
"""Strokes by which a product of floats may fall short of a whole number."""

RETRIES = 50
"""Recommendations that are spelled out one by one."""

RECOMMENDED = 30
"""Recommendations of reports that are listed."""

_STROKES = {"completed": "█", "running": "▒", "failed": "x", "blocked": "?"}


class Totals(Struct, frozen=True):
    """The figures of a run; times in seconds, as measured. Planning calls are no tasks here, but they are work."""

    counts: dict[str, int]
    total: int
    duration: float
    """From the start of the run to its end; the time between two dispatchers included."""
    last_part: float | None
    """From when it was last taken up again to its end; None where it was not."""
    work: float
    """The sum over all attempts, planning calls and tasks that were taken out of the plan included."""
    places: int
    """How many tasks could run side by side: the widest batch, within the parallelism asked for, else of the plan; or
    more where more were at work at once."""
    cost_usd: float

    @property
    def efficiency(self) -> float | None:
        """Work time as a share of duration times places; None where nothing ran."""
        whole = self.duration * self.places
        return self.work / whole if self.work and whole else None

    @property
    def unfinished(self) -> int:
        """Tasks that have not come to an end."""
        return sum(self.counts[status] for status in ("waiting", "pending", "running", "retrying"))


def totals(state: RunState, now: datetime) -> Totals:
    """The figures of the run as they are at `now`."""
    assert state.plan is not None
    tasks = state.tasks_proper
    end = state.finished.time if state.finished else now
    running = sum(_seconds(task.attempt_at, now) for task in state.running.values())
    return Totals(
        counts=by_status(tasks),
        total=len(tasks),
        duration=_seconds(state.started, end),
        last_part=state.last_part,
        work=sum(task.work for task in (*state.tasks, *state.retired.values())) + running,
        places=max(_side_by_side(state), _most_at_once(state.tasks, now)),
        cost_usd=state.cost_usd,
    )


def _side_by_side(state: RunState) -> int:
    assert state.plan is not None
    widest = max(Counter(_depths(state)).values(), default=1)
    return min(state.parallelism or state.plan.limits.parallelism, widest)


def _depths(state: RunState) -> list[int]:
    """The batch of each task, from 0."""
    return batches(
        [[state.by_id[name].index for name in (*t.task.needs, *t.task.after)] for t in state.tasks]
    )


def _seconds(start: datetime | None, end: datetime) -> float:
    return max((end - start).total_seconds(), 0.0) if start else 0.0


def _span(task: TaskState, now: datetime) -> tuple[float, float] | None:
    if task.started is None:
        return None
    end = now if task.running else task.ended or now
    return task.started.timestamp(), max(end, task.started).timestamp()


def _most_at_once(tasks: Sequence[TaskState], now: datetime) -> int:
    # Attempts of one task never overlap, but the waits between them are in its span: only tasks with a single
    # attempt tell for certain.
    spans = [span for task in tasks if task.number == 1 and (span := _span(task, now))]
    turns = sorted([(start, 1) for start, _ in spans] + [(end, -1) for _, end in spans])
    most = current = 0
    for _, turn in turns:
        current += turn
        most = max(most, current)
    return most


class Timeline(Struct, frozen=True):
    """A drawing, and how many tasks it shows, leaves out for its size, and has no times for."""

    drawing: str
    shown: int
    left_out: int
    never_started: int
    length: float
    """Seconds from the left end of the axis to the right."""


def timeline(state: RunState, now: datetime) -> Timeline:
    """One bar per task on a common axis, by start; of more than BARS tasks those that took longest."""
    spans = [(span, task) for task in state.tasks if (span := _span(task, now))]
    longest = sorted(spans, key=lambda pair: pair[0][0] - pair[0][1])[:BARS]
    drawn = sorted(longest, key=lambda pair: (pair[0], pair[1].index))
    first = min((span[0] for span, _ in spans), default=0.0)
    length = max((span[1] for span, _ in spans), default=0.0) - first
    width = max((len(task.task.id) for _, task in drawn), default=0)
    lines = []
    for span, task in drawn:
        bar = _bar(span, first, length, task.status)
        lines.append(f"{clean(task.task.id):{width}} |{bar}| {duration(span[1] - span[0])}")
    drawing = fenced("\n".join(lines) + "\n", "text") if lines else ""
    return Timeline(drawing, len(drawn), len(spans) - len(drawn), len(state.tasks) - len(spans), length)


def _bar(span: tuple[float, float], first: float, length: float, status: str) -> str:
    scale = BAR_WIDTH / length if length else 0.0
    begin = min(int((span[0] - first) * scale + EXACT), BAR_WIDTH - 1)
    # Down, as the beginnings: where one task ended and the next began, no stroke stands for both.
    end = max(min(int((span[1] - first) * scale + EXACT), BAR_WIDTH), begin + 1)
    return " " * begin + _STROKES.get(status, "-") * (end - begin) + " " * (BAR_WIDTH - end)


def sinks(state: RunState) -> list[TaskState]:
    """The tasks that nothing depends on, in dependency order: what the run was for."""
    found = (task for task in in_order(state) if not task.needed_by and not task.after_of)
    return [task for task in found if not is_planning(task.task)]


def in_order(state: RunState) -> list[TaskState]:
    """The tasks in dependency order: by batch, then as the plan has them."""
    depths = _depths(state)
    return sorted(state.tasks, key=lambda task: depths[task.index])


def recommended(state: RunState, reports: Mapping[str, Report]) -> tuple[list[dict[str, str]], int]:
    """What reports recommend, as list items, those first that nothing builds on; and how many more there are."""
    ends = sinks(state)
    others = [task for task in in_order(state) if task.needed_by or task.after_of]
    found: dict[str, str] = {}
    for task in (*ends, *others):
        if task.mark and not is_planning(task.task) and (report := reports.get(task.task.id)):
            for text in report.recommendations:
                found.setdefault(item(text, LONGEST_ENTRY), task.task.id)
    rows = [{"task": markdown(name), "text": text} for text, name in found.items()]
    return rows[:RECOMMENDED], max(len(rows) - RECOMMENDED, 0)


def recommendations(state: RunState) -> list[str]:
    """What to do next, as Markdown list items: facts, and the exact lines to type."""
    found = [
        line
        for status in ("failed", "blocked", "cancelled", "completed")
        for task in state.tasks
        if task.mark == status and (line := advice(task))
    ]
    more = [f"{len(found) - RETRIES} more: `orchestrate status` lists them."] if len(found) > RETRIES else []
    return found[:RETRIES] + more + _about_run(state)


def advice(task: TaskState) -> str:
    """What to do about a task, as the text of a list item; empty where nothing is to be done."""
    name, reason = task.task.id, item(task.reason)
    retry = f"`orchestrate retry {name}` gives it, and what it held up, fresh attempts."
    if task.mark == "failed":
        return f"`{name}` failed ({item(why(task.outcome, task.reason))}). {retry}"
    if task.outcome == "denied" and task.mark == "blocked":
        return (
            f"`{name}` was not permitted to use what it asked for ({reason}). `orchestrate retry {name} --allow"
            f" RULE` lets it go on with that; if it should do without: `orchestrate retry {name}`."
        )
    if task.mark == "blocked":
        return f"`{name}` waits for a person; `orchestrate answer {name} TEXT` lets it go on{_after(reason)}"
    if task.mark == "cancelled":
        return f"`{name}` was cancelled. {retry}"
    return f"`{name}` was completed, but look at it: {reason}." if task.reason else ""


def _after(reason: str) -> str:
    return f": {reason}" if reason else ""


def _about_run(state: RunState) -> list[str]:
    found = _about_plan(state)
    if state.verified and not state.verified.passed:
        found.append(f"The checks of the whole plan did not pass: {item(state.verified.reason)}")
    if state.halted:
        found.append(
            f"The run was held up ({item(state.halted)}). When that is settled: `orchestrate run --detach`."
        )
    left = len(state.tasks) - state.ended - state.tally["blocked"]
    if left and not state.running and not state.halted:
        found.append(
            f"{left} {'task has' if left == 1 else 'tasks have'} not run. To go on: `orchestrate run --detach`."
        )
    return found


def _about_plan(state: RunState) -> list[str]:
    growth = state.replanning
    found = []
    if growth.proposed is not None:
        found.append(
            f"A revision of the plan waits for a person ({item(growth.proposed.revision.reason)}): `orchestrate "
            "approve` takes it, `orchestrate reject` does not."
        )
    if growth.deferred:
        first, number = next(iter(growth.deferred)), counted(len(growth.deferred), "task")
        found.append(f"{number} found no room. To do one all the same: `orchestrate retry {first}`.")
    return found
