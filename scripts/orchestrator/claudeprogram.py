"""The claude program of this machine: where it is, what it can do, and whose money it spends."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from orchestrator.clis import claude, claude_features
from orchestrator.clis.claude_features import Program
from orchestrator.core.text import last_line, one_line
from orchestrator.edges import claudefiles
from orchestrator.edges.claudefiles import Login
from orchestrator.errors import EnvironmentProblem

USUAL_PLACES = (
    "~/.local/bin/claude",
    "~/.claude/local/claude",
    "/usr/local/bin/claude",
    "/opt/homebrew/bin/claude",
)
"""Where Claude Code's own installers put the program."""

PATIENCE = 20.0
"""Seconds that the program may take to tell of itself; half a second is usual."""

MOST_TOLD = 1 << 20
"""Bytes of one answer; the help of a program has some ten thousand."""

WISHED = ("exclude-dynamic-system-prompt-sections", "permission-prompts")
"""Options that workers are given where the program has them."""

METHODS = {"api_key_helper": Login("api key", "apiKeyHelper"), "claude.ai": Login("subscription", "/login")}
"""`authMethod` of `claude auth status`, where it decides alone."""


class Answer(NamedTuple):
    """What the program said to one question."""

    status: int
    out: str
    err: str


def find(named: str | None) -> str:
    """The claude program: the one named, else `ORCHESTRATE_CLAUDE`, the PATH, the usual places.

    Raises:
        EnvironmentProblem: there is none.
    """
    wanted = named or os.environ.get("ORCHESTRATE_CLAUDE")
    for candidate in [wanted] if wanted else ["claude", *map(os.path.expanduser, USUAL_PLACES)]:
        if found := shutil.which(candidate):
            return os.path.abspath(found)
    where = f"{wanted} is not a program" if wanted else "no claude program on the PATH"
    raise EnvironmentProblem(
        f"{where}; install Claude Code (npm install -g @anthropic-ai/claude-code) or name it with --claude PATH"
    )


def look(path: str, project: Path, environment: Mapping[str, str]) -> Program:
    """What the program at `path` is and can do, for workers in `project`.

    Raises:
        EnvironmentProblem: it does not run, is not Claude Code, or is too old.
    """
    questions = ("--version",), ("--help",)
    answers = ask(path, project, environment, *questions)
    for question, answer in zip(questions, answers, strict=True):
        if answer.status:
            raise EnvironmentProblem(f"`{path} {question[0]}` {_ended(answer)}; install it again")
    trusted = claudefiles.trusted(project, environment)
    program = claude_features.features(path, answers[0].out, answers[1].out, trusted=trusted)
    if complaint := claude_features.complaint(program):
        raise EnvironmentProblem(complaint)
    return program


def _ended(answer: Answer) -> str:
    how = f"ended with {answer.status}" if answer.status > 0 else f"was killed by signal {-answer.status}"
    last = last_line(answer.err)
    return f"{how} ({one_line(last)})" if last else how


def lacks(program: Program) -> list[str]:
    """The options that workers would be given and this version does not have."""
    return [f"--{name}" for name in WISHED if name not in program.options]


def ask(
    path: str,
    project: Path,
    environment: Mapping[str, str],
    *questions: tuple[str, ...],
    patience: float = PATIENCE,
) -> list[Answer]:
    """What the program at `path` answers to each command line, asked all at once, from the project folder.

    Raises:
        EnvironmentProblem: it cannot be started, has not ended after `patience` seconds, or says more than MOST_TOLD.
    """
    until = time.monotonic() + patience
    asked = []
    try:
        with ExitStack() as stack:
            for question in questions:
                process = _start((path, *question), project, environment)
                stack.callback(_end, process)
                asked.append(process)
            return [
                _answer((path, *question), process, until)
                for question, process in zip(questions, asked, strict=True)
            ]
    except OSError as error:
        raise EnvironmentProblem(
            f"{path} does not run in {project} ({error.strerror}); install it again"
        ) from error
    except subprocess.TimeoutExpired as error:
        words = " ".join(error.cmd)
        raise EnvironmentProblem(f"`{words}` has not ended after {patience:g} s; install it again") from error


def _start(words: tuple[str, ...], project: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    inherited = {name: value for name, value in environment.items() if name not in claude.SESSION_VARIABLES}
    # The project folder may be yet to be made.
    there = next(folder for folder in (project, *project.absolute().parents) if folder.is_dir())
    return subprocess.Popen(
        words, cwd=there, env=inherited, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def _answer(words: tuple[str, ...], process: subprocess.Popen[bytes], until: float) -> Answer:
    told = {stream: bytearray() for stream in (process.stdout, process.stderr) if stream is not None}
    with selectors.DefaultSelector() as open_ones:
        for stream in told:
            open_ones.register(stream, selectors.EVENT_READ, told[stream])
        while open_ones.get_map():
            if time.monotonic() >= until:
                raise subprocess.TimeoutExpired(words, 0)
            for key, _ in open_ones.select(until - time.monotonic()):
                piece = os.read(key.fd, 1 << 16)
                key.data.extend(piece)
                if not piece:
                    open_ones.unregister(key.fileobj)
                elif len(key.data) > MOST_TOLD:
                    raise EnvironmentProblem(f"`{' '.join(words)}` prints without end; install it again")
    process.wait(max(0.0, until - time.monotonic()))
    out, err = (bytes(data).decode("utf-8", "replace") for data in told.values())
    return Answer(process.returncode, out, err)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Nothing of a question is left: a wrapper's own child would keep our pipes open."""
    if process.poll() is None:
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def login(path: str, project: Path, environment: Mapping[str, str]) -> Login:
    """Who pays for workers: what Claude Code's files say, and the program itself where they do not tell.

    Raises:
        EnvironmentProblem: as `ask`.
    """
    (answer,) = ask(path, project, environment, ("auth", "status"))
    return settled(claudefiles.login(environment, project), told(answer.out))


def told(text: str) -> Login | None:
    """What the output of `claude auth status` says of who pays; None where it is something else."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict) or not isinstance(said.get("loggedIn"), bool):
        return None
    method, key = str(said.get("authMethod")), said.get("apiKeySource")
    if not said["loggedIn"]:
        return Login("none")
    if method == "third_party":
        return Login("cloud", one_line(str(said.get("apiProvider")), 40))
    if key == "ANTHROPIC_API_KEY":
        # 2.1.197 still names the login that the key overrides.
        return Login("api key", key, overrides=method == "claude.ai")
    if key == "/login managed key" and not said.get("subscriptionType"):
        return Login("api key", "/login")
    return METHODS.get(method, Login("unknown"))


def settled(files: Login, program: Login | None) -> Login:
    """One answer of two: files tell more, the program knows of keychains and of stores that hold no login."""
    if program is None:
        return files
    if files.source == "/login" or files.payer in ("none", "unknown"):
        return program
    if files.payer == program.payer == "api key":
        return replace(files, overrides=files.overrides or program.overrides)
    return files
