"""Functions of languages with braces, found by regular expressions: near the truth, not a parser."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator

LANGUAGES = frozenset(
    {
        "JavaScript",
        "TypeScript",
        "C",
        "C++",
        "C#",
        "Go",
        "Java",
        "Kotlin",
        "PHP",
        "Rust",
        "Scala",
        "Swift",
        "Dart",
    }
)
# Comments and strings, to be blanked out; a single quote is a string only where it closes on its line,
# because Rust's lifetimes and C++'s digit separators have one that never closes.
NOISE = re.compile(
    r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n]){0,200}?'|`(?:\\.|[^`\\])*`", re.DOTALL
)
# Possessive, and cut at lengths that no person writes: what is no function is given up at once.
ARGUMENTS = r"\([^;{}()]{0,2000}+(?:\([^;{}()]{0,500}+\)[^;{}()]{0,2000}+){0,20}+\)"
HEADER = re.compile(
    rf"\b(?P<name>[A-Za-z_$][\w$]*+)\s*+(?:<[^<>(){{}};]{{0,100}}>)?\s*+{ARGUMENTS}"
    r"(?P<between>[^;{}()=]{0,200}+)\{"
    rf"|\b(?P<arrow>[A-Za-z_$][\w$]*+)\s*+[:=]\s*+(?:async\s+)?(?:{ARGUMENTS}|[\w$]++)"
    r"\s*+(?::[^=;{}]{0,100}+)?=>\s*\{"
)
# A call or a macro before the body of something else: `f() class A {`, `namespace std VISIBLE(default) {`.
OTHER_BODY = re.compile(r"\b(?:class|struct|namespace|enum|interface|union|else|do|try|finally)\b")
OTHER_START = re.compile(r"\b(?:class|namespace|interface)\b|^\s*#")
NO_FUNCTION = frozenset(
    {
        *(
            "if",
            "elseif",
            "else",
            "for",
            "foreach",
            "while",
            "do",
            "switch",
            "case",
            "match",
            "when",
            "guard",
        ),
        *("try", "catch", "with", "using", "lock", "synchronized", "fixed", "unless", "unsafe", "return"),
        *("function", "func", "fn", "sizeof", "typeof", "await", "new"),
    }
)
BRANCH = re.compile(
    r"\b(?:if|for|foreach|while|case|catch|when|guard)\b|&&|\|\||\?\?|\?(?=[^.:?\n]*:)|=>(?=[^,;{}\n]*,)"
)


def functions(text: str, language: str) -> Iterator[tuple[str, int, int, int]]:
    """Yields name, first line, lines and branches + 1 of each function with a body in braces.

    An inner function counts for its outer one, too.
    """
    bare = NOISE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)
    closing = _closing_braces(bare)
    starts = [0, *(match.end() for match in re.finditer("\n", bare))]
    for match in HEADER.finditer(bare):
        name, start = match["name"] or match["arrow"], match.end() - 1
        first = bisect_right(starts, match.start())
        before = bare[starts[first - 1] : match.start()]
        if name in NO_FUNCTION or OTHER_BODY.search(match["between"] or "") or OTHER_START.search(before):
            continue
        if start in closing:
            last = bisect_right(starts, closing[start])
            yield name, first, last - first + 1, 1 + _branches(bare[start : closing[start]], language)


def _branches(body: str, language: str) -> int:
    found = BRANCH.findall(body)
    arms = sum(1 for each in found if each == "=>")
    return len(found) if language in {"Rust", "Scala"} else len(found) - arms


def _closing_braces(text: str) -> dict[int, int]:
    pairs: dict[int, int] = {}
    opened: list[int] = []
    for match in re.finditer(r"[{}]", text):
        if match[0] == "{":
            opened.append(match.start())
        elif opened:
            pairs[opened.pop()] = match.start()
    return pairs
