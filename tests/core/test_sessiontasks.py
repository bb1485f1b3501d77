from __future__ import annotations

from datetime import UTC

import pytest
from story import Story

from orchestrator.core import sessiontasks
from orchestrator.core.events import RunFinished
from orchestrator.core.plan import Task


def session(name: str, *needs: str) -> Task:
    return Task(id=name, cli="session", needs=needs, timeout="30m")


def test_what_is_at_work_and_what_can_be_started_are_told_apart() -> None:
    story = Story(session("A"), session("B"), session("C", "A"), Task(id="W")).start("A")
    assert sessiontasks.waiting(story.state) == "waiting for a session (at work on A; to be started: B)"


def test_what_is_at_work_is_told_with_the_time_of_its_start() -> None:
    story = Story(session("A"), session("B")).wait(5).start("A")
    told = sessiontasks.under_way(story.state, UTC)
    assert told == "a session is at work on A (since 2025-03-01 10:00:05); to be started: B"
    assert sessiontasks.under_way(Story(session("A")).state, UTC) == ""


def test_a_run_that_ended_for_want_of_a_session_is_held_up_by_one() -> None:
    story = Story(session("A"))
    assert not sessiontasks.holds_up(story.state)
    assert sessiontasks.holds_up(story.tell(RunFinished, exit=3, reason="waiting for a session").state)
    assert not sessiontasks.holds_up(story.tell(RunFinished, exit=4, reason="deadline").state)


@pytest.mark.parametrize("status", [1, 3, 4, 5])
def test_whatever_stopped_the_dispatcher_a_session_at_work_holds_the_run_up(status: int) -> None:
    story = Story(session("A")).start("A")
    assert sessiontasks.holds_up(story.tell(RunFinished, exit=status, reason="x").state)


def test_a_run_that_a_person_stopped_is_held_up_by_nobody() -> None:
    story = Story(session("A")).start("A").tell(RunFinished, exit=130, reason="interrupted")
    assert not sessiontasks.holds_up(story.state)


def test_a_run_without_such_tasks_waits_for_no_session() -> None:
    story = Story(Task(id="W"), session("A", "W"))
    assert sessiontasks.waiting(story.state) == ""


def test_of_many_tasks_the_first_are_named() -> None:
    story = Story(*[session(f"T-{number}") for number in range(8)])
    assert sessiontasks.waiting(story.state).endswith("T-4 and 3 more)")


def test_a_task_is_overdue_beyond_its_timeout_and_not_before() -> None:
    story = Story(session("A")).start("A").wait(1800)
    task = story.state.by_id["A"]
    assert sessiontasks.how_long(task, story.now) == "a session has had it for 30m 00s"
    told = sessiontasks.how_long(task, story.wait(1).now)
    assert told.startswith("overdue: ")
    assert told.endswith("its timeout is 30m")
