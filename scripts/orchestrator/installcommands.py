"""The commands `install` and `uninstall`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.options import print_json

if TYPE_CHECKING:
    from orchestrator.installing import Places

ENDS = """\b
Exit codes:
  0    installed; with --check: all is as it was installed, and works
  1    with --check: not installed, or files differ; `install` mends it
  2    bad usage
  5    the environment: no space, a foreign folder of that name, no packages, the command out of reach
"""


def _scope(command: Callable[..., Any]) -> Callable[..., Any]:
    user = click.option("--user", "scope", flag_value="user", default=True, help="For you (default).")
    project = click.option("--project", "scope", flag_value="project", help="For the current folder alone.")
    return user(project(command))


@click.command(epilog=ENDS)
@_scope
@click.option("--link", is_flag=True, help="Link the clone that this is, instead of copying it.")
@click.option("--check", "only_check", is_flag=True, help="Change nothing; say whether all is in order.")
@click.option("--json", "as_json", is_flag=True, help="With --check: answer in JSON.")
def install(scope: str, link: bool, only_check: bool, as_json: bool) -> int:
    """Put the skill where Claude Code finds it, with its packages and the command orchestrate.

    Again, it renews what is there: an older copy is replaced at one stroke, what you changed in it is kept.
    """
    from orchestrator import installing, skillfiles

    if only_check:
        return _check(_places(scope), as_json)
    packages = os.environ.get("ORCHESTRATE_NO_SETUP", "0") in {"", "0"}
    done = installing.install(skillfiles.source(), _places(scope), link=link, packages=packages)
    for line in done.lines:
        click.echo(line)
    for note in done.notes:
        click.echo(f"orchestrate: {note}", err=True)
    return 0


@click.command()
@_scope
def uninstall(scope: str) -> int:
    """Remove what install put there, and nothing that you changed or added. Workspaces stay."""
    from orchestrator import installing

    for line in installing.uninstall(_places(scope)):
        click.echo(line)
    return 0


def _places(scope: str) -> Places:
    from orchestrator import installing

    return installing.places(os.environ, Path.cwd() if scope == "project" else None)


def _check(where: Places, as_json: bool) -> int:
    from orchestrator import skillcheck

    findings = list(skillcheck.examine(where, os.environ))
    status = max(finding.status for finding in findings)
    if as_json:
        print_json({"healthy": not status, "findings": findings})
    else:
        for finding in findings:
            click.echo(f"{'BAD' if finding.status else 'ok '} {finding.name}: {finding.text}")
    return status


COMMANDS = (install, uninstall)
