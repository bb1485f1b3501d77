"""A run told event by event, with fixed times: the state and the history that come of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from orchestrator.core import events
from orchestrator.core.history import History
from orchestrator.core.plan import Plan, Task
from orchestrator.core.state import RunState

START = datetime(2025, 3, 1, 10, 0, 0, tzinfo=UTC)


class Story:
    """Each method is one event, `wait` lets time pass between them."""

    def __init__(self, *tasks: Task, request: str = "Find out why the export is slow", **plan: Any) -> None:
        self.state = RunState()
        self.history = History()
        self.now = START
        self.plan = Plan(request=request, tasks=tasks, **plan)
        self.tell(events.RunStarted, run="r-1", project="/project", pid=4242, version="0.1.0")
        self.tell(events.PlanAccepted, plan=self.plan)

    def tell(self, kind: Any, **facts: Any) -> Story:
        event = kind(seq=self.state.seq + 1, time=self.now, **facts)
        self.state.apply(event)
        self.history.note(event)
        return self

    def wait(self, seconds: float) -> Story:
        self.now += timedelta(seconds=seconds)
        return self

    def start(self, task: str) -> Story:
        known = self.state.by_id[task]
        return self.tell(events.AttemptStarted, task=task, attempt=known.number + 1, cli=known.task.cli)

    def end(self, task: str, outcome: str = "success", reason: str = "", **facts: Any) -> Story:
        known = self.state.by_id[task]
        assert known.attempt_at is not None
        facts.setdefault("seconds", (self.now - known.attempt_at).total_seconds())
        facts.setdefault("result", f"hash of {task}" if outcome == "success" else "")
        return self.tell(
            events.AttemptFinished, task=task, attempt=known.number, outcome=outcome, reason=reason, **facts
        )

    def tell_plan(self, *tasks: Task) -> Story:
        return self.tell(events.PlanAccepted, plan=Plan(request=self.plan.request, tasks=tasks))

    def skip(self, task: str, reason: str = "dependency failed: it needs T-02, which failed") -> Story:
        return self.tell(events.TaskSkipped, task=task, reason=reason)
