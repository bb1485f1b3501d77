"""Graphs of tasks with durations: published workflows, and random ones made from a seed.

The published ones, in `shapes/`, are instances of WfCommons WfInstances; the `source` in each names
repository, commit and file. A task there is its type, the numbers of those it needs, its measured seconds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

PUBLISHED = Path(__file__).resolve().parent / "shapes"

PARETO_ALPHA = 1.5
"""Heavy enough that the variance is infinite."""

LOGNORMAL_SIGMA = 1.0


@dataclass(frozen=True)
class Shape:
    """Tasks by number: what each needs, and how many seconds each takes."""

    name: str
    source: str
    needs: tuple[tuple[int, ...], ...]
    seconds: tuple[float, ...]

    def order(self) -> list[int]:
        """The tasks in an order in which each comes after what it needs.

        Raises:
            ValueError: there is a cycle.
        """
        left = [len(needs) for needs in self.needs]
        dependents = self.dependents()
        found = [task for task, count in enumerate(left) if not count]
        for task in found:
            for dependent in dependents[task]:
                left[dependent] -= 1
                if not left[dependent]:
                    found.append(dependent)
        if len(found) < len(self.needs):
            raise ValueError(f"{self.name}: a cycle")
        return found

    def dependents(self) -> list[list[int]]:
        """What needs each task."""
        found: list[list[int]] = [[] for _ in self.needs]
        for task, needs in enumerate(self.needs):
            for need in needs:
                found[need].append(task)
        return found

    def remaining(self) -> list[float]:
        """Seconds from the start of each task to the end of the longest chain that begins with it."""
        found = list(self.seconds)
        dependents = self.dependents()
        for task in reversed(self.order()):
            found[task] += max((found[dependent] for dependent in dependents[task]), default=0.0)
        return found

    def bound(self, slots: int) -> float:
        """Seconds that no schedule can beat: the critical path, or all work spread over all slots."""
        return max(max(self.remaining()), sum(self.seconds) / slots)

    def scaled(self, bound: float, slots: int) -> Shape:
        """The same with all durations multiplied so that its bound is this many seconds."""
        factor = bound / self.bound(slots)
        return replace(self, seconds=tuple(round(seconds * factor, 3) for seconds in self.seconds))


def published() -> list[Shape]:
    """The published workflows, by name."""
    return [_read(path) for path in sorted(PUBLISHED.glob("*.json"))]


def _read(path: Path) -> Shape:
    told = json.loads(path.read_text(encoding="utf-8"))
    tasks = told["tasks"]
    needs = tuple(tuple(task["deps"]) for task in tasks)
    return Shape(told["name"], told["source"], needs, tuple(float(task["dur"]) for task in tasks))


def layered(seed: int, layers: int = 8, width: int = 12) -> Shape:
    """Layers of tasks, each of which needs one to three of the layer before; lognormal durations."""
    random = Random(seed)
    needs: list[tuple[int, ...]] = []
    for layer in range(layers):
        before = range((layer - 1) * width, layer * width)
        needs += [
            tuple(sorted(random.sample(before, random.randint(1, 3)))) if layer else () for _ in range(width)
        ]
    seconds = tuple(random.lognormvariate(0, LOGNORMAL_SIGMA) for _ in needs)
    return Shape(f"layered-{seed}", f"random, seed {seed}", tuple(needs), seconds)


def fork_join(seed: int, stages: int = 5, width: int = 20) -> Shape:
    """Stages of independent tasks, each joined by one that all of the next stage need; Pareto durations."""
    random = Random(seed)
    needs: list[tuple[int, ...]] = [()]
    for _ in range(stages):
        join = len(needs) - 1
        needs += [(join,)] * width
        needs.append(tuple(range(join + 1, join + 1 + width)))
    seconds = tuple(random.paretovariate(PARETO_ALPHA) for _ in needs)
    return Shape(f"fork-join-{seed}", f"random, seed {seed}", tuple(needs), seconds)


def batches(shape: Shape) -> list[list[int]]:
    """The tasks by depth: what a runner that works in waves starts together."""
    depth = [0] * len(shape.needs)
    for task in shape.order():
        depth[task] = max((depth[need] + 1 for need in shape.needs[task]), default=0)
    found: list[list[int]] = [[] for _ in range(max(depth, default=-1) + 1)]
    for task, level in enumerate(depth):
        found[level].append(task)
    return found


def plan_text(shape: Shape, slots: int, *, estimates: bool) -> str:
    """A plan whose tasks sleep as long as the shape says; `estimates` tells the plan how long that is."""
    lines = [f"request: measure {shape.name}", f"limits: {{parallelism: {slots}}}", "defaults: {cli: shell}"]
    lines.append("tasks:")
    for task, (needs, seconds) in enumerate(zip(shape.needs, shape.seconds, strict=True)):
        lines += [f"  - id: T-{task}", f"    run: sleep {seconds:.3f}"]
        if needs:
            lines.append(f"    needs: [{_ids(needs)}]")
        if estimates:
            lines.append(f"    estimate: {seconds:.3f}s")
    return "\n".join(lines) + "\n"


def _ids(tasks: Sequence[int]) -> str:
    return ", ".join(f"T-{task}" for task in tasks)
