"""Where a run stands, as data for programs: what `status --json` and `wait --json` answer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from orchestrator import exits
from orchestrator.core import growth, sessiontasks
from orchestrator.core.agents import agent_name, result_file
from orchestrator.core.replanning import is_planning
from orchestrator.core.state import RunState, TaskState

PIECE = 1000
"""Tasks that are encoded together: one by one takes three times as long, all at once a copy of them all."""

RUN_STATES = ("none", "running", "waiting", "interrupted", "finished")
"""Where a run stands: `waiting` for a session, which works on it or has to; `interrupted`: its dispatcher is gone."""

_ENCODER = msgspec.json.Encoder()


class _Row(Struct, gc=False):
    id: str
    agent: str
    title: str
    worker: str
    status: str
    outcome: str | None
    reason: str | None
    attempts: int
    cost_usd: float
    started: datetime | None
    ended: datetime | None
    planning: bool
    depth: int
    of: str | None
    result: str | None


def document(state: RunState, pid: int | None, now: datetime) -> Iterator[bytes]:
    """The answer in UTF-8, in pieces of whole lines, a line a task; keys may be added, none is taken away or changed.

    `pid` is the living dispatcher's, None: there is none.
    """
    yield b'{"format": 1, "run": %b, "tasks": [' % _ENCODER.encode(_run(state, pid, now))
    count = len(state.tasks)
    for start in range(0, count, PIECE):
        lines = _ENCODER.encode_lines([_row(task, state) for task in state.tasks[start : start + PIECE]])
        # No line break stands inside a line of JSON.
        yield lines[:-1].replace(b"\n", b",\n") + (b"," if start + PIECE < count else b"")
    yield b"]}"


def _run(state: RunState, pid: int | None, now: datetime) -> dict[str, Any]:
    finished = state.finished
    return {
        "id": state.run or None,
        "state": run_state(state, pid),
        "exit": finished.exit if finished else None,
        "reason": finished.reason if finished else None,
        "cost_usd": round(state.cost_usd, 6),
        "spending": state.spending,
        "started": state.started,
        "ended": finished.time if finished else None,
        "holding": holding(state, pid, now),
        "dispatcher": pid,
        "project": state.project or None,
        "counts": state.counts(),
        "growth": growth.document(state),
    }


def run_state(state: RunState, pid: int | None) -> str:
    """One of RUN_STATES; `pid` as for `document`."""
    if not state.run:
        return "none"
    if state.finished is None:
        return "interrupted" if pid is None else "running"
    if state.finished.exit == exits.INTERRUPTED:
        return "interrupted"
    return "waiting" if sessiontasks.holds_up(state) else "finished"


def holding(state: RunState, pid: int | None, now: datetime) -> dict[str, Any] | None:
    """Why a run that goes on launches nothing at the moment, and until when."""
    if pid is None or state.finished:
        return None
    if state.paused:
        return {"reason": state.paused.reason, "until": state.paused.until}
    if state.running:
        return None
    resting = [
        task
        for task in state.tasks
        if task.status == "retrying"
        and task.trouble.retry_at > now.timestamp()
        and not sessiontasks.is_for_session(task)
    ]
    if not resting:
        return None
    first = min(resting, key=lambda task: task.trouble.retry_at)
    until = datetime.fromtimestamp(first.trouble.retry_at, now.tzinfo)
    return {"reason": f"{first.task.id} waits after {first.outcome}", "until": until}


def _row(task: TaskState, state: RunState) -> _Row:
    known = state.replanning
    origin, fate = known.origin_of(task.task.id), known.fates.get(task.task.id)
    reason = f"{fate.word}: {fate.why}" if fate and task.mark == "completed" else task.reason
    return _Row(
        task.task.id,
        agent_name(task.agent),
        task.task.name,
        task.task.worker,
        task.status,
        task.outcome or None,
        reason or None,
        task.number,
        round(task.cost_usd, 6),
        task.started,
        task.ended if not task.running else None,
        is_planning(task.task),
        origin.depth,
        origin.of or None,
        f"results/{result_file(task.agent)}" if task.mark and task.outcome else None,
    )
