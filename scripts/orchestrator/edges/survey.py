"""Holds a tree of nodes against a form: values where it fits, sentences where it does not.

What is wrong is appended to one list, each problem with its line; the rest of the tree is read on.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from msgspec import Struct, field

from orchestrator.core.hints import Hints, shown
from orchestrator.core.plan import DURATION_PATTERN, ID_PATTERN
from orchestrator.edges.forms import NOT_IN_DEFAULTS, NOTHING, Form, number
from orchestrator.edges.nodes import Broken, Items, Node, Pairs, Problems, Scalar

_BARE = re.compile(r"[A-Za-z0-9_./-]{1,40}")
_BARE_NUMBER = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_DURATION_FORM = "write a number and ms, s, m, h or d, such as 90s or 1h30m"

MOST_KNOWN = 10
"""Keys that are listed where one is not known: more are no help."""

WRONG = object()
"""Stands for a value about which something was said."""


class Fields(Struct):
    """What one map of known keys held."""

    line: int
    where: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    wrong: set[str] = field(default_factory=set)


class Survey:
    """Reads values; `where` begins every sentence with the place, such as `T-03: `."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        self._hints: dict[int, Hints] = {}

    def fields(self, form: Form, node: Pairs, where: str, later: tuple[str, ...] = ()) -> Fields:
        """The fields of a map; those named in `later` are only looked up, not read."""
        found = Fields(node.line, where)
        for key, value in node.pairs:
            name = key.text
            if name in found.keys:
                self._say(
                    key, f"{where}the key {shown(name)} stands here twice, first in line {found.keys[name]}"
                )
                found.wrong.add(name)
                continue
            found.keys[name] = key.line
            found.nodes[name] = value
            if name not in form.fields:
                self._unknown(form, key, where, found)
            elif name not in later:
                self._field(form.fields[name], value, f"{where}{name}: ", name, found)
        return found

    def _field(self, form: Form, node: Node, where: str, name: str, found: Fields) -> None:
        before = len(self.problems)
        value = self.value(form, node, where)
        if value is not WRONG:
            found.values[name] = value
        if value is WRONG or len(self.problems) > before:
            found.wrong.add(name)

    def _unknown(self, form: Form, key: Scalar, where: str, found: Fields) -> None:
        if key.text in NOT_IN_DEFAULTS and "worker" in form.fields:
            self._say(key, f"{where}{key.text} cannot be a default; every task has its own")
            return
        guess = self._hints_of(form, form.fields).closest(key.text)
        found.wrong.add(guess)
        question = f"; did you mean {shown(guess)}?" if guess else _known(form)
        self._say(key, f"{where}unknown key {shown(key.text)}{question}")

    def value(self, form: Form, node: Node, where: str) -> Any:
        """The value of `node`, WRONG where it does not fit."""
        if isinstance(node, Broken):
            return WRONG
        if isinstance(node, Scalar) and form.resolve and node.plain and form.nullable:
            if form.resolve(node.text) is None:
                return None
        elif isinstance(node, Scalar) and form.nullable and node.text == "none":
            return None
        return _READERS.get(form.kind, Survey._text)(self, form, node, where)

    def _list(self, form: Form, node: Node, where: str) -> Any:
        if not isinstance(node, Items):
            return self._expected("a list", form, node, where)
        values = [self.value(form.inside or form, item, where) for item in node.items]
        return tuple(value for value in values if value is not WRONG)

    def _map(self, form: Form, node: Node, where: str) -> Any:
        if not isinstance(node, Pairs):
            return self._expected("a map (`name: value`)", form, node, where)
        values: dict[str, Any] = {}
        for key, inner in node.pairs:
            if key.text in values:
                self._say(key, f"{where}the key {shown(key.text)} stands here twice")
            values[key.text] = self.value(form.inside or form, inner, f"{where}{shown(key.text)}: ")
        return {name: value for name, value in values.items() if value is not WRONG}

    def _struct(self, form: Form, node: Node, where: str) -> Any:
        return self._expected(f"a map of {', '.join(form.fields)}", form, node, where)

    def _free(self, form: Form, node: Node, where: str) -> Any:
        if isinstance(node, Pairs):
            return self._map(form, node, where)
        if isinstance(node, Items):
            return list(self._list(form, node, where))
        if isinstance(node, Scalar) and node.plain and form.resolve:
            return form.resolve(node.text)
        return node.text if isinstance(node, Scalar) else WRONG

    def _integer(self, form: Form, node: Node, where: str) -> Any:
        value = _number(node)
        if isinstance(value, int) and value >= (form.least or 0):
            return value
        return self._expected(f"a whole number of at least {form.least or 0:g}", form, node, where)

    def _float(self, form: Form, node: Node, where: str) -> Any:
        value = _number(node)
        if isinstance(value, int | float) and value > (form.least or 0):
            return value
        return self._expected(f"a number above {form.least or 0:g}", form, node, where)

    def _text(self, form: Form, node: Node, where: str) -> Any:
        if not isinstance(node, Scalar):
            return self._expected("text", form, node, where)
        if node.plain and node.text and node.text in NOTHING:
            return self._expected("text", form, node, where, "; put the word in quotes if it is meant")
        if form.choices and node.text not in form.choices:
            choices = f"{', '.join(form.choices)}{' or none' if form.nullable else ''}"
            question = self._hints_of(form, form.choices).question(node.text)
            return self._say(node, f"{where}{shown(node.text)} is not one of {choices}{question}")
        if form.pattern and not re.search(form.pattern, node.text):
            return self._say(node, f"{where}{shown(node.text)} {_pattern_rule(form.pattern, node.text)}")
        return node.text

    def _expected(self, what: str, form: Form, node: Node, where: str, hint: str = "") -> object:
        either = f"{what} or none" if form.nullable else what
        hint = hint or _hint(form, node)
        return self._say(node, f"{where}expected {either}, found {_found(node)}{hint}")

    def _hints_of(self, form: Form, names: Collection[str]) -> Hints:
        """One for each form, so that guesses stay bounded however many tasks are wrong."""
        return self._hints.setdefault(id(form), Hints(names))

    def _say(self, node: Node, message: str) -> object:
        self.problems.append((node.line, message))
        return WRONG


_READERS = {
    "list": Survey._list,
    "map": Survey._map,
    "fields": Survey._struct,
    "free": Survey._free,
    "integer": Survey._integer,
    "number": Survey._float,
}


def _known(form: Form) -> str:
    return f"; known are {', '.join(form.fields)}" if len(form.fields) <= MOST_KNOWN else ""


def _number(node: Node) -> Any:
    return number(node.text) if isinstance(node, Scalar) and node.plain else None


def _found(node: Node) -> str:
    if isinstance(node, Items):
        return "a list"
    if isinstance(node, Pairs):
        return "a map"
    if isinstance(node, Scalar) and not (node.plain and node.text in NOTHING):
        return shown(node.text)
    return "nothing"


def _hint(form: Form, node: Node) -> str:
    """What to write instead, where that can be told."""
    if not isinstance(node, Scalar):
        return ""
    empty = node.plain and node.text in NOTHING
    if form.kind == "list":
        item = "" if empty else node.text if _BARE.fullmatch(node.text) else "…"
        return f"; write [{item}]"
    if form.kind in ("integer", "number") and not node.plain and number(node.text) != node.text:
        return "; take the quotes away"
    return "; leave the key out for the default" if empty else ""


def _pattern_rule(pattern: str, text: str) -> str:
    if pattern == ID_PATTERN:
        return "cannot be an id; write a letter, then at most 63 letters, digits, `_`, `.` or `-`"
    if pattern == DURATION_PATTERN:
        hint = f"write {text}s or {text}m" if _BARE_NUMBER.fullmatch(text) else _DURATION_FORM
        return f"is not a duration; {hint}"
    return f"does not fit {pattern}"
