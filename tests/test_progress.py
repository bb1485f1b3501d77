"""What `status`, `run` and its end say of a plan that grows."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from story import Story

from orchestrator import progress
from orchestrator.core import rundocument
from orchestrator.core.events import (
    Origin,
    PlanRevised,
    RevisionProposed,
    RevisionRejected,
    RunFinished,
    RunResumed,
    TaskBlocked,
    TaskRetried,
)
from orchestrator.core.plan import Task
from orchestrator.core.revision import Change, Revision
from orchestrator.core.workers import PLANNER
from orchestrator.edges.workspace import Workspace

NOW = datetime(2025, 3, 1, 11, tzinfo=UTC)


def grown(**more: Any) -> Story:
    story = Story(Task(id="T-01"), Task(id="T-02"), replan="auto", **more)
    story.start("T-01").wait(10).end("T-01")
    call = Task(id="Plan-01", worker=PLANNER)
    story.tell(PlanRevised, by="program", call="replanning", tasks=(call,), considered=("T-01",))
    story.start("Plan-01").wait(5).end("Plan-01")
    return story.tell(
        PlanRevised, by="planner", source="Plan-01", tasks=(Task(id="T-03"), Task(id="T-04")),
        deferred={"T-04": "max_tasks of 3 is reached"}, changes=("added T-03", "added T-04"),
        origins={"T-03": Origin(1, "T-01", 1)},
    )  # fmt: skip


def document(story: Story) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(b"\n".join(rundocument.document(story.state, None, NOW)))
    return found


def told(story: Story) -> str:
    return "\n".join(progress.status_lines(story.state, None, NOW, ascii_only=True))


def test_status_tells_how_the_plan_has_grown() -> None:
    lines = told(grown())

    assert "4 tasks: 2 pending, 1 completed, 1 skipped, 1 planning call" in lines
    assert "plan: 1 round, 2 planned first, 3 now (2 added, 1 deferred)" in lines
    assert "limit reached: T-04: max_tasks of 3 is reached" in lines
    assert "deferred: T-04; one of them all the same: " in lines
    assert "retry T-04" in lines


def test_the_time_of_a_run_is_that_from_its_first_start() -> None:
    story = Story(Task(id="T-01", attempts=1)).start("T-01").wait(40).end("T-01", "error")
    story.tell(RunFinished, exit=1, reason="a task failed")
    assert "1 failed in 40s" in told(story)
    story.wait(90).tell(RunResumed, pid=2, version="1").tell(TaskRetried, task="T-01")
    story.start("T-01").wait(55).end("T-01").tell(RunFinished, exit=0, reason="all tasks completed")
    assert "1 completed in 3m 05s, the last part 55s" in told(story)


def test_a_revision_that_waits_is_told_with_the_commands() -> None:
    story = grown()
    asked = Revision(reason="T-02 is\nnot needed", cancel=(Change(task="T-02"),))
    lines = told(story.tell(RevisionProposed, by="planner", revision=asked))

    assert "a revision by the planner waits: T-02 is not needed" in lines
    assert "approve" in lines
    assert "reject" in lines


def test_a_static_plan_says_nothing_of_rounds() -> None:
    story = Story(Task(id="T-01"))

    assert "round" not in told(story)
    assert document(story)["run"]["growth"] is None


def test_the_document_has_the_growth_and_the_origin_of_each_task() -> None:
    found = document(grown())
    tasks = {task["id"]: task for task in found["tasks"]}

    assert found["run"]["growth"] == {
        "planned_first": 2,
        "added": 2,
        "taken_out": {},
        "deferred": {"T-04": "max_tasks of 3 is reached"},
        "given_up": {},
        "now": 3,
        "completed": 1,
        "rounds": 1,
        "planning_calls": 1,
        "planning_over": None,
        "limit": "T-04: max_tasks of 3 is reached",
        "proposed": None,
    }
    assert (tasks["T-03"]["depth"], tasks["T-03"]["of"], tasks["T-03"]["planning"]) == (1, "T-01", False)
    assert (tasks["Plan-01"]["depth"], tasks["Plan-01"]["of"], tasks["Plan-01"]["planning"]) == (
        0,
        None,
        True,
    )


def test_the_end_of_a_run_stays_short_whatever_went_wrong(tmp_path: Path) -> None:
    story = Story(*[Task(id=f"T-{i}", attempts=1) for i in range(40)], replan="ask")
    for i in range(40):
        story.start(f"T-{i}").wait(1).end(f"T-{i}", "error", "it broke")
    later = tuple(Task(id=f"N-{i}") for i in range(40))
    story.tell(
        PlanRevised, by="person", tasks=later, deferred={task.id: "no room" for task in later}, changes=("x",)
    )
    story.tell(RevisionProposed, by="planner", revision=Revision(reason="more"))
    story.tell(RunFinished, exit=4, reason="max_tasks is reached")
    lines = progress.ending(story.state, Workspace(tmp_path / ".orchestrator"))

    assert len(lines) <= progress.LONGEST_END
    assert lines[-1].startswith("results: ")
    assert any(line.startswith("deferred: N-0, N-1, N-2, N-3, N-4 and 35 more") for line in lines)
    assert any("approve" in line for line in lines)


def line(story: Story, kind: Any, **facts: Any) -> str:
    return progress.line_of(kind(seq=story.state.seq + 1, time=NOW, **facts), story.state)


def test_an_accepted_revision_is_a_line_for_each_of_its_first_changes() -> None:
    changes = tuple(f"added T-{i}\x1b[31m" for i in range(7))
    refused = ("add X: no such type", "cancel Y: it runs")
    lines = line(
        grown(), PlanRevised, by="planner", reason="much was found", changes=changes, refused=refused
    )

    assert lines.split("\n") == [
        "plan revised by the planner, 7 changes: much was found",
        *(f"    added T-{i}" for i in range(5)),
        "    … and 2 more",
        "    refused: add X: no such type (and 1 more)",
    ]


def test_a_planning_call_and_a_refusal_are_one_line_each() -> None:
    asked = line(grown(), PlanRevised, by="program", call="replanning", considered=("T-01",))
    facts: dict[str, Any] = {"by": "planner", "refused": ("add X",), "again": ("T-01",)}
    refused = line(grown(), RevisionRejected, reason="nothing\nof it holds", **facts)
    silent = line(grown(), RevisionRejected, by="planner", reason="all is well")
    unwanted = line(grown(), RevisionRejected, by="person", reason="not that")

    assert asked == "replanning asked for over the reports of T-01"
    assert refused == "revision refused: nothing of it holds; told once more: T-01"
    assert silent == "nothing is changed: all is well"
    assert unwanted == "revision rejected by a person: not that"


def test_a_session_task_that_failed_its_check_waits_for_a_session_and_for_no_clock() -> None:
    story = Story(Task(id="A", cli="session", verify=("false",)))
    story.start("A").wait(10).end("A", "unverified", "verify `false`: exit status 1")
    shown = "\n".join(progress.status_lines(story.state, 4242, story.now, ascii_only=True))
    assert "another attempt when a session starts it: `orchestrate next` shows what was wrong" in shown
    assert ("holding" in shown, "waiting for a session (to be started: A)" in shown) == (False, True)


def test_a_task_that_a_session_has_had_too_long_is_told_with_the_lines_that_end_it() -> None:
    shown = told(Story(Task(id="A", cli="session", timeout="30m")).start("A"))
    assert "overdue: a session has had it for 1h 00m, its timeout is 30m" in shown
    assert ("finish A --result FILE" in shown, "cancel A" in shown) == (True, True)


def test_dependents_are_called_skipped_only_where_there_are_some_that_are() -> None:
    story = Story(Task(id="A"), Task(id="B"), Task(id="C", needs=("B",)))
    story.start("A").end("A", "ceiling").start("B").end("B", "ceiling").skip("C")

    said = told(story).split("\n")

    assert [line for line in said if "fresh attempts" in line] == [
        "           `orchestrate retry A` gives it fresh attempts",
        "           its dependents are skipped; `orchestrate retry B` gives it fresh attempts",
    ]


def test_a_run_that_a_session_works_on_is_not_called_finished() -> None:
    story = Story(Task(id="A", cli="session"), Task(id="B", cli="session"))
    story.start("A").tell(RunFinished, exit=3, reason="waiting for a session (at work on A)")

    head, counts, sessions, *rows = told(story.wait(60)).split("\n")

    assert head == "run r-1: waiting for a session (exit 3)"
    assert counts == "2 tasks: 1 pending, 1 running"
    assert sessions.startswith("a session is at work on A (since 2025-03-01 ")
    assert "to be started: B; its tasks: " in sessions
    assert "finish A --result FILE" in rows[1]


def test_what_stopped_a_run_is_told_also_while_a_session_still_works_on_it() -> None:
    story = Story(Task(id="A", cli="session"), Task(id="B"))
    story.start("A").tell(RunFinished, exit=4, reason="the budget of $1.00 is spent")

    assert told(story).split("\n")[0] == (
        "run r-1: waiting for a session (the budget of $1.00 is spent, exit 4)"
    )


def test_whoever_reads_how_to_go_on_is_told_the_line_that_outlives_a_shell(tmp_path: Path) -> None:
    story = Story(Task(id="A", attempts=1), Task(id="B", attempts=1, on_failure="escalate"))
    story.start("A").end("A", "error", "it broke").start("B").end("B", "error", "it broke")
    story.tell(TaskBlocked, task="B", question="why?").tell(RunFinished, exit=4, reason="deadline")
    lines = progress.ending(story.state, Workspace(tmp_path / ".orchestrator"))

    hints = [line for line in lines if "answer:" in line or "again:" in line or "stopped:" in line]
    assert len(hints) == 3
    assert all(line.endswith(" run --detach (or: run)") for line in hints)
    (tmp_path / ".orchestrator").mkdir()
    (tmp_path / ".orchestrator" / "plan.yaml").touch()
    assert progress.nothing_run(Workspace(tmp_path / ".orchestrator")).endswith(" run --detach (or: run)")
