from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from fakes import plan, stream, task
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.clis import claude
from orchestrator.core import events
from orchestrator.core.plan import Task
from orchestrator.core.verdict import Ending, Evidence, Said, judge

SESSION = "5f0c2a9e-0000-5000-8000-000000000000"


def work(**fields: Any) -> Task:
    return task("T-01", cli="claude", run="", description="Do it", **fields)


def test_the_command_line_of_an_ordinary_task() -> None:
    assert claude.command("/bin/claude", work(), SESSION) == (
        "/bin/claude",
        "-p",
        "--output-format=stream-json",
        "--verbose",
        f"--session-id={SESSION}",
        "--model=sonnet",
        "--permission-mode=acceptEdits",
        "--allowedTools=Read,Grep,Glob,Edit,Write",
        "--disallowedTools=Agent,Task,Workflow,SendMessage,ListAgents,Edit(.orchestrator/**),Write(.orchestrator/**)",
    )


def test_the_command_line_of_a_task_that_sets_everything() -> None:
    one = work(
        model="opus",
        tools=("Read", "Bash(python -m cProfile *)"),
        allow=("WebFetch",),
        verify=("make test",),
        permission_mode="plan",
        budget_usd=1.5,
        output_schema={"type": "object"},
    )
    assert claude.command("claude", one, SESSION)[5:] == (
        "--model=opus",
        "--permission-mode=plan",
        "--allowedTools=Read,Bash(python -m cProfile *),WebFetch,Bash(make test)",
        f"--disallowedTools={','.join(claude.DENIED)}",
        "--max-budget-usd=1.5",
        '--json-schema={"type":"object"}',
    )


def test_a_session_is_continued_where_it_is_to_be() -> None:
    argv = claude.command("claude", work(), SESSION, resume=True)
    assert f"--resume={SESSION}" in argv
    assert not any(option.startswith("--session-id") for option in argv)


def test_the_last_attempt_takes_the_fallback_model_where_there_is_one() -> None:
    assert "--model=haiku" in claude.command("claude", work(fallback_model="haiku"), SESSION, last=True)
    assert "--model=sonnet" in claude.command("claude", work(fallback_model="haiku"), SESSION)
    assert "--model=sonnet" in claude.command("claude", work(), SESSION, last=True)


WORDS = st.text(min_size=1) | st.sampled_from(
    ["--dangerously-skip-permissions", "-p", "--", "a b", "x=y", "\n"]
)


@given(WORDS, st.lists(WORDS).map(tuple), st.lists(WORDS).map(tuple), WORDS, WORDS)
def test_no_value_becomes_an_option_or_the_prompt(
    model: str, tools: tuple[str, ...], verify: tuple[str, ...], name: str, text: str
) -> None:
    one = work(model=model, tools=tools, verify=verify, output_schema={"type": "object", name: text})
    known = {
        "--output-format", "--verbose", "--session-id", "--model", "--permission-mode", "--allowedTools",
        "--disallowedTools", "--json-schema",
    }  # fmt: skip
    _, print_only, *options = claude.command("claude", one, SESSION)
    assert print_only == "-p"
    assert [option.split("=", 1)[0] for option in options if option.split("=", 1)[0] not in known] == []
    assert len(options) == len(known)


def test_nothing_of_the_task_but_its_settings_is_on_the_command_line() -> None:
    one = work(title="SECRET", constraints=("SECRET",), inputs={"a": "SECRET"}, steps=("SECRET",))
    assert not any("SECRET" in option for option in claude.command("claude", one, SESSION))


def test_a_worker_starts_no_agents_and_leaves_the_workspace_alone() -> None:
    assert {"Agent", "Task", "Workflow", "Write(.orchestrator/**)", "Edit(.orchestrator/**)"} <= set(
        claude.DENIED
    )


def test_sessions_are_known_before_they_start_and_differ() -> None:
    drawn = {claude.session_id(run, name, n) for run in ("r", "s") for name in ("a", "b") for n in (1, 2)}
    assert len(drawn) == 8
    assert claude.session_id("r", "a", 1) == claude.session_id("r", "a", 1)
    assert all(str(uuid.UUID(one)) == one for one in drawn)


def test_a_run_that_goes_well_is_read() -> None:
    said = claude.read(
        stream(
            "Found it.",
            tools=2,
            num_turns=4,
            session_id=SESSION,
            total_cost_usd=0.25,
            usage={"input_tokens": 3, "cache_read_input_tokens": 40, "output_tokens": 5, "service_tier": "x"},
            modelUsage={"claude-sonnet": {}, "claude-haiku": {}},
        ).splitlines(keepends=True)
    )
    assert said == Said(
        started=True, ended=True, subtype="success", turns=4, tool_calls=2, text="Found it.", cost_usd=0.25,
        input_tokens=43, output_tokens=5, model="claude-sonnet", session=SESSION,
    )  # fmt: skip


def lines(*told: object) -> list[bytes]:
    return [json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in told]


def result(**fields: Any) -> dict[str, Any]:
    return {
        "type": "result",
        "subtype": "success",
        "is_error": False,
        "num_turns": 1,
        "result": "Done.",
    } | fields


def test_of_several_results_the_last_one_counts() -> None:
    said = claude.read(lines(result(result="first"), result(result="last", subtype="error_max_turns")))
    assert (said.text, said.subtype) == ("last", "error_max_turns")


def test_without_a_result_it_is_known_whether_the_session_began() -> None:
    assert claude.read([]) == Said()
    assert claude.read(lines({"type": "system", "subtype": "init"})) == Said(started=True)
    assert claude.read(lines({"type": "system", "subtype": "api_retry"})) == Said()


def test_a_tool_call_without_its_result_is_open() -> None:
    called = {"type": "assistant", "message": {"content": [{"type": "tool_use", "id": "t1", "name": "Bash"}]}}
    answered = {"type": "user", "message": {"content": [{"type": "tool_result", "tool_use_id": "t1"}]}}
    assert claude.read(lines(called)) == Said(tool_calls=1, open_tool_call=True)
    assert claude.read(lines(called, answered)) == Said(tool_calls=1)


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
    well = stream("Done.").splitlines(keepends=True)
    mixed = [piece for line in well for piece in (*garbage, line)] + garbage
    assert claude.read(mixed) == claude.read(well)


def test_a_cut_off_result_line_is_no_result() -> None:
    last = lines(result(result="x" * 100))[0]
    assert not any(claude.read([last[:length]]).ended for length in range(len(last) - 2))


ODD = [
    None,
    True,
    0,
    -1,
    3.5,
    1 << 70,
    "",
    "text",
    [],
    [1, None],
    {},
    {"a": 1},
    [{"tool_name": None}],
    "\x1b[31m",
]
FIELDS = [
    "subtype", "is_error", "api_error_status", "api_error", "num_turns", "errors", "structured_output",
    "total_cost_usd", "usage", "modelUsage", "permission_denials", "session_id", "message", "rate_limit_info",
]  # fmt: skip


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", ODD, ids=repr)
def test_an_odd_value_in_one_field_does_not_hide_the_others(field: str, value: object) -> None:
    said = claude.read(lines(result(**{field: value})))
    assert said.ended
    assert said.text == "Done."
    journaled(said)


def journaled(said: Said) -> None:
    """What was read can be judged, written to the journal and read again."""
    ruling = judge(work(), Evidence(Ending(0), said))
    event = events.AttemptFinished(
        seq=1, time=datetime(2025, 1, 1, tzinfo=UTC), task="a", attempt=1, outcome=ruling.outcome,
        reason=ruling.reason, cost_usd=said.cost_usd, input_tokens=said.input_tokens, session=said.session,
        output_tokens=said.output_tokens, model=said.model, until=said.until,
    )  # fmt: skip
    assert events.decode(events.encode(event)) == event


def test_half_a_character_that_was_cut_off_does_not_hide_the_result() -> None:
    line = b'{"type":"result","subtype":"success","is_error":false,"num_turns":1,"result":"ok \\ud83d"}\n'
    said = claude.read([line])
    assert said.ended
    assert said.text == "ok ?"
    journaled(said)


def test_deeply_nested_lines_are_passed_over() -> None:
    deep = b'{"type":"result","result":' + b"[" * 200_000 + b"]" * 200_000 + b"}\n"
    assert claude.read([deep, deep.replace(b"[", b'["\\u0041",', 1)]) == Said()


def test_the_errors_of_a_result_without_text_are_its_text() -> None:
    said = claude.read(lines({"type": "result", "subtype": "error_during_execution", "errors": ["one", 2]}))
    assert said.text == "one; 2"


@pytest.mark.parametrize(
    ("info", "until"),
    [
        ({"status": "rejected", "resetsAt": 1_740_000_000}, datetime.fromtimestamp(1_740_000_000, UTC)),
        ({"status": "allowed", "resetsAt": 1_740_000_000}, None),
        ({"status": "rejected"}, None),
        ({"status": "rejected", "resetsAt": 1_740_000_000_000_000}, None),
        ({"status": "rejected", "resetsAt": 1e300}, None),
        ({"status": "rejected", "resetsAt": -1}, None),
        ({"status": "rejected", "resetsAt": "soon"}, None),
        ([], None),
    ],
)
def test_a_reset_time_is_taken_from_a_rejection_that_names_one(info: object, until: datetime | None) -> None:
    said = claude.read(lines({"type": "rate_limit_event", "rate_limit_info": info}, result()))
    assert said.until == until
    journaled(said)


def test_denied_tools_are_listed() -> None:
    said = claude.read(
        lines(result(permission_denials=[{"tool_name": "Bash"}, {}, "x", {"tool_name": "Write"}]))
    )
    assert said.denials == ("Bash", "?", "Write")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
KINDS = st.sampled_from(["result", "system", "assistant", "user", "rate_limit_event", "odd"])


@given(
    st.lists(
        st.fixed_dictionaries({"type": KINDS}, optional=dict.fromkeys([*FIELDS, "result"], JSON)), max_size=4
    )
)
def test_any_json_is_read_and_can_be_journaled(told: list[dict[str, Any]]) -> None:
    journaled(claude.read(lines(*told)))
    for line in lines(*told):
        claude.told(line)


@given(st.lists(st.binary() | st.binary().map(lambda raw: b'{"type":"result",' + raw + b"}"), max_size=4))
def test_any_bytes_are_read(raw: list[bytes]) -> None:
    journaled(claude.read(raw))
    assert all("\x1b" not in claude.told(line) for line in raw)


def test_people_are_told_what_was_said_and_which_tools_were_used() -> None:
    content = [
        {"type": "text", "text": "I will \x1b[31mlook"},
        {"type": "tool_use", "name": "Bash", "input": {"command": "ls\n-l"}},
        {"type": "odd"},
    ]
    told = claude.told(lines({"type": "assistant", "message": {"content": content}})[0])
    assert told == "I will look\n→ Bash {'command': 'ls\\n-l'}"
    assert claude.told(lines(result(result="All \x1b[1mgood"))[0]) == "[success] All good"
    assert claude.told(lines({"type": "system", "subtype": "init"})[0]) == ""
    assert claude.told(b"plain \x1b[1mtext\n") == "plain text"


def test_a_plan_of_such_tasks_can_be_journaled() -> None:
    assert plan(work(output_schema={"type": "object"})).tasks[0].cli == "claude"
