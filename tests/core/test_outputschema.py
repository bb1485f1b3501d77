"""Schemas of structured results: which the claude program takes, as versions 2.1.197 and 2.1.329 showed.

Of those refused here the program takes three, and then they mean nothing or something else: an identifier or another
`$schema` below the top, a bad pattern in `patternProperties`, a schema that stands for itself in a roundabout way.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.core.outputschema import LARGEST, MOST_PROBLEMS, problems


def inside(part: Any, **top: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": part}, **top}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {
            "type": "object",
            "$schema": "http://json-schema.org/draft-07/schema#",
            "$id": "https://example.org/x",
        },
        {"type": "object", "properties": {}, "additionalProperties": False, "required": []},
        {
            "type": "object",
            "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
            "description": "d",
            "$comment": "c",
        },
        inside(True),
        inside({}),
        inside({"type": ["string", "null"]}),
        inside({"type": "string", "nullable": True, "minLength": 1.0, "maxLength": 9, "pattern": "^[a-z]+$"}),
        inside(
            {
                "type": "array",
                "items": {"type": "integer"},
                "minItems": 1,
                "uniqueItems": True,
                "contains": {},
            }
        ),
        inside({"type": "array", "items": [{"type": "string"}], "additionalItems": False}),
        inside({"enum": ["a", 1, None, True], "default": "a", "examples": [1], "title": "t"}),
        inside({"const": {"type": "bogus"}, "default": {"format": "uri"}}),
        inside({"if": {"type": "string"}, "then": {"minLength": 1}, "else": False, "not": {"const": 1}}),
        inside(
            {"minimum": 1, "maximum": 0, "exclusiveMinimum": 0.5, "exclusiveMaximum": 9, "multipleOf": 0.1}
        ),
        inside({"oneOf": [{"type": "string"}, {"type": "number"}], "allOf": [{}]}),
        inside(
            {"patternProperties": {"^x-": {}}, "propertyNames": {"pattern": "^[a-z]"}, "maxProperties": 3}
        ),
        inside({"dependencies": {"a": ["b"], "c": {"required": ["d"]}, "e": True}}),
        inside({"properties": {"format": {}, "$ref": {}, "bogus": {}}, "required": ["format"]}),
        inside({"$ref": "#/$defs/x"}, **{"$defs": {"x": {"type": "string"}}}),
        inside({"$ref": "#/definitions/a~1b%20c"}, definitions={"a/b c": {}}),
        inside({"$ref": "#"}),
        inside({"items": {"$ref": "#/properties/a"}}),
        inside(
            {"contentEncoding": "base64", "contentMediaType": "a/b", "readOnly": True, "deprecated": True}
        ),
    ],
    ids=json.dumps,
)
def test_these_are_taken(schema: dict[str, Any]) -> None:
    assert problems(schema) == []


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"type": "strng"}, "type: 'strng' is not a type; did you mean 'string'?"),
        ({"type": "any"}, "type: 'any' is not a type; types are string, number, "),
        ({"type": ["string", 5]}, "type: '5' is not a type"),
        ({"type": {}}, "type: '{}' is not a type"),
        ({"type": []}, "type: names no type"),
        ({"type": ["null", "null"]}, "type: has 'null' twice"),
        ({"format": "uri"}, "`format` makes older versions of the claude program drop the structured result"),
        (
            {"$schema": "https://json-schema.org/draft/2020-12/schema"},
            "$schema: 'https://json-schema.org/draft/2020",
        ),
        ({"$id": "x"}, "$id: may stand at the top alone"),
        ({"$anchor": "x"}, "unknown keyword '$anchor'; JSON Schema draft 7 has none"),
        ({"minlength": 1}, "unknown keyword 'minlength'; did you mean 'minLength'?"),
        ({"prefixItems": [{}]}, "unknown keyword 'prefixItems'"),
        ({"unevaluatedProperties": False}, "unknown keyword 'unevaluatedProperties'"),
        ({"x-order": 1}, "unknown keyword 'x-order'"),
        ({"nullable": True}, "`nullable` means nothing without `type`"),
        ({"type": ["string", "null"], "nullable": False}, "`nullable: false` contradicts the type null"),
        ({"if": {}}, "`if` means nothing without `then` or `else`"),
        ({"else": {}}, "`then` and `else` mean nothing without `if`"),
        ({"items": {}, "additionalItems": False}, "`additionalItems` means nothing where `items` is no list"),
        ({"pattern": "(?P<n>a)"}, "pattern: '(?P<n>a)' is not a regular expression of JavaScript"),
        ({"pattern": 1}, "pattern: must be text"),
        ({"patternProperties": {"(": {}}}, "patternProperties: '(' is not a regular expression"),
        ({"enum": []}, "enum: must be a list of at least one value"),
        ({"enum": [{"a": 1, "b": 2}, {"b": 2, "a": 1}]}, "enum: has "),
        ({"enum": [1, 1.0]}, "enum: has '1.0' twice"),
        ({"minLength": "1"}, "minLength: must be a whole number of at least 0"),
        ({"maxItems": 1.5}, "maxItems: must be a whole number"),
        ({"minItems": True}, "minItems: must be a whole number"),
        ({"multipleOf": 0}, "multipleOf: must be above 0"),
        ({"exclusiveMinimum": True}, "exclusiveMinimum: must be a number"),
        ({"required": "a"}, "required: must be a list of names"),
        ({"required": ["a", "a"]}, "required: has 'a' twice"),
        ({"dependencies": {"a": [1]}}, "dependencies: must be a list of names"),
        ({"dependencies": []}, "dependencies: must be a map of schemas"),
        ({"properties": []}, "properties: must be a map of schemas"),
        ({"oneOf": {}}, "oneOf: must be a list of at least one schema"),
        ({"items": []}, "items: must not be an empty list"),
        ({"examples": 1}, "examples: must be a list"),
        ({"description": None}, "description: must be text"),
        ({"uniqueItems": "yes"}, "uniqueItems: must be true or false"),
        ({"$ref": "other.json"}, "$ref: 'other.json' leads to no schema in this one"),
        ({"$ref": "https://example.org/x#/a"}, "$ref: 'https://example.org/x#/a' leads to no schema"),
        ({"$ref": "#/$defs/no"}, "$ref: '#/$defs/no' leads to no schema"),
        ({"$ref": "#/properties"}, "$ref: '#/properties' leads to no schema"),
        ({"$ref": "#/properties/a"}, "stands for itself"),
        ({"anyOf": [{"$ref": "#/properties/a"}]}, "stands for itself"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_what_the_program_drops_or_refuses_is_told_with_its_place(part: Any, message: str) -> None:
    (found,) = problems(inside(part))
    assert found.startswith(f"at properties/a: {message}")


@pytest.mark.parametrize("part", [None, 1, "string", []])
def test_what_is_no_schema_is_told(part: Any) -> None:
    (found,) = problems(inside(part))
    assert found.endswith("is no schema; write a map, true or false")


@pytest.mark.parametrize(
    "schema", [{}, {"type": "array"}, {"type": ["object"]}, {"$ref": "#/$defs/a", "$defs": {"a": {}}}]
)
def test_a_result_is_an_object(schema: dict[str, Any]) -> None:
    assert problems(schema) == ["must describe an object; write `type: object` at its top"]


def test_the_place_of_a_problem_is_told_however_deep() -> None:
    schema = inside({"items": [{}, {"dependencies": {"b": {"allOf": [{"type": "bogus"}]}}}]})
    (found,) = problems(schema)
    assert found.startswith("at properties/a/items/1/dependencies/b/allOf/0: type: 'bogus'")


def test_two_schemas_that_stand_for_each_other_are_told_once() -> None:
    definitions = {"a": {"$ref": "#/$defs/b"}, "b": {"allOf": [{"$ref": "#/$defs/a"}]}}
    (found,) = problems({"type": "object", "$defs": definitions})
    assert "stands for itself" in found


def test_only_the_first_problems_are_told() -> None:
    assert len(problems({f"k{number}": 1 for number in range(1000)})) == MOST_PROBLEMS


def test_a_schema_larger_than_an_argument_is_told_before_it_is_looked_at() -> None:
    (found,) = problems(inside({"description": "é" * (LARGEST // 2), "bogus": 1}))
    assert "describe less of the result" in found


def test_a_schema_as_deep_and_as_large_as_can_be_is_looked_at_without_recursion() -> None:
    part: dict[str, Any] = {"type": "bogus"}
    for _ in range(900):
        part = {"items": part}
    assert "type: 'bogus'" in problems(inside(part))[0]
    wide = {f"p{number}": {"$ref": "#/properties/p0"} for number in range(1, 3000)}
    assert problems({"type": "object", "properties": {"p0": {}, **wide}}) == []
