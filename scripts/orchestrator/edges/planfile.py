"""`plan.yaml` to Plan: quickly where all is well, else again and slowly to say everything that is wrong."""

from __future__ import annotations

import errno
import os
import select
import stat
from collections.abc import Collection, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from orchestrator.core.checks import problems
from orchestrator.core.hints import shown
from orchestrator.core.plan import Plan, Task
from orchestrator.core.workers import BUNDLED
from orchestrator.edges import collector
from orchestrator.edges.forms import NOT_IN_DEFAULTS, plan_form, with_defaults
from orchestrator.edges.quickread import Unusual, quick_json, quick_yaml
from orchestrator.errors import PlanError

PATIENCE = 10
"""Seconds for whoever writes a plan into a pipe to begin: `run <(generate)` may take a while."""

LARGEST_FILE = 128 * 1024 * 1024
"""Bytes: five times a plan of 100,000 tasks; reading takes about eight times as much memory."""

MOST_PROBLEMS = 100
"""As many as are shown at once: nobody reads more, and the rest is often the consequence of one."""


def read_plan(path: Path, known: Collection[str] | None = None) -> Plan:
    """The plan in a YAML or JSON file.

    Args:
        known: the worker types that its tasks may name; default: those of `workertypes.beside`.

    Raises:
        PlanError: the file cannot be read, or all that is wrong in it, each `NAME:LINE: what`.
    """
    return read_plan_and_bytes(path, known)[0]


def read_plan_and_bytes(path: Path, known: Collection[str] | None = None) -> tuple[Plan, bytes]:
    """`read_plan`, and what the file held: a pipe can be read only once.

    Raises:
        PlanError: as `read_plan`.
    """
    data = _bytes(path)
    return parse_plan(data, str(path), _Beside(path) if known is None else known), data


class _Beside(Collection[str]):
    """The worker types beside a plan file; looked for only where one is named that the program does not bring."""

    def __init__(self, plan: Path) -> None:
        self._plan = plan

    def __contains__(self, name: object) -> bool:
        return name in BUNDLED or name in self._types

    def __iter__(self) -> Iterator[str]:
        return iter(self._types)

    def __len__(self) -> int:
        return len(self._types)

    @cached_property
    def _types(self) -> Collection[str]:
        from orchestrator.edges.workertypes import beside

        return beside(self._plan)


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, with or without a byte order mark.

    Raises:
        PlanError: it cannot be read, is empty, larger than LARGEST_FILE, or not text.
    """
    return _text(_bytes(path), _printable(str(path)))


def schema() -> dict[str, Any]:
    """The JSON Schema of a plan file, for editors."""
    from orchestrator.edges import planschema

    return planschema.schema()


def parse_plan(data: bytes, name: str, known: Collection[str] = BUNDLED) -> Plan:
    """The plan in the bytes of a YAML or JSON file that the user knows as `name`.

    Args:
        known: the worker types that its tasks may name.

    Raises:
        PlanError: all that is wrong in it, each `NAME:LINE: what`.
    """
    name = _printable(name)
    text = _text(data, name)
    with collector.paused():
        try:
            return _quick(text, known)
        except (Unusual, msgspec.ValidationError):
            pass
        # Imported here: a plan without problems does without.
        from orchestrator.edges.planproblems import explain

        plan, found = explain(text, known)
    if found or plan is None:
        raise PlanError(listed(found, name))
    return plan


def _quick(text: str, known: Collection[str]) -> Plan:
    tree = quick_json(text) if text.startswith("{") else None
    if tree is None:
        tree = quick_yaml(text.encode(), plan_form())
    if not isinstance(tree, dict):
        raise Unusual
    if (defaults := tree.pop("defaults", None)) is not None:
        _apply(defaults, tree.get("tasks"))
    plan = msgspec.convert(tree, Plan)
    if problems(plan, known):
        raise Unusual
    return plan


def _apply(defaults: Any, tasks: Any) -> None:
    if (
        not isinstance(defaults, dict)
        or not isinstance(tasks, list)
        or not defaults.keys().isdisjoint(NOT_IN_DEFAULTS)
    ):
        raise Unusual
    msgspec.convert({**defaults, "id": "T"}, Task)
    if not all(isinstance(task, dict) for task in tasks):
        raise Unusual
    tasks[:] = [with_defaults(task, defaults) for task in tasks]


def _bytes(path: Path) -> bytes:
    name = _printable(str(path))
    try:
        with open(path, "rb", opener=_at_once) as file:
            if stat.S_ISFIFO(os.fstat(file.fileno()).st_mode):
                _await_text(file.fileno(), name)
            return file.read(LARGEST_FILE + 1)
    except OSError as error:
        why = _UNREADABLE.get(error.errno or 0, error.strerror or str(error))
        raise PlanError([f"{name}: {why}"]) from error
    except ValueError as error:
        raise PlanError([f"{name}: this cannot be the name of a file"]) from error


def _at_once(path: str, flags: int) -> int:
    # A pipe that nobody writes into would be waited for without end already here.
    return os.open(path, flags | os.O_NONBLOCK)


def _await_text(pipe: int, name: str) -> None:
    waiting = select.poll()
    waiting.register(pipe, select.POLLIN)
    if not waiting.poll(1000 * PATIENCE):
        raise PlanError([f"{name}: nothing was written into this pipe for {PATIENCE} s"])
    os.set_blocking(pipe, True)


def _text(data: bytes, name: str) -> str:
    """The text of the file without its byte order mark.

    Raises:
        PlanError: it is empty, too large, or not text in UTF-8.
    """
    if len(data) > LARGEST_FILE:
        raise PlanError([f"{name}: the file is larger than {LARGEST_FILE >> 20} MB"])
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise PlanError([f"{name}:1: the file is UTF-16; save it as UTF-8"])
    if (zero := data.find(b"\0")) >= 0:
        line = data.count(b"\n", 0, zero) + 1
        raise PlanError([f"{name}:{line}: byte {zero} is NUL: this is not a text file"])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"byte {error.start} ({data[error.start]:#04x}) is not UTF-8; save the file as UTF-8"
        raise PlanError([f"{name}:{line}: {found}"]) from error
    if not text.strip():
        raise PlanError([f"{name}: the file is empty"])
    return text


def listed(found: list[tuple[int, str]], name: str) -> list[str]:
    """`NAME:LINE: what` for each problem, in the order of the lines, as many as anybody reads."""
    unique = sorted(dict.fromkeys(found), key=lambda problem: problem[0])
    lines = [f"{name}:{line}: {message}" for line, message in unique[:MOST_PROBLEMS]]
    if len(unique) > MOST_PROBLEMS:
        lines.append(f"{name}: … and {len(unique) - MOST_PROBLEMS:,} more problems")
    return lines


def _printable(name: str) -> str:
    return name if name.isprintable() else shown(name)


_UNREADABLE = {
    errno.ENOENT: "there is no such file",
    errno.ENOTDIR: "there is no such file: a part of its path is not a folder",
    errno.EISDIR: "this is a folder; name the file in it",
    errno.EACCES: "the file may not be read; check its permissions",
}
