"""When the plan is looked at again: a pure function of the state of a run and the time.

Reports are taken together: three ended tasks, or nothing else left to do, or a minute in which nothing could be
launched, whichever comes first. There is never more than one planning call at a time, and running tasks go on.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from orchestrator.core.events import Call
from orchestrator.core.plan import Names
from orchestrator.core.replanning import News, is_planning
from orchestrator.core.state import DEAD, RunState, TaskState

TOGETHER = 3
"""Ended tasks whose reports are taken together: planning once for three costs a third."""

PATIENCE = 60.0
"""Seconds that a report waits for others while workers could do something: as long as a short call takes."""

IN_VAIN = 2
"""Planning calls in a row without an accepted change, after which more would bring less than they cost."""

MOST_FAILED_CALLS = 2
"""Planning calls that may fail for good, each after all its attempts."""

MOST_SYNTHESES_THAT_ADD = 1
"""How often a synthesis may open another round for what it finds missing."""


class Wanted(Struct, frozen=True):
    """A planning call that is due: what for, and the tasks whose reports it takes up."""

    call: Call
    considered: Names = ()


def answered(state: RunState) -> str:
    """The planning call whose answer is there and not yet part of the plan; empty where there is none."""
    name = state.replanning.open_call
    task = state.by_id.get(name)
    return name if task is not None and task.mark == "completed" else ""


def wanted(state: RunState, now: datetime) -> Wanted | None:
    """The planning call that is due at `now`, if there is one."""
    growth = state.replanning
    if not state.replans or growth.open_call or growth.proposed is not None:
        return None
    tasks = state.tasks_proper
    if not tasks:
        return Wanted("analysis") if not planning_is_over(state) else None
    if _replanning_is_due(state, tasks, now):
        return Wanted("replanning", tuple(growth.news))
    if _synthesis_is_due(state, tasks):
        return Wanted("synthesis", to_join(state))
    return None


def to_join(state: RunState) -> Names:
    """The tasks whose reports a synthesis is the last to take up.

    What a bound left unheard stays news: with a wider bound the next run takes it up.
    """
    left = {news.task for news in _left_by_bound(state)}
    return tuple(name for name in state.replanning.news if name not in left)


def synthesis_may_add(state: RunState, made: int) -> bool:
    """Whether a synthesis may open another round, where `made` others came before it."""
    return state.replans and made < MOST_SYNTHESES_THAT_ADD


def planning_is_over(state: RunState) -> str:
    """Why the plan is not looked at again, but for a task that fails; empty while it may be."""
    return bound_reached(state) or state.replanning.finish or _diminishing(state)


def bound_reached(state: RunState) -> str:
    """Which bound keeps even a failed task from being planned anew."""
    growth = state.replanning
    assert state.plan is not None
    if growth.rounds >= state.plan.limits.max_rounds:
        return f"max_rounds of {state.plan.limits.max_rounds} is reached"
    if growth.failed_calls >= MOST_FAILED_CALLS:
        return f"{growth.failed_calls} planning calls have failed"
    return ""


def _diminishing(state: RunState) -> str:
    if state.replanning.in_vain < IN_VAIN:
        return ""
    return f"diminishing returns: {state.replanning.in_vain} rounds in a row changed nothing"


def limit_reached(state: RunState) -> str:
    """Which limit left something undone that was planned or reported; empty where none did."""
    growth = state.replanning
    if growth.deferred:
        name, why = next(iter(growth.deferred.items()))
        more = f" and {len(growth.deferred) - 1} more" if len(growth.deferred) > 1 else ""
        return f"{name}{more}: {why}"
    if left := _left_by_bound(state):
        return f"{bound_reached(state)}; not looked at: {', '.join(news.task for news in left[:5])}"
    return ""


def may_be_rescued(state: RunState) -> bool:
    """Whether a planning call may still replace a task that failed, so that nothing is skipped because of it yet."""
    growth = state.replanning
    if not state.replans or state.halted:
        return False
    if growth.open_call or growth.proposed is not None:
        return True
    return not bound_reached(state) and any(news.mark == "failed" for news in growth.news.values())


def _made_good(state: RunState) -> int:
    """How many planning calls have come to nothing by which the run does not fail.

    A later one has done their work, or the plan is not to be planned any more.
    """
    done, found = set(), 0
    for name, asked in reversed(state.replanning.calls.items()):
        task, plans = state.by_id.get(name), asked.call != "synthesis"
        if task is not None and task.mark == "completed":
            done.add(plans)
        found += task is not None and task.mark in DEAD and (plans in done or not state.replans)
    return found


def to_retry(state: RunState) -> list[str]:
    """The tasks that get fresh attempts where all that failed, or waits for a person, is to have them.

    Of calls that failed only one, the last that plans or else the last that joins: there is never more than one at a
    time, and it does the work of those before it.
    """
    last: dict[bool, str] = {
        asked.call != "synthesis": name for name, asked in state.replanning.calls.items()
    }
    failed = [name for name in last.values() if name in state.by_id and state.by_id[name].mark == "failed"]
    call = last[True] if last.get(True) in failed else next(iter(failed), "")
    return [
        task.task.id
        for task in state.tasks
        if task.mark == "blocked"
        or (task.mark == "failed" and (task.task.id == call or not is_planning(task.task)))
    ]


def all_completed(state: RunState) -> bool:
    """Whether nothing of the plan is left undone."""
    return state.tally["completed"] + _made_good(state) == len(state.tasks)


def to_escalate(state: RunState) -> list[TaskState]:
    """The failed tasks about which a person is to be asked now: planning anew has not helped them, or cannot."""
    if not state.tally["failed"] or state.halted or may_be_rescued(state):
        return []
    return [task for task in state.tasks if task.mark == "failed" and task.task.on_failure == "escalate"]


def _replanning_is_due(state: RunState, tasks: list[TaskState], now: datetime) -> bool:
    news = _unheard(state)
    failed = any(one.mark == "failed" for one in news)
    over = bound_reached(state) if failed else planning_is_over(state)
    if not news or over:
        return False
    running = any(task.running for task in tasks)
    ready = any(task.startable for task in tasks)
    if len(state.replanning.news) >= TOGETHER or not (running or ready):
        return True
    return not ready and (now - news[0].time).total_seconds() >= PATIENCE


def _unheard(state: RunState) -> list[News]:
    """The reports that may change the plan and that no call has considered, the oldest first."""
    return sorted(
        (news for news in state.replanning.news.values() if news.worth_planning), key=lambda news: news.time
    )


def _left_by_bound(state: RunState) -> list[News]:
    """The reports that would be looked at, were it not for a bound; an end of planning that was chosen is none."""
    if not state.replans or not bound_reached(state):
        return []
    over = state.replanning.finish or _diminishing(state)
    return [news for news in _unheard(state) if news.mark == "failed" or not over]


def _synthesis_is_due(state: RunState, tasks: list[TaskState]) -> bool:
    """All has ended that will, and something was completed since results were last joined."""
    if any(task.running or task.startable or task.mark == "blocked" for task in tasks):
        return False
    if state.halted or state.stoppers:
        return False
    done = sum(task.mark == "completed" for task in tasks)
    return done > state.replanning.joined
