"""What earlier runs took and spent, and how long each task of a plan is expected to take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from msgspec import Struct

from orchestrator.core.plan import Plan, Task, seconds
from orchestrator.core.spending import Spending, together
from orchestrator.core.state import RunState

DEFAULT_SECONDS = {"claude": 300.0, "shell": 10.0, "session": 300.0}
"""What a task is taken to need when nothing is known: what people give a worker, and a command."""


class Learned(Struct, frozen=True):
    """What earlier runs took: seconds by task id, and by (CLI, worker type); and what they spent, by worker type."""

    tasks: Mapping[str, float] = {}
    kinds: Mapping[tuple[str, str], Sequence[float]] = {}
    spent: Mapping[str, Spending] = {}


def learn(states: Sequence[RunState]) -> Learned:
    """What the runs took, the newest first."""
    tasks: dict[str, float] = {}
    kinds: dict[tuple[str, str], list[float]] = {}
    for task in (task for state in states for task in state.tasks):
        if task.seconds is not None:
            tasks.setdefault(task.task.id, task.seconds)
            kinds.setdefault((task.task.cli, task.task.worker), []).append(task.seconds)
    return Learned(tasks, kinds, together(state.spending for state in states))


def weights(plan: Plan, learned: Learned) -> list[float]:
    """The seconds that each task is expected to take."""
    typical = {kind: median(values) for kind, values in learned.kinds.items() if values}
    return [_weight(task, learned.tasks, typical) for task in plan.tasks]


def _weight(task: Task, own: Mapping[str, float], typical: Mapping[tuple[str, str], float]) -> float:
    if task.estimate is not None:
        return seconds(task.estimate)
    known = own.get(task.id) or typical.get((task.cli, task.worker))
    return known or DEFAULT_SECONDS[task.cli]
