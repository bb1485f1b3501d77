"""The tables of workflow.md are compared with the code."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from operator import methodcaller
from typing import get_args

from msgspec.structs import replace
from pages import ROOT, rows, section
from story import Story

from orchestrator.core import events
from orchestrator.core.consequences import Outcome, what_follows
from orchestrator.core.plan import WORKER_TYPES, Task
from orchestrator.core.tables import ICONS
from orchestrator.core.taskstate import DEAD
from orchestrator.edges.templates import templates_folder
from orchestrator.errors import ImpossibleEvent

TEXT = (ROOT / "workflow.md").read_text(encoding="utf-8")
LONGEST = 7
"""Events: enough for every change of a status; one more brings no other."""

Move = Callable[[Story], object]


def test_the_statuses_are_those_of_the_program_with_their_icons() -> None:
    here = rows(section(TEXT, "### Statuses"))
    assert [f"{icon} {name}" for name, icon in ICONS.items()] == [row[0] for row in here if len(row) == 2]


def test_the_changes_of_status_are_those_that_can_happen_and_no_others() -> None:
    told = [tuple(row[:2]) for row in rows(section(TEXT, "### Statuses")) if len(row) == 3]
    assert len(set(told)) == len(told)
    assert set(told) == _changes()


def _changes() -> set[tuple[str, str]]:
    """Every change of a status that a chain of two tasks can go through, found by trying all events."""
    found: set[tuple[str, str]] = set()
    seen, queue = set(), deque[tuple[Move, ...]]([()])
    while queue:
        path = queue.popleft()
        for move in _moves():
            story = Story(Task(id="A", attempts=2), Task(id="B", needs=("A",), attempts=1))
            for step in path:
                step(story.wait(1))
            before = _statuses(story)
            try:
                move(story.wait(1))
            except (ImpossibleEvent, AssertionError):
                continue
            after = _statuses(story)
            found |= {(before[name], after[name]) for name in before if before[name] != after[name]}
            key = tuple((t.status, t.used, t.trouble.doubted, bool(t.outcome)) for t in story.state.tasks)
            if key not in seen and len(path) < LONGEST:
                seen.add(key)
                queue.append((*path, move))
    return found


def _statuses(story: Story) -> dict[str, str]:
    return {task.task.id: task.status for task in story.state.tasks}


def _moves() -> Iterator[Move]:
    for name in ("A", "B"):
        yield methodcaller("start", name)
        for outcome in get_args(Outcome):
            yield methodcaller("end", name, outcome)
        yield partial(_skip, name=name)
        yield methodcaller("tell", events.TaskCancelled, task=name)
        yield methodcaller("tell", events.TaskRetried, task=name)
        yield methodcaller("tell", events.TaskAnswered, task=name, text="yes")
        yield partial(_change, name=name)


def _skip(story: Story, name: str) -> None:
    """As the scheduler does: only what needs something that will not be completed."""
    state = story.state
    if not any(need.mark in DEAD for need in state.needs_of(state.by_id[name])):
        raise ImpossibleEvent("nothing that it needs is dead")
    story.skip(name)


def _change(story: Story, name: str) -> None:
    tasks = [task.task for task in story.state.tasks]
    changed = [replace(t, description=f"{story.state.seq}") if t.id == name else t for t in tasks]
    story.tell_plan(*changed)


def test_every_outcome_stands_in_the_table_of_what_follows_as_the_code_has_it() -> None:
    told = {}
    for outcomes, follows in (row for row in rows(section(TEXT, "### Recovery")) if len(row) == 2):
        for outcome in re.sub(r" \(.*\)", "", outcomes).split(", "):
            told[outcome] = follows
    strategies = {"retry", "fallback", "skip", "stop", "escalate"}
    assert {*told} - strategies == {*get_args(Outcome)} - {"success", "cancelled"}
    for outcome, follows in told.items():
        if outcome in strategies:
            continue
        then = what_follows(Task(id="A"), outcome, 1, 0, 0.5)
        assert ("uses one of" in follows) == then.counts, outcome
        assert ("waits for a person" in follows) == (then.fate == "blocked"), outcome
        assert follows.startswith("failed") == (then.fate == "failed"), outcome


def test_the_worker_types_are_those_of_the_program_and_change_files_where_it_says_so() -> None:
    told = {row[0].strip("`"): row[2] for row in rows(section(TEXT, "## 2. Assign"))}
    assert tuple(told) == WORKER_TYPES
    for name, changes in told.items():
        text = (templates_folder() / "workers" / f"{name}.md").read_text(encoding="utf-8")
        tools = text.split("---\n")[1]
        assert ("Edit" in tools) == (changes == "yes"), name


def test_the_kinds_of_dependencies_are_keys_of_a_task() -> None:
    keys = [re.findall(r"`(\w+):", row[2]) for row in rows(section(TEXT, "### What waits for what"))]
    assert [key for found in keys for key in found] == ["needs", "after", "writes"]
