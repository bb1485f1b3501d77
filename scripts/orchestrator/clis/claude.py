"""`cli: claude`: the command line of a worker, and what its stream-json output says; both pure."""

from __future__ import annotations

import hashlib
import json
import math
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

from orchestrator.core.plan import Task
from orchestrator.core.text import clean, one_line
from orchestrator.core.verdict import Said

DEFAULT_TOOLS = ("Read", "Grep", "Glob", "Edit", "Write")
"""Read and write, no Bash: enough for most tasks, and nothing that runs a program."""

DEFAULT_MODE = "acceptEdits"

DENIED = (
    "Agent",
    "Task",
    "Workflow",
    "SendMessage",
    "ListAgents",
    "Edit(.orchestrator/**)",
    "Write(.orchestrator/**)",
)
"""Workers start no agents of their own, do not talk to each other and leave the workspace alone."""

# Variables of a surrounding Claude Code session, which must not reach a worker; the login stays.
SESSION_VARIABLES = (
    "AI_AGENT",
    "CLAUDECODE",
    "CLAUDE_CODE_CHILD_NOTES_DIR",
    "CLAUDE_CODE_CHILD_SESSION",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_EXECPATH",
    "CLAUDE_CODE_MESSAGING_SOCKET",
    "CLAUDE_CODE_MESSAGING_TOKEN",
    "CLAUDE_CODE_SESSION_ATTENDED",
    "CLAUDE_CODE_SESSION_ID",
    "CLAUDE_EFFORT",
    "CLAUDE_PID",
)

ENVIRONMENT = {"CLAUDE_CODE_MAX_RETRIES": "2"}
"""Few retries inside each worker: waiting is the dispatcher's business, which sees all of them."""


def session_id(run: str, task: str, attempt: int) -> str:
    """The session of an attempt, known before it starts and the same at every replay."""
    digest = hashlib.sha256(f"{run}/{task}.{attempt}".encode()).digest()
    return str(uuid.UUID(bytes=digest[:16], version=5))


def command(
    program: str, task: Task, session: str, *, resume: bool = False, last: bool = False
) -> tuple[str, ...]:
    """The command line of an attempt; the prompt comes on stdin.

    Each option is one argument (`--name=value`), so that no value can be read as another option.

    Args:
        resume: continue `session` instead of beginning it.
        last: the last attempt that counts, made with the task's `fallback_model`.
    """
    model = task.fallback_model if last and task.fallback_model else task.model
    options = [
        "--output-format=stream-json",
        "--verbose",
        f"--{'resume' if resume else 'session-id'}={session}",
        f"--model={model}",
        f"--permission-mode={task.permission_mode or DEFAULT_MODE}",
        f"--allowedTools={','.join(rules(task))}",
        f"--disallowedTools={','.join(DENIED)}",
    ]
    if task.budget_usd is not None:
        options.append(f"--max-budget-usd={task.budget_usd}")
    if task.output_schema is not None:
        options.append(f"--json-schema={msgspec.json.encode(task.output_schema).decode()}")
    return (program, "-p", *options)


def rules(task: Task) -> tuple[str, ...]:
    """What the worker of a task may do: its tools, what the plan adds, and the commands that judge it."""
    tools = task.tools if task.tools is not None else DEFAULT_TOOLS
    return (*tools, *task.allow, *(f"Bash({line})" for line in task.verify))


class _Line(Struct):
    """The fields that are read, untyped: an odd value in one must not hide the others."""

    type: Any = ""
    subtype: Any = ""
    session_id: Any = None
    is_error: Any = False
    api_error_status: Any = None
    api_error: Any = None
    num_turns: Any = None
    result: Any = None
    errors: Any = None
    structured_output: Any = None
    total_cost_usd: Any = None
    usage: Any = None
    modelUsage: Any = None  # noqa: N815 - the program's own spelling
    permission_denials: Any = None
    message: Any = None
    rate_limit_info: Any = None


_decode = msgspec.json.Decoder(_Line).decode


def read(lines: Iterable[bytes]) -> Said:
    """What the output of one attempt says. Lines that are not its own JSON are passed over.

    There can be several `result` lines: the last one counts, for the end of the process is the end.
    """
    started = False
    last: _Line | None = None
    calls = 0
    open_calls: set[str] = set()
    until: datetime | None = None
    for raw in lines:
        line = _parse(raw)
        if line is None:
            continue
        if line.type == "result":
            last = line
        elif line.type == "system":
            started = started or line.subtype == "init"
        elif line.type == "rate_limit_event":
            until = _reset(_dict(line.rate_limit_info)) or until
        else:
            begun, ended = _tool_calls(line)
            calls += len(begun)
            open_calls = (open_calls | begun) - ended
    if last is None:
        return Said(started=started, tool_calls=calls, open_tool_call=bool(open_calls))
    return _said(last, started, calls, until)


def _parse(raw: bytes) -> _Line | None:
    if not raw.startswith(b'{"') or not raw.rstrip().endswith(b"}"):
        return None
    try:
        return _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _parse_tolerantly(raw)
    except RecursionError:
        return None


def _parse_tolerantly(raw: bytes) -> _Line | None:
    # JavaScript escapes half of a character outside the BMP, cut off somewhere, as one lone surrogate.
    if b"\\u" not in raw:
        return None
    try:
        return _decode(json.dumps(json.loads(raw), ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None


def _said(last: _Line, started: bool, calls: int, until: datetime | None) -> Said:
    text = _text(last.result)
    if not text and isinstance(last.errors, list):
        text = "; ".join(str(error) for error in last.errors)
    return Said(
        started=started,
        ended=True,
        is_error=bool(last.is_error),
        subtype=_text(last.subtype),
        status=_whole(last.api_error_status),
        api_error=_text(last.api_error),
        turns=_whole(last.num_turns),
        tool_calls=calls,
        denials=tuple(str(denial.get("tool_name", "?")) for denial in _dicts(last.permission_denials)),
        text=text,
        structured=last.structured_output is not None,
        cost_usd=_money(last.total_cost_usd),
        input_tokens=_tokens(last, "input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"),
        output_tokens=_tokens(last, "output_tokens"),
        model=next(iter(_dict(last.modelUsage)), ""),
        session=_text(last.session_id) or None,
        until=until,
    )


def _tokens(line: _Line, *names: str) -> int:
    return sum(_whole(_dict(line.usage).get(name)) or 0 for name in names)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _whole(value: Any) -> int | None:
    """A count or status; what cannot be one is left out, so that the journal can always be read again."""
    return value if type(value) is int and 0 <= value < 1 << 53 else None


def _money(value: Any) -> float:
    return float(value) if type(value) in (int, float) and 0 <= value < math.inf else 0.0


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _reset(info: dict[str, Any]) -> datetime | None:
    moment = _whole(info.get("resetsAt"))
    if info.get("status") != "rejected" or moment is None:
        return None
    try:
        return datetime.fromtimestamp(moment, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _tool_calls(line: _Line) -> tuple[set[str], set[str]]:
    blocks = _dicts(_dict(line.message).get("content"))
    begun = {str(block.get("id")) for block in blocks if block.get("type") == "tool_use"}
    ended = {str(block.get("tool_use_id")) for block in blocks if block.get("type") == "tool_result"}
    return begun, ended


def told(raw: bytes) -> str:
    """One line of the output for people: what the worker said, and which tools it used; else nothing."""
    line = _parse(raw)
    if line is None:
        return clean(raw.decode("utf-8", "replace").rstrip())
    if line.type == "result":
        return f"[{one_line(_text(line.subtype), 40)}] {clean(_text(line.result))}".rstrip()
    if line.type != "assistant":
        return ""
    return "\n".join(filter(None, map(_block, _dicts(_dict(line.message).get("content")))))


def _block(block: dict[str, Any]) -> str:
    if block.get("type") == "text":
        return clean(str(block.get("text", "")))
    if block.get("type") == "tool_use":
        return f"→ {one_line(str(block.get('name')), 40)} {one_line(str(block.get('input')), 160)}"
    return ""
