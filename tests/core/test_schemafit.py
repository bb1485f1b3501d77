"""Each row that says something was also held against Ajv, in the claude program, or against its documentation."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.schemafit import LONGEST_MISFIT, misfit


def found(pattern: str, text: str) -> bool:
    return re.search(pattern, text) is not None


def fits(part: dict[str, Any] | bool, value: Any, **top: Any) -> str:
    """What is wrong with `value` as the property `a`."""
    return misfit({"type": "object", "properties": {"a": part}, **top}, {"a": value}, found)


NAMED = {"properties": {"n": {"type": "integer"}}, "required": ["n"]}
TREE = {"type": "object", "properties": {"below": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}}

ROWS: list[tuple[dict[str, Any] | bool, Any, Any, str]] = [
    (True, 1, None, ""),
    ({"type": "string"}, "x", 1, "/a: must be string"),
    ({"type": ["string", "null"]}, None, 1, "/a: must be string or null"),
    ({"type": "string", "nullable": True}, None, 1, "/a: must be string"),
    ({"type": "integer"}, 1.0, 1.5, "/a: must be integer"),
    ({"type": "integer"}, 10**30, True, "/a: must be integer"),
    ({"type": "number"}, 0.5, False, "/a: must be number"),
    ({"type": "boolean"}, False, 0, "/a: must be boolean"),
    ({"type": "array"}, [], {}, "/a: must be array"),
    ({"enum": ["x", 1, None]}, 1.0, "y", '/a: must be one of ["x",1,null]'),
    ({"enum": [0, [1, {"b": 2}]]}, [1.0, {"b": 2}], False, '/a: must be one of [0,[1,{"b":2}]]'),
    ({"const": 1}, 1.0, True, "/a: must be 1"),
    ({"const": {"b": [1]}}, {"b": [1]}, {"b": [2]}, '/a: must be {"b":[1]}'),
    ({"minimum": 2}, 2, 1, "/a: must be at least 2"),
    ({"maximum": 2.5}, 2.5, 3, "/a: must be at most 2.5"),
    ({"exclusiveMinimum": 2}, 3, 2, "/a: must be above 2"),
    ({"exclusiveMaximum": 2}, "9", 2.0, "/a: must be below 2"),
    ({"multipleOf": 0.01}, 19.99, 19.995, "/a: must be a multiple of 0.01"),
    ({"multipleOf": 3}, 9.0, 10, "/a: must be a multiple of 3"),
    ({"minLength": 2}, "ab", "😀", "/a: must have at least 2 characters"),
    ({"maxLength": 1}, "😀", "ab", "/a: must not have more than 1 characters"),
    ({"pattern": "^[a-z]+$"}, "ab", "aB", '/a: must match the pattern "^[a-z]+$"'),
    ({"items": NAMED}, [{"n": 1}], [{"n": 1}, {"n": "1"}], "/a/1/n: must be integer"),
    ({"items": NAMED}, "no list", [{}], '/a/0: must have the properties ["n"]'),
    ({"items": [{"type": "string"}], "additionalItems": False}, ["x"], ["x", 1], "/a/1: must not be there"),
    ({"items": [{"type": "string"}, {}]}, ["x", 1, 2], [1], "/a/0: must be string"),
    ({"minItems": 1}, [0], [], "/a: must have at least 1 items"),
    ({"maxItems": 1}, [0], [0, 0], "/a: must not have more than 1 items"),
    (
        {"uniqueItems": True},
        [1, True, "1"],
        [1, 2, 1.0],
        "/a: must not have the same item twice (items 0 and 2)",
    ),
    ({"uniqueItems": False}, [1, 1], None, ""),
    ({"contains": {"type": "string"}}, [1, "x"], [1], "/a: must contain an item that fits `contains`"),
    ({"required": ["b", "c"]}, {"b": 1, "c": 1}, {"b": 1}, '/a: must have the properties ["c"]'),
    ({"minProperties": 1}, {"b": 1}, {}, "/a: must have at least 1 properties"),
    ({"maxProperties": 1}, {"b": 1}, {"b": 1, "c": 1}, "/a: must not have more than 1 properties"),
    ({"properties": {"b": False}}, {"c": 1}, {"b": 1}, "/a/b: must not be there"),
    (
        {"properties": {"b": {}}, "patternProperties": {"^x": {}}, "additionalProperties": False},
        {"b": 1, "x1": 1},
        {"y": 1},
        "/a/y: must not be there",
    ),
    ({"additionalProperties": {"type": "string"}}, {"b": "x"}, {"b": 1}, "/a/b: must be string"),
    ({"patternProperties": {"^x": {"type": "string"}}}, {"y": 1}, {"x1": 1}, "/a/x1: must be string"),
    (
        {"propertyNames": {"maxLength": 2}},
        {"bb": 1},
        {"bbb": 1},
        '/a: the name "bbb" must not have more than 2 characters',
    ),
    ({"dependencies": {"b": ["c"]}}, {"c": 1}, {"b": 1}, '/a: must have the properties ["c"]'),
    ({"dependencies": {"b": NAMED}}, {"n": "x"}, {"b": 1, "n": "x"}, "/a/n: must be integer"),
    ({"allOf": [{"type": "number"}, {"minimum": 2}]}, 2, 1, "/a: must be at least 2"),
    (
        {"anyOf": [{"type": "string"}, NAMED]},
        {"n": 1},
        {"n": "x"},
        "/a/n: must be integer, or fit another of its alternatives",
    ),
    (
        {"oneOf": [{"type": "string"}, {"type": "number"}]},
        1,
        None,
        "/a: must be string, or fit another of its alternatives",
    ),
    (
        {"oneOf": [{"type": "number"}, {"minimum": 2}]},
        1,
        3,
        "/a: must fit one of its alternatives only (fits 0 and 1)",
    ),
    ({"not": {"type": "string"}}, 1, "x", "/a: must not fit `not`"),
    ({"if": {"type": "string"}, "then": {"minLength": 2}}, 1, "x", "/a: must have at least 2 characters"),
    ({"if": {"type": "string"}, "else": {"type": "null"}}, "x", 1, "/a: must be null"),
    ({"title": "t", "description": "d", "default": 1, "examples": [1]}, "x", None, ""),
]


@pytest.mark.parametrize(("part", "good", "bad", "message"), ROWS, ids=[json.dumps(row[0]) for row in ROWS])
def test_every_keyword_is_held_against_the_value(
    part: dict[str, Any] | bool, good: Any, bad: Any, message: str
) -> None:
    assert fits(part, good) == ""
    if message:
        assert fits(part, bad) == message


@pytest.mark.parametrize("reference", ["#/$defs/tree", "#/$defs/a~1b~0%20c", "#/allOf/0/properties/x"])
def test_a_reference_leads_to_another_part_of_the_schema(reference: str) -> None:
    top = {
        "$defs": {"tree": TREE, "a/b~ c": TREE},
        "allOf": [{"properties": {"x": TREE}}],
    }
    assert fits({"$ref": reference}, {"below": [{"below": []}, {}]}, **top) == ""
    assert (
        fits({"$ref": reference}, {"below": [{"below": [1]}]}, **top) == "/a/below/0/below/0: must be object"
    )


def test_a_reference_to_the_top_is_the_whole_schema() -> None:
    assert fits({"$ref": "#"}, {"a": {}}) == ""
    assert fits({"$ref": "#"}, {"a": 1}) == "/a/a: must be object"


def test_what_stands_beside_a_reference_holds_too() -> None:
    top = {"$defs": {"x": {"type": "string"}}}
    assert fits({"$ref": "#/$defs/x", "minLength": 5}, "x", **top) == "/a: must have at least 5 characters"


def test_the_top_itself_has_an_empty_place() -> None:
    assert misfit({"type": "object"}, [], found) == ": must be object"


def test_places_are_written_as_json_pointers() -> None:
    assert fits({"additionalProperties": False}, {"b/c~": 1}) == "/a/b~1c~0: must not be there"


def test_schemas_whose_alternatives_multiply_are_given_up_after_a_number_of_steps() -> None:
    doubled = {
        f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}, {"$ref": f"#/$defs/d{n + 1}"}]} for n in range(60)
    }
    schema = {"$ref": "#/$defs/d0", "$defs": {**doubled, "d60": {"type": "string"}}}
    assert misfit(schema, 1, found, 20_000) == "takes more than 20,000 steps to check against its schema"
    assert misfit(schema, "x", found, 20_000) == ""


def test_a_value_nested_beyond_recursion_is_no_crash() -> None:
    deep: Any = {}
    for _ in range(600):
        deep = {"a": deep}
    schema = {"type": "object", "properties": {"a": {"$ref": "#"}}}
    assert misfit(schema, deep, found) == "is nested too deeply to be checked"
    assert misfit(schema, {"a": {"a": {}}}, found) == ""


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ({"pattern": "^?"}, "x"),
        ({"not": {"pattern": "^?"}}, "x"),
        ({"not": {"allOf": [{"not": {"pattern": "^?"}}]}}, "x"),
        ({"oneOf": [{"pattern": "^?"}, {"type": "string"}]}, "x"),
        ({"if": {"pattern": "^?"}, "then": False, "else": False}, "x"),
        ({"contains": {"pattern": "^?"}}, ["x"]),
        ({"propertyNames": {"pattern": "^?"}}, {"x": 1}),
        ({"patternProperties": {"^?": False}}, {"x": 1}),
        ({"patternProperties": {"^?": {}}, "additionalProperties": False}, {"x": 1}),
    ],
    ids=json.dumps,
)
def test_what_hangs_on_a_pattern_that_nobody_can_tell_is_taken_to_be_kept(
    part: dict[str, Any], value: Any
) -> None:
    schema = {"type": "object", "properties": {"a": part, "b": {"type": "integer"}}}
    assert misfit(schema, {"a": value, "b": 1}, lambda pattern, text: None) == ""
    assert misfit(schema, {"a": value, "b": "1"}, lambda pattern, text: None) == "/b: must be integer"


def test_a_large_enum_is_looked_through_once() -> None:
    asked = {"items": {"enum": list(range(2000))}}
    assert fits(asked, list(range(2000)) * 50) == ""


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(VALUES)
def test_every_value_is_its_own_constant(value: Any) -> None:
    assert fits({"const": value, "enum": [value]}, value) == ""
    assert fits({"not": {"const": value}}, value) != ""


@given(VALUES)
def test_what_does_not_fit_is_told_on_one_bounded_line(value: Any) -> None:
    told = fits({"const": {"no": ["such"]}, "additionalProperties": False, "propertyNames": False}, value)
    assert told
    assert len(told) <= LONGEST_MISFIT
    assert len(told.splitlines()) == 1
