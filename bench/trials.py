"""Random plans, each in a folder of its own with a ledger outside the workspace, and what must hold of them."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = (sys.executable, str(ROOT / "scripts" / "orchestrate.py"))
CLAUDE = ROOT / "tests" / "standin.py"

LONGEST = 60.0
"""Seconds after which a run counts as hanging; the plans here take two or three."""


class Fault(Exception):
    """Something that must not happen, in words."""


class Entry(NamedTuple):
    """One line of the ledger; `what` is start, end, fail (the end of an attempt meant to fail) or bad."""

    what: str
    task: str
    attempt: int
    pid: int
    time: float


class Trial:
    """A random plan in a folder of its own."""

    def __init__(self, seed: int, folder: Path, shape: tuple[int, int] = (5, 12)) -> None:
        self.random = random.Random(seed)
        self.folder = folder
        self.project = folder / "project"
        self.workspace = self.project / ".orchestrator"
        self.ledger = folder / "ledger"
        self.project.mkdir(parents=True)
        self.ledger.touch()
        self.environment = {
            **os.environ,
            "ORCHESTRATE_CLAUDE": str(CLAUDE),
            "STANDIN_LEDGER": str(self.ledger),
            "STANDIN_PAUSE": f"{self.random.uniform(0.005, 0.06):.3f}",
            "LEDGER": str(self.ledger),
        }
        self.tasks = [self._task(number) for number in range(self.random.randint(*shape))]
        self.flaky = {task["id"] for task in self.tasks if "fail" in task.get("run", "")}
        parallelism = self.random.choice((1, 2, 4, 8))
        plan = {"request": "survive", "limits": {"parallelism": parallelism}, "tasks": self.tasks}
        (self.project / "plan.yaml").write_text(json.dumps(plan))

    def _task(self, number: int) -> dict[str, Any]:
        name = f"T-{number:02d}"
        earlier = self.random.sample(
            [f"T-{n:02d}" for n in range(number)], min(number, self.random.randint(0, 3))
        )
        cut = self.random.randint(0, len(earlier))
        task: dict[str, Any] = {"id": name, "needs": earlier[:cut], "after": earlier[cut:]}
        if self.random.random() < 0.2:
            words = ["slow", "answer"] if self.random.random() < 0.7 else ["children", "slow", "answer"]
            return {**task, "title": name, "cli": "claude", "model": "+".join(words), "idle_timeout": None}
        task["cli"] = "shell"
        task["run"] = self._script(name, task["needs"], f"out/{name}.txt")
        if self.random.random() < 0.3:
            task["artifacts"] = [f"out/{name}.txt"]
        if self.random.random() < 0.3:
            task["verify"] = [f"grep -q 'second half' out/{name}.txt", "sleep 0.02"]
        return task

    def _script(self, name: str, needs: list[str], output: str) -> str:
        note = f'echo "%s {name} ${{ORCHESTRATE_ATTEMPT##*.}} $$ $(date +%%s.%%N)" >> "$LEDGER"'
        half = self.random.choice((0, 0, 0.01, 0.05, 0.1, 0.3)) * self.random.random()
        lines = [note % "start", "mkdir -p out"]
        for need in needs:
            path = f"$ORCHESTRATE_RESULT_{need.replace('-', '_')}"
            lines.append(f"grep -q 'second half of {need}' \"{path}\" || {{ {note % 'bad'}; }}")
        if self.random.random() < 0.15:
            # Fails at its first attempt, as the ledger knows it: attempt numbers tell less.
            lines.append(
                f'grep -q "^fail {name} " "$LEDGER" || {{ sleep {half:.3f}; {note % "fail"}; exit 7; }}'
            )
        if self.random.random() < 0.15:
            lines.append(self.random.choice(_LEFTOVERS))
        lines += [f"echo first half of {name} | tee {output}", f"sleep {half:.3f}"]
        lines += [f"echo second half of {name} | tee -a {output}", note % "end"]
        return "\n".join(lines)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """The program with these words, in the project folder."""
        return subprocess.Popen(
            [*PROGRAM, *words], cwd=self.project, env=self.environment, stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def finish(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        """Wait for the end of a run; its exit status and output.

        Raises:
            Fault: it hangs.
        """
        try:
            output, _ = process.communicate(timeout=LONGEST)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Fault(f"the run hangs: {process.communicate()[0][-300:]}") from None
        return process.returncode, output

    def entries(self) -> list[Entry]:
        """The ledger so far."""
        lines = [line.split() for line in self.ledger.read_text().splitlines()]
        # Without a time: the `date` of that line was the process that was killed.
        return [
            Entry(what, task, int(n), int(pid), float(at[0]) if at else 0.0)
            for what, task, n, pid, *at in lines
        ]

    def living(self) -> dict[int, str]:
        """Every process that carries the mark of this trial's runs, or its ledger; pid to command line."""
        wanted = f"LEDGER={self.ledger}\0".encode()
        return {pid: command for pid, environ, command in _processes() if wanted in environ}

    def kill_workers(self) -> None:
        """SIGKILL everything that the trial started, until nothing is left."""
        until = time.monotonic() + 10
        while living := self.living():
            for pid in living:
                send(pid, signal.SIGKILL)
            if time.monotonic() > until:
                raise Fault(f"cannot be killed: {living}")


_LEFTOVERS = (
    "sleep 600 &",
    "setsid sleep 600 &",
    "setsid sh -c 'sleep 600 & exec >/dev/null 2>&1; sleep 600' >/dev/null 2>&1 < /dev/null &",
    "(trap '' TERM; setsid sleep 600 > /dev/null 2>&1 &)",
)


def _processes() -> Iterator[tuple[int, bytes, str]]:
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            environ = Path(f"/proc/{name}/environ").read_bytes()
            state = Path(f"/proc/{name}/stat").read_bytes().rsplit(b")", 1)[1].split()[0]
            command = (
                Path(f"/proc/{name}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            )
        except (OSError, IndexError):
            continue
        if state not in b"ZX":
            yield int(name), environ, command


def attempt_of(pid: int) -> str:
    """The attempt that a process belongs to, RUN/TASK.N; "" for one that has gone."""
    try:
        environ = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return ""
    return next((v.partition(b"=")[2].decode() for v in environ if v.startswith(b"ORCHESTRATE_ATTEMPT=")), "")


def send(pid: int, number: int) -> None:
    """A signal to a process that may be gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def check_end(trial: Trial, status: int, output: str) -> None:
    """What must hold whatever was done to the run, once it has ended.

    Raises:
        Fault: it does not.
    """
    document = json.loads(trial.finish(trial.start("status", "--json"))[1])
    open_tasks = {t["id"]: t["status"] for t in document["tasks"] if t["status"] != "completed"}
    if status != 0 or open_tasks:
        raise Fault(f"ended with {status}, not completed: {open_tasks}; {output[-300:]}")
    for task in document["tasks"]:
        result = (trial.workspace / task["result"]).read_text()
        if f"second half of {task['id']}" not in result:
            raise Fault(f"half a result was taken for {task['id']}")
    if "second half" not in (trial.workspace / "final_output.md").read_text():
        raise Fault("final_output.md holds no results")
    if left := trial.living():
        raise Fault(f"left behind: {left}")
    if bad := [entry for entry in trial.entries() if entry.what == "bad"]:
        raise Fault(f"started before its needs had their results: {bad}")


def check_once(trial: Trial, excused: Callable[[Entry, Entry], bool]) -> int:
    """That no work was repeated: `excused` is asked about each start that followed another of the same task.

    Returns how many starts were excused.

    Raises:
        Fault: a start while an earlier attempt was alive, or after it had ended well.
    """
    repeated = 0
    for task in trial.tasks:
        mine = [entry for entry in trial.entries() if entry.task == task["id"]]
        before: Entry | None = None
        for entry in mine:
            if entry.what == "start" and before is not None and before.what != "fail":
                if not excused(before, entry):
                    raise Fault(f"{task['id']} was started again: {mine}")
                repeated += 1
            before = entry
        if [entry.what for entry in mine].count("fail") != (task["id"] in trial.flaky):
            raise Fault(f"{task['id']} failed more often than it was meant to: {mine}")
    return repeated
