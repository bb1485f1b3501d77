"""A worker that writes without end: what the dispatcher's memory grows by, against a silent worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import programs
from figures import Figure
from lab import Lab, Spent, middle, rounds

MEGABYTES = 5.0
"""What counts as no growth: a few buffers."""


def measure(lab: Lab) -> Iterator[Figure]:
    """Peak memory with 200 MB on each of stdout and stderr, in lines and as one line."""
    if lab.compiler is None:
        return
    size = 20 if lab.quick else 200
    for cli in ("shell", "claude"):
        found = rounds(dict(_contenders(lab, cli, size)), lab.repeats)
        silent = found.pop("silent")
        for kind, spent in found.items():
            samples = tuple(one.peak_mb - none.peak_mb for one, none in zip(spent, silent, strict=True))
            wall = middle([one.seconds for one in spent])
            note = f"{middle([one.peak_mb for one in silent]):.1f} MB when silent; {wall:.2f} s"
            what = f"cli: {cli}, 2 x {size} MB {kind}: growth of peak memory"
            yield Figure(what, middle(samples), "MB", MEGABYTES, samples, note)


def _contenders(lab: Lab, cli: str, size: int) -> Iterator[tuple[str, Callable[[], Spent]]]:
    ways = {"silent": (0, 1), "in lines": (size, 1), "without a line break": (size, 0)}
    for number, (kind, (megabytes, lines)) in enumerate(ways.items()):
        macros = {"MEGABYTES": megabytes, "LINES": lines, "AS_CLAUDE": int(cli == "claude")}
        program = lab.program(f"flood-{cli}-{number}", programs.FLOOD, **macros)
        assert program is not None
        yield kind, partial(flooded, lab, cli, program)


def flooded(lab: Lab, cli: str, program: Path) -> Spent:
    """`run` on one task of that program."""
    here = lab.fresh()
    what = f"run: {program}" if cli == "shell" else "description: write"
    text = f"request: measure\ntasks:\n  - id: T-1\n    cli: {cli}\n    {what}\n"
    (here / "plan.yaml").write_text(text, encoding="utf-8")
    return lab.orchestrate("run", "plan.yaml", here=here, variables={"ORCHESTRATE_CLAUDE": str(program)})
