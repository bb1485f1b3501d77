"""What the input of sixteen real workers costs, our run against all of them launched at once.

The scripted API accounts for caching as it is documented: writing costs 1.25 of an input token, reading 0.1, and
what a request writes can be read once it has begun to be answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import realwork
from api_answers import Answer, text, tool
from api_requests import Request
from claude_program import NEWEST
from figures import Figure
from lab import CommandFailed, Lab
from messages_api import MessagesApi

WORKERS, WORKERS_QUICK = 16, 3
LARGEST_SHARE = 25.0
"""Percent of the cost of launching all at once."""

WRITTEN, WRITTEN_FOR_AN_HOUR, READ = 1.25, 2.0, 0.1
"""Prices in input tokens (Claude API documentation, "Prompt caching")."""

THINKS = 0.5
"""Seconds from a request to the beginning of its answer, in our run."""

DONE = text("All of it is done.")
NOTES = tool("Read", file_path="notes.txt")
TYPE = """---
name: house
description: A worker with long rules.
tools: Read, Grep, Glob, Edit, Write
---
"""
RULES = "".join(
    f"{number}. Rule {number} of this house is kept by every worker.\n" for number in range(1, 401)
)
"""A long prefix of a project's own: 22 kB."""


@dataclass(frozen=True)
class Case:
    """Workers of one type that need that many answers each."""

    what: str
    worker: str
    answers: int
    target: float | None


CASES = (
    Case("a type of 22 kB, one answer", "house", 1, LARGEST_SHARE),
    Case("a type of 22 kB, three answers", "house", 3, None),
    Case("the type general, one answer", "general", 1, None),
)


def measure(lab: Lab) -> Iterator[Figure]:
    """Input cost in thousands of uncached input tokens, both ways, and what part of one the other is."""
    count = WORKERS_QUICK if lab.quick else WORKERS
    versions = realwork.installed()
    if not versions:
        yield realwork.left_out()
    for version in versions[:1] if lab.quick else versions:
        for case in CASES[:1] if lab.quick else CASES:
            at_once = cost(_at_once(lab, version, case, count)) / 1000
            ours = cost(_our_run(lab, version, case, count)) / 1000
            head = f"{realwork.cli_version(version)}, {count} workers of {case.what}"
            yield Figure(f"{head}: all at once", at_once, "kTok")
            yield Figure(f"{head}: our run", ours, "kTok")
            # With few workers the one that writes weighs more than the goal allows for.
            aim = case.target if version == NEWEST and count == WORKERS else None
            yield Figure(f"{head}: our part", 100 * ours / at_once, "%", aim)


def cost(requests: Iterable[Request]) -> float:
    """What the input of requests costs, in uncached input tokens."""
    return sum(_cost(request.usage) for request in requests)


def _cost(usage: dict[str, Any]) -> float:
    written = usage["cache_creation"]
    return float(
        usage["input_tokens"]
        + WRITTEN * written["ephemeral_5m_input_tokens"]
        + WRITTEN_FOR_AN_HOUR * written["ephemeral_1h_input_tokens"]
        + READ * usage["cache_read_input_tokens"]
    )


def _our_run(lab: Lab, version: str, case: Case, count: int) -> list[Request]:
    """One run of as many workers at once as it likes."""

    def script(request: Request) -> Answer:
        return _answer(request, case).but(delay=THINKS)

    with MessagesApi(script) as api:
        tasks, limits = _tasks(case, range(count)), {"parallelism": count}
        with realwork.project(lab, api, tasks, version, limits=limits) as run:
            _furnish(run.folder)
            realwork.completed(run)
        return _counted(api, case, count)


def _at_once(lab: Lab, version: str, case: Case, count: int) -> list[Request]:
    """A run of one worker in each of as many folders; no answer begins before all have asked."""
    gate = Event()

    def script(request: Request) -> Answer:
        if request.number >= count:
            gate.set()
        return _answer(request, case).but(gate=gate)

    with MessagesApi(script) as api, ExitStack() as stack:
        runs = [
            stack.enter_context(realwork.project(lab, api, _tasks(case, [number]), version))
            for number in range(count)
        ]
        for run in runs:
            _furnish(run.folder)
        started = [run.start("run", "plan.yaml") for run in runs]
        for run, process in zip(runs, started, strict=True):
            done = run.finish(process)
            realwork.check(run, done.status, done.err)
        return _counted(api, case, count)


def _answer(request: Request, case: Case) -> Answer:
    return DONE if request.turn >= case.answers - 1 else NOTES


def _tasks(case: Case, numbers: Iterable[int]) -> list[dict[str, Any]]:
    return [realwork.a_task(f"T-{number:02}", worker=case.worker) for number in numbers]


def _furnish(folder: Path) -> None:
    types = folder / ".orchestrator" / "templates" / "workers"
    types.mkdir(parents=True)
    (types / "house.md").write_text(TYPE + RULES, encoding="utf-8")
    (folder / "notes.txt").write_text("Nothing of note.\n", encoding="utf-8")


def _counted(api: MessagesApi, case: Case, count: int) -> list[Request]:
    """All requests of a run.

    Raises:
        CommandFailed: they are not as many as the workers need, so that two runs could not be compared.
    """
    if len(api.requests) != count * case.answers:
        raise CommandFailed(
            f"{len(api.requests)} requests of {count} workers with {case.answers} answers each"
        )
    return api.requests
