"""The console script `orchestrate`, and `python -m orchestrator`."""

from __future__ import annotations

import errno
import gc
import os
import sys

from orchestrator import __version__

ENVIRONMENT = 5
"""The exit status for trouble with the machine, as everywhere."""

OBJECTS_TO_LOOK_AMONG = 25_000
"""New objects after which Python looks for garbage: at its own 700, importing takes a tenth longer for nothing."""


def main() -> None:
    """Runs the command line; `--version` alone is answered without importing what the commands need."""
    if sys.argv[1:] == ["--version"]:
        print(f"orchestrate {__version__}")
        return
    open_what_is_closed()
    gc.set_threshold(OBJECTS_TO_LOOK_AMONG)
    from orchestrator.commands import main as run

    status = flushed(run())
    # Else Python looks through all objects once more at its end: 10 ms, where a person waits for 60.
    gc.freeze()
    sys.exit(status)


def open_what_is_closed() -> None:
    """Give a process that was started without standard streams, by cron say, empty ones."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")


def flushed(status: int) -> int:
    """The exit status, once all output is out: a reader that has gone changes nothing, a full disk does."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            if error.errno != errno.EPIPE:
                status = status or ENVIRONMENT
    return status


if __name__ == "__main__":
    main()
