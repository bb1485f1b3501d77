"""What may stand under each keyword of JSON Schema draft 7, and `$defs` and `nullable` beside it.

Each check gives a sentence, or nothing where all is well; what is inside the schemas of a value is not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from orchestrator.core.hints import Hints, shown
from orchestrator.core.jspattern import wrong_pattern

TYPES = ("string", "number", "integer", "boolean", "object", "array", "null")
DRAFTS = ("http://json-schema.org/draft-07/schema#", "http://json-schema.org/draft-07/schema")


def _is_type(value: Any) -> str:
    names = value if isinstance(value, list) else [value]
    for name in names:
        if name not in TYPES:
            known = Hints(TYPES).question(name) if isinstance(name, str) else ""
            return f"{shown(str(name))} is not a type{known or '; types are ' + ', '.join(TYPES)}"
    return "names no type" if not names else _are_unique(names)


def _is_draft_7(value: Any) -> str:
    if value in DRAFTS:
        return ""
    return (
        f"{shown(str(value))} is not taken by the claude program; leave `$schema` out, or write {DRAFTS[0]}"
    )


def _is_text(value: Any) -> str:
    return "" if isinstance(value, str) else "must be text"


def _is_pattern(value: Any) -> str:
    return wrong_pattern(value) if isinstance(value, str) else "must be text"


def _is_flag(value: Any) -> str:
    return "" if isinstance(value, bool) else "must be true or false"


def _is_number(value: Any) -> str:
    return "" if isinstance(value, int | float) and not isinstance(value, bool) else "must be a number"


def _is_above_zero(value: Any) -> str:
    return _is_number(value) or ("" if value > 0 else "must be above 0")


def _is_count(value: Any) -> str:
    whole = not _is_number(value) and value >= 0 and (isinstance(value, int) or value.is_integer())
    return "" if whole else "must be a whole number of at least 0"


def _is_map(value: Any) -> str:
    return "" if isinstance(value, Mapping) else "must be a map of schemas"


def _are_patterns(value: Any) -> str:
    return _is_map(value) or next(filter(None, map(wrong_pattern, value)), "")


def _are_dependencies(value: Any) -> str:
    if wrong := _is_map(value):
        return wrong
    return next(filter(None, (_are_names(one) for one in value.values() if isinstance(one, list))), "")


def _are_schemas(value: Any) -> str:
    return "" if isinstance(value, list) and value else "must be a list of at least one schema"


def _are_items(value: Any) -> str:
    return "must not be an empty list" if value == [] else ""


def _are_names(value: Any) -> str:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        return "must be a list of names"
    return _are_unique(value)


def _are_values(value: Any) -> str:
    return _are_unique(value) if isinstance(value, list) and value else "must be a list of at least one value"


def _is_list(value: Any) -> str:
    return "" if isinstance(value, list) else "must be a list"


def _is_anything(_: Any) -> str:
    return ""


def _are_unique(values: list[Any]) -> str:
    seen = set()
    for value in values:
        # 1 and 1.0 are one number there, and a list may hold what has no hash.
        plain = int(value) if isinstance(value, float) and value.is_integer() else value
        known = msgspec.json.encode(plain, order="deterministic")
        if known in seen:
            return f"has {shown(str(value))} twice"
        seen.add(known)
    return ""


SCHEMA = (
    *("additionalItems", "additionalProperties", "contains", "else", "if", "items", "not", "propertyNames"),
    "then",
)
SCHEMAS = ("allOf", "anyOf", "oneOf")
MAPS = ("$defs", "definitions", "dependencies", "patternProperties", "properties")
IN_PLACE = ("allOf", "anyOf", "dependencies", "else", "if", "not", "oneOf", "then")
"""Keywords whose schemas hold for the same value, not for a part of it."""

KEYWORDS: dict[str, Callable[[Any], str]] = {
    **dict.fromkeys(SCHEMA, _is_anything),
    **dict.fromkeys(SCHEMAS, _are_schemas),
    **dict.fromkeys(MAPS, _is_map),
    **dict.fromkeys(("$comment", "$id", "$ref", "description", "title"), _is_text),
    **dict.fromkeys(("contentEncoding", "contentMediaType"), _is_text),
    **dict.fromkeys(("deprecated", "nullable", "readOnly", "uniqueItems", "writeOnly"), _is_flag),
    **dict.fromkeys(("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum"), _is_number),
    **dict.fromkeys(("maxItems", "maxLength", "maxProperties"), _is_count),
    **dict.fromkeys(("minItems", "minLength", "minProperties"), _is_count),
    **dict.fromkeys(("const", "default"), _is_anything),
    "$schema": _is_draft_7,
    "dependencies": _are_dependencies,
    "enum": _are_values,
    "examples": _is_list,
    "items": _are_items,
    "multipleOf": _is_above_zero,
    "pattern": _is_pattern,
    "patternProperties": _are_patterns,
    "required": _are_names,
    "type": _is_type,
}
