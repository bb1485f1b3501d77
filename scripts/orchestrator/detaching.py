"""How a dispatcher goes on in a process of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from orchestrator.errors import EnvironmentProblem

MOST_DESCRIPTORS = 65_536


def detach(log: Path) -> Callable[[int, str], None] | int:
    """Go on in a process that no terminal, shell or caller can take down with it.

    In that process: returns a function to tell the caller how the start went (exit status, text), once. In the
    calling one: waits for that, shows it, and returns the status.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        with open(reader, encoding="utf-8") as told:
            status, _, text = told.read().partition(" ")
        os.waitpid(child, 0)
        if text:
            print(text, file=sys.stdout if status == "0" else sys.stderr, flush=True)
        return int(status) if status else EnvironmentProblem.exit_code
    os.setsid()
    if os.fork():
        os._exit(0)
    os.close(reader)
    os.set_inheritable(writer, False)
    null = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    sys.stdout.flush()
    sys.stderr.flush()
    for descriptor, number in ((null, 0), (output, 1), (output, 2)):
        os.dup2(descriptor, number)
    # Whatever else the caller left open: whoever reads the other end of it would wait for the run.
    os.closerange(3, writer)
    os.closerange(writer + 1, MOST_DESCRIPTORS)

    def tell(status: int, text: str) -> None:
        nonlocal writer
        if writer >= 0:
            os.write(writer, f"{status} {text}".encode())
            os.close(writer)
            writer = -1

    return tell
