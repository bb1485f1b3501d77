"""What the commands that steer a run do from any terminal: check, then hand in, or carry out where nothing runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import click

from orchestrator import progress, runs
from orchestrator.core import rounds
from orchestrator.core.replanning import is_planning
from orchestrator.core.state import ENDED, RunState
from orchestrator.edges import inbox, journal
from orchestrator.edges.inbox import Order
from orchestrator.edges.workspace import Workspace, explained
from orchestrator.errors import UsageError, WorkspaceHeld
from orchestrator.running import planner_of
from orchestrator.runs import Options, Run

LOOK_FOR_ANSWER = 0.05
"""Seconds between two looks whether an order was taken."""


def retriable(workspace: Workspace, names: Sequence[str], failed: bool) -> list[str]:
    """The tasks that `retry` means.

    Raises:
        UsageError: a task that does not exist or is running, or a planning call beside another one.
    """
    state = journal.load(workspace.journal)
    if failed:
        return rounds.to_retry(state)
    problems = [_not_retriable(state, name) for name in names]
    calls = [name for name in names if name in state.by_id and is_planning(state.by_id[name].task)]
    if len({*calls, state.replanning.open_call} - {""}) > 1 and calls:
        problems.append(
            f"{', '.join(calls)}: there is one planning call at a time; retry the last that failed"
        )
    if found := [problem for problem in problems if problem]:
        raise UsageError("\n".join(found))
    return list(names)


def _not_retriable(state: RunState, name: str) -> str:
    task = state.by_id.get(name)
    if task is None:
        return progress.unknown_task(state, name)
    busy = next((t for t in (task, *state.dependents_of(task)) if t.running), None)
    return f"{name} cannot be retried while {busy.task.id} is running; cancel it first" if busy else ""


def answerable(workspace: Workspace, name: str) -> None:
    """Raises UsageError for a task that does not exist or asks nothing."""
    state = journal.load(workspace.journal)
    task = state.by_id.get(name)
    if task is None:
        raise UsageError(progress.unknown_task(state, name))
    if task.mark != "blocked":
        raise UsageError(f"{name} cannot be answered: it is {task.status} and asks nothing")


def cancellable(workspace: Workspace, names: Sequence[str]) -> None:
    """Raises UsageError for a task that does not exist or has ended."""
    state = journal.load(workspace.journal)
    problems = []
    for name in names:
        task = state.by_id.get(name)
        if task is None:
            problems.append(progress.unknown_task(state, name))
        elif task.mark in ENDED:
            problems.append(f"{name} cannot be cancelled: it is {task.mark}")
    if problems:
        raise UsageError("\n".join(problems))


def anything_runs(workspace: Workspace) -> bool:
    """Whether there is a dispatcher, or a worker that one left behind, to be stopped."""
    if journal.holder(workspace.lock_file) is not None:
        return True
    if not workspace.journal.exists():
        raise UsageError(progress.nothing_run(workspace))
    return bool(journal.load(workspace.journal).running)


def order(workspace: Workspace, orders: Sequence[Order], patience: float) -> int:
    """Hand orders to the living dispatcher, or carry them out here if there is none."""
    if not workspace.journal.exists() and journal.holder(workspace.lock_file) is None:
        raise UsageError(progress.nothing_run(workspace))
    with explained(f"cannot write to {workspace.root}"):
        files = [inbox.hand_in(workspace.inbox, wanted) for wanted in orders]
        until = time.monotonic() + patience
        while any(file.exists() for file in files):
            if carry_out(workspace):
                click.echo(f"done; go on with: {progress.to_run()}")
                return 0
            if time.monotonic() > until:
                click.echo("handed in; the dispatcher has not taken it yet")
                return 0
            time.sleep(LOOK_FOR_ANSWER)
    click.echo("done")
    return 0


def carry_out(workspace: Workspace) -> bool:
    """Take the inbox in, if no dispatcher lives; whether none did."""
    try:
        with runs.held(workspace):
            state, history = runs.load(workspace)
            if not state.run:
                # Whoever was about to begin one has given up.
                for wanted in inbox.orders(workspace.inbox):
                    inbox.taken(workspace.inbox, wanted)
                return True
            project = runs.project_of(workspace, state, Path.cwd())
            with closing(Run(workspace, state, history, Options())) as run:
                run.dispatcher.conductor = lambda: planner_of(run, project)
                stop = any(order.order == "stop" for order in inbox.orders(workspace.inbox))
                run.dispatcher.steer()
                if stop:
                    runs.sweep(state)
                run.write_views()
    except WorkspaceHeld:
        return False
    return True
