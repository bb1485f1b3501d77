"""How a plan has grown, as the rows and items of a Markdown document: harmless, and cut to size."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.core import growth
from orchestrator.core.agents import agent_name, result_file
from orchestrator.core.excerpts import cell, item, names
from orchestrator.core.history import why
from orchestrator.core.replanning import Round
from orchestrator.core.state import RunState, TaskState
from orchestrator.core.summary import advice
from orchestrator.core.tables import Row, clock, labelled_of
from orchestrator.core.text import counted, duration, markdown
from orchestrator.core.workers import PLANNER

MOST_ITEMS = 50
"""Items of one list: what is more is counted."""

MOST_CHANGES, MOST_REFUSED = 10, 5
"""Of one round."""

DEAREST = 20
"""Tasks that are shown with their own cost; the others together are one row."""


def variables(state: RunState) -> dict[str, object]:
    """What both documents show of the growth; `dynamic` is false for a plan that does not grow."""
    calls = growth.planning_calls(state)
    return {
        "dynamic": growth.is_dynamic(state),
        "scope": growth.scope(state),
        "analysis": _analysis(state),
        "rounds_made": state.replanning.rounds,
        "rounds": [_round(entry) for entry in state.replanning.history],
        **_items("deferred", [_of_task(state, name, why) for name, why in state.replanning.deferred.items()]),
        **_items("given_up", [_of_task(state, name, why) for name, why in state.replanning.given_up.items()]),
        **_items("taken_out", [_gone(task) for task in growth.taken_out(state)]),
        **_items("questions", [advice(task) for task in state.tasks if task.mark == "blocked"]),
        "proposal": _proposal(state),
        "planning_over": item(growth.over(state)),
        "limit": item(growth.limit(state)),
        **_items("calls", [_call(state, task) for task in calls]),
        "uneven": uneven(state),
    }


def _items(name: str, rows: Sequence[Row | str]) -> dict[str, object]:
    return {name: rows[:MOST_ITEMS], f"{name}_left_out": max(len(rows) - MOST_ITEMS, 0)}


def _analysis(state: RunState) -> Row | None:
    known = state.replanning.analysis
    if known is None:
        return None
    types = {task.task.worker for task in state.tasks_proper if task.task.cli != "shell"}
    found = growth.conditions(known, len(types))
    return {
        "holding": sum(one.holds for one in found),
        "conditions": [{"text": item(one.text), "holds": one.holds} for one in found],
        "known": [item(text) for text in known.known[:MOST_ITEMS]],
        "unknown": [item(text) for text in known.unknown[:MOST_ITEMS]],
        "strategy": item(known.strategy, 1000),
        "tasks": known.tasks,
    }


def _round(entry: Round) -> Row:
    nothing = growth.nothing_held(entry)
    refused = () if nothing else entry.refused
    return {
        "number": entry.number,
        "time": clock(entry.time),
        "by": entry.by,
        "reason": item(entry.reason),
        "changes": [item(text, 200) for text in entry.changes[:MOST_CHANGES]],
        "changes_left_out": max(len(entry.changes) - MOST_CHANGES, 0),
        "refused": [item(text, 200) for text in refused[:MOST_REFUSED]],
        "refused_left_out": max(len(refused) - MOST_REFUSED, 0),
        "tasks": entry.tasks,
    }


def _of_task(state: RunState, name: str, reason: str) -> Row:
    task = state.by_id.get(name)
    return {
        "task": markdown(name),
        "title": markdown(task.task.title, 80) if task else "",
        "reason": item(reason),
    }


def _gone(task: TaskState) -> Row:
    reason = item(task.reason) or "the plan was changed by hand"
    return {"task": markdown(task.task.id), "title": markdown(task.task.title, 80), "reason": reason}


def _proposal(state: RunState) -> Row | None:
    waiting = state.replanning.proposed
    if waiting is None:
        return None
    found = growth.proposal(waiting.revision)
    return {
        "by": waiting.by,
        "reason": item(waiting.revision.reason),
        "parts": [item(text) for text in found[:MOST_ITEMS]],
        "left_out": max(len(found) - MOST_ITEMS, 0),
    }


def _call(state: RunState, task: TaskState) -> Row:
    asked = state.replanning.calls.get(task.task.id)
    fate = state.replanning.fates.get(task.task.id) if task.mark == "completed" else None
    return {
        "task": cell(task.task.id),
        "agent": agent_name(task.agent),
        "call": cell(asked.call if asked else ""),
        "considered": names(asked.considered if asked else ()),
        "status": labelled_of(state, task),
        "start": clock(task.started),
        "end": "–" if task.running else clock(task.ended),
        "attempts": task.number,
        "usd": f"{task.cost_usd:.4f}",
        "outcome": cell(f"answered, {fate.why}" if fate else why(task.outcome, task.reason), 160),
        "file": result_file(task.agent),
    }


def origin(state: RunState, task: TaskState) -> str:
    """The cell of the task table that says where a task comes from."""
    return cell(growth.origin(state, task.task.id), 120)


def share_rows(state: RunState) -> list[Row]:
    """A row for each worker type, the planning calls last, and one for all together."""
    found = growth.shares(state)
    spent = state.spending
    rows: list[Row] = []
    for share in found:
        paid = spent.get(share.worker)
        rows.append(
            {
                "worker": cell(share.worker, 40) + (" (planning calls)" if share.worker == PLANNER else ""),
                "tasks": share.tasks,
                "completed": share.completed,
                "work": duration(share.seconds),
                "share": "–" if share.part is None else f"{share.part:.0%}",
                "attempts": paid.attempts if paid else 0,
                "usd": f"{paid.usd:.4f}" if paid else "0.0000",
                "input_tokens": paid.input_tokens if paid else 0,
                "output_tokens": paid.output_tokens if paid else 0,
            }
        )
    return [*rows, _together(state, found)] if len(rows) > 1 else rows


def _together(state: RunState, found: Sequence[growth.Share]) -> Row:
    spent = state.spending.values()
    return {
        "worker": "all",
        "tasks": sum(share.tasks for share in found),
        "completed": sum(share.completed for share in found),
        "work": duration(sum(share.seconds for share in found)),
        "share": "–",
        "attempts": sum(one.attempts for one in spent),
        "usd": f"{sum(one.usd for one in spent):.4f}",
        "input_tokens": sum(one.input_tokens for one in spent),
        "output_tokens": sum(one.output_tokens for one in spent),
    }


def dearest_rows(state: RunState) -> list[Row]:
    """The dearest tasks, also of those taken out; a row for all others, and one for what a rollback took back."""
    paid = sorted(
        (task for task in (*state.tasks, *state.retired.values()) if task.cost_usd),
        key=lambda task: (-task.cost_usd, task.agent),
    )
    rows = [
        _cost(cell(task.task.id), cell(task.task.name, 80), task.number, task.cost_usd)
        for task in paid[:DEAREST]
    ]
    others = paid[DEAREST:]
    if others:
        attempts, usd = sum(task.number for task in others), sum(task.cost_usd for task in others)
        rows.append(_cost("others", counted(len(others), "task"), attempts, usd))
    rest = state.cost_usd - sum(task.cost_usd for task in paid)
    if rest >= 0.00005:
        rows.append(_cost("–", "attempts that a rollback took back", "–", rest))
    return rows


def _cost(task: str, title: str, attempts: object, usd: float) -> Row:
    return {"task": task, "title": title, "attempts": attempts, "usd": f"{usd:.4f}"}


def uneven(state: RunState) -> str:
    """A sentence that points out a worker type with nearly all of the work; empty where there is none."""
    share = growth.uneven(state)
    if share is None or share.part is None:
        return ""
    return (
        f"{cell(share.worker, 40)} did {share.part:.0%} of the work: the tasks of the other worker types are small, "
        "or some of its own belong to them."
    )


def decisions(state: RunState) -> str:
    """The accepted changes after the first plan, by kind."""
    found = growth.adaptive(state)
    parts = ", ".join(f"{count} {item(verb, 20)}" for verb, count in sorted(found.items()))
    return f"{sum(found.values())} ({parts})" if found else "0"
