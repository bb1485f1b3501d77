"""Time to the end of real graphs, start-up included, as a multiple of max(critical path, work / slots).

The tasks really sleep. FIFO and waves are simulated on the same shapes, without any cost of starting a task.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean

import simulate
from figures import Figure
from lab import Lab, middle
from shapes import Shape, fork_join, layered, plan_text, published

SLOTS = 8
TARGET = 1.06
FIFO_TARGET = 1.16
"""What FIFO runners, make and ninja among them, reach on such shapes."""

WAYS = {"estimates": TARGET, "no estimates": FIFO_TARGET, "learned": TARGET}


def measure(lab: Lab) -> Iterator[Figure]:
    """Every shape with estimates in the plan, without any, and again where the run before has taught them."""
    bound = 3.0 if lab.quick else 12.0
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    shapes = [shape.scaled(bound, SLOTS) for shape in _shapes(lab)]
    for shape in shapes:
        for way, value in _ways(lab, shape):
            found[way].append(value / bound)
            yield Figure(f"{shape.name}, {len(shape.needs)} tasks, {way}", value / bound, "x")
    for way, target in WAYS.items():
        samples = tuple(found[way])
        note = f"mean {fmean(samples):.3f}, worst {max(samples):.3f}"
        yield Figure(f"median of {len(shapes)} shapes, {way}", middle(samples), "x", target, note=note)
        yield Figure(f"mean of {len(shapes)} shapes, {way}", fmean(samples), "x", target)
    yield from _references(shapes, bound)


def _shapes(lab: Lab) -> list[Shape]:
    if lab.quick:
        return [layered(1), fork_join(1), *[shape for shape in published() if shape.name == "montage"]]
    return [layered(1), layered(2), layered(3), fork_join(1), fork_join(2), *published()]


def _ways(lab: Lab, shape: Shape) -> Iterator[tuple[str, float]]:
    yield "estimates", _run(lab, _planned(lab, shape, estimates=True))
    here = _planned(lab, shape, estimates=False)
    yield "no estimates", _run(lab, here)
    yield "learned", _run(lab, here, "--new")


def _planned(lab: Lab, shape: Shape, *, estimates: bool) -> Path:
    here = lab.fresh()
    (here / "plan.yaml").write_text(plan_text(shape, SLOTS, estimates=estimates), encoding="utf-8")
    return here


def _run(lab: Lab, here: Path, *options: str) -> float:
    return lab.orchestrate("run", "plan.yaml", *options, here=here).seconds


def _references(shapes: list[Shape], bound: float) -> Iterator[Figure]:
    ways: dict[str, Callable[[Shape, int], float]] = {
        "FIFO": simulate.fifo,
        "waves": simulate.waves,
        "critical path": simulate.critical_path,
    }
    for name, simulated in ways.items():
        values = tuple(simulated(shape, SLOTS) / bound for shape in shapes)
        note = f"mean {fmean(values):.3f}, worst {max(values):.3f}"
        yield Figure(f"{name}, simulated on the same shapes", middle(values), "x", note=note)
