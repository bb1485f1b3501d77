"""One line of the claude program's stream-json output, taken apart without trusting any of it; pure."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
from msgspec import Raw, Struct

T = TypeVar("T")


class Line(Struct):
    """The fields that are read, untyped: an odd value in one must not hide the others.

    What can be long is left as it stands (`Raw`), or is not among them.
    """

    type: Any = ""
    subtype: Any = ""
    session_id: Any = None
    parent_tool_use_id: Any = None
    is_error: Any = None
    error: Any = None
    error_status: Any = None
    retry_delay_ms: Any = None
    api_error_status: Any = None
    api_error: Any = None
    num_turns: Any = None
    result: Any = None
    errors: Any = None
    structured_output: Raw = Raw()
    total_cost_usd: Any = None
    usage: Any = None
    modelUsage: Any = None  # noqa: N815 - the program's own spelling
    model_usage_since_last_result: Any = None
    permission_denials: Any = None
    message: Raw = Raw()
    rate_limit_info: Any = None


class Message(Struct):
    """What the model was told or answered; `content` is a list of blocks."""

    model: Any = None
    content: Raw = Raw()


class Block(Struct):
    """A call of a tool, or its result, less what it returned."""

    type: Any = None
    id: Any = None
    name: Any = None
    tool_use_id: Any = None
    is_error: Any = None
    input: Raw = Raw()


class Target(Struct):
    """Which file a tool was given."""

    file_path: Any = None
    notebook_path: Any = None


_line = msgspec.json.Decoder(Line).decode
_message = msgspec.json.Decoder(Message).decode
_blocks = msgspec.json.Decoder(list[Block]).decode
_pieces = msgspec.json.Decoder(list[Raw]).decode
_block = msgspec.json.Decoder(Block).decode
_target = msgspec.json.Decoder(Target).decode
_anything = msgspec.json.Decoder(Any).decode


def parse(raw: bytes) -> Line | None:
    """The line, or None where it is not one of the program's own."""
    if not raw.startswith(b'{"') or not raw.rstrip().endswith(b"}"):
        return None
    return _decoded(_line, raw)


def message_of(line: Line) -> Message:
    """Its message; an empty one where it has none."""
    return _decoded(_message, line.message) or Message()


def blocks_of(message: Message) -> list[Block]:
    """The blocks of a message that are blocks."""
    try:
        return _blocks(message.content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pieces = _decoded(_pieces, message.content) or []
        return [block for piece in pieces if (block := _decoded(_block, piece)) is not None]


def target_of(block: Block) -> str:
    """The file that a tool was called with, as it was given; "" where there is none."""
    target = _decoded(_target, block.input) or Target()
    return text(target.file_path) or text(target.notebook_path)


def content_of(line: Line) -> list[dict[str, Any]]:
    """All that the blocks of a line hold."""
    return dicts(mapping(_decoded(_anything, line.message)).get("content"))


def json_text(raw: Raw) -> str:
    """A value as JSON text; "" for none."""
    found = bytes(raw).decode("utf-8", "replace")
    return "" if found == "null" else found


def text(value: object) -> str:
    """The value if it is text."""
    return value if isinstance(value, str) else ""


def whole(value: object) -> int | None:
    """A count or status; what cannot be one is left out, so that the journal can always be read again."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value < 1 << 53 else None


def number(value: object) -> float | None:
    """A number that is not negative, and small enough to be summed up."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1 << 53:
        return None
    return float(value)


def moment(value: object) -> datetime | None:
    """Seconds since the epoch as a time."""
    seconds = whole(value)
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def mapping(value: object) -> dict[str, Any]:
    """The value if it is an object."""
    return value if isinstance(value, dict) else {}


def dicts(value: object) -> list[dict[str, Any]]:
    """The objects of a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _decoded(decode: Callable[[bytes | Raw], T], raw: bytes | Raw) -> T | None:
    try:
        return decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _decoded_tolerantly(decode, bytes(raw))
    except RecursionError:
        return None


def _decoded_tolerantly(decode: Callable[[bytes | Raw], T], raw: bytes) -> T | None:
    # JavaScript escapes half of a character outside the BMP, cut off somewhere, as one lone surrogate; others write
    # numbers that are none.
    if not any(mark in raw for mark in (b"\\u", b"NaN", b"Infinity")):
        return None
    try:
        known = json.loads(raw, parse_constant=lambda _: None)
        return decode(json.dumps(known, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
