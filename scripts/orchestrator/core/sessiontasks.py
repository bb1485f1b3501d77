"""The tasks of a run that a session works on: nobody starts or ends them but a session."""

from __future__ import annotations

from datetime import datetime, tzinfo

from orchestrator import exits
from orchestrator.core.plan import seconds
from orchestrator.core.state import RunState, TaskState
from orchestrator.core.text import duration, listed


def is_for_session(task: TaskState) -> bool:
    """Whether a session does this task, and no worker."""
    return task.task.cli == "session"


def at_work(state: RunState) -> list[TaskState]:
    """The tasks that a session has started and not finished."""
    return [task for task in state.running.values() if is_for_session(task)]


def ready(state: RunState) -> list[TaskState]:
    """The tasks that a session can start now."""
    return [task for task in state.tasks if is_for_session(task) and task.startable]


def waiting(state: RunState) -> str:
    """What a run waits for a session to do, in words; empty where it waits for none."""
    parts = []
    if started := at_work(state):
        parts.append(f"at work on {named(started)}")
    if startable := ready(state):
        parts.append(f"to be started: {named(startable)}")
    return f"waiting for a session ({'; '.join(parts)})" if parts else ""


def holds_up(state: RunState) -> bool:
    """Whether the dispatcher has ended and the run has not: a session works on it, or only a session can go on."""
    if state.finished is None or state.finished.exit == exits.INTERRUPTED:
        return False
    return bool(at_work(state)) or (state.finished.exit == exits.WAITS and bool(ready(state)))


def under_way(state: RunState, zone: tzinfo | None) -> str:
    """What a session works on, since when in `zone`, and what it can start; empty where it has started nothing."""
    started = [(task, task.attempt_at) for task in at_work(state) if task.attempt_at is not None]
    if not started:
        return ""
    since = [f"{task.task.id} (since {at.astimezone(zone):%Y-%m-%d %H:%M:%S})" for task, at in started]
    startable = ready(state)
    then = f"; to be started: {named(startable)}" if startable else ""
    return f"a session is at work on {listed(since)}{then}"


def how_long(task: TaskState, now: datetime) -> str:
    """How long a session has had a task, in words; overdue beyond its timeout.

    The timeout ends a worker's attempt. Of a session it is only told: it may be at work on it all the same.
    """
    assert task.attempt_at is not None
    since = max(0.0, (now - task.attempt_at).total_seconds())
    words = f"a session has had it for {duration(since)}"
    late = since > seconds(task.task.timeout)
    return f"overdue: {words}, its timeout is {task.task.timeout}" if late else words


def named(tasks: list[TaskState]) -> str:
    """The first of the tasks by id, and how many more there are."""
    return listed([task.task.id for task in tasks])
