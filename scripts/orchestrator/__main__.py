"""The console script `orchestrate`, and `python -m orchestrator`."""

from __future__ import annotations

import errno
import gc
import io
import os
import stat
import sys
from contextlib import suppress

from orchestrator import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    # `--version` is answered without it.
    from typing import Any, TextIO

ENVIRONMENT = 5
"""The exit status for trouble with the machine, as everywhere."""

OBJECTS_TO_LOOK_AMONG = 25_000
"""New objects after which Python looks for garbage: at its own 700, importing takes a tenth longer for nothing."""


def main() -> None:
    """Runs the command line; `--version` alone is answered without importing what the commands need."""
    open_what_is_closed()
    sys.stdout, sys.stderr = outlasting(sys.stdout), outlasting(sys.stderr)
    status = flushed(_tell_version() if sys.argv[1:] == ["--version"] else _run())
    # Else Python looks through all objects once more at its end: 10 ms, where a person waits for 60.
    gc.freeze()
    sys.exit(status)


def _tell_version() -> int:
    with suppress(OSError):
        print(f"orchestrate {__version__}", flush=True)
        return 0
    return ENVIRONMENT


def _run() -> int:
    gc.set_threshold(OBJECTS_TO_LOOK_AMONG)
    from orchestrator.commands import main as run

    return run()


def open_what_is_closed() -> None:
    """Give a process that was started without standard streams, by cron say, empty ones.

    Where a terminal has no sign for a character, its code is shown.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


class Outlasting(io.FileIO):
    """An output whose reader may go: what is written then is lost, and the command goes on to its own exit status.

    The command line's library would end it with 1 wherever it was. A reader that is slow is waited for, also where
    somebody who shares the output has made it one that does not wait.
    """

    def write(self, data: Any, /) -> int:
        """The bytes that are done with."""
        try:
            while (done := super().write(data)) is None:
                _await_room(self)
            return done
        except OSError as error:
            if error.errno == errno.EPIPE or (error.errno == errno.EIO and _is_terminal(self)):
                return len(data)
            raise


def _is_terminal(output: io.FileIO) -> bool:
    """Whether an output is, or was, a terminal: one that was closed answers to nothing any more."""
    return stat.S_ISCHR(os.fstat(output.fileno()).st_mode)


def _await_room(output: io.FileIO) -> None:
    import select

    waiting = select.poll()
    waiting.register(output, select.POLLOUT)
    waiting.poll()


def outlasting(stream: TextIO) -> TextIO:
    """The same output, which a reader may leave."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(Outlasting(stream.fileno(), "wb", closefd=False)),
        stream.encoding,
        stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def flushed(status: int) -> int:
    """The exit status, once all output is out: a full disk changes it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            status = status or ENVIRONMENT
    return status


if __name__ == "__main__":
    main()
