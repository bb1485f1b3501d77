"""Plans with tasks for a session, and what it hands in."""

from __future__ import annotations

from typing import Any

from project import Project


def session(name: str, **more: Any) -> dict[str, Any]:
    """A task for a session."""
    return {"id": name, "title": name, "description": f"do {name}", "cli": "session", **more}


def plan(project: Project, *tasks: dict[str, Any]) -> None:
    """Write the plan of the workspace."""
    project.workspace.mkdir(exist_ok=True)
    project.plan(*tasks, name=".orchestrator/plan.yaml")


def hand_in(project: Project, text: str | bytes = "all is well") -> str:
    """A file with a result; its name."""
    (project.folder / "result.md").write_bytes(text if isinstance(text, bytes) else text.encode())
    return "result.md"
