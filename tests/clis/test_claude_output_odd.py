"""Lines that are cut off, broken or odd: what is read of them, and what they do not hide."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streams import INIT, SESSION, WELL, assistant, call, journaled, lines, result, returned, used

from orchestrator.clis.claude_output import read, told
from orchestrator.core.verdict import Said


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


@pytest.mark.parametrize("session", ["x", f"{SESSION}\n", f" {SESSION}", "--resume", "a" * 36, 7, None])
def test_what_is_no_session_is_not_taken_for_one(session: object) -> None:
    assert read(lines(INIT | {"session_id": session}, result(session_id=session))).session is None
    assert read(lines(INIT | {"session_id": SESSION}, result(session_id=session))).session == SESSION


def test_the_name_of_a_model_is_one_line() -> None:
    said = read(
        lines(result(modelUsage={"claude\n| x |\x1b[2J": used(0.5, 1, 1), "claude | x |": used(0.25, 1, 1)}))
    )
    assert (said.models, said.model) == ({"claude | x |": 0.75}, "claude | x |")


@pytest.mark.parametrize("cost", ["NaN", "Infinity", "-Infinity", "-1", '"0.5"', "null", "true", "[]"])
def test_an_odd_cost_hides_nothing_else_and_is_that_of_the_models(cost: str) -> None:
    (line,) = lines(result(total_cost_usd="COST", modelUsage={"a": used(0.25, 1, 1), "b": used(0.5, 1, 1)}))
    said = read([line.replace(b'"COST"', cost.encode())])
    assert (said.ended, said.text, said.cost_usd) == (True, "Done.", 0.75)
