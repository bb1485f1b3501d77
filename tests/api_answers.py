"""What the scripted Messages API may answer, as data, and how that looks on the wire; nothing here has a socket."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from threading import Event
from typing import Any, Literal

import msgspec
from msgspec import Struct

KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}
"""The error type of each HTTP status (Claude API documentation, "Errors")."""

TEXT_PIECE, INPUT_PIECE = 200, 4000
"""Characters of a text, and of a tool call's input, that come in one event of a stream."""


class Call(Struct, frozen=True, forbid_unknown_fields=True):
    """One tool call."""

    name: str
    input: dict[str, Any] = {}


class Answer(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One answer of the model or of the API; times in seconds, `math.inf` until the client leaves.

    `delay` comes before the response's headers, `first_delay` after the message has begun and before its first
    word; `gate` adds to `delay` until it is set. `error` and `message` are those of a `status` above 200, or of
    the error event in a stream that is broken by an `event`. `usage` replaces what would have been counted.
    """

    text: str | None = None
    tools: tuple[Call, ...] = ()
    stop_reason: str = ""
    usage: dict[str, int] = {}
    status: int = 200
    error: str = ""
    message: str = ""
    headers: dict[str, str] = {}
    broken: Literal["", "before", "mid", "event"] = ""
    delay: float = 0.0
    first_delay: float = 0.0
    gate: Event | None = None

    def but(self, **changes: Any) -> Answer:
        """The same with other fields: `text("done").but(delay=2)`."""
        return msgspec.structs.replace(self, **changes)

    @property
    def failing_status(self) -> int:
        """The HTTP status of the error; that of a broken stream, where nothing is streamed, goes by its type."""
        if self.status != 200:
            return self.status
        return next((status for status, kind in KINDS.items() if kind == self.error), 500)

    @property
    def failure(self) -> dict[str, Any]:
        """The error as the API writes it, in a response and in a stream."""
        kind = self.error or KINDS.get(self.status, "api_error")
        return {"type": "error", "error": {"type": kind, "message": self.message or kind}}


def text(words: str) -> Answer:
    """The model's last word."""
    return Answer(text=words)


def tool(name: str, /, **values: Any) -> Answer:
    """The model calls one tool: `tool("Bash", command="ls")`."""
    return Answer(tools=(Call(name, values),))


def tools(*calls: Call) -> Answer:
    """The model calls several tools at once."""
    return Answer(tools=calls)


def error(status: int, message: str = "", kind: str = "", headers: Mapping[str, str] | None = None) -> Answer:
    """The API refuses; `kind` is the error's type where it is not the usual one of `status`."""
    return Answer(status=status, error=kind, message=message, headers=dict(headers or {}))


def stream_error(kind: str = "overloaded_error", message: str = "Overloaded") -> Answer:
    """The stream begins well and then carries an error; without a stream it is an HTTP error."""
    return Answer(error=kind, message=message, broken="event")


def dropped(when: Literal["before", "mid"] = "mid") -> Answer:
    """The connection is cut before, or in the middle of, the answer."""
    return Answer(text="half of an answer " * 100, broken=when)


def refusal() -> Answer:
    """The model refuses."""
    return Answer(text="I cannot help with that.", stop_reason="refusal")


def cut_short(words: str = "as far as the tokens") -> Answer:
    """The answer ends at the limit of its tokens."""
    return Answer(text=words, stop_reason="max_tokens")


def empty() -> Answer:
    """The model ends its turn without a word."""
    return Answer()


def stalled() -> Answer:
    """The message begins, and nothing more ever comes."""
    return Answer(text="never said", first_delay=math.inf)


def silent() -> Answer:
    """Not even the response's headers come."""
    return Answer(text="never said", delay=math.inf)


def window(
    status: Literal["allowed", "allowed_warning", "rejected"],
    *,
    resets: float,
    used: float = 1.0,
    claim: Literal["five_hour", "seven_day"] = "five_hour",
) -> dict[str, str]:
    """The response headers by which a subscription learns about its usage limit.

    Args:
        resets: when the window resets, in seconds since the epoch.
        used: which part of it is used up, 0.0 to 1.0.
    """
    own = {"five_hour": "5h", "seven_day": "7d"}[claim]
    unified = "anthropic-ratelimit-unified"
    headers = {
        f"{unified}-status": status,
        f"{unified}-reset": str(int(resets)),
        f"{unified}-representative-claim": claim,
        f"{unified}-{own}-status": status,
        f"{unified}-{own}-reset": str(int(resets)),
        f"{unified}-{own}-utilization": str(used),
    }
    if status == "allowed_warning":
        headers[f"{unified}-{own}-surpassed-threshold"] = str(int(used * 10) / 10)
    return headers


def whole_message(answer: Answer, number: int, model: str, usage: Mapping[str, Any]) -> dict[str, Any]:
    """The message as it is without streaming; `number` makes its ids unique."""
    blocks: list[dict[str, Any]] = []
    if answer.text is not None:
        blocks.append({"type": "text", "text": answer.text})
    for place, call in enumerate(answer.tools):
        name = f"toolu_{number:06d}{place:02d}"
        blocks.append({"type": "tool_use", "id": name, "name": call.name, "input": call.input})
    return {
        "id": f"msg_{number:06d}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": blocks,
        "stop_reason": answer.stop_reason or ("tool_use" if answer.tools else "end_turn"),
        "stop_sequence": None,
        "usage": {**usage, **answer.usage},
    }


def beginning(message: Mapping[str, Any]) -> bytes:
    """The first event of the stream of a message."""
    begun = {**message, "content": [], "stop_reason": None, "usage": {**message["usage"], "output_tokens": 1}}
    return event("message_start", message=begun)


def contents(message: Mapping[str, Any]) -> Iterator[bytes]:
    """The events that carry what is in the message."""
    for index, block in enumerate(message["content"]):
        opened = {**block, "text": ""} if block["type"] == "text" else {**block, "input": {}}
        yield event("content_block_start", index=index, content_block=opened)
        for delta in _deltas(block):
            yield event("content_block_delta", index=index, delta=delta)
        yield event("content_block_stop", index=index)


def end(message: Mapping[str, Any]) -> Iterator[bytes]:
    """The events that end the stream of a message."""
    delta = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield event("message_delta", delta=delta, usage=message["usage"])
    yield event("message_stop")


def event(name: str, /, **fields: Any) -> bytes:
    """One server-sent event."""
    return f"event: {name}\ndata: {json.dumps({'type': name, **fields})}\n\n".encode()


def _deltas(block: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    if block["type"] == "text":
        for piece in _pieces(block["text"], TEXT_PIECE):
            yield {"type": "text_delta", "text": piece}
    else:
        for piece in _pieces(json.dumps(block["input"]), INPUT_PIECE):
            yield {"type": "input_json_delta", "partial_json": piece}


def _pieces(whole: str, length: int) -> Iterator[str]:
    for start in range(0, len(whole), length):
        yield whole[start : start + length]
