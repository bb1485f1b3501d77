"""What attempts say in tests of how they are judged."""

from __future__ import annotations

from typing import Any

from orchestrator.core.evidence import Ending, Evidence, Said
from orchestrator.core.plan import Task
from orchestrator.core.verdict import judge

LIMIT = "You've hit your session limit · resets 3:45pm"
LOGIN = "Not logged in · Please run /login"
CREDIT = "Credit balance is too low"

TIMES = {"timeout": "5m", "idle_timeout": "2m"}


def command(**fields: Any) -> Task:
    """A task that is one shell command."""
    return Task(id="a", **{"cli": "shell", "run": "make a", **TIMES} | fields)


def work(**fields: Any) -> Task:
    """A task of a claude worker."""
    return Task(id="a", **{"description": "x", **TIMES} | fields)


SHELL = command()


def says(text: str = "Done.", **fields: Any) -> Said:
    """What a worker writes in a run that goes well, but for `fields`."""
    well: dict[str, Any] = {"started": True, "ended": True, "subtype": "success", "turns": 3, "tool_calls": 2}
    return Said(**(well | fields), text=text)


def failed(text: str, status: int | None = None, **fields: Any) -> Said:
    """What a worker writes whose request was refused for good."""
    return says(text, is_error=True, status=status, **fields)


def ruling(ending: Ending, said: Said | None = None, one: Task | None = None, **evidence: Any) -> str:
    """Outcome and reason of an attempt, as one text."""
    one = one or (SHELL if said is None else work())
    found = judge(one, Evidence(ending, said, **evidence))
    return f"{found.outcome}: {found.reason}".removesuffix(": ")
