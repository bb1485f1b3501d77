"""What requests of one worker type share, in different folders: the part that the API's cache can serve.

Two plans in two git repositories, with the same request, but other tasks, ids and words. A request is read in the
order in which the API caches it (tools, system prompt, messages); what two share ends at a cache breakpoint.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import realwork
from api_answers import text
from api_cache import BYTES_PER_TOKEN, prefixes_of
from api_requests import Request
from claude_program import NEWEST
from figures import Figure
from lab import CommandFailed, Lab
from messages_api import MessagesApi

from orchestrator.core.briefing import OPENING
from orchestrator.core.plan import WORKER_TYPES

SIZES = {"a sentence": 120, "1.5 kB": 1500}
"""Characters of a task's description."""

FOLDERS = ("harbour", "lighthouse-keeping")
REQUEST = "Bring the whole collection into good order, and say what was wrong with it"
MOST_UNSHARED = 10.0
"""Percent of the bytes of a request."""


@dataclass(frozen=True)
class Pair:
    """What two requests share up to a breakpoint, and the first one's size: of its prompt, in it of what we wrote
    for the task, and of the whole HTTP body. In bytes."""

    shared: int
    prompt: int
    ours: int
    body: int

    @property
    def unshared(self) -> float:
        """The part of the prompt that is not shared, in percent."""
        return 100 * (1 - self.shared / self.prompt)

    @property
    def note(self) -> str:
        """Where the rest comes from."""
        rest = self.prompt - self.shared
        whose = f"{self.ours} the task, {rest - self.ours} the program's"
        return f"{rest} of {self.prompt} bytes: {whose}; body {self.body}"


def measure(lab: Lab) -> Iterator[Figure]:
    """The unshared part for each worker type, with short and long tasks."""
    types = WORKER_TYPES[:1] if lab.quick else WORKER_TYPES
    versions = realwork.installed()
    if not versions:
        yield realwork.left_out()
    for version in versions[:1] if lab.quick else versions:
        first, second = ([*_requests(lab, version, folder, types)] for folder in FOLDERS)
        aim = MOST_UNSHARED if version == NEWEST else None
        for place, (worker, size) in enumerate((worker, size) for size in SIZES for worker in types):
            pair = compared(first[place], second[place])
            head = f"{realwork.cli_version(version)}, {worker}, {size} each: not shared"
            yield Figure(head, pair.unshared, "%", aim, note=pair.note)


def compared(one: Request, other: Request) -> Pair:
    """What two requests share."""
    prefixes = list(prefixes_of(one.body))
    both = zip(prefixes, prefixes_of(other.body), strict=False)
    shared = max((own.tokens for own, its in both if own.digest == its.digest and own.lifetime), default=0)
    ours = sum(len(text.encode()) for text in _texts(one.body) if text.startswith(OPENING))
    return Pair(shared * BYTES_PER_TOKEN, prefixes[-1].tokens * BYTES_PER_TOKEN, ours, len(one.raw))


def _texts(body: Mapping[str, Any]) -> Iterator[str]:
    for message in body["messages"]:
        content = message["content"]
        yield from [content] if isinstance(content, str) else (block.get("text", "") for block in content)


def _requests(lab: Lab, version: str, folder: str, types: tuple[str, ...]) -> Iterator[Request]:
    """The first request of a worker of each type with each size of task, in one folder."""
    tasks = [
        realwork.a_task(f"{folder}-{number}", worker=worker, description=words(folder, size))
        for number, (size, worker) in enumerate((s, w) for s in SIZES.values() for w in types)
    ]
    with (
        MessagesApi(text("Done.")) as api,
        realwork.project(lab, api, tasks, version, request=REQUEST) as run,
    ):
        realwork.in_git(run, f"the {folder} is opened")
        (run.folder / f"{folder}.txt").write_text(folder, encoding="utf-8")
        realwork.completed(run)
        for task in tasks:
            said = f"- Task: {task['id']}\\n"
            found = [request for request in api.requests if said in request.text]
            if not found:
                raise CommandFailed(f"no worker asked for {task['id']}")
            yield found[0]


def words(folder: str, size: int) -> str:
    """A description of that many characters, with other words in each folder."""
    return (f"Read what is kept about the {folder}, set it right, and tell what it was. " * size)[:size]
