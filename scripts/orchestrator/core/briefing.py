"""What a worker is told about its task, and nothing about any other task but the results it needs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from msgspec import Struct, json

from orchestrator.core.agents import agent_name
from orchestrator.core.excerpts import cell, cut, item, quote
from orchestrator.core.plan import Plan, Task
from orchestrator.core.state import TaskState
from orchestrator.core.text import clean, fenced, neutralised_inside, one_line, quoted
from orchestrator.core.workers import WorkerType

OPENING = (
    "You are one of several workers that carry out the tasks of one plan; do your own task, and only that."
)
"""The beginning of every prompt: workers share a cached beginning so, and none begins with a `/command`."""

SESSION_OPENING = (
    "This is one task of a plan, for the session that started it or for a subagent of its own; do this task, and only"
    " this."
)
"""The same for what a session works on: nobody starts a worker for it."""

INLINE_BYTES = 4096
"""The largest result that stands in a prompt whole: a page; larger ones are read from their file."""


class Need(Struct, frozen=True):
    """One result that a task needs. `path` is as the worker sees it; `whole`: `summary` is the whole text."""

    task: str
    title: str
    path: str
    summary: str
    whole: bool

    @property
    def there(self) -> bool:
        """Whether there is a result already."""
        return self.whole or bool(self.summary)


class Addition(Struct, frozen=True):
    """What came after the plan: decisions that hold for all, what checks found wrong, what a person answered, rules
    that a person added."""

    context: str = ""
    feedback: str = ""
    answer: str = ""
    allowed: tuple[str, ...] = ()


NOTHING_ADDED = Addition()


def variables(
    plan: Plan, state: TaskState, needs: Sequence[Need], addition: Addition = NOTHING_ADDED
) -> dict[str, object]:
    """What the templates of prompts may use."""
    task = state.task
    return {
        "request": _request(plan.request),
        "task": task.id,
        "agent": agent_name(state.agent),
        "title": _line(task.name),
        "worker": _line(task.worker),
        "cli": task.cli,
        "description": _prose(task.description) or "What the title says.",
        "inputs": [{"name": _line(name), "value": _value(text)} for name, text in task.inputs.items()],
        "needs": [_need(need) for need in needs],
        "steps": [_entry(step) for step in task.steps],
        "expected_output": _prose(task.expected_output),
        "constraints": [_entry(constraint) for constraint in task.constraints],
        "artifacts": [_line(pattern, 1000) for pattern in task.artifacts],
        "writes": [_line(pattern, 1000) for pattern in task.writes],
        "verify": [_fence(command) for command in task.verify],
        "output_schema": task.output_schema is not None,
        "schema": _schema(task),
        "attempt": state.number,
        "context": quoted(_prose(addition.context)) if addition.context else "",
        # Made harmless where it was written.
        "feedback": addition.feedback,
        "answer": quoted(_prose(addition.answer)) if addition.answer else "",
        "allowed": [_line(rule) for rule in addition.allowed],
    }


def _schema(task: Task) -> str:
    """The schema of a result that a session hands in; a worker is given it by its program."""
    if task.cli != "session" or task.output_schema is None:
        return ""
    return fenced(_prose(json.format(json.encode(task.output_schema), indent=2).decode()), "json")


def role_variables(worker: WorkerType, cli: str) -> dict[str, object]:
    """What the template of a worker type's system prompt may use."""
    return {"name": _line(worker.name), "role": clean(worker.prompt).strip("\n"), "cli": cli}


def card_variables(state: TaskState, needs: Sequence[Need]) -> dict[str, object]:
    """What the template of a command's task file may use; it is read by people, as Markdown."""
    task = state.task
    return {
        "task": cell(task.id),
        "agent": agent_name(state.agent),
        "title": item(task.name),
        "worker": item(task.worker),
        "description": quote(task.description or "What the title says."),
        "run": fenced(clean(task.run), "sh"),
        "inputs": [{"name": item(name), "value": fenced(clean(text))} for name, text in task.inputs.items()],
        "needs": [
            {"task": cell(need.task), "title": cell(need.title), "path": item(need.path), "there": need.there}
            for need in needs
        ],
        "expected_output": quote(task.expected_output) if task.expected_output else "",
        "artifacts": [item(pattern) for pattern in task.artifacts],
        "verify": [fenced(clean(command), "sh") for command in task.verify],
    }


@lru_cache(maxsize=4)
def _request(text: str) -> str:
    return quoted(_prose(text))


def _prose(text: str) -> str:
    # Never the beginning of a prompt, which OPENING is.
    return neutralised_inside(clean(text)).strip("\n")


def _line(text: str, length: int = 200) -> str:
    return neutralised_inside(one_line(text, length))


def _entry(text: str) -> str:
    """A list item, its further lines indented."""
    return _prose(text).replace("\n", "\n   ")


def _fence(text: str) -> str:
    return fenced(_prose(text))


def _value(text: str) -> str:
    """One line as it is, several as a fenced block on lines of their own."""
    return f"\n\n{_fence(text)}" if "\n" in text.strip("\n") else f" {_prose(text)}"


def _need(need: Need) -> dict[str, object]:
    text, all_of_it = cut_to_bytes(clean(need.summary), INLINE_BYTES)
    return {
        "task": need.task,
        "title": _line(need.title, 80),
        "path": one_line(need.path, 4096),
        "text": _fence(text) if text.strip() else "",
        "whole": need.whole and all_of_it,
        "there": need.there,
    }


def cut_to_bytes(text: str, size: int) -> tuple[str, bool]:
    """The beginning of `text`, at most `size` bytes of UTF-8, and whether it is all of it."""
    data = text.encode("utf-8", "replace")
    if len(data) <= size:
        return text, True
    return cut(data[:size].decode("utf-8", "ignore"), size)[0], False
