"""A project folder in which the program is run for real, and how a test waits for what it does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from warmth import Command, can_begin

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = (sys.executable, str(ROOT / "scripts" / "orchestrate.py"))
STANDIN = Path(__file__).resolve().parent / "standin.py"
PATIENCE = 20.0
"""Seconds within which everything that a test waits for has come, on a machine that is busy."""

HOLD = "until test -e go; do sleep 0.02; done"
"""A line of shell that waits until the test lets it go on."""

Found = TypeVar("Found")


def until(condition: Callable[[], Found], what: str) -> Found:
    """The first true value of `condition`, looked at again and again; `what` is said when it never comes."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, f"never came: {what}"
        time.sleep(0.01)
    return found


class Done(NamedTuple):
    """A command that has ended."""

    status: int
    out: str
    err: str


class Project:
    """One project folder, with a ledger outside it in which every stand-in and every `note` writes a line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self.workspace = self.folder / ".orchestrator"
        self.ledger = folder / "ledger"
        self.folder.mkdir()
        self.ledger.touch()
        self.environment = {
            **os.environ,
            # The stand-ins' `python3`: one that a version manager puts there is three times slower to start.
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
            "ORCHESTRATE_CLAUDE": str(STANDIN),
            "STANDIN_LEDGER": str(self.ledger),
            "STANDIN_PAUSE": "0.02",
        }
        self._started: list[subprocess.Popen[str]] = []

    def plan(self, *tasks: dict[str, Any], name: str = "plan.yaml", **more: Any) -> None:
        """Write a plan."""
        (self.folder / name).write_text(json.dumps({"request": "try", **more, "tasks": tasks}))

    def start(self, *words: str, inside: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        """Begin a command; `inside` is a program that starts it."""
        process: subprocess.Popen[str]
        if not inside and can_begin(words, self.environment):
            process = Command(words, self.folder, self.environment)
        else:
            process = subprocess.Popen(
                [*inside, *PROGRAM, *words], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", start_new_session=True,
            )  # fmt: skip
        self._started.append(process)
        return process

    def finish(self, process: subprocess.Popen[str]) -> Done:
        """Wait for the end of a command."""
        out, err = process.communicate(timeout=PATIENCE * 2)
        assert "Traceback" not in err, err
        return Done(process.returncode, out, err)

    def do(self, *words: str) -> Done:
        """A command from beginning to end."""
        return self.finish(self.start(*words))

    def run(self, *words: str) -> Done:
        """`run plan.yaml` from beginning to end."""
        return self.do("run", "plan.yaml", *words)

    def kill(self, process: subprocess.Popen[str]) -> None:
        """`kill -9`; what it had started goes on."""
        process.kill()
        process.communicate()

    def document(self) -> dict[str, Any]:
        """What `status --json` says."""
        found: dict[str, Any] = json.loads(self.do("status", "--json").out)
        return found

    def statuses(self) -> dict[str, str]:
        """The status of each task."""
        return {task["id"]: task["status"] for task in self.document()["tasks"]}

    def events(self, kind: str = "", task: str = "") -> list[dict[str, Any]]:
        """The journal's events, of one type and one task where asked."""
        try:
            lines = (self.workspace / "journal.jsonl").read_text().splitlines()[1:]
        except FileNotFoundError:
            return []
        events = [json.loads(line) for line in lines if line.endswith("}")]
        return [e for e in events if kind in ("", e["type"]) and task in ("", e.get("task"))]

    def outcomes(self, task: str) -> list[str]:
        """The outcome of each attempt."""
        return [event["outcome"] for event in self.events("AttemptFinished", task)]

    def result(self, agent: int = 1) -> str:
        """A result file."""
        return (self.workspace / "results" / f"agent-{agent:02d}-result.md").read_text()

    def noted(self, what: str = "") -> list[str]:
        """The lines of the ledger that begin so."""
        return [line for line in self.ledger.read_text().splitlines() if line.startswith(what)]

    def await_note(self, what: str) -> None:
        """Wait for a line in the ledger."""
        until(lambda: self.noted(what), f"{what} in the ledger")

    def go(self) -> None:
        """Let all go on that wait in HOLD."""
        (self.folder / "go").touch()

    def living(self) -> list[int]:
        """The processes that this project's workers have left, by what they inherited."""
        own = {process.pid for process in self._started}
        wanted = f"STANDIN_LEDGER={self.ledger}\0".encode()
        return [pid for pid in _pids() if pid not in own and wanted in _environ(pid) and _attempted(pid)]

    def clear(self) -> None:
        """Kill whatever is left of this project."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
                process.communicate()
        wanted = f"STANDIN_LEDGER={self.ledger}\0".encode()
        for pid in _pids():
            if wanted in _environ(pid):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue


def note(what: str) -> str:
    """A line of shell that writes a line to the ledger."""
    return f'echo "{what}" >> "$STANDIN_LEDGER"'


def shell(name: str, *lines: str, **more: Any) -> dict[str, Any]:
    """A task of shell lines."""
    return {"id": name, "cli": "shell", "run": "\n".join(lines), **more}


def claude(name: str, model: str, **more: Any) -> dict[str, Any]:
    """A task for the stand-in."""
    return {"id": name, "title": name, "description": "work", "cli": "claude", "model": model, **more}


HELD = (note("start A"), HOLD, note("end A"))
"""A task that waits for the test, and says when it began and ended."""


def begun(project: Project, *words: str, inside: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """A run whose task A has begun."""
    process = project.start("run", "plan.yaml", *words, inside=inside)
    project.await_note("start A")
    return process


def attempt_file(project: Project, name: str) -> bytes:
    """A file of an attempt, or nothing."""
    path = project.workspace / "attempts" / name
    return path.read_bytes() if path.exists() else b""


def alive(pid: int) -> bool:
    """Whether a process lives; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rsplit(b")", 1)[1].split()[0] not in b"ZX"
    except OSError:
        return False


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]


def _environ(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes() if alive(pid) else b""
    except OSError:
        return b""


def _attempted(pid: int) -> bool:
    return b"\0ORCHESTRATE_ATTEMPT=" in b"\0" + _environ(pid)
