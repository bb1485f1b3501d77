from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.clis import claude
from orchestrator.clis.claude_features import HIDDEN, NEEDED, OLDEST, Program
from orchestrator.core.plan import Task
from orchestrator.core.workers import GENERAL, WorkerType

SESSION = "5f0c2a9e-0000-5000-8000-000000000000"
OLD = Program("/bin/claude", OLDEST, "", NEEDED | HIDDEN, trusted=True)
NEW = Program(
    "/bin/claude",
    (2, 1, 329),
    "",
    OLD.options | {"permission-prompts", "exclude-dynamic-system-prompt-sections"},
)
READER = WorkerType(name="reader", tools=("Read",), denied=("Edit", "Write", "NotebookEdit"))


def work(**fields: Any) -> Task:
    return Task(id="T-01", description="Do it", **fields)


def options(one: Task, worker: WorkerType = GENERAL, program: Program = OLD, **how: Any) -> dict[str, str]:
    """The options of a worker by name; those without a value have an empty one."""
    path, print_only, *rest = claude.command(program, one, worker, SESSION, **how)
    assert (path, print_only) == ("/bin/claude", "-p")
    assert all(option.startswith("--") for option in rest)
    return {name[2:]: value for name, _, value in (option.partition("=") for option in rest)}


def permissions(one: Task, worker: WorkerType = GENERAL, **how: Any) -> dict[str, list[str]]:
    settings: dict[str, dict[str, list[str]]] = json.loads(options(one, worker, **how)["settings"])
    assert list(settings) == ["permissions"]
    return settings["permissions"]


def test_the_command_line_of_an_ordinary_task() -> None:
    assert claude.command(OLD, work(), GENERAL, SESSION) == (
        "/bin/claude",
        "-p",
        "--output-format=stream-json",
        "--verbose",
        f"--session-id={SESSION}",
        "--model=sonnet",
        "--permission-mode=acceptEdits",
        "--tools=Edit,Glob,Grep,Read,Write",
        '--settings={"permissions":{"allow":["Read","Grep","Glob","Edit","Write"],'
        '"deny":["Agent","Task","Workflow","SendMessage","ListAgents","Edit(.orchestrator/**)","NotebookEdit","Bash"]}}',
    )


def test_the_command_line_of_a_task_that_sets_everything() -> None:
    one = work(
        model="opus",
        tools=("Read", "Bash(python -m cProfile *)"),
        allow=("WebFetch",),
        verify=('grep -q "a, b" x',),
        permission_mode="plan",
        budget_usd=1.5,
        max_turns=7,
        setting_sources=("user", "project"),
        output_schema={"type": "object"},
    )

    given = options(one, prompt_file="/w/role.md")

    assert permissions(one)["allow"] == [
        "Read", "Bash(python -m cProfile *)", "WebFetch", 'Bash(grep -q "a, b" x)',
    ]  # fmt: skip
    assert {name: given[name] for name in list(given)[3:5] + list(given)[7:]} == {
        "model": "opus",
        "permission-mode": "plan",
        "setting-sources": "user,project",
        "append-system-prompt-file": "/w/role.md",
        "max-turns": "7",
        "max-budget-usd": "1.5",
        "json-schema": '{"type":"object"}',
    }


def test_a_worker_type_stands_in_for_what_the_task_leaves_open() -> None:
    worker = WorkerType(name="x", tools=("Read",), model="haiku", permission_mode="dontAsk")

    given = options(work(), worker)

    assert (given["tools"], given["model"], given["permission-mode"]) == ("Read", "haiku", "dontAsk")
    assert options(work(model="opus"), worker)["model"] == "opus"


def test_a_session_is_continued_where_it_is_to_be() -> None:
    given = options(work(), resume=True)
    assert given["resume"] == SESSION
    assert "session-id" not in given


def test_the_last_attempt_takes_the_fallback_model_where_there_is_one() -> None:
    assert options(work(fallback_model="haiku"), last=True)["model"] == "haiku"
    assert options(work(fallback_model="haiku"))["model"] == "sonnet"
    assert options(work(), last=True)["model"] == "sonnet"


def test_what_only_newer_versions_take_is_given_to_them_alone() -> None:
    newer = {"permission-prompts": "none", "exclude-dynamic-system-prompt-sections": ""}
    assert newer.items() <= options(work(), program=NEW).items()
    assert not newer.keys() & options(work()).keys()


UNTRUSTED = Program("/bin/claude", OLDEST, "", NEEDED)


@pytest.mark.parametrize(
    ("program", "asked", "sources", "strict"),
    [
        (OLD, None, None, False),
        (OLD, ("user",), "user", False),
        (UNTRUSTED, None, "user", True),
        (UNTRUSTED, (), "", True),
        (UNTRUSTED, ("user", "local"), "user,local", True),
        (UNTRUSTED, ("user", "project"), "user,project", False),
    ],
)
def test_the_settings_of_a_folder_nobody_trusts_stay_out_unless_the_plan_asks_for_them(
    program: Program, asked: tuple[str, ...] | None, sources: str | None, strict: bool
) -> None:
    given = options(work(setting_sources=asked), program=program)
    assert given.get("setting-sources") == sources
    assert ("strict-mcp-config" in given) == strict


WORDS = st.text(min_size=1) | st.sampled_from(
    ["--dangerously-skip-permissions", "-p", "--", "a b", "x=y", "\n"]
)
SOME = st.lists(WORDS).map(tuple)


@given(WORDS, SOME, SOME, SOME, SOME, WORDS, WORDS, WORDS)
def test_no_value_becomes_an_option_or_the_prompt(
    model: str,
    tools: tuple[str, ...],
    allow: tuple[str, ...],
    verify: tuple[str, ...],
    denied: tuple[str, ...],
    name: str,
    text: str,
    path: str,
) -> None:
    one = work(
        model=model, tools=tools, allow=allow, verify=verify, output_schema={"type": "object", name: text}
    )
    worker = WorkerType(name=name, denied=denied, prompt=text)
    known = {
        "--output-format", "--verbose", "--session-id", "--model", "--permission-mode", "--tools",
        "--settings", "--json-schema", "--append-system-prompt-file", "--permission-prompts", "--setting-sources",
        "--exclude-dynamic-system-prompt-sections", "--strict-mcp-config",
    }  # fmt: skip
    argv = claude.command(NEW, one, worker, SESSION, prompt_file=path, workspace=f"/{path}")
    assert argv[:2] == ("/bin/claude", "-p")
    assert [option.split("=", 1)[0] for option in argv[2:] if option.split("=", 1)[0] not in known] == []
    assert len(argv) == 2 + len(known)


@given(SOME, SOME, SOME)
def test_no_rule_raises_a_permission_or_loosens_another_rule(
    tools: tuple[str, ...], verify: tuple[str, ...], denied: tuple[str, ...]
) -> None:
    worker = WorkerType(name="x", denied=denied)
    found = permissions(work(tools=tools, verify=verify), worker)
    assert set(claude.DENIED) <= set(found["deny"])
    assert set(denied) <= set(found["deny"])
    assert set(found["allow"]) - set(tools) <= {rule for rule in found["allow"] if rule.startswith("Bash(")}


def test_nothing_of_the_task_but_its_settings_is_on_the_command_line() -> None:
    one = work(title="SECRET", constraints=("SECRET",), inputs={"a": "SECRET"}, steps=("SECRET",))
    argv = claude.command(OLD, one, WorkerType(name="x", prompt="SECRET", description="SECRET"), SESSION)
    assert not any("SECRET" in option for option in argv)


def test_a_worker_starts_no_agents_and_leaves_the_workspace_alone() -> None:
    assert {"Agent", "Task", "Workflow", "SendMessage", "ListAgents", "Edit(.orchestrator/**)"} <= set(
        permissions(work(allow=("Agent", "Edit")))["deny"]
    )


def test_a_workspace_elsewhere_is_left_alone_too() -> None:
    assert "Edit(//srv/w/.orchestrator/**)" in permissions(work(), workspace="/srv/w/.orchestrator")["deny"]


def test_the_model_is_not_told_of_tools_that_it_may_not_use() -> None:
    one = work(tools=("Read", "Agent", "Edit", "mcp__files__find", "Skill(greet)"))
    assert options(one)["tools"] == "Edit,Read,Skill"
    assert options(one, READER)["tools"] == "Read,Skill"


def test_a_task_with_checks_may_run_them_and_is_told_of_bash() -> None:
    one = work(verify=("make test", "make 2>&1 | tail -5", " "))
    assert options(one)["tools"] == "Bash,Edit,Glob,Grep,Read,Write"
    assert permissions(one)["allow"][5:] == ["Bash(make test)", "Bash(make)", "Bash(tail -5)"]
    assert "Bash" not in permissions(one)["deny"]


@pytest.mark.parametrize(
    ("tools", "reads_only"),
    [
        (("Read",), True),
        (("Read", "Bash(git log *)"), True),
        (("Read", "Bash"), False),
        (("Read", "Bash(*)"), False),
        (("Read", "Write"), False),
        (("Read", "Edit"), False),
    ],
)
def test_who_may_not_write_may_not_by_bash_either(tools: tuple[str, ...], reads_only: bool) -> None:
    denied = permissions(work(tools=tools, verify=("make",)))["deny"]
    assert (claude.DENIED_TO_READERS in denied) == reads_only


def test_a_command_that_a_person_allowed_may_write() -> None:
    allowed = work(tools=("Read",), allow=("Bash(touch made.txt)",))
    assert claude.DENIED_TO_READERS not in permissions(allowed)["deny"]
    accepting = work(tools=("Read",), allow=("Bash(touch made.txt)",), permission_mode="acceptEdits")
    assert claude.DENIED_TO_READERS in permissions(accepting)["deny"]


def test_no_tools_at_all_can_be_asked_for() -> None:
    assert options(work(tools=()))["tools"] == ""


def test_a_prefix_is_shared_by_workers_that_are_told_the_same() -> None:
    one, worker = work(), WorkerType(name="x")
    same = [
        work(title="Else", allow=("Read(//etc/**)",)),
        work(tools=("Write", "Edit", "Glob", "Grep", "Read")),
    ]
    other = [work(model="haiku"), work(verify=("make",)), work(output_schema={}), work(allow=("WebFetch",))]
    assert {claude.prefix(each, worker) for each in same} == {claude.prefix(one, worker)}
    assert len({claude.prefix(each, worker) for each in (one, *other)}) == 5
    assert claude.prefix(one, worker) != claude.prefix(one, GENERAL)


def test_the_last_attempt_can_have_another_prefix() -> None:
    one = work(fallback_model="haiku")
    assert claude.prefix(one, GENERAL, last=True) != claude.prefix(one, GENERAL)


def test_sessions_are_known_before_they_start_and_differ() -> None:
    drawn = {claude.session_id(run, name, n) for run in ("r", "s") for name in ("a", "b") for n in (1, 2)}
    assert len(drawn) == 8
    assert claude.session_id("r", "a", 1) == claude.session_id("r", "a", 1)
    assert all(str(uuid.UUID(one)) == one for one in drawn)


def test_no_variable_of_the_environment_is_both_set_and_taken_out() -> None:
    assert not claude.environment().keys() & set(claude.SESSION_VARIABLES)
    claude.environment().clear()
    assert claude.environment()["CLAUDE_CODE_MAX_RETRIES"] == "2"
