"""What may stand where in a plan file, drawn from the structs in `core/plan.py`.

Both readers use it: the quick one to know which plain words are numbers or mean nothing, the slow one to say
what was expected.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal

from msgspec import Struct, inspect
from msgspec.structs import replace

from orchestrator.core.plan import Plan, Task

NOTHING = frozenset({"", "~", "null", "Null", "NULL"})
NONE = NOTHING | {"none", "None", "NONE"}
NOT_IN_DEFAULTS = ("id", "needs", "after")

# More digits do not fit into the 64 bits that the journal's format has for an integer.
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")

Kind = Literal["text", "choice", "integer", "number", "list", "map", "fields", "free"]
Scalar = str | int | float | bool | None


class Form(Struct, frozen=True, eq=False):
    """What one place of the file takes.

    `least` is the smallest whole number, or what a number must be above. `inside` is the form of list items
    and of the values of a map, where it is not this form itself. `resolve` turns a plain scalar into its
    value; None where that is the text.
    """

    kind: Kind
    nullable: bool = False
    pattern: str | None = None
    choices: tuple[str, ...] = ()
    fields: Mapping[str, Form] = {}
    least: float | None = None
    inside: Form | None = None
    resolve: Callable[[str], Scalar] | None = None


def number(text: str) -> Scalar:
    """`text` as a finite number, None where it means nothing, else unchanged."""
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and math.isfinite(value := float(text)):
        return value
    return None if text in NONE else text


def text_or_none(text: str) -> str | None:
    """`text`, or None where it means nothing."""
    return None if text in NONE else text


def free(text: str) -> Scalar:
    """A plain scalar where no type is known: the core schema of YAML 1.2, without infinities."""
    if text in NOTHING:
        return None
    if text in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return text[0] in "tT"
    return text if text in NONE else number(text)


FREE = Form("free", resolve=free)


@cache
def plan_form() -> Form:
    """The form of a whole plan file."""
    task = _form(inspect.type_info(Task))
    plan = _form(inspect.type_info(Plan))
    defaults = {name: form for name, form in task.fields.items() if name not in NOT_IN_DEFAULTS}
    fields = {**plan.fields, "defaults": Form("fields", fields=defaults, inside=FREE)}
    return Form("fields", fields=fields, inside=FREE)


def with_defaults(task: dict[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a task over those that all tasks have; `inputs` are merged name by name.

    A default of `idle_timeout` is for workers: a command may be silent for as long as it runs.
    """
    merged = {**defaults, **task}
    if "idle_timeout" in defaults and merged.get("cli") == "shell" and "idle_timeout" not in task:
        del merged["idle_timeout"]
    ours, theirs = task.get("inputs"), defaults.get("inputs")
    if isinstance(ours, dict) and isinstance(theirs, dict):
        merged["inputs"] = {**theirs, **ours}
    return merged


def _form(info: inspect.Type) -> Form:
    match info:
        case inspect.Metadata(type=inner):
            return _form(inner)
        case inspect.StructType(fields=members):
            names = {member.name: _form(member.type) for member in members}
            return Form("fields", fields=names, inside=FREE)
        case inspect.UnionType(types=types):
            only = _form(next(one for one in types if not isinstance(one, inspect.NoneType)))
            return replace(only, nullable=True, resolve=only.resolve or text_or_none)
        case inspect.VarTupleType(item_type=item):
            return Form("list", inside=_form(item))
        case inspect.DictType(value_type=value):
            return Form("map", inside=_form(value))
        case inspect.AnyType():
            return FREE
        case inspect.LiteralType(values=values):
            return Form("choice", choices=tuple(str(value) for value in values))
        case inspect.IntType(ge=least):
            return Form("integer", least=least, resolve=number)
        case inspect.FloatType(gt=bound):
            return Form("number", least=bound, resolve=number)
        case inspect.StrType(pattern=pattern):
            return Form("text", pattern=pattern)
    raise TypeError(f"no form for {info!r}")
