"""A run in its workspace: opened, begun or taken up again, and put away.

What `commands.py` says in a few words is done here, with the real clock, processes and files.
"""

from __future__ import annotations

import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from msgspec import Struct
from msgspec.structs import replace

from orchestrator import __version__
from orchestrator.clis import claude
from orchestrator.clis.claude_features import Program
from orchestrator.core import rounds
from orchestrator.core.events import Listener, RunResumed, RunStarted
from orchestrator.core.history import History
from orchestrator.core.learning import Learned, learn
from orchestrator.core.plan import Plan
from orchestrator.core.replanning import is_planning
from orchestrator.core.state import ENDED, RunState
from orchestrator.core.workers import WorkerType, wants_bypass
from orchestrator.edges import claudefiles, inbox, journal, takenback
from orchestrator.edges.journal import Journal
from orchestrator.edges.workspace import Workspace, explained, refuse_unwritable
from orchestrator.errors import OrchestratorError, PlanError, UsageError
from orchestrator.refreshing import complaints

LONG_SINCE = timedelta(days=1)
"""After its end nothing of a run is waited for any more."""

ARCHIVES_LEARNED_FROM = 3
"""How many earlier runs are read for durations: enough for a habit, little enough to read at every start."""


class Options(Struct, frozen=True):
    """What `run` was asked for beyond the plan."""

    parallelism: int | None = None
    budget: float | None = None
    new: bool = False
    retry_failed: bool = False
    allow_bypass: bool = False
    claude: str | None = None
    program: Program | None = None


class SteadyClock:
    """Seconds since the epoch that no change of the machine's clock can move, and that count a machine's sleep."""

    def __init__(self) -> None:
        self._which = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
        self._offset = time.time() - time.clock_gettime(self._which)

    def __call__(self) -> float:
        """The time now."""
        return time.clock_gettime(self._which) + self._offset


@contextmanager
def held(workspace: Workspace) -> Iterator[int]:
    """Hold the workspace, made if need be.

    Raises:
        WorkspaceHeld: another process does.
    """
    with explained(f"cannot write to {workspace.root}"):
        workspace.create()
        descriptor = journal.hold(workspace.lock_file)
    try:
        journal.refuse_second(workspace.journal)
        workspace.finish_archiving()
        takenback.finish(workspace)
        yield descriptor
    finally:
        os.close(descriptor)


def refuse_stranger(state: RunState, plan: Plan, name: str) -> None:
    """Raises UsageError where a plan has nothing to do with the run in the workspace."""
    if state.plan is not None and plan.tasks and not any(state.agent_of(task.id) for task in plan.tasks):
        raise UsageError(
            f"{name} shares no task with the run {state.run} in this workspace; "
            "`run --new` archives that run and begins this plan"
        )


def refuse_bypass(plan: Plan, workers: Mapping[str, WorkerType], options: Options) -> None:
    """Raises UsageError where a plan asks for more than the command grants, or a worker type for more than a plan."""
    workers_of = [task for task in plan.tasks if task.cli == "claude"]
    sly = [task.id for task in workers_of if wants_bypass(task, workers[task.worker])]
    if sly:
        raise UsageError(
            f"{', '.join(sly[:5])}: the worker type asks for permission_mode bypassPermissions, which only the "
            "plan can give; write it in the task, or another mode"
        )
    asking = [task.id for task in workers_of if task.permission_mode == "bypassPermissions"]
    if asking and not options.allow_bypass:
        raise UsageError(
            f"{', '.join(asking[:5])}: permission_mode bypassPermissions lets a worker do anything on this machine; "
            "say --allow-bypass if that is what you want"
        )


def worker_types(workspace: Workspace, plan: Plan, project: Path, trusted: bool) -> dict[str, WorkerType]:
    """The worker types that a plan's tasks are written for.

    Raises:
        UsageError: the file of one is wrong.
    """
    from orchestrator.edges import workertypes

    names = {task.worker for task in plan.tasks if task.cli != "shell"}
    config = workertypes.config_folder(os.environ)
    return workertypes.load(workspace.templates, project, config, trusted=trusted).find(sorted(names))


def check_worker_types(workspace: Workspace, plan: Plan, here: Path) -> None:
    """Raises PlanError where the file of a worker type that a plan uses is wrong."""
    project = workspace.project_folder(here)
    try:
        worker_types(workspace, plan, project, claudefiles.trusted(project, os.environ))
    except UsageError as error:
        raise PlanError(str(error).split("\n")) from error


def all_worker_types(workspace: Workspace, project: Path, trusted: bool) -> dict[str, WorkerType]:
    """All worker types that there are; what is wrong with the file of one is told when a plan uses it."""
    from orchestrator.edges import workertypes

    known = workertypes.load(
        workspace.templates, project, workertypes.config_folder(os.environ), trusted=trusted
    )
    found: dict[str, WorkerType] = {}
    for name in known:
        with suppress(UsageError):
            found |= known.find([name])
    return found


def with_revisions(state: RunState, given: Plan | None, workspace: Workspace) -> tuple[Plan, Plan | None]:
    """The plan to go on with; and what the file says, where revisions have made that plan of it.

    Raises:
        UsageError: the tasks of the file were changed after revisions had changed the plan.
    """
    known = state.plan
    if given is None or known is None:
        plan = given or known
        assert plan is not None
        return plan, None
    if known == state.written or known.tasks == given.tasks:
        return given, None
    assert state.written is not None
    own = tuple(task for task in known.tasks if is_planning(task))
    if known.tasks[: -len(own) or None] == state.written.tasks:
        # Nothing but calls of ours was added: the file may change as if they were not there.
        return replace(given, tasks=(*given.tasks, *own)), given
    if given.tasks != state.written.tasks or given.request != state.written.request:
        raise UsageError(
            f"{workspace.plan_file} has other tasks than when run {state.run} began, and its plan was revised since; "
            "hand the change in with `revise FILE`, or begin anew with `run --new`"
        )
    return replace(given, tasks=known.tasks), given


def project_of(workspace: Workspace, state: RunState, here: Path) -> Path:
    """The folder in which a run's workers work.

    Raises:
        UsageError: its path is no text, or it is not there any more.
    """
    project = Path(state.project or os.path.realpath(workspace.project_folder(here)))
    refuse_unwritable(project)
    if state.project and not project.is_dir():
        raise UsageError(
            f"the project folder of run {state.run} is not there any more: {project}; put it back, or begin anew "
            "with `run --new`"
        )
    return project


def nothing_left(state: RunState) -> bool:
    """Whether a run has nothing to start, nothing running and nothing to check."""
    if state.plan is None or state.finished is None or state.running:
        return False
    if any(task.startable and task.task.cli != "session" for task in state.tasks):
        return False
    if state.doomed and any(not task.mark for task in state.doomed):
        return False
    if rounds.answered(state) or rounds.wanted(state, state.finished.time + LONG_SINCE):
        return False
    all_completed = rounds.all_completed(state)
    return not (all_completed and state.plan.verify and not (state.verified and state.verified.passed))


def learned(workspace: Workspace, state: RunState) -> Learned:
    """Durations from this run and the newest archived ones; an archive that cannot be read teaches nothing."""
    states = [state]
    for path in workspace.archived_journals()[:ARCHIVES_LEARNED_FROM]:
        try:
            states.append(journal.load(path))
        except (OrchestratorError, OSError):
            continue
    return learn(states)


def worker_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What workers inherit: all but the variables of a surrounding session or task."""
    return {
        name: value
        for name, value in environment.items()
        if name not in claude.SESSION_VARIABLES
        and not name.startswith(("ORCHESTRATE_INPUT_", "ORCHESTRATE_RESULT_"))
    }


def new_run_id(now: datetime) -> str:
    """Sorts by time, and no two are the same."""
    return f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def sweep(state: RunState) -> None:
    """Stop what workers of a run left behind out of sight: daemons that took no output file with them."""
    from orchestrator.edges.processtree import stop_now, table

    mine = f"{state.run}/"
    for marker in {entry.marker for entry in table().values() if entry.marker.startswith(mine)}:
        stop_now(marker)


class Run:
    """A run opened for writing, by whoever holds the workspace."""

    def __init__(
        self,
        workspace: Workspace,
        state: RunState,
        history: History,
        options: Options,
        listeners: Sequence[Listener] = (),
    ) -> None:
        from orchestrator.assignments import Assignments
        from orchestrator.attempts import Attempts
        from orchestrator.core.redaction import Redactor
        from orchestrator.dispatcher import Dispatcher
        from orchestrator.edges import machine
        from orchestrator.edges.processes import Processes
        from orchestrator.edges.views import Views
        from orchestrator.resultfiles import ResultFiles

        self.state, self.history, self.workspace, self.options = state, history, workspace, options
        self.clock = SteadyClock()
        self.planner: Any = None
        self.views = Views(workspace, history)
        self.journal = Journal(workspace.journal)
        self.processes = Processes(worker_environment(os.environ))
        redactor = Redactor(os.environ)
        self.results = ResultFiles(state, workspace, self.views, redactor)
        assignments = Assignments(state, workspace, self.views, options.program)
        attempts = Attempts(
            state, workspace, self.processes, assignments, self.results, self.clock, redactor, machine.slept
        )
        self.dispatcher = Dispatcher(
            state, self.journal, workspace, self.processes, attempts, self.results, self.views, self.clock,
            listeners=(history.take, *listeners),
            learned=learned(workspace, state),
            parallelism=options.parallelism,
            budget=options.budget,
            cores=machine.cores(),
            memory=machine.available_memory,
            zone=machine.local_zone(),
        )  # fmt: skip

    def begin(self, project: Path) -> None:
        """Record that this dispatcher begins the run, or takes it up again."""
        held_since = self.workspace.lock_file.stat().st_mtime_ns
        for order in inbox.orders(self.workspace.inbox):
            if order.order == "stop" and inbox.handed_in_at(self.workspace.inbox, order) < held_since:
                # It was meant for a dispatcher that is gone.
                inbox.taken(self.workspace.inbox, order)
        stamp = self.dispatcher.stamp()
        stamp |= {"pid": os.getpid(), "version": __version__}
        stamp |= {"parallelism": self.options.parallelism, "budget_usd": self.options.budget}
        if self.state.run:
            self.dispatcher.record(RunResumed(**stamp))
        else:
            run = self.workspace.lost_run() or new_run_id(datetime.fromtimestamp(self.clock(), UTC))
            self.workspace.note_run(run)
            self.dispatcher.record(RunStarted(**stamp, run=run, project=str(project)))
        self.dispatcher.commit()

    def accept(self, plan: Plan, workers: Sequence[WorkerType], written: Plan | None = None) -> None:
        """Take a plan in, if it or its worker types differ from those that hold.

        Args:
            written: what the file says, where revisions have made `plan` of it.
        """
        if plan != self.state.plan or {worker.name: worker for worker in workers} != self.state.workers:
            self.dispatcher.accept(plan, workers, written)

    def retry_failed(self) -> list[str]:
        """Fresh attempts for all that failed or is blocked; their ids."""
        from orchestrator.core.events import TaskRetried

        names = rounds.to_retry(self.state)
        for name in names:
            if self.state.by_id[name].mark in ("failed", "blocked"):
                self.dispatcher.record(TaskRetried(**self.dispatcher.stamp(), task=name))
        self.dispatcher.commit()
        return names

    def go(self) -> int:
        """Run to the end, heeding signals; the exit status of the run."""
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        self.processes.watch(reader)
        with _heeding(self.dispatcher.interrupt, reader, writer):
            status = self.dispatcher.run()
            sweep(self.state)
        self.write_views()
        return status

    def write_views(self) -> None:
        """Every view as it stands at the end."""
        now = datetime.fromtimestamp(self.clock(), UTC)
        views = self.views
        wrong = complaints(
            self.restore_results,
            lambda: views.previewed or views.preview(self.state),
            lambda: views.refresh(self.state, now),
            lambda: views.final(self.state, now),
        )
        for said in wrong:
            click.echo(f"orchestrate: {said}", err=True)

    def restore_results(self) -> None:
        """Write result files again that were removed by hand, or lost."""
        for task in self.state.tasks:
            if task.mark in ("completed", "failed", "blocked"):
                self.results.restore_lost(task)

    def close(self) -> None:
        """Let go of the journal."""
        self.journal.close()


@contextmanager
def _heeding(interrupt: Callable[[], None], reader: int, writer: int) -> Iterator[None]:
    """Signals that ask for an end wake the loop. Set explicitly: a background shell hands SIGINT down ignored.

    SIGHUP ignored is what `nohup` is for.
    """

    def handle(_number: int, _frame: Any) -> None:
        interrupt()

    wanted = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        wanted.append(signal.SIGHUP)
    before = {number: signal.signal(number, handle) for number in wanted}
    old = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(old)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reader)
        os.close(writer)


def load(workspace: Workspace) -> tuple[RunState, History]:
    """State and history of the run in a workspace; empty ones where there is none."""
    history = History()
    with explained(f"cannot read {workspace.journal}"):
        state = journal.load(workspace.journal, history.note)
    state.project = workspace.project_now(state.project)
    return state, history


def unfinished(state: RunState) -> bool:
    """Whether there is a run here whose tasks have not all ended."""
    return bool(state.tasks) and any(task.mark not in ENDED for task in state.tasks)
