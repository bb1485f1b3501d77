"""Whether a value fits a JSON Schema, read as the claude program reads it (Ajv 8): draft 7, and `nullable`.

For schemas that `outputschema` finds nothing wrong with. Every step is counted, so that no schema, however its
parts refer to each other, takes for ever; a regular expression is matched by whoever asks, who has a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from orchestrator.core.schemabounds import BOUNDS, as_json
from orchestrator.core.text import one_line

STEPS = 500_000
"""Parts of a value that are held against parts of a schema: four times the tokens that a model can answer
with, and a second and a half."""

LONGEST_MISFIT = 300
"""Characters that tell what does not fit."""

Matches = Callable[[str, str], bool | None]
"""Whether a pattern of JavaScript is found in a text; None: nobody here can tell."""

Place = tuple[str, ...]
Found = Iterator["_Misfit"]


class _Misfit(NamedTuple):
    place: Place
    message: str


class _TooMuch(Exception):
    pass


class _Unknowable(Exception):
    pass


def misfit(schema: Mapping[str, Any], value: Any, matches: Matches, most: int = STEPS) -> str:
    """The first thing in `value` that does not fit, with its place; empty where all of it does.

    A keyword that hangs on a pattern of which nobody can tell is taken to be kept. After `most` steps it is given up.
    """
    walk = _Walk(schema, matches, most)
    try:
        found = next(walk.problems(schema, value, ()), None)
    except _TooMuch:
        return f"takes more than {most:,} steps to check against its schema"
    except RecursionError:
        return "is nested too deeply to be checked"
    return one_line(f"{_pointer(found.place)}: {found.message}", LONGEST_MISFIT) if found else ""


def _pointer(place: Place) -> str:
    """A JSON pointer (RFC 6901), of a long one the end."""
    path = "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in place)
    return path if len(path) <= 120 else f"…{path[-119:]}"


class _Walk:
    """One value against one schema."""

    def __init__(self, root: Mapping[str, Any], matches: Matches, most: int) -> None:
        self.root, self.matches = root, matches
        self.left = most
        self.trials = 0
        self.known: dict[int, frozenset[Any]] = {}

    def first(self, schema: Any, value: Any, place: Place) -> _Misfit | None:
        """What does not fit, if anything, where something depends on whether it does."""
        self.trials += 1
        try:
            return next(self.problems(schema, value, place), None)
        finally:
            self.trials -= 1

    def problems(self, schema: Any, value: Any, place: Place) -> Found:
        """All that does not fit."""
        self.step()
        if isinstance(schema, bool):
            if not schema:
                yield _Misfit(place, "must not be there")
            return
        for keyword, rule in schema.items():
            if keyword == "type" and value is None and schema.get("nullable"):
                continue
            try:
                yield from self.kept(keyword, rule, schema, value, place)
            except _Unknowable:
                if self.trials:
                    raise

    def kept(self, keyword: str, rule: Any, schema: Mapping[str, Any], value: Any, place: Place) -> Found:
        """What does not fit one keyword."""
        if check := _CHECKS.get(keyword):
            yield from check(self, rule, schema, value, place)
        elif (bound := BOUNDS.get(keyword)) and (wrong := bound(rule, value)):
            yield _Misfit(place, wrong)

    def step(self) -> None:
        """Count."""
        self.left -= 1
        if self.left < 0:
            raise _TooMuch

    def identity(self, value: Any) -> Any:
        """What two values have in common that are the same in JSON: 1 and 1.0, but not 1 and true."""
        self.step()
        if isinstance(value, list):
            return ("list", *map(self.identity, value))
        if isinstance(value, dict):
            return ("map", frozenset((name, self.identity(part)) for name, part in value.items()))
        return (isinstance(value, bool), value)

    def among(self, rule: list[Any], value: Any) -> bool:
        """Whether `value` is one of a list, which is looked through once."""
        if id(rule) not in self.known:
            self.known[id(rule)] = frozenset(map(self.identity, rule))
        return self.identity(value) in self.known[id(rule)]

    def target(self, reference: str) -> Any:
        """The part of the schema that a `$ref` leads to."""
        part: Any = self.root
        if reference in ("", "#"):
            return part
        for name in unquote(reference[2:]).split("/"):
            name = name.replace("~1", "/").replace("~0", "~")
            part = part[int(name)] if isinstance(part, list) else part[name]
        return part

    def found(self, pattern: str, text: str) -> bool:
        """Whether a pattern is found in a text."""
        self.step()
        known = self.matches(pattern, text)
        if known is None:
            raise _Unknowable
        return known


Check = Callable[[_Walk, Any, Mapping[str, Any], Any, Place], Found]


def _enum(walk: _Walk, rule: Any, schema: Mapping[str, Any], value: Any, place: Place) -> Found:
    if not walk.among(rule, value):
        yield _Misfit(place, f"must be one of {as_json(rule)}")


def _const(walk: _Walk, rule: Any, schema: Mapping[str, Any], value: Any, place: Place) -> Found:
    if walk.identity(rule) != walk.identity(value):
        yield _Misfit(place, f"must be {as_json(rule)}")


def _pattern(walk: _Walk, rule: Any, schema: Mapping[str, Any], value: Any, place: Place) -> Found:
    if isinstance(value, str) and not walk.found(rule, value):
        yield _Misfit(place, f"must match the pattern {as_json(rule)}")


def _items(walk: _Walk, rule: Any, schema: Mapping[str, Any], value: Any, place: Place) -> Found:
    if not isinstance(value, list):
        return
    rules = rule if isinstance(rule, list) else []
    rest = schema.get("additionalItems", True) if isinstance(rule, list) else rule
    for at, part in enumerate(value):
        yield from walk.problems(rules[at] if at < len(rules) else rest, part, (*place, str(at)))


def _unique(walk: _Walk, rule: Any, schema: Mapping[str, Any], value: Any, place: Place) -> Found:
    if not rule or not isinstance(value, list):
        return
    seen: dict[Any, int] = {}
    for at, part in enumerate(value):
        first = seen.setdefault(walk.identity(part), at)
        if first != at:
            yield _Misfit(place, f"must not have the same item twice (items {first} and {at})")
            return


def _contains(walk: _Walk, rule: Any, schema: Mapping[str, Any], value: Any, place: Place) -> Found:
    if isinstance(value, list) and all(walk.first(rule, part, place) for part in value):
        yield _Misfit(place, "must contain an item that fits `contains`")


def _properties(walk: _Walk, rule: Any, schema: Mapping[str, Any], value: Any, place: Place) -> Found:
    if isinstance(value, dict):
        for name, part in rule.items():
            if name in value:
                yield from walk.problems(part, value[name], (*place, name))


def _pattern_properties(walk: _Walk, rule: Any, schema: Mapping[str, Any], value: Any, place: Place) -> Found:
    if isinstance(value, dict):
        for pattern, part in rule.items():
            for name in value:
                if walk.found(pattern, name):
                    yield from walk.problems(part, value[name], (*place, name))


def _other_properties(walk: _Walk, rule: Any, schema: Mapping[str, Any], value: Any, place: Place) -> Found:
    if not isinstance(value, dict):
        return
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for name, part in value.items():
        if name in known or any(walk.found(pattern, name) for pattern in patterns):
            continue
        yield from walk.problems(rule, part, (*place, name))


def _property_names(walk: _Walk, rule: Any, schema: Mapping[str, Any], value: Any, place: Place) -> Found:
    if isinstance(value, dict):
        for name in value:
            for found in walk.problems(rule, name, place):
                yield _Misfit(place, f"the name {as_json(name)} {found.message}")


def _dependencies(walk: _Walk, rule: Any, schema: Mapping[str, Any], value: Any, place: Place) -> Found:
    if not isinstance(value, dict):
        return
    for name, needed in rule.items():
        if name in value:
            among = {"required": needed} if isinstance(needed, list) else needed
            yield from walk.problems(among, value, place)


def _all_of(walk: _Walk, rule: Any, schema: Mapping[str, Any], value: Any, place: Place) -> Found:
    for part in rule:
        yield from walk.problems(part, value, place)


def _any_of(walk: _Walk, rule: Any, schema: Mapping[str, Any], value: Any, place: Place) -> Found:
    nearest: _Misfit | None = None
    for part in rule:
        found = walk.first(part, value, place)
        if found is None:
            return
        if nearest is None or len(found.place) > len(nearest.place):
            nearest = found
    assert nearest is not None
    yield _Misfit(nearest.place, f"{nearest.message}, or fit another of its alternatives")


def _one_of(walk: _Walk, rule: Any, schema: Mapping[str, Any], value: Any, place: Place) -> Found:
    fitting = [at for at, part in enumerate(rule) if walk.first(part, value, place) is None]
    if not fitting:
        yield from _any_of(walk, rule, schema, value, place)
    elif len(fitting) > 1:
        yield _Misfit(place, f"must fit one of its alternatives only (fits {fitting[0]} and {fitting[1]})")


def _not(walk: _Walk, rule: Any, schema: Mapping[str, Any], value: Any, place: Place) -> Found:
    if walk.first(rule, value, place) is None:
        yield _Misfit(place, "must not fit `not`")


def _if(walk: _Walk, rule: Any, schema: Mapping[str, Any], value: Any, place: Place) -> Found:
    branch = "else" if walk.first(rule, value, place) else "then"
    yield from walk.problems(schema.get(branch, True), value, place)


def _reference(walk: _Walk, rule: Any, schema: Mapping[str, Any], value: Any, place: Place) -> Found:
    yield from walk.problems(walk.target(rule), value, place)


_CHECKS: dict[str, Check] = {
    "$ref": _reference,
    "additionalProperties": _other_properties,
    "allOf": _all_of,
    "anyOf": _any_of,
    "const": _const,
    "contains": _contains,
    "dependencies": _dependencies,
    "enum": _enum,
    "if": _if,
    "items": _items,
    "not": _not,
    "oneOf": _one_of,
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "properties": _properties,
    "propertyNames": _property_names,
    "uniqueItems": _unique,
}
