"""The quick reading of a plan file: plain values in one pass, no line numbers.

It gives up (`Unusual`) at whatever needs a second look, wrong or not; `nodes.py` then reads the file again.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

import msgspec

from orchestrator.edges.forms import NOTHING, Form

DEEPEST = 64
"""Containers inside each other: twenty times what a plan needs, far from any recursion limit."""

_BIG = 10**18


class Unusual(Exception):
    """The quick reading does not do here."""


def quick_json(text: str) -> Any:
    """The values of a JSON text.

    Raises:
        Unusual: it is not JSON, a key stands twice, or a value needs a closer look.
    """
    if '"none"' in text:
        raise Unusual
    try:
        if "\\ud" in text or "\\uD" in text:
            # Half a surrogate pair: json would let it through, and no file could be written with it.
            msgspec.json.decode(text)
        return json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_refuse,
            parse_int=_integer,
            parse_float=_refuse_infinite,
        )
    except (ValueError, RecursionError, msgspec.DecodeError) as error:
        raise Unusual from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Unusual
    return found


def _refuse(text: str) -> NoReturn:
    raise Unusual


def _refuse_infinite(text: str) -> float:
    value = float(text)
    return value if abs(value) < float("inf") else _refuse(text)


def _integer(text: str) -> int:
    return int(text) if len(text) <= len(str(_BIG)) - 1 else _refuse(text)


def quick_yaml(data: bytes, form: Form) -> Any:
    """The values of a YAML document of that form, its plain words resolved by it.

    Raises:
        Unusual: it is not YAML, or has what a plan may not have (anchors, tags, a key twice, ...).
    """
    # Imported here: JSON plans do without, and it is the slowest import of all.
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(data)
    try:
        return _build(loader.get_event, yaml, form)
    except (yaml.YAMLError, ValueError) as error:
        raise Unusual from error
    finally:
        loader.dispose()


def _build(next_event: Any, yaml: Any, form: Form) -> Any:
    scalar, document = yaml.ScalarEvent, yaml.DocumentStartEvent
    starts = {yaml.MappingStartEvent: dict, yaml.SequenceStartEvent: list}
    ends = (yaml.MappingEndEvent, yaml.SequenceEndEvent)
    names: dict[str, str] = {}
    stack: list[tuple[Any, Form, Any]] = []
    # The container being filled, its form, and (in a map) the key that waits for its value.
    root: list[Any] = []
    here: Any = root
    key: Any = None
    form = Form("list", inside=form)
    while (event := next_event()) is not None:
        kind = type(event)
        if kind is scalar:
            value = event.value
            if event.anchor is not None or event.tag is not None:
                raise Unusual
            if key is None and type(here) is dict:
                key = names.setdefault(value, value)
                if key in here:
                    raise Unusual
                continue
            inner = form.fields.get(key) or form.inside or form
            if not event.style:
                if inner.resolve is not None:
                    value = inner.resolve(value)
                elif value and value in NOTHING:
                    raise Unusual
            elif inner.nullable and value == "none":
                raise Unusual
        elif kind in starts:
            unkeyed = key is None and type(here) is dict
            if event.anchor is not None or event.tag is not None or unkeyed or len(stack) >= DEEPEST:
                raise Unusual
            stack.append((here, form, key))
            form = form.fields.get(key) or form.inside or form
            here, key = starts[kind](), None
            continue
        elif kind in ends:
            value = here
            here, form, key = stack.pop()
        elif kind is yaml.AliasEvent or (kind is document and (root or event.tags or event.version)):
            raise Unusual
        else:
            continue
        if type(here) is dict:
            here[key], key = value, None
        else:
            here.append(value)
    return root[0] if root else None
