"""`install --check`: whether an installation is whole, and works when it is started."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from orchestrator import __version__, pathcommand, skillfiles
from orchestrator.core.text import listed
from orchestrator.errors import EnvironmentProblem
from orchestrator.exits import ENVIRONMENT, FAILED
from orchestrator.installing import AGAIN, Places, rule

DIFFERS = FAILED
"""The exit status where something is not as it was installed."""

PATIENCE = 60.0
"""Seconds for a command that prints its help: a machine that takes longer cannot work with it."""


class Finding(Struct, frozen=True):
    """One thing looked at; `status` is the exit status that it asks for, 0 where it is good."""

    name: str
    status: int
    text: str


def examine(where: Places, variables: Mapping[str, str]) -> Iterator[Finding]:
    """All findings; those after the first only where something is installed."""
    skill = where.skill
    if not skill.exists():
        what = f"the link {skill} leads nowhere" if skill.is_symlink() else f"nothing is at {skill}"
        yield Finding("skill", DIFFERS, f"{what}; type: orchestrate install")
        return
    yield from _files(skill)
    yield _packages(skill, variables)
    yield _command(where, variables)
    yield Finding("permission rule", 0, f"{rule(where)} for {where.settings}")


def _files(skill: Path) -> Iterator[Finding]:
    try:
        manifest = None if skill.is_symlink() else skillfiles.read_manifest(skill)
    except EnvironmentProblem as error:
        yield Finding("skill", ENVIRONMENT, str(error))
        return
    if manifest is None:
        how = f"is a link to {skill.resolve()}" if skill.is_symlink() else "was put there by other means"
        good = skillfiles.is_skill(skill)
        yield Finding("skill", 0 if good else ENVIRONMENT, f"{skill} {how if good else 'is not this skill'}")
        return
    same = manifest.version == __version__
    hint = "" if same else f"; this program is {__version__}: orchestrate install renews it"
    yield Finding("skill", 0 if same else DIFFERS, f"{manifest.version} at {skill}{hint}")
    found = skillfiles.differences(skill, manifest)
    if found.missing:
        yield Finding("missing files", DIFFERS, f"{listed(found.missing)}; {AGAIN} renews them")
    if found.changed:
        yield Finding("changed files", DIFFERS, f"{listed(found.changed)}; {AGAIN} renews them")
    if not found.missing and not found.changed:
        own = f"; yours: {listed(found.added)}" if found.added else ""
        yield Finding("files", 0, f"all {len(manifest.files)} as they were installed{own}")


def _packages(skill: Path, variables: Mapping[str, str]) -> Finding:
    """Whether the installed program starts, with nothing installed for it on the way."""
    said = _said([pathcommand.interpreter(), str(skill / skillfiles.ENTRY), "status", "--help"], variables)
    if "Usage: orchestrate" in said:
        return Finding("packages", 0, "there: the program starts")
    return Finding(
        "packages", ENVIRONMENT, f"{said or 'the program says nothing'}; type: orchestrate install"
    )


def _command(where: Places, variables: Mapping[str, str]) -> Finding:
    found, path = pathcommand.first(where.search), where.command
    if found is None:
        missing = not path.exists()
        what = (
            f"{path} is not there; type: orchestrate install"
            if missing
            else f"{path.parent} is not on the PATH"
        )
        return Finding("command", DIFFERS if missing else ENVIRONMENT, what)
    if not pathcommand.is_ours(found):
        return Finding("command", ENVIRONMENT, f"{found} is another program; put {path.parent} before it")
    there = pathcommand.leads_to(found)
    if there and not there.exists():
        return Finding(
            "command", DIFFERS, f"{found} leads to {there}, which is gone; type: orchestrate install"
        )
    said = _said([str(found), "--version"], variables)
    if not said.startswith("orchestrate "):
        return Finding("command", ENVIRONMENT, f"{found} does not start: {said}")
    return Finding("command", 0, f"{found} leads to {there}" if there else f"{found} is that of a package")


def _said(command: list[str], variables: Mapping[str, str]) -> str:
    """What a command prints; why it could not, where it fails."""
    try:
        done = subprocess.run(
            command,
            env={**variables, "ORCHESTRATE_NO_SETUP": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return (done.stderr if done.returncode else done.stdout).partition("\n")[0].removeprefix("orchestrate: ")
