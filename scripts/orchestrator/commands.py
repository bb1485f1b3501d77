"""The command line: one short function per command; the only place where an error becomes an exit status."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from orchestrator import (
    __version__,
    aggregating,
    exits,
    installcommands,
    plancommands,
    sessioncommands,
    steeringcommands,
)
from orchestrator.errors import EnvironmentProblem, OrchestratorError, UsageError
from orchestrator.options import (
    DOLLARS,
    ascii_option,
    json_option,
    print_json,
    program_option,
    workspace_of,
)

EXIT_CODES = """\b
Exit codes:
  0    all tasks completed (for a query: answered)
  1    the run ended with failed, skipped, cancelled or not started tasks
  2    bad usage or an invalid plan
  3    waiting for a person: a blocked task, a revision to approve, tasks for a session
  4    stopped at a limit of the run: budget, deadline, rounds, growth
  5    the environment: CLI missing, not logged in, no credit, disk full
  6    another dispatcher holds this workspace
  75   still running when `wait` timed out
  130  interrupted
"""


def main() -> int:
    """Run the command line of this process; its exit status."""
    try:
        result = orchestrate(standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Abort as error:
        if isinstance(error.__cause__, EOFError):
            # Nothing here asks for input: a module was cut off.
            raise error.__cause__ from None
        return exits.INTERRUPTED
    except click.ClickException as error:
        with suppress(OSError):
            error.show()
        return error.exit_code
    except OrchestratorError as error:
        _complain(f"orchestrate: {error}" if "\n" not in str(error) else str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        problem = EnvironmentProblem(f"{what}{error.strerror or error}; nothing that was recorded is lost")
        _complain(f"orchestrate: {problem}")
        return problem.exit_code


def _complain(text: str) -> None:
    # Where it cannot be said, the exit status says it all the same.
    with suppress(OSError):
        click.echo(text, err=True)


@click.group(
    epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, message="orchestrate %(version)s")
@click.option(
    "--workspace",
    type=click.Path(),
    help="Use this workspace instead of the nearest .orchestrator/.",
)
@click.pass_context
def orchestrate(context: click.Context, workspace: str | None) -> None:
    """Run a plan of many tasks as parallel, judged, resumable workers.

    init makes a plan to fill in, validate checks it, plan shows what it would do, run runs it or takes it up
    again, status and wait tell how it goes, aggregate puts the results together.
    """
    if workspace == "":
        raise UsageError("--workspace names no folder: is a variable empty?")
    try:
        os.getcwd()
    except FileNotFoundError:
        raise EnvironmentProblem("the current folder is not there any more; change to another") from None
    context.obj = Path(workspace) if workspace else None


plan_argument = click.argument("plan", required=False, type=click.Path(path_type=Path))


@orchestrate.command()
@click.argument("request", required=False)
@click.option(
    "--from", "master", type=click.Path(path_type=Path), help="Read the task table of a master plan."
)
@click.option("--new", is_flag=True, help="Archive an unfinished run.")
@click.pass_context
def init(context: click.Context, request: str | None, master: Path | None, new: bool) -> int:
    """Make the workspace and a commented plan.yaml for REQUEST."""
    from orchestrator import progress, running, runs
    from orchestrator.edges.masterplan import plan_from_master, starter_plan
    from orchestrator.edges.planfile import read_text
    from orchestrator.edges.workspace import write_whole

    if (request is None) == (master is None) or (request is not None and not request.strip()):
        raise UsageError("say what the plan is for: `init REQUEST`, or `init --from MASTER_PLAN.md`")
    text = plan_from_master(read_text(master), str(master)) if master else starter_plan(request or "")
    workspace = workspace_of(context)
    with runs.held(workspace):
        state, _ = runs.load(workspace)
        if (runs.unfinished(state) or (workspace.plan_file.exists() and not state.run)) and not new:
            what = (
                f"run {state.run} is unfinished" if state.run else f"{workspace.plan_file} is there already"
            )
            raise UsageError(f"{what}; `init --new` archives it and begins anew")
        if state.run or workspace.plan_file.exists():
            running.put_away(workspace, state)
        write_whole(workspace.plan_file, text)
    click.echo(str(workspace.plan_file))
    steps = (f"then: {progress.ours(word)}" for word in ("validate", "plan"))
    click.echo(", ".join(("Fill in the tasks", *steps)), err=True)
    return 0


@orchestrate.command()
@plan_argument
@click.option("--schema", is_flag=True, help="Print the JSON Schema of a plan instead.")
@json_option
@click.pass_context
def validate(context: click.Context, plan: Path | None, schema: bool, as_json: bool) -> int:
    """Check PLAN (default: the workspace's plan.yaml) and report every problem at once."""
    from orchestrator import runs
    from orchestrator.core import checks
    from orchestrator.core.text import counted
    from orchestrator.edges import planfile
    from orchestrator.errors import PlanError

    if schema:
        print_json(planfile.schema())
        return 0
    workspace = workspace_of(context)
    path = plan or workspace.plan_file
    try:
        found = planfile.read_plan(path)
        if any(task.cli != "shell" for task in found.tasks):
            runs.check_worker_types(workspace, found, Path.cwd())
    except PlanError as error:
        if not as_json:
            raise
        print_json({"valid": False, "problems": error.problems})
        return error.exit_code
    warnings = checks.warnings(found)
    if as_json:
        print_json({"valid": True, "problems": [], "warnings": warnings, "tasks": len(found.tasks)})
    else:
        click.echo(f"{path}: valid, {counted(len(found.tasks), 'task')}")
        for warning in warnings:
            click.echo(f"note: {warning}")
    return 0


@orchestrate.command("plan")
@plan_argument
@json_option
@ascii_option
@click.pass_context
def plan_command(context: click.Context, plan: Path | None, as_json: bool, ascii_only: bool) -> int:
    """Show what PLAN would do, and render master_plan.md and agent_tasks/. Spends nothing."""
    from orchestrator import planning

    return planning.show(workspace_of(context), plan, Path.cwd(), as_json, ascii_only)


@orchestrate.command()
@plan_argument
@click.option(
    "--parallelism", type=click.IntRange(1), help="Attempts running at once, instead of the plan's limit."
)
@click.option("--budget", type=DOLLARS, help="USD, instead of the plan's limit.")
@click.option("--new", is_flag=True, help="Archive the run in the workspace and begin another.")
@click.option("--retry-failed", is_flag=True, help="Give failed and blocked tasks fresh attempts.")
@click.option("--dry-run", is_flag=True, help="Print the command lines and run nothing.")
@click.option("--detach", is_flag=True, help="Return once the run has begun; it outlives the terminal.")
@click.option("--watch", is_flag=True, help="Show the live table; with --detach, leaving it ends nothing.")
@click.option("--allow-bypass", is_flag=True, help="Let the plan's bypassPermissions stand.")
@program_option
@json_option
@ascii_option
@click.pass_context
def run(
    context: click.Context, /, plan: Path | None, dry_run: bool, detach: bool, watch: bool, **options: Any
) -> int:
    """Run PLAN (default: the workspace's plan.yaml), or take it up where it was left."""
    from orchestrator import running

    as_json, ascii_only, program = (options.pop(name) for name in ("as_json", "ascii_only", "program"))
    asked = running.Asked(
        plan=plan,
        options=running.Options(claude=program, **options),
        as_json=as_json,
        watch=watch,
        ascii_only=ascii_only,
    )
    workspace = workspace_of(context)
    if dry_run:
        return running.dry_run(workspace, asked, Path.cwd())
    if not detach:
        return running.run(workspace, asked, Path.cwd())
    status = running.detached(workspace, asked, Path.cwd())
    return running.watch(workspace, ascii_only) if watch and not status else status


@orchestrate.command()
@click.option("--timeout", help="Give up after this duration (30s, 10m), with exit code 75.")
@click.option(
    "--discoveries",
    is_flag=True,
    help="Return too when a worker reports discoveries, tasks or questions (75).",
)
@click.option(
    "--since", type=click.IntRange(0), metavar="SEQ", help="Discoveries after this event; else new ones."
)
@json_option
@click.pass_context
def wait(
    context: click.Context, timeout: str | None, discoveries: bool, since: int | None, as_json: bool
) -> int:
    """Wait until the run has ended or needs a person; its exit code."""
    from orchestrator import following

    if since is not None and not discoveries:
        raise UsageError("--since says after which event to look for discoveries: say --discoveries too")
    wanted = following.Discoveries(since) if discoveries else None
    patience = None if timeout is None else _seconds(timeout)
    return following.wait(workspace_of(context), patience, as_json, wanted)


@orchestrate.command()
@click.option("--watch", is_flag=True, help="Stay, and show changes as they come.")
@json_option
@ascii_option
@click.pass_context
def status(context: click.Context, watch: bool, as_json: bool, ascii_only: bool) -> int:
    """Show where the run stands. Reads only; safe at any time."""
    from orchestrator import progress
    from orchestrator.core import rundocument
    from orchestrator.edges import journal
    from orchestrator.edges.workspace import explained

    workspace = workspace_of(context)
    if watch and not as_json:
        from orchestrator import running

        running.watch(workspace, ascii_only)
        return 0
    with explained(f"cannot read {workspace.journal}"):
        alive = journal.holder(workspace.lock_file)
        state = journal.look(workspace.journal)
    state.project = workspace.project_now(state.project)
    now = datetime.now(UTC)
    if as_json:
        for piece in rundocument.document(state, alive, now):
            click.echo(piece)
    elif not state.run:
        click.echo(progress.nothing_run(workspace))
    else:
        click.echo("\n".join(progress.status_lines(state, alive, now, ascii_only or not _shows_icons())))
    return 0


@orchestrate.command()
@click.argument("task", required=False)
@click.option("-f", "--follow", is_flag=True, help="Stay, and show what comes.")
@json_option
@click.pass_context
def log(context: click.Context, task: str | None, follow: bool, as_json: bool) -> int:
    """Show the journal, or what one TASK's worker wrote, for people."""
    from orchestrator import following

    workspace = workspace_of(context)
    if task is None:
        following.show_journal(workspace, follow, as_json)
    else:
        following.show_task(workspace, task, follow)
    return 0


@orchestrate.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option(
    "--cli",
    type=click.Choice(["shell", "claude"]),
    default="shell",
    show_default=True,
    help="Who does the work.",
)
@program_option
@click.pass_context
def demo(context: click.Context, folder: Path | None, cli: str, program: str | None) -> int:
    """Analyse FOLDER (default: this repository) with a real plan: no account needed."""
    from orchestrator import demonstration

    return demonstration.run(context.obj, folder, cli, program, Path.cwd())


@orchestrate.command()
@program_option
@json_option
@click.pass_context
def doctor(context: click.Context, program: str | None, as_json: bool) -> int:
    """Check this machine and the workspace; every red line says what to do."""
    from orchestrator import health

    findings = health.examine(workspace_of(context), program)
    if as_json:
        print_json({"healthy": all(f.good for f in findings), "findings": findings})
    else:
        for finding in findings:
            mark = "ok " if finding.good else "BAD"
            click.echo(f"{mark} {finding.name}: {finding.text}")
    return exits.COMPLETED if all(finding.good for finding in findings) else exits.ENVIRONMENT


for _command in (
    aggregating.aggregate,
    *plancommands.COMMANDS,
    *sessioncommands.COMMANDS,
    *installcommands.COMMANDS,
    *steeringcommands.COMMANDS,
):
    orchestrate.add_command(_command)


def _seconds(duration: str) -> float:
    from orchestrator.core.plan import seconds

    try:
        return seconds(duration)
    except ValueError as error:
        raise UsageError(f"--timeout: {error}") from error


def _shows_icons() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
