"""Compares tests with code, folder by folder, and notes which code files the tests name."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import PurePosixPath

from common import place, plural, publish, table
from tree import File, project_files, text_of

TEST_AFFIX = re.compile(r"^test_|_(?:test|spec)$|\.(?:test|spec)$|Tests?$")


def main() -> None:
    """Prints how much test there is for how much code."""
    code = project_files().code
    lines = {file.path: len((text_of(file) or "").splitlines()) for file in code}
    tests = [file for file in code if file.is_test]
    named = sorted(named_by_tests(code, tests))
    of_tests = sum(lines[file.path] for file in tests)
    of_code = sum(lines.values()) - of_tests
    text = [
        "# Tests and code",
        "",
        f"{plural(len(tests), 'test file')} with {plural(of_tests, 'line')}, "
        f"{plural(len(code) - len(tests), 'code file')} with {plural(of_code, 'line')}: "
        f"{_ratio(of_tests, of_code)} lines of test per line of code. "
        "A test file is known by its name or folder.",
        "",
        *table(("language", "test lines", "code lines", "ratio"), by_language(code, lines)),
        "",
        f"Tests name {len(named):,} of {len(code) - len(tests):,} code files (by a test file of the same "
        "name, or by name in a test's text).",
        "",
        "## The largest test files",
        "",
        *table(("lines", "file"), sorted(((lines[t.path], place(t.path)) for t in tests), reverse=True)[:10]),
    ]
    publish("tests", text, {"tests": [file.path for file in tests], "named": named})


def named_by_tests(code: list[File], tests: list[File]) -> set[str]:
    """The code files with a test file of their name, or whose name stands in a test."""
    stems = {TEST_AFFIX.sub("", PurePosixPath(file.path).stem) for file in tests}
    words: set[str] = set()
    for file in tests:
        words.update(re.findall(r"[\w-]+\.\w+", text_of(file) or ""))
    return {file.path for file in code if not file.is_test and (_stem(file) in stems or _names(file) & words)}


def by_language(code: list[File], lines: dict[str, int]) -> list[tuple[str, int, int, str]]:
    """Language, lines of test, lines of code, ratio; most code first."""
    tests: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for file in code:
        (tests if file.is_test else others)[file.language] += lines[file.path]
    rows = [(each, tests[each], others[each], _ratio(tests[each], others[each])) for each in tests | others]
    return sorted(rows, key=lambda row: (-row[2], -row[1], row[0]))


def _stem(file: File) -> str:
    return PurePosixPath(file.path).stem


def _names(file: File) -> set[str]:
    path = PurePosixPath(file.path)
    if path.stem in {"__init__", "index", "mod"}:
        return set()
    return {path.name, f"{path.parent.name}.{path.stem}"}


def _ratio(tests: int, code: int) -> str:
    return f"{tests / code:.2f}" if code else "-"


if __name__ == "__main__":
    main()
