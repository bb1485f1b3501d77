"""The signals of one attempt: what it is judged by."""

from __future__ import annotations

import signal as signals
from datetime import datetime
from typing import Literal

from msgspec import Struct

from orchestrator.core.report import Report

SIGNALLED = {128 + number: number for number in (1, 2, 9, 15)}
"""The exit statuses of a program that a signal ended and that says so itself, by the habit of shells."""


class Ending(Struct, frozen=True):
    """How the process of an attempt ended.

    `exit` is its status, negative for the signal that killed it, None when nobody saw it. `stopped` says why
    the dispatcher stopped it, where it did.
    """

    exit: int | None = None
    stopped: Literal["", "timeout", "stalled", "interrupted", "cancelled"] = ""

    @property
    def signal(self) -> int:
        """The number of the signal that killed it, 0 where none did."""
        if self.exit is None:
            return 0
        return -self.exit if self.exit < 0 else SIGNALLED.get(self.exit, 0)


class Said(Struct, frozen=True):
    """What a model CLI wrote about its own run; `ended` is whether it wrote a last line at all.

    `answered`: the model said something. `denials` are written as permission rules would be:
    `Bash(npm test)`, `Edit(//srv/a.txt)`. `wrote` are the paths of its own Write and Edit calls that were
    carried out. `structured` is the structured output as JSON text, "" where there is none. `cost_usd` is the
    total that its last line names; `own_cost_usd` the part of this process alone, None where the program does
    not tell it apart. `models` are dollars by model, of the same total; `own_models` of the part of this process.
    """

    started: bool = False
    answered: bool = False
    ended: bool = False
    is_error: bool = False
    subtype: str = ""
    status: int | None = None
    api_error: str = ""
    turns: int | None = None
    tool_calls: int = 0
    open_tool_call: bool = False
    denials: tuple[str, ...] = ()
    text: str = ""
    structured: str = ""
    wrote: tuple[str, ...] = ()
    cost_usd: float = 0.0
    own_cost_usd: float | None = None
    models: dict[str, float] = {}
    own_models: dict[str, float] = {}
    input_tokens: int = 0
    output_tokens: int = 0
    model: str = ""
    session: str | None = None
    until: datetime | None = None


class Check(Struct, frozen=True):
    """One `verify` command: exit status (None: it had to be stopped) and the end of what it printed."""

    command: str
    exit: int | None
    output: str = ""

    @property
    def passed(self) -> bool:
        """Whether it exited with status 0."""
        return self.exit == 0


class Evidence(Struct, frozen=True):
    """All signals of one attempt. `said` is None for a CLI that says nothing about itself."""

    ending: Ending
    said: Said | None = None
    complaint: str = ""
    """The last line of stderr, for the reason's sake."""
    artifact_problems: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    schema_problem: str = ""
    """What is wrong with the structured output by the task's `output_schema`."""
    outside: tuple[str, ...] = ()
    """Files that it changed itself, outside of the task's `writes`; relative to the project folder."""
    meanwhile: tuple[str, ...] = ()
    """Other files outside of them that changed while it was alone in the project folder, through commands, say."""
    report: Report | None = None
    """What the worker reported, None where it did not."""
    resumed: bool = False
    """Whether it was to continue an earlier session."""
    cost_usd: float = 0.0
    """Dollars that this attempt alone has cost; 0.0 where nothing tells."""


def signal_name(number: int) -> str:
    """`SIGKILL` for 9."""
    try:
        return signals.Signals(number).name
    except ValueError:
        return f"signal {number}"


def how_it_failed(check: Check, timeout: str = "") -> str:
    """How a `verify` command failed, in words; `timeout` is the task's, which it shares with the worker."""
    if check.exit is None:
        return f"had to be stopped{f' at the timeout of {timeout}' if timeout else ''}"
    if check.exit < 0:
        return f"killed by {signal_name(-check.exit)}"
    meaning = _MEANINGS.get(check.exit, "")
    return f"{meaning} (exit status {check.exit})" if meaning else f"exit status {check.exit}"


# POSIX, Shell Command Language, 2.8.2 "Exit Status for Commands".
_MEANINGS = {126: "it cannot be executed", 127: "the command was not found"}
