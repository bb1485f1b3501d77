"""Time to the end of real graphs, start-up included, as a multiple of max(critical path, work / slots).

The tasks really sleep. FIFO, waves and critical path are also simulated on the same shapes, where starting a task
costs nothing: on some of the published ones no order comes near the bound.
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
    least = [simulate.critical_path(shape, SLOTS) for shape in shapes]
    for shape, paper in zip(shapes, least, strict=True):
        for way, value in _ways(lab, shape):
            found[way].append(value)
            note = f"{paper / bound:.3f} on paper, by critical path"
            what = f"{shape.name}, {len(shape.needs)} tasks, {way}"
            yield Figure(what, value / bound, "x", note=note)
    for way, target in WAYS.items():
        samples = [value / bound for value in found[way]]
        yield _over_shapes(f"median of {len(shapes)} shapes, {way}", samples, target)
        beyond = [value / paper for value, paper in zip(found[way], least, strict=True)]
        yield _over_shapes(f"the same, as a multiple of critical path on paper, {way}", beyond, None)
    yield from _references(shapes, bound)


def _over_shapes(what: str, samples: list[float], target: float | None) -> Figure:
    note = f"mean {fmean(samples):.3f}, worst {max(samples):.3f}"
    return Figure(what, middle(samples), "x", target, note=note)


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
        values = [simulated(shape, SLOTS) / bound for shape in shapes]
        yield _over_shapes(f"on paper: {name} on the same shapes", values, None)
