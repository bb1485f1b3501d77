"""Every error that a user can meet.

OrchestratorError            1
├── UsageError               2   a wrong word on the command line, an unknown task
├── PlanError                2   a plan file with problems; carries all of them
├── JournalError             2   a journal that cannot be read
├── ImpossibleEvent          2   an event that contradicts the journal; tells the task's story
├── EnvironmentProblem       5   this machine: a program missing, a disk full, a folder read-only
└── WorkspaceHeld            6   another dispatcher holds the workspace

The number is the exit status (see `exits.py`); `commands.py` is the only place that turns an error into one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from orchestrator import exits


class OrchestratorError(Exception):
    """Base of all errors; its text is what the user reads."""

    exit_code: ClassVar[int] = exits.FAILED


class UsageError(OrchestratorError):
    """The command cannot be carried out as typed."""

    exit_code = exits.USAGE


class PlanError(OrchestratorError):
    """A plan file with one or more problems, each a line of its own."""

    exit_code = exits.USAGE

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


class JournalError(OrchestratorError):
    """The journal cannot be read; nothing was changed."""

    exit_code = exits.USAGE


class ImpossibleEvent(OrchestratorError):
    """An event that cannot follow what the journal says."""

    exit_code = exits.USAGE


class EnvironmentProblem(OrchestratorError):
    """Something of this machine stands in the way."""

    exit_code = exits.ENVIRONMENT


class WorkspaceHeld(OrchestratorError):
    """Another process writes this workspace."""

    exit_code = exits.HELD
