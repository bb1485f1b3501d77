"""Sessions about the cases: played with a scripted model or with a live one, and looked at in the same way."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import obliging
import yaml
from api_answers import Answer, Call, text, tool, tools
from api_requests import Request
from cases import Case
from expectations import Outcome
from realclaude import lines
from stage import DONE, NAME, ROOT, Leader, Step, bash, calls

from orchestrator.edges import journal

TOOLS = "Bash,Edit,Glob,Grep,Read,Skill,Write"
TURNS_TO_LOAD = 2
LOOK = 1.0
"""Seconds between two looks at what the workers of a session have spent."""


class Played(NamedTuple):
    """A session that has ended; `cost` in USD as the program and the journal state it, workers included."""

    outcome: Outcome
    cost: float


def leader(case: Case) -> Leader:
    """The scripted model that does what the case's `session.yaml` says; its workers make what they have to."""
    steps = yaml.safe_load((case.folder / "session.yaml").read_text(encoding="utf-8"))
    return Leader(*map(step, steps), worker=worker)


def step(found: str | dict[str, Any]) -> Step:
    """One step of a `session.yaml`.

    Raises:
        ValueError: there is no such step.
    """
    match found:
        case "skill":
            return tool("Skill", skill=NAME)
        case {"bash": str(command)}:
            return command
        case {"background": str(command)}:
            return lambda request: bash(request, command, run_in_background=True)
        case {"read": str(path)}:
            return tool("Read", file_path=path)
        case {"write": {"path": str(path), "content": str(content)}}:
            return tool("Write", file_path=path, content=content)
        case {"say": str(words)}:
            return text(words)
    raise ValueError(f"no step of a session: {found}")


def worker(request: Request) -> Answer:
    """A worker that makes the files that its prompt asks for."""
    wanted = obliging.artifacts(request.said[0])
    if request.turn or not wanted:
        return DONE
    return tools(
        *(Call("Write", {"file_path": path, "content": f"What was asked for: {path}\n"}) for path in wanted)
    )


def furnish(case: Case, folder: Path) -> None:
    """Put the files of a case into the project folder."""
    if (case.folder / "files").is_dir():
        shutil.copytree(case.folder / "files", folder, dirs_exist_ok=True)


def play(case: Case, claude: Path, folder: Path, environment: Mapping[str, str], ceiling: float) -> Played:
    """A session about a case in a project folder, in which the skill is found, from its beginning to its end.

    The session itself may cost half of the `ceiling` (USD); when its workers have cost the other half, their run is
    stopped, and it is stopped when the session has ended before it.
    """
    furnish(case, folder)
    return _session(case.prompt, claude, folder, environment, ceiling, f"--allowedTools={TOOLS}")


def loads(query: str, claude: Path, folder: Path, environment: Mapping[str, str], ceiling: float) -> Played:
    """The first turns of a session about a query: enough to see whether it loads the skill, and nothing is allowed."""
    return _session(query, claude, folder, environment, ceiling, f"--max-turns={TURNS_TO_LOAD}")


def _session(
    request: str, claude: Path, folder: Path, environment: Mapping[str, str], ceiling: float, *options: str
) -> Played:
    command = [str(claude), "-p", "--output-format=stream-json", "--verbose", *options]
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as prompt:
        prompt.write(request)
        prompt.seek(0)
        process = subprocess.Popen(
            [*command, f"--max-budget-usd={ceiling / 2:g}"], cwd=folder, env=dict(environment),
            stdin=prompt, stdout=said, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            _watch(process, folder, environment, ceiling / 2)
        finally:
            process.kill()
            process.wait()
            _stop(folder, environment)
        said.seek(0)
        return _played(folder, lines(said.read()))


def _watch(
    process: subprocess.Popen[bytes], folder: Path, environment: Mapping[str, str], most: float
) -> None:
    while process.poll() is None:
        try:
            process.wait(LOOK)
        except subprocess.TimeoutExpired:
            if spent(folder) >= most:
                _stop(folder, environment)


def _stop(folder: Path, environment: Mapping[str, str]) -> None:
    if (folder / ".orchestrator" / "journal.jsonl").exists():
        program = [sys.executable, str(ROOT / "scripts" / "orchestrate.py"), "stop"]
        subprocess.run(program, cwd=folder, env=dict(environment), capture_output=True, check=False)


def spent(folder: Path) -> float:
    """USD that the workers in a project folder have cost."""
    path = folder / ".orchestrator" / "journal.jsonl"
    return journal.look(path).cost_usd if path.exists() else 0.0


def _played(folder: Path, said: list[dict[str, Any]]) -> Played:
    spoken = [line["message"] for line in said if line["type"] in ("assistant", "user")]
    results = [line for line in said if line["type"] == "result"]
    cost = max((float(line.get("total_cost_usd") or 0) for line in results), default=0.0)
    last = str(results[-1].get("result", "")) if results else ""
    return Played(Outcome(folder, calls(spoken), last), cost + spent(folder))
