from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.report import LARGEST_REPORT, MOST_ENTRIES, NewTask, Report, parse, split


def fenced(**fields: Any) -> str:
    return f"```json\n{json.dumps(fields, indent=2)}\n```"


def read(text: str) -> Report:
    report, problem = parse(text)
    assert (problem, report is not None) == ("", True)
    assert report is not None
    return report


def test_a_whole_report_is_read() -> None:
    text = fenced(
        status="complete",
        summary="It works.",
        findings=["a", "b"],
        discoveries=["c"],
        recommendations=["d"],
        new_tasks=[{"title": "t", "description": "d", "worker": "general", "why": "w"}],
        questions=["q"],
        artifacts=["src/a.py"],
    )
    assert read(f"The result.\n\n{text}") == Report(
        status="complete",
        summary="It works.",
        findings=("a", "b"),
        discoveries=("c",),
        recommendations=("d",),
        new_tasks=(NewTask("t", "d", "general", "w"),),
        questions=("q",),
        artifacts=("src/a.py",),
    )


DONE = '{"status": "complete"}'


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{DONE}\n```",
        f"```\n{DONE}\n```",
        f"```JSON\r\n{DONE}\r\n```\r\n",
        f"``````json\n{DONE}\n``````",
        f"~~~json\n{DONE}\n~~~",
        f"- so:\n\n    ```json\n    {DONE}\n    ```",
        f"```json report\n\n{DONE}\n```",
        f"```json {DONE}```",
        f"```json\n{DONE}```",
        f"```json\n{DONE}",
        f"````markdown\nAll done.\n```json\n{DONE}\n```\n````",
        f"```json\n{DONE}\n```\nThat is all. Tell me {{more}}.",
        f"```json\n{DONE}\n```\n```python\nprint({{}})\n```",
        f"{fenced(status='partial')}\nSecond thoughts:\n```json\n{DONE}\n```",
        f'```json\n{DONE}\n```\nThe server says:\n```json\n{{"status": "partial", "id": 7}}\n```',
        f"```json\n{DONE}\n```\n```json\n{{broken\n```",
        DONE,
        f"All is done.\n{DONE}\n",
        '{"a": 1}\nAll is done.\n{\n  "status": "complete",\n  "new_tasks": [\n{\n"title": ""}\n  ]\n}',
    ],
)
def test_the_last_block_with_the_form_of_a_report_is_found(text: str) -> None:
    assert read(text) == Report(status="complete")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no fenced JSON block at the end"),
        ("All done.", "no fenced JSON block at the end"),
        (f"Write `{DONE}`.", "no fenced JSON block at the end"),
        (f"```python\n{DONE}\n```", "no fenced JSON block at the end"),
        (f"{DONE}\nand more", "no fenced JSON block at the end"),
        ("```json\n[1]\n```", "no fenced JSON block at the end"),
        ("f() {\n}", "no fenced JSON block at the end"),
        (
            '```json\n{\n"status": "complete",\nsummary: 1}\n```',
            "the block is not JSON: line 3: Expecting property name enclosed in double quotes",
        ),
        ('```json\n{"status": "comp', "the block is not JSON: line 1: Unterminated string starting at"),
        ("```json\n" + '{"a":' * 100_000 + "\n```", "the block is nested too deeply to be read"),
        (fenced(summary="s"), "the block has no status"),
        (fenced(status=None), "the block has no status"),
        (fenced(status=3), 'the block has the status "3", not complete, partial or blocked'),
        (
            fenced(status="complete | partial | blocked", summary="what came of it"),
            'the block has the status "complete | partial | blocked", not complete, partial or blocked',
        ),
        (fenced(status="success"), "the block has nothing of a report but a status"),
        (fenced(status="success", data=[1]), "the block has nothing of a report but a status"),
    ],
)
def test_without_a_report_it_is_said_why(text: str, problem: str) -> None:
    assert parse(text) == (None, problem)


def test_a_number_of_ten_thousand_digits_is_no_report() -> None:
    report, problem = parse(f'```json\n{{"status": "complete", "summary": {"1" * 10_000}}}\n```')
    assert report is None
    assert problem.startswith("the block cannot be read: ")


@pytest.mark.parametrize(
    ("written", "status"),
    [
        ("Complete", "complete"),
        ("completed.", "complete"),
        (" DONE ", "complete"),
        ("✅ success", "complete"),
        ("complete - all tests pass", "complete"),
        ("Complete (all tests pass)", "complete"),
        ("in progress", "partial"),
        ("in_progress", "partial"),
        ("Partially-complete", "partial"),
        ("not complete", "partial"),
        ("blocked: no access", "blocked"),
        ("stuck", "blocked"),
        ("FAILED", "blocked"),
    ],
)
def test_a_status_is_known_in_other_spellings(written: str, status: str) -> None:
    assert read(fenced(status=written, summary="")).status == status


def test_keys_are_known_in_other_spellings_and_others_are_ignored() -> None:
    text = fenced(Status="done", newTasks=["t"], FINDINGS=["f"], confidence=0.9, notes={"a": []})
    assert read(text) == Report("complete", findings=("f",), new_tasks=(NewTask("t"),))


def test_commas_after_a_last_entry_and_line_breaks_in_strings_are_tolerated() -> None:
    text = '```json\n{"status": "done", "findings": ["a,]", "b\n",\n ], "questions": ["\\"x,}",],}\n```'
    assert read(text) == Report("complete", findings=("a,]", "b"), questions=('"x,}',))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("one", ("one",)),
        (None, ()),
        ("", ()),
        ("None", ()),
        (["n/a"], ()),
        ([None, "", "a", {}, [], "-"], ("a",)),
        ([1, 2.5, True], ("1", "2.5", "true")),
        (7, ("7",)),
        (False, ()),
        ([{"file": "a.py", "line": 3, "why": None}], ("file: a.py; line: 3",)),
        ({"title": "x"}, ("title: x",)),
        ([["a", ["b", {"c": ["d", ["e"]]}]]], ("a, b, c: …",)),
        (["  \x1b[31mred\x1b[0m\r\n"], ("red",)),
        (["a\x00b\u202e"], ("a\ufffdb\ufffd",)),
        (["\ud83d\ude00 \ud800"], ("\U0001f600 \ufffd",)),
    ],
)
def test_anything_in_place_of_a_list_of_texts_becomes_texts(written: Any, expected: tuple[str, ...]) -> None:
    assert read(fenced(status="done", findings=written)).findings == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Fix it", NewTask("Fix it")),
        ({"title": "Fix\nit", "priority": "P0"}, NewTask("Fix it")),
        ({"description": "Fix it"}, NewTask("Fix it")),
        ({"task": "Fix it"}, NewTask("task: Fix it")),
        ({"title": "Fix", "worker": ["a", "b"]}, NewTask("Fix", worker="a, b")),
        ("Fix " + "x" * 300, NewTask("Fix " + "x" * 195 + "…", "Fix " + "x" * 300)),
    ],
)
def test_anything_in_place_of_a_new_task_becomes_one(written: Any, expected: NewTask) -> None:
    assert read(fenced(status="done", new_tasks=[written])).new_tasks == (expected,)
    assert read(fenced(status="done", new_tasks=written)).new_tasks == (expected,)


def test_new_tasks_that_say_nothing_are_none() -> None:
    assert read(fenced(status="done", new_tasks=[{}, None, "none", {"title": "", "why": ""}])).new_tasks == ()


def test_what_is_too_long_is_cut_and_says_so() -> None:
    report = read(fenced(status="done", summary="s" * 3000, findings=["f" * 600, "g" * 500, "h"]))
    assert report.summary == "s" * 1999 + "…"
    assert report.findings == ("f" * 499 + "…", "g" * 500, "h")


def test_of_many_entries_the_first_are_kept() -> None:
    report = read(fenced(status="done", findings=[f"f{n}" for n in range(50)], new_tasks=["t"] * 50))
    assert report.findings == tuple(f"f{n}" for n in range(MOST_ENTRIES))
    assert len(report.new_tasks) == MOST_ENTRIES


def test_the_largest_report_keeps_something_of_each_entry() -> None:
    long = "\U0001f600" * 5000
    lists = ("findings", "discoveries", "recommendations", "questions", "artifacts")
    task = {"title": long, "description": f"d{long}", "worker": long, "why": long}
    report = read(
        fenced(status="done", summary=long, new_tasks=[task] * 30, **dict.fromkeys(lists, [long] * 30))
    )
    assert LARGEST_REPORT // 2 < len(msgspec.json.encode(report)) <= LARGEST_REPORT
    assert all(len(getattr(report, name)) == MOST_ENTRIES for name in (*lists, "new_tasks"))
    assert len(report.summary) > 40


@pytest.mark.parametrize(
    "text",
    [
        "`" * 5_000_000,
        "```\n" * 1_250_000,
        "```\n{\n" * 800_000,
        '```json\n{"a": ["' * 300_000,
        '```json\n{"status": "complete", "findings": ["' + '\\"' * 2_000_000,
        "```json" + " " * 5_000_000 + "x",
        '{\n"' * 1_000_000 + "}",
        "{" * 5_000_000 + "}",
        "```json\n{" + ", " * 2_000_000 + "\n```",
        "````json\n" * 100_000 + "{" + "\n````" * 100_000,
        fenced(status="maybe") * 1000,
    ],
    ids=lambda text: text[:12],
)
def test_five_megabytes_of_anything_are_read_at_once(text: str) -> None:
    report, problem = parse(text)
    assert report is None
    assert len(problem) < 200


def test_a_report_of_five_megabytes_is_a_small_one() -> None:
    report = read(fenced(status="done", summary="s" * 2_000_000, findings=[""] * 500_000 + ["late"]))
    assert len(report.summary) == 2000


def test_a_report_before_a_thousand_blocks_is_found() -> None:
    assert read(f"{fenced(status='complete')}\n" + "```\nx\n```\n" * 1000).status == "complete"


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(st.characters(exclude_categories=[])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
FIELDS = st.dictionaries(
    st.sampled_from([*Report.__struct_fields__[1:], "Findings"]),
    JSON,
)
PIECES = st.sampled_from(
    [
        "```",
        "````json",
        "~~~",
        "json",
        "\n",
        "  ",
        '{"status"',
        ': "done"',
        ",",
        "}",
        "{",
        "[",
        "]",
        '"',
        "\\",
    ]
)


@given(st.text() | st.lists(PIECES).map("".join))
def test_no_text_is_too_strange(text: str) -> None:
    report, problem = parse(text)
    assert (report is None) == bool(problem)


@given(FIELDS, st.booleans())
def test_every_report_is_bounded_and_comes_back_from_the_journal(fields: dict[str, Any], plain: bool) -> None:
    report = read(
        f"```json\n{json.dumps({'status': 'complete', **fields}, ensure_ascii=plain)}\n```\nSo much for that."
    )
    data = msgspec.json.encode(report)
    assert len(data) <= LARGEST_REPORT
    assert msgspec.json.decode(data, type=Report) == report


@given(FIELDS)
def test_a_report_of_a_report_is_the_same(fields: dict[str, Any]) -> None:
    report = read(fenced(status="partial", **fields))
    assert read(f"```json\n{msgspec.json.encode(report).decode()}\n```") == report


def test_a_block_that_quotes_a_fence_of_its_own_with_line_breaks_is_whole() -> None:
    summary = "see\n```py\nprint(1)\n```\nand go on"
    report, complaint = parse(
        f'Done.\n```json\n{{"status": "complete", "summary": "{summary}"}}\n```\nBye.\n```\nx\n```'
    )
    assert (report and report.summary, complaint) == (summary, "")


def test_a_broken_block_takes_nothing_from_what_follows_it() -> None:
    text = '```json\n{"status": "complete", "summary": "cut off\n```\nthen "code":\n```\n{"a": 1}\n```'
    assert parse(text)[0] is None


BLOCK = '{"status": "complete", "summary": "all is done", "findings": ["a"]}'


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        (f"The answer.\n\n```json\n{BLOCK}\n```\n", "The answer."),
        (f"The answer.\n\n~~~~json\n{BLOCK}\n~~~~\n\nThat is all.\n", "The answer.\n\nThat is all."),
        (f"The answer.\n\n```json\n{BLOCK}", "The answer."),
        (f"The answer.\n{BLOCK}", "The answer."),
        (f"```json\n{BLOCK}\n```", ""),
        (f"Code:\n\n```\nx = 1\n```\n\n```json\n{BLOCK}\n```", "Code:\n\n```\nx = 1\n```"),
    ],
)
def test_an_answer_is_split_from_the_block_of_its_report(text: str, rest: str) -> None:
    found, known = split(text)
    assert (found, known) == (rest, parse(text)[0])
    assert known is not None


def test_a_report_that_quotes_code_in_a_fence_is_split_off_whole() -> None:
    told = '{"status": "complete", "summary": "use\n```\nx = 1\n```\n"}'
    assert split(f"The answer.\n\n```json\n{told}\n```\n")[0] == "The answer."


@pytest.mark.parametrize("text", ["The answer.\n", '```json\n{"rows": 3}\n```\n', ""])
def test_an_answer_without_a_report_stays_as_it_is(text: str) -> None:
    assert split(text) == (text, None)
