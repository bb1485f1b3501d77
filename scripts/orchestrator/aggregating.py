"""`aggregate`: what a run came to in one file, by program, or by one more call of a model that joins the results."""

from __future__ import annotations

import os
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.errors import UsageError
from orchestrator.options import DOLLARS, program_option, workspace_of

if TYPE_CHECKING:
    from orchestrator.core.state import RunState
    from orchestrator.edges.workspace import Workspace
    from orchestrator.runs import Run

ENDS = """\b
Exit codes:
  0    the file is written; with --synthesize: by an answer that holds
  1    the synthesis failed
  2    bad usage; with --synthesize: the run has not ended
  3    the synthesis waits for a person
  4    the budget or the deadline of the run stopped the synthesis
  5    the environment: no claude program, not logged in, no credit
  6    another dispatcher holds this workspace
  130  interrupted
"""


@click.command(epilog=ENDS)
@click.option("--to", type=click.Path(path_type=Path), help="Write to this file instead of final_output.md.")
@click.option(
    "--synthesize", is_flag=True, help="Have a model join the results first: one call, paid once for them."
)
@click.option("--budget", type=DOLLARS, help="USD of the whole run, instead of its limit.")
@program_option
@click.pass_context
def aggregate(
    context: click.Context, to: Path | None, synthesize: bool, budget: float | None, program: str | None
) -> int:
    """Put the results together in final_output.md."""
    if not synthesize and (budget is not None or program is not None):
        raise UsageError("--budget and --claude are for --synthesize: putting results together is free")
    workspace = workspace_of(context)
    status = join(workspace, budget, program, Path.cwd()) if synthesize else 0
    path = put_together(workspace, to)
    click.echo(str(to or path))
    return status


def put_together(workspace: Workspace, to: Path | None) -> Path:
    """Write final_output.md from what is there, results that somebody removed first; its path.

    Raises:
        UsageError: nothing was run here, or `to` is no file that can be replaced.
    """
    from orchestrator import progress, runs
    from orchestrator.edges import journal
    from orchestrator.edges.views import Views
    from orchestrator.edges.workspace import explained
    from orchestrator.runs import Options, Run

    path = Path(os.path.realpath(to)) if to else workspace.final_output
    if (os.path.lexists(path) or (to and to.exists())) and not path.is_file():
        raise UsageError(f"{to} is not a file that can be replaced; name another")
    state, history = runs.load(workspace)
    if state.plan is None:
        raise UsageError(progress.nothing_run(workspace))
    if journal.holder(workspace.lock_file) is None:
        with runs.held(workspace), closing(Run(workspace, state, history, Options())) as run:
            run.restore_results()
    with explained(f"cannot write {path}"):
        Views(workspace, history).final(state, datetime.now(UTC), path)
    return path


def join(workspace: Workspace, budget: float | None, program: str | None, here: Path) -> int:
    """Have a model join the results of a run that has ended, unless it has and nothing was changed since.

    Args:
        budget: dollars of the whole run, None: its own limit.

    Returns:
        the exit status: 0 where there is an answer, also one from before.

    Raises:
        UsageError: the run has not ended, or completed nothing.
        WorkspaceHeld: a dispatcher is at work here.
        EnvironmentProblem: there is no claude program.
    """
    from orchestrator import claudeprogram, progress, runs
    from orchestrator.core.growth import synthesis_that_holds
    from orchestrator.edges.workspace import explained
    from orchestrator.runs import Options, Run

    if not workspace.journal.exists():
        raise UsageError(progress.nothing_run(workspace))
    with runs.held(workspace), explained(f"cannot go on in {workspace.root}"):
        state, history = runs.load(workspace)
        if known := synthesis_that_holds(state):
            click.echo(f"{known.task.id} joined these results; nothing was changed since", err=True)
            return 0
        refuse_unfinished(state)
        project = runs.project_of(workspace, state, here)
        found = claudeprogram.look(claudeprogram.find(program), project, os.environ)
        # A resumed run has the ceilings that its last command line asked for.
        options = Options(parallelism=state.parallelism, budget=budget or state.budget_usd, program=found)
        with closing(Run(workspace, state, history, options, listeners=[progress.plain(state)])) as run:
            os.chdir(project)
            return _join(run, project)


def refuse_unfinished(state: RunState) -> None:
    """Raises UsageError where there is something else to do first, or nothing to join."""
    from orchestrator import progress
    from orchestrator.core import rounds
    from orchestrator.core.text import listed

    if not any(task.mark == "completed" for task in state.tasks_proper):
        raise UsageError("no task was completed: there is nothing to join")
    if state.replanning.proposed is not None:
        raise UsageError(
            f"a revision of the plan waits for a person; {progress.ours('approve')} or {progress.ours('reject')} first"
        )
    calls = state.replanning.syntheses
    left = [t.task.id for t in state.tasks if t.task.id not in calls and (t.running or t.startable)]
    later = state.finished.time + timedelta(days=1) if state.finished else None
    planning = later and (rounds.answered(state) or rounds.wanted(state, later))
    if left or planning or not (state.finished or calls):
        what = f"{listed(left)} not done" if left else "something is left to do"
        raise UsageError(f"the run has not ended, {what}; first: {progress.to_run()}")


def _join(run: Run, project: Path) -> int:
    """Run the one call; what it comes to."""
    from orchestrator import progress, running
    from orchestrator.core.events import TaskRetried

    state = run.state
    run.begin(project)
    planner = running.planner_of(run, project)
    run.dispatcher.conductor = lambda: planner
    calls = state.replanning.syntheses
    last = state.by_id.get(calls[-1]) if calls else None
    if last is not None and last.mark == "failed":
        run.dispatcher.record(TaskRetried(**run.dispatcher.stamp(), task=last.task.id))
    elif last is None or last.mark:
        planner.join()
    run.dispatcher.commit()
    status = run.go()
    task = state.by_id[calls[-1]]
    if task.mark == "completed":
        return 0
    what = task.reason or (state.finished.reason if state.finished else "it was interrupted")
    click.echo(
        f"orchestrate: the results were not joined: {what}; once more: {progress.ours('aggregate --synthesize')}",
        err=True,
    )
    return status or 1
