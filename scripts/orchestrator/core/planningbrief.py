"""What a planning call is told: what has changed since the last one, and as much of the rest as it needs to judge it.

Everything is made harmless here and cut to size, so that a call costs by what is new, not by all that ever happened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.core import rounds
from orchestrator.core.drafts import MODELS
from orchestrator.core.events import Call
from orchestrator.core.plan import Task
from orchestrator.core.replanning import News
from orchestrator.core.report import Report
from orchestrator.core.state import RunState, TaskState
from orchestrator.core.text import clean, fenced, neutralised_inside, one_line, quoted
from orchestrator.core.workers import PLANNER, WorkerType

MOST_TASKS = 100
"""Open tasks that are listed; a plan that is larger is listed as far as its most important ones."""

MOST_DONE = 30
"""Completed tasks that are listed, the last ones: the others are counted."""

REPORTS_CHARACTERS = 60_000
"""Characters of all reports together, shared evenly."""

RESULTS_SHOWN = 100
"""Results that a synthesis is pointed to."""


def variables(
    state: RunState,
    call: Call,
    types: Mapping[str, WorkerType],
    considered: Sequence[str],
    results: Mapping[str, str],
    question: str = "",
    changes: Sequence[str] = (),
) -> dict[str, object]:
    """What the templates of planning calls may use.

    Args:
        considered: the tasks whose reports are taken up.
        results: the path of the result of each completed task, by id.
        question: what the planner asked a person, whose answer this call is told.
        changes: what it changed with the same answer, and is not in `state` yet.
    """
    growth, plan = state.replanning, state.plan
    assert plan is not None
    news = [growth.news[name] for name in considered if name in growth.news]
    share = REPORTS_CHARACTERS // max(len(news), 1)
    tasks = state.tasks_proper
    open_tasks = [task for task in tasks if task.mark != "completed"]
    done = [task for task in tasks if task.mark == "completed"]
    return {
        "call": call,
        "success_criteria": [_line(one, 500) for one in plan.success_criteria],
        "workers": [
            {"name": name, "description": _line(worker.description, 300)}
            for name, worker in types.items()
            if name != PLANNER
        ],
        "models": sorted({*MODELS, *(t.task.model for t in tasks if t.task.model)}),
        "checks": [_line(command, 300) for command in _commands(state)][:20],
        "limits": _limits(state, len(tasks)),
        "context": quoted(_prose(growth.context)) if growth.context else "",
        "question": quoted(_prose(question)) if question else "",
        "changes": [_line(text, 300) for text in changes][:MOST_TASKS],
        "open": [_task(task) for task in open_tasks[:MOST_TASKS]],
        "open_left_out": max(len(open_tasks) - MOST_TASKS, 0),
        "done": [_task(task) for task in done[-MOST_DONE:]],
        "done_left_out": max(len(done) - MOST_DONE, 0),
        "news": [_news(one, state, share) for one in news],
        "refused": [_line(text, 300) for text in growth.refused][:20],
        "near": [_line(text, 300) for text in growth.near][:20],
        "results": [_result(task, results) for task in done[-RESULTS_SHOWN:]],
        "may_add": rounds.synthesis_may_add(state, len(growth.syntheses)),
    }


def _limits(state: RunState, count: int) -> dict[str, object]:
    assert state.plan is not None
    limits, growth = state.plan.limits, state.replanning
    budget = state.budget_usd or limits.budget_usd
    return {
        "tasks": max(limits.max_tasks - count + len(growth.deferred), 0),
        "growth": limits.max_growth,
        "depth": limits.max_depth,
        "rounds": max(limits.max_rounds - growth.rounds, 0),
        "usd": None if budget is None else round(max(budget - state.cost_usd, 0.0), 2),
    }


def _commands(state: RunState) -> list[str]:
    assert state.plan is not None
    lines = (*state.plan.verify, *(line for task in state.tasks for line in task.task.verify))
    return list(dict.fromkeys(lines))


def _task(task: TaskState) -> dict[str, object]:
    waits = (*task.task.needs, *task.task.after)
    return {
        "id": task.task.id,
        "title": _line(task.task.name, 80),
        "worker": _line(task.task.worker, 64),
        "status": task.status,
        "priority": task.task.priority,
        "waits": ", ".join(waits[:10]) + (", …" if len(waits) > 10 else ""),
        "reason": _line(task.reason, 200) if task.mark in ("failed", "blocked", "skipped") else "",
    }


def _news(news: News, state: RunState, share: int) -> dict[str, object]:
    task = state.by_id.get(news.task) or state.retired.get(news.task)
    name = task.task if task else Task(id=news.task)
    return {
        "id": news.task,
        "title": _line(name.name, 80),
        "worker": _line(name.worker, 64),
        "status": news.mark or "ended",
        "reason": _line(news.reason, 300),
        "ladder": _ladder(news, state),
        "report": fenced(_prose(_told(news.report))[:share]) if news.report else "",
    }


def _ladder(news: News, state: RunState) -> str:
    """What is left to do about a failure: each step is taken once, in this order."""
    if news.mark != "failed":
        return ""
    tried = news.task in state.replanning.reassigned
    return "split it, or ask a person" if tried else "reassign it, or split it, or ask a person"


def _told(report: Report) -> str:
    """A report as lines of text: no key or value of it can be taken for another part of the prompt."""
    lines = [f"status: {report.status}", *_labelled("summary", (report.summary,))]
    for name in ("discoveries", "questions", "recommendations", "findings"):
        lines += _labelled(name, getattr(report, name))
    for proposed in report.new_tasks:
        words = f"{proposed.title}: {proposed.description}" if proposed.description else proposed.title
        lines += _labelled("new task", (f"{words} ({proposed.why})" if proposed.why else words,))
    return "\n".join(lines)


def _labelled(name: str, texts: Sequence[str]) -> list[str]:
    return [f"{name}: {one_line(text, 2000)}" for text in texts if text.strip()]


def _result(task: TaskState, results: Mapping[str, str]) -> dict[str, object]:
    return {**_task(task), "path": one_line(results.get(task.task.id, ""), 4096)}


def _line(text: Any, length: int) -> str:
    return neutralised_inside(one_line(str(text), length))


def _prose(text: str) -> str:
    return neutralised_inside(clean(text)).strip("\n")
