"""What a synthesis answered, read from its text: the deliverable, and how well the results fit together."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from orchestrator.core.plan import Names

LARGEST = 1 << 20
"""Characters of an answer that are read."""

MOST = 50
"""Entries of one list."""

BEST = 5
"""The highest score of a quality; the lowest is 1."""


class Deliverable(Struct, frozen=True):
    """The answer of a synthesis; raw text. `consistent` and `score` (1 to 5) are None where it does not say."""

    text: str
    integration: Names = ()
    consistent: bool | None = None
    conflicts: Names = ()
    missing: Names = ()
    score: int | None = None
    reasons: Names = ()


def read(text: str) -> Deliverable | None:
    """The answer in a result's text; None where it is none."""
    try:
        tree = msgspec.json.decode(text.strip())
    except (msgspec.DecodeError, RecursionError):
        return None
    if not isinstance(tree, dict):
        return None
    quality = tree.get("quality")
    quality = quality if isinstance(quality, dict) else {}
    consistent, score = tree.get("consistent"), quality.get("score")
    whole = isinstance(score, int) and not isinstance(score, bool) and 1 <= score <= BEST
    return Deliverable(
        text=tree["deliverable"] if isinstance(tree.get("deliverable"), str) else "",
        integration=_texts(tree.get("integration")),
        consistent=consistent if isinstance(consistent, bool) else None,
        conflicts=_texts(tree.get("conflicts")),
        missing=_texts(tree.get("missing")),
        score=score if whole else None,
        reasons=_texts(quality.get("reasons")),
    )


def _texts(value: Any) -> Names:
    if not isinstance(value, list):
        return ()
    return tuple(text for text in value if isinstance(text, str) and text.strip())[:MOST]
