from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
from api_answers import (
    Answer,
    Call,
    cut_short,
    dropped,
    empty,
    error,
    refusal,
    silent,
    stalled,
    stream_error,
    text,
    tool,
    tools,
    window,
)
from api_requests import Rules
from messages_api import MessagesApi, from_file
from project import ROOT, until


class Reply:
    """What came back."""

    def __init__(self, status: int, headers: dict[str, str], raw: bytes) -> None:
        self.status, self.headers, self.raw = status, headers, raw

    @property
    def events(self) -> list[dict[str, Any]]:
        lines = self.raw.decode().splitlines()
        return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]

    @property
    def message(self) -> dict[str, Any]:
        """The message, put together from its events where it was streamed."""
        if "event-stream" not in self.headers["content-type"]:
            found: dict[str, Any] = json.loads(self.raw)
            return found
        first, *others = self.events
        message: dict[str, Any] = first["message"]
        words: dict[int, str] = {}
        for event in others:
            match event:
                case {"type": "content_block_start", "content_block": block}:
                    message["content"].append(block)
                case {"type": "content_block_delta", "index": index, "delta": delta}:
                    words[index] = words.get(index, "") + (
                        delta.get("text") or delta.get("partial_json") or ""
                    )
                case {"type": "message_delta", "delta": delta, "usage": usage}:
                    message |= {**delta, "usage": usage}
        for index, block in enumerate(message["content"]):
            block |= (
                {"text": words.get(index, "")}
                if block["type"] == "text"
                else {"input": json.loads(words[index])}
            )
        return message


def ask(api: MessagesApi, said: str = "go on", session: str = "", **more: Any) -> Reply:
    """One request, as a client makes it."""
    client = http.client.HTTPConnection(api.url.removeprefix("http://"), timeout=20)
    body = {"model": "sonnet", "messages": [{"role": "user", "content": said}], **more}
    headers = {"X-Claude-Code-Session-Id": session}
    try:
        client.request("POST", "/v1/messages?beta=true", json.dumps(body), headers)
        response = client.getresponse()
        return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        client.close()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as found:
        yield found


@pytest.mark.parametrize(
    ("answer", "stop"),
    [
        (text("many words " * 100), "end_turn"),
        (tool("Bash", command="ls", name="x"), "tool_use"),
        (tools(Call("Read", {"file_path": "a"}), Call("Write", {"content": "y" * 9000})), "tool_use"),
        (text("first").but(tools=(Call("Read"),)), "tool_use"),
        (refusal(), "refusal"),
        (cut_short(), "max_tokens"),
        (empty(), "end_turn"),
    ],
    ids=["text", "tool", "tools", "text and tool", "refusal", "cut short", "empty"],
)
def test_an_answer_is_the_same_with_and_without_streaming(answer: Answer, stop: str) -> None:
    with MessagesApi(answer) as api:
        whole, streamed = ask(api).message, ask(api, stream=True).message

    assert whole.pop("id") != streamed.pop("id")
    for message in (whole, streamed):
        for block in message["content"]:
            block.pop("id", None)
        message["usage"].pop("input_tokens")
    assert whole == streamed
    assert whole["stop_reason"] == stop
    assert [block.get("input") for block in whole["content"] if block["type"] == "tool_use"] == [
        call.input for call in answer.tools
    ]


def test_a_request_is_recorded_with_everything_about_it() -> None:
    with MessagesApi(text("done")) as api:
        said = [{"type": "tool_result", "content": [{"type": "text", "text": "ü"}]}]
        messages = [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"},
            {"role": "user", "content": said},
        ]
        ask(api, session="s1", messages=messages, system="be brief", tools=[{"name": "Read"}])

    (request,) = api.requests
    assert json.loads(request.raw) == request.body
    assert (request.session, request.model, request.turn) == ("s1", "sonnet", 1)
    assert (request.said, request.system, request.tools) == (["a", "ü"], "be brief", ["Read"])
    assert (request.answer, request.in_flight, request.admitted) == (text("done"), 1, True)
    assert request.ended is not None
    assert request.time <= request.ended


def test_rules_answer_one_after_the_other_for_each_session_and_the_last_one_again_and_again() -> None:
    rules: Rules = [
        ("T-01", [text("one"), text("two")]),
        (lambda request: request.turn == 0, [text("other")]),
    ]
    with MessagesApi(rules) as api:
        asked = [("T-01", "a"), ("T-01", "b"), ("T-01", "a"), ("T-01", "a"), ("T-02", "a")]
        said = [ask(api, words, session).message["content"][0]["text"] for words, session in asked]

    assert said == ["one", "one", "two", "two", "other"]


def test_a_script_can_be_a_function_of_the_request() -> None:
    with MessagesApi(lambda request: text(f"{request.number} {request.said[0]}")) as api:
        assert ask(api, "hello").message["content"][0]["text"] == "1 hello"


def test_a_request_that_no_rule_knows_is_refused() -> None:
    with MessagesApi([("T-01", [text("one")])]) as api:
        reply = ask(api, "something else")

    assert reply.status == 400
    assert "no rule" in reply.message["error"]["message"]


def test_an_error_has_its_status_type_message_and_headers() -> None:
    refused = error(429, "slow down", headers={"retry-after": "2"})
    with MessagesApi([("", [refused, error(400, "no money", kind="billing_error")])]) as api:
        first, second = ask(api, stream=True), ask(api)

    assert (first.status, first.headers["retry-after"]) == (429, "2")
    assert first.message["error"] == {"type": "rate_limit_error", "message": "slow down"}
    assert (second.status, second.message["error"]["type"]) == (400, "billing_error")


def test_what_comes_above_the_most_at_once_is_refused_until_there_is_room(pool: ThreadPoolExecutor) -> None:
    gate = threading.Event()
    with MessagesApi(text("done").but(gate=gate), most_at_once=2, retry_after=3) as api:
        served = [pool.submit(ask, api) for _ in range(2)]
        until(lambda: len(api.requests) == 2, "two requests")
        refused = [ask(api) for _ in range(3)]
        gate.set()
        assert [reply.result().status for reply in served] == [200, 200]
        until(lambda: all(request.ended for request in api.requests), "the end of all")
        assert ask(api).status == 200

    assert [(reply.status, reply.headers["retry-after"]) for reply in refused] == [(429, "3")] * 3
    assert api.most_in_flight == 2


@pytest.mark.parametrize("answer", [stalled(), silent()], ids=["stalled", "silent"])
def test_a_client_that_stops_waiting_makes_room(answer: Answer) -> None:
    with MessagesApi(answer, most_at_once=1) as api:
        client = http.client.HTTPConnection(api.url.removeprefix("http://"))
        client.request("POST", "/v1/messages", json.dumps({"stream": True}))
        until(lambda: api.requests, "the request")
        client.close()
        until(lambda: api.requests[0].ended, "its end")


def test_the_end_of_the_api_ends_all_waiting(pool: ThreadPoolExecutor) -> None:
    with MessagesApi(silent()) as api:
        waiting = pool.submit(ask, api)
        until(lambda: api.requests, "the request")

    with pytest.raises(http.client.RemoteDisconnected):
        waiting.result()


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
def test_a_connection_is_dropped_before_or_within_the_answer(streamed: bool) -> None:
    with MessagesApi([("", [dropped("before"), dropped("mid")])]) as api:
        with pytest.raises(http.client.RemoteDisconnected):
            ask(api, stream=streamed)
        with pytest.raises(http.client.IncompleteRead) as broken:
            ask(api, stream=streamed)

    assert b"half of an answer" in broken.value.partial


def test_a_stream_can_carry_an_error_which_is_an_http_error_without_a_stream() -> None:
    with MessagesApi(stream_error()) as api:
        streamed, whole = ask(api, stream=True), ask(api)

    assert (streamed.status, whole.status) == (200, 529)
    assert [event["type"] for event in streamed.events] == ["message_start", "error"]
    assert streamed.events[-1]["error"] == whole.message["error"]


def test_input_is_counted_with_the_cache_and_an_answer_may_say_something_else() -> None:
    rules = [("mine", [text("").but(usage={"input_tokens": 7})]), ("", [text("four words of it")])]
    long = [{"type": "text", "text": "rules " * 1000, "cache_control": {"type": "ephemeral"}}]
    with MessagesApi(rules) as api:
        first, second = ask(api, system=long), ask(api, system=long, stream=True)
        own = ask(api, "mine")

    assert first.message["usage"]["cache_creation_input_tokens"] > 1500
    assert (
        second.message["usage"]["cache_read_input_tokens"]
        == api.requests[0].usage["cache_creation_input_tokens"]
    )
    assert second.message["usage"]["output_tokens"] == 4
    assert own.message["usage"]["input_tokens"] == 7


def test_what_else_is_asked_is_recorded_and_answered() -> None:
    with MessagesApi(text("done")) as api:
        client = http.client.HTTPConnection(api.url.removeprefix("http://"))
        statuses = []
        for method, path in (("HEAD", "/"), ("GET", "/v1/models"), ("POST", "/v1/messages/count_tokens")):
            client.request(method, path, body="{}" if method == "POST" else None)
            response = client.getresponse()
            response.read()
            statuses.append(response.status)

    assert statuses == [200, 404, 404]
    assert api.others == ["HEAD /", "GET /v1/models", "POST /v1/messages/count_tokens"]
    assert api.requests == []


def test_a_usage_limit_is_told_in_headers() -> None:
    warning = window("allowed_warning", resets=2_000_000_000.7, used=0.92)

    with MessagesApi(text("done").but(headers=warning)) as api:
        headers = ask(api, stream=True).headers

    assert {name.removeprefix("anthropic-ratelimit-unified-"): headers[name] for name in warning} == {
        "status": "allowed_warning",
        "reset": "2000000000",
        "representative-claim": "five_hour",
        "5h-status": "allowed_warning",
        "5h-reset": "2000000000",
        "5h-utilization": "0.92",
        "5h-surpassed-threshold": "0.9",
    }


SCENARIO = """
most_at_once: 4
rules:
  - when: T-01
    answers:
      - {status: 529, message: Overloaded}
      - tools: [{name: Bash, input: {command: ls}}]
  - answers: [{text: done, delay: 0.01}]
"""


def test_a_scenario_file_says_the_same_as_a_script(tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text(SCENARIO)

    with from_file(path) as api:
        replies = [ask(api, words) for words in ("T-01", "T-01", "T-02")]

    assert replies[0].status == 529
    assert replies[1].message["content"][0]["input"] == {"command": "ls"}
    assert replies[2].message["content"][0]["text"] == "done"


def test_a_scenario_file_with_a_slip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scenario.json"
    path.write_text(json.dumps({"rules": [{"answers": [{"txt": "done"}]}]}))

    with pytest.raises(msgspec.ValidationError, match="txt"):
        from_file(path)

    program = [sys.executable, str(ROOT / "tests" / "messages_api.py"), "--scenario", str(path)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "txt" in done.stderr
    assert "Traceback" not in done.stderr
