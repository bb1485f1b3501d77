#!/usr/bin/env python3
"""The real claude program in a project folder of its own, against the scripted Messages API.

By hand, once `tests/check.py` has installed both: `.venv/bin/python tests/realclaude.py --scenario NAME [--version V]`
plays a scenario of `scenarios.py` and shows what came of it; without `--scenario` it lists them. Nothing of the
machine reaches the program but the PATH, and no request leaves loopback.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

from api_requests import Script
from claude_program import FOLDER_VARIABLE, NEWEST, VERSIONS, is_there, program
from messages_api import MessagesApi
from project import Done, Project
from scenarios import SCENARIOS, Scenario

Login = Literal["key", "token", "none"]
LOGINS = {
    "key": {"ANTHROPIC_API_KEY": "dummy-key-for-tests"},
    "token": {"CLAUDE_CODE_OAUTH_TOKEN": "dummy-token-for-tests"},
    "none": {},
}

SLOWEST = 180.0
"""Seconds within which a command with real workers has ended, on a machine that is busy."""


def environment(folder: Path, url: str, login: Login = "key", **more: str) -> dict[str, str]:
    """All environment variables of the program and of what starts it; its home and settings are in `folder`."""
    homes = {"HOME": folder / "home", "CLAUDE_CONFIG_DIR": folder / "config", "TMPDIR": folder / "tmp"}
    for home in homes.values():
        home.mkdir(parents=True, exist_ok=True)
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "ANTHROPIC_BASE_URL": url,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_TELEMETRY": "1",
        "ORCHESTRATE_NO_SETUP": "1",
        **{name: str(home) for name, home in homes.items()},
        **LOGINS[login],
        **more,
    }


class RealProject(Project):
    """A project folder whose workers are the real program, asking `api`."""

    def __init__(
        self, folder: Path, api: MessagesApi, version: str = NEWEST, login: Login = "key", **more: str
    ) -> None:
        super().__init__(folder)
        self.api = api
        self.claude = program(version)
        own = {"ORCHESTRATE_CLAUDE": str(self.claude), "STANDIN_LEDGER": str(self.ledger)}
        self.environment = environment(folder, api.url, login, **own, **more)

    def finish(self, process: subprocess.Popen[str]) -> Done:
        """Wait for the end of a command."""
        out, err = process.communicate(timeout=SLOWEST)
        assert "Traceback" not in err, err
        return Done(process.returncode, out, err)

    def start_claude(self, *options: str, prompt: str = "go on") -> subprocess.Popen[str]:
        """Begin the program itself, as it would be started without us."""
        command = [str(self.claude), "-p", "--output-format=stream-json", "--verbose", *options]
        with tempfile.TemporaryFile("w+") as stdin:
            stdin.write(prompt)
            stdin.seek(0)
            process = subprocess.Popen(
                command, cwd=self.folder, env=self.environment, stdin=stdin,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", start_new_session=True,
            )  # fmt: skip
        self._started.append(process)
        return process

    def ask(self, *options: str, prompt: str = "go on") -> Done:
        """The program itself from beginning to end."""
        return self.finish(self.start_claude(*options, prompt=prompt))

    def said(self, task: str, attempt: int = 1) -> list[dict[str, Any]]:
        """What the worker of an attempt wrote, line by line."""
        return lines((self.workspace / "attempts" / f"{task}.{attempt}" / "stdout").read_text())


class MakeReal(Protocol):
    """Makes a project folder whose workers ask an API with this script; `options` are those of the API."""

    def __call__(
        self,
        script: Script,
        *,
        login: Login = "key",
        environment: dict[str, str] | None = None,
        **options: Any,
    ) -> RealProject: ...


class Shop(NamedTuple):
    """The shop of `shop.py`, grown to its end."""

    project: RealProject
    done: Done


def lines(output: str) -> list[dict[str, Any]]:
    """The lines of stream-json."""
    return [json.loads(line) for line in output.splitlines()]


def api_of(scenario: Scenario) -> MessagesApi:
    """The API of a scenario, at its beginning."""
    return MessagesApi(
        scenario.script(), most_at_once=scenario.most_at_once, retry_after=scenario.retry_after
    )


def play(scenario: Scenario, project: RealProject) -> Done:
    """Run the plan of a scenario from beginning to end."""
    project.plan(*scenario.tasks, **scenario.plan)
    return project.run(*scenario.options)


def main() -> int:
    """Plays a scenario and shows what came of it, or lists all."""
    parser = argparse.ArgumentParser(description="Play a scenario with the real claude program.")
    parser.add_argument("--scenario", choices=sorted(SCENARIOS), metavar="NAME")
    parser.add_argument("--version", choices=VERSIONS, default=NEWEST)
    asked = parser.parse_args()
    if asked.scenario is None:
        for name, found in SCENARIOS.items():
            print(f"{name:24} {found.expects}")
        return 0
    if not is_there(asked.version):
        print(
            f"realclaude: claude {asked.version} is not installed: run tests/check.py, or name a folder",
            end=" ",
        )
        print(f"by {FOLDER_VARIABLE}")
        return 5
    show(SCENARIOS[asked.scenario], asked.version)
    return 0


def show(scenario: Scenario, version: str) -> None:
    """Play a scenario in a new folder, which is kept, and print what a person wants to know."""
    folder = Path(tempfile.mkdtemp(prefix="orchestrate-scenario-"))
    with api_of(scenario) as api:
        project = RealProject(folder, api, version, scenario.login, **scenario.environment)
        try:
            done = play(scenario, project)
            print(done.out, done.err, sep="\n")
            print(project.do("status").out)
        finally:
            project.clear()
    for request in api.requests:
        answer = request.answer
        told = answer and (f"HTTP {answer.status}" if answer.status != 200 else answer.text or answer.tools)
        print(
            f"{request.number:3}  {request.model:28} turn {request.turn}  in flight {request.in_flight}  {told!s:.60}"
        )
    print(f"\nexit status {done.status}; expected: {scenario.expects}\nfolder: {project.folder}")


if __name__ == "__main__":
    sys.exit(main())
