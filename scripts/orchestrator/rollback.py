"""What `rollback` does: takes a run back to an earlier point of its journal.

The journal is the checkpoint: any beginning of it is a state from which the run can go on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime

import click
from msgspec import Struct

from orchestrator import progress, runs
from orchestrator.core.events import AttemptFinished, AttemptStarted, Event, PlanAccepted, RunRolledBack
from orchestrator.core.state import RunState, fold
from orchestrator.core.text import counted
from orchestrator.edges import journal, takenback
from orchestrator.edges.takenback import Note
from orchestrator.edges.workspace import Workspace, explained
from orchestrator.errors import UsageError
from orchestrator.options import print_json


class Taken(Struct, frozen=True):
    """What was taken back; `running` are attempts that are looked for again by the next `run`."""

    to: int
    events: int
    tasks: list[str]
    cost_usd: float
    running: list[str]
    archive: str
    plan_changed: bool


def roll_back(workspace: Workspace, to: str, as_json: bool) -> int:
    """Take the run back to event `to`, or to just before a task's first attempt; the exit status.

    Raises:
        UsageError: there is no such event or task, or nothing to take back; nothing was changed.
        WorkspaceHeld: a dispatcher is at work.
    """
    if not workspace.journal.exists():
        raise UsageError(progress.nothing_run(workspace))
    with runs.held(workspace), explained(f"cannot write to {workspace.root}"):
        told = list(journal.read_events(workspace.journal))
        state = journal.load(workspace.journal)
        seq = _event_meant(told, state, to)
        taken = _take_back(workspace, told, state, seq)
        takenback.finish(workspace)
        _render(workspace)
    if as_json:
        print_json(taken)
    else:
        click.echo("\n".join(_lines(workspace, taken)))
    return 0


def _event_meant(told: Sequence[Event], state: RunState, to: str) -> int:
    first = next((event.seq for event in told if isinstance(event, PlanAccepted)), None)
    if first is None:
        raise UsageError("the run has not accepted a plan yet: there is nothing to take back")
    seq = int(to) if to.isascii() and to.isdigit() and len(to) < 16 else _before(told, state, to)
    if seq < first:
        raise UsageError(f"event {first} accepts the plan; before it there is only `run --new`")
    if seq >= state.seq:
        raise UsageError(f"nothing comes after event {seq}: the last one is {state.seq}")
    return seq


def _before(told: Sequence[Event], state: RunState, name: str) -> int:
    for event in told:
        if isinstance(event, AttemptStarted) and event.task == name:
            return event.seq - 1
    if name in state.by_id or name in state.retired:
        raise UsageError(f"{name} has not been started: there is nothing of it to take back")
    raise UsageError(progress.unknown_task(state, name))


def _take_back(workspace: Workspace, told: Sequence[Event], state: RunState, seq: int) -> Taken:
    before = fold(event for event in told if event.seq <= seq)
    dropped = [event for event in told if event.seq > seq]
    again = sum(event.cost_usd for event in _found_again(before, dropped))
    cost = state.cost_usd - before.cost_usd - again
    archive = takenback.new_archive(workspace, f"{state.run}-to-{seq}")
    last = RunRolledBack(
        seq=seq + 1, time=datetime.now(UTC), to=seq, archive=archive, cost_usd=round(max(0.0, cost), 6)
    )
    stop = (*_markers(before, dropped), f"{state.run}/plan")
    takenback.swap(workspace, Note(archive, stop, tuple(_moves(workspace, before, state, dropped))), last)
    return Taken(
        to=seq,
        events=len(dropped),
        tasks=list(dict.fromkeys(event.task for event in dropped if isinstance(event, AttemptStarted))),
        cost_usd=last.cost_usd,
        running=list(before.running),
        archive=str(workspace.root / archive),
        plan_changed=state.written != before.written,
    )


def _found_again(before: RunState, dropped: Sequence[Event]) -> Iterator[AttemptFinished]:
    """The ends of attempts that had begun before: the next `run` finds them, and counts them, again."""
    for event in dropped:
        if isinstance(event, AttemptFinished):
            task = before.running.get(event.task)
            if task is not None and task.number == event.attempt:
                yield event


def _markers(before: RunState, dropped: Sequence[Event]) -> Iterator[str]:
    """The marks by which processes of attempts that are taken back are known."""
    for event in dropped:
        if isinstance(event, AttemptStarted):
            yield f"{before.run}/{event.task}.{event.attempt}"


def _moves(
    workspace: Workspace, before: RunState, state: RunState, dropped: Sequence[Event]
) -> Iterator[str]:
    """What belongs to the dropped part alone, as paths below the workspace.

    A result that was there before is written again from its attempt's folder, which stays.
    """
    known = {task.task.id: task.number for task in (*before.retired.values(), *before.tasks)}
    for name in sorted(workspace.attempt_names()):
        task, _, number = name.rpartition(".")
        if number.isdigit() and int(number) > known.get(task, 0):
            yield os.path.relpath(workspace.attempt(task, int(number)), workspace.root)
    ended = {event.task for event in dropped if isinstance(event, AttemptFinished)}
    agents = {agent for name in ended if (agent := state.agent_of(name)) is not None}
    for agent in sorted(agents | set(range(before.seats + 1, state.seats + 1))):
        for path in (workspace.result(agent), workspace.agent_task(agent)):
            yield str(path.relative_to(workspace.root))
    # Orders that nobody took were about what is dropped.
    yield from (f"{workspace.inbox.name}/{path.name}" for path in sorted(workspace.inbox.glob("*.json")))


def _render(workspace: Workspace) -> None:
    state, history = runs.load(workspace)
    with closing(runs.Run(workspace, state, history, runs.Options())) as run:
        run.write_views()


def _lines(workspace: Workspace, taken: Taken) -> Iterator[str]:
    tasks, events = counted(len(taken.tasks), "task"), counted(taken.events, "event")
    yield (
        f"back at event {taken.to}: {events}, the work on {tasks} and ${taken.cost_usd:.2f} were taken back "
        "(the money is spent, and the budget counts it)"
    )
    if taken.running:
        yield f"running then; the next run looks for how they ended: {', '.join(taken.running[:12])}"
    yield "files in the project folder are not touched: what workers changed there is still there"
    if taken.plan_changed:
        yield f"{workspace.plan_file} was changed since, and the next run takes it as it is now"
    yield f"what was taken back is kept in {taken.archive}"
    yield f"go on with: {progress.to_run()}"
