"""How long a person waits for the shortest commands."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial

from figures import Figure
from lab import ORCHESTRATE, Lab, middle, rounds

TARGETS = {"python itself": None, "--version": 30.0, "--help": 60.0, "status": 80.0}
ROUNDS = {True: 3, False: 15}


def measure(lab: Lab) -> Iterator[Figure]:
    """Milliseconds of `--version`, `--help` and `status` on a run of three tasks, beside an empty Python."""
    here = lab.fresh()
    tasks = "".join(f"  - {{id: T-{number}, cli: shell, run: echo {number}}}\n" for number in range(3))
    (here / "plan.yaml").write_text(f"request: measure\ntasks:\n{tasks}", encoding="utf-8")
    lab.orchestrate("run", "plan.yaml", here=here)
    command = {name: [str(ORCHESTRATE), name] for name in TARGETS} | {"python itself": ["-c", ""]}
    contenders = {name: partial(lab.run, [sys.executable, *command[name]], here) for name in TARGETS}
    for name, spent in rounds(contenders, ROUNDS[lab.quick]).items():
        times = tuple(1000 * one.seconds for one in spent)
        cpu = middle([1000 * one.cpu for one in spent])
        note = f"from {min(times):.0f} to {max(times):.0f}; CPU {cpu:.0f} ms"
        yield Figure(name, middle(times), "ms", TARGETS[name], note=note)
