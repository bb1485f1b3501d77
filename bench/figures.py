"""What a measurement says: values with their targets, for people and as JSON, and on which machine."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SYNCS = 50
AUTOGROUP = Path("/proc/sys/kernel/sched_autogroup_enabled")


@dataclass(frozen=True)
class Figure:
    """One measured value.

    `target` is the most it may be, in the same unit; None: stated for comparison. `samples` are the values
    that `value` is the median of.
    """

    what: str
    value: float
    unit: str
    target: float | None = None
    samples: tuple[float, ...] = ()
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None where there is none."""
        return None if self.target is None else self.value <= self.target

    def line(self) -> str:
        """For people: what, value, target, verdict, samples."""
        aim = "" if self.target is None else f"at most {shown(self.target)}"
        verdict = {None: "", True: "met", False: "NOT MET"}[self.met]
        samples = f"({' '.join(shown(s) for s in self.samples)})" if len(self.samples) > 1 else ""
        words = f"  {self.what:<66}{shown(self.value):>8} {self.unit:<5}{aim:<15}{verdict:<9}"
        return f"{words}{'  '.join(part for part in (samples, self.note) if part)}".rstrip()

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        return {**asdict(self), "met": self.met}


def shown(value: float) -> str:
    """Enough digits to tell a met target from one just missed."""
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"


def machine(folder: Path) -> dict[str, Any]:
    """Cores, Python, kernel, load, what one synced write to `folder` takes in ms, and whether Linux autogroups.

    With autogroups every session has an equal share of the processors: a dispatcher whose workers have sessions
    of their own waits longer for its turn than xargs, whose children share its own, wherever cores are scarce.
    """
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
        "kernel": f"{platform.system()} {platform.release()}",
        "load": round(os.getloadavg()[0], 2),
        "sync_ms": round(1000 * sync_seconds(folder), 3),
        "autogroup": AUTOGROUP.is_file() and AUTOGROUP.read_text(encoding="ascii").strip() == "1",
    }


def sync_seconds(folder: Path) -> float:
    """Median seconds of appending a line to a file and syncing it."""
    taken = []
    descriptor = os.open(folder / "synced", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for _ in range(SYNCS):
        begin = time.perf_counter()
        os.write(descriptor, b"x" * 200 + b"\n")
        os.fsync(descriptor)
        taken.append(time.perf_counter() - begin)
    os.close(descriptor)
    return sorted(taken)[SYNCS // 2]
