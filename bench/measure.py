#!/usr/bin/env python3
"""`python3 bench/measure.py [GROUP...] [--quick] [--json FILE]` measures what the program is meant to reach.

Finds or makes the program's own environment first. Prints every figure with its target, met or not; a missed
target is a finding and not an error. Exit status: 0 measured, 1 a measured command failed, 2 bad usage,
5 the packages cannot be installed, 130 interrupted.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

from orchestrator import bootstrap

GROUPS = {
    "overhead": "tasks that do nothing, against xargs, make, ninja, GNU parallel",
    "makespan": "time to the end on graphs of real shape, against the least that is possible",
    "sizes": "validate and plan on 10,000 and 100,000 tasks",
    "status": "status on a journal of 300,000 events",
    "events": "cost of an event while running, by the size of the plan",
    "startup": "--version, --help, status",
    "idle": "CPU and memory of the dispatcher while workers work",
    "flood": "memory of the dispatcher while a worker writes without end",
    "rounds": "bytes of the prompts of planning calls over 50 rounds",
    "prefix": "what requests of real workers in different folders do not share",
    "caching": "input cost of real workers, against all of them launched at once",
    "storm": "real workers at an API that refuses what comes above four at once",
    "limit": "real workers at a usage limit that resets",
    "launches": "CPU of the dispatcher for each real worker",
}
MODULES = {"status": "journals", "events": "growth"}


def main() -> int:
    """Measure the groups that were asked for, all by default."""
    asked = _arguments()
    folder = Path(tempfile.mkdtemp(prefix="orchestrate-bench-", dir=asked.folder))
    try:
        document = _measured(asked, folder)
        if asked.json:
            asked.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    finally:
        if asked.keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if document["failed"] else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Measure the program. Targets are printed, met or not.",
        epilog="\n".join(f"{name:<10} {what}" for name, what in GROUPS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("groups", nargs="*", metavar="GROUP", help="which to measure; default: all")
    parser.add_argument("--quick", action="store_true", help="smaller sizes: a look, not a result")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--repeat", type=int, default=None, metavar="N", help="rounds (default 3, quick 1)")
    parser.add_argument("--folder", metavar="DIR", help="measure on another disk than the temporary folder's")
    parser.add_argument("--keep", action="store_true", help="keep the folders of all measurements")
    asked = parser.parse_args()
    if unknown := [name for name in asked.groups if name not in GROUPS]:
        parser.error(f"no group {', '.join(unknown)}; there are {', '.join(GROUPS)}")
    asked.repeat = asked.repeat or (1 if asked.quick else 3)
    return asked


def _measured(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    from figures import machine
    from lab import CommandFailed, Lab

    where = machine(folder)
    print(", ".join(f"{name} {value}" for name, value in where.items()), flush=True)
    lab = Lab(folder, asked.repeat, quick=asked.quick)
    if lab.compiler is None:
        print("no C compiler: `true` and shell scripts stand in, idle and flood are left out")
    lab.warm_up()
    groups: dict[str, list[dict[str, Any]]] = {}
    failed: dict[str, str] = {}
    for name in asked.groups or GROUPS:
        print(f"\n{name}: {GROUPS[name]}", flush=True)
        begin = time.monotonic()
        groups[name] = []
        try:
            for figure in import_module(MODULES.get(name, name)).measure(lab):
                groups[name].append(figure.document())
                print(figure.line(), flush=True)
        except CommandFailed as error:
            failed[name] = str(error)
            print(f"  FAILED: {error}", flush=True)
        print(f"  ({time.monotonic() - begin:.0f} s)", flush=True)
    return {
        "machine": where,
        "quick": asked.quick,
        "repeats": asked.repeat,
        "groups": groups,
        "failed": failed,
    }


if __name__ == "__main__":
    bootstrap.ensure_packages()
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(bootstrap.EXIT_INTERRUPTED)
    except BrokenPipeError:
        # Whoever read the figures has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
