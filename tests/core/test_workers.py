"""Worker types: what they may do, and what their files may say."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from orchestrator.core.plan import Task
from orchestrator.core.workers import (
    DEFAULT_MODE,
    DEFAULT_MODEL,
    DEFAULT_TOOLS,
    MODES,
    Fields,
    WorkerType,
    denied_of,
    mode_of,
    model_of,
    tool_list,
    tools_of,
    wants_bypass,
    worker_type,
    wrong_fields,
    wrong_tool,
)

READING = WorkerType(name="reader", tools=("Read", "Grep", "Glob"))


def task(**fields: Any) -> Task:
    return Task(id="T-01", **fields)


def test_what_the_task_says_stands_above_its_type_and_that_above_the_defaults() -> None:
    plain, own = WorkerType(name="x"), WorkerType(name="x", model="opus", permission_mode="plan", tools=())
    asking = task(model="haiku", permission_mode="dontAsk", tools=("Read",))
    for worker, one, wanted in (
        (plain, task(), (DEFAULT_MODEL, DEFAULT_MODE, DEFAULT_TOOLS)),
        (own, task(), ("opus", "plan", ())),
        (own, asking, ("haiku", "dontAsk", ("Read",))),
    ):
        assert (model_of(one, worker), mode_of(one, worker), tools_of(one, worker)) == wanted


def test_the_fallback_model_is_for_the_last_attempt() -> None:
    one = task(model="haiku", fallback_model="opus")
    assert (model_of(one, READING), model_of(one, READING, last=True)) == ("haiku", "opus")


def test_a_worker_that_reads_is_denied_all_that_writes() -> None:
    assert denied_of(task(), READING) == ("Edit", "Write", "NotebookEdit", "Bash")


@pytest.mark.parametrize(
    ("one", "granted"),
    [
        (task(verify=("make test",)), {"Bash"}),
        (task(allow=("Edit(docs/**)",)), {"Edit"}),
        (task(allow=("Bash(git log *)", "Write")), {"Bash", "Write"}),
        (
            task(tools=("Read", "Edit", "Write", "NotebookEdit", "Bash")),
            {"Edit", "Write", "NotebookEdit", "Bash"},
        ),
    ],
)
def test_what_the_plan_grants_is_not_denied(one: Task, granted: set[str]) -> None:
    denied = denied_of(one, READING)
    assert {"Edit", "Write", "NotebookEdit", "Bash"} - set(denied) == granted


def test_what_the_type_denies_stays_denied_and_stands_once() -> None:
    worker = WorkerType(name="x", denied=("WebFetch", "Bash"), tools=("Read", "Edit", "Write"))
    assert denied_of(task(allow=("WebFetch",)), worker) == ("WebFetch", "Bash", "NotebookEdit")


def test_only_a_plan_can_bypass_permissions() -> None:
    sly = WorkerType(name="x", permission_mode="bypassPermissions")
    asking = task(permission_mode="bypassPermissions")
    assert (wants_bypass(task(), sly), mode_of(task(), sly)) == (True, DEFAULT_MODE)
    assert (wants_bypass(asking, sly), mode_of(asking, sly)) == (False, "bypassPermissions")
    assert not wants_bypass(task(permission_mode="plan"), sly)
    assert not wants_bypass(task(), READING)


def test_only_a_plan_makes_a_worker_accept_edits_that_may_not_edit() -> None:
    accepting = WorkerType(name="x", permission_mode="acceptEdits", tools=("Read",))
    assert mode_of(task(tools=("Read", "Bash(ls *)")), WorkerType(name="x")) == "dontAsk"
    assert mode_of(task(), accepting) == "dontAsk"
    assert mode_of(task(permission_mode="acceptEdits"), accepting) == "acceptEdits"
    assert mode_of(task(allow=("Edit(docs/**)",)), accepting) == "acceptEdits"


@pytest.mark.parametrize(
    ("value", "tools"),
    [
        ("", ()),
        ("Read", ("Read",)),
        ("Read, Grep,Glob ,, Bash(git *)", ("Read", "Grep", "Glob", "Bash(git *)")),
        ("Read Grep", ("Read", "Grep")),
        ("Bash(git log *, git diff *), Read", ("Bash(git log *, git diff *)", "Read")),
        (["Read", "Bash(make a, b)", "Edit, Write"], ("Read", "Bash(make a, b)", "Edit", "Write")),
        ("Read, Read", ("Read",)),
        ("Bash(echo $(date)), Read", ("Bash(echo $(date))", "Read")),
        ("a), Read", ("a)", "Read")),
    ],
)
def test_tools_are_a_text_or_a_list(value: str | list[str], tools: tuple[str, ...]) -> None:
    assert tool_list(value) == tools


def made(**fields: str | list[str]) -> WorkerType:
    assert list(wrong_fields({"name": "x", **fields})) == []
    return worker_type({"name": "x", **fields}, "Do it.")


def test_a_file_becomes_a_worker_type() -> None:
    assert made(
        description="Reviews", tools="Read, Grep", disallowedTools="Bash", model="opus", permissionMode="plan"
    ) == WorkerType(
        name="x",
        description="Reviews",
        tools=("Read", "Grep"),
        denied=("Bash",),
        model="opus",
        permission_mode="plan",
        prompt="Do it.",
    )


def test_what_a_file_does_not_say_is_left_to_the_defaults() -> None:
    assert made() == WorkerType(name="x", prompt="Do it.")
    assert made(model="inherit", permissionMode="", tools="*", disallowedTools="") == made()
    assert made(color="blue", skills=["a"], hooks="x") == made()


@pytest.mark.parametrize("nothing", ["", []])
def test_tools_that_are_named_and_empty_are_none(nothing: str | list[str]) -> None:
    assert made(tools=nothing).tools == ()


def test_newer_names_of_permission_modes_mean_the_old_ones() -> None:
    assert made(permissionMode="manual").permission_mode == "default"


@pytest.mark.parametrize(
    ("fields", "key", "words"),
    [
        ({"name": "Code Reviewer"}, "name", "'Code Reviewer' cannot be one"),
        ({"name": "../x"}, "name", "letters, digits"),
        ({"name": ""}, "name", "cannot be one"),
        ({"name": ["x"]}, "name", "a list"),
        ({"tools": "Read, --all"}, "tools", "'--all' is not a tool"),
        ({"tools": ["Bash(git *"]}, "tools", "is not a tool"),
        ({"tools": "Read, bash"}, "tools", "'bash' is no tool; did you mean 'Bash'?"),
        ({"tools": "Read; Write"}, "tools", "'Read;' is not a tool"),
        ({"disallowedTools": "Bash()"}, "disallowedTools", "is not a tool"),
        ({"tools": "x" * 2000}, "tools", "is not a tool"),
        ({"model": "--opus"}, "model", "not the name of a model"),
        ({"model": "two words"}, "model", "not the name of a model"),
        ({"model": ["a"]}, "model", "a list"),
        ({"permissionMode": "acceptEdit"}, "permissionMode", "did you mean 'acceptEdits'?"),
        ({"permissionMode": ["plan"]}, "permissionMode", "a list"),
    ],
)
def test_a_wrong_field_is_told(fields: Fields, key: str, words: str) -> None:
    ((found, message),) = wrong_fields({"name": "x", **fields})
    assert found == key
    assert words in message


def test_all_that_is_wrong_is_told_at_once() -> None:
    wrong = wrong_fields({"name": "", "tools": "-a, -b", "model": "-c", "permissionMode": "d"})
    assert [key for key, _ in wrong] == ["name", "tools", "tools", "model", "permissionMode"]


@pytest.mark.parametrize(
    "model",
    ["sonnet", "sonnet[1m]", "claude-opus-5-5", "arn:aws:bedrock:us-east-1:1:inference-profile/a.b-v1:0"],
)
def test_any_name_of_a_model_is_taken(model: str) -> None:
    assert made(model=model).model == model


def test_the_permission_modes_are_those_of_a_plan() -> None:
    places = msgspec.json.schema(Task)["$defs"]["Task"]["properties"]["permission_mode"]["anyOf"]
    assert {word for place in places for word in place.get("enum", ())} == set(MODES)


@pytest.mark.parametrize(
    "rule",
    [
        "Read",
        "Bash(git log *)",
        "Bash(echo \\()",
        "mcp__a__read",
        "LS",
        "TaskCreate",
        "TodoRead",
        "BashOutput",
        "Later",
    ],
)
def test_a_tool_that_is_not_known_may_be_one_of_a_later_version(rule: str) -> None:
    assert wrong_tool(rule) == ""
