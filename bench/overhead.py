"""What a task costs that does nothing: wall time as a multiple of `xargs -P` on as many of the same program.

Every event of the orchestrator is synced to disk; xargs, make and ninja sync nothing.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import programs
from figures import Figure
from lab import CommandFailed, Lab, Spent, middle, multiples, rounds

TARGETS = {"claude": 2.5, "shell": 3.5}
SLOTS = (16, 64)

Runner = Callable[[int, int], Spent]


def measure(lab: Lab) -> Iterator[Figure]:
    """Tasks that do nothing, 1,000 and 5,000 of them, 16 and 64 at a time."""
    counts = (200,) if lab.quick else (1000, 5000)
    nothing, claude = _programs(lab)
    for slots in SLOTS[:1] if lab.quick else SLOTS:
        taken = {
            count: rounds(
                {name: partial(run, count, slots) for name, run in _contenders(lab, nothing, claude)},
                lab.repeats,
            )
            for count in counts
        }
        for count, found in taken.items():
            yield from _compared(found, f"{count:,} tasks, {slots} at a time")
        if len(counts) > 1:
            yield from _growth(taken[counts[0]], taken[counts[1]], counts, slots)
    absent = [name for name in ("make", "ninja", "parallel") if not shutil.which(name)]
    if absent:
        yield Figure(f"not installed, left out: {', '.join(absent)}", 0, "")


def _programs(lab: Lab) -> tuple[str, str]:
    nothing = lab.program("nothing", programs.NOTHING)
    claude = lab.program("claude", programs.CLAUDE) or programs.script(lab.folder / "claude", programs.SCRIPT)
    return str(nothing or shutil.which("true")), str(claude)


def _contenders(lab: Lab, nothing: str, claude: str) -> Iterator[tuple[str, Runner]]:
    yield "xargs", partial(xargs, lab, nothing)
    yield "shell", partial(orchestrated, lab, "shell", nothing)
    yield "xargs claude", partial(xargs, lab, claude)
    yield "claude", partial(orchestrated, lab, "claude", claude)
    for name, peer in (("make", _make), ("ninja", _ninja), ("parallel", _parallel)):
        if shutil.which(name):
            yield name, partial(peer, lab, nothing)


def _compared(found: dict[str, list[Spent]], where: str) -> Iterator[Figure]:
    for name in ("shell", "claude"):
        reference = found["xargs claude" if name == "claude" else "xargs"]
        yield _figure(f"{where}, cli: {name}", found[name], reference, TARGETS[name])
    for name in ("make", "ninja", "parallel"):
        if name in found:
            yield _figure(f"{where}, {name}", found[name], found["xargs"], None)


def _figure(what: str, of: list[Spent], reference: list[Spent], target: float | None) -> Figure:
    samples = multiples(of, reference)
    wall, other = middle([one.seconds for one in of]), middle([one.seconds for one in reference])
    cpu = middle([one.cpu / ref.cpu for one, ref in zip(of, reference, strict=True)])
    note = f"{wall:.2f} s, xargs {other:.2f} s; CPU x{cpu:.2f}"
    return Figure(what, middle(samples), "x", target, samples, note)


def _growth(
    few: dict[str, list[Spent]], many: dict[str, list[Spent]], counts: tuple[int, ...], slots: int
) -> Iterator[Figure]:
    for name, target in (("shell", 1.0), ("claude", 1.0), ("xargs", None)):
        each = [
            tuple(one.seconds / count for one in found[name])
            for found, count in zip((few, many), counts, strict=True)
        ]
        samples = tuple(more / less for less, more in zip(*each, strict=True))
        what = f"time per task, {counts[1]:,} against {counts[0]:,}, {slots} at a time, {name}"
        note = f"{1000 * middle(each[0]):.2f} and {1000 * middle(each[1]):.2f} ms"
        yield Figure(what, middle(samples), "x", target, samples, note)


def orchestrated(lab: Lab, cli: str, program: str, count: int, slots: int) -> Spent:
    """`run` on `count` independent tasks of one program.

    Raises:
        CommandFailed: not every task was completed.
    """
    here = lab.fresh()
    what = f"run: {program}" if cli == "shell" else "description: say that it is done"
    tasks = "".join(f"  - id: T-{number}\n    {what}\n" for number in range(count))
    head = f"request: measure\nlimits:\n  parallelism: {slots}\ndefaults:\n  cli: {cli}\ntasks:\n"
    (here / "plan.yaml").write_text(head + tasks, encoding="utf-8")
    spent = lab.orchestrate("run", "plan.yaml", here=here, variables={"ORCHESTRATE_CLAUDE": program})
    _demand_completed(here / ".orchestrator" / "journal.jsonl", count)
    return spent


def _demand_completed(journal: Path, count: int) -> None:
    with journal.open(encoding="utf-8") as lines:
        done = sum(json.loads(line).get("outcome") == "success" for line in lines)
    if done != count:
        raise CommandFailed(f"{journal}: {done} of {count} tasks were completed")


def xargs(lab: Lab, program: str, count: int, slots: int) -> Spent:
    """`xargs -P`: one start of the program for each line."""
    here = lab.fresh()
    lines = here / "lines"
    lines.write_text("".join(f"{number}\n" for number in range(count)), encoding="utf-8")
    return lab.run(["xargs", "-P", str(slots), "-n", "1", program], here, stdin=lines)


def _make(lab: Lab, program: str, count: int, slots: int) -> Spent:
    here = lab.fresh()
    names = [f"t{number}" for number in range(count)]
    rules = "".join(f"{name}:\n\t@{program}\n" for name in names)
    (here / "Makefile").write_text(
        f".PHONY: all {' '.join(names)}\nall: {' '.join(names)}\n{rules}", encoding="utf-8"
    )
    return lab.run(["make", "-s", f"-j{slots}", "all"], here)


def _ninja(lab: Lab, program: str, count: int, slots: int) -> Spent:
    here = lab.fresh()
    builds = "".join(f"build t{number}: nothing\n" for number in range(count))
    (here / "build.ninja").write_text(f"rule nothing\n  command = {program}\n{builds}", encoding="utf-8")
    return lab.run(["ninja", "--quiet", f"-j{slots}"], here)


def _parallel(lab: Lab, program: str, count: int, slots: int) -> Spent:
    here = lab.fresh()
    lines = here / "lines"
    lines.write_text("".join(f"{number}\n" for number in range(count)), encoding="utf-8")
    return lab.run(["parallel", "--joblog", "log", f"-j{slots}", program], here, stdin=lines)
