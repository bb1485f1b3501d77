"""What `run` does, in order: check, hold, record, act."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import click
from msgspec import Struct
from msgspec.structs import replace

from orchestrator import claudeprogram, exits, progress, runs
from orchestrator.clis import claude, shell
from orchestrator.clis.claude_features import Program
from orchestrator.core import rounds
from orchestrator.core.events import Listener
from orchestrator.core.history import History
from orchestrator.core.plan import Plan, Task
from orchestrator.core.sameness import changes_work
from orchestrator.core.spending import shares
from orchestrator.core.state import ENDED, RunState
from orchestrator.core.text import dollars
from orchestrator.core.workers import WorkerType
from orchestrator.detaching import detach
from orchestrator.edges import claudefiles, inbox, journal
from orchestrator.edges.workspace import Workspace, explained, write_whole_bytes
from orchestrator.errors import EnvironmentProblem, OrchestratorError, UsageError
from orchestrator.following import Follower
from orchestrator.runs import Options, Run

__all__ = ["Asked", "Options", "detached", "dry_run", "planner_of", "put_away", "run", "watch"]

Begun = Callable[[int, str], None]
"""Is told how the start went: an exit status and a sentence."""

LOOK_AGAIN = 0.25
"""Seconds between two looks at a run that another process dispatches."""


class Given(NamedTuple):
    """The plan in a file, and what the file held: a pipe can be read only once."""

    plan: Plan
    file: Path
    data: bytes


class Asked(Struct, frozen=True):
    """What the command line of `run` says."""

    plan: Path | None = None
    options: Options = Options()
    as_json: bool = False
    watch: bool = False
    ascii_only: bool = False


def run(workspace: Workspace, asked: Asked, here: Path) -> int:
    """Run or resume; the exit status."""
    return _run(workspace, asked, here, _read_given(workspace, asked), None)


def _run(workspace: Workspace, asked: Asked, here: Path, given: Given | None, begun: Begun | None) -> int:
    """`begun` is told once the start is on disk, or that nothing is to be done."""
    with runs.held(workspace), explained(f"cannot go on in {workspace.root}"):
        return _run_held(workspace, asked, here, given, begun)


def _read_given(workspace: Workspace, asked: Asked) -> Given | None:
    """The plan to run, if a file says one; read before anything is touched."""
    from orchestrator.edges.planfile import read_plan_and_bytes

    file = asked.plan
    if file is None and workspace.plan_file.exists():
        file = workspace.plan_file
    if file is not None:
        plan, data = read_plan_and_bytes(file)
        return Given(plan, file, data)
    if workspace.journal.exists():
        return None
    raise _no_plan(workspace)


def _no_plan(workspace: Workspace) -> UsageError:
    begin = progress.ours("init REQUEST")
    return UsageError(f"no plan: write {workspace.plan_file} (`{begin}` begins one)")


def _run_held(
    workspace: Workspace, asked: Asked, here: Path, given: Given | None, begun: Begun | None
) -> int:
    new = asked.options.new and workspace.journal.exists()
    state, history = _open(workspace, asked, given, new)
    plan, written = runs.with_revisions(state, given.plan if given else None, workspace)
    project = runs.project_of(workspace, state, here)
    unchanged = state.plan == plan and (given is None or given.plan == state.written)
    workers = state.workers if given is None else _worker_types(workspace, plan, project)
    runs.refuse_bypass(plan, workers, asked.options)
    same = unchanged and state.workers == workers
    ordered = asked.options.retry_failed or inbox.is_waited_for(workspace.inbox)
    if not ordered and same and runs.nothing_left(state):
        return _say_nothing_left(workspace, state, history, begun)
    options = _with_claude(asked.options, plan, state, project)
    # Only now: what is refused above leaves the earlier run, and its plan, as they were.
    _make_room(workspace, state, new, options.budget or plan.limits.budget_usd)
    _copy_plan(workspace, given)
    with closing(Run(workspace, state, history, options, listeners=_listeners(asked, state))) as run:
        os.chdir(project)
        what = "goes on" if state.run else "began"
        run.begin(Path.cwd())
        run.accept(plan, tuple(workers.values()), written)
        run.dispatcher.conductor = lambda: planner_of(run, project)
        if asked.options.retry_failed:
            run.retry_failed()
        run.views.rehearse(state)
        if begun:
            begun(0, f"run {state.run} {what} as process {os.getpid()}; see: {progress.ours('status')}")
        status = _watched(run, asked)
    _say_end(workspace, asked, state)
    return status


def planner_of(run: Run, project: Path) -> Any:
    """What changes the plan of a run while it goes on; made when it is first needed."""
    from orchestrator.dynamic import Planner

    if run.planner is None:
        trusted = claudefiles.trusted(project, os.environ)
        types = runs.all_worker_types(run.workspace, project, trusted)
        run.planner = Planner(run.dispatcher, run.workspace, run.views, run.results, types)
    return run.planner


def _open(workspace: Workspace, asked: Asked, given: Given | None, new: bool) -> tuple[RunState, History]:
    """The run to go on with; an empty one where another begins."""
    if new and given is None:
        raise UsageError("`run --new` needs a plan: name its file")
    state, history = (RunState(), History()) if new else runs.load(workspace)
    if given is not None:
        runs.refuse_stranger(state, given.plan, str(given.file))
    elif state.plan is None:
        raise _no_plan(workspace)
    return state, history


def _make_room(workspace: Workspace, state: RunState, new: bool, budget: float | None) -> None:
    """Archive what does not belong to the run that begins, which has a `budget` in USD of its own."""
    if new:
        try:
            put_away(workspace, journal.load(workspace.journal), budget)
        except OrchestratorError:
            # A journal that cannot be read is what --new is the way out of.
            click.echo(f"archived to {workspace.archive_run('unreadable')}", err=True)
    elif not state.run and workspace.has_attempts() and not workspace.lost_run():
        # Evidence of a run whose journal is gone: it must not be taken for that of the run that begins now.
        click.echo(f"archived to {workspace.archive_run('')}: attempts without a journal", err=True)


def put_away(workspace: Workspace, state: RunState, budget: float | None = None) -> None:
    """Archive a run; workers of it that live would go on unseen, so they are stopped.

    What it cost is told, for the run that begins now counts from nothing again.

    Args:
        budget: of the run that begins now, in USD, where one is set.
    """
    if state.run:
        runs.sweep(state)
    click.echo(f"archived to {workspace.archive_run(state.run)}", err=True)
    if state.cost_usd:
        own = f", up to its own budget of {dollars(budget)}" if budget is not None else ""
        click.echo(
            f"that run cost {dollars(state.cost_usd)} (the CLI's own estimate); the new one takes nothing over from "
            f"it, pays for all of its work anew, and counts from $0.00{own}",
            err=True,
        )


def _worker_types(workspace: Workspace, plan: Plan, project: Path) -> dict[str, WorkerType]:
    if plan.tasks and all(task.cli == "shell" for task in plan.tasks):
        return {}
    return runs.worker_types(workspace, plan, project, claudefiles.trusted(project, os.environ))


def _with_claude(options: Options, plan: Plan, state: RunState, project: Path) -> Options:
    """The options with the claude program in them, wherever the plan has a task for it.

    A completed task may be retried while the run goes on: the program is looked for then too, but not insisted on.
    """
    workers = [task for task in plan.tasks if task.cli == "claude"]
    if not workers and plan.replan == "off":
        return options
    try:
        path = claudeprogram.find(options.claude)
        return replace(options, program=claudeprogram.look(path, project, os.environ))
    except EnvironmentProblem:
        if workers and all(_is_kept(state, task) for task in workers):
            return options
        raise


def _is_kept(state: RunState, task: Task) -> bool:
    known = state.by_id.get(task.id)
    if known is None or known.mark != "completed":
        return False
    worker = state.worker_of(task)
    return not changes_work(known.task, task, worker, worker, asked_anew=False)


def _copy_plan(workspace: Workspace, given: Given | None) -> None:
    if given is not None and Path(os.path.realpath(given.file)) != workspace.plan_file:
        write_whole_bytes(str(workspace.plan_file), given.data, durable=True)


def _listeners(asked: Asked, state: RunState) -> list[Listener]:
    if asked.as_json:
        return [progress.json_lines]
    if _live(asked):
        return []
    return [progress.plain(state)]


def _live(asked: Asked) -> bool:
    return not asked.as_json and sys.stderr.isatty()


def _watched(run: Run, asked: Asked) -> int:
    if not _live(asked):
        return run.go()
    from orchestrator.live import Live

    with Live(run.state, run.workspace, ascii_only=asked.ascii_only) as live:
        run.dispatcher.each_turn = live.refresh
        return run.go()


def _say_nothing_left(workspace: Workspace, state: RunState, history: History, begun: Begun | None) -> int:
    """Tell how the run ended, and do what a dispatcher that was killed at its very end did not get to do."""
    runs.sweep(state)
    with closing(Run(workspace, state, history, Options())) as run:
        run.write_views()
    status = _status_of(state)
    if status == exits.INTERRUPTED:
        ended = exits.WAITS if state.tally["blocked"] else exits.FAILED
        status = exits.COMPLETED if rounds.all_completed(state) else ended
    lines = [f"nothing to do: run {state.run} has ended", *progress.ending(state, workspace)]
    if begun:
        begun(status, "\n".join(lines))
    else:
        click.echo("\n".join(lines))
    return status


def _say_end(workspace: Workspace, asked: Asked, state: RunState) -> None:
    if not asked.as_json:
        progress.out("\n".join(progress.ending(state, workspace)))


def detached(workspace: Workspace, asked: Asked, here: Path) -> int:
    """Begin in a process of its own; returns when the start is on disk."""
    given = _read_given(workspace, asked)
    with explained(f"cannot write to {workspace.root}"):
        workspace.create()
    tell = detach(workspace.dispatcher_log)
    if isinstance(tell, int):
        return tell
    try:
        _run(workspace, asked, here, given, tell)
    except OrchestratorError as error:
        tell(error.exit_code, f"orchestrate: {error}")
        progress.say(f"orchestrate: {error}")
    except BaseException:
        tell(exits.ENVIRONMENT, f"orchestrate: could not begin; see {workspace.dispatcher_log}")
        raise
    finally:
        sys.stdout.flush()
    os._exit(0)


def dry_run(workspace: Workspace, asked: Asked, here: Path) -> int:
    """Print the command line of every task that would run, in plan order."""
    given = _read_given(workspace, asked)
    state, _ = runs.load(workspace)
    plan = given.plan if given else state.plan
    if plan is None:
        raise _no_plan(workspace)
    project = runs.project_of(workspace, state, here)
    workers = _worker_types(workspace, plan, project)
    runs.refuse_bypass(plan, workers, asked.options)
    left = [task for task in plan.tasks if _would_run(state, task, workers)]
    if not left:
        click.echo("nothing would run: all tasks have ended", err=True)
    options, budget = asked.options, asked.options.budget or plan.limits.budget_usd
    room = None if budget is None else budget - state.cost_usd
    ceilings = shares(left, room, options.parallelism or plan.limits.parallelism)
    program = _program(asked.options, project) if any(task.cli == "claude" for task in left) else None
    for task in left:
        folder = workspace.attempt(task.id, 1)
        if task.cli == "shell":
            click.echo(f"{task.id}: {shlex.join((shell.SHELL, '-c', task.run))}")
        elif program is not None and task.cli == "claude":
            worker = workers[task.worker]
            most = min(filter(None, (task.budget_usd, ceilings.get(task.id))), default=None)
            words = claude.command(
                program, replace(task, budget_usd=most), worker,
                "SESSION-ID", prompt_file=workspace.role(worker.name), workspace=workspace.elsewhere(str(project)),
            )  # fmt: skip
            click.echo(f"{task.id}: {shlex.join(words)} < {shlex.quote(f'{folder}/prompt.md')}")
        else:
            click.echo(f"{task.id}: done in a session, never launched")
    return 0


def _would_run(state: RunState, task: Task, workers: Mapping[str, WorkerType]) -> bool:
    known = state.by_id.get(task.id)
    if known is None or known.mark not in ENDED:
        return True
    return state.makes_another(known.task, task, workers, asked_anew=False)


def _program(options: Options, project: Path) -> Program:
    try:
        return claudeprogram.look(claudeprogram.find(options.claude), project, os.environ)
    except EnvironmentProblem as error:
        # To see the command lines of a plan takes no program.
        click.echo(f"a run would stop at this: {error}", err=True)
        return Program(path=options.claude or "claude", trusted=claudefiles.trusted(project, os.environ))


def watch(workspace: Workspace, ascii_only: bool) -> int:
    """Show a run that another process dispatches until it has ended or its dispatcher is gone; how it ended."""
    from orchestrator.live import Live

    if not sys.stderr.isatty():
        return _watch_plainly(workspace)
    follower = Follower(workspace)
    alive = follower.look()
    with Live(follower.state, workspace, ascii_only=ascii_only) as live:
        while alive is not None and follower.state.finished is None:
            live.state = follower.state
            live.refresh()
            time.sleep(LOOK_AGAIN)
            alive = follower.look()
        live.state = follower.state
    return _say_watched(workspace, follower.state)


def _watch_plainly(workspace: Workspace) -> int:
    def tell(event: Any) -> None:
        progress.plain(follower.state)((event,))

    follower = Follower(workspace, tell)
    while follower.look() is not None and follower.state.finished is None:
        time.sleep(LOOK_AGAIN)
    if not follower.state.run:
        click.echo(progress.nothing_run(workspace))
    return _status_of(follower.state)


def _status_of(state: RunState) -> int:
    return state.finished.exit if state.finished else exits.INTERRUPTED


def _say_watched(workspace: Workspace, state: RunState) -> int:
    click.echo("\n".join(progress.ending(state, workspace)) if state.run else progress.nothing_run(workspace))
    return _status_of(state)
