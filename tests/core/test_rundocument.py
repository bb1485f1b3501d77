"""Where a run stands, as data for programs."""

from __future__ import annotations

import json

from story import START, Story

from orchestrator.core.plan import Task
from orchestrator.core.rundocument import PIECE, document


def test_the_tasks_come_in_pieces_of_whole_lines_a_line_a_task() -> None:
    tasks = [Task(id=f"T-{number}", title="two\nlines") for number in range(2 * PIECE + 1)]
    head, *pieces, end = document(Story(*tasks).state, None, START)
    lines = b"\n".join(pieces).split(b"\n")

    assert [len(piece.split(b"\n")) for piece in pieces] == [PIECE, PIECE, 1]
    assert [json.loads(line.removesuffix(b","))["id"] for line in lines] == [task.id for task in tasks]
    assert len(json.loads(b"\n".join((head, *lines, end)))["tasks"]) == len(tasks)


def test_a_document_without_tasks_is_whole() -> None:
    assert json.loads(b"\n".join(document(Story().state, None, START)))["tasks"] == []
