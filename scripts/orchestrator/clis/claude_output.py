"""What the claude program says in its stream-json output: taken in line by line, as far as it has got; pure.

What is said of its lines was measured with its versions 2.1.197 and 2.1.329.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlsplit

from msgspec.structs import replace

from orchestrator.clis.claude_lines import (
    Line,
    blocks_of,
    content_of,
    dicts,
    json_text,
    mapping,
    message_of,
    moment,
    number,
    parse,
    target_of,
    text,
    whole,
)
from orchestrator.clis.claude_rules import path_rule, rule, shell_rules
from orchestrator.clis.claude_usage import Usage
from orchestrator.core.governor import Sign
from orchestrator.core.text import clean, one_line
from orchestrator.core.verdict import Said

_WRITERS = ("Edit", "MultiEdit", "NotebookEdit", "Write")

_SESSION = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

LONGEST_RULE = 1000
"""Characters of a denied call that are looked at: a longer one nobody allows word for word."""

OWN_DELAYS, LONGEST_TOLD = 4.0, 120.0
"""Seconds: what the program waits of itself before its second request and its third, one and two at most (measured);
it honours a `retry-after` of up to 59, and gives up at once at a longer one."""

_RETRIED: dict[int | None, Literal["rate limited", "overloaded", "refused"]] = {
    401: "refused",
    429: "rate limited",
    529: "overloaded",
}


class Reader:
    """Takes in the output of one attempt. Lines that are not the program's own JSON are passed over.

    `finished`: the last thing that it wrote was a result without an error, and it has not been called again since.

    Args:
        redact: takes the secrets out of a text before it is cut; half of one would not be found any more.
    """

    def __init__(self, redact: Callable[[str], str] = str) -> None:
        self._redact = redact
        self._started = self._answered = self._heard = False
        self._last: Line | None = None
        self._calls = 0
        self._open: set[str] = set()
        self._writing: dict[str, str] = {}
        self._wrote: dict[str, None] = {}
        self._denials: dict[str, None] = {}
        self._turns: int | None = None
        self._usage = Usage()
        self._until: datetime | None = None
        self._refusal: int | None = None
        self._trouble = ""
        self._session: str | None = None
        self._words = self._structured = ""
        self.finished = False

    def feed(self, raw: bytes) -> Sign | None:
        """Take in one line; what it tells about more than this attempt, where it does."""
        line = parse(raw)
        if line is None:
            return None
        if line.type in ("assistant", "user", "result") or line.subtype == "init":
            self.finished = line.type == "result" and line.is_error is False
        if line.type == "assistant":
            return self._assistant(line)
        if line.type == "user":
            self._user(line)
        elif line.type == "result":
            self._result(line)
        elif line.type == "system":
            return self._system(line)
        elif line.type == "rate_limit_event":
            return self._window(mapping(line.rate_limit_info))
        return None

    def said(self) -> Said:
        """What was read so far, as evidence."""
        said = Said(
            started=self._started,
            answered=self._answered,
            tool_calls=self._calls,
            open_tool_call=self._last is None and bool(self._open),
            wrote=tuple(self._wrote),
            session=self._session,
            until=self._until,
        )
        return said if self._last is None else self._ended(said, self._last)

    def _ended(self, said: Said, last: Line) -> Said:
        words, status = text(last.result), whole(last.api_error_status)
        if not words and isinstance(last.errors, list):
            words = "; ".join(str(error) for error in last.errors)
        if not words and last.is_error is False:
            # Something that it had begun can have it called again, with nothing to add.
            words = self._words
        if last.is_error and status is None:
            # 2.1.197 says of its last line only in words that the API was overloaded.
            status = self._refusal
        cost = number(last.total_cost_usd)
        return replace(
            said,
            ended=True,
            is_error=last.is_error is not False,
            subtype=text(last.subtype) if isinstance(last.is_error, bool) else "",
            status=status,
            api_error=text(last.api_error) or self._trouble,
            turns=self._turns,
            denials=tuple(self._denials),
            text=words,
            structured=self._structured if last.is_error is False else json_text(last.structured_output),
            cost_usd=sum(self._usage.models.values()) if cost is None else cost,
            own_cost_usd=self._usage.own_cost,
            models=self._usage.models,
            own_models=self._usage.own_models,
            input_tokens=self._usage.tokens[0],
            output_tokens=self._usage.tokens[1],
            model=self._usage.model,
            session=_session(last) or self._session,
        )

    def _assistant(self, line: Line) -> Sign | None:
        message = message_of(line)
        if message.model == "<synthetic>" or line.error is not None:
            # The program writes what went wrong as if the model had said it.
            self._trouble = text(line.error)
            return None
        calls = [block for block in blocks_of(message) if block.type == "tool_use"]
        for call in calls:
            if call.name in _WRITERS and (path := target_of(call)):
                self._writing[str(call.id)] = path
        if line.parent_tool_use_id is None:
            self._calls += len(calls)
            self._open.update(str(call.id) for call in calls)
        self._refusal, self._trouble = None, ""
        news, self._answered, self._heard = not self._heard, True, True
        return Sign("answered") if news else None

    def _user(self, line: Line) -> None:
        for block in blocks_of(message_of(line)):
            if block.type == "tool_result":
                call = str(block.tool_use_id)
                self._open.discard(call)
                path = self._writing.pop(call, "")
                if path and not block.is_error:
                    self._wrote[path] = None

    def _result(self, line: Line) -> None:
        """There can be several: the text of the last one counts, for the end of the process is the end.

        Turns, denials and what was used are each told of the time since the one before.
        """
        self._last, self._words = line, text(line.result) or self._words
        self._structured = json_text(line.structured_output) or self._structured
        if (turns := whole(line.num_turns)) is not None:
            self._turns = (self._turns or 0) + turns
        for denial in dicts(line.permission_denials):
            self._denials.update(dict.fromkeys(_allowing(denial, self._short)))
        self._usage.take(line)

    def _system(self, line: Line) -> Sign | None:
        if line.subtype == "init":
            self._started = True
            self._session = _session(line) or self._session
        if line.subtype != "api_retry":
            return None
        self._refusal = whole(line.error_status)
        kind = _RETRIED.get(self._refusal)
        if kind is None:
            return None
        self._heard = False
        return Sign(kind, delay=_told_delay(line))

    def _short(self, value: object) -> str:
        found = self._redact(clean(text(value)))
        return found if len(found) <= LONGEST_RULE else f"{found[:LONGEST_RULE]}…"

    def _window(self, info: dict[str, Any]) -> Sign | None:
        status, until = text(info.get("status")), moment(info.get("resetsAt"))
        if status == "rejected":
            # A 429 that has nothing to do with the window of a subscription is told so too, without a time.
            if until is None:
                return None
            if info.get("isUsingOverage") is True:
                status = "allowed_warning"
            else:
                self._until = until
        if status not in ("allowed", "allowed_warning", "rejected"):
            return None
        return Sign("window", until, status, _utilization(info))


def _told_delay(line: Line) -> float:
    """The seconds that the API asked the program to wait, if it did."""
    seconds = (number(line.retry_delay_ms) or 0.0) / 1000
    return min(seconds, LONGEST_TOLD) if seconds > OWN_DELAYS else 0.0


def _utilization(info: dict[str, Any]) -> float | None:
    window = mapping(mapping(info.get("unifiedWindows")).get(text(info.get("rateLimitType"))))
    known = number(info.get("utilization"))
    return number(window.get("utilization")) if known is None else known


def _session(line: Line) -> str:
    """Its session, if it is one: the program's are UUIDs, and it is given one of them to go on with."""
    found = text(line.session_id)
    return found if _SESSION.fullmatch(found) else ""


def _allowing(denial: dict[str, Any], short: Callable[[object], str]) -> tuple[str, ...]:
    """The rules that would have allowed a call; the tool's name where rules cannot tell such calls apart."""
    name, given = one_line(short(denial.get("tool_name"))) or "?", mapping(denial.get("tool_input"))
    path = short(given.get("file_path")) or short(given.get("notebook_path"))
    rules: tuple[str, ...] = ()
    if name == "Bash":
        rules = shell_rules(short(given.get("command")))
    elif path and name in (*_WRITERS, "Read"):
        rules = (path_rule("Read" if name == "Read" else "Edit", path),)
    elif name == "WebFetch" and (host := _host(short(given.get("url")))):
        rules = (rule(name, f"domain:{host}"),)
    elif name == "Skill" and (skill := short(given.get("skill"))):
        rules = (rule(name, skill),)
    return rules or (name,)


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def read(lines: Iterable[bytes], redact: Callable[[str], str] = str) -> Said:
    """What the whole output of one attempt says; `redact` as for the Reader."""
    reader = Reader(redact)
    for raw in lines:
        reader.feed(raw)
    return reader.said()


def told(raw: bytes) -> str:
    """One line of the output for people: what the worker said, and which tools it used; else nothing."""
    line = parse(raw)
    if line is None:
        return clean(raw.decode("utf-8", "replace").rstrip())
    if line.type == "result":
        return f"[{one_line(text(line.subtype), 40)}] {clean(text(line.result))}".rstrip()
    if line.type != "assistant":
        return ""
    return "\n".join(filter(None, map(_told_block, content_of(line))))


_TOLD_INPUTS = ("command", "file_path", "notebook_path", "pattern", "url", "query", "skill")


def _told_block(block: dict[str, Any]) -> str:
    if block.get("type") == "text":
        return clean(str(block.get("text", "")))
    if block.get("type") != "tool_use":
        return ""
    name, given = one_line(str(block.get("name")), 40), mapping(block.get("input"))
    chosen = next((given[key] for key in _TOLD_INPUTS if text(given.get(key))), str(given) if given else "")
    return f"→ {name} {one_line(chosen, 160)}".rstrip()
