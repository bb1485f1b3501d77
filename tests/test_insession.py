"""Tasks that the session itself works on: the real commands, and the journal that they leave."""

from __future__ import annotations

import json
import os
import re

import pytest
from project import HOLD, Project, shell, until
from sessions_of import hand_in, plan, session

pytestmark = pytest.mark.real


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


def test_a_report_in_the_result_of_a_session_is_told_and_not_quoted_as_json(project: Project) -> None:
    plan(project, session("A"))
    said = {
        "status": "complete", "summary": "read it all", "findings": ["roles are loaded twice " + "x" * 200] * 9,
        "recommendations": ["load roles once", "cache the names"],
    }  # fmt: skip
    text = f"# What is slow\n\nroles.py is.\n\n```json\n{json.dumps(said, indent=2)}\n```\n"

    project.do("start", "A")
    assert project.do("finish", "A", "--result", hand_in(project, text)).status == 0

    output = (project.workspace / "final_output.md").read_text()
    assert project.events("AttemptFinished")[-1]["report"]["recommendations"] == said["recommendations"]
    assert "- A: load roles once\n- A: cache the names\n" in output
    assert "- roles are loaded twice xxx" in output
    assert "Nothing is left to do" not in output
    assert "> roles.py is." in output
    assert '"status"' not in output
    assert "```json" not in output


def test_plan_says_which_tasks_are_for_a_session_and_that_no_worker_is_paid(project: Project) -> None:
    plan(project, session("A"), shell("B", "true"), session("C", needs=["A"]))

    shown = project.do("plan")

    assert (
        "for a session, which pays for its own words: A, C\ncost: none, no task starts a worker\n"
        in shown.out
    )


def test_status_in_json_says_that_a_run_waits_while_a_session_works_on_it(project: Project) -> None:
    plan(project, session("A"))
    project.do("next")
    before = project.document()["run"]["state"]
    project.do("start", "A")
    run = project.document()["run"]
    assert (before, run["state"], run["exit"]) == ("waiting", "waiting", 3)
    project.do("finish", "A", "--result", hand_in(project))
    assert project.document()["run"]["state"] == "finished"


def test_finish_tells_what_is_at_work_from_what_can_be_started(project: Project) -> None:
    plan(project, session("A"), session("B"), session("C"), session("D"))
    for name in ("A", "B", "C"):
        project.do("start", name)

    told = project.do("finish", "A", "--result", hand_in(project)).out.splitlines()
    assert told[1].startswith("at work, to be finished: B, C; as in: ")
    assert told[1].endswith(" finish B --result FILE")
    assert told[2].startswith("more for this session, to be started: D; see: ")
    project.do("start", "D")
    (_, at_work) = project.do("finish", "B", "--result", hand_in(project)).out.splitlines()
    assert at_work.startswith("at work, to be finished: C, D; ")
    project.do("finish", "C", "--result", hand_in(project))
    assert "4 completed" in project.do("finish", "D", "--result", hand_in(project)).out


def test_next_without_a_task_says_that_the_plan_was_changed_and_what_takes_it_in(project: Project) -> None:
    plan(project, shell("A", "exit 1", attempts=1))
    project.do("run")
    assert project.do("next") == (0, "nothing is ready for a session\n", "")
    plan(project, session("A"))

    for words in (("next",), ("next", "--json")):
        assert re.search(
            r"^note: plan.yaml has changed since run \S+ took it in; .* run ", project.do(*words).err
        )

    (project.workspace / "plan.yaml").write_text("tasks: 1")
    assert "is not valid now; what is wrong: " in project.do("next").err
    plan(project, session("A"))
    assert project.do("run").status == 3
    assert ("do A" in project.do("next").out, project.do("next").err) == (True, "")


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

    again = project.do("finish", "A", "--result", "result.md")
    assert (again.status, "handed in for A before" in again.out) == (0, True), again
    assert project.do("finish", "A", "--result", hand_in(project, "something else")).status == 2
    assert project.outcomes("A") == ["success"]
    assert "all is well" in project.result()


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
    again = project.do("run")
    assert (again.status, "at work on A" in again.out) == (3, True), again
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


def test_a_task_of_another_cli_is_not_for_a_session(project: Project) -> None:
    plan(project, session("A"), shell("W", "echo hi", needs=["A"]))
    for words in (("start", "W"), ("finish", "W", "--failed", "no")):
        done = project.do("next") and project.do(*words)
        assert (done.status, "its cli is shell" in done.err) == (2, True), done


def test_a_plan_that_begins_with_workers_is_left_to_run(project: Project) -> None:
    plan(project, session("A"), shell("W", "echo hi"))

    done = project.do("next")

    assert (done.status, "W: not for a session" in done.err, project.events()) == (2, True, [])


def test_a_task_that_writes_what_a_running_one_writes_is_not_started(project: Project) -> None:
    plan(project, session("A", writes=["src/*"]), session("B", writes=["src/b.py"]), session("C"))
    project.do("start", "A")
    before = project.events()

    done = project.do("start", "B")

    assert (done.status, "while A runs, which writes to src/*" in done.err) == (2, True), done
    assert (project.events(), os.listdir(project.workspace / "inbox")) == (before, [])
    assert project.do("start", "C").status == 0
    project.do("finish", "A", "--result", hand_in(project))
    assert project.do("start", "B").status == 0


def test_a_task_that_is_overdue_is_told_of_and_judged_by_nobody(project: Project) -> None:
    plan(project, session("A", timeout="1ms"))
    project.do("start", "A")

    status = project.do("status")

    assert "a session is at work on A (since " in status.out
    assert ("overdue" in status.out, "finish A --result FILE" in status.out) == (True, True), status
    assert [project.do("wait").status, project.do("run").status] == [3, 3]
    assert project.outcomes("A") == []
    assert project.do("finish", "A", "--result", hand_in(project)).status == 0


def test_what_a_session_did_stands_in_the_documents_with_measured_times(project: Project) -> None:
    plan(project, session("A"), session("B"))
    for name in ("A", "B"):
        project.do("start", name)
        assert project.do("finish", name, "--result", hand_in(project)).status == 0

    output = (project.workspace / "final_output.md").read_text()
    drawn = {line[:1]: line.split("|")[1] for line in output.splitlines() if line.startswith(("A |", "B |"))}
    assert len(drawn["A"].rstrip()) <= len(drawn["B"]) - len(drawn["B"].lstrip()) + 1
    assert "times 2, as many as could run side by side" in output
    master = (project.workspace / "master_plan.md").read_text()
    assert master.count("✅ completed") >= 2
