"""`status` on the journal of a large run that has ended."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from figures import Figure
from lab import Lab, middle, rounds

if TYPE_CHECKING:
    from orchestrator.core import events

SECONDS, MEGABYTES = 1.0, 100.0

BATCH = 1000
"""Events that are written together."""


def measure(lab: Lab) -> Iterator[Figure]:
    """Seconds and peak memory of `status` and `status --json`; half of the tasks took two attempts."""
    tasks = 10_000 if lab.quick else 100_000
    here = lab.fresh()
    events = write(here / ".orchestrator" / "journal.jsonl", tasks)
    ways = {"status": ("status",), "status --json": ("status", "--json")}
    contenders = {way: partial(lab.orchestrate, *told, here=here) for way, told in ways.items()}
    for way, spent in rounds(contenders, lab.repeats).items():
        where = f"{way}, {tasks:,} tasks, {events:,} events"
        times = tuple(one.seconds for one in spent)
        yield Figure(f"{where}: time", middle(times), "s", None if lab.quick else SECONDS, times)
        peaks = tuple(one.peak_mb for one in spent)
        yield Figure(f"{where}: peak memory", middle(peaks), "MB", None if lab.quick else MEGABYTES, peaks)


def write(path: Path, tasks: int) -> int:
    """A journal of `tasks` completed tasks, every other one at its second attempt; how many events it has."""
    from orchestrator.core import events
    from orchestrator.edges.journal import HEADER

    path.parent.mkdir(parents=True, exist_ok=True)
    lines: list[bytes] = [HEADER]
    written = 0
    with path.open("wb") as file:
        for event in _told(tasks):
            lines.append(events.encode(event) + b"\n")
            written += 1
            if len(lines) >= BATCH:
                file.writelines(lines)
                lines.clear()
        file.writelines(lines)
    return written


def _told(tasks: int) -> Iterator[events.Event]:
    from orchestrator.core import events
    from orchestrator.core.plan import Plan, Task

    now = datetime(2025, 3, 1, tzinfo=UTC)
    plan = Plan(
        request="measure a large journal",
        tasks=tuple(
            Task(id=f"T-{n}", title=f"Convert the file of customer {n}", run=f"convert {n}", cli="shell")
            for n in range(tasks)
        ),
    )
    yield events.RunStarted(seq=1, time=now, run="r-1", project="/project", pid=4242, version="0.1.0")
    yield events.PlanAccepted(seq=2, time=now, plan=plan)
    seq = 3
    for number in range(tasks):
        outcomes = ("error", "success") if number % 2 else ("success",)
        for attempt, outcome in enumerate(outcomes, 1):
            now += timedelta(milliseconds=70)
            yield events.AttemptStarted(seq=seq, time=now, task=f"T-{number}", attempt=attempt, cli="shell")
            yield _finished(seq + 1, now + timedelta(seconds=2.5), number, attempt, outcome)
            seq += 2
    yield events.RunFinished(seq=seq, time=now, exit=0, reason="completed")


def _finished(seq: int, now: datetime, number: int, attempt: int, outcome: str) -> events.AttemptFinished:
    from orchestrator.core import events

    good = outcome == "success"
    return events.AttemptFinished(
        seq=seq,
        time=now,
        task=f"T-{number}",
        attempt=attempt,
        outcome=outcome,
        reason="" if good else "exit status 1: no connection to the database",
        exit=0 if good else 1,
        seconds=2.5,
        result=f"{number:032x}",
        summary=f"converted {number} records of customer {number}, none was refused" if good else "",
        whole=True,
    )
