"""What this machine has for its workers: processor cores and free memory, as this process may use them; its zone.

In a container or a systemd unit both are less than the machine has: the limits of the control groups (versions 1
and 2) count, those of the groups above ours too.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo

FIRST_WORKER = 300_000_000
"""Bytes that the first claude process takes (305 MB measured)."""

NEXT_WORKER = 100_000_000
"""Bytes that each further one takes: most of the program is shared between them (95 to 100 MB measured)."""

UNLIMITED = 1 << 60
"""Bytes: what version 1 shows where nothing is limited is the largest number of whole pages."""

UTC_NAMES = ("UTC", "Etc/UTC", "GMT")
"""Known also where no database of zones is installed, as in small containers, which are in this zone."""

LONGEST_FILE = 1 << 14
"""Bytes: files of /proc and of control groups are shorter."""


def cores(root: str = "") -> int:
    """Processor cores that this process may use, at least 1; `root` stands before /proc and /sys."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for folder in _groups(root, "cpu") if (quota := _quota(folder)) is not None]
    return max(1, min([allowed, *quotas]))


def available_memory(root: str = "") -> int | None:
    """Bytes that new processes can take without swapping, None where nobody tells; 40 µs on Linux.

    `root` stands before /proc and /sys.
    """
    if not sys.platform.startswith("linux"):
        import psutil

        return int(psutil.virtual_memory().available)
    known = [room for folder in _groups(root, "memory") if (room := _room(folder)) is not None]
    kibibytes = _field(_read(f"{root}/proc/meminfo"), b"MemAvailable:")
    if kibibytes is not None:
        known.append(kibibytes * 1024)
    return min(known, default=None)


def slept() -> float:
    """Seconds that this machine has slept since it was started; 0 where nobody tells."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
    if (awake := getattr(time, "CLOCK_UPTIME_RAW", None)) is not None:
        return time.clock_gettime(time.CLOCK_MONOTONIC) - time.clock_gettime(awake)
    return 0.0


def workers_that_fit(memory: int) -> int:
    """How many claude processes fit into so many bytes at once; 0 where not even the first does."""
    return 0 if memory < FIRST_WORKER else 1 + (memory - FIRST_WORKER) // NEXT_WORKER


def local_zone(environment: Mapping[str, str] = os.environ, root: str = "") -> tzinfo:
    """The time zone of this machine: that of `TZ`, else of /etc/localtime, else the offset that holds now.

    `root` stands before /etc.
    """
    from zoneinfo import ZoneInfo

    if (name := environment.get("TZ")) is not None:
        found = named_zone(name.removeprefix(":") or "UTC")
    else:
        try:
            with open(f"{root}/etc/localtime", "rb") as file:
                found = ZoneInfo.from_file(file)
        except (OSError, ValueError):
            found = None
    return found or datetime.now().astimezone().tzinfo or UTC


def named_zone(name: str) -> tzinfo | None:
    """The zone with a name such as `Europe/Berlin`, if this machine knows it."""
    if name in UTC_NAMES:
        return UTC
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # An OSError: the name of a folder of the database on some systems, or one too long for a file.
        return None


def _groups(root: str, controller: str) -> list[str]:
    """The folders that may limit us, from our own control group up to the top one.

    A container often shows the path that its group has outside; there only the top folder exists.
    """
    found = []
    for line in _read(f"{root}/proc/self/cgroup").decode("utf-8", "replace").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controller in controllers.split(","):
            top = f"{root}/sys/fs/cgroup/{controller}"
        elif number == "0":
            top = f"{root}/sys/fs/cgroup"
        else:
            continue
        parts = [part for part in path.split("/") if part not in ("", "..")]
        found += ["/".join((top, *parts[:depth])) for depth in range(len(parts), -1, -1)]
    return found


def _quota(folder: str) -> int | None:
    """Whole cores that the group may use at once, if that is limited."""
    if words := _read(f"{folder}/cpu.max").split():
        limit, period = words[0], words[-1]
    else:
        limit, period = _read(f"{folder}/cpu.cfs_quota_us"), _read(f"{folder}/cpu.cfs_period_us")
    quota, length = _number(limit), _number(period)
    return quota // length if quota and length else None


def _room(folder: str) -> int | None:
    """Bytes that the group may still take, if that is limited; what it holds of files can be dropped at need."""
    limit = _number(_read(f"{folder}/memory.max"))
    if limit is not None:
        used, droppable = _number(_read(f"{folder}/memory.current")), b"inactive_file"
    else:
        limit = _number(_read(f"{folder}/memory.limit_in_bytes"))
        if limit is None or limit >= UNLIMITED:
            return None
        used, droppable = _number(_read(f"{folder}/memory.usage_in_bytes")), b"total_inactive_file"
    cached = _field(_read(f"{folder}/memory.stat"), droppable) or 0
    return max(0, limit - max(0, (used or 0) - cached))


def _field(text: bytes, name: bytes) -> int | None:
    """The number behind a name at the beginning of a line."""
    _, found, rest = (b"\n" + text).partition(b"\n" + name + b" ")
    return _number(rest.split(None, 1)[0]) if found and rest.strip() else None


def _number(text: bytes) -> int | None:
    """A number of none or more; `max` and -1 say that there is no limit."""
    text = text.strip()
    return int(text) if text.isdigit() else None


def _read(path: str) -> bytes:
    """A small file of the kernel's, at a third of the cost of a file object; nothing where there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, LONGEST_FILE)
    except OSError:
        return b""
    finally:
        os.close(descriptor)
