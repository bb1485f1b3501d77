"""A stage for the real program: the skill installed, a scripted model that leads, what came of it."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from api_answers import Answer, text, tool
from api_requests import Request, Script
from claude_program import NEWEST
from installation import cache_with_packages
from messages_api import MessagesApi
from project import Done
from realclaude import RealProject, lines

from orchestrator import skillfiles
from orchestrator.environment import CACHE_VARIABLE

ROOT = Path(__file__).resolve().parent.parent
NAME = "distributed-task-orchestrator"
ALLOWED = "--allowedTools=Bash,Read,Write,Skill"

ENTRY = re.compile(r"`orchestrate` is `(python3 \S+/scripts/orchestrate\.py)`")
"""Where SKILL.md says what `orchestrate` stands for, once the program has put its folder in."""

DONE = text("All of it is done.")

Step = str | Answer | Callable[[Request], Answer]
"""What the model does next: a command for the Bash tool, an answer, or what makes one of the request."""


class Call(NamedTuple):
    """A call of a tool, and what came of it."""

    tool: str
    input: dict[str, Any]
    output: str
    failed: bool

    @property
    def status(self) -> int:
        """The exit status of a command, as the Bash tool tells it."""
        told = re.match(r"Exit code (\d+)", self.output)
        return int(told[1]) if told else int(self.failed)


class Leader:
    """The scripted model of a session, step by step; workers are told `worker`.

    The session that asks first leads.
    """

    def __init__(self, *steps: Step, worker: Answer | Callable[[Request], Answer] = DONE) -> None:
        self.steps, self.worker, self.session = steps, worker, ""

    def __call__(self, request: Request) -> Answer:
        self.session = self.session or request.session
        if request.session != self.session:
            return self.worker if isinstance(self.worker, Answer) else self.worker(request)
        step = self.steps[min(request.turn, len(self.steps) - 1)]
        if isinstance(step, Answer):
            return step
        return bash(request, step) if isinstance(step, str) else step(request)


class Stage(RealProject):
    """A project folder of a user who has typed `install`; `python3` is the Python that runs this."""

    def __init__(self, folder: Path, api: MessagesApi, version: str = NEWEST, **more: str) -> None:
        programs, commands = folder / "bin", folder / "home" / ".local" / "bin"
        found = {
            "PATH": _path(programs, commands),
            "ORCHESTRATE_NO_SETUP": "0",
            CACHE_VARIABLE: _cache(),
        }
        super().__init__(folder, api, version, "key", **found, **more)
        programs.mkdir()
        python = programs / "python3"
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        self.skill = folder / "config" / "skills" / NAME
        done = self.do("install")
        assert (done.status, self.skill.is_dir(), (commands / "orchestrate").exists()) == (0, True, True), (
            done
        )

    def lead(self, *options: str, prompt: str = f"/{NAME} do it") -> Done:
        """A session from its beginning to its end."""
        return self.ask(ALLOWED, *options, prompt=prompt)

    @property
    def led(self) -> list[Request]:
        """The requests of the leading session."""
        return [each for each in self.api.requests if each.session == self.api.requests[0].session]

    def calls(self) -> list[Call]:
        """What the leading session's tools were asked and said, in their order."""
        return calls(self.led[-1].body["messages"])


@contextmanager
def opened(script: Script, version: str = NEWEST, **more: str) -> Iterator[Stage]:
    """A stage in a folder of its own, with nobody left on it in the end; `more` are environment variables."""
    with (
        tempfile.TemporaryDirectory(prefix="orchestrate-eval-", ignore_cleanup_errors=True) as folder,
        MessagesApi(script) as api,
    ):
        stage = Stage(Path(folder), api, version, **more)
        try:
            yield stage
        finally:
            stage.clear()


def copy(folder: Path) -> None:
    """Put the files of the skill there, and nothing anywhere else."""
    skillfiles.copy(skillfiles.source().files, folder)


def by_path(command: str) -> Step:
    """A command of ours by the path that SKILL.md gives, as it is typed where no command of that name is found."""

    def typed(request: Request) -> Answer:
        found = ENTRY.search("\n".join(request.said))
        return bash(request, re.sub(r"^orchestrate\b", found[1] if found else "not-told", command))

    return typed


def bash(request: Request, command: str, **more: Any) -> Answer:
    """The model calls the Bash tool."""
    return tool("Bash", command=command, description="as SKILL.md says", **more)


def calls(messages: Sequence[Mapping[str, Any]]) -> list[Call]:
    """The calls of tools in a conversation that have a result."""
    blocks = [
        block
        for message in messages
        if not isinstance(message["content"], str)
        for block in message["content"]
    ]
    results = {block["tool_use_id"]: block for block in blocks if block["type"] == "tool_result"}
    asked = [block for block in blocks if block["type"] == "tool_use" and block["id"] in results]
    return [
        Call(
            b["name"], b["input"], words(results[b["id"]]["content"]), bool(results[b["id"]].get("is_error"))
        )
        for b in asked
    ]


def words(content: str | Sequence[Mapping[str, Any]]) -> str:
    """The text of a message or of a result."""
    return content if isinstance(content, str) else "\n".join(block.get("text", "") for block in content)


def last_words(done: Done) -> str:
    """What a session said at last."""
    return str(lines(done.out)[-1].get("result", ""))


def _path(*programs: Path) -> str:
    return os.pathsep.join([*map(str, programs), os.environ.get("PATH", os.defpath)])


@cache
def _cache() -> str:
    """A cache folder with the packages, for all stages of this process."""
    folder = tempfile.mkdtemp(prefix="orchestrate-eval-cache-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return str(cache_with_packages(Path(folder)))
