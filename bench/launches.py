"""What the dispatcher adds to a real worker: CPU per launch, its whole attempt, against that of the program itself."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import realwork
from api_answers import text
from claude_program import NEWEST
from figures import Figure
from lab import Lab, middle
from messages_api import MessagesApi

FEW, MANY, MANY_QUICK = 2, 34, 4
LARGEST_PART = 2.0
"""Percent of the CPU of a worker that is answered once."""

TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cpu:
    """Seconds of CPU of a process, and of all children that it waited for."""

    own: float
    children: float


def measure(lab: Lab) -> Iterator[Figure]:
    """Milliseconds a launch, ours and the worker's: what a run of many takes more than one of few."""
    if not sys.platform.startswith("linux"):
        yield Figure("left out: only /proc tells the CPU of a process apart from that of its children", 0, "")
        return
    many = MANY_QUICK if lab.quick else MANY
    versions = realwork.installed()
    if not versions:
        yield realwork.left_out()
    for version in versions[:1] if lab.quick else versions:
        looks = [(_run(lab, version, FEW), _run(lab, version, many)) for _ in range(lab.repeats)]
        ours = tuple(1000 * (more.own - less.own) / (many - FEW) for less, more in looks)
        theirs = tuple(1000 * (more.children - less.children) / (many - FEW) for less, more in looks)
        parts = tuple(100 * one / other for one, other in zip(ours, theirs, strict=True))
        head = f"{realwork.cli_version(version)}, {many} workers"
        yield Figure(f"{head}: CPU of the program", middle(theirs), "ms", samples=theirs)
        yield Figure(f"{head}: CPU of the dispatcher for each", middle(ours), "ms", samples=ours)
        aim = LARGEST_PART if version == NEWEST else None
        yield Figure(f"{head}: our part", middle(parts), "%", aim, parts)
        once = tuple(1000 * less.own for less, _ in looks)
        yield Figure(
            f"{head}: CPU of a whole run of {FEW}, python included", middle(once), "ms", samples=once
        )


def _run(lab: Lab, version: str, count: int) -> Cpu:
    tasks = [realwork.a_task(f"T-{number:02}") for number in range(1, count + 1)]
    with MessagesApi(text("Done.")) as api, realwork.project(lab, api, tasks, version) as run:
        process = run.start("run", "plan.yaml")
        spent = at_the_end(process)
        done = run.finish(process)
        realwork.check(run, done.status, done.err)
        return spent


def at_the_end(process: subprocess.Popen[str]) -> Cpu:
    """What a process took, once it has ended and before anybody has waited for it."""
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    words = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    user, system, user_children, system_children = (int(word) / TICK for word in words[11:15])
    return Cpu(user + system, user_children + system_children)
