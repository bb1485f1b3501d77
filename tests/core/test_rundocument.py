"""Where a run stands, as data for programs."""

from __future__ import annotations

import json

from story import START, Story

from orchestrator.core.events import RunFinished
from orchestrator.core.plan import Task
from orchestrator.core.rundocument import PIECE, document, run_state


def test_the_tasks_come_in_pieces_of_whole_lines_a_line_a_task() -> None:
    tasks = [Task(id=f"T-{number}", title="two\nlines") for number in range(2 * PIECE + 1)]
    head, *pieces, end = document(Story(*tasks).state, None, START)
    lines = b"\n".join(pieces).split(b"\n")

    assert [len(piece.split(b"\n")) for piece in pieces] == [PIECE, PIECE, 1]
    assert [json.loads(line.removesuffix(b","))["id"] for line in lines] == [task.id for task in tasks]
    assert len(json.loads(b"\n".join((head, *lines, end)))["tasks"]) == len(tasks)


def test_a_document_without_tasks_is_whole() -> None:
    assert json.loads(b"\n".join(document(Story().state, None, START)))["tasks"] == []


def test_a_run_is_running_while_it_has_a_dispatcher_and_interrupted_without_one() -> None:
    story = Story(Task(id="A"))
    assert run_state(story.state, 4242) == "running"
    assert run_state(story.state, None) == "interrupted"
    assert run_state(story.tell(RunFinished, exit=130, reason="interrupted").state, None) == "interrupted"


def test_a_run_that_ended_is_finished_also_where_a_person_is_asked() -> None:
    story = Story(Task(id="A", on_failure="escalate"))
    assert run_state(story.tell(RunFinished, exit=3, reason="waiting for a person").state, None) == "finished"


def test_a_run_that_a_session_has_to_go_on_with_is_waiting_until_it_has_done_so() -> None:
    story = Story(Task(id="A", cli="session"), Task(id="B", cli="session", needs=("A",)))
    story.tell(RunFinished, exit=3, reason="waiting for a session")
    assert run_state(story.state, None) == "waiting"
    story.start("A").tell(RunFinished, exit=3, reason="waiting for a session")
    assert run_state(story.state, None) == "waiting"
    assert json.loads(b"\n".join(document(story.state, None, START)))["run"]["exit"] == 3
    story.end("A").start("B").end("B").tell(RunFinished, exit=0, reason="completed")
    assert run_state(story.state, None) == "finished"


def test_a_run_that_a_limit_stopped_is_waiting_while_a_session_still_works() -> None:
    story = Story(Task(id="A", cli="session"), Task(id="B"))
    story.start("A").tell(RunFinished, exit=4, reason="the budget of $1.00 is spent")
    assert run_state(story.state, None) == "waiting"
    story.end("A").tell(RunFinished, exit=4, reason="the budget of $1.00 is spent")
    assert run_state(story.state, None) == "finished"
