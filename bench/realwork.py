"""Runs of real workers for the measurements: the pinned claude programs of the tests against their scripted API."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from claude_program import FOLDER_VARIABLE, VERSIONS, is_there
from figures import Figure
from lab import CommandFailed, Lab
from messages_api import MessagesApi
from realclaude import RealProject

_numbers = itertools.count(1)


def installed() -> list[str]:
    """The pinned versions that are there, the newest first."""
    return [version for version in VERSIONS if is_there(version)]


def left_out() -> Figure:
    """Says that nothing was measured, and what helps."""
    return Figure(f"left out: no claude program (run tests/check.py, or set {FOLDER_VARIABLE})", 0, "")


def a_task(name: str, **more: Any) -> dict[str, Any]:
    """A task for a real worker."""
    return {"id": name, "title": f"work on {name}", "description": f"Do the work of {name}.", **more}


@contextmanager
def project(
    lab: Lab,
    api: MessagesApi,
    tasks: Sequence[Mapping[str, Any]],
    version: str,
    login: Literal["key", "token"] = "key",
    **plan: Any,
) -> Iterator[RealProject]:
    """A project folder of its own with a plan; whatever its run leaves behind is ended."""
    folder = lab.folder / f"real-{next(_numbers):04d}"
    folder.mkdir()
    found = RealProject(folder, api, version, login, **_kept(lab))
    # One further up must not be found.
    found.workspace.mkdir()
    found.plan(*map(dict, tasks), **plan)
    try:
        yield found
    finally:
        found.clear()


def completed(run: RealProject) -> float:
    """Run the plan to its end; the seconds that it took.

    Raises:
        CommandFailed: not every task was completed.
    """
    begin = time.monotonic()
    done = run.run()
    seconds = time.monotonic() - begin
    check(run, done.status, done.err)
    return seconds


def check(run: RealProject, status: int | None, said: str) -> None:
    """See that a run did its work.

    Raises:
        CommandFailed: not every task was completed.
    """
    if status != 0 or set(run.statuses().values()) != {"completed"}:
        raise CommandFailed(f"run exited with {status}: {said[-400:].strip()}")


def outcomes(run: RealProject) -> list[str]:
    """The outcome of every attempt that was not a success."""
    ends = [event["outcome"] for event in run.events("AttemptFinished")]
    return [outcome for outcome in ends if outcome != "success"]


def cli_version(version: str) -> str:
    """How a version is called in a figure."""
    return f"claude {version}"


def in_git(run: RealProject, message: str) -> None:
    """Make the project folder a git repository with one commit; where there is no git it stays as it is."""
    who = ("-c", "user.name=bench", "-c", "user.email=bench@example.invalid")
    for words in (["init", "-q"], [*who, "commit", "-q", "--allow-empty", "-m", message]):
        try:
            subprocess.run(
                ["git", *words], cwd=run.folder, env=run.environment, check=False, capture_output=True
            )
        except FileNotFoundError:
            return


def _kept(lab: Lab) -> dict[str, str]:
    return {"PYTHONPYCACHEPREFIX": lab.environment["PYTHONPYCACHEPREFIX"]}
