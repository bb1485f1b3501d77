"""What a planning call is told, in bytes, over many rounds: it has to grow with what is new, not with all that was.

The run is a whole one, with stand-ins for planner and workers: each round adds three tasks, of which each reports a
discovery.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from figures import Figure
from lab import Lab

from orchestrator import exits

TESTS = Path(__file__).resolve().parent.parent / "tests"

ROUNDS, ROUNDS_QUICK = 50, 10
EACH = 3
"""Tasks that a round adds."""

SETTLED = 5
"""The round from which on a call has all its parts: open tasks, completed ones, reports."""

GROWTH = 1.5
"""Multiple of the bytes of the settled round that the last one may have."""

CALLS = 1 / EACH
"""Planning calls for each task, without the one that joins the results."""


def measure(lab: Lab) -> Iterator[Figure]:
    """Bytes of the prompts of the planning calls of one run, of its last against its fifth, and how many there are."""
    count = ROUNDS_QUICK if lab.quick else ROUNDS
    begun = prompts(lab, count)
    sizes = [size for name, size in sorted(begun.items()) if name.startswith("Plan-")]
    for number in sorted({2, SETTLED, *range(10, count + 1, 10)}):
        yield Figure(f"planning call {number} of {count}: prompt", sizes[number - 1], "bytes")
    most = None if lab.quick else GROWTH
    yield Figure(f"call {count} against call {SETTLED}", sizes[-1] / sizes[SETTLED - 1], "x", most)
    tasks = sum(name.startswith("T-") for name in begun)
    yield Figure(f"{tasks} tasks: planning calls for each task", len(sizes) / tasks, "", CALLS)


def prompts(lab: Lab, count: int) -> dict[str, int]:
    """The bytes of the prompt of each task of a run of `count` rounds."""
    here = lab.fresh()
    limits = {"max_rounds": count, "max_tasks": EACH * count, "max_depth": count + 1, "parallelism": EACH}
    plan = {"request": "grow", "replan": "auto", "limits": limits, "tasks": []}
    (here / "plan.yaml").write_text(json.dumps(plan), encoding="utf-8")
    ledger = here / "ledger"
    told = {
        "ORCHESTRATE_CLAUDE": str(TESTS / "scheming.py"),
        "SCHEME": "steady",
        "STANDIN_LEDGER": str(ledger),
    }
    lab.orchestrate("run", "plan.yaml", here=here, variables=told, exits=(exits.LIMIT,))
    begun = re.findall(r"^start (\S+) 1 (\d+)$", ledger.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: int(size) for name, size in begun}
