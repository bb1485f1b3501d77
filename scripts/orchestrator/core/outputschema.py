"""Which JSON Schemas a structured result may have.

The claude program hands them to Ajv 8 in strict mode: draft 7, `$defs` and `nullable` beside it. What that does
not like makes its older versions drop the structured result without a word, and ends its newer ones at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any
from urllib.parse import unquote

import msgspec

from orchestrator.core.graph import find_cycles
from orchestrator.core.hints import Hints, shown
from orchestrator.core.plan import LONGEST_VARIABLE
from orchestrator.core.schemakeywords import IN_PLACE, KEYWORDS, MAPS, SCHEMA, SCHEMAS
from orchestrator.core.text import one_line

LARGEST = LONGEST_VARIABLE - len("--json-schema=")
"""Bytes: the schema is one argument of the claude program."""

MOST_PROBLEMS = 5
"""Of one schema, which stands in one place of a plan."""

Place = tuple[str, ...]
"""The keys that lead to a part of a schema."""

_NOT_AN_OBJECT = "must describe an object; write `type: object` at its top"
_NO_FORMAT = (
    "`format` makes older versions of the claude program drop the structured result, and newer ones do not check it; "
    "write a `pattern`, or say it in `description`"
)
_ONLY_TOP = "may stand at the top alone, for it changes what every `$ref` below it means"


def problems(schema: Mapping[str, Any]) -> list[str]:
    """A sentence for each of the first MOST_PROBLEMS things that are wrong with the schema of a result."""
    size = len(msgspec.json.encode(schema))
    if size > LARGEST:
        return [f"takes {size:,} bytes, and a schema can have {LARGEST:,}; describe less of the result"]
    top = [] if schema.get("type") == "object" else [_NOT_AN_OBJECT]
    return [*top, *islice(_Walk(schema).problems(), MOST_PROBLEMS - len(top))]


class _Walk:
    """One walk over a schema, without recursion: where its parts are, and which stand for the same value."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.numbers: dict[Place, int] = {}
        self.todo: deque[tuple[Place, Any, Place | None]] = deque([((), schema, None)])
        self.same: list[tuple[Place, Place]] = []
        self.references: list[tuple[Place, str]] = []

    def problems(self) -> Iterator[str]:
        while self.todo:
            place, part, around = self.todo.popleft()
            self.numbers[place] = len(self.numbers)
            if around is not None:
                self.same.append((around, place))
            if isinstance(part, Mapping):
                yield from (f"{_at(place)}{message}" for message in self._part(place, part))
            elif not isinstance(part, bool):
                yield f"{_at(place)}{shown(str(part))} is no schema; write a map, true or false"
        yield from self._unresolved()
        yield from self._endless()

    def _part(self, place: Place, part: Mapping[str, Any]) -> Iterator[str]:
        for key, value in part.items():
            if key not in KEYWORDS:
                yield _unknown(key, part)
            elif wrong := KEYWORDS[key](value):
                yield f"{key}: {wrong}"
            elif key == "$id" and place:
                yield f"{key}: {_ONLY_TOP}"
            else:
                self._note(place, key, value)
        yield from _ignored(part)

    def _note(self, place: Place, key: str, value: Any) -> None:
        below = (*place, key)
        around = place if key in IN_PLACE else None
        if key == "$ref":
            self.references.append((place, value))
        elif key in SCHEMAS or (key == "items" and isinstance(value, list)):
            self.todo.extend(((*below, str(at)), one, around) for at, one in enumerate(value))
        elif key in SCHEMA:
            self.todo.append((below, value, around))
        elif key in MAPS:
            for name, one in value.items():
                # What depends on a property is a schema, or a list of names.
                if key != "dependencies" or not isinstance(one, list):
                    self.todo.append(((*below, name), one, around))

    def _unresolved(self) -> Iterator[str]:
        for place, reference in self.references:
            target = _pointer(reference)
            if target in self.numbers:
                self.same.append((place, target))
            else:
                hint = "write one inside it, such as #/$defs/name"
                yield f"{_at(place)}$ref: {shown(reference)} leads to no schema in this one; {hint}"

    def _endless(self) -> Iterator[str]:
        edges: list[list[int]] = [[] for _ in self.numbers]
        for place, other in self.same:
            edges[self.numbers[place]].append(self.numbers[other])
        if cycles := find_cycles(edges):
            place = list(self.numbers)[cycles[0][0]]
            yield f"{_at(place)}stands for itself; a schema may contain itself only inside a property or item"


def _at(place: Place) -> str:
    return f"at {one_line('/'.join(place), 120)}: " if place else ""


def _pointer(reference: str) -> Place | None:
    if reference in ("", "#"):
        return ()
    if not reference.startswith("#/"):
        return None
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in unquote(reference[2:]).split("/"))


def _unknown(key: str, part: Mapping[str, Any]) -> str:
    if key == "format":
        return _NO_FORMAT
    guess = Hints(tuple(KEYWORDS)).closest(key)
    hint = f"did you mean {shown(guess)}?" if guess and guess not in part else "JSON Schema draft 7 has none"
    return f"unknown keyword {shown(key)}; {hint}"


def _ignored(part: Mapping[str, Any]) -> Iterator[str]:
    """Keywords that mean nothing without another one, which strict mode refuses."""
    if "if" in part and not {"then", "else"} & part.keys():
        yield "`if` means nothing without `then` or `else`"
    if "if" not in part and {"then", "else"} & part.keys():
        yield "`then` and `else` mean nothing without `if`"
    if "additionalItems" in part and not isinstance(part.get("items"), list):
        yield "`additionalItems` means nothing where `items` is no list"
    if "nullable" in part and "type" not in part:
        yield "`nullable` means nothing without `type`"
    if part.get("nullable") is False and _takes_null(part.get("type")):
        yield "`nullable: false` contradicts the type null"


def _takes_null(types: Any) -> bool:
    return types == "null" or (isinstance(types, list) and "null" in types)
