"""What a plan will be like to run, and whether running it in parallel pays at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush

from msgspec import Struct

from orchestrator.core import graph
from orchestrator.core.apart import kept_apart
from orchestrator.core.plan import Plan

FEWEST_TASKS = 3
"""With fewer, the person who splits the work, starts it and reads the parts is slower than one worker."""

SHORT = 120.0
"""Seconds: a worker that is expected to be done sooner spends much of its time and tokens on its start."""

FEW_WORKERS = 6
"""With fewer than this many short tasks, one session does them before as many workers have been started and read."""

CLOSE = 0.8
"""A critical path of this share of all work leaves at most a quarter to gain, whatever the parallelism."""


class Outlook(Struct, frozen=True):
    """The shape of a plan; times in seconds, tasks by id; `overlaps` are pairs kept apart by their `writes` alone."""

    batches: list[list[str]]
    critical_path: list[str]
    critical_seconds: float
    work_seconds: float
    expected_seconds: float
    overlaps: list[tuple[str, str]]
    warnings: list[str]


def outlook(plan: Plan, weights: Sequence[float], parallelism: int | None = None) -> Outlook:
    """The outlook on running `plan`, whose tasks take `weights` seconds each."""
    ids = [task.id for task in plan.tasks]
    index = {name: i for i, name in enumerate(ids)}
    edges = [[index[name] for name in (*task.needs, *task.after)] for task in plan.tasks]
    depths = graph.batches(edges)
    writes = [task.writes for task in plan.tasks]
    batches: list[list[str]] = [[] for _ in range(max(depths, default=-1) + 1)]
    for i, depth in enumerate(depths):
        batches[depth].append(ids[i])
    path, length = graph.critical_path(edges, weights)
    slots = parallelism or plan.limits.parallelism
    expected = _makespan(edges, weights, slots)
    work = sum(weights)
    return Outlook(
        batches,
        [ids[i] for i in path],
        length,
        work,
        expected,
        [(ids[one], ids[other]) for one, other in kept_apart(writes, edges, depths)],
        [*_warnings(plan, length, work, expected, slots), *_short(plan, weights)],
    )


def _warnings(plan: Plan, critical: float, work: float, expected: float, slots: int) -> list[str]:
    found = []
    tasks = len(plan.tasks)
    linked = any(task.needs or task.after for task in plan.tasks)
    if tasks < FEWEST_TASKS:
        # A plan that grows begins small, and says nothing of how large it will be.
        if plan.replan == "off":
            noun = "task" if tasks == 1 else "tasks"
            found.append(f"only {tasks} {noun}: doing it directly is quicker than orchestrating it")
    elif work and critical >= CLOSE * work:
        found.append(
            f"parallel work does not pay: the critical path is {critical / work:.0%} of all work, "
            "so the tasks run one after another whatever the parallelism"
        )
    if slots == 1 and tasks > 1:
        found.append("parallelism is 1: nothing runs side by side")
    elif linked and tasks >= FEWEST_TASKS and expected > 1.5 * max(critical, work / slots):
        found.append(
            "the dependencies leave workers idle: the plan takes over half as long again as its work would"
        )
    return found


def _short(plan: Plan, weights: Sequence[float]) -> Iterator[str]:
    """Whether all workers have so little to do that starting them is most of it; a type not known is never short."""
    workers = [taken for task, taken in zip(plan.tasks, weights, strict=True) if task.cli == "claude"]
    if len(plan.tasks) < FEWEST_TASKS or not workers or max(workers) >= SHORT:
        return
    start = "each start of a worker costs seconds and ten thousand tokens or more"
    if len(workers) < FEW_WORKERS:
        yield (
            f"workers do not pay: {len(workers)}, none of them with {SHORT / 60:.0f} minutes of work, and {start}; "
            "with `cli: session` this session does them, or its own subagents do"
        )
    else:
        yield f"the tasks are small: none has {SHORT / 60:.0f} minutes of work, and {start}; give each a group of them"


def _makespan(edges: Sequence[Sequence[int]], weights: Sequence[float], slots: int) -> float:
    """Seconds until the end of the plan, if the tasks take their weights: the scheduler's own order, played."""
    dependents: list[list[int]] = [[] for _ in edges]
    left = [len(before) for before in edges]
    for i, before in enumerate(edges):
        for other in before:
            dependents[other].append(i)
    remaining = graph.longest_remaining(dependents, weights)
    ready: list[tuple[float, int]] = []
    for i, count in enumerate(left):
        if not count:
            heappush(ready, (-remaining[i], i))
    running: list[tuple[float, int]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < slots:
            i = heappop(ready)[1]
            heappush(running, (now + weights[i], i))
        now = running[0][0]
        while running and running[0][0] <= now:
            for i in dependents[heappop(running)[1]]:
                left[i] -= 1
                if not left[i]:
                    heappush(ready, (-remaining[i], i))
    return now
