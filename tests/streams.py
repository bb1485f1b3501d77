"""Lines of stream-json, as the claude program writes them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from orchestrator.clis.claude_output import Reader
from orchestrator.core import events
from orchestrator.core.governor import Sign
from orchestrator.core.plan import Task
from orchestrator.core.verdict import Ending, Evidence, Said, judge

SESSION = "5f0c2a9e-0000-5000-8000-000000000000"
RESET = 1_795_247_137
LATER = datetime.fromtimestamp(RESET, UTC)
INIT = {"type": "system", "subtype": "init"}


def lines(*said: object) -> list[bytes]:
    """Each of these as a line."""
    return [json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in said]


def signs(*said: object) -> list[Sign]:
    """What a reader of these lines tells the governor."""
    reader = Reader()
    return [sign for line in lines(*said) if (sign := reader.feed(line))]


def result(**fields: Any) -> dict[str, Any]:
    """A last line; of a success, unless said otherwise."""
    known = {"subtype": "success", "is_error": False, "num_turns": 1, "result": "Done.", "type": "result"}
    return known | fields


def assistant(*blocks: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """What the model says."""
    message = {"model": "claude-sonnet-5-5", "content": list(blocks)}
    return {"type": "assistant", "message": message, "parent_tool_use_id": None} | fields


def call(number: int, name: str = "Read", **given: Any) -> dict[str, Any]:
    """A call of a tool."""
    return {"type": "tool_use", "id": f"t{number}", "name": name, "input": given}


def returned(number: int, **fields: Any) -> dict[str, Any]:
    """What came of that call."""
    block = {"tool_use_id": f"t{number}", "type": "tool_result", "content": "x"} | fields
    return {"type": "user", "message": {"content": [block]}, "parent_tool_use_id": None}


def used(dollars: float, read: int, written: int) -> dict[str, Any]:
    """What one model cost."""
    return {"inputTokens": read, "outputTokens": written, "costUSD": dollars}


TEXT = {"type": "text", "text": "So."}
WELL = [INIT, assistant(call(1)), returned(1), assistant(TEXT), result()]


def journaled(said: Said) -> None:
    """What was read can be judged, written to the journal and read again."""
    ruling = judge(Task(id="a"), Evidence(Ending(0), said))
    event = events.AttemptFinished(
        seq=1, time=datetime(2025, 1, 1, tzinfo=UTC), task="a", attempt=1, outcome=ruling.outcome,
        reason=ruling.reason, cost_usd=said.own_cost_usd or said.cost_usd, session=said.session,
        model=said.model, input_tokens=said.input_tokens, output_tokens=said.output_tokens, until=said.until,
        summary=f"{said.text}{said.structured}{said.denials}{said.wrote}{said.models}",
    )  # fmt: skip
    assert events.decode(events.encode(event)) == event
