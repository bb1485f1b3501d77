"""Tasks that the session itself works on: the real commands, and the journal that they leave."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from project import HOLD, Project, shell, until

pytestmark = pytest.mark.real


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path)
    made.workspace.mkdir()
    yield made
    made.clear()


def session(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "title": name, "description": f"do {name}", "cli": "session", **more}


def plan(project: Project, *tasks: dict[str, Any]) -> None:
    project.plan(*tasks, name=".orchestrator/plan.yaml")


def hand_in(project: Project, text: str | bytes = "all is well") -> str:
    (project.folder / "result.md").write_bytes(text if isinstance(text, bytes) else text.encode())
    return "result.md"


def test_a_plan_for_the_session_alone_goes_from_next_to_the_end(project: Project) -> None:
    plan(project, session("A"), session("B", needs=["A"]))

    shown = project.do("next")
    assert (shown.status, "do A" in shown.out, "do B" in shown.out) == (0, True, False), shown
    assert project.do("start", "A").status == 0
    assert project.do("finish", "A", "--result", hand_in(project)).status == 0
    assert "all is well" in project.do("start", "B").out
    assert project.do("finish", "B", "--result", hand_in(project, "the end")).status == 0

    assert project.statuses() == {"A": "completed", "B": "completed"}
    assert project.document()["run"]["exit"] == 0
    assert "the end" in project.result(2)
    assert "the end" in (project.workspace / "final_output.md").read_text()


def test_next_in_json_names_the_file_and_the_prompt(project: Project) -> None:
    plan(project, session("A"))

    (task,) = json.loads(project.do("next", "--json").out)["tasks"]

    assert Path(task["file"]).exists()
    assert (task["task"], task["status"], task["whole"]) == ("A", "pending", True)
    assert "do A" in task["prompt"]


def test_what_is_wrong_is_said_and_changes_nothing(project: Project) -> None:
    plan(project, session("A"), session("B", needs=["A"]), session("C"))
    project.do("start", "C")
    project.do("next")
    before = project.events()
    hand_in(project)
    (project.folder / "empty").write_text("\n")
    (project.folder / "binary").write_bytes(b"\xff\x00\xfe")
    with (project.folder / "huge").open("wb") as file:
        file.truncate(50 * 1024 * 1024)
    for words, told in {
        ("start", "X"): "no task 'X'",
        ("start", "B"): "waits for A",
        ("start", "C"): "was started already",
        ("finish", "A", "--result", "result.md"): "not started",
        ("finish", "C"): "--result FILE, or --failed REASON",
        ("finish", "C", "--result", "nowhere"): "no such file",
        ("finish", "C", "--result", "empty"): "is empty",
        ("finish", "C", "--result", "binary"): "not a text",
        ("finish", "C", "--result", "huge"): "50 MB",
        ("finish", "C", "--result", "result.md", "--report", "result.md"): "holds no report",
    }.items():
        done = project.do(*words)
        assert (done.status, told in done.err) == (2, True), done
        assert len(done.err.splitlines()) == 1
    assert project.events() == before


def test_a_task_is_finished_only_once(project: Project) -> None:
    plan(project, session("A"))
    project.do("start", "A")
    project.do("finish", "A", "--result", hand_in(project))

    assert project.do("finish", "A", "--result", "result.md").status == 2
    assert project.outcomes("A") == ["success"]


def test_only_one_of_two_starts_at_once_begins_the_task(project: Project) -> None:
    plan(project, session("A"))
    project.do("next")

    both = [project.start("start", "A") for _ in range(2)]

    assert sorted(project.finish(one).status for one in both) == [0, 2]
    assert len(project.events("AttemptStarted")) == 1


def test_a_check_that_fails_is_told_and_the_next_attempt_can_pass(project: Project) -> None:
    plan(project, session("A", verify=["test -e made"]))
    project.do("start", "A")
    done = project.do("finish", "A", "--result", hand_in(project))
    assert (done.status, "test -e made" in done.out, "start A" in done.out) == (1, True, True), done

    project.do("start", "A")
    (project.folder / "made").touch()
    assert project.do("finish", "A", "--result", "result.md").status == 0
    assert project.outcomes("A") == ["unverified", "success"]


def test_an_artifact_that_was_there_before_the_first_attempt_proves_nothing(project: Project) -> None:
    plan(project, session("A", artifacts=["out.txt"]))
    (project.folder / "out.txt").write_text("old")
    project.do("start", "A")

    assert project.do("finish", "A", "--result", hand_in(project)).status == 1
    assert project.outcomes("A") == ["unverified"]


def test_a_result_has_to_match_the_schema(project: Project) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    plan(project, session("A", output_schema=schema))
    project.do("start", "A")
    assert project.do("finish", "A", "--result", hand_in(project, '{"n": "x"}')).status == 1
    project.do("start", "A")
    assert project.do("finish", "A", "--result", hand_in(project, '{"n": 1}')).status == 0
    assert project.outcomes("A") == ["invalid output", "success"]


def test_a_failure_uses_up_attempts_and_skips_what_needs_it(project: Project) -> None:
    plan(project, session("A", attempts=1), session("B", needs=["A"]))
    project.do("start", "A")

    done = project.do("finish", "A", "--failed", "no way")

    assert (done.status, "no way" in done.out) == (1, True), done
    assert project.statuses() == {"A": "failed", "B": "skipped"}


def test_a_run_ends_with_three_when_only_a_session_can_go_on(project: Project) -> None:
    plan(project, shell("W", "echo hi"), session("A", needs=["W"]), shell("Z", "echo bye", needs=["A"]))

    done = project.do("run")
    assert (done.status, "next" in done.out) == (3, True), done
    assert "hi" in project.do("start", "A").out
    assert project.do("run").status == 3
    assert project.do("wait").status == 3
    project.do("finish", "A", "--result", hand_in(project))
    assert project.do("run").status == 0
    assert set(project.statuses().values()) == {"completed"}


def test_a_living_dispatcher_starts_what_waited_for_the_session(project: Project) -> None:
    plan(project, shell("W", HOLD), session("A"), shell("Z", "echo bye", needs=["A"]))
    run = project.start("run")
    until(lambda: project.events("AttemptStarted", "W"), "the worker")

    assert project.do("start", "A").status == 0
    assert project.do("finish", "A", "--result", hand_in(project)).status == 0
    until(lambda: project.events("AttemptFinished", "Z"), "the dependent")
    project.go()

    assert project.finish(run).status == 0


def test_a_started_task_can_be_cancelled_and_begun_anew(project: Project) -> None:
    plan(project, session("A"))
    project.do("start", "A")
    assert project.do("cancel", "A").status == 0
    assert project.statuses() == {"A": "cancelled"}
    project.do("retry", "A")
    assert project.do("start", "A").status == 0
    assert project.do("finish", "A", "--result", hand_in(project)).status == 0


def test_what_was_handed_in_is_judged_after_kill_9(project: Project) -> None:
    plan(project, session("A", verify=[f'echo checking >> "$STANDIN_LEDGER"; {HOLD}']))
    project.do("start", "A")
    finish = project.start("finish", "A", "--result", hand_in(project))
    project.await_note("checking")
    project.kill(finish)
    assert project.statuses() == {"A": "running"}
    project.go()

    assert project.do("run").status == 0
    assert project.outcomes("A") == ["success"]
    assert "all is well" in project.result()


def test_a_started_attempt_is_nobody_s_to_judge_before_it_is_finished(project: Project) -> None:
    plan(project, session("A"))
    project.do("start", "A")

    assert [project.do("run").status, project.do("stop").status] == [3, 0]

    assert project.outcomes("A") == []
    assert project.do("finish", "A", "--result", hand_in(project)).status == 0


def test_a_task_of_another_cli_is_not_for_a_session(project: Project) -> None:
    plan(project, session("A"), shell("W", "echo hi", needs=["A"]))
    for words in (("start", "W"), ("finish", "W", "--failed", "no")):
        done = project.do("next") and project.do(*words)
        assert (done.status, "its cli is shell" in done.err) == (2, True), done


def test_a_plan_that_begins_with_workers_is_left_to_run(project: Project) -> None:
    plan(project, session("A"), shell("W", "echo hi"))

    done = project.do("next")

    assert (done.status, "W: not for a session" in done.err, project.events()) == (2, True, [])
