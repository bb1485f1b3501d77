"""What the scripted Messages API was asked, and the rules by which it answers; nothing here has a socket."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import api_answers
from api_answers import Answer


class Request:
    """One request for a message as it came; `answer`, `usage` and `ended` once they are known.

    `time` and `ended` are in seconds since the epoch; `in_flight` is how many were being answered, this one
    included; `admitted` is false where that was one too many.
    """

    def __init__(self, number: int, headers: Mapping[str, str], raw: bytes, in_flight: int) -> None:
        self.number, self.raw, self.in_flight = number, raw, in_flight
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.time = time.time()
        self.admitted = True
        self.answer: Answer | None = None
        self.usage: dict[str, Any] = {}
        self.ended: float | None = None

    @cached_property
    def body(self) -> dict[str, Any]:
        """The request's JSON."""
        found: dict[str, Any] = json.loads(self.raw)
        return found

    @cached_property
    def text(self) -> str:
        """The request as it was sent."""
        return self.raw.decode("utf-8", "replace")

    @property
    def session(self) -> str:
        """The session of the claude program, "" for another client."""
        return self.headers.get("x-claude-code-session-id", "")

    @property
    def model(self) -> str:
        """The model that was asked."""
        return str(self.body.get("model", ""))

    @property
    def tools(self) -> list[str]:
        """The names of the tools that were offered."""
        return [tool["name"] for tool in self.body.get("tools") or ()]

    @property
    def system(self) -> str:
        """The system prompt."""
        return _words(self.body.get("system") or "")

    @property
    def said(self) -> list[str]:
        """What the user's messages say, results of tools included."""
        return [_words(m["content"]) for m in self.body.get("messages") or () if m["role"] == "user"]

    @property
    def turn(self) -> int:
        """How often the model has spoken before."""
        return sum(message["role"] == "assistant" for message in self.body.get("messages") or ())


When = str | Callable[[Request], bool]
Rules = Sequence[tuple[When, Sequence[Answer]]]
Script = Answer | Rules | Callable[[Request], Answer]


class RuleBook:
    """Answers by the first rule that applies, one after the other for each session; the last one again and again."""

    def __init__(self, rules: Rules) -> None:
        self._rules = list(rules)
        self._used: Counter[tuple[int, str]] = Counter()

    def __call__(self, request: Request) -> Answer:
        for number, (when, answers) in enumerate(self._rules):
            if when(request) if callable(when) else when in request.text:
                used = self._used[number, request.session]
                self._used[number, request.session] += 1
                return answers[min(used, len(answers) - 1)]
        return api_answers.error(400, "no rule of the script applies to this request")


def as_function(script: Script) -> Callable[[Request], Answer]:
    """The function of the request that a script stands for."""
    if isinstance(script, Answer):
        return RuleBook([("", [script])])
    return script if callable(script) else RuleBook(script)


def _words(content: str | Sequence[Mapping[str, Any]]) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(block.get("text") or _words(block.get("content") or "") for block in content)
