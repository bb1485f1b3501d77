"""`cli: shell`: the task's `run`, executed by the system shell in the project folder."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from orchestrator.core.plan import Task, variable_name

SHELL = "/bin/sh"

# The task's text is read from a file, in a shell of its own: `exit`, `exec`, traps and syntax errors end that
# one, and the outer shell still writes the status, as its last act. Where the disk is full by then, the name of
# the file that it cannot fill tells the status: a new name takes no room.
WRAPPER = (
    '( set --; . "$0" ); s=$?; umask 077; { echo $s > "$1" || mv -f "$1" "$1-$s"; } 2> /dev/null; exit $s'
)


def command(script: str, status: str) -> tuple[str, ...]:
    """The command line of an attempt; `script` holds the task's `run`, `status` receives its exit status."""
    return (SHELL, "-c", WRAPPER, script, status)


def environment(task: Task, results: Mapping[str, str]) -> dict[str, str]:
    """Inputs as `ORCHESTRATE_INPUT_<NAME>`, result files of the `needs` as `ORCHESTRATE_RESULT_<TASK>`."""
    inputs = {f"ORCHESTRATE_INPUT_{variable_name(name)}": text for name, text in task.inputs.items()}
    return inputs | {f"ORCHESTRATE_RESULT_{variable_name(name)}": path for name, path in results.items()}


def exit_status(text: bytes) -> int | None:
    """What the wrapper wrote; None where it had not finished writing."""
    return int(text) if re.fullmatch(rb"[0-9]{1,3}\n", text) else None


def status_in_name(names: Iterable[str]) -> int | None:
    """What the wrapper said by the name of a file, among those in an attempt's folder; None where it did not."""
    found = (re.fullmatch("status-([0-9]{1,3})", name) for name in names)
    return next((int(match[1]) for match in found if match), None)
