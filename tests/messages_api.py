#!/usr/bin/env python3
"""A Messages API on loopback that answers as a script says: `with MessagesApi(script) as api: … api.requests`.

By hand: `python tests/messages_api.py --scenario FILE [--port N]`, where FILE is YAML or JSON:

    most_at_once: 4               # optional: what comes above it is answered 429
    retry_after: 2                # optional: seconds, with those answers
    rules:                        # the first that applies answers
      - when: T-01                # words in the request; without it the rule always applies
        answers:                  # one after the other for each session; the last one again and again
          - {status: 529, message: Overloaded}
          - tools: [{name: Bash, input: {command: ls}}]
          - {text: done, delay: 2}

The keys of an answer are the fields of `Answer` in `api_answers.py`.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import api_answers
import msgspec
import yaml
from api_answers import Answer
from api_cache import PromptCache, Usage
from api_requests import Request, Script, as_function
from msgspec import Struct

PATH = "/v1/messages"
POLL = 0.02
"""Seconds between two looks at whether a client that is kept waiting has left."""

GOODBYE = 5.0
"""Seconds within which every answer under way notices that the API is closed."""


class MessagesApi:
    """The API, from `with` to its end. `requests` are those for messages, `others` all else (`HEAD /`).

    Args:
        script: rules, a function of the request, or one answer for all.
        most_at_once: what comes above this many in flight is answered 429, in `retry_after` seconds if given.
        clock: seconds, by which cached prefixes grow old.
    """

    def __init__(
        self,
        script: Script,
        *,
        most_at_once: int | None = None,
        retry_after: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        port: int = 0,
    ) -> None:
        self.requests: list[Request] = []
        self.others: list[str] = []
        self.closing = threading.Event()
        self._script = as_function(script)
        self._most, self._retry_after = most_at_once, retry_after
        self._cache = PromptCache(clock)
        self._lock = threading.Condition()
        self._in_flight = 0
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.api = self

    def __enter__(self) -> MessagesApi:
        threading.Thread(target=self._server.serve_forever, args=(POLL,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        with self._lock:
            self._lock.wait_for(lambda: all(request.ended for request in self.requests), GOODBYE)

    @property
    def url(self) -> str:
        """What ANTHROPIC_BASE_URL is to be."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def most_in_flight(self) -> int:
        """The most requests that were being answered at once."""
        return max((request.in_flight for request in self.requests if request.admitted), default=0)

    def admit(self, headers: Mapping[str, str], raw: bytes) -> tuple[Request, Answer, Usage]:
        """Record a request, decide the answer and count its tokens."""
        with self._lock:
            request = Request(len(self.requests) + 1, headers, raw, self._in_flight + 1)
            self.requests.append(request)
            request.admitted = self._most is None or request.in_flight <= self._most
            self._in_flight += request.admitted
            answer = self._script(request) if request.admitted else self._too_many()
            request.answer = answer
            usage = self._cache.take(request.body)
        request.usage = {**usage.counts(), **answer.usage}
        return request, answer, usage

    def begun(self, usage: Usage) -> None:
        """A request has begun to be answered."""
        with self._lock:
            self._cache.begun(usage)

    def leave(self, request: Request) -> None:
        """A request has been answered, or its client has left."""
        with self._lock:
            self._in_flight -= request.admitted
            request.ended = time.time()
            self._lock.notify_all()

    def _too_many(self) -> Answer:
        headers = {} if self._retry_after is None else {"retry-after": f"{self._retry_after:g}"}
        return api_answers.error(429, "too many requests at once", headers=headers)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    api: MessagesApi


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    disable_nagle_algorithm: ClassVar[bool] = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Says nothing: what came is in the requests."""

    def do_HEAD(self) -> None:
        self.server.api.others.append(f"HEAD {self.path}")
        self._respond(200, b"")

    def do_GET(self) -> None:
        self.server.api.others.append(f"GET {self.path}")
        self._respond_json(404, api_answers.error(404).failure)

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path.partition("?")[0] != PATH:
            self.server.api.others.append(f"POST {self.path}")
            self._respond_json(404, api_answers.error(404).failure)
            return
        request, answer, usage = self.server.api.admit(dict(self.headers), raw)
        try:
            self._answer(request, answer, usage)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            self.server.api.leave(request)

    def _answer(self, request: Request, answer: Answer, usage: Usage) -> None:
        self._wait(answer.delay, answer.gate)
        streamed = bool(request.body.get("stream"))
        if answer.broken == "before":
            self._hang_up()
        elif answer.status != 200 or (answer.broken == "event" and not streamed):
            self._respond_json(answer.failing_status, answer.failure, answer.headers)
        else:
            self.server.api.begun(usage)
            spoken = len(answer.text or "") + sum(len(str(call.input)) for call in answer.tools)
            counts = {**usage.counts(), "output_tokens": max(1, spoken // 4)}
            message = api_answers.whole_message(answer, request.number, request.model, counts)
            self._stream(answer, message) if streamed else self._send_whole(answer, message)

    def _send_whole(self, answer: Answer, message: Mapping[str, Any]) -> None:
        self._wait(answer.first_delay)
        whole = json.dumps(message).encode()
        if answer.broken == "mid":
            self._begin(200, {"content-length": str(len(whole)), **answer.headers})
            self.wfile.write(whole[: len(whole) // 2])
            self._hang_up()
        else:
            self._respond(200, whole, answer.headers)

    def _stream(self, answer: Answer, message: Mapping[str, Any]) -> None:
        kind = {"content-type": "text/event-stream; charset=utf-8", "transfer-encoding": "chunked"}
        self._begin(200, {**kind, **answer.headers})
        self._chunk(api_answers.beginning(message))
        self._wait(answer.first_delay)
        if answer.broken == "event":
            self._chunk(api_answers.event("error", error=answer.failure["error"]))
        elif answer.broken == "mid":
            events = list(api_answers.contents(message))
            for piece in events[: len(events) // 2]:
                self._chunk(piece)
            self._hang_up()
            return
        else:
            for piece in (*api_answers.contents(message), *api_answers.end(message)):
                self._chunk(piece)
        self._chunk(b"")

    def _wait(self, seconds: float, gate: threading.Event | None = None) -> None:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends or (gate is not None and not gate.is_set()):
            rest = max(0.0, min(POLL, ends - time.monotonic())) or POLL
            # A client that says something while it waits for an answer has hung up.
            if self.server.api.closing.is_set() or select.select([self.connection], [], [], rest)[0]:
                raise ConnectionResetError

    def _respond_json(self, status: int, what: object, headers: Mapping[str, str] | None = None) -> None:
        self._respond(status, json.dumps(what).encode(), headers)

    def _respond(self, status: int, whole: bytes, headers: Mapping[str, str] | None = None) -> None:
        kind = {"content-type": "application/json", "content-length": str(len(whole))}
        self._begin(status, {**kind, **(headers or {})})
        self.wfile.write(whole)

    def _begin(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _chunk(self, piece: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


class _Rule(Struct, forbid_unknown_fields=True):
    answers: list[Answer]
    when: str = ""


class _Scenario(Struct, forbid_unknown_fields=True):
    rules: list[_Rule]
    most_at_once: int | None = None
    retry_after: float | None = None


def from_file(path: Path, port: int = 0) -> MessagesApi:
    """The API that a scenario file describes.

    Raises:
        OSError: it cannot be read.
        yaml.YAMLError: it is no YAML.
        msgspec.ValidationError: it says something that no scenario can say.
    """
    found = msgspec.convert(yaml.safe_load(path.read_text()), _Scenario)
    rules = [(rule.when, rule.answers) for rule in found.rules]
    return MessagesApi(rules, most_at_once=found.most_at_once, retry_after=found.retry_after, port=port)


def main() -> int:
    """Serves a scenario until it is interrupted."""
    parser = argparse.ArgumentParser(description="A Messages API on loopback that answers as a file says.")
    parser.add_argument("--scenario", type=Path, required=True, help="YAML or JSON")
    parser.add_argument("--port", type=int, default=0)
    asked = parser.parse_args()
    try:
        api = from_file(asked.scenario, asked.port)
    except (OSError, yaml.YAMLError, msgspec.ValidationError) as problem:
        print(f"messages_api: {asked.scenario}: {problem}", file=sys.stderr)
        return 2
    with api:
        print(f"ANTHROPIC_BASE_URL={api.url}", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print(f"{len(api.requests)} requests, at most {api.most_in_flight} at once", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
