"""What the workers of a plan may use, told once for all that may use the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from orchestrator.core.plan import Task
from orchestrator.core.workers import WorkerType, mode_of, model_of, tools_of

Rules = tuple[str, ...]


class Grant(Struct, frozen=True):
    """What `tasks` (ids) may use: `rules` each of them, `more` only those that it names, with their own rules."""

    tasks: list[str]
    workers: list[str]
    model: str
    mode: str
    rules: Rules
    more: list[tuple[list[str], Rules]]


def grants(tasks: Iterable[Task], workers: Mapping[str, WorkerType]) -> list[Grant]:
    """The grants of a plan's `tasks` for workers, in the order of the plan."""
    alike: dict[tuple[frozenset[str], str, str], list[Task]] = {}
    first: dict[frozenset[str], Rules] = {}
    for task in tasks:
        worker = workers[task.worker]
        tools = tuple(tool for tool in tools_of(task, worker) if tool not in worker.denied)
        same = frozenset(tools)
        first.setdefault(same, tools)
        alike.setdefault((same, model_of(task, worker), mode_of(task, worker)), []).append(task)
    return [_grant(first[same], model, mode, members) for (same, model, mode), members in alike.items()]


def _grant(tools: Rules, model: str, mode: str, tasks: Sequence[Task]) -> Grant:
    added = {task.id: tuple(rule for rule in _added(task) if rule not in tools) for task in tasks}
    common = set.intersection(*map(set, added.values()))
    more: dict[Rules, list[str]] = {}
    for name, rules in added.items():
        if own := tuple(rule for rule in rules if rule not in common):
            more.setdefault(own, []).append(name)
    shared = (rule for rule in added[tasks[0].id] if rule in common)
    return Grant(
        tasks=list(added),
        workers=list(dict.fromkeys(task.worker for task in tasks)),
        model=model,
        mode=mode,
        rules=tuple(dict.fromkeys((*tools, *shared))),
        more=[(names, rules) for rules, names in more.items()],
    )


def _added(task: Task) -> Rules:
    """What a task adds to its tools: a worker may run the commands that judge it."""
    return tuple(dict.fromkeys((*task.allow, *(f"Bash({line})" for line in task.verify))))
