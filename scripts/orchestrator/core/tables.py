"""What the master plan shows of a state, as words that are safe inside Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from orchestrator import exits
from orchestrator.core import sessiontasks
from orchestrator.core.agents import agent_name
from orchestrator.core.excerpts import cell, item, mermaid_label, names
from orchestrator.core.history import History, why
from orchestrator.core.state import STATUSES, RunState, TaskState
from orchestrator.core.taskstate import by_status
from orchestrator.core.text import clean, code, counted, fenced, one_line, with_code

MOST_ROWS = 1000
"""Rows of a table that a person still scrolls through."""

MOST_DRAWN = 100
"""Tasks in one picture: beyond it Mermaid draws a tangle, slowly."""

MOST_PROOFS = 100
"""Rows of the table of proofs: a few screens; each result says what it rests on as well."""

NO_PROOF = "none"
"""What the completion of a task rests on of which no proof was asked: its worker's word."""

QUIET = frozenset(("waiting", "completed"))
"""Statuses that are left out where there are too many rows: nobody has to look at them."""

ICONS = {
    "waiting": "⏸️",
    "pending": "🟡",
    "running": "🔵",
    "retrying": "🔄",
    "blocked": "✋",
    "completed": "✅",
    "failed": "❌",
    "skipped": "⏭️",
    "cancelled": "🚫",
}

ASCII_ICONS = {
    "waiting": "[-]",
    "pending": "[ ]",
    "running": "[>]",
    "retrying": "[~]",
    "blocked": "[?]",
    "completed": "[+]",
    "failed": "[!]",
    "skipped": "[/]",
    "cancelled": "[x]",
}

Row = dict[str, object]


def labelled(status: str, ascii_only: bool = False) -> str:
    """A status with its icon."""
    return f"{(ASCII_ICONS if ascii_only else ICONS)[status]} {status}"


def labelled_of(state: RunState, task: TaskState, ascii_only: bool = False) -> str:
    """The status of a task with its icon; of a planning call whose answer changed nothing, what came of that."""
    fate = state.replanning.fates.get(task.task.id) if task.mark == "completed" else None
    if fate is None:
        return labelled(task.status, ascii_only)
    return f"{(ASCII_ICONS if ascii_only else ICONS)[_LIKE[fate.word]]} {fate.word}"


_LIKE = {"refused": "failed", "rejected": "cancelled", "planned nothing": "completed"}


def _agent(number: int | None) -> str:
    return "–" if number is None else agent_name(number)


def clock(moment: datetime | None) -> str:
    """A moment in UTC, to the second; a dash where there is none."""
    return moment.astimezone(UTC).isoformat(" ", "seconds")[:19] if moment else "–"


def run_word(state: RunState) -> str:
    """Where the run as a whole stands: one word, and how it ended where it has."""
    if state.finished:
        ended = f"ended with exit status {state.finished.exit}: {one_line(state.finished.reason)}"
        if not sessiontasks.holds_up(state):
            return ended
        sessions = sessiontasks.under_way(state, UTC) or sessiontasks.waiting(state)
        return sessions if state.finished.exit == exits.WAITS else f"{ended}; {sessions}"
    if state.started is None:
        return "planned"
    return "running" if state.running else "under way"


def holding(state: RunState) -> str:
    """Why no worker is launched, and until when; nothing where workers are launched."""
    if state.paused is None or state.finished:
        return ""
    until = f", until {clock(state.paused.until)}" if state.paused.until else ""
    return f"{state.paused.reason}{until}"


def model_rows(state: RunState) -> list[Row]:
    """What workers cost, a row for each model, the dearest first; what names no model is in none."""
    models: dict[str, float] = {}
    for spent in state.spending.values():
        for model, usd in spent.models.items():
            models[model] = models.get(model, 0.0) + usd
    dearest = sorted(models.items(), key=lambda part: (-part[1], part[0]))
    return [{"model": cell(model, 60), "usd": f"{usd:.4f}"} for model, usd in dearest]


def shown(tasks: Sequence[TaskState]) -> list[TaskState]:
    """The tasks that a table shows: all, or of too many those that somebody may have to look at."""
    if len(tasks) <= MOST_ROWS:
        return list(tasks)
    return [task for task in tasks if task.status not in QUIET][:MOST_ROWS]


def task_row(state: TaskState) -> Row:
    """A row of the task table."""
    task = state.task
    return {
        "task": cell(task.id),
        "agent": agent_name(state.agent),
        "title": cell(task.name, 80),
        "worker": cell(task.worker, 40),
        "needs": names(task.needs),
        "after": names(task.after),
        "expected_output": cell(task.expected_output, 120),
    }


def status_row(task: TaskState) -> Row:
    """A row of the status table."""
    return {
        "task": cell(task.task.id),
        "agent": agent_name(task.agent),
        "status": labelled(task.status),
        "start": clock(task.started),
        "end": "–" if task.running else clock(task.ended),
        "attempts": task.number,
        "outcome": cell(why(task.outcome, task.reason), 160),
    }


def proof(task: TaskState) -> str:
    """What the completion of a task rests on; a dash where it is not completed.

    It is what was asked of it: a task is not completed where a part of that does not hold.
    """
    if task.mark != "completed":
        return "–"
    asked = task.task
    parts = [
        *([counted(len(asked.verify), "check")] if asked.verify else []),
        *([counted(len(asked.artifacts), "artifact")] if asked.artifacts else []),
        *(["schema"] if asked.output_schema is not None and asked.cli != "shell" else []),
        *(["exit status 0"] if asked.cli == "shell" else []),
    ]
    return ", ".join(parts) or NO_PROOF


def proofs(state: RunState) -> Row:
    """The plan's criteria, how many completed tasks are proven, and a row for each of the first tasks."""
    assert state.plan is not None
    tasks = state.tasks_proper
    rests = [(task, proof(task)) for task in tasks]
    done = [found for task, found in rests if task.mark == "completed"]
    # Of many those are shown that a person may have to look at: completed, and by nothing but their word.
    shown = rests if len(rests) <= MOST_PROOFS else [pair for pair in rests if pair[1] == NO_PROOF]
    return {
        "success_criteria": [item(text) for text in state.plan.success_criteria],
        "proven": sum(found != NO_PROOF for found in done),
        "unproven": done.count(NO_PROOF),
        "proofs": [
            {
                "task": cell(task.task.id),
                "title": cell(task.task.name, 80),
                "status": labelled(task.status),
                "proof": found,
            }
            for task, found in shown[:MOST_PROOFS]
        ],
        "most_proofs": MOST_PROOFS,
        "proofs_left_out": len(rests) - len(shown[:MOST_PROOFS]),
    }


def progress(state: RunState, width: int = 30, ascii_only: bool = False) -> str:
    """A bar, the share of tasks that have ended, and how many have each status."""
    tasks = state.tasks_proper
    counts, total = by_status(tasks), max(len(tasks), 1)
    done = sum(counts[status] for status in ("completed", "failed", "skipped", "cancelled"))
    full, empty = ("#", ".") if ascii_only else ("█", "░")
    filled = width * done // total
    parts = ", ".join(f"{counts[status]} {status}" for status in reversed(STATUSES) if counts[status])
    bar = full * filled + empty * (width - filled)
    return f"[{bar}] {100 * done // total}% ({done} of {len(tasks)} ended: {parts or 'no tasks'})"


def mermaid(state: RunState) -> str:
    """The dependency graph as Mermaid, `after` dotted, without planning calls, which depend on nothing.

    Empty where it has more than MOST_DRAWN tasks.
    """
    tasks = state.tasks_proper
    if len(tasks) > MOST_DRAWN:
        return ""
    lines = ["flowchart LR"]
    for task in tasks:
        title = f" {task.task.title}" if task.task.title else ""
        lines.append(f'    n{task.index}["{mermaid_label(task.task.id + title, 60)}"]:::{task.status}')
    for task in tasks:
        lines.extend(f"    n{task.index} --> n{other.index}" for other in task.needed_by)
        lines.extend(f"    n{task.index} -.-> n{other.index}" for other in task.after_of)
    used = {task.status for task in tasks}
    lines.extend(f"    classDef {status} {style}" for status, style in _STYLES.items() if status in used)
    return "\n".join(lines)


_STYLES = {
    "waiting": "fill:#eeeeee,stroke:#888888,color:#000000",
    "pending": "fill:#fff3bf,stroke:#b08900,color:#000000",
    "running": "fill:#a5d8ff,stroke:#1864ab,color:#000000",
    "retrying": "fill:#d0bfff,stroke:#5f3dc4,color:#000000",
    "blocked": "fill:#ffd8a8,stroke:#d9480f,color:#000000",
    "completed": "fill:#b2f2bb,stroke:#2b8a3e,color:#000000",
    "failed": "fill:#ffc9c9,stroke:#c92a2a,color:#000000",
    "skipped": "fill:#ffffff,stroke:#888888,color:#000000",
    "cancelled": "fill:#ced4da,stroke:#495057,color:#000000",
}


def error_rows(state: RunState, history: History) -> list[Row]:
    """The rows of the error log, the oldest first."""
    return [
        {
            "time": clock(entry.time),
            "agent": _agent(state.agent_of(entry.task)),
            "task": cell(entry.task),
            "error": cell(entry.error, 160),
            "strategy": cell(entry.strategy, 100),
        }
        for entry in history.errors()
    ]


def log_block(history: History) -> str:
    """The execution log as a fenced block."""
    entries = history.log()
    width = max((len(entry.task) for entry in entries), default=0)
    lines = [f"{clock(e.time)}  {clean(e.task):{width}}  {one_line(e.text, 160)}".rstrip() for e in entries]
    return fenced("\n".join(lines) + "\n", "text") if lines else ""


def plan_check_rows(state: RunState) -> list[dict[str, str]]:
    """The commands for the whole plan, and how they ended."""
    assert state.plan is not None
    verified = state.verified
    outcome = "not run"
    if verified is not None:
        outcome = "passed" if verified.passed else f"not passed: {with_code(verified.reason, 300)}"
    return [{"command": code(command, 300), "outcome": outcome} for command in state.plan.verify]
