"""Whole runs with the stand-in that plans badly (`scheming.py`), and what is looked at afterwards."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from project import Done, Project

SCHEMING = Path(__file__).resolve().parent / "scheming.py"
LIMITS = {"budget_usd": 1, "max_tasks": 12, "max_rounds": 4, "max_growth": 4}


def scheme(project: Project, name: str, **more: Any) -> None:
    """A plan without tasks, for a planner that behaves so."""
    project.environment |= {"ORCHESTRATE_CLAUDE": str(SCHEMING), "SCHEME": name}
    limits = LIMITS | more.pop("limits", {})
    project.plan(**{"replan": "auto", "limits": limits, **more})


def play(project: Project, name: str, **more: Any) -> Done:
    """A whole run with such a planner."""
    scheme(project, name, **more)
    return project.run()


def started(project: Project) -> Counter[str]:
    """How many attempts of each task were begun."""
    return Counter(line.split()[1] for line in project.noted("start"))


def made(project: Project) -> list[str]:
    """The tasks that are no planning calls and were begun."""
    return sorted(name for name in started(project) if name.startswith("T-"))


def why(project: Project) -> str:
    """The reason for which the run ended."""
    return str(project.events("RunFinished")[-1]["reason"])


def refused(project: Project) -> str:
    """All that was refused, in one text."""
    return "\n".join(line for event in project.events() for line in event.get("refused", ()))


def row(project: Project, task: str) -> str:
    """The line about a task in `status`."""
    return next(line for line in project.do("status").out.splitlines() if line.startswith(f"  {task} "))


def master_plan(project: Project) -> str:
    """The view."""
    return (project.workspace / "master_plan.md").read_text()


@pytest.fixture(autouse=True)
def nothing_is_done_twice(project: Project) -> Any:
    """Whatever a test did, another `run` begins nothing and says the same."""
    yield
    before, ended = project.noted("start"), project.events("RunFinished")
    again = project.run()
    assert again.status == ended[-1]["exit"]
    assert project.noted("start") == before
    assert project.document()["run"]["cost_usd"] <= LIMITS["budget_usd"]
