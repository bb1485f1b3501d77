"""What `next`, `start` and `finish` do: tasks that the session itself works on, in the same journal as all others.

Each is an order in the inbox. A dispatcher that lives takes it in; without one the command does so itself.
"""

from __future__ import annotations

import os
import time
from contextlib import closing
from pathlib import Path

from msgspec import Struct

from orchestrator import exits, progress, runs
from orchestrator.core import sessiontasks
from orchestrator.core.consequences import next_step
from orchestrator.core.plan import seconds
from orchestrator.core.state import RunState, TaskState
from orchestrator.edges import handedin, inbox, journal
from orchestrator.edges.inbox import Order
from orchestrator.edges.workspace import Workspace, explained
from orchestrator.errors import OrchestratorError, UsageError, WorkspaceHeld
from orchestrator.offering import Ready, offer, offered

PATIENCE = 30.0
"""Seconds beyond the time of the checks that a dispatcher is waited for."""

LOOK = 0.05
"""Seconds between two looks whether an order was taken."""


class Handed(Struct, frozen=True):
    """What `finish` was given."""

    result: Path | None = None
    report: Path | None = None
    failed: str = ""


def next_tasks(workspace: Workspace, here: Path, *, ascii_only: bool) -> tuple[str, list[Ready], int]:
    """What `offering.offered` says of the tasks that a session can work on now."""
    accept_plan(workspace, here)
    _catch_up(workspace)
    return offered(workspace, ascii_only=ascii_only)


def changed_plan(workspace: Workspace) -> str:
    """That plan.yaml is no longer what the run goes by, and what to do; empty where it is."""
    from orchestrator.edges.planfile import read_plan

    if not workspace.plan_file.exists():
        return ""
    state = journal.load(workspace.journal)
    since = f"plan.yaml has changed since run {state.run} took it in"
    try:
        given = read_plan(workspace.plan_file)
    except OrchestratorError:
        return f"{since}, and is not valid now; what is wrong: {progress.ours('validate')}"
    if given in (state.plan, state.written):
        return ""
    return f"{since}; to have it taken in: {progress.to_run()}"


def _catch_up(workspace: Workspace) -> None:
    """Make the folder of an attempt whose `start` was cut off: what counts as made by it has to be seen before."""
    started = sessiontasks.at_work(journal.load(workspace.journal))
    if any(not os.path.exists(f"{workspace.attempt(t.task.id, t.number)}/prompt.md") for t in started):
        _settle(workspace)


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
        raise UsageError(f"{', '.join(others[:5])}: not for a session; begin with: {progress.to_run()}")
    with runs.held(workspace), explained(f"cannot go on in {workspace.root}"):
        state, history = runs.load(workspace)
        if state.plan is not None:
            return
        project = runs.project_of(workspace, state, here)
        trusted = claudefiles.trusted(project, os.environ)
        workers = runs.worker_types(workspace, plan, project, trusted)
        runs.refuse_bypass(plan, workers, runs.Options())
        with closing(runs.Run(workspace, state, history, runs.Options())) as run:
            run.begin(project)
            run.accept(plan, tuple(workers.values()))
            run.dispatcher.settle()
            run.write_views()


def start(workspace: Workspace, name: str, here: Path) -> Ready:
    """Record that the session begins a task; returned with what is to be done once that is on disk.

    Raises:
        UsageError: the task cannot be started now; nothing was changed.
    """
    accept_plan(workspace, here)
    _catch_up(workspace)
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
    return offer(workspace, task, prompt, len(prompt))


def _session_task(state: RunState, name: str) -> TaskState:
    task = state.by_id.get(name)
    if task is None:
        raise UsageError(progress.unknown_task(state, name))
    if task.task.cli != "session":
        run = progress.ours("run")
        raise UsageError(f"{name} is not for a session: its cli is {task.task.cli}, and `{run}` launches it")
    return task


def _not_startable(state: RunState, task: TaskState) -> str:
    name = task.task.id
    if task.running:
        ways = f"{progress.ours(f'finish {name} --result FILE')}, or: {progress.ours(f'cancel {name}')}"
        seen = f"its prompt: {progress.ours('next')}"
        return f"{name} was started already (attempt {task.number}) and can still be finished: {ways}; {seen}"
    if task.mark:
        return f"{name} is {task.mark}; for another attempt: {progress.ours(f'retry {name}')}"
    if task.unmet:
        open_ones = [n for n in (*task.task.needs, *task.task.after) if not state.by_id[n].mark]
        return f"{name} cannot be started yet: it waits for {', '.join(open_ones[:5])}"
    from orchestrator.core.overlap import writes_overlap

    others = [t for t in state.running.values() if writes_overlap(t.task.writes, task.task.writes)]
    if not others:
        return ""
    first = others[0].task
    return f"{name} cannot be started while {first.id} runs, which writes to {', '.join(first.writes[:3])} as well"


def finish(workspace: Workspace, name: str, handed: Handed) -> tuple[int, str]:
    """Hand in what the session did; the exit status, and the verdict in words.

    Raises:
        UsageError: nothing to finish, or a file that cannot be a result; nothing was changed.
    """
    if not workspace.journal.exists():
        raise UsageError(progress.nothing_run(workspace, "next"))
    state = journal.load(workspace.journal)
    task = _session_task(state, name)
    order = _order(task, handed)
    folder = workspace.attempt(name, task.number)
    if not task.running and not _is_same(handedin.read(folder), order):
        begin = f"; begin with: {progress.ours(f'start {name}')}" if task.startable else ""
        raise UsageError(f"{name} cannot be finished: it is {task.status}, not started{begin}")
    if not task.running:
        return _told_again(name, _verdict(workspace, name, task.number), "this")
    file = inbox.hand_in(workspace.inbox, order)
    if not _taken(workspace, file, seconds(task.task.timeout) + PATIENCE):
        yet = f"{name} is handed in; its verdict is still to come: {progress.ours('status')}"
        return exits.STILL_RUNNING, yet
    found = handedin.read(folder)
    if found is None:
        raise UsageError(f"{name} was not finished: somebody ended it; see: {progress.ours('status')}")
    told = _verdict(workspace, name, task.number)
    if found[0].order == file.name:
        return told
    return _told_again(name, told, "this" if _is_same(found, order) else "something else")


def _order(task: TaskState, handed: Handed) -> Order:
    text = _result(handed)
    report = _report(handed.report) if handed.report else ""
    return Order("finish", task.task.id, attempt=task.number, text=text, report=report, failed=handed.failed)


def _is_same(found: tuple[handedin.HandedIn, str] | None, order: Order) -> bool:
    """Whether what was handed in before is what is handed in now."""
    given = (order.text, order.report, order.failed)
    return found is not None and (found[1], found[0].report, found[0].failed) == given


def _told_again(name: str, told: tuple[int, str], what: str) -> tuple[int, str]:
    """The verdict of what an earlier `finish` handed in, which counts."""
    status, text = told
    return status, f"{what} was handed in for {name} before, and counts; the verdict on it:\n{text}"


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


def _verdict(workspace: Workspace, name: str, number: int) -> tuple[int, str]:
    state = journal.load(workspace.journal)
    task, event = state.by_id[name], journal.last_finish(workspace.journal, name)
    if event is None or event.attempt != number:
        raise UsageError(f"attempt {number} of {name} has no verdict; see: {progress.ours('status')}")
    if event.outcome == "success":
        but = f": {event.reason}" if event.reason else ""
        return exits.COMPLETED, "\n".join([f"{name} completed{but}", *_what_next(state)])
    fate = task.mark or "again"
    then = next_step(task.task, event.outcome, fate, denials=event.denials, skips=task.skips)
    if fate == "again":
        left = task.task.attempts - task.used
        then = f"correct it, then: {progress.ours(f'start {name}')} ({left} of {task.task.attempts} attempts left)"
    lines = [f"{name} {event.outcome}: {event.reason}", f"next: {then}"]
    return exits.WAITS if fate == "blocked" else exits.FAILED, "\n".join(lines)


def _what_next(state: RunState) -> list[str]:
    lines = []
    if begun := sessiontasks.at_work(state):
        one = progress.ours(f"finish {begun[0].task.id} --result FILE")
        lines.append(f"at work, to be finished: {sessiontasks.named(begun)}; as in: {one}")
    if ready := sessiontasks.ready(state):
        lines.append(
            f"more for this session, to be started: {sessiontasks.named(ready)}; see: {progress.ours('next')}"
        )
    if lines:
        return lines
    if state.finished is None:
        return [f"the rest is for workers; if none goes on: {progress.to_run()}"]
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
            with closing(runs.Run(workspace, state, history, runs.Options())) as run:
                run.dispatcher.settle()
                run.write_views()
    except WorkspaceHeld:
        return False
    return True
