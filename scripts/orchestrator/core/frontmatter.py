"""The front matter of a result file: the facts about it as YAML, whatever they contain."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from json import JSONEncoder
from math import isfinite

import msgspec

KEYS = (
    "task",
    "agent",
    "title",
    "worker",
    "status",
    "outcome",
    "reason",
    "attempt",
    "session_id",
    "model",
    "cost_usd",
    "input_tokens",
    "output_tokens",
    "started",
    "ended",
    "artifacts",
)

MARK = "---\n"
"""The line before and after it."""

# What JSON leaves as it is and YAML 1.1 takes as a line break or refuses.
_UNFIT = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_BARE_EXPONENT = re.compile(r"^(-?\d+)e")


def front_matter(facts: Mapping[str, object]) -> str:
    """`facts` between two `---` lines, in the order of KEYS, then any others; every value is JSON.

    Times become RFC 3339 texts.

    Raises:
        TypeError: a value has no form in JSON.
    """
    order = [key for key in KEYS if key in facts] + [key for key in facts if key not in _KNOWN]
    return MARK + "".join([f"{key}: {scalar(facts[key])}\n" for key in order]) + MARK


def scalar(value: object) -> str:
    """`value` as JSON that YAML 1.1 reads as the same value; null where a number is none."""
    if isinstance(value, float):
        # YAML 1.1 wants a point in a number with an exponent.
        return _BARE_EXPONENT.sub(r"\1.0e", repr(value)) if isfinite(value) else "null"
    try:
        text = msgspec.json.encode(value).decode()
    except (TypeError, ValueError):
        # Half a surrogate, say, which JSON can hold and msgspec does not write.
        text = _encode(value)
    return (
        text
        if text.isascii() and "\x7f" not in text
        else _UNFIT.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text)
    )


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    raise TypeError(f"{type(value).__name__} has no form in JSON")


_KNOWN = frozenset(KEYS)
_encode = JSONEncoder(ensure_ascii=False, default=_plain).encode
