"""`demo`: a real plan on real files, with no account; it looks for the places of a folder worth attention."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import yaml

from orchestrator import running
from orchestrator.edges.workspace import Workspace
from orchestrator.errors import OrchestratorError, PlanError, UsageError

NAME = ".orchestrator-demo"
SCRIPTS = Path(__file__).parent / "demo"


def run(named: Path | None, folder: Path | None, cli: str, program: str | None, here: Path) -> int:
    """Begin the demo afresh in its own workspace, run it, and say where its files are."""
    target = Path(os.path.realpath(here / folder)) if folder else repository()
    if not target.is_dir():
        raise UsageError(f"{target} is not a folder")
    workspace = Workspace.find(named or Path(NAME), here)
    _begin_afresh(workspace)
    plan = workspace.root / "plan.yaml"
    plan.write_text(yaml.safe_dump(_plan(cli), sort_keys=False, allow_unicode=True), encoding="utf-8")
    options = running.Options(claude=program)
    status = running.run(workspace, running.Asked(options=options), target)
    click.echo(f"plan:      {workspace.plan_file}")
    click.echo(f"status:    {workspace.master_plan}")
    click.echo(f"results:   {workspace.root / 'results'}")
    click.echo(f"ranking:   {workspace.final_output}")
    return status


def repository() -> Path:
    """The repository that this package stands in, or its own folder where it was installed by itself."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "templates").is_dir() else Path(__file__).resolve().parent


def _begin_afresh(workspace: Workspace) -> None:
    """Remove the demo's own earlier files; what is not the demo's is not ours to remove."""
    from orchestrator import runs

    root = workspace.root
    if root.exists() and any(root.iterdir()) and not workspace.lock_file.exists():
        raise UsageError(f"{root} is not a workspace; name another with --workspace DIR")
    with runs.held(workspace):
        if root.name != NAME and _is_of_another(workspace):
            raise UsageError(f"{root} is the workspace of another plan; name another with --workspace DIR")
        _stop_workers(workspace)
        for path in root.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path != workspace.lock_file:
                path.unlink()
        workspace.create()


def _is_of_another(workspace: Workspace) -> bool:
    from orchestrator.edges.planfile import read_plan

    if not workspace.plan_file.exists():
        return workspace.journal.exists() or workspace.archive.exists()
    try:
        return bool(read_plan(workspace.plan_file).request != _plan("shell")["request"])
    except PlanError:
        return True


def _stop_workers(workspace: Workspace) -> None:
    """Workers of a demo that was killed would go on unseen."""
    from orchestrator import runs
    from orchestrator.edges import journal

    with suppress(OrchestratorError):
        if (state := journal.load(workspace.journal)).run:
            runs.sweep(state)


def _plan(cli: str) -> dict[str, Any]:
    plan: dict[str, Any] = yaml.safe_load((SCRIPTS / "plan.yaml").read_text(encoding="utf-8"))
    defaults = plan.setdefault("defaults", {})
    if cli == "shell":
        defaults["inputs"] = {"python": sys.executable, "scripts": str(SCRIPTS)}
        return plan
    defaults |= {
        "cli": "claude",
        "worker": "code-analyzer",
        "tools": ["Read", "Grep", "Glob"],
        "timeout": "20m",
    }
    for task in plan["tasks"]:
        task.pop("run", None)
    return plan
