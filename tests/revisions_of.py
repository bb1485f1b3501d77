"""Revisions of a story's plan: asked for as a planner or a person would, checked, and taken in as one event."""

from __future__ import annotations

from typing import Any

from story import Story

from orchestrator.core import plandiff
from orchestrator.core.plan import Task
from orchestrator.core.revising import Revised, revised
from orchestrator.core.revision import By, Revision, read
from orchestrator.core.workers import BUNDLED, WorkerType

TYPES = {name: WorkerType(name=name, bundled=True) for name in BUNDLED}


def work(name: str, needs: str = "", after: str = "", **fields: Any) -> Task:
    """A worker's task; `needs` and `after` as words."""
    fields.setdefault("title", f"Do {name}")
    return Task(id=name, needs=tuple(needs.split()), after=tuple(after.split()), **fields)


def run(*tasks: Task, **plan: Any) -> Story:
    """A run whose plan may grow."""
    return Story(*tasks, replan="auto", **plan)


def asked(**tree: Any) -> Revision:
    """The revision in `tree`, of which nothing may be unreadable."""
    revision, problems = read(tree)
    assert problems == []
    return revision


def checked(
    story: Story, revision: Revision, by: By = "planner", considered: tuple[str, ...] = (), **options: Any
) -> Revised:
    return revised(story.state, revision, TYPES, by, considered, **options)


def apply(
    story: Story, revision: Revision, by: By = "planner", considered: tuple[str, ...] = (), **options: Any
) -> Revised:
    found = checked(story, revision, by, considered, **options)
    event = plandiff.as_event(story.state, revision, found, by, TYPES, story.now)
    story.state.apply(event)
    return found


def revise(story: Story, by: By = "planner", considered: tuple[str, ...] = (), **tree: Any) -> Revised:
    """What comes of the revision in `tree`, which the story takes in."""
    return apply(story, asked(**tree), by, considered)


def tasks(story: Story) -> dict[str, Task]:
    return {task.task.id: task.task for task in story.state.tasks}


def statuses(story: Story) -> dict[str, str]:
    return {task.task.id: task.status for task in story.state.tasks}
