"""What `next`, `start` and `finish` do: tasks that the session itself works on, in the same journal as all others.

Each is an order in the inbox. A dispatcher that lives takes it in; without one the command does so itself.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from orchestrator import progress, runs
from orchestrator.core.consequences import next_step
from orchestrator.core.graph import batches
from orchestrator.core.plan import seconds
from orchestrator.core.state import RunState, TaskState
from orchestrator.core.tables import agent_name
from orchestrator.edges import handedin, inbox, journal
from orchestrator.edges.inbox import Order
from orchestrator.edges.workspace import Workspace, explained
from orchestrator.errors import UsageError, WorkspaceHeld
from orchestrator.following import unknown_task

MOST_TASKS = 20
"""Tasks that `next` shows: as many as one banner holds."""

LONGEST_PROMPT = 8_000
LONGEST_TOGETHER = 40_000
"""Characters of prompts that `next` prints: some 10,000 tokens at most. The files hold all of them."""

PATIENCE = 30.0
"""Seconds beyond the time of the checks that a dispatcher is waited for."""

LOOK = 0.05
"""Seconds between two looks whether an order was taken."""

STILL_RUNNING = 75


class Ready(Struct, frozen=True):
    """A task that a session can start, or has started: with its prompt, whole or its beginning."""

    task: str
    agent: str
    title: str
    status: str
    attempt: int
    file: str
    prompt: str
    whole: bool
    next: str


class Handed(Struct, frozen=True):
    """What `finish` was given."""

    result: Path | None = None
    report: Path | None = None
    failed: str = ""


def show_next(workspace: Workspace, here: Path, *, ascii_only: bool) -> tuple[str, list[Ready], int]:
    """The banners, the tasks that a session can work on now, and how many there are beyond those."""
    accept_plan(workspace, here)
    state, history = runs.load(workspace)
    found = [t for t in state.tasks if t.task.cli == "session" and (t.startable or t.running)]
    shown = sorted(found, key=lambda task: (task.running, task.task.priority, task.index))[:MOST_TASKS]
    from orchestrator.assignments import Assignments
    from orchestrator.edges.views import Views

    views = Views(workspace, history)
    _restore_needs(workspace, state, shown)
    assignments = Assignments(state, workspace, views, None)
    left, ready = LONGEST_TOGETHER, []
    for task in shown:
        prompt = _prompt(workspace, task, assignments)
        ready.append(_ready(workspace, task, prompt, min(left, LONGEST_PROMPT)))
        left -= len(ready[-1].prompt)
    edges = [[state.by_id[name].index for name in (*t.task.needs, *t.task.after)] for t in state.tasks]
    depths = batches(edges)
    groups = {depths[t.index]: [s for s in shown if depths[s.index] == depths[t.index]] for t in shown}
    banners = [views.banner(state, depth + 1, group, ascii_only) for depth, group in sorted(groups.items())]
    return "\n".join(banners), ready, len(found) - len(shown)


def _restore_needs(workspace: Workspace, state: RunState, tasks: list[TaskState]) -> None:
    """Raises UsageError where the result of a dependency was removed by hand."""
    for task in tasks:
        for need in state.needs_of(task):
            if not workspace.result(need.agent).exists():
                again = progress.ours("aggregate")
                raise UsageError(f"{workspace.result(need.agent)} is gone; `{again}` writes it again")


def _prompt(workspace: Workspace, task: TaskState, assignments: Any) -> str:
    given = Path(workspace.attempt(task.task.id, task.number)) / "prompt.md"
    if task.running and given.exists():
        return given.read_text(encoding="utf-8", errors="replace")
    text: str = assignments.given(task).decode()
    return text


def _ready(workspace: Workspace, task: TaskState, prompt: str, most: int) -> Ready:
    name = task.task.id
    whole = len(prompt) <= most
    words = f"finish {name} --result FILE" if task.running else f"start {name}"
    return Ready(
        task=name,
        agent=agent_name(task.agent),
        title=task.task.name,
        status=task.status,
        attempt=task.number + (not task.running),
        file=str(workspace.agent_task(task.agent)),
        prompt=prompt if whole else prompt[: max(most, 0)],
        whole=whole,
        next=progress.ours(words),
    )


def accept_plan(workspace: Workspace, here: Path) -> None:
    """Begin the run of the workspace's plan.yaml where there is none yet.

    Raises:
        UsageError: there is no plan, or one of the tasks it begins with is not for a session.
    """
    from orchestrator.edges import claudefiles
    from orchestrator.edges.planfile import read_plan

    if workspace.journal.exists() and runs.load(workspace)[0].plan is not None:
        return
    if not workspace.plan_file.exists():
        raise UsageError(f"no plan: write {workspace.plan_file}, then: {progress.ours('next')}")
    plan = read_plan(workspace.plan_file)
    others = [t.id for t in plan.tasks if not (t.needs or t.after) and t.cli != "session"]
    if others:
        raise UsageError(f"{', '.join(others[:5])}: not for a session; begin with: {progress.ours('run')}")
    with runs.held(workspace), explained(f"cannot go on in {workspace.root}"):
        state, history = runs.load(workspace)
        if state.plan is not None:
            return
        project = runs.project_of(workspace, state, here)
        trusted = claudefiles.trusted(project, os.environ)
        workers = runs.worker_types(workspace, plan, project, trusted)
        runs.refuse_bypass(plan, workers, runs.Options())
        run = runs.Run(workspace, state, history, runs.Options())
        try:
            run.begin(project)
            run.accept(plan, tuple(workers.values()))
            run.dispatcher.settle()
            run.write_views()
        finally:
            run.close()


def start(workspace: Workspace, name: str, here: Path) -> Ready:
    """Record that the session begins a task; returned with what is to be done once that is on disk.

    Raises:
        UsageError: the task cannot be started now; nothing was changed.
    """
    accept_plan(workspace, here)
    state = journal.load(workspace.journal)
    task = _session_task(state, name)
    if problem := _not_startable(state, task):
        raise UsageError(problem)
    number = task.number + 1
    file = inbox.hand_in(workspace.inbox, Order("start", name))
    if not _taken(workspace, file, PATIENCE):
        file.unlink(missing_ok=True)
    folder = workspace.attempt(name, number)
    task = journal.load(workspace.journal).by_id[name]
    if handedin.started_by(folder) != file.name:
        raise UsageError(f"{name} was not started: it is {task.status} by now; see: {progress.ours('next')}")
    prompt = (Path(folder) / "prompt.md").read_text(encoding="utf-8", errors="replace")
    return _ready(workspace, task, prompt, len(prompt))


def _session_task(state: RunState, name: str) -> TaskState:
    task = state.by_id.get(name)
    if task is None:
        raise UsageError(unknown_task(state, name))
    if task.task.cli != "session":
        run = progress.ours("run")
        raise UsageError(f"{name} is not for a session: its cli is {task.task.cli}, and `{run}` launches it")
    return task


def _not_startable(state: RunState, task: TaskState) -> str:
    name = task.task.id
    if task.running:
        ways = f"{progress.ours(f'finish {name} --result FILE')}, or: {progress.ours(f'cancel {name}')}"
        return f"{name} was started already (attempt {task.number}) and can still be finished: {ways}"
    if task.mark:
        return f"{name} is {task.mark}; for another attempt: {progress.ours(f'retry {name}')}"
    if task.unmet:
        open_ones = [n for n in (*task.task.needs, *task.task.after) if not state.by_id[n].mark]
        return f"{name} cannot be started yet: it waits for {', '.join(open_ones[:5])}"
    from orchestrator.core.overlap import writes_overlap

    others = [t for t in state.running.values() if writes_overlap(t.task.writes, task.task.writes)]
    return f"{name} cannot be started now: {others[0].task.id} writes the same files" if others else ""


def finish(workspace: Workspace, name: str, handed: Handed) -> tuple[int, str]:
    """Hand in what the session did; the exit status, and the verdict in words.

    Raises:
        UsageError: nothing to finish, or a file that cannot be a result; nothing was changed.
    """
    if not workspace.journal.exists():
        raise UsageError(progress.NOTHING_RUN.format(progress.ours("next")))
    state = journal.load(workspace.journal)
    task = _session_task(state, name)
    if not task.running:
        begin = f"; begin with: {progress.ours(f'start {name}')}" if task.startable else ""
        raise UsageError(f"{name} cannot be finished: it is {task.status}, not started{begin}")
    order = Order("finish", name, attempt=task.number, text=_result(handed), failed=handed.failed)
    if handed.report:
        from msgspec.structs import replace

        order = replace(order, report=_report(handed.report))
    folder = workspace.attempt(name, task.number)
    file = inbox.hand_in(workspace.inbox, order)
    checks = seconds(task.task.timeout)
    if not _taken(workspace, file, checks + PATIENCE):
        return STILL_RUNNING, f"{name} is handed in; its verdict is still to come: {progress.ours('status')}"
    found = handedin.read(folder)
    if found is None or found[0].order != file.name:
        raise UsageError(f"{name} was finished by another command meanwhile; see: {progress.ours('status')}")
    return _verdict(workspace, name)


def _result(handed: Handed) -> str:
    if handed.failed.strip():
        return ""
    if handed.result is None:
        raise UsageError("say what came of it: --result FILE, or --failed REASON")
    text = _text(handed.result)
    if not text.strip():
        raise UsageError(f"{handed.result} is empty; say --failed REASON if there is no result")
    return text


def _report(path: Path) -> str:
    from orchestrator.core.report import parse

    text = _text(path)
    found, problem = parse(text)
    if found is None:
        raise UsageError(f"{path} holds no report: {problem}")
    return text


def _text(path: Path) -> str:
    with explained(f"cannot read {path}"):
        if not path.is_file():
            raise UsageError(f"{path}: no such file")
        size = path.stat().st_size
        if size > handedin.LARGEST:
            most = handedin.LARGEST // 1024**2
            raise UsageError(
                f"{path} has {size / 1024**2:.0f} MB; at most {most} MB are taken. Hand in a summary"
            )
        data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not a text in UTF-8") from None
    if "\0" in text:
        raise UsageError(f"{path} is not a text: it holds NUL bytes")
    return text


def _verdict(workspace: Workspace, name: str) -> tuple[int, str]:
    state = journal.load(workspace.journal)
    task, event = state.by_id[name], journal.last_finish(workspace.journal, name)
    assert event is not None
    if event.outcome == "success":
        but = f": {event.reason}" if event.reason else ""
        return 0, "\n".join([f"{name} completed{but}", *_what_next(state)])
    fate = task.mark or "again"
    then = next_step(task.task, event.outcome, fate, denials=event.denials)
    if fate == "again":
        left = task.task.attempts - task.used
        then = f"correct it, then: {progress.ours(f'start {name}')} ({left} of {task.task.attempts} attempts left)"
    lines = [f"{name} {event.outcome}: {event.reason}", f"next: {then}"]
    return 3 if fate == "blocked" else 1, "\n".join(lines)


def _what_next(state: RunState) -> list[str]:
    if any(t.task.cli == "session" and (t.startable or t.running) for t in state.tasks):
        return [f"more for this session: {progress.ours('next')}"]
    if state.finished is None:
        return [f"the rest is for workers: {progress.ours('run')} (if none goes on)"]
    return [progress.summary(state)]


def _taken(workspace: Workspace, file: Path, patience: float) -> bool:
    """Whether an order was taken, by the living dispatcher or, without one, here."""
    until = time.monotonic() + patience
    while file.exists():
        if not _settle(workspace) and time.monotonic() > until:
            return False
        if file.exists():
            time.sleep(LOOK)
    return True


def _settle(workspace: Workspace) -> bool:
    """Take the inbox in and judge what came, if no dispatcher lives."""
    try:
        with runs.held(workspace):
            state, history = runs.load(workspace)
            run = runs.Run(workspace, state, history, runs.Options())
            try:
                run.dispatcher.settle()
                run.write_views()
            finally:
                run.close()
    except WorkspaceHeld:
        return False
    return True


def show(ready: Ready) -> None:
    """A task and its prompt, for people."""
    click.echo(f"{ready.task} {ready.agent} ({ready.status}, attempt {ready.attempt}): {ready.file}")
    click.echo(f"then: {ready.next}\n")
    click.echo(ready.prompt)
    if not ready.whole:
        click.echo(f"… cut here; all of it: {progress.ours(f'start {ready.task}')}")
