"""Where measurements are made: fresh folders, metered commands, rounds in which all have their turn."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import programs

BENCH = Path(__file__).resolve().parent
ORCHESTRATE = BENCH.parent / "scripts" / "orchestrate.py"

T = TypeVar("T")


@dataclass(frozen=True)
class Spent:
    """What a command took, all its descendants that were waited for included; the peak is of one process."""

    seconds: float
    cpu: float
    peak_kb: int
    exit: int

    @property
    def peak_mb(self) -> float:
        """Peak memory in MB (10^6 bytes)."""
        return self.peak_kb * 1024 / 1e6


class CommandFailed(Exception):
    """A command that was to be measured did not do its work; its figure would be worthless."""


class Lab:
    """One run of the measurements; nothing in `folder` is deleted before its end.

    Deleting thousands of files makes the creation of new ones several times slower for a while.
    """

    def __init__(self, folder: Path, repeats: int, *, quick: bool) -> None:
        self.folder = folder
        self.repeats = repeats
        self.quick = quick
        self.compiler = shutil.which("cc") or shutil.which("gcc")
        self.environment = environment(folder / "compiled")
        self._numbers = itertools.count(1)

    def warm_up(self) -> None:
        """Use every part of the program once: it is what a second start takes that counts, not the first."""
        here = self.fresh()
        tasks = "  - {id: T-1, cli: shell, run: echo done}\n  - {id: T-2, cli: claude, description: say}\n"
        (here / "plan.yaml").write_text(f"request: warm up\ntasks:\n{tasks}", encoding="utf-8")
        claude = programs.script(here / "claude", programs.SCRIPT)
        for arguments in (["--help"], ["plan", "plan.yaml"], ["run", "plan.yaml"], ["status"]):
            self.orchestrate(*arguments, here=here, variables={"ORCHESTRATE_CLAUDE": str(claude)})

    def fresh(self) -> Path:
        """A folder that nothing has touched, with an empty workspace: one further up must not be found."""
        folder = self.folder / f"{next(self._numbers):04d}"
        (folder / ".orchestrator").mkdir(parents=True)
        return folder

    def run(
        self,
        command: Sequence[str],
        here: Path,
        *,
        stdin: Path | None = None,
        variables: Mapping[str, str] | None = None,
        exits: tuple[int, ...] = (0,),
    ) -> Spent:
        """Run a command to its end, its output in files in `here`.

        Raises:
            CommandFailed: it ended with none of `exits`.
        """
        record = here / "spent.json"
        meter = [sys.executable, "-S", "-E", str(BENCH / "meter.py"), str(record), *command]
        variables = {**self.environment, **(variables or {})}
        with (
            (here / "stdout").open("wb") as out,
            (here / "stderr").open("wb") as err,
            open(stdin or os.devnull, "rb") as given,
        ):
            subprocess.run(meter, stdin=given, stdout=out, stderr=err, cwd=here, env=variables, check=False)
        spent = Spent(**json.loads(record.read_text(encoding="utf-8")))
        if spent.exit not in exits:
            raise CommandFailed(f"{' '.join(command)} exited with {spent.exit}: {said(here / 'stderr')}")
        return spent

    def orchestrate(self, *arguments: str, here: Path, **how: Any) -> Spent:
        """Run the program itself, in this Python."""
        return self.run([sys.executable, str(ORCHESTRATE), *arguments], here, **how)

    def program(self, name: str, source: str, **macros: int) -> Path | None:
        """A small C program, compiled; None where there is no compiler."""
        if self.compiler is None:
            return None
        return programs.compiled(self.compiler, self.folder / name, source, macros)


def environment(compiled: Path) -> dict[str, str]:
    """What measured commands see: this environment, with compiled Python modules kept in a folder of the lab.

    Where nothing may be compiled for keeps, every start compiles the whole program again, which takes longer
    than all the rest of a short command.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(compiled)}


def said(path: Path, most: int = 400) -> str:
    """The end of what a program wrote."""
    return path.read_text(encoding="utf-8", errors="replace")[-most:].strip()


def rounds(contenders: Mapping[str, Callable[[], T]], repeats: int) -> dict[str, list[T]]:
    """Every contender once a round, each round begun by another, so that what drifts hits all alike."""
    names = list(contenders)
    found: dict[str, list[T]] = {name: [] for name in names}
    for number in range(repeats):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            found[name].append(contenders[name]())
    return found


def multiples(of: Sequence[Spent], reference: Sequence[Spent]) -> tuple[float, ...]:
    """Wall time as a multiple of the reference's in the same round."""
    return tuple(one.seconds / other.seconds for one, other in zip(of, reference, strict=True))


def middle(values: Sequence[float]) -> float:
    """The median, as a float."""
    return float(median(values))
