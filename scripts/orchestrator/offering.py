"""What a session is shown of the tasks that it can work on: `next`, with each one's prompt."""

from __future__ import annotations

import os
from pathlib import Path

import click
from msgspec import Struct
from msgspec.structs import replace

from orchestrator import progress, runs
from orchestrator.assignments import Assignments
from orchestrator.core.agents import agent_name
from orchestrator.core.graph import batches
from orchestrator.core.redaction import Redactor
from orchestrator.core.sessiontasks import is_for_session
from orchestrator.core.state import RunState, TaskState
from orchestrator.edges.views import Views
from orchestrator.edges.workspace import Workspace
from orchestrator.resultfiles import ResultFiles

MOST_TASKS = 20
"""Tasks that `next` shows: as many as one banner holds."""

LONGEST_PROMPT = 14_000
LONGEST_TOGETHER = 60_000
"""Characters of prompts that `next` takes up, of which it prints what they share once. The files hold all of them."""


class Ready(Struct, frozen=True):
    """A task that a session can start, or has started: with its prompt, whole or its beginning.

    `shared` are the characters at the beginning of the prompt that it shares with all of its worker type; `feedback`
    is what was wrong the last time, whole.
    """

    task: str
    agent: str
    title: str
    status: str
    attempt: int
    file: str
    prompt: str
    whole: bool
    next: str
    worker: str
    shared: int
    feedback: str


def offered(workspace: Workspace, *, ascii_only: bool) -> tuple[str, list[Ready], int]:
    """The banners, the tasks that a session can work on now, and how many there are beyond those."""
    state, history = runs.load(workspace)
    found = [t for t in state.tasks if is_for_session(t) and (t.startable or t.running)]
    shown = sorted(found, key=lambda task: (task.running, task.task.priority, task.index))[:MOST_TASKS]
    views = Views(workspace, history)
    _restore_needs(workspace, state, shown, views)
    assignments = Assignments(state, workspace, views, None)
    left, offers = LONGEST_TOGETHER, []
    for task in shown:
        prompt = _prompt(workspace, task, assignments)
        beginning = views.session_beginning(state.worker_of(task.task))
        shared = len(beginning) if prompt.startswith(beginning) else 0
        one = offer(workspace, task, prompt, min(left, LONGEST_PROMPT))
        offers.append(replace(one, shared=shared, feedback=assignments.feedback(task)))
        left -= len(one.prompt)
    return _banners(state, shown, views, ascii_only), offers, len(found) - len(shown)


def _restore_needs(workspace: Workspace, state: RunState, tasks: list[TaskState], views: Views) -> None:
    """Write the results that tasks build on again, where somebody removed them."""
    files = ResultFiles(state, workspace, views, Redactor(os.environ))
    for need in (need for task in tasks for need in state.needs_of(task)):
        if not workspace.result(need.agent).exists():
            files.restore(need)


def _banners(state: RunState, shown: list[TaskState], views: Views, ascii_only: bool) -> str:
    """A banner for each batch that there is a task of."""
    edges = [[state.by_id[name].index for name in (*t.task.needs, *t.task.after)] for t in state.tasks]
    depths = batches(edges)
    groups = {depths[t.index]: [s for s in shown if depths[s.index] == depths[t.index]] for t in shown}
    return "\n".join(views.banner(state, at + 1, group, ascii_only) for at, group in sorted(groups.items()))


def _prompt(workspace: Workspace, task: TaskState, assignments: Assignments) -> str:
    given = Path(workspace.attempt(task.task.id, task.number)) / "prompt.md"
    if task.running and given.exists():
        return given.read_text(encoding="utf-8", errors="replace")
    return assignments.given(task).decode()


def offer(workspace: Workspace, task: TaskState, prompt: str, most: int) -> Ready:
    """A task and its prompt, of which at most `most` characters are taken."""
    name = task.task.id
    whole = len(prompt) <= most
    words = f"finish {name} --result FILE" if task.running else f"start {name}"
    return Ready(
        task=name,
        agent=agent_name(task.agent),
        title=task.task.name,
        status=task.status,
        attempt=task.number + (not task.running),
        file=workspace.agent_task_name(task.agent),
        prompt=prompt if whole else prompt[: max(most, 0)],
        whole=whole,
        next=progress.ours(words),
        worker=task.task.worker,
        shared=0,
        feedback="",
    )


def show(ready: Ready, like: str = "") -> None:
    """A task and its prompt, for people.

    Args:
        like: the task whose prompt, shown before, begins as this one does.
    """
    click.echo(f"{ready.task} {ready.agent} ({ready.status}, attempt {ready.attempt}): {ready.file}")
    click.echo(f"then: {ready.next}\n")
    if like:
        click.echo(
            f"(it begins as that of {like} does: the role of {ready.worker}, and the form of the report)\n"
        )
    click.echo(ready.prompt[ready.shared if like else 0 :])
    if not ready.whole:
        click.echo(f"… cut here; all of it: {_whole_prompt(ready)}")
        if ready.feedback:
            click.echo(f"\nwhat was wrong the last time:\n\n{ready.feedback}")


def _whole_prompt(ready: Ready) -> str:
    return ready.file if ready.status == "running" else progress.ours(f"start {ready.task}")
