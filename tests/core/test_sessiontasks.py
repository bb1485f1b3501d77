from __future__ import annotations

from story import Story

from orchestrator.core import sessiontasks
from orchestrator.core.plan import Task


def session(name: str, *needs: str) -> Task:
    return Task(id=name, cli="session", needs=needs, timeout="30m")


def test_what_is_at_work_and_what_can_be_started_are_told_apart() -> None:
    story = Story(session("A"), session("B"), session("C", "A"), Task(id="W")).start("A")
    assert sessiontasks.waiting(story.state) == "waiting for a session (at work on A; to be started: B)"


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
