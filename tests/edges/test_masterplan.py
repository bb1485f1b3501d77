"""A first plan.yaml, from a request or from a master plan in Markdown."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core.plan import Plan
from orchestrator.edges.masterplan import plan_from_master, starter_plan
from orchestrator.edges.planfile import parse_plan
from orchestrator.errors import PlanError

MASTER = """\
# Distributed Task Plan

## Original Request
> Make the export fast: "now"
> and document it

## Task Decomposition
| Task ID | Description | Dependencies | Input | Expected Output |
|---------|-------------|--------------|-------|-----------------|
| T-01 | Read src/*.py and list slow calls | None | src/ | A list |
| T-02 | Speed up the slowest | T-01 | [T-01 output] | [Output type] |
| T-03 | Document | T-01, T-02 | [Input] | A page |

## Status Table
| Task ID | Agent | Status | Start | End |
|---------|-------|--------|-------|-----|
| T-01 | Agent-01 | Pending | - | - |
"""


def made(text: str) -> Plan:
    return parse_plan(plan_from_master(text, "MASTER.md").encode(), "plan.yaml")


def table(
    *rows: str, header: str = "| Task ID | Description | Dependencies | Input | Expected Output |"
) -> str:
    return "\n".join(["## Task Decomposition", header, "|---|---|---|---|---|", *rows]) + "\n"


def needs(*rows: str) -> list[tuple[str, ...]]:
    return [task.needs for task in made(table(*rows)).tasks]


def complaints(text: str) -> list[str]:
    with pytest.raises(PlanError) as caught:
        plan_from_master(text, "MASTER.md")
    return caught.value.problems


def test_a_master_plan_becomes_a_plan() -> None:
    plan = made(MASTER)
    assert plan.request == 'Make the export fast: "now"\nand document it'
    assert [task.id for task in plan.tasks] == ["T-01", "T-02", "T-03"]
    assert [task.needs for task in plan.tasks] == [(), ("T-01",), ("T-01", "T-02")]
    assert [task.inputs for task in plan.tasks] == [{"input": "src/"}, {}, {}]
    assert [task.expected_output for task in plan.tasks] == ["A list", "", "A page"]
    assert plan.tasks[0].description == "Read src/*.py and list slow calls"


def test_other_columns_and_sections_are_passed_over_or_taken_along() -> None:
    text = "## Success Criteria\n1. [ ] all tests: green\n- documented\n\n" + table(
        "| T-01 | P1 | x | Do it | None |",
        "| T-02 | High | x | Do more | T-01 |",
        header="| task id | Priority | Owner | DESCRIPTION | Depends on |",
    )
    plan = made(text)
    assert plan.success_criteria == ("all tests: green", "documented")
    assert [task.priority for task in plan.tasks] == ["P1", "P1"]
    assert plan.tasks[1].needs == ("T-01",)


def test_a_table_without_a_header_has_the_columns_of_the_form() -> None:
    plan = made("## Task Decomposition\n| T-01 | Do it | None | a | b |\n| T-02 | More | T-01 | - | - |\n")
    assert [(task.description, task.needs) for task in plan.tasks] == [("Do it", ()), ("More", ("T-01",))]


def test_a_table_is_found_without_its_heading() -> None:
    assert len(made(MASTER.replace("## Task Decomposition\n", "")).tasks) == 3


def test_mojibake_is_repaired_and_right_letters_are_kept() -> None:
    broken = "Größe – schnell 🚀".encode().decode("cp1252", errors="replace").replace("\ufffd", "\x90")
    plan = made(table("| T-01 | Größe — 🚀 | â€” |  | |", f"| T-02 | {broken} | - | | |"))
    assert plan.tasks[0].description == "Größe — 🚀"
    assert plan.tasks[0].needs == ()
    assert plan.tasks[1].description == "Größe – schnell 🚀"


def test_escaped_pipes_and_line_breaks_stay_in_their_cell() -> None:
    (task,) = made(table(r"| T-01 | a \| b<br>c | None | x \| y | |")).tasks
    assert task.description == "a | b\nc"
    assert task.title == "a | b c"
    assert task.inputs == {"input": "x | y"}


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("None", ()),
        ("-", ()),
        ("n/a", ()),
        ("", ()),
        ("T-02", ("T-02",)),
        ("t-01,T-02", ("T-01", "T-02")),
        ("T-01 and `T-03`", ("T-01", "T-03")),
        ("T-01 T-02", ("T-01", "T-02")),
        ("T-01 – T-03", ("T-01", "T-02", "T-03")),
        ("T-01..T-02", ("T-01", "T-02")),
        ("All previous", ("T-01", "T-02", "T-03")),
        ("[T-01]", ("T-01",)),
    ],
)
def test_dependencies_are_read_in_many_forms(cell: str, expected: tuple[str, ...]) -> None:
    rows = [f"| T-0{number} | work | None | | |" for number in (1, 2, 3)]
    assert needs(*rows, f"| T-04 | join | {cell} | | |")[3] == expected


def test_an_upstream_output_is_a_dependency_and_other_text_an_input() -> None:
    rows = [
        "| T-01 | a | None | | |",
        "| T-02 | b | None | Output of T-01 | |",
        "| T-03 | c | T-01 | T-01 style guide | |",
    ]
    plan = made(table(*rows))
    assert [(task.needs, task.inputs) for task in plan.tasks[1:]] == [
        (("T-01",), {}),
        (("T-01",), {"input": "T-01 style guide"}),
    ]


def test_plain_numbers_become_ids() -> None:
    assert [task.id for task in made(table("| 1 | a | None | | |", "| **2** | b | 1 | | |")).tasks] == [
        "T-01",
        "T-02",
    ]


def test_problems_of_a_master_plan_have_their_lines() -> None:
    rows = [
        "| T-01 | a | T-9, T-02 | | |",
        "| T-02 | | T-01 | | |",
        "| t-01 | b | | | |",
        "| a/b | c | | | |",
    ]
    assert complaints(table(*rows)) == [
        "MASTER.md:4: T-01 needs 'T-9': there is no such task",
        "MASTER.md:4: these tasks wait for each other: T-01 -> T-02 -> T-01",
        "MASTER.md:5: 'T-02' has no description",
        "MASTER.md:6: 't-01' stands in line 4 already",
        "MASTER.md:7: 'a/b' cannot be the id of a task; "
        "write a letter, then letters, digits, `_`, `.` or `-`",
    ]


def test_what_is_wrong_is_told_without_the_escapes_of_the_table() -> None:
    rows = ["| T-\x1b[31m1 | a | T-9, T-\x1b[31m1 | | |", "| T-\x9b2 | a | T-\x9b2 | | |"]
    table = "\n".join(["| Task ID | Description | Dependencies |", "|---|---|---|", *rows])
    with pytest.raises(PlanError) as told:
        plan_from_master(table, "m.md")
    assert str(told.value).replace("\n", "").isprintable()


@pytest.mark.parametrize(
    "text", ["", "# Nothing", "| a | b |\n|---|---|\n| c | d |", "## Task Decomposition\nT-01"]
)
def test_a_document_without_a_task_table_is_refused(text: str) -> None:
    (found,) = complaints(text)
    assert found.startswith("MASTER.md: no table with the columns Task ID, Description")


NASTY = [
    "plain words",
    '- dash, "quote": and # hash',
    "null",
    "~",
    "off",
    "{request} %TAG !",
    "line\n\n  indented\n",
    "\n leading",
    "trailing \nblank ",
    "tab\tand\r\nreturn",
    "emoji \U0001f680 \x00\x1b[31m\x85\u2028\ufeff",
    "--- \n...\n---",
    "'",
    "a: b",
    "é",
    "",
]


@pytest.mark.parametrize("request_text", NASTY)
def test_a_starter_plan_holds_the_request_as_it_was_and_has_no_tasks_yet(request_text: str) -> None:
    text = starter_plan(request_text)
    assert yaml.load(text, yaml.BaseLoader)["request"] == request_text
    with pytest.raises(PlanError) as caught:
        parse_plan(text.encode(), "plan.yaml")
    assert "there are no tasks yet" in caught.value.problems[-1]
    assert len(caught.value.problems) == 1 + (not request_text)


def test_the_examples_of_a_starter_plan_are_a_plan() -> None:
    examples = starter_plan("r").split("# tasks:")[1].replace("tasks: []", "").replace("\n#", "\n")
    assert len(parse_plan(f"request: r\ntasks:{examples}".encode(), "plan.yaml").tasks) == 3


@given(st.text(st.sampled_from("|-: \n#TA01,\\[]>*`x"), max_size=80))
@settings(max_examples=300, deadline=None)
def test_any_table_becomes_a_plan_or_a_plan_error(text: str) -> None:
    try:
        written = plan_from_master(f"## Task Decomposition\n| T-01 | a | None |\n{text}", "MASTER.md")
    except PlanError:
        return
    assert parse_plan(written.encode(), "plan.yaml").tasks


@pytest.mark.parametrize(
    "text", [starter_plan("x"), plan_from_master(MASTER, "plan.md")], ids=["init", "from"]
)
def test_the_head_of_the_plan_names_the_detached_run_and_the_wait_for_it(text: str) -> None:
    head = text.partition("request:")[0]
    assert [
        word for word in ("validate", "plan", "run --detach", "wait") if f"`orchestrate {word}`" not in head
    ] == []
