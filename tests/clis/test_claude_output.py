from __future__ import annotations

import json
from typing import Any

import pytest
from streams import INIT, SESSION, WELL, assistant, call, lines, result, returned, used

from orchestrator.clis.claude_output import Reader, read, told
from orchestrator.core.plan import Task
from orchestrator.core.verdict import Ending, Evidence, Said, judge


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


def test_a_worker_has_finished_until_it_is_called_again() -> None:
    def finished(*said: dict[str, Any]) -> bool:
        reader = Reader()
        for raw in lines(*said):
            reader.feed(raw)
        return reader.finished

    assert finished(*WELL)
    assert finished(*WELL, {"type": "rate_limit_event"})
    assert not finished(*WELL, assistant(call(2)))
    assert not finished(*WELL, INIT)
    assert not finished(*WELL, result(is_error=True))
    assert finished(*WELL, assistant(call(2)), returned(2), result())


def test_a_structured_output_is_not_taken_away_by_a_later_result_without_one() -> None:
    given = result(structured_output={"n": 3})
    assert read(lines(*WELL, given, result())).structured == '{"n":3}'
    assert read(lines(*WELL, given, result(structured_output={"n": 4}))).structured == '{"n":4}'
    assert read(lines(*WELL, given, result(is_error=True))).structured == ""


def test_a_result_without_words_after_one_with_words_takes_none_away() -> None:
    said = read(lines(*WELL, assistant(call(2)), returned(2), result(result="")))
    assert said.text == "Done."
    failed = read(lines(*WELL, result(result=None, is_error=True, errors=["It broke."])))
    assert failed.text == "It broke."
