"""The process table: who lives, since when, and which processes belong to one attempt's tree.

A tree is known by `ORCHESTRATE_ATTEMPT` in the environment, which all descendants inherit.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

MARKER = "ORCHESTRATE_ATTEMPT"

GRACE_TERMINATE = 1.0
"""Seconds between SIGTERM and SIGKILL for all that is left of a tree."""

LOOK_AGAIN = 0.02
"""Seconds between two looks at a tree that is being stopped; one look takes 1 to 2 ms."""


LOOKS_AT_ENVIRONMENT, LOOK_AGAIN_AT_ENVIRONMENT = 10, 0.0005
"""Looks at an environment that is empty, and seconds between them: for a moment it is so in every process that
becomes another program."""


class Entry(NamedTuple):
    """One line of the process table; `marker` is the value of ORCHESTRATE_ATTEMPT, or ''."""

    parent: int
    session: int
    ticks: int
    marker: str


def send(number: int, pids: Iterable[int]) -> None:
    """Signal processes; those that are gone already are as good as signalled."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def group_lives(group: int) -> bool:
    """Whether a process group has any member left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@cache
def boot_id() -> str:
    """Names this boot of the machine."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        import psutil

        return str(int(psutil.boot_time()))


def start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot (`/proc/PID/stat`, field 22); None if it is gone."""
    if not sys.platform.startswith("linux"):
        return _psutil_ticks(pid)
    try:
        fields = _read(f"/proc/{pid}/stat").rsplit(b")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return None if fields[0] in b"ZX" else int(fields[19])


def ticks_now() -> int:
    """What the kernel notes as the start of a process that is made at this moment, as `start_ticks` gives it; or -1.

    Linux rounds the same clock down to ticks (`fs/proc/array.c`, `nsec_to_clock_t` of the boot time).
    """
    if not sys.platform.startswith("linux"):
        return -1
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK") // 10**9


def _read(path: str) -> bytes:
    """A small file of the kernel's, at half the cost of a file object: this is done at every launch."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 4096)
    finally:
        os.close(descriptor)


def lifetime(ticks: int) -> float:
    """Seconds since a start time as `start_ticks` gives it."""
    if not sys.platform.startswith("linux"):
        return max(0.0, time.time() - ticks / 100)
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))


def _psutil_ticks(pid: int) -> int | None:
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else int(process.create_time() * 100)
    except psutil.Error:
        return None


def table() -> dict[int, Entry]:
    """Every process that lives and that we may look into."""
    if not sys.platform.startswith("linux"):
        return _psutil_table()
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (entry := _entry(name)):
            found[int(name)] = entry
    return found


def _entry(pid: str) -> Entry | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rsplit(b")", 1)[1].split()
    except (OSError, IndexError):
        return None
    if fields[0] in b"ZX":
        return None
    parent, session, ticks = (int(fields[place]) for place in (1, 3, 19))
    return Entry(parent, session, ticks, _marker(pid, session, ticks))


_without: set[tuple[str, int]] = set()
"""Processes that have no environment: pid and start time."""


def _marker(pid: str, session: int, ticks: int) -> str:
    environ = _environ(pid)
    # The kernel's own processes have neither session nor environment.
    if environ == b"" and session and (pid, ticks) not in _without:
        for _ in range(LOOKS_AT_ENVIRONMENT):
            time.sleep(LOOK_AGAIN_AT_ENVIRONMENT)
            if environ := _environ(pid):
                break
        else:
            _without.add((pid, ticks))
    _, found, rest = (b"\0" + (environ or b"")).partition(b"\0" + MARKER.encode() + b"=")
    return os.fsdecode(rest.split(b"\0", 1)[0]) if found else ""


def _environ(pid: str) -> bytes | None:
    """None where we may not look, or it has gone."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return file.read()
    except OSError:
        return None


def _psutil_table() -> dict[int, Entry]:
    import psutil

    found = {}
    for process in psutil.process_iter(["pid", "ppid", "environ", "create_time", "status"]):
        known = process.info
        if known["status"] == psutil.STATUS_ZOMBIE:
            continue
        try:
            session = os.getsid(known["pid"])
        except OSError:
            session = 0
        marker = (known["environ"] or {}).get(MARKER, "")
        found[known["pid"]] = Entry(
            known["ppid"] or 0, session, int((known["create_time"] or 0) * 100), marker
        )
    return found


def members(marker: str, known: Iterable[tuple[int, int]] = (), leader: int = 0) -> dict[int, int]:
    """The living tree of an attempt, pid to start time.

    Members are the processes with its marker, those known from before, the children of members and the processes
    in a member's session, to a fixpoint. `leader` names the session that the attempt began with.
    """
    everyone = table()
    remembered = set(known)
    found = {
        pid
        for pid, entry in everyone.items()
        if entry.marker == marker or (pid, entry.ticks) in remembered or (leader and entry.session == leader)
    }
    ours = {os.getsid(0), 0}
    while True:
        sessions = {everyone[pid].session for pid in found} - ours
        more = {
            pid
            for pid, entry in everyone.items()
            if pid not in found and (entry.parent in found or entry.session in sessions)
        }
        if not more:
            return {pid: everyone[pid].ticks for pid in found if pid != os.getpid()}
        found |= more


def find_leader(marker: str) -> tuple[int, int] | None:
    """A worker whose pid was never written: the oldest process of its attempt, and leader of a session.

    None where the oldest leads no session: then the worker is dead, and a younger leader is a daemon of its own.
    """
    marked = [(entry.ticks, pid, entry.session) for pid, entry in table().items() if entry.marker == marker]
    ticks, pid, session = min(marked, default=(0, 0, 0))
    return (pid, ticks) if pid and pid == session else None


def stop_now(marker: str) -> int:
    """Stop what is left of an attempt that nobody waits for; how many processes that were."""
    left = members(marker)
    seen = set(left.items())
    for number in (signal.SIGTERM, *[signal.SIGKILL] * 50):
        if not left:
            break
        send(number, left)
        until = time.monotonic() + (GRACE_TERMINATE if number == signal.SIGTERM else LOOK_AGAIN)
        while left and time.monotonic() < until:
            time.sleep(LOOK_AGAIN / 2)
            left = members(marker, seen)
            seen |= set(left.items())
    return len(seen)
