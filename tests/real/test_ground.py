"""The ground itself: the real program against the scripted API, without the orchestrator."""

from __future__ import annotations

import os
import socket
import time

import pytest
from api_answers import dropped, error, stalled, text, tool, window
from project import until
from realclaude import MakeReal, RealProject, lines

LEAN = ("--model=haiku", "--tools=")
"""Options of a small request."""


def last_line(project: RealProject, *options: str, prompt: str = "go on") -> dict[str, object]:
    """The last line that the program wrote."""
    return lines(project.ask(*LEAN, *options, prompt=prompt).out)[-1]


@pytest.mark.oldest
def test_the_program_is_the_pinned_version_and_says_what_the_script_says(
    real: MakeReal, version: str
) -> None:
    project = real(text("Hello from the script."))

    done = project.ask(*LEAN, "--session-id=11111111-2222-4333-8444-555555555555", prompt="say something")

    first, *_, last = lines(done.out)
    assert (done.status, done.err) == (0, "")
    assert first["claude_code_version"] == version
    assert (last["subtype"], last["is_error"], last["result"]) == ("success", False, "Hello from the script.")
    (request,) = project.api.requests
    assert request.session == first["session_id"] == "11111111-2222-4333-8444-555555555555"
    assert "say something" in request.said[0]


def test_nothing_of_the_machine_reaches_the_program(real: MakeReal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED", "not for workers")
    project = real([("", [tool("Bash", command="env -0 | cut -z -d= -f1 | tr '\\0' ' '"), text("done")])])

    project.ask("--model=haiku", "--allowedTools=Bash")

    names = set(project.api.requests[1].said[-1].split())
    own = {name for name in names if not name.startswith(("CLAUDE", "ANTHROPIC"))}
    assert {"PATH", "HOME", "CLAUDE_CONFIG_DIR"} <= names
    assert "PLANTED" not in names
    assert own & set(os.environ) <= {"PATH", "HOME", "LANG", "TMPDIR", "PWD", "OLDPWD", "SHLVL", "_", "SHELL"}


@pytest.mark.oldest
def test_a_conversation_goes_on_in_the_same_session_and_reads_its_cached_prefix(real: MakeReal) -> None:
    project = real([("", [tool("Read", file_path="notes.txt"), text("done")])])
    (project.folder / "notes.txt").write_text("the notes")

    done = project.ask("--model=sonnet")

    first, second = project.api.requests
    assert first.session == second.session
    assert "the notes" in second.said[-1]
    assert second.usage["cache_read_input_tokens"] == first.usage["cache_creation_input_tokens"] > 1000
    assert lines(done.out)[-1]["usage"]["cache_read_input_tokens"] == second.usage["cache_read_input_tokens"]


@pytest.mark.oldest
def test_a_stream_that_breaks_again_and_again_is_at_last_asked_for_without_streaming(real: MakeReal) -> None:
    project = real(
        lambda request: dropped("mid") if request.body.get("stream") else text("whole"),
        environment={"CLAUDE_CODE_MAX_RETRIES": "1"},
    )

    assert last_line(project)["result"] == "whole"
    streamed = [bool(request.body.get("stream")) for request in project.api.requests]
    assert (streamed[0], streamed[-1]) == (True, False)


@pytest.mark.oldest
@pytest.mark.parametrize(
    ("status", "kind"), [(429, "rate_limit"), (529, "overloaded"), (401, "authentication_failed")]
)
def test_an_error_is_tried_again_and_told_in_a_line_of_its_own(
    real: MakeReal, status: int, kind: str
) -> None:
    project = real([("", [error(status), text("done")])], environment={"CLAUDE_CODE_MAX_RETRIES": "2"})

    said = lines(project.ask(*LEAN).out)

    (retry,) = [line for line in said if line.get("subtype") == "api_retry"]
    assert (retry["attempt"], retry["error_status"], retry["error"]) == (1, status, kind)
    assert said[-1]["result"] == "done"


@pytest.mark.oldest
def test_a_usage_limit_is_told_with_the_time_of_its_reset_and_not_tried_again(real: MakeReal) -> None:
    resets = int(time.time()) + 3600
    project = real(error(429, headers=window("rejected", resets=resets)), login="token")

    done = project.ask(*LEAN)

    (told,) = [line for line in lines(done.out) if line["type"] == "rate_limit_event"]
    assert told["rate_limit_info"]["status"] == "rejected"
    assert told["rate_limit_info"]["resetsAt"] == resets
    assert (done.status, len(project.api.requests)) == (1, 1)


@pytest.mark.oldest
def test_a_program_that_is_killed_while_it_waits_makes_room_at_the_api(real: MakeReal) -> None:
    project = real(stalled(), most_at_once=1)
    worker = project.start_claude(*LEAN)
    until(lambda: project.api.requests, "the request")

    project.clear()

    until(lambda: project.api.requests[0].ended, "its end")
    assert worker.poll() is not None


def test_loopback_is_the_only_network(real: MakeReal) -> None:
    interfaces = [name for _, name in socket.if_nameindex()]
    if interfaces != ["lo"]:
        pytest.skip("only tests/check.py takes the network away, where the machine permits that")
    with pytest.raises(OSError, match="unreachable"), socket.socket() as outside:
        outside.connect(("192.0.2.1", 443))
