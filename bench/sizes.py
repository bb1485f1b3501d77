"""Large plans: what `validate` and `plan` take on 10,000 and on 100,000 tasks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from figures import Figure
from lab import Lab, Spent, middle, rounds

MOST_TIMES = 12.0
"""What ten times the tasks may take, as a multiple."""

SECONDS = {"validate yaml": 0.7, "validate json": 0.3, "plan yaml": 1.2, "plan json": None}
MEGABYTES = {"validate yaml": 100.0, "validate json": 100.0, "plan yaml": None, "plan json": None}


def measure(lab: Lab) -> Iterator[Figure]:
    """Seconds and peak memory of both commands, from YAML and from JSON."""
    small, large = (1_000, 10_000) if lab.quick else (10_000, 100_000)
    found = {count: _rounds(lab, count) for count in (small, large)}
    for way in SECONDS:
        few, many = found[small][way], found[large][way]
        for count, spent, allowed in ((small, few, 1.0), (large, many, MOST_TIMES)):
            seconds, megabytes = (None if most is None else most * allowed for most in _targets(lab, way))
            times = tuple(one.seconds for one in spent)
            yield Figure(f"{way}, {count:,} tasks: time", middle(times), "s", seconds, times)
            peaks = tuple(one.peak_mb for one in spent)
            yield Figure(f"{way}, {count:,} tasks: peak memory", middle(peaks), "MB", megabytes, peaks)
        ratios = tuple(more.seconds / less.seconds for less, more in zip(few, many, strict=True))
        target = None if lab.quick else MOST_TIMES
        yield Figure(f"{way}, {large:,} against {small:,} tasks: time", middle(ratios), "x", target, ratios)


def _targets(lab: Lab, way: str) -> tuple[float | None, float | None]:
    return (None, None) if lab.quick else (SECONDS[way], MEGABYTES[way])


def _rounds(lab: Lab, count: int) -> dict[str, list[Spent]]:
    folder = lab.fresh()
    for suffix, write in (("yaml", write_yaml), ("json", write_json)):
        write(folder / f"plan.{suffix}", count)
    return rounds({way: partial(_run, lab, folder, *way.split()) for way in SECONDS}, lab.repeats)


def _run(lab: Lab, folder: Path, command: str, suffix: str) -> Spent:
    return lab.orchestrate(command, str(folder / f"plan.{suffix}"), here=lab.fresh())


def write_yaml(path: Path, count: int) -> None:
    """A plan of `count` tasks as people write it."""
    with path.open("w", encoding="utf-8") as file:
        file.write("request: measure a large plan\ntasks:\n")
        for number in range(count):
            needs = ", ".join(f"T-{need}" for need in _needs(number))
            file.write(
                f"  - id: T-{number}\n    title: {_title(number)}\n"
                f"    description: |\n      {_text(number)}\n    needs: [{needs}]\n"
            )


def write_json(path: Path, count: int) -> None:
    """The same plan in JSON."""
    with path.open("w", encoding="utf-8") as file:
        file.write('{"request": "measure a large plan", "tasks": [\n')
        for number in range(count):
            needs = [f"T-{need}" for need in _needs(number)]
            task = {
                "id": f"T-{number}",
                "title": _title(number),
                "description": _text(number),
                "needs": needs,
            }
            file.write(json.dumps(task) + (",\n" if number + 1 < count else "\n]}\n"))


def _needs(number: int) -> list[int]:
    """Two tasks at a tenth of the way and half of the way back: a graph that is deep and wide."""
    return sorted({number * 9 // 10, number // 2} - {number})


def _title(number: int) -> str:
    return f"Examine module {number} of the export"


def _text(number: int) -> str:
    return f"Read module {number} and say which of its functions are slow, and why you think so."
