"""The commands that steer a run from any terminal: stop, retry, answer, cancel."""

from __future__ import annotations

import click

from orchestrator.errors import UsageError
from orchestrator.options import workspace_of

PATIENCE = 10.0
"""Seconds that `stop`, `retry` and `cancel` wait for a living dispatcher to take the order."""


@click.command()
@click.option("--after-running", is_flag=True, help="Let running tasks finish; launch nothing more.")
@click.pass_context
def stop(context: click.Context, after_running: bool) -> int:
    """Stop the run, from any terminal. What was running can go on with the next `run`."""
    from orchestrator import steering
    from orchestrator.edges.inbox import Order

    workspace = workspace_of(context)
    if not steering.anything_runs(workspace):
        click.echo("nothing is running")
        return 0
    return steering.order(workspace, [Order("stop", after_running=after_running)], PATIENCE)


@click.command()
@click.argument("tasks", nargs=-1)
@click.option("--failed", is_flag=True, help="All failed and blocked tasks.")
@click.option(
    "--allow",
    "rules",
    metavar="RULE",
    multiple=True,
    help='Allow the one TASK this too, for example "Bash(npm test)"; its session goes on.',
)
@click.pass_context
def retry(context: click.Context, tasks: tuple[str, ...], failed: bool, rules: tuple[str, ...]) -> int:
    """Give TASKS, and what depends on them, fresh attempts, from any terminal."""
    from orchestrator import steering
    from orchestrator.core.checks import wrong_rule
    from orchestrator.edges.inbox import Order

    if bool(tasks) == failed:
        raise UsageError("name the tasks to retry, or say --failed")
    if rules and len(tasks) != 1:
        raise UsageError("--allow is for one task: name it")
    if wrong := next(filter(None, map(wrong_rule, rules)), ""):
        raise UsageError(f"--allow: {wrong}")
    workspace = workspace_of(context)
    names = steering.retriable(workspace, tasks, failed)
    if not names:
        click.echo("nothing has failed")
        return 0
    return steering.order(workspace, [Order("retry", name, allow=rules) for name in names], PATIENCE)


@click.command()
@click.argument("task")
@click.argument("text")
@click.pass_context
def answer(context: click.Context, task: str, text: str) -> int:
    """Answer what a blocked TASK asks; its session goes on with that."""
    from orchestrator import steering
    from orchestrator.edges.inbox import Order

    if not text.strip():
        raise UsageError("the answer says nothing")
    workspace = workspace_of(context)
    steering.answerable(workspace, task)
    return steering.order(workspace, [Order("answer", task, text=text)], PATIENCE)


@click.command()
@click.argument("tasks", nargs=-1, required=True)
@click.pass_context
def cancel(context: click.Context, tasks: tuple[str, ...]) -> int:
    """Cancel TASKS, from any terminal; what needs them is skipped."""
    from orchestrator import steering
    from orchestrator.edges.inbox import Order

    workspace = workspace_of(context)
    steering.cancellable(workspace, tasks)
    return steering.order(workspace, [Order("cancel", name) for name in tasks], PATIENCE)


COMMANDS = (stop, retry, answer, cancel)
