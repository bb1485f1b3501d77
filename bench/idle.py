"""What the dispatcher takes while it only waits: CPU and memory beside sixteen busy workers."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import programs
from figures import Figure
from lab import ORCHESTRATE, CommandFailed, Lab, middle, said

WORKERS = 16
SETTLE = 2.0
"""Seconds until all workers have started."""

MS_PER_SECOND, MS_PER_SECOND_LIVE, MEGABYTES = 2.0, 20.0, 45.0
WINDOW = struct.pack("HHHH", 50, 120, 0, 0)


@dataclass(frozen=True)
class Look:
    """CPU of a process so far, in ms, and its memory now, in MB."""

    at: float
    cpu_ms: float
    resident_mb: float


def measure(lab: Lab) -> Iterator[Figure]:
    """Both kinds of worker without a terminal, and the live table in one."""
    if not sys.platform.startswith("linux"):
        yield Figure("left out: only /proc tells the CPU of another process finely enough", 0, "")
        return
    seconds = 6 if lab.quick else 20
    for cli, live in (("claude", False), ("shell", False), ("claude", True)):
        program = lab.program(
            f"chatter-{cli}", programs.CHATTER, SECONDS=seconds + 4, AS_CLAUDE=int(cli == "claude")
        )
        if program is None:
            return
        looks = [_watched(lab, cli, program, seconds, live=live) for _ in range(lab.repeats)]
        where = f"{WORKERS} workers, cli: {cli}{', live table' if live else ''}"
        loads = tuple(load for load, _ in looks)
        target = MS_PER_SECOND_LIVE if live else MS_PER_SECOND
        yield Figure(f"{where}: CPU per second", middle(loads), "ms/s", target, loads)
        sizes = tuple(size for _, size in looks)
        yield Figure(f"{where}: memory", middle(sizes), "MB", MEGABYTES, sizes)


def _watched(lab: Lab, cli: str, program: Path, seconds: int, *, live: bool) -> tuple[float, float]:
    """CPU ms per second, and MB, of a dispatcher while its workers write a line per second each."""
    here = lab.fresh()
    what = f"run: {program}" if cli == "shell" else "description: go on"
    tasks = "".join(f"  - id: T-{number}\n    {what}\n" for number in range(WORKERS))
    head = f"request: measure\nlimits: {{parallelism: {WORKERS}}}\ndefaults: {{cli: {cli}}}\ntasks:\n"
    (here / "plan.yaml").write_text(head + tasks, encoding="utf-8")
    environment = {**lab.environment, "ORCHESTRATE_CLAUDE": str(program), "TERM": "xterm-256color"}
    command = [sys.executable, str(ORCHESTRATE), "run", "plan.yaml"]
    with (here / "stdout").open("wb") as out, (here / "stderr").open("wb") as err:
        screen, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, WINDOW)
        ends = (terminal, terminal, terminal) if live else (subprocess.DEVNULL, out, err)
        child = subprocess.Popen(
            command, cwd=here, env=environment, stdin=ends[0], stdout=ends[1], stderr=ends[2]
        )
        os.close(terminal)
        try:
            _drain(screen, SETTLE)
            first = look(child.pid)
            _drain(screen, seconds)
            last = look(child.pid)
            _drain(screen, None)
        finally:
            os.close(screen)
        if child.wait() != 0:
            raise CommandFailed(f"run exited with {child.returncode}: {said(here / 'stderr')}")
    return (last.cpu_ms - first.cpu_ms) / (last.at - first.at), last.resident_mb


def _drain(screen: int, seconds: float | None) -> None:
    """Read what is drawn, as a terminal does, for some time or until nobody draws any more."""
    until = None if seconds is None else time.monotonic() + seconds
    while until is None or time.monotonic() < until:
        patience = None if until is None else max(0.0, until - time.monotonic())
        if select.select([screen], [], [], patience)[0]:
            try:
                os.read(screen, 65536)
            except OSError:
                # Nobody has the terminal open. Without the live table that is so from the start.
                if until is not None:
                    time.sleep(max(0.0, until - time.monotonic()))
                return


def look(pid: int) -> Look:
    """CPU, to the microsecond, and memory of a process."""
    cpu = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        cpu += int((thread / "schedstat").read_text(encoding="ascii").split()[0])
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return Look(time.monotonic(), cpu / 1e6, pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
