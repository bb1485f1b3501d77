"""The facts of a state as plain data, and its counters counted anew."""

from __future__ import annotations

from collections import Counter
from typing import Any

from orchestrator.core.replanning import Replanning
from orchestrator.core.state import ENDED, RunState


def recount(state: RunState) -> dict[str, Any]:
    """What the counters of a state must say, counted anew from its tasks."""
    marks = Counter(one.mark for one in state.tasks if one.mark)
    waits = {
        one.task.id: sum(state.by_id[name].mark != "completed" for name in one.task.needs)
        + sum(state.by_id[name].mark not in ENDED for name in one.task.after)
        for one in state.tasks
    }
    return {
        "tally": {mark: marks.get(mark, 0) for mark in state.tally},
        "ended": sum(one.mark in ENDED for one in state.tasks),
        "running": {one.task.id for one in state.tasks if one.running},
        "unmet": waits,
        "stoppers": {t.task.id for t in state.tasks if t.mark == "failed" and t.task.on_failure == "stop"},
    }


def counted(state: RunState) -> dict[str, Any]:
    """The same from the counters themselves."""
    return {
        "tally": state.tally,
        "ended": state.ended,
        "running": set(state.running),
        "unmet": {one.task.id: one.unmet for one in state.tasks},
        "stoppers": state.stoppers,
    }


def snapshot(state: RunState) -> dict[str, Any]:
    """All facts of a state as plain data; links between tasks become ids."""
    return {name: _plain(value) for name, value in vars(state).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, set):
        return set(value)
    if isinstance(value, Replanning):
        return _plain(dict(vars(value)))
    if hasattr(value, "retry_at"):
        return {name: getattr(value, name) for name in value.__slots__}
    return _facts(value) if hasattr(value, "needed_by") else value


def _facts(one: Any) -> dict[str, Any]:
    facts = {
        name: _plain(getattr(one, name))
        for name in type(one).__slots__
        if name not in ("needed_by", "after_of")
    }
    for name in ("needed_by", "after_of"):
        facts[name] = [other.task.id for other in getattr(one, name)]
    return facts
