"""The prompt cache of the Messages API, as its documentation describes it (section "Prompt caching").

A breakpoint (`cache_control`) offers everything up to and including its block: tools first, then the system
prompt, then the messages. What is offered can be read by others once the request that writes it has begun to be
answered, and for five minutes (or one hour, where it asks so) after each use. A request finds what ends at one of
its breakpoints or at one of the twenty blocks before it. What is shorter than 1,024 tokens is not kept.

A token is counted as four bytes: figures made with this are good for comparing, not for paying.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

BYTES_PER_TOKEN = 4
SHORTEST = 1024
"""Tokens; it is more for some models, which nothing here depends on."""

LOOK_BACK = 20
"""Blocks before a breakpoint at which an earlier request's breakpoint is still found."""

LIFETIMES = {"5m": 300.0, "1h": 3600.0}
"""Seconds after the last use."""


class Prefix(Struct, frozen=True):
    """A request up to the end of one of its blocks; `lifetime` is "" where no breakpoint stands there."""

    digest: str
    tokens: int
    lifetime: str


class Usage(Struct, frozen=True):
    """The input tokens of one request, by what they cost, and what it offers to later ones."""

    input_tokens: int
    read: int
    written: dict[str, int]
    offered: tuple[Prefix, ...]

    def counts(self) -> dict[str, Any]:
        """The fields of the same meaning in an answer's `usage`."""
        return {
            "input_tokens": self.input_tokens,
            "cache_creation_input_tokens": sum(self.written.values()),
            "cache_read_input_tokens": self.read,
            "cache_creation": {
                f"ephemeral_{lifetime}_input_tokens": self.written.get(lifetime, 0) for lifetime in LIFETIMES
            },
        }


class PromptCache:
    """What the API remembers of earlier requests; the clock is in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends: dict[str, float] = {}

    def take(self, body: Mapping[str, Any]) -> Usage:
        """Count a request that has just come."""
        prefixes = list(prefixes_of(body))
        marks = [place for place, prefix in enumerate(prefixes) if prefix.lifetime]
        total = prefixes[-1].tokens if prefixes else 0
        found = self._longest_known(prefixes, marks)
        read = 0 if found is None else prefixes[found].tokens
        if found is not None:
            self._keep(prefixes[found])
        offered = tuple(prefixes[mark] for mark in marks if prefixes[mark].tokens >= SHORTEST)
        return Usage(
            total - max([read, *(prefix.tokens for prefix in offered)]),
            read,
            _written(offered, read),
            offered,
        )

    def begun(self, usage: Usage) -> None:
        """The request has begun to be answered: from now on others can read what it offers."""
        for prefix in usage.offered:
            self._keep(prefix)

    def _keep(self, prefix: Prefix) -> None:
        ends = self._clock() + LIFETIMES[prefix.lifetime or "5m"]
        self._ends[prefix.digest] = max(ends, self._ends.get(prefix.digest, ends))

    def _longest_known(self, prefixes: Sequence[Prefix], marks: Sequence[int]) -> int | None:
        now = self._clock()
        for mark in reversed(marks):
            for place in range(mark, max(-1, mark - LOOK_BACK - 1), -1):
                if self._ends.get(prefixes[place].digest, now) > now:
                    return place
        return None


def prefixes_of(body: Mapping[str, Any]) -> Iterator[Prefix]:
    """Every prefix of a request that ends with a block, the shortest first."""
    digest, size = hashlib.sha256(str(body.get("model")).encode()), 0
    for place, block in _blocks(body):
        control = block.get("cache_control")
        said = {key: value for key, value in block.items() if key != "cache_control"}
        words = json.dumps([place, said], ensure_ascii=False, sort_keys=True).encode()
        digest.update(words)
        size += len(words)
        lifetime = control.get("ttl", "5m") if control else ""
        yield Prefix(digest.hexdigest(), size // BYTES_PER_TOKEN, lifetime)


def _blocks(body: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for tool in body.get("tools") or ():
        yield "tool", tool
    for block in _listed(body.get("system") or ()):
        yield "system", block
    for message in body.get("messages") or ():
        for block in _listed(message["content"]):
            yield message["role"], block


def _listed(content: str | Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _written(offered: Sequence[Prefix], read: int) -> dict[str, int]:
    written: dict[str, int] = {}
    for prefix in offered:
        if prefix.tokens > read:
            written[prefix.lifetime] = written.get(prefix.lifetime, 0) + prefix.tokens - read
            read = prefix.tokens
    return written
