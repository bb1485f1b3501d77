"""Workers of a model CLI on a `Stage`: what they say, and what they are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fakes import Act, Stage, stream, task

from orchestrator.core.plan import Task


def worker(name: str, needs: str = "", **fields: Any) -> Task:
    return task(name, needs, cli="claude", run="", description=f"Do {name}", **fields)


def said(**fields: Any) -> Act:
    """A worker whose last line is changed by `fields`."""
    return Act(stdout=stream(**fields), exit=1 if fields.get("is_error") else 0)


def options(stage: Stage, key: str) -> dict[str, str]:
    argv = stage.processes.commands[key]
    return dict(word[2:].partition("=")[::2] for word in argv if word.startswith("--"))


def given(stage: Stage, key: str) -> str:
    return Path(f"{stage.workspace.root}/attempts/{key}/prompt.md").read_text(encoding="utf-8")
