"""What the commands of several modules have in common: options, the workspace they are for, answers in JSON."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from orchestrator.edges.workspace import Workspace

json_option = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
ascii_option = click.option("--ascii", "ascii_only", is_flag=True, help="No icons.")
program_option = click.option("--claude", "program", metavar="PATH", help="The claude program.")


class _Dollars(click.FloatRange):
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Money that can be counted: `nan` and `inf` are no bound at all."""
        amount = super().convert(value, param, ctx)
        if not math.isfinite(amount):
            self.fail(f"{value!r} is not an amount of money.", param, ctx)
        return amount


DOLLARS = _Dollars(0, min_open=True)


def workspace_of(context: click.Context) -> Workspace:
    """The workspace that a command is for.

    Raises:
        UsageError: it cannot be one.
    """
    from orchestrator.edges.workspace import Workspace

    return Workspace.find(context.obj, Path.cwd())


def print_json(value: Any) -> None:
    """An answer in JSON on stdout, indented, for people read it too."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))
