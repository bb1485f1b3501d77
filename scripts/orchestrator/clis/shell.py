"""`cli: shell`: the task's `run`, executed by the system shell in the project folder."""

from __future__ import annotations

import re
from collections.abc import Mapping

from orchestrator.core.plan import Task, variable_name

SHELL = "/bin/sh"

# The task's text is read from a file, in a shell of its own: `exit`, `exec`, traps and syntax errors end that
# one, and the outer shell still writes the status, as its last act.
WRAPPER = '( set --; . "$0" ); s=$?; umask 077; echo $s > "$1"; exit $s'


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
