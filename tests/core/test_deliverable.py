from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.core.deliverable import MOST, Deliverable, read

WHOLE: dict[str, Any] = {
    "deliverable": "# All",
    "integration": ["a meets b"],
    "consistent": False,
    "conflicts": ["a says 1, b says 2"],
    "missing": ["c"],
    "quality": {"score": 3, "reasons": ["so so"]},
}


def test_the_answer_of_a_synthesis_is_read_whole() -> None:
    assert read(f"\n{json.dumps(WHOLE)}\n") == Deliverable(
        "# All", ("a meets b",), False, ("a says 1, b says 2",), ("c",), 3, ("so so",)
    )


@pytest.mark.parametrize("text", ["", "no JSON", "[1]", '"text"', "{", "[" * 10_000])
def test_what_is_no_answer_is_none(text: str) -> None:
    assert read(text) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"deliverable": 7, "quality": "good", "consistent": "yes"},
        {"deliverable": None, "quality": {"score": 9, "reasons": "many"}, "consistent": 1},
        {"integration": "a", "missing": {"a": 1}, "conflicts": [1, None, " "], "quality": {"score": True}},
    ],
)
def test_parts_of_the_wrong_kind_say_nothing(wrong: dict[str, Any]) -> None:
    assert read(json.dumps(wrong)) == Deliverable("")


def test_of_a_long_list_the_beginning_is_taken() -> None:
    found = read(json.dumps({"missing": ["x"] * 1000}))

    assert found is not None
    assert len(found.missing) == MOST
