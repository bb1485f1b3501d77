"""What a dispatcher does at the word of other terminals: the orders of its inbox, each obeyed exactly once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from orchestrator.attempt import Attempt
from orchestrator.attempts import Attempts
from orchestrator.core.events import TaskAnswered, TaskCancelled, TaskRetried
from orchestrator.core.state import RunState
from orchestrator.edges import inbox
from orchestrator.edges.inbox import Order
from orchestrator.edges.workspace import Workspace
from orchestrator.errors import ImpossibleEvent
from orchestrator.planchecks import PlanChecks
from orchestrator.recording import Recorder
from orchestrator.sessions import Sessions

LOOK_FOR_ORDERS = 0.5
"""Seconds between two looks at the inbox and at silent workers: two wake-ups a second cost next to nothing."""


class Helm(Protocol):
    """What orders may ask of a dispatcher as a whole; `about_plan` says whether the order's file can go."""

    def stop(self, order: Order) -> None: ...
    def about_plan(self, order: Order) -> bool: ...


class Orders:
    """Takes in the orders of one workspace. A file goes once all that was recorded for it is on disk."""

    def __init__(
        self,
        state: RunState,
        workspace: Workspace,
        recorder: Recorder,
        attempts: Attempts,
        sessions: Sessions,
        plan_checks: PlanChecks,
        helm: Helm,
        clock: Callable[[], float],
    ) -> None:
        self._state = state
        self._workspace = workspace
        self._recorder = recorder
        self._attempts = attempts
        self._sessions = sessions
        self._plan_checks = plan_checks
        self._helm = helm
        self._clock = clock
        self._taken: list[Order] = []
        self._look_at = 0.0

    def take(self, now: bool = False) -> None:
        """Obey what waits, if it is time for another look or asked for `now`."""
        moment = self._clock()
        if moment < self._look_at and not now:
            return
        self._look_at = moment + LOOK_FOR_ORDERS
        for order in inbox.orders(self._workspace.inbox):
            if order.name in self._state.orders or self._obey(order):
                self._taken.append(order)
        if not self._recorder.unwritten:
            self.put_away()

    def put_away(self) -> None:
        """Remove the files of the orders that were obeyed: what was recorded for them is on disk."""
        for order in self._taken:
            inbox.taken(self._workspace.inbox, order)
        self._taken.clear()

    def _obey(self, order: Order) -> bool:
        """Do what an order says; whether its file can go once all that was recorded is on disk."""
        try:
            if order.order == "stop":
                self._helm.stop(order)
                return True
            if order.order in inbox.ABOUT_THE_PLAN:
                return self._helm.about_plan(order)
            return self._obey_about_task(order)
        except ImpossibleEvent:
            # The task has moved on since the order was given: there is nothing left to do about it.
            return True

    def _obey_about_task(self, order: Order) -> bool:
        stamp = self._recorder.stamp()
        match order.order:
            case "start":
                self._sessions.start(order)
            case "finish":
                return self._sessions.finish(order)
            case "answer":
                self._recorder.record(
                    TaskAnswered(**stamp, task=order.task, text=order.text, order=order.name)
                )
            case "retry":
                self._recorder.record(
                    TaskRetried(**stamp, task=order.task, order=order.name, allow=order.allow)
                )
                self._plan_checks.stop()
            case _:
                return self._cancel(order)
        return True

    def _cancel(self, order: Order) -> bool:
        if attempt := self._process_of(order.task):
            # Its file stays until the end of the attempt is recorded: a crash must not lose the order.
            attempt.order = order.name
            self._attempts.stop(attempt, "cancelled")
            return False
        if not self._sessions.cancel(order):
            stamp = self._recorder.stamp()
            self._recorder.record(TaskCancelled(**stamp, task=order.task, order=order.name))
        return True

    def _process_of(self, task: str) -> Attempt | None:
        found = (attempt for attempt in self._attempts.running.values() if attempt.task.task.id == task)
        return next(found, None)
