"""Where a run stands: the fold of its events. `RunState.apply` is the only way anything here changes.

A task's status is derived from a few facts, never stored. Work per event is proportional to the task's own
edges; only a changed plan and a retry, which people make by hand, look at every task.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from sys import intern
from typing import Any

from orchestrator.core import verdict
from orchestrator.core.events import (
    AttemptFinished,
    AttemptStarted,
    Event,
    FinishOutlined,
    PlanAccepted,
    PlanOutlined,
    PlanVerified,
    RunFinished,
    RunResumed,
    RunStarted,
    StartOutlined,
    TaskBlocked,
    TaskCancelled,
    TaskRetried,
    TaskSkipped,
)
from orchestrator.core.plan import Plan, Task, same_work
from orchestrator.core.taskstate import DEAD, ENDED, STATUSES, TaskState
from orchestrator.errors import ImpossibleEvent

__all__ = ["DEAD", "ENDED", "STATUSES", "RunState", "TaskState", "changes_work", "fold"]


class RunState:
    """The state of a run, from its first event to its last."""

    def __init__(self) -> None:
        self.run = ""
        self.project = ""
        self.pid = 0
        self.parallelism: int | None = None
        self.plan: Plan | None = None
        self.tasks: list[TaskState] = []
        self.by_id: dict[str, TaskState] = {}
        self.retired: dict[str, TaskState] = {}
        self.seats = 0
        self.running: dict[str, TaskState] = {}
        self.tally: dict[str, int] = dict.fromkeys((*ENDED, "blocked"), 0)
        self.started: datetime | None = None
        self.resumed: datetime | None = None
        self.finished: RunFinished | None = None
        self.verified: PlanVerified | None = None
        self.cost_usd = 0.0
        self.halted = ""
        self.stoppers: set[str] = set()
        self.orders: set[str] = set()
        self.seq = 0
        self.opened: list[TaskState] = []
        self.doomed: list[TaskState] = []

    def apply(self, event: Event) -> None:
        """Take one event in.

        Raises:
            ImpossibleEvent: the event cannot follow; the state is as it was before.
        """
        _APPLY[event.__class__](self, event)
        self.seq = event.seq

    def counts(self) -> dict[str, int]:
        """How many tasks have each status, in the order of STATUSES."""
        counts = dict.fromkeys(STATUSES, 0)
        for task in self.tasks:
            counts[task.status] += 1
        return counts

    @property
    def ended(self) -> int:
        """How many tasks have ended, however they ended."""
        return sum(self.tally[mark] for mark in ENDED)

    def agent_of(self, name: str) -> int | None:
        """The number of a task's agent, also of a task that the plan no longer holds; None: never heard of it."""
        task = self.by_id.get(name) or self.retired.get(name)
        return task.agent if task else None

    def needs_of(self, task: TaskState) -> Iterator[TaskState]:
        """The tasks whose results are inputs of `task`."""
        return (self.by_id[name] for name in task.task.needs)

    def dependents_of(self, task: TaskState) -> list[TaskState]:
        """All that need `task`, directly or through others."""
        seen: dict[int, TaskState] = {}
        queue = list(task.needed_by)
        while queue:
            dependent = queue.pop()
            if dependent.index not in seen:
                seen[dependent.index] = dependent
                queue.extend(dependent.needed_by)
        return list(seen.values())

    def _begin(self, event: RunStarted) -> None:
        if self.run:
            raise ImpossibleEvent(f"run {event.run} starts in the journal of run {self.run}")
        self.run, self.project, self.pid = event.run, event.project, event.pid
        self.started = self.resumed = event.time
        self.parallelism = event.parallelism

    def _resume(self, event: RunResumed) -> None:
        if not self.run:
            raise ImpossibleEvent("a run goes on that has not started")
        self.pid, self.resumed = event.pid, event.time
        self.parallelism = event.parallelism
        self.finished = None
        self.halted = ""
        if self.verified and not self.verified.passed:
            self.verified = None

    def _accept(self, event: PlanAccepted) -> None:
        known = {**self.retired, **self.by_id}
        asked_anew = self.plan is not None and self.plan.request != event.plan.request
        _refuse_unknown_tasks(event.plan)
        self._refuse_to_change_running(event.plan, asked_anew)
        self.plan = event.plan
        self.tasks = [self._carry(known, task, i, asked_anew) for i, task in enumerate(event.plan.tasks)]
        self.by_id = {task.task.id: task for task in self.tasks}
        self.retired = {name: task for name, task in known.items() if name not in self.by_id}
        self.finished = self.verified = None
        for task in self.retired.values():
            if asked_anew and task.task.cli != "shell":
                task.forget()
        self._link()
        if known:
            self._reconsider_all(self._in_order(self.tasks))
        else:
            self._open_first()

    def _link(self) -> None:
        needed: dict[str, list[TaskState]] = {}
        after: dict[str, list[TaskState]] = {}
        for task in self.tasks:
            for name in task.task.needs:
                needed.setdefault(name, []).append(task)
            for name in task.task.after:
                after.setdefault(name, []).append(task)
        for name, dependents in needed.items():
            self.by_id[name].needed_by = dependents
        for name, dependents in after.items():
            self.by_id[name].after_of = dependents

    def _open_first(self) -> None:
        for task in self.tasks:
            task.unmet = len(task.task.needs) + len(task.task.after)
            if not task.unmet:
                self.opened.append(task)

    def _in_order(self, tasks: Sequence[TaskState]) -> list[TaskState]:
        """`tasks`, each after those of them that it waits for."""
        inside = {task.task.id for task in tasks}
        left = {t.index: sum(name in inside for name in (*t.task.needs, *t.task.after)) for t in tasks}
        queue = [task for task in tasks if not left[task.index]]
        for task in queue:
            for dependent in (*task.needed_by, *task.after_of):
                if dependent.task.id in inside:
                    left[dependent.index] -= 1
                    if not left[dependent.index]:
                        queue.append(dependent)
        return queue

    def _refuse_to_change_running(self, plan: Plan, asked_anew: bool) -> None:
        if not self.running:
            return
        coming = {task.id: task for task in plan.tasks}
        for name, task in self.running.items():
            if name not in coming or changes_work(task.task, coming[name], asked_anew):
                raise ImpossibleEvent(f"the plan changes {name}, which is running")

    def _carry(self, known: dict[str, TaskState], task: Task, index: int, asked_anew: bool) -> TaskState:
        state = known.get(task.id)
        if state is None:
            self.seats += 1
            return TaskState(task, index, self.seats)
        if changes_work(state.task, task, asked_anew):
            state.forget()
        state.task, state.index = task, index
        state.needed_by = state.after_of = ()
        return state

    def _reconsider_all(self, tasks: Sequence[TaskState]) -> None:
        self.tally = dict.fromkeys(self.tally, 0)
        self.stoppers = set()
        self.opened, self.doomed = [], []
        for task in tasks:
            self._reconsider(task)

    def _reconsider_after(self, first: TaskState) -> None:
        """Look again at `first`, which was renewed, and at all that waits for it."""
        seen = {first.index: first}
        queue = [first]
        while queue:
            task = queue.pop()
            for dependent in (*task.needed_by, *task.after_of):
                if dependent.index not in seen:
                    seen[dependent.index] = dependent
                    queue.append(dependent)
        for task in self._in_order(list(seen.values())):
            self._uncount(task)
            self._reconsider(task)

    def _reconsider(self, task: TaskState) -> None:
        needs = [self.by_id[name] for name in task.task.needs]
        task.unmet = sum(need.mark != "completed" for need in needs)
        stale = bool(task.unmet) or task.basis != self._basis(task)
        task.unmet += sum(self.by_id[name].mark not in ENDED for name in task.task.after)
        if task.running:
            task.doubted = stale
            return
        dead = any(need.mark in DEAD for need in needs)
        if (task.mark in _FROM_INPUTS and stale) or (task.mark == "skipped" and not dead):
            task.set_aside()
        if task.mark:
            self._count(task)
        elif dead:
            self.doomed.append(task)
        elif not task.unmet and not self._take_up(task):
            self.opened.append(task)

    def _basis(self, task: TaskState) -> tuple[str, ...]:
        return tuple([self.by_id[name].result for name in task.task.needs])

    def _take_up(self, task: TaskState) -> bool:
        kept = task.kept
        if kept is None or kept.basis != self._basis(task):
            return False
        task.take_up(kept)
        self._count(task)
        return True

    def _count(self, task: TaskState) -> None:
        assert task.mark
        self.tally[task.mark] += 1
        if task.mark == "failed" and task.task.on_failure == "stop":
            self.stoppers.add(task.task.id)

    def _uncount(self, task: TaskState) -> None:
        if task.mark:
            self.tally[task.mark] -= 1
        self.stoppers.discard(task.task.id)

    def _end(self, task: TaskState, mark: str) -> None:
        """Give `task` its fate, and let those that waited for it know."""
        if task.mark:
            self._uncount(task)
        task.mark = mark
        self._count(task)
        if task.needed_by or task.after_of:
            self._spread(task)

    def _spread(self, task: TaskState) -> None:
        queue = [task]
        while queue:
            done = queue.pop()
            if done.mark == "completed":
                queue.extend(self._release(done.needed_by))
            elif done.mark in DEAD:
                self.doomed.extend(d for d in done.needed_by if not d.mark and not d.running)
            if done.mark in ENDED:
                queue.extend(self._release(done.after_of))

    def _release(self, dependents: Sequence[TaskState]) -> Iterator[TaskState]:
        for task in dependents:
            task.unmet -= 1
            if not task.unmet and not task.mark and not task.running:
                if self._take_up(task):
                    yield task
                else:
                    self.opened.append(task)

    def _launch(self, event: AttemptStarted) -> None:
        task = self._task(event.task)
        if task.mark or task.running or task.unmet or event.attempt <= task.number:
            raise ImpossibleEvent(f"{event.task} starts attempt {event.attempt}, but is {self._story(task)}")
        task.running = True
        task.number, task.session, task.attempt_at = event.attempt, event.session, event.time
        task.started = task.started or event.time
        if task.task.needs:
            task.basis = self._basis(task)
        self.running[event.task] = task
        self.finished = self.verified = None

    def _land(self, event: AttemptFinished) -> None:
        task = self.running.get(event.task)
        if task is None or event.attempt != task.number:
            known = self._story(self._task(event.task))
            raise ImpossibleEvent(f"{event.task} ends attempt {event.attempt}, but is {known}")
        del self.running[event.task]
        task.running = False
        task.outcome, task.reason, task.ended = intern(event.outcome), event.reason, event.time
        # Most tasks have one attempt, and most attempts of a large plan cost nothing: keep one number for both.
        task.work = task.work + event.seconds if task.work else event.seconds
        if event.cost_usd:
            task.cost_usd += event.cost_usd
            self.cost_usd += event.cost_usd
        if event.outcome == "success":
            task.used, task.in_a_row, task.interruptions = task.used + 1, 0, 0
            task.result, task.seconds = event.result, event.seconds
            self._settle(task, "completed")
        else:
            self._draw_consequence(task, event)

    def _draw_consequence(self, task: TaskState, event: AttemptFinished) -> None:
        if event.outcome in verdict.HALTING:
            self.halted = event.outcome
        if event.ordered:
            self._open(task)
            return
        luck = verdict.luck(self.run, event.task, event.attempt)
        used = task.used + (event.outcome in verdict.COUNTING)
        interrupted = event.outcome == "interrupted"
        before = task.interruptions if interrupted else task.in_a_row
        then = verdict.what_follows(task.task, event.outcome, used, before, luck)
        task.used = used
        task.in_a_row = 0 if then.counts else task.in_a_row + 1
        task.interruptions = task.interruptions + 1 if interrupted else 0
        if then.fate == "again":
            # A limit that says it was reset long ago is not asked again at once.
            known = event.until if event.until and event.until > event.time else None
            task.retry_at = known.timestamp() if known else event.time.timestamp() + then.delay
            self._open(task)
        else:
            self._settle(task, then.fate)

    def _open(self, task: TaskState) -> None:
        if task.doubted:
            self._reconsider(task)
        else:
            self.opened.append(task)

    def _settle(self, task: TaskState, mark: str) -> None:
        """What an attempt comes to, unless what it was made from does not hold any more."""
        task.kept = None
        if task.doubted and self._is_stale(task):
            task.mark = mark
            self._reconsider(task)
        else:
            self._end(task, mark)

    def _is_stale(self, task: TaskState) -> bool:
        return task.basis != self._basis(task) or any(n.mark != "completed" for n in self.needs_of(task))

    def _block(self, event: TaskBlocked) -> None:
        task = self._unfinished(event.task, "is blocked")
        task.reason = event.question
        if task.mark != "blocked":
            self._end(task, "blocked")

    def _skip(self, event: TaskSkipped) -> None:
        task = self._unfinished(event.task, "is skipped")
        task.reason, task.ended = event.reason, event.time
        self._end(task, "skipped")

    def _cancel(self, event: TaskCancelled) -> None:
        task = self._unfinished(event.task, "is cancelled")
        task.reason, task.ended = "cancelled by a person", event.time
        self.orders.add(event.order)
        self._end(task, "cancelled")

    def _unfinished(self, name: str, what: str) -> TaskState:
        task = self._task(name)
        if task.running or task.mark in ENDED:
            raise ImpossibleEvent(f"{name} {what}, but is {self._story(task)}")
        return task

    def _retry(self, event: TaskRetried) -> None:
        task = self._task(event.task)
        dependents = self.dependents_of(task)
        for other in (task, *dependents):
            if other.running:
                raise ImpossibleEvent(f"{event.task} is retried, but {self._story(other)}")
        self.orders.add(event.order)
        self.finished = self.verified = None
        for other in (task, *dependents):
            if other is task or other.mark in ("failed", "blocked", "skipped"):
                self._uncount(other)
                other.renew()
        task.kept = None
        self._reconsider_after(task)

    def _verify(self, event: PlanVerified) -> None:
        self.verified = event

    def _finish(self, event: RunFinished) -> None:
        if self.running:
            raise ImpossibleEvent(f"the run finishes, but {self._story(next(iter(self.running.values())))}")
        self.finished = event

    def _task(self, name: str) -> TaskState:
        task = self.by_id.get(name)
        if task is None:
            raise ImpossibleEvent(f"no task {name} in the plan")
        return task

    @staticmethod
    def _story(task: TaskState) -> str:
        last = f", last outcome: {task.outcome}" if task.outcome else ""
        return f"{task.task.id} is {task.status} after {task.number} attempts{last}"


_FROM_INPUTS = ("completed", "failed", "blocked")

_APPLY: dict[type, Any] = {
    RunStarted: RunState._begin,
    RunResumed: RunState._resume,
    PlanAccepted: RunState._accept,
    PlanOutlined: RunState._accept,
    AttemptStarted: RunState._launch,
    AttemptFinished: RunState._land,
    StartOutlined: RunState._launch,
    FinishOutlined: RunState._land,
    TaskBlocked: RunState._block,
    TaskSkipped: RunState._skip,
    TaskCancelled: RunState._cancel,
    TaskRetried: RunState._retry,
    PlanVerified: RunState._verify,
    RunFinished: RunState._finish,
}


def _refuse_unknown_tasks(plan: Plan) -> None:
    ids = {task.id for task in plan.tasks}
    if len(ids) < len(plan.tasks) or any(
        not ids.issuperset(names) for t in plan.tasks for names in (t.needs, t.after) if names
    ):
        raise ImpossibleEvent("the plan has a task twice, or waits for one that it does not have")


def changes_work(old: Task, new: Task, asked_anew: bool) -> bool:
    """Whether a changed plan makes this task another one; `asked_anew`: its request was changed too."""
    return not same_work(old, new) or (asked_anew and new.cli != "shell")


def fold(events: Iterable[Event]) -> RunState:
    """The state after all `events`.

    Raises:
        ImpossibleEvent: with the task's story and the event's number.
    """
    state = RunState()
    for event in events:
        state.apply(event)
    return state
