"""`doctor`: what a run needs of this machine, looked at one thing at a time."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from orchestrator import progress, runs
from orchestrator.core.text import one_line
from orchestrator.edges import journal
from orchestrator.edges.workspace import Workspace
from orchestrator.errors import OrchestratorError

LEAST_DISK = 200 << 20
"""Bytes: a long run of talkative workers writes this much."""

VERSION_SECONDS = 20.0
"""What `claude --version` may take; it takes a tenth of a second where all is well."""


class Finding(Struct, frozen=True):
    """One thing looked at; `text` says what to do where it is not good."""

    name: str
    good: bool
    text: str


def examine(workspace: Workspace, program: str | None) -> list[Finding]:
    """All findings, in the order in which they should be mended."""
    return [*_machine(), _claude(program), _git(), *_disk(workspace), _journal(workspace)]


def _machine() -> Iterator[Finding]:
    version = platform.python_version()
    yield Finding("python", sys.version_info >= (3, 11), f"{version} at {sys.executable}")
    yield Finding(
        "processes",
        hasattr(os, "posix_spawn"),
        "can be started in sessions of their own"
        if hasattr(os, "posix_spawn")
        else "needs Linux, macOS or WSL",
    )


def _claude(named: str | None) -> Finding:
    try:
        program = runs.find_claude(named)
    except OrchestratorError as error:
        return Finding("claude", False, f"{error} (plans of shell tasks run without it)")
    try:
        done = subprocess.run(
            [program, "--version"], capture_output=True, encoding="utf-8", errors="replace",
            timeout=VERSION_SECONDS, stdin=subprocess.DEVNULL, env=runs.worker_environment(os.environ), check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("claude", False, f"{program} does not run ({error}); install it again")
    if done.returncode:
        return Finding("claude", False, f"{program} --version ended with {done.returncode}; install it again")
    return Finding("claude", True, f"{one_line(done.stdout)} at {program}{_billing()}")


def _billing() -> str:
    if os.environ.get("ANTHROPIC_API_KEY"):
        return "; ANTHROPIC_API_KEY is set: workers bill it, also where you have a subscription"
    return ""


def _git() -> Finding:
    found = shutil.which("git")
    return Finding("git", True, found or "not installed; not needed to run plans")


def _disk(workspace: Workspace) -> Iterator[Finding]:
    place = next(folder for folder in (workspace.root, *workspace.root.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    enough = free >= LEAST_DISK
    text = f"{free >> 20} MiB free at {place}"
    yield Finding("disk", enough, text if enough else f"{text}; free some: a full disk stops a run")
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        yield Finding(
            "workspace folder", False, f"{place} cannot be written ({error.strerror}); choose --workspace DIR"
        )
    else:
        yield Finding("workspace folder", True, f"{place} can be written")


def _journal(workspace: Workspace) -> Finding:
    if not Path(workspace.journal).exists():
        return Finding("journal", True, "nothing has been run here yet")
    try:
        state = journal.load(workspace.journal)
    except OrchestratorError as error:
        return Finding("journal", False, str(error))
    except OSError as error:
        return Finding(
            "journal", False, f"{workspace.journal} cannot be read ({error.strerror}); mend that first"
        )
    alive = journal.holder(workspace.lock_file)
    described = f"run {state.run} is {progress.run_state(state, alive)}"
    if progress.run_state(state, alive) == "interrupted":
        described += f"; go on with: {progress.ours('run')}"
    return Finding("journal", True, described)
