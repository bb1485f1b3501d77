"""Whether two globs can name one path."""

from __future__ import annotations

import re
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core.overlap import overlap, writes_overlap

NAMES = ["".join(letters) for size in (1, 2, 3) for letters in product("ab", repeat=size)]
PATHS = [(name,) for name in NAMES] + list(product(NAMES[:6], repeat=2))
PATHS += list(product(("a", "b", "ab"), repeat=3))


def matches(pattern: str, path: tuple[str, ...]) -> bool:
    """Brute force: each segment as a regular expression, `**` tried at every length."""
    segments = [segment for segment in pattern.split("/") if segment not in ("", ".")]
    if not re.search(r"[*?\[]", pattern):
        segments.append("**")
    return _matches(segments, path)


def _matches(segments: list[str], path: tuple[str, ...]) -> bool:
    if not segments:
        return not path
    if segments[0] == "**":
        return any(_matches(segments[1:], path[taken:]) for taken in range(len(path) + 1))
    expression = segments[0].replace("*", ".*").replace("?", ".").replace("[!", "[^")
    return bool(path) and bool(re.fullmatch(expression, path[0])) and _matches(segments[1:], path[1:])


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("src", "src/deep/file.py"),
        ("src/", "./src/*.py"),
        ("src/**", "src/a/b.py"),
        ("**/test_*.py", "tests/core/*_plan.py"),
        ("docs/[a-m]*.md", "docs/?[!0-9]*"),
        (".", "anything"),
        ("a//b", "a/./b"),
        ("a/**/z", "a/z"),
        ("[!a]", "b"),
        ("[]a]x", "]x"),
        ("a[b", "a[b"),
    ],
)
def test_these_overlap(a: str, b: str) -> None:
    assert overlap(a, b)
    assert overlap(b, a)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("src", "source"),
        ("src/*.py", "src/a/b.py"),
        ("*.md", "*.py"),
        ("docs/[a-m]*", "docs/[n-z]*"),
        ("a?c", "ac"),
        ("a/**/z", "a/b/*.y"),
        ("[!a]", "a"),
        ("[z-a]", "*"),
        ("SRC", "src"),
    ],
)
def test_these_do_not_overlap(a: str, b: str) -> None:
    assert not overlap(a, b)
    assert not overlap(b, a)


def test_two_lists_overlap_where_any_pair_does() -> None:
    assert writes_overlap(("x", "src/*.py"), ("y", "src/a.py"))
    assert not writes_overlap(("x", "y"), ("z",))
    assert not writes_overlap((), ("z",))


def test_many_wildcards_do_not_explode() -> None:
    assert not overlap("*a" * 200 + "b", "*a" * 200 + "c")
    assert overlap("**/" * 50 + "x", "**/" * 50 + "*")


segment = st.sampled_from(
    ["a", "b", "ab", "*", "?", "a*", "*b", "?b", "a?", "[ab]", "[!a]", "[!a]*", "**", "*a*"]
)
patterns = st.lists(segment, min_size=1, max_size=2).map("/".join)


@given(patterns, patterns)
@settings(max_examples=300, deadline=None)
def test_it_agrees_with_trying_all_short_paths(a: str, b: str) -> None:
    assert overlap(a, b) == any(matches(a, path) and matches(b, path) for path in PATHS)
