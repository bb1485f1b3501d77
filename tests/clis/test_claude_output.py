from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.clis.claude_output import Reader, read, told
from orchestrator.core import events
from orchestrator.core.governor import Sign
from orchestrator.core.plan import Task
from orchestrator.core.verdict import Ending, Evidence, Said, judge

SESSION = "5f0c2a9e-0000-5000-8000-000000000000"
RESET = 1_795_247_137
LATER = datetime.fromtimestamp(RESET, UTC)
INIT = {"type": "system", "subtype": "init"}


def lines(*said: object) -> list[bytes]:
    return [json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in said]


def signs(*said: object) -> list[Sign]:
    reader = Reader()
    return [sign for line in lines(*said) if (sign := reader.feed(line))]


def result(**fields: Any) -> dict[str, Any]:
    known = {"subtype": "success", "is_error": False, "num_turns": 1, "result": "Done.", "type": "result"}
    return known | fields


def assistant(*blocks: dict[str, Any], **fields: Any) -> dict[str, Any]:
    message = {"model": "claude-sonnet-5-5", "content": list(blocks)}
    return {"type": "assistant", "message": message, "parent_tool_use_id": None} | fields


def call(number: int, name: str = "Read", **given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"t{number}", "name": name, "input": given}


def returned(number: int, **fields: Any) -> dict[str, Any]:
    block = {"tool_use_id": f"t{number}", "type": "tool_result", "content": "x"} | fields
    return {"type": "user", "message": {"content": [block]}, "parent_tool_use_id": None}


def used(dollars: float, read: int, written: int) -> dict[str, Any]:
    return {"inputTokens": read, "outputTokens": written, "costUSD": dollars}


TEXT = {"type": "text", "text": "So."}
WELL = [INIT, assistant(call(1)), returned(1), assistant(TEXT), result()]


def test_a_run_that_goes_well_is_read() -> None:
    said = read(
        lines(
            *WELL[:-1],
            result(
                num_turns=4,
                session_id=SESSION,
                total_cost_usd=0.25,
                usage={"input_tokens": 3, "cache_read_input_tokens": 40, "output_tokens": 5, "speed": "x"},
                modelUsage={"claude-haiku": {}, "claude-sonnet": {"costUSD": 0.25}},
            ),
        )
    )
    assert said == Said(
        started=True, answered=True, ended=True, subtype="success", turns=4, tool_calls=1, text="Done.",
        cost_usd=0.25, models={"claude-haiku": 0.0, "claude-sonnet": 0.25}, input_tokens=43, output_tokens=5,
        model="claude-sonnet", session=SESSION,
    )  # fmt: skip


def test_without_a_result_it_is_known_how_far_it_came() -> None:
    assert read([]) == Said()
    assert read(lines(INIT)) == Said(started=True)
    assert read(lines({"type": "system", "subtype": "api_retry"})) == Said()
    assert read(lines(*WELL[:4])) == Said(started=True, answered=True, tool_calls=1)


def test_a_tool_call_without_its_result_is_open() -> None:
    assert read(lines(assistant(call(1), call(2)), returned(1))) == Said(
        answered=True, tool_calls=2, open_tool_call=True
    )
    assert not read(lines(assistant(call(1)), returned(1))).open_tool_call
    assert not read(lines(assistant(call(1)), result())).open_tool_call


def test_what_an_agent_of_the_worker_does_is_not_counted_but_what_it_writes_is() -> None:
    said = read(
        lines(
            assistant(call(1, "Agent")),
            assistant(call(2, "Write", file_path="/p/a"), parent_tool_use_id="t1"),
            assistant(call(3), parent_tool_use_id="t1"),
            returned(2) | {"parent_tool_use_id": "t1"},
            returned(1),
        )
    )
    assert said == Said(answered=True, tool_calls=1, wrote=("/p/a",))


def test_what_was_written_is_known_by_the_calls_that_were_carried_out() -> None:
    said = read(
        lines(
            assistant(call(1, "Write", file_path="/p/a"), call(2, "Edit", file_path="/p/b")),
            assistant(call(3, "NotebookEdit", notebook_path="/p/n"), call(4, "Write", file_path="/p/open")),
            assistant(call(5, "Read", file_path="/p/r"), call(6, "Edit", file_path=7), call(7, "MultiEdit")),
            returned(1), returned(2, is_error=True), returned(3, is_error=False), returned(5), returned(6),
            returned(7),
            assistant(call(8, "Edit", file_path="/p/a", old_string="x" * 1000)), returned(8),
        )
    )  # fmt: skip
    assert said.wrote == ("/p/a", "/p/n")


def test_of_several_results_the_last_one_counts() -> None:
    said = read(lines(result(result="first"), result(result="last", subtype="error_max_turns")))
    assert (said.text, said.subtype) == ("last", "error_max_turns")


def test_turns_denials_tokens_and_own_cost_are_those_of_all_results() -> None:
    first = result(
        num_turns=3,
        total_cost_usd=1.5,
        permission_denials=[{"tool_name": "WebSearch"}],
        modelUsage={"a": used(1.5, 150, 15)},
        model_usage_since_last_result={"a": used(0.5, 50, 5)},
    )
    second = result(
        total_cost_usd=1.75,
        modelUsage={"a": used(1.5, 150, 15), "b": used(0.25, 20, 2)},
        model_usage_since_last_result={"b": used(0.25, 20, 2)},
    )
    said = read(lines(first, second))
    assert (said.turns, said.denials, said.input_tokens, said.output_tokens) == (4, ("WebSearch",), 70, 7)
    assert (said.cost_usd, said.own_cost_usd, said.models) == (1.75, 0.75, {"a": 1.5, "b": 0.25})
    assert sum(said.own_models.values()) == 0.75


def test_a_version_that_does_not_tell_its_own_part_apart_names_no_own_cost() -> None:
    said = read(
        lines(result(total_cost_usd=0.5, modelUsage={"a": used(0.5, 50, 5)}, usage={"input_tokens": 7}))
    )
    assert (said.own_cost_usd, said.input_tokens, said.output_tokens) == (None, 50, 5)


def test_a_run_that_cost_nothing_says_so() -> None:
    assert read(lines(result(model_usage_since_last_result={}))).own_cost_usd == 0.0


def test_structured_output_is_kept_as_json() -> None:
    assert json.loads(read(lines(result(structured_output={"a": [1, None]}))).structured) == {"a": [1, None]}
    assert read(lines(result(structured_output=None))).structured == ""
    assert read(lines(result())).structured == ""


def test_the_errors_of_a_result_without_text_are_its_text() -> None:
    said = read(lines({"type": "result", "subtype": "error_during_execution", "errors": ["one", 2]}))
    assert said.text == "one; 2"


def test_garbage_before_between_and_after_hides_nothing() -> None:
    garbage = [
        b"warning: x\n",
        b"\xff\xfe\x00\n",
        b"{\n",
        b'{"type":"result","result":\n',
        b"null\n",
        b"{}\n",
        b"\n",
    ]
    well = lines(*WELL)
    mixed = [piece for line in well for piece in (*garbage, line)] + garbage
    assert read(mixed) == read(well)


def test_a_cut_off_result_line_is_no_result() -> None:
    last = lines(result(result="x" * 100))[0]
    assert not any(read([last[:length]]).ended for length in range(len(last) - 2))


def test_half_a_character_that_was_cut_off_does_not_hide_the_line() -> None:
    half = b'{"type":"result","subtype":"success","is_error":false,"num_turns":1,"result":"ok \\ud83d"}\n'
    said = read([half])
    assert said.text == "ok ?"
    journaled(said)
    called = lines(
        assistant({"type": "text", "text": "HALF"}, call(1, "Write", file_path="/p/a")), returned(1)
    )
    assert read([line.replace(b"HALF", b"\\ud83d") for line in called]).wrote == ("/p/a",)


def test_bytes_that_are_no_text_hide_only_what_they_stand_in() -> None:
    called = lines(assistant(call(1, "Write", file_path="/p/a")), returned(1, content="BYTES"), result())
    said = read([line.replace(b"BYTES", b"\xff\xfe") for line in called])
    assert (said.wrote, said.text) == (("/p/a",), "Done.")


def test_deeply_nested_lines_are_passed_over() -> None:
    deep = b'{"type":"result","result":' + b"[" * 200_000 + b"]" * 200_000 + b"}\n"
    assert read([deep, deep.replace(b"[", b'["\\u0041",', 1)]) == Said()
    inside = lines(assistant(call(1, "Write", file_path="DEEP")))[0].replace(
        b'"DEEP"', b"[" * 900 + b"]" * 900
    )
    assert read([inside]).tool_calls == 1


def test_an_odd_block_does_not_hide_its_neighbours() -> None:
    odd = assistant(call(1), call(2))
    odd["message"]["content"][1:1] = [None, 3, "text", ["x"], {"type": ["tool_use"]}]
    assert read(lines(odd)).tool_calls == 2


@pytest.mark.parametrize(
    ("tool", "given", "rules"),
    [
        ("Bash", {"command": "npm test"}, ("Bash(npm test)",)),
        ("Bash", {"command": "make | tail -5"}, ("Bash(make)", "Bash(tail -5)")),
        ("Bash", {}, ("Bash",)),
        ("Write", {"file_path": "/srv/a.txt", "content": "x"}, ("Edit(//srv/a.txt)",)),
        ("Edit", {"file_path": "src/a.py"}, ("Edit(src/a.py)",)),
        ("NotebookEdit", {"notebook_path": "/n.ipynb"}, ("Edit(//n.ipynb)",)),
        ("Read", {"file_path": "/etc/shadow"}, ("Read(//etc/shadow)",)),
        ("Read", {"file_path": None}, ("Read",)),
        ("WebFetch", {"url": "https://me@Example.com:8080/a?b"}, ("WebFetch(domain:example.com)",)),
        ("WebFetch", {"url": "https://[broken"}, ("WebFetch",)),
        ("WebSearch", {"query": "x"}, ("WebSearch",)),
        ("Skill", {"skill": "greet"}, ("Skill(greet)",)),
        ("mcp__files__find", {"name": "x"}, ("mcp__files__find",)),
        (None, {}, ("?",)),
    ],
)
def test_a_denied_call_is_told_as_the_rules_that_would_allow_it(
    tool: object, given: dict[str, Any], rules: tuple[str, ...]
) -> None:
    denials = [{"tool_name": tool, "tool_use_id": "t1", "tool_input": given}, "odd"]
    assert read(lines(result(permission_denials=denials * 2))).denials == rules


def test_a_long_denied_call_is_cut() -> None:
    long = [
        ("Bash", "command", ">a" * 100_000),
        ("Write", "file_path", "*" * 100_000),
        ("x" * 100_000, "a", 1),
    ]
    denials = [{"tool_name": name, "tool_input": {key: value}} for name, key, value in long]
    found = read(lines(result(permission_denials=denials))).denials
    assert len(found) == 3
    assert all("…" in denial and len(denial) < 4000 for denial in found)


ODD = [
    None, True, 0, -1, 3.5, 1 << 70, "", "text", [], [1, None], {}, {"a": 1}, {"a": {"costUSD": True}},
    [{"tool_name": None}], "\x1b[31m",
]  # fmt: skip
FIELDS = [
    "subtype", "is_error", "api_error_status", "api_error", "num_turns", "errors", "structured_output",
    "error", "total_cost_usd", "usage", "modelUsage", "model_usage_since_last_result", "permission_denials",
    "session_id", "message", "rate_limit_info", "parent_tool_use_id", "error_status",
]  # fmt: skip


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", ODD, ids=repr)
def test_an_odd_value_in_one_field_does_not_hide_the_others(field: str, value: object) -> None:
    said = read(lines(result(**{field: value})))
    assert said.ended
    assert said.text == "Done."
    journaled(said)


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


def test_the_first_answer_is_a_sign_and_the_next_are_not() -> None:
    assert signs(INIT, assistant(TEXT), assistant(call(1)), returned(1), result()) == [Sign("answered")]


SYNTHETIC = {
    "type": "assistant",
    "message": {"model": "<synthetic>", "content": [{"type": "text", "text": "Not logged in"}]},
    "parent_tool_use_id": None,
    "error": "authentication_failed",
}


def test_what_the_program_says_itself_is_no_answer() -> None:
    assert signs(INIT, SYNTHETIC) == []
    said = read(lines(INIT, SYNTHETIC, result(is_error=True, api_error_status=None, result="Not logged in")))
    assert (said.answered, said.api_error) == (False, "authentication_failed")


def retry(status: object) -> dict[str, Any]:
    return {
        "type": "system",
        "subtype": "api_retry",
        "attempt": 1,
        "retry_delay_ms": 522.6,
        "error_status": status,
    }


@pytest.mark.parametrize(
    ("status", "kind"),
    [(429, "rate limited"), (529, "overloaded"), (401, "refused"), (500, ""), (None, ""), ([], "")],
)
def test_a_refused_request_is_a_sign(status: object, kind: str) -> None:
    assert [sign.kind for sign in signs(INIT, retry(status))] == ([kind] if kind else [])


@pytest.mark.parametrize(
    ("milliseconds", "seconds"),
    [(30_250, 30.25), (522.6, 0.0), (2_400, 0.0), (10**12, 120.0), (-9, 0.0), ("30000", 0.0), (None, 0.0)],
)
def test_how_long_the_api_asks_to_wait_is_told_apart_from_the_programs_own_delays(
    milliseconds: object, seconds: float
) -> None:
    assert [sign.delay for sign in signs(INIT, retry(429) | {"retry_delay_ms": milliseconds})] == [seconds]


def test_an_answer_after_a_refusal_is_a_sign_again() -> None:
    said = signs(assistant(TEXT), retry(429), retry(429), assistant(TEXT), assistant(TEXT))
    assert [sign.kind for sign in said] == ["answered", "rate limited", "rate limited", "answered"]


def test_the_status_of_a_failure_is_that_of_its_last_refusal_where_the_last_line_does_not_say() -> None:
    failed = result(is_error=True, api_error_status=None, result="Repeated 529 Overloaded errors.")
    assert read(lines(INIT, retry(529), SYNTHETIC, failed)).status == 529
    assert read(lines(INIT, retry(529), SYNTHETIC, failed | {"api_error_status": 500})).status == 500
    assert read(lines(INIT, retry(529), assistant(TEXT), failed)).status is None
    assert read(lines(INIT, retry(529), result())).status is None


def limit(**info: Any) -> dict[str, Any]:
    return {"type": "rate_limit_event", "rate_limit_info": info}


FULL = {"five_hour": {"utilization": 0.42}, "seven_day": {"utilization": 0.11}}


@pytest.mark.parametrize(
    ("info", "sign"),
    [
        ({"status": "allowed", "isUsingOverage": False}, Sign("window", None, "allowed")),
        (
            {"status": "allowed", "resetsAt": RESET, "rateLimitType": "five_hour", "unifiedWindows": FULL},
            Sign("window", LATER, "allowed", 0.42),
        ),
        (
            {"status": "allowed_warning", "resetsAt": RESET, "utilization": 0.93, "surpassedThreshold": 0.9},
            Sign("window", LATER, "allowed_warning", 0.93),
        ),
        (
            {"status": "rejected", "resetsAt": RESET, "isUsingOverage": False},
            Sign("window", LATER, "rejected"),
        ),
        (
            {"status": "rejected", "resetsAt": RESET, "isUsingOverage": True},
            Sign("window", LATER, "allowed_warning"),
        ),
        ({"status": "rejected", "isUsingOverage": False}, None),
        ({"status": "odd", "resetsAt": RESET}, None),
        ({"status": "allowed", "utilization": -1, "resetsAt": -1}, Sign("window", None, "allowed")),
        ({"status": "allowed", "utilization": True, "resetsAt": "soon"}, Sign("window", None, "allowed")),
        ({"status": ["allowed"], "unifiedWindows": 3}, None),
    ],
)  # fmt: skip
def test_the_window_of_a_subscription_is_a_sign(info: dict[str, Any], sign: Sign | None) -> None:
    assert signs(limit(**info)) == ([sign] if sign else [])


@pytest.mark.parametrize(
    ("info", "until"),
    [
        ({"status": "rejected", "resetsAt": RESET}, LATER),
        ({"status": "rejected", "resetsAt": RESET, "isUsingOverage": True}, None),
        ({"status": "allowed", "resetsAt": RESET}, None),
        ({"status": "rejected"}, None),
        ({"status": "rejected", "resetsAt": 1_740_000_000_000_000}, None),
        ({"status": "rejected", "resetsAt": 1e300}, None),
        ({"status": "rejected", "resetsAt": -1}, None),
        ({"status": "rejected", "resetsAt": "soon"}, None),
        ([], None),
    ],
)
def test_a_reset_time_is_taken_from_a_rejection_that_names_one(info: object, until: datetime | None) -> None:
    said = read(lines({"type": "rate_limit_event", "rate_limit_info": info}, result()))
    assert said.until == until
    journaled(said)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
KINDS = st.sampled_from(["result", "system", "assistant", "user", "rate_limit_event", "odd"])
BLOCKS = st.fixed_dictionaries(
    {"type": st.sampled_from(["tool_use", "tool_result", "text"])},
    optional=dict.fromkeys(["id", "tool_use_id", "name", "input", "is_error", "text"], JSON),
)
MESSAGES = st.fixed_dictionaries({"content": st.lists(BLOCKS | JSON, max_size=3)}) | JSON
DENIALS = st.lists(
    st.fixed_dictionaries({"tool_name": st.sampled_from(["Bash", "Read", "WebFetch", "Skill"])}, optional={
        "tool_input": st.dictionaries(st.sampled_from(["command", "file_path", "url"]), st.text() | JSON)
    })
)  # fmt: skip


@given(
    st.lists(
        st.fixed_dictionaries(
            {"type": KINDS},
            optional=dict.fromkeys([*FIELDS, "result"], JSON)
            | {"message": MESSAGES, "permission_denials": DENIALS | JSON},
        ),
        max_size=4,
    )
)
def test_any_json_is_read_and_can_be_journaled(said: list[dict[str, Any]]) -> None:
    journaled(read(lines(*said)))
    for line in lines(*said):
        told(line)


@given(st.lists(st.binary() | st.binary().map(lambda raw: b'{"type":"result",' + raw + b"}"), max_size=4))
def test_any_bytes_are_read(raw: list[bytes]) -> None:
    journaled(read(raw))
    assert all("\x1b" not in told(line) for line in raw)


def test_people_are_told_what_was_said_and_which_tools_were_used() -> None:
    content = [
        {"type": "text", "text": "I will \x1b[31mlook"},
        call(1, "Bash", command="ls\n-l", description="x"),
        call(2, "Odd", a=1),
        call(3, "Read", file_path="/p/\x1b[1ma"),
        call(4, "Stop"),
        {"type": "odd"},
    ]
    assert (
        told(lines(assistant(*content))[0])
        == "I will look\n→ Bash ls -l\n→ Odd {'a': 1}\n→ Read /p/a\n→ Stop"
    )
    assert told(lines(result(result="All \x1b[1mgood"))[0]) == "[success] All good"
    assert told(lines(INIT)[0]) == ""
    assert told(b"plain \x1b[1mtext\n") == "plain text"


def test_a_secret_is_taken_out_of_a_denied_command_before_it_is_cut() -> None:
    denial = {"tool_name": "Bash", "tool_input": {"command": f"{'x' * 990} planted-secret"}}
    said = read(
        lines(result(permission_denials=[denial])), lambda text: text.replace("planted-secret", "[redacted]")
    )
    assert said.denials == (f"Bash({'x' * 990} [redacted…)",)


@pytest.mark.parametrize("session", ["x", f"{SESSION}\n", f" {SESSION}", "--resume", "a" * 36, 7, None])
def test_what_is_no_session_is_not_taken_for_one(session: object) -> None:
    assert read(lines(INIT | {"session_id": session}, result(session_id=session))).session is None
    assert read(lines(INIT | {"session_id": SESSION}, result(session_id=session))).session == SESSION


def test_the_name_of_a_model_is_one_line() -> None:
    said = read(
        lines(result(modelUsage={"claude\n| x |\x1b[2J": used(0.5, 1, 1), "claude | x |": used(0.25, 1, 1)}))
    )
    assert (said.models, said.model) == ({"claude | x |": 0.75}, "claude | x |")


@pytest.mark.parametrize("told", [None, "false", 0, {}])
def test_a_last_line_that_does_not_say_that_it_is_no_error_is_no_success(told: object) -> None:
    said = read(lines(*WELL[:-1], result(is_error=told)))
    verdict = judge(Task(id="A", description="x"), Evidence(Ending(0), said))
    assert (verdict.outcome, verdict.reason) == (
        "error",
        "its last line does not say whether it succeeded: Done.",
    )


@pytest.mark.parametrize(
    ("turns", "known"), [(2.0, 2), (0.0, 0), (1.5, None), ("1", None), (-1, None), (1e300, None)]
)
def test_turns_are_counted_in_whole_numbers_however_they_are_written(
    turns: object, known: int | None
) -> None:
    assert read(lines(result(num_turns=turns))).turns == known


@pytest.mark.parametrize(("answered", "outcome"), [(True, "success"), (False, "empty")])
def test_without_a_number_of_turns_the_model_must_have_answered(answered: bool, outcome: str) -> None:
    said = read(lines(INIT, *WELL[1 : 4 * answered], result(num_turns=None)))
    assert judge(Task(id="A", description="x"), Evidence(Ending(0), said)).outcome == outcome


@pytest.mark.parametrize("cost", ["NaN", "Infinity", "-Infinity", "-1", '"0.5"', "null", "true", "[]"])
def test_an_odd_cost_hides_nothing_else_and_is_that_of_the_models(cost: str) -> None:
    (line,) = lines(result(total_cost_usd="COST", modelUsage={"a": used(0.25, 1, 1), "b": used(0.5, 1, 1)}))
    said = read([line.replace(b'"COST"', cost.encode())])
    assert (said.ended, said.text, said.cost_usd) == (True, "Done.", 0.75)


def test_a_result_without_words_after_one_with_words_takes_none_away() -> None:
    said = read(lines(*WELL, assistant(call(2)), returned(2), result(result="")))
    assert said.text == "Done."
    failed = read(lines(*WELL, result(result=None, is_error=True, errors=["It broke."])))
    assert failed.text == "It broke."
