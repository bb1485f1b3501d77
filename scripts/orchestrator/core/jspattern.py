"""Whether a text is a regular expression of JavaScript, which is what JSON Schema means by `pattern`.

With its `u` flag, as the claude program reads it: no escape without a meaning, no lone brace or bracket.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator.core.hints import shown

LONGEST = 10_000
"""Characters: a hundred times a long pattern."""

_ESCAPE = (
    r"\\(?:[dDwWsSfnrtv^$\\.*+?()\[\]{}|/]|c[A-Za-z]|0(?![0-9])|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}"
    r"|u\{0*(?:[0-9A-Fa-f]{1,5}|10[0-9A-Fa-f]{4})\}|[pP]\{[A-Za-z_]+(?:=[A-Za-z0-9_]+)?\})"
)
_NAME = r"[A-Za-z_$][A-Za-z0-9_$]*"
_TOKEN = re.compile(
    rf"(?P<class>\[\^?(?P<members>(?:{_ESCAPE}|\\[b-]|[^\]\\])*)\])"
    rf"|(?P<back>\\(?:[1-9][0-9]{{0,8}}|k<{_NAME}>))"
    rf"|(?P<bound>\\[bB]|[\^$|])"
    rf"|(?P<look>\(\?<?[=!])"
    rf"|(?P<open>\((?:\?(?:[ims]*(?:-[ims]+)?:|<(?P<name>{_NAME})>)|(?!\?)))"
    rf"|(?P<close>\))"
    rf"|(?P<repeat>(?:[*+?]|\{{(?P<least>[0-9]{{1,9}})(?:,(?P<most>[0-9]{{0,9}}))?\}})\??)"
    rf"|(?P<atom>{_ESCAPE}|[^\\\[\](){{}}*+?|^$])",
    re.DOTALL,
)
_MEMBER = re.compile(rf"{_ESCAPE}|\\[b-]|[^\\]", re.DOTALL)
_SEVERAL = re.compile(r"\\[dDwWsSpP]")
_RANGE = "-"


def wrong_pattern(text: str) -> str:
    """What is wrong with `text` as a pattern; nothing where it is one."""
    if len(text) > LONGEST:
        return f"is longer than {LONGEST:,} characters"
    wrong = next(_wrong(text), "")
    return f"{shown(text)} is not a regular expression of JavaScript: {wrong}" if wrong else ""


def _wrong(text: str) -> Iterator[str]:
    at, repeatable = 0, False
    groups: list[bool] = []
    captured, names, needed = 0, set(), []
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            yield f"{shown(text[at : at + 8])} at character {at + 1}"
            return
        kind, at = token.lastgroup, token.end()
        if token["members"] is not None:
            yield from _ranges(token["members"])
        elif kind == "repeat" and not repeatable:
            yield f"nothing to repeat before {shown(token[0])} at character {at}"
        elif token["most"] and int(token["least"]) > int(token["most"]):
            yield f"{token[0]} is out of order"
        elif token["look"] or token["open"]:
            groups.append(bool(token["open"]))
            captured += token[0] == "(" or token["name"] is not None
            names.add(token["name"])
        elif token["close"] and not groups:
            yield "`)` without `(`"
        elif token["back"]:
            needed.append(token["back"])
        repeatable = bool(
            token["class"] or token["atom"] or token["back"] or (token["close"] and groups.pop())
        )
    if groups:
        yield "`(` without `)`"
    for back in needed:
        known = back[3:-1] in names if back.startswith("\\k") else int(back[1:]) <= captured
        if not known:
            yield f"no group for {back}"


def _ranges(members: str) -> Iterator[str]:
    signs = _MEMBER.findall(members)
    at = 1
    while at < len(signs) - 1:
        if signs[at] != _RANGE:
            at += 1
            continue
        low, high = signs[at - 1], signs[at + 1]
        if _SEVERAL.match(low) or _SEVERAL.match(high) or (len(low) == len(high) == 1 and low > high):
            yield f"the range {low}-{high}"
        at += 3
