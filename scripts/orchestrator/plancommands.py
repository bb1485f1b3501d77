"""The commands that let a plan grow or take it back: auto, revise, approve, reject, rollback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from orchestrator.errors import OrchestratorError
from orchestrator.options import DOLLARS, ascii_option, json_option, workspace_of

PATIENCE = 10.0
"""Seconds that a living dispatcher is given to take a revision in."""


OF_REVISIONS = """\b
Exit codes:
  0    it holds (revise --dry-run: something of it would)
  2    bad usage, or nothing of it holds: nothing was changed
  3    it waits for `approve`, as the plan's `replan: ask` wants
  5    the environment
"""
OF_ROLLBACK = """\b
Exit codes:
  0    done
  2    bad usage: nothing was changed
  5    the environment
  6    a dispatcher is at work: stop it first
"""


def _answered(as_json: bool, act: Callable[[], int]) -> int:
    """What `act` says; asked for JSON, an error is JSON too."""
    from orchestrator import revisions

    try:
        return act()
    except OrchestratorError as error:
        if not as_json:
            raise
        return revisions.refused_as_json(error)


@click.command()
@click.argument("request")
@click.option("--ask", is_flag=True, help="Let each change of the plan wait for `approve`.")
@click.option("--budget", type=DOLLARS, help="USD that it may cost at most. Required.")
@click.option(
    "--max-tasks", type=click.IntRange(1), default=50, show_default=True, help="Tasks of the whole plan."
)
@click.option("--max-rounds", type=click.IntRange(1), default=10, show_default=True, help="Planning calls.")
@click.option(
    "--max-depth", type=click.IntRange(1), default=4, show_default=True, help="Generations of discovery."
)
@click.option("--deadline", default="8h", show_default=True, help="Of the whole run.")
@click.option(
    "--verify", metavar="COMMAND", multiple=True, help="Must exit with 0 at the end; may be repeated."
)
@click.option("--new", is_flag=True, help="Archive an unfinished run.")
@click.option("--detach", is_flag=True, help="Return once the run has begun; it outlives the terminal.")
@click.option("--watch", is_flag=True, help="Show the live table; with --detach, leaving it ends nothing.")
@click.option("--claude", metavar="PATH", help="The claude program.")
@json_option
@ascii_option
@click.pass_context
def auto(
    context: click.Context, /, detach: bool, watch: bool, as_json: bool, ascii_only: bool, **wish: Any
) -> int:
    """Plan REQUEST as the work shows what it takes, and do it, within the bounds. `run` takes it up again."""
    from orchestrator import automatic, running

    wanted = automatic.Wish(**wish)
    workspace = workspace_of(context)
    automatic.prepare(workspace, wanted)
    asked = running.Asked(
        options=running.Options(claude=wanted.claude), as_json=as_json, watch=watch, ascii_only=ascii_only
    )
    if not detach:
        return running.run(workspace, asked, Path.cwd())
    status = running.detached(workspace, asked, Path.cwd())
    return running.watch(workspace, ascii_only) if watch and not status else status


@click.command(epilog=OF_REVISIONS)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Show what it would change, and change nothing.")
@json_option
@click.pass_context
def revise(context: click.Context, file: Path, dry_run: bool, as_json: bool) -> int:
    """Change the plan of the run by the revision in FILE (YAML or JSON), while it goes on or before the next `run`.

    A revision is a map of `add`, `cancel`, `reorder`, `rewire`, `split`, `reassign`, `accept`, `ask`, `context`,
    `finish` and `reason`. What runs or is done is never changed.
    """
    from orchestrator import revisions

    return _answered(
        as_json,
        lambda: revisions.revise(
            workspace_of(context), file, Path.cwd(), dry_run=dry_run, as_json=as_json, patience=PATIENCE
        ),
    )


@click.command(epilog=OF_REVISIONS)
@json_option
@click.pass_context
def approve(context: click.Context, as_json: bool) -> int:
    """Show what the revision that waits would change, and let it hold."""
    from orchestrator import revisions

    return _answered(as_json, lambda: revisions.approve(workspace_of(context), Path.cwd(), as_json, PATIENCE))


@click.command(epilog=OF_REVISIONS)
@click.argument("reason", default="")
@json_option
@click.pass_context
def reject(context: click.Context, reason: str, as_json: bool) -> int:
    """Refuse the revision that waits; the next planning call is told the REASON."""
    from orchestrator import revisions

    return _answered(as_json, lambda: revisions.reject(workspace_of(context), reason, as_json, PATIENCE))


@click.command(epilog=OF_ROLLBACK)
@click.option(
    "--to", required=True, metavar="SEQ|TASK", help="The last event to keep, or the task to begin before."
)
@json_option
@click.pass_context
def rollback(context: click.Context, to: str, as_json: bool) -> int:
    """Take the run back to an earlier point. Files in the project folder are not touched, and money stays spent."""
    from orchestrator import rollback as rolling

    return rolling.roll_back(workspace_of(context), to, as_json)


COMMANDS = (auto, revise, approve, reject, rollback)
