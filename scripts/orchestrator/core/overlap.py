"""Whether two globs can name the same path, decided from the patterns alone.

The two are walked side by side like automata, once over the segments of the paths and, for each pair of
segments, once over the characters; no file is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from typing import TypeVar

Ranges = tuple[tuple[int, int], ...]
Letter = Ranges | None
Segment = tuple[Letter, ...] | None

# None stands for `*` among letters and for `**` among segments.
_ANY_LETTER: Ranges = ((0, ord("/") - 1), (ord("/") + 1, 0x10FFFF))
_MAGIC = re.compile(r"[*?[]")

Token = TypeVar("Token", bound=Hashable)


def writes_overlap(a: tuple[str, ...], b: tuple[str, ...]) -> bool:
    """Whether some path is matched by a glob of `a` and a glob of `b`."""
    return any(overlap(one, other) for one in a for other in b)


def covers(patterns: tuple[str, ...], path: str) -> bool:
    """Whether a glob of `patterns` matches `path`, a path relative to the same folder."""
    escaped = _MAGIC.sub(lambda sign: f"[{sign[0]}]", path)
    return any(overlap(pattern, escaped) for pattern in patterns)


@lru_cache(maxsize=65_536)
def overlap(pattern_a: str, pattern_b: str) -> bool:
    """Whether some path is matched by both globs.

    `*`, `?` and `[...]` stay inside a segment; `**` as a whole segment spans any number of them, or none.
    A pattern without wildcards also covers everything below it. Letter case counts.
    """
    return _meet(_segments(pattern_a), _segments(pattern_b), _segments_meet)


def _meet(a: Sequence[Token], b: Sequence[Token], fits: Callable[[Token, Token], bool]) -> bool:
    """Whether two sequences in which None stands for any number of tokens have an instance in common."""
    reached = {(0, 0)}
    for i in range(len(a) + 1):
        for j in range(len(b) + 1):
            if (i, j) not in reached:
                continue
            wild_a, wild_b = i < len(a) and a[i] is None, j < len(b) and b[j] is None
            # A wildcard ends here, or swallows the other side's next token (if that can be anything at all).
            if wild_a or (wild_b and i < len(a) and fits(a[i], a[i])):
                reached.add((i + 1, j))
            if wild_b or (wild_a and j < len(b) and fits(b[j], b[j])):
                reached.add((i, j + 1))
            if i < len(a) and j < len(b) and not wild_a and not wild_b and fits(a[i], b[j]):
                reached.add((i + 1, j + 1))
    return (len(a), len(b)) in reached


@lru_cache(maxsize=65_536)
def _segments_meet(a: Segment, b: Segment) -> bool:
    return a is None or b is None or _meet(a, b, _letters_meet)


def _letters_meet(a: Letter, b: Letter) -> bool:
    if a is None or b is None:
        return True
    return any(max(low, other_low) <= min(high, other_high) for low, high in a for other_low, other_high in b)


@lru_cache(maxsize=65_536)
def _segments(pattern: str) -> tuple[Segment, ...]:
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    segments = [None if part == "**" else _letters(part) for part in parts]
    if not _MAGIC.search(pattern):
        segments.append(None)
    return tuple(segments)


def _letters(part: str) -> tuple[Letter, ...]:
    letters: list[Letter] = []
    at = 0
    while at < len(part):
        end = (
            part.find("]", at + 3 if part[at + 1 : at + 2] in ("!", "^") else at + 2)
            if part[at] == "["
            else -1
        )
        if end > 0:
            letters.append(_class(part[at + 1 : end]))
            at = end
        elif part[at] == "*":
            letters.append(None)
        else:
            letters.append(_ANY_LETTER if part[at] == "?" else ((ord(part[at]), ord(part[at])),))
        at += 1
    return tuple(letters)


def _class(text: str) -> Ranges:
    """`a-z_` of `[a-z_]` as ranges of code points; a leading `!` or `^` means all others but `/`."""
    negated = text[0] in "!^"
    found = []
    for first, last, single in re.findall(r"(.)-(.)|(.)", text[negated:], re.DOTALL):
        low, high = (ord(single), ord(single)) if single else (ord(first), ord(last))
        if low <= high:
            found.append((low, high))
    return _others(found) if negated else tuple(found)


def _others(ranges: list[tuple[int, int]]) -> Ranges:
    free, start = [], 0
    for low, high in sorted([*ranges, (ord("/"), ord("/"))]):
        if start < low:
            free.append((start, low - 1))
        start = max(start, high + 1)
    return (*free, (start, 0x10FFFF)) if start <= 0x10FFFF else tuple(free)
