from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saying import failed, says, work

from orchestrator.core.evidence import Check, Ending, Evidence
from orchestrator.core.feedback import LONGEST, MOST_CHECKS, feedback
from orchestrator.core.plan import Task
from orchestrator.core.verdict import judge
from orchestrator.edges.templates import Templates

SCHEMA = {"type": "object"}
EXPANDED = re.compile(r"(?:^|[\s\ufeff])@(?=[^\s\u2060])")
"""What the claude program would read a file for."""


def told(one: Task | None = None, **signals: Any) -> str:
    said = signals.pop("said", says())
    return feedback(one or work(), Evidence(Ending(0), said, **signals))


def test_a_failed_check_is_told_with_its_command_its_status_and_what_it_printed() -> None:
    text = told(work(verify=("make lint",)), checks=(Check("make lint", 2, "E501\nline too long\n"),))
    assert text == (
        "A check failed (exit status 2):\n\n```\nmake lint\n```\n\n"
        "The end of what it printed:\n\n```\nE501\nline too long\n```"
    )


def test_checks_that_passed_are_not_told() -> None:
    text = told(checks=(Check("make test", 0, "all well"), Check("make lint", 1)))
    assert "make test" not in text
    assert text.endswith("It printed nothing.")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (None, "had to be stopped at the timeout of 5m"),
        (127, "the command was not found"),
        (-9, "killed by SIG"),
    ],
)
def test_how_a_check_failed_is_told_in_words(status: int | None, words: str) -> None:
    assert told(checks=(Check("make", status),)).startswith(f"A check failed ({words}")


def test_of_a_long_output_the_end_is_told_from_the_beginning_of_a_line() -> None:
    printed = "".join(f"line {number}\n" for number in range(5000)) + "3 failed"
    text = told(checks=(Check("make", 1, printed),))
    assert text.endswith("\nline 4999\n3 failed\n```")
    assert re.search(r"```\n…\nline \d+\n", text)
    assert LONGEST * 3 // 4 < len(text) <= LONGEST


def test_several_checks_share_the_room() -> None:
    checks = tuple(Check(f"check {number}", 1, "é" * 9000 + f"end {number}") for number in range(9))
    text = told(checks=checks)
    assert len(text.encode()) <= LONGEST
    assert all(f"end {number}\n```" in text for number in range(MOST_CHECKS))
    assert text.endswith("3 more checks failed.")


def test_full_lists_leave_room_for_every_check() -> None:
    long = tuple("é" * 240 + str(number) for number in range(9))
    checks = tuple(Check("c" * 9000, 1, "p" * 9000 + f" end {number}") for number in range(MOST_CHECKS))
    one = work(output_schema=SCHEMA)
    text = told(
        one,
        said=says(structured="{}"),
        artifact_problems=long,
        outside=long,
        schema_problem=long[0],
        checks=checks,
    )
    assert len(text.encode()) <= LONGEST
    assert all(f" end {number}\n```" in text for number in range(MOST_CHECKS))


def test_artifacts_are_told() -> None:
    problems = ("artifact a.md is missing", "artifact b/*.md is empty")
    assert told(artifact_problems=problems) == (
        "The files that the task is to leave behind do not prove it:\n\n"
        "- artifact a.md is missing\n- artifact b/*.md is empty"
    )


def test_a_structured_output_that_does_not_match_is_told_with_the_place() -> None:
    one = work(output_schema=SCHEMA)
    assert told(one, said=says(structured="{}"), schema_problem="/a: must be integer") == (
        "The structured output does not match its schema:\n\n- /a: must be integer"
    )
    absent = "The task asks for structured output, and none was given that matches its schema."
    assert told(one) == absent
    gave_up = failed("", subtype="error_max_structured_output_retries")
    assert feedback(one, Evidence(Ending(1), gave_up)) == absent


def test_files_changed_outside_are_to_be_put_back() -> None:
    assert told(outside=("b.txt", "c/d.txt")) == (
        "These files are not yours to change. Put back what you changed in them:\n\n- b.txt\n- c/d.txt"
    )


def test_of_a_long_list_the_rest_is_counted() -> None:
    text = told(outside=tuple(f"folder/file-{number}.txt" for number in range(5000)))
    shown = text.count("- folder")
    assert 20 < shown < 100
    assert text.endswith(f"- and {5000 - shown} more")


def test_everything_is_told_at_once() -> None:
    one = work(output_schema=SCHEMA, verify=("make",), artifacts=("a",), writes=("a",))
    text = told(
        one, checks=(Check("make", 1, "no"),), artifact_problems=("artifact a is missing",), outside=("b",)
    )
    places = [text.index(words) for words in ("artifact a", "structured output", "- b", "A check failed")]
    assert places == sorted(places)


def test_where_there_is_nothing_to_list_the_reason_is_told() -> None:
    said = says(tool_calls=0)
    expected = "declares work, but no tool was used and nothing proves it"
    assert told(work(writes=("src/**",)), said=said) == expected


def test_a_success_has_no_feedback() -> None:
    assert told() == ""


def test_nothing_in_an_output_ends_its_fence_or_is_expanded() -> None:
    printed = "```\n# Heading\n@/etc/passwd and @~/x\n" + "`" * 5000 + "\n/clear\n\x1b[2J"
    text = told(checks=(Check("cat @/etc/hosts", 1, printed),))
    fence = re.findall(r"^`+$", text, re.MULTILINE)[-1]
    assert len(fence) > 7
    assert text.count(f"\n{fence}\n") == 1
    assert not EXPANDED.search(text)
    assert "\x1b" not in text


HOSTILE = st.text(alphabet="`@/ \n\tab~é😀\x1b\ufeff", max_size=40) | st.sampled_from(
    ["`" * 3000, "@a " * 900, "\n" * 2000, "é" * 2000, "😀\n" * 900, "@\n@x\n" * 400, "\ud800" * 2000]
)
EVIDENCE = st.builds(
    Evidence,
    st.just(Ending(0)),
    st.builds(says, structured=st.sampled_from(["", "{}"]), tool_calls=st.integers(0, 1)),
    artifact_problems=st.lists(HOSTILE, max_size=9).map(tuple),
    checks=st.lists(st.builds(Check, HOSTILE, st.sampled_from([None, 0, 1]), HOSTILE), max_size=9).map(tuple),
    schema_problem=HOSTILE,
    outside=st.lists(HOSTILE, max_size=9).map(tuple),
)
TASKS = st.builds(
    work,
    output_schema=st.sampled_from([None, SCHEMA]),
    writes=st.just(("src/**",)),
    verify=st.just(("make",)),
)


@given(EVIDENCE, TASKS)
def test_feedback_is_bounded_and_harmless_and_there_whenever_something_is_to_be_put_right(
    signals: Evidence, one: Task
) -> None:
    text = feedback(one, signals)
    assert len(text.encode("utf-8", "replace")) <= LONGEST
    assert not EXPANDED.search(text)
    assert not text.startswith("/")
    assert "\x1b" not in text
    if judge(one, signals).outcome in ("unverified", "invalid output"):
        assert text


TELLING = {
    "task": "T-01",
    "title": "Profile",
    "verify": ["```\nmake lint\n```"],
    "output_schema": False,
    "feedback": "A check failed.",
}


def test_the_prompt_names_the_task_and_holds_the_feedback_and_the_checks() -> None:
    text = Templates(None).render("feedback_task.md.j2", **TELLING)
    for words in (
        "T-01 (Profile)",
        "\n\nA check failed.\n\n",
        "\n\n```\nmake lint\n```\n",
        "fenced JSON report",
    ):
        assert words in text
    assert "\n\n\n" not in text


def test_the_prompt_of_a_task_with_a_schema_asks_for_no_report() -> None:
    text = Templates(None).render("feedback_task.md.j2", **(TELLING | {"output_schema": True, "verify": []}))
    assert "report" not in text
    assert "structured output again" in text
    assert "\n\n\n" not in text
