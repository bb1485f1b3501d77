"""`doctor`: what a run needs of this machine and its workspace, looked at one thing at a time.

A finding that is not good says what to do. What is good enough to run, but may surprise, is said and stays good.
"""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from msgspec import Struct

from orchestrator import claudeprogram, progress, runs
from orchestrator.core.events import Event
from orchestrator.core.governor import STARTS_PER_CORE
from orchestrator.core.plan import Limits
from orchestrator.core.rundocument import run_state
from orchestrator.core.state import RunState
from orchestrator.edges import claudefiles, journal, machine, processtree
from orchestrator.edges.claudefiles import Login
from orchestrator.edges.workspace import Workspace
from orchestrator.errors import OrchestratorError

LEAST_DISK = 200 << 20
"""Bytes: a long run of talkative workers writes this much."""

USUAL_WORKERS = Limits().parallelism
"""With room for fewer, a plan that says nothing gets too many."""

EARLIEST_YEAR = 2024
"""Before it nothing of this existed: a clock that shows an earlier year was never set."""

CLOCK_STEP = timedelta(minutes=2)
"""What clocks of machines that share a folder may differ by; more means that this one was set back."""

MOST_NAMED = 5
"""Processes that one finding lists."""


class Finding(Struct, frozen=True):
    """One thing looked at; `text` says what to do where it is not good."""

    name: str
    good: bool
    text: str


def examine(workspace: Workspace, named: str | None) -> list[Finding]:
    """All findings, in the order in which they should be mended; `named` is the claude program, if one was."""
    environment = runs.worker_environment(os.environ)
    record = Record(workspace)
    return [
        *_python(),
        *_claude(named, workspace.project_folder(Path.cwd()), environment),
        _git(),
        *_places(workspace),
        memory(machine.available_memory()),
        cores(machine.cores()),
        clock(datetime.now().astimezone(), record.last),
        *record.findings(),
    ]


def _python() -> Iterator[Finding]:
    version = platform.python_version()
    yield Finding("python", sys.version_info >= (3, 11), f"{version} at {sys.executable}")
    able = hasattr(os, "posix_spawn")
    text = "can be started in sessions of their own" if able else "needs Linux, macOS or WSL"
    yield Finding("processes", able, text)


def _claude(named: str | None, project: Path, environment: Mapping[str, str]) -> Iterator[Finding]:
    try:
        path = claudeprogram.find(named)
        program = claudeprogram.look(path, project, environment)
    except OrchestratorError as error:
        yield Finding("claude", False, f"{error} (plans of shell tasks run without it)")
        return
    lacks = claudeprogram.lacks(program)
    without = f"; it lacks {', '.join(lacks)}, which a newer one has (claude update)" if lacks else ""
    yield Finding("claude", True, f"{program.text} at {path}{without}")
    if damage := claudefiles.damage(project, environment):
        yield Finding("login", False, damage)
        return
    try:
        yield login(claudeprogram.login(path, project, environment))
    except OrchestratorError as error:
        yield Finding("login", False, str(error))


def login(found: Login) -> Finding:
    """Whether workers can log in, and who pays for them."""
    if found.payer == "none":
        return Finding(
            "login", False, "not logged in; run `claude` and type /login, or set ANTHROPIC_API_KEY"
        )
    if found.overrides:
        return Finding("login", True, f"{found.sentence}; take it away to use the subscription")
    before = found.payer == "api key" and found.source != "/login"
    return Finding(
        "login", True, found.sentence + ("; it would come before a subscription" if before else "")
    )


def _git() -> Finding:
    found = shutil.which("git")
    return Finding("git", True, found or "not installed; not needed to run plans")


def _places(workspace: Workspace) -> Iterator[Finding]:
    place = next(folder for folder in (workspace.root, *workspace.root.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    enough = free >= LEAST_DISK
    text = f"{free >> 20} MiB free at {place}"
    yield Finding("disk", enough, text if enough else f"{text}; free some: a full disk stops a run")
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        text = f"{place} cannot be written, or not be locked ({error.strerror}); choose --workspace DIR"
        yield Finding("workspace folder", False, text)
    else:
        yield Finding("workspace folder", True, f"{place} can be written and locked")


def memory(available: int | None) -> Finding:
    """Whether workers find room; `available` in bytes."""
    if available is None:
        first, others = machine.FIRST_WORKER // 1_000_000, machine.NEXT_WORKER // 1_000_000
        return Finding(
            "memory", True, f"not known how much is free; a first worker takes {first} MB, others {others} MB"
        )
    fit = machine.workers_that_fit(available)
    text = f"{available // 1_000_000} MB free; workers that fit at once: {fit}"
    if not fit:
        return Finding("memory", False, f"{text}; end other programs, or give this machine more")
    return Finding("memory", True, text if fit >= USUAL_WORKERS else f"{text}; run with --parallelism {fit}")


def cores(count: int) -> Finding:
    """How many workers can start at once."""
    return Finding("cores", True, f"{count}: at most {count * STARTS_PER_CORE} workers start at once")


def clock(now: datetime, last: datetime | None) -> Finding:
    """Whether the clock can be right, with the time of the journal's last event, if there is one."""
    shown = f"{now:%Y-%m-%d %H:%M:%S} {now.tzname()}"
    if now.year < EARLIEST_YEAR:
        return Finding("clock", False, f"{shown} cannot be; set the clock: limits reset by it")
    if last is not None and last > now + CLOCK_STEP:
        text = f"{shown} is before the journal's last event ({last.astimezone(now.tzinfo):%Y-%m-%d %H:%M:%S})"
        return Finding("clock", False, f"{text}; it was set back: set it right, limits reset by it")
    return Finding("clock", True, shown)


class Record:
    """What the workspace holds of runs; its journal is read once, as far as that can be done."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._state = RunState()
        self._problem = ""
        self.last: datetime | None = None
        try:
            self._state = journal.load(workspace.journal, self._note)
        except OrchestratorError as error:
            self._problem = str(error)
        except OSError as error:
            self._problem = f"{workspace.journal} cannot be read ({error.strerror}); mend that first"

    def _note(self, event: Event) -> None:
        self.last = event.time

    def findings(self) -> Iterator[Finding]:
        """The journal, who holds the workspace, and processes that were left behind."""
        try:
            holder = journal.holder(self._workspace.lock_file)
        except OSError as error:
            text = f"{self._workspace.lock_file} cannot be opened ({error.strerror}); mend that first"
            yield Finding("dispatcher", False, text)
            return
        yield self._journal(holder)
        yield Finding("dispatcher", True, "none is at work" if holder is None else f"at work, pid {holder}")
        markers = {pid: entry.marker for pid, entry in processtree.table().items() if entry.marker}
        goes_on = run_state(self._state, holder) in ("running", "interrupted")
        yield attempts(markers, self._runs(), self._state.run if goes_on else "", holder is not None)

    def _journal(self, holder: int | None) -> Finding:
        if self._problem:
            return Finding("journal", False, self._problem)
        if not self._state.run:
            return Finding("journal", True, "nothing has been run here yet")
        standing = run_state(self._state, holder)
        hint = f"; go on with: {progress.to_run()}" if standing == "interrupted" else ""
        return Finding("journal", True, f"run {self._state.run} is {standing}{hint}")

    def _runs(self) -> set[str]:
        archived = self._workspace.archived_journals()
        return {path.parent.name for path in archived} | ({self._state.run} if self._state.run else set())


def attempts(markers: Mapping[int, str], ours: Iterable[str], current: str, held: bool) -> Finding:
    """Processes of attempts that nobody will ever take up.

    Args:
        markers: the attempt, RUN/TASK.N, of each process that has one, by pid.
        ours: the runs of this workspace; those of others are not ours to judge.
        current: the run that goes on, or can; nothing where there is none.
        held: whether a dispatcher is at work.
    """
    runs_of = {pid: marker.partition("/")[0] for pid, marker in markers.items()}
    left = sorted(pid for pid, run in runs_of.items() if run in ours and run != current)
    if left:
        pids = " ".join(map(str, left[:MOST_NAMED]))
        more = f" and {len(left) - MOST_NAMED} more" if len(left) > MOST_NAMED else ""
        return Finding("attempts", False, f"processes of a run that is over still live: kill {pids}{more}")
    living = {marker for pid, marker in markers.items() if current and runs_of[pid] == current}
    if living and not held:
        text = f"{len(living)} go on without a dispatcher; take them up with: {progress.to_run()}"
        return Finding("attempts", True, text)
    return Finding("attempts", True, f"{len(living)} at work" if living else "none left behind")
