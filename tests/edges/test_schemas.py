from __future__ import annotations

import json
import signal
import threading
import time
from typing import Any

import pytest

from orchestrator.edges.schemas import LONGEST_TEXT, SECONDS, problem


def inside(part: Any, **top: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": part}, **top}


def of_pattern(pattern: str, text: str) -> str:
    return problem(inside({"type": "string", "pattern": pattern}), json.dumps({"a": text}))


def test_a_valid_output_has_no_problem() -> None:
    assert problem(inside({"type": "integer"}, required=["a"]), '{"a": 3}') == ""


def test_the_first_problem_is_told_with_its_place() -> None:
    schema = inside({"type": "array", "items": {"type": "integer"}})
    assert problem(schema, '{"a": [1, "2", "3"]}') == "/a/1: must be integer"


@pytest.mark.parametrize("text", ["", "{", '{"a": NaN}', "\ud800", '{"a": 1} {}', "[" * 100_000])
def test_what_is_no_json_is_told(text: str) -> None:
    assert problem(inside({}), text) == "is no JSON"


def test_a_schema_that_was_never_to_be_accepted_is_no_crash() -> None:
    assert problem({"type": "object", "required": 5}, "{}").startswith("the schema itself required: must be")
    assert "stands for itself" in problem(inside({"$ref": "#/properties/a"}), '{"a": 1}')
    assert "leads to no schema" in problem(inside({"$ref": "http://127.0.0.1:9/x"}), '{"a": 1}')


@pytest.mark.parametrize(
    "text",
    [
        '"); import os; os._exit(7); ("',
        "{0.__class__}",
        "${7*7}",
        "__import__('os')._exit(7)",
        "a\nimport os\nos._exit(7)",
    ],
)
def test_no_word_of_a_schema_is_run(text: str) -> None:
    schema = inside({"enum": [text], "description": text}, **{"$id": text, "$comment": text}, required=[text])
    assert problem(schema, json.dumps({text: 1, "a": text})) == ""
    assert problem(schema, json.dumps({"a": text})) != ""


@pytest.mark.parametrize(
    ("pattern", "fitting", "other"),
    [
        ("^a$", "a", "a\n"),
        ("^[$]$", "$", "a"),
        (r"^\$$", "$", ""),
        (r"^\d+$", "5", "٥"),
        (r"^\w$", "w", "é"),
        (r"^a\sb$", "a\tb", "ab"),
        ("[[a]", "[", "b"),
        (r"^\u0061\/$", "a/", "b/"),
        ("(?=b)", "ab", "a"),
        ("(?i:b)", "B", "c"),
        ("x?", "", None),
    ],
)
def test_patterns_mean_what_they_mean_in_javascript(pattern: str, fitting: str, other: str | None) -> None:
    assert of_pattern(pattern, fitting) == ""
    if other is not None:
        assert of_pattern(pattern, other).startswith("/a: must match the pattern")


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"^\p{Lu}$", "x"),
        (r"(?<y>a)\k<y>", "ab"),
        (r"^(a)?\1$", ""),
        (r"\B", ""),
        ("[^]", "x"),
        (r"^\s$", "\u00a0"),
        ("(?i:É)", "é"),
        (r"^\cA$", "\x02"),
        ("^b+$", "a" * (LONGEST_TEXT + 1)),
    ],
)
def test_patterns_that_python_cannot_say_are_left_to_the_program_that_can(pattern: str, text: str) -> None:
    assert of_pattern(pattern, text) == ""
    assert problem(inside({"not": {"pattern": pattern}}), json.dumps({"a": text})) == ""


def test_a_pattern_that_looks_back_for_ever_is_stopped_and_the_alarm_leaves_no_trace() -> None:
    before = signal.getsignal(signal.SIGALRM)
    assert of_pattern("^a$", "a") == ""
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    began = time.perf_counter()
    told = of_pattern("^(a+)+$", "a" * 64 + "!")
    assert told == "takes longer than 2 s to check: simplify the patterns of its schema"
    assert time.perf_counter() - began < SECONDS + 5
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_in_another_thread_where_nothing_could_stop_them_patterns_are_not_matched() -> None:
    told: list[str] = []

    def ask() -> None:
        told.append(of_pattern("^(a+)+$", "a" * 64 + "!"))
        told.append(problem(inside({"type": "integer"}), '{"a": "x"}'))

    asking = threading.Thread(target=ask)
    asking.start()
    asking.join()
    assert told == ["", "/a: must be integer"]
