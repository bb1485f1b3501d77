"""What `next` and `start` show a session of its tasks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from project import Project
from sessions_of import hand_in, plan, session

from orchestrator.core.briefing import OPENING

pytestmark = pytest.mark.real


def test_next_in_json_names_the_file_and_the_prompt(project: Project) -> None:
    plan(project, session("A"))

    (task,) = json.loads(project.do("next", "--json").out)["tasks"]

    assert Path(task["file"]).exists()
    assert (task["task"], task["status"], task["whole"]) == ("A", "pending", True)
    assert "do A" in task["prompt"]


def test_next_writes_the_result_of_a_dependency_again_that_was_removed(project: Project) -> None:
    plan(project, session("A"), session("B", needs=["A"]))
    project.do("start", "A")
    project.do("finish", "A", "--result", hand_in(project))
    (project.workspace / "results" / "agent-01-result.md").unlink()

    shown = project.do("next")

    assert (shown.status, "all is well" in shown.out, "all is well" in project.result()) == (0, True, True)


def test_next_shows_all_that_a_check_found_also_where_the_prompt_is_cut(project: Project) -> None:
    check = "for n in $(seq 60); do echo finding number $n of the check; done; exit 3"
    plan(project, session("A", description="long " * 4_000, verify=[check]))
    project.do("start", "A")
    project.do("finish", "A", "--result", hand_in(project))

    shown = project.do("next")

    assert "… cut here" in shown.out
    assert ("exit status 3" in shown.out, "finding number 59 of the check" in shown.out) == (True, True), (
        shown
    )
    (one,) = json.loads(project.do("next", "--json").out)["tasks"]
    assert "finding number 60" in one["feedback"]


def test_a_prompt_holds_the_role_and_the_report_and_what_is_shared_comes_first(project: Project) -> None:
    plan(
        project,
        session("A"),
        session("B", output_schema={"type": "object"}),
        session("C", worker="test-engineer"),
    )

    a, b, c = json.loads(project.do("next", "--json").out)["tasks"]

    for one in (a, b, c):
        assert OPENING not in one["prompt"]
        assert ("# Your role" in one["prompt"], "# Your report" in one["prompt"]) == (True, True)
        assert Path(one["file"]).read_text() == one["prompt"]
    assert a["prompt"][: a["shared"]] == b["prompt"][: b["shared"]] != c["prompt"][: c["shared"]]
    assert "# Your report" in a["prompt"][: a["shared"]]
    assert ("Form of the result" in a["prompt"], "Form of the result" in b["prompt"]) == (False, True)
    assert project.do("start", "A").out.endswith(f"{a['prompt']}\n")


def test_what_all_prompts_share_is_shown_once(project: Project) -> None:
    plan(project, session("A"), session("B"))

    shown = project.do("next").out

    assert (shown.count("# Your role"), shown.count("# Your task"), "as that of A does" in shown) == (
        1,
        2,
        True,
    )
