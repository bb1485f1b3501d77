"""What one event costs while running, by the size of the plan: in process, and in a real run.

In the real run the plan is mostly tasks that the dispatcher never launches (`cli: session`): they are there,
and what is measured is the same number of tasks in either plan.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import programs
from figures import Figure
from lab import Lab, middle, rounds

if TYPE_CHECKING:
    from orchestrator.core.events import AttemptFinished
    from orchestrator.core.plan import Plan

TARGET = 1.5
SLOTS = 16
LEAST_EVENTS = 20_000
"""Events in one sample: small plans are run again until they have had as many."""

START = datetime(2025, 3, 1, tzinfo=UTC)
WAITING_FOR_A_PERSON = 3


def measure(lab: Lab) -> Iterator[Figure]:
    """CPU seconds per event of 100 tasks and 100,000; wall seconds of 1,000 tasks alone and among many."""
    small, large = (100, 10_000) if lab.quick else (100, 100_000)
    sizes = {"small": lambda: folded(small), "large": lambda: folded(large)}
    found = rounds(sizes, max(3, lab.repeats))
    yield _compared("fold and decide in process", small, large, found)
    some = 300 if lab.quick else 1000
    runs = {"small": lambda: real(lab, some, some), "large": lambda: real(lab, some, large)}
    yield _compared(f"a real run of {some:,} tasks", some, large, rounds(runs, lab.repeats))


def _compared(what: str, small: int, large: int, found: dict[str, list[float]]) -> Figure:
    few, many = found["small"], found["large"]
    samples = tuple(more / less for less, more in zip(few, many, strict=True))
    note = f"{1e6 * middle(few):.1f} and {1e6 * middle(many):.1f} µs"
    return Figure(
        f"{what}, {large:,} against {small:,} in the plan", middle(samples), "x", TARGET, samples, note
    )


def folded(tasks: int) -> float:
    """CPU seconds per event of a simulated run: decide, record starts, record an end, decide again."""
    spent, events = 0.0, 0
    while events < LEAST_EVENTS:
        taken, counted = _simulated(tasks)
        spent, events = spent + taken, events + counted
    return spent / events


def _simulated(tasks: int) -> tuple[float, int]:
    from orchestrator.core.events import AttemptStarted, PlanAccepted, RunStarted
    from orchestrator.core.scheduler import Finish, Launch, Scheduler
    from orchestrator.core.state import RunState

    state = RunState()
    state.apply(RunStarted(seq=1, time=START, run="r-1", project="/p", pid=1, version="0"))
    state.apply(PlanAccepted(seq=2, time=START, plan=_plan(tasks)))
    scheduler = Scheduler(state, parallelism=SLOTS)
    running: deque[str] = deque()
    now = START
    begin = time.process_time()
    while True:
        now += timedelta(milliseconds=50)
        for action in scheduler.decide(now.timestamp()):
            match action:
                case Launch(task=name, attempt=number):
                    state.apply(
                        AttemptStarted(seq=state.seq + 1, time=now, task=name, attempt=number, cli="shell")
                    )
                    running.append(name)
                case Finish():
                    return time.process_time() - begin, state.seq - 2
        name = running.popleft()
        state.apply(_finished(state.seq + 1, now, name))


def _finished(seq: int, now: datetime, name: str) -> AttemptFinished:
    from orchestrator.core.events import AttemptFinished

    return AttemptFinished(
        seq=seq, time=now, task=name, attempt=1, outcome="success", seconds=0.5, result=name
    )


def _plan(tasks: int) -> Plan:
    from orchestrator.core.plan import Plan, Task

    return Plan(
        request="measure",
        tasks=tuple(
            Task(id=f"T-{n}", cli="shell", run="true", needs=tuple(f"T-{n - b}" for b in (17, 40) if n >= b))
            for n in range(tasks)
        ),
    )


def real(lab: Lab, count: int, total: int) -> float:
    """Wall seconds per event from the first start to the last end of `count` tasks in a plan of `total`."""
    program = lab.program("nothing", programs.NOTHING) or "true"
    here = lab.fresh()
    tasks = [{"id": f"T-{n}", "cli": "shell", "run": str(program)} for n in range(count)]
    ballast = [{"id": f"S-{n}", "cli": "session", "title": "later"} for n in range(total - count)]
    plan = {"request": "measure", "limits": {"parallelism": SLOTS}, "tasks": tasks + ballast}
    (here / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    lab.orchestrate("run", "plan.json", here=here, exits=(0, WAITING_FOR_A_PERSON))
    with (here / ".orchestrator" / "journal.jsonl").open(encoding="utf-8") as lines:
        found = [json.loads(line)["time"] for line in lines if line.startswith('{"type":"Attempt')]
    times = [datetime.fromisoformat(told).timestamp() for told in found]
    return (max(times) - min(times)) / len(times)
