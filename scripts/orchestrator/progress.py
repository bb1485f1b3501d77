"""A run told as it goes: one plain line per change of state, or events as JSON lines; and its end in a few."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from heapq import nsmallest
from pathlib import Path
from typing import Any

from orchestrator import exits, pathcommand
from orchestrator.core import events, growth, rounds, sessiontasks
from orchestrator.core.consequences import next_step
from orchestrator.core.events import (
    AttemptFinished,
    AttemptStarted,
    Event,
    LaunchesPaused,
    LaunchesResumed,
    PlanRevised,
    PlanVerified,
    RevisionProposed,
    RevisionRejected,
    RunFinished,
    RunRolledBack,
    TaskAnswered,
    TaskBlocked,
    TaskCancelled,
    TaskRetried,
    TaskSkipped,
)
from orchestrator.core.history import told
from orchestrator.core.rundocument import holding, run_state
from orchestrator.core.state import STATUSES, RunState, TaskState
from orchestrator.core.tables import labelled_of
from orchestrator.core.taskstate import by_status
from orchestrator.core.text import counted, dollars, duration, listed, one_line
from orchestrator.edges.workspace import Workspace

STOPPED = (exits.LIMIT, exits.ENVIRONMENT)
"""Exit statuses of a run that something outside its tasks stopped: a limit, the environment."""

LONGEST_REASON = 400
"""Characters of why a task failed: a line or two of a check."""

LONGEST_QUESTION = 1000
"""Characters of what a task asks of a person: some questions, and the line to type."""

MOST_CHANGES = 5
"""Changes of one revision that are told as they are accepted."""

LONGEST_END = 20
"""Lines that `run` may end with: what a person, or a session that pays by the word, reads at once."""


def ours(words: str) -> str:
    """A command line of ours as this user can type it: how we were called, the workspace included."""
    called = Path(sys.argv[0])
    by_path = called.name == "orchestrate.py"
    start = pathcommand.spelling(called, os.environ.get("PATH", "")) if by_path else pathcommand.NAME
    named = [
        word for word, before in zip(sys.argv[2:], sys.argv[1:], strict=False) if before == "--workspace"
    ]
    named += [word.partition("=")[2] for word in sys.argv[1:] if word.startswith("--workspace=")]
    place = f" --workspace {shlex.quote(named[0])}" if named else ""
    return f"{start}{place} {words}"


def to_run() -> str:
    """How to begin a run or go on with it: so that it outlives whoever types it; a person may want to look on."""
    return f"{ours('run --detach')} (or: run)"


def nothing_run(workspace: Workspace, begin: str = "") -> str:
    """What to say where nothing was run; `begin` is the command that does, once there is a plan, if not `run`."""
    line = (ours(begin) if begin else to_run()) if workspace.plan_file.exists() else ours("init REQUEST")
    return f"nothing has been run here yet; begin with: {line}"


def unknown_task(state: RunState, name: str) -> str:
    """The sentence for a task that is not in the plan, with the closest one that is."""
    from orchestrator.core.hints import Hints

    if not state.run:
        return f"nothing has been run here yet; how to begin: {ours('status')}"
    return f"no task {one_line(name, 70)!r} in this run{Hints(list(state.by_id)).question(name)}"


def plain(state: RunState) -> Callable[[Sequence[Event]], None]:
    """A listener that writes one line per change of state to stderr."""

    def tell(written: Sequence[Event]) -> None:
        at = f"[{state.ended}/{len(state.tasks)}]"
        lines = ((event.time, line_of(event, state)) for event in written)
        if told := "\n".join(f"{time.astimezone():%H:%M:%S} {at} {line}" for time, line in lines if line):
            say(told)

    return tell


def json_lines(written: Sequence[Event]) -> None:
    """A listener that writes every event to stdout as it stands in the journal."""
    _write(sys.stdout.buffer, b"".join(events.encode(event) + b"\n" for event in written))


def line_of(event: Event, state: RunState) -> str:
    """One event in words; empty for those that change no task."""
    match event:
        case AttemptStarted(task=name, attempt=number):
            again = f" (attempt {number})" if number > 1 else ""
            return f"{_named(state, name)} started{again}"
        case AttemptFinished():
            return _finished(state, event)
        case TaskBlocked(task=name, question=question):
            return f"{name} needs a person: {one_line(question)}"
        case TaskSkipped(task=name, reason=reason):
            return f"{name} skipped: {one_line(reason)}"
        case TaskCancelled(task=name):
            return f"{name} cancelled"
        case TaskRetried(task=name):
            return f"{name} gets fresh attempts"
        case TaskAnswered(task=name):
            return f"{name} was answered"
        case PlanRevised() if event.by != "program":
            return _revised(event)
        case PlanRevised() | RevisionProposed() | RevisionRejected() | RunRolledBack():
            return one_line(told(event), 300)
        case LaunchesPaused(reason=reason, until=until):
            return f"no worker is launched: {one_line(reason)}{_until(until)}"
        case LaunchesResumed():
            return "workers are launched again"
        case PlanVerified(passed=passed, reason=reason):
            return (
                "the plan's own checks passed"
                if passed
                else f"the plan's own checks failed: {one_line(reason)}"
            )
        case RunFinished(exit=status, reason=reason):
            return f"run ended with {status}: {one_line(reason)}"
    return ""


def _revised(event: PlanRevised) -> str:
    """A line for the revision, and one for each of its first changes; all of them are in the master plan."""
    count = counted(len(event.changes), "change")
    why = f": {one_line(event.reason)}" if event.reason else ""
    shown = [f"plan revised by the {event.by}, {count if event.changes else 'no change of a task'}{why}"]
    shown += [f"    {one_line(change)}" for change in event.changes[:MOST_CHANGES]]
    if len(event.changes) > MOST_CHANGES:
        shown.append(f"    … and {len(event.changes) - MOST_CHANGES} more")
    if event.refused:
        more = f" (and {len(event.refused) - 1} more)" if len(event.refused) > 1 else ""
        shown.append(f"    refused: {one_line(event.refused[0])}{more}")
    return "\n".join(shown)


def _until(moment: datetime | None) -> str:
    return f", until {moment.astimezone():%Y-%m-%d %H:%M:%S}" if moment else ""


def _named(state: RunState, name: str) -> str:
    task = state.by_id.get(name)
    title = one_line(task.task.title, 60) if task else ""
    return f"{name} {title}".strip()


def _finished(state: RunState, event: AttemptFinished) -> str:
    took = duration(event.seconds)
    if event.outcome == "success":
        return f"{_named(state, event.task)} completed in {took}"
    task = state.by_id.get(event.task)
    then = "" if task is None or task.mark else ", will run again"
    reason = f": {one_line(event.reason)}" if event.reason else ""
    return f"{_named(state, event.task)} {event.outcome} after {took}{then}{reason}"


def say(text: str) -> None:
    """A line for people, on stderr; a terminal that is gone is no reason to stop a run."""
    _write(sys.stderr, text + "\n")


def out(text: str) -> None:
    """A line of data, on stdout."""
    _write(sys.stdout, text + "\n")


def _write(stream: Any, text: Any) -> None:
    with suppress(OSError, ValueError):
        stream.write(text)
        stream.flush()


def ending(state: RunState, workspace: Workspace) -> list[str]:
    """How a run ended, in at most LONGEST_END lines: failures first, with reason, file and next command."""
    lines: list[str] = []
    troubled = [task for task in state.tasks if task.mark in ("failed", "blocked")]
    most = 5 if growth.is_dynamic(state) else 8
    for task in troubled[:most]:
        lines.append(f"{task.task.id} {task.mark}: {one_line(task.reason, 160) or task.outcome}")
        lines.append(f"    {one_line(workspace.result_name(task.agent), 300)}")
    if len(troubled) > most:
        lines.append(f"… and {len(troubled) - most} more")
    lines += _ways_on(troubled, rounds.to_retry(state))
    if waiting := sessiontasks.waiting(state):
        lines.append(f"{waiting}; its tasks: {ours('next')}")
    if state.finished and state.finished.exit in STOPPED:
        lines.append(_stopped(state))
    lines += _about_plan(state)
    lines.append(summary(state))
    lines.append(f"results: {one_line(str(workspace.final_output), 300)}")
    return lines[:LONGEST_END]


def _ways_on(troubled: Sequence[TaskState], to_retry: Sequence[str]) -> Iterator[str]:
    """What to type: a question wants an answer, anything else that may have them fresh attempts."""
    failed = [task for task in troubled if task.task.id in to_retry and not _asks(task)]
    if asks := next((task for task in troubled if _asks(task)), None):
        yield f"answer: {ours(f'answer {asks.task.id} TEXT')}, then: {to_run()}"
    if failed:
        yield f"again: {ours(f'retry {failed[0].task.id}')}   (or: retry --failed), then: {to_run()}"


def _asks(task: TaskState) -> bool:
    return task.mark == "blocked" and task.outcome != "denied"


def _about_plan(state: RunState) -> list[str]:
    """How a plan has grown, what was put off, and what waits for a yes or no; nothing for one that does not grow."""
    lines = list(growth.lines(state))
    if deferred := state.replanning.deferred:
        name = next(iter(deferred))
        lines.append(f"deferred: {listed(list(deferred))}; one of them all the same: {ours(f'retry {name}')}")
    if proposed := state.replanning.proposed:
        lines.append(
            f"a revision by the {proposed.by} waits: {one_line(proposed.revision.reason) or 'no reason given'}"
        )
        lines.append(
            f"    take it: {ours('approve')}   or not: {ours('reject')}   (what it asks for: master_plan.md)"
        )
    return lines


def _stopped(state: RunState) -> str:
    """Why a run was stopped from outside its tasks, and what goes on with it."""
    assert state.finished
    told = next((task.reason for task in state.tasks if task.outcome == state.finished.reason), "")
    why = f"{state.finished.reason}: {told}" if told else state.finished.reason
    return f"stopped: {one_line(why)}; when that is settled: {to_run()}"


def summary(state: RunState) -> str:
    """Counts, time and money, in a line."""
    tasks = state.tasks_proper
    counts = ", ".join(f"{count} {status}" for status, count in by_status(tasks).items() if count)
    calls = len(state.tasks) - len(tasks)
    planning = f", {counted(calls, 'planning call')}" if calls else ""
    cost = f", ${state.cost_usd:.2f} (the CLI's own estimate{_over(state)})" if state.cost_usd else ""
    return f"{counted(len(tasks), 'task')}: {counts or 'none'}{planning}{_took(state)}{cost}"


def _took(state: RunState) -> str:
    """From the first start to the end, and since the last one, where that is another."""
    if not state.finished or state.started is None or state.running:
        return ""
    since = "" if state.last_part is None else f", the last part {duration(state.last_part)}"
    return f" in {duration((state.finished.time - state.started).total_seconds())}{since}"


def _over(state: RunState) -> str:
    """What a run spent beyond its budget: a call that has begun is paid for."""
    budget = state.budget_usd or (state.plan.limits.budget_usd if state.plan else None)
    if budget is None or state.cost_usd <= budget:
        return ""
    return (
        f"; {dollars(state.cost_usd - budget)} over the budget of {dollars(budget)}, by calls that had begun"
    )


def status_lines(
    state: RunState, pid: int | None, now: datetime, ascii_only: bool, most: int = 60
) -> list[str]:
    """`status` for people: the run in a line, then tasks, those that matter first where there are many."""
    lines = [f"run {state.run}: {_stands(state, pid)}", summary(state)]
    if held := holding(state, pid, now):
        lines.append(f"holding: {one_line(held['reason'])}{_until(held['until'])}")
    if state.finished and state.finished.exit == exits.ENVIRONMENT:
        lines.append(_stopped(state))
    if about := sessiontasks.under_way(state, now.astimezone().tzinfo) or sessiontasks.waiting(state):
        lines.append(f"{about}; its tasks: {ours('next')}")
    lines += _about_plan(state)
    shown = state.tasks
    if len(shown) > most:
        order = {status: i for i, status in enumerate(_FIRST)}
        shown = nsmallest(most, shown, key=lambda task: (order[task.status], task.index))
    for task in shown:
        lines.append(_row(state, task, ascii_only))
        if then := _next(task, now):
            lines.append(f"           {then}")
    if len(state.tasks) > most:
        lines.append(f"… and {len(state.tasks) - most} more; all of them: status --json")
    return lines


def _stands(state: RunState, pid: int | None) -> str:
    """Where the run stands in words; one that a session works on has not finished, though its dispatcher has."""
    if not state.finished:
        return run_state(state, pid)
    ended = f"exit {state.finished.exit}"
    if not sessiontasks.holds_up(state):
        return f"{run_state(state, pid)} ({one_line(state.finished.reason)}, {ended})"
    if state.finished.exit != exits.WAITS:
        ended = f"{one_line(state.finished.reason)}, {ended}"
    return f"waiting for a session ({ended})"


_FIRST = (
    "running", "blocked", "failed", "retrying", "pending", "waiting", "skipped", "cancelled", "completed",
)  # fmt: skip
assert set(_FIRST) == set(STATUSES)


def _row(state: RunState, task: TaskState, ascii_only: bool) -> str:
    status = labelled_of(state, task, ascii_only)
    # Why a task failed and what a blocked one asks stand on a line of their own.
    reason = "" if task.mark in ("completed", "blocked", "failed") else one_line(task.reason, 100)
    if task.mark == "completed" and (fate := state.replanning.fates.get(task.task.id)):
        reason = one_line(fate.why, 100)
    words = [f"  {task.task.id:<8}", f"{status:<14}", one_line(task.task.title, 50), reason]
    return " ".join(word for word in words if word).rstrip()


def _next(task: TaskState, now: datetime) -> str:
    """What comes next for a task that something went wrong with, or that a session has; for a blocked one, what it
    asks."""
    if task.running and sessiontasks.is_for_session(task):
        ways = f"{ours(f'finish {task.task.id} --result FILE')}, or: {ours(f'cancel {task.task.id}')}"
        return f"{sessiontasks.how_long(task, now)}; next: {ways}"
    if task.mark == "blocked":
        way = "" if task.outcome else f"; next: {ours(f'answer {task.task.id} TEXT')}"
        return f"{one_line(task.reason, LONGEST_QUESTION)}{way}"
    if task.mark == "failed" and task.outcome:
        then = next_step(task.task, task.outcome, "failed", skips=task.skips)
        return "; ".join(part for part in (one_line(task.reason, LONGEST_REASON), then) if part)
    if task.status != "retrying":
        return ""
    return next_step(task.task, task.outcome, "again", delay=task.trouble.retry_at - now.timestamp())
