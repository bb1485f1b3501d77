"""How a plan has grown, in figures that add up and in words: what status, master plan and final output tell of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from orchestrator.core import rounds
from orchestrator.core.replanning import MOST_ROUNDS_SHOWN, Round, is_planning
from orchestrator.core.revision import KINDS, Analysis, Draft, Revision
from orchestrator.core.state import RunState, TaskState
from orchestrator.core.text import counted, listed, one_line
from orchestrator.core.workers import PLANNER

TWO_UNKNOWN, FIVE_TASKS, THREE_TYPES = 2, 5, 3
"""From here on a request is complex: less than this one worker holds in mind, and reads in one go."""

UNEVEN = 0.8
"""A worker type with a larger share of the work is pointed out: the other types hardly take part."""

FEWEST_TYPES, FEWEST_TASKS = 2, 5
"""With fewer, shares say nothing."""


COMMANDS = "shell commands"
"""Stands for the tasks that no worker of any type does; no worker type has a space in its name."""


NO_WORKERS = frozenset((PLANNER, COMMANDS))


class Condition(Struct, frozen=True):
    """One thing that makes a request complex, and whether it holds."""

    text: str
    holds: bool


class Scope(Struct, frozen=True):
    """Numbers of tasks, the planning's own left out: `first` + `added` - `taken_out` - `deferred` = `now`."""

    first: int
    added: int
    taken_out: int
    deferred: int
    now: int
    done: int
    planning_calls: int


class Share(Struct, frozen=True):
    """What one worker type, or COMMANDS, did: its tasks, those completed, and the seconds of all its attempts."""

    worker: str
    tasks: int
    completed: int
    seconds: float
    part: float | None
    """Of the seconds of all workers; None for the planning calls and the commands, which are none of them."""


def is_dynamic(state: RunState) -> bool:
    """Whether the plan may grow, or has."""
    growth = state.replanning
    changed = any(entry.changes for entry in growth.history)
    return bool(state.replans or changed or growth.proposed)


def planning_calls(state: RunState) -> list[TaskState]:
    """The program's own calls, in the order in which they were made."""
    return [task for task in state.tasks if is_planning(task.task)]


def taken_out(state: RunState) -> list[TaskState]:
    """The tasks that were part of the plan and are not any more."""
    return [task for task in state.retired.values() if not is_planning(task.task)]


def conditions(analysis: Analysis, types: int) -> tuple[Condition, ...]:
    """What makes a request complex; `types` are the worker types that its tasks are for."""
    unknown = len(analysis.unknown)
    return (
        Condition(f"not only partially defined: {analysis.kind}", analysis.kind != "partially defined"),
        Condition(f"{TWO_UNKNOWN} or more unknown factors: {unknown}", unknown >= TWO_UNKNOWN),
        Condition(f"{FIVE_TASKS} or more tasks expected: {analysis.tasks}", analysis.tasks >= FIVE_TASKS),
        Condition(f"{THREE_TYPES} or more worker types needed: {types}", types >= THREE_TYPES),
    )


def scope(state: RunState) -> Scope:
    """How many tasks there were first, came, went and are."""
    growth, inside, out = state.replanning, state.tasks_proper, len(taken_out(state))
    deferred = sum(task.task.id in growth.deferred for task in inside)
    now = len(inside) - deferred
    whole = now + out + deferred
    first = whole if growth.first is None else min(growth.first, whole)
    return Scope(
        first=first,
        added=whole - first,
        taken_out=out,
        deferred=deferred,
        now=now,
        done=sum(task.mark == "completed" for task in inside),
        planning_calls=len(planning_calls(state)),
    )


def adaptive(state: RunState) -> Counter[str]:
    """The accepted changes after the first plan, by their verb: `added`, `split`, …"""
    growth = state.replanning
    rounds_of_changes = [entry.changes for entry in growth.history if entry.changes]
    planned = state.written is not None and any(not is_planning(task) for task in state.written.tasks)
    if not planned and len(growth.history) < MOST_ROUNDS_SHOWN:
        rounds_of_changes = rounds_of_changes[1:]
    return Counter(change.partition(" ")[0] for changes in rounds_of_changes for change in changes)


def shares(state: RunState) -> list[Share]:
    """The worker types by what they did, the one with most work first, the commands and planning calls last."""
    inside = Counter(_kind(task) for task in state.tasks)
    done = Counter(_kind(task) for task in state.tasks if task.mark == "completed")
    spent: dict[str, float] = {}
    for task in (*state.tasks, *state.retired.values()):
        spent[_kind(task)] = spent.get(_kind(task), 0.0) + task.work
    for name in state.spending:
        # Paid for, though no task is written for it any more.
        spent.setdefault(name, 0.0)
    whole = sum(seconds for name, seconds in spent.items() if name not in NO_WORKERS)
    found = [
        Share(name, inside[name], done[name], seconds, _part(name, seconds, whole))
        for name, seconds in spent.items()
    ]
    return sorted(found, key=lambda share: (share.part is None, -share.seconds, share.worker))


def _kind(task: TaskState) -> str:
    return COMMANDS if task.task.cli == "shell" else task.task.worker


def _part(worker: str, seconds: float, whole: float) -> float | None:
    if worker in NO_WORKERS:
        return None
    return seconds / whole if whole else 0.0


def uneven(state: RunState) -> Share | None:
    """The worker type that did nearly all of the work, where more than one was there to do it."""
    found = [share for share in shares(state) if share.part is not None]
    if len(found) < FEWEST_TYPES or sum(share.tasks for share in found) < FEWEST_TASKS:
        return None
    return next((share for share in found if share.part is not None and share.part > UNEVEN), None)


def over(state: RunState) -> str:
    """Why planning has ended; empty while it goes on, or where there is none."""
    return rounds.planning_is_over(state) if state.replans else ""


def last_synthesis(state: RunState) -> TaskState | None:
    """The last completed synthesis, if there is one."""
    calls = (state.by_id.get(name) for name in reversed(state.replanning.syntheses))
    return next((task for task in calls if task is not None and task.mark == "completed"), None)


def synthesis_that_holds(state: RunState) -> TaskState | None:
    """The last completed synthesis, if nothing has come of any task since it began; else None."""
    last = last_synthesis(state)
    if last is None or last.started is None:
        return None
    others = [*state.tasks_proper, *taken_out(state)]
    changed = any(not task.mark or (task.ended and task.ended > last.started) for task in others)
    return None if changed else last


def limit(state: RunState) -> str:
    """Which limit left something undone; empty where none did, or where the plan does not grow."""
    return rounds.limit_reached(state) if state.replans else ""


def nothing_held(entry: Round) -> bool:
    """Whether an entry says no more than that nothing was asked for."""
    return not entry.changes and entry.refused in ((), (entry.reason,))


def lines(state: RunState) -> Iterator[str]:
    """How the plan has grown, in a few plain lines; none for a plan that does not."""
    if not is_dynamic(state):
        return
    growth, found = state.replanning, scope(state)
    moves = [f"{found.added} added"] if found.added else []
    moves += [f"{found.taken_out} taken out"] if found.taken_out else []
    moves += [f"{found.deferred} deferred"] if found.deferred else []
    how = f" ({', '.join(moves)})" if moves else ""
    yield f"plan: {counted(growth.rounds, 'round')}, {found.first} planned first, {found.now} now{how}"
    if reached := limit(state):
        yield f"limit reached: {one_line(reached, 200)}"
    elif why := over(state):
        yield f"planning ended: {one_line(why, 200)}"
    if given_up := growth.given_up:
        why = next(iter(given_up.values()))
        yield f"told twice and refused twice, so nothing follows from: {listed(list(given_up))} ({one_line(why, 160)})"


def document(state: RunState) -> dict[str, Any] | None:
    """How the plan has grown, as data; None for one that does not grow. Planning calls are no tasks here."""
    if not is_dynamic(state):
        return None
    facts, found = state.replanning, scope(state)
    waiting = facts.proposed
    return {
        "planned_first": found.first,
        "added": found.added,
        "taken_out": {task.task.id: task.reason for task in taken_out(state)},
        "deferred": facts.deferred,
        "given_up": facts.given_up,
        "now": found.now,
        "completed": found.done,
        "rounds": facts.rounds,
        "planning_calls": found.planning_calls,
        "planning_over": over(state) or None,
        "limit": limit(state) or None,
        "proposed": {"by": waiting.by, "reason": waiting.revision.reason} if waiting else None,
    }


def proposal(revision: Revision) -> list[str]:
    """What a revision asks for, a plain line each."""
    found = [f"add {_title(draft)}{_why(draft.reason)}" for draft in revision.add]
    for kind in KINDS[1:]:
        changes = getattr(revision, kind)
        found += [f"{kind} {one.task or 'a person'}{_why(one.question or one.reason)}" for one in changes]
    return [one_line(text, 200) for text in found]


def _title(draft: Draft) -> str:
    return str(draft.fields.get("title") or draft.fields.get("description") or draft.ref)


def _why(reason: str) -> str:
    return f": {reason}" if reason else ""


def origin(state: RunState, name: str) -> str:
    """Where a task comes from: planned first, the round, and the task whose report led to it."""
    known = state.replanning.origin_of(name)
    if not known.depth and not known.of:
        return f"round {known.round}" if known.round > 1 else "planned first"
    of = f"from {known.of}, " if known.of else ""
    return f"{of}round {known.round}, depth {known.depth}"
