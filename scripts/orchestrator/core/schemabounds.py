"""The keywords of a JSON Schema that hold for a value without a look at its parts: type, size, what is required.

Each check takes the keyword's rule and the value, and gives what the value must be; nothing where it is that,
or where the keyword does not speak of values of its type.
"""

from __future__ import annotations

from collections.abc import Callable, Sized
from typing import Any

import msgspec

from orchestrator.core.text import one_line

Bound = Callable[[Any, Any], str]


def as_json(value: Any) -> str:
    """A rule as it stands in the schema, cut to size."""
    return one_line(msgspec.json.encode(value).decode(), 160)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return _is_number(value) and (isinstance(value, int) or value.is_integer())


_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "number": _is_number,
    "integer": _is_whole,
    "boolean": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "null": lambda value: value is None,
}


def _type(rule: Any, value: Any) -> str:
    names = rule if isinstance(rule, list) else [rule]
    return "" if any(_TYPES[name](value) for name in names) else f"must be {' or '.join(names)}"


def _number(holds: Callable[[Any, Any], bool], words: str) -> Bound:
    def check(rule: Any, value: Any) -> str:
        return "" if not _is_number(value) or holds(value, rule) else f"must be {words} {as_json(rule)}"

    return check


def _is_multiple(value: Any, rule: Any) -> bool:
    try:
        times = value / rule
        # 19.99 is a multiple of 0.01, whatever the binary fractions nearest to them say.
        return bool(abs(times - round(times)) <= 1e-9 * max(1.0, abs(times)))
    except OverflowError:
        return True


def _at_least(kind: type[Sized], words: str) -> Bound:
    def check(rule: Any, value: Any) -> str:
        few = isinstance(value, kind) and len(value) < rule
        return f"must have at least {as_json(rule)} {words}" if few else ""

    return check


def _at_most(kind: type[Sized], words: str) -> Bound:
    def check(rule: Any, value: Any) -> str:
        many = isinstance(value, kind) and len(value) > rule
        return f"must not have more than {as_json(rule)} {words}" if many else ""

    return check


def _required(rule: Any, value: Any) -> str:
    missing = [name for name in rule if name not in value] if isinstance(value, dict) else []
    return f"must have the properties {as_json(missing)}" if missing else ""


BOUNDS: dict[str, Bound] = {
    "exclusiveMaximum": _number(lambda value, rule: bool(value < rule), "below"),
    "exclusiveMinimum": _number(lambda value, rule: bool(value > rule), "above"),
    "maxItems": _at_most(list, "items"),
    "maxLength": _at_most(str, "characters"),
    "maxProperties": _at_most(dict, "properties"),
    "maximum": _number(lambda value, rule: bool(value <= rule), "at most"),
    "minItems": _at_least(list, "items"),
    "minLength": _at_least(str, "characters"),
    "minProperties": _at_least(dict, "properties"),
    "minimum": _number(lambda value, rule: bool(value >= rule), "at least"),
    "multipleOf": _number(_is_multiple, "a multiple of"),
    "required": _required,
    "type": _type,
}
