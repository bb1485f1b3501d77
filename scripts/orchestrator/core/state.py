"""Where a run stands: the fold of its events. `RunState.apply` is the only way anything here changes.

A task's status is derived from a few facts, never stored. Work per event is proportional to the task's own
edges; only a changed plan and a retry, which people make by hand, look at every task.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from sys import intern
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.core import verdict
from orchestrator.core.events import (
    AttemptFinished,
    AttemptStarted,
    Event,
    FinishOutlined,
    LaunchesPaused,
    LaunchesResumed,
    PlanAccepted,
    PlanOutlined,
    PlanRevised,
    PlanVerified,
    RevisionProposed,
    RevisionRejected,
    RunFinished,
    RunResumed,
    RunRolledBack,
    RunStarted,
    StartOutlined,
    TaskAnswered,
    TaskBlocked,
    TaskCancelled,
    TaskRetried,
    TaskSkipped,
)
from orchestrator.core.plan import Plan, Task
from orchestrator.core.replanning import News, Replanning, is_planning
from orchestrator.core.sameness import changes_work
from orchestrator.core.spending import Spending
from orchestrator.core.taskstate import DEAD, ENDED, STATUSES, TaskState
from orchestrator.core.workers import GENERAL, WorkerType
from orchestrator.errors import ImpossibleEvent

__all__ = ["DEAD", "ENDED", "STATUSES", "RunState", "TaskState", "Told", "fold"]


class Told(Struct, frozen=True):
    """What a person added for a task's next attempt: an answer, or permission rules."""

    text: str = ""
    allow: tuple[str, ...] = ()


class RunState:
    """The state of a run, from its first event to its last.

    `told` and `allowed` are by task: what its next attempt is told, and the rules that were added. `spending` is by
    worker type. `written` is the plan as a person wrote it, before revisions. `session_costs` are the dollars that
    sessions have cost which may go on.
    """

    def __init__(self) -> None:
        self.run = ""
        self.project = ""
        self.pid = 0
        self.parallelism: int | None = None
        self.budget_usd: float | None = None
        self.plan: Plan | None = None
        self.written: Plan | None = None
        self.replanning = Replanning()
        self.workers: dict[str, WorkerType] = {}
        self.told: dict[str, Told] = {}
        self.allowed: dict[str, tuple[str, ...]] = {}
        self.spending: dict[str, Spending] = {}
        self.session_costs: dict[str, float] = {}
        self.paused: LaunchesPaused | None = None
        self.refusals = 0
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

    @property
    def launched(self) -> list[TaskState]:
        """What runs as a process: all that runs but what a session works on."""
        return [task for task in self.running.values() if task.task.cli != "session"]

    def worker_of(self, task: Task) -> WorkerType:
        """The worker type that a task is written for, as it was when the plan was accepted."""
        return self.workers.get(task.worker, GENERAL)

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
        self.parallelism, self.budget_usd = event.parallelism, event.budget_usd

    def _resume(self, event: RunResumed) -> None:
        if not self.run:
            raise ImpossibleEvent("a run goes on that has not started")
        self.pid, self.resumed = event.pid, event.time
        self.parallelism, self.budget_usd = event.parallelism, event.budget_usd
        self.finished = None
        self.halted, self.refusals = "", 0
        if self.verified and not self.verified.passed:
            self.verified = None

    def _accept(self, event: PlanAccepted) -> None:
        self._take_plan(event.plan, {worker.name: worker for worker in event.workers})
        self.written = event.written or event.plan
        if event.plan.replan != "off" and self.replanning.first is None:
            planned = sum(not is_planning(task) for task in event.plan.tasks)
            self.replanning.first = planned or None

    def _take_plan(self, plan: Plan, workers: dict[str, WorkerType]) -> None:
        """Go on with `plan`: what is the same task still keeps its story."""
        known = {**self.retired, **self.by_id}
        asked_anew = self.plan is not None and self.plan.request != plan.request
        _refuse_unknown_tasks(plan)
        self._refuse_to_change_running(plan, workers, asked_anew)
        self.plan = plan
        self.tasks = [self._carry(known, task, i, workers, asked_anew) for i, task in enumerate(plan.tasks)]
        self.workers = workers
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

    def _revise(self, event: PlanRevised) -> None:
        if self.plan is None:
            raise ImpossibleEvent("a plan is revised that was not accepted")
        for name in (*event.dropped, *event.asked):
            if self._task(name).running or self._task(name).mark == "completed":
                raise ImpossibleEvent(f"a revision changes {self._story(self._task(name))}")
        changed = {task.id: task for task in event.tasks}
        kept = tuple(changed.pop(t.id, t) for t in self.plan.tasks if t.id not in event.dropped)
        plan = replace(self.plan, tasks=(*kept, *changed.values()))
        retiring = [self.by_id[name] for name in event.dropped]
        self._take_plan(plan, self.workers | {worker.name: worker for worker in event.workers})
        for task in retiring:
            task.mark, task.reason, task.ended = "cancelled", event.dropped[task.task.id], event.time
        self.replanning.revise(event, plan.tasks)
        self.orders.add(event.order)
        for name, why in event.deferred.items():
            self._put_off(self.by_id[name], "skipped", why, event.time)
        for name, question in event.asked.items():
            self._put_off(self.by_id[name], "blocked", question, event.time)
        if event.deferred or event.asked:
            self._reconsider_all(self._in_order(self.tasks))

    def _put_off(self, task: TaskState, mark: str, reason: str, now: datetime) -> None:
        task.mark, task.reason = mark, reason
        task.ended = now if mark in ENDED else task.ended

    def _propose(self, event: RevisionProposed) -> None:
        self.orders.add(event.order)
        self.finished = None
        self.replanning.propose(event)

    def _reject(self, event: RevisionRejected) -> None:
        self.orders.add(event.order)
        self.finished = None
        count = sum(not is_planning(task.task) for task in self.tasks)
        self.replanning.reject(event, count - len(self.replanning.deferred))

    def _roll_back(self, event: RunRolledBack) -> None:
        self.cost_usd += event.cost_usd
        self.finished = None

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

    def makes_another(
        self, old: Task, new: Task, workers: Mapping[str, WorkerType], asked_anew: bool
    ) -> bool:
        """Whether a changed plan makes a task another one; `asked_anew`: its request was changed too."""
        return changes_work(old, new, self.worker_of(old), workers.get(new.worker, GENERAL), asked_anew)

    def _refuse_to_change_running(
        self, plan: Plan, workers: Mapping[str, WorkerType], asked_anew: bool
    ) -> None:
        if not self.running:
            return
        coming = {task.id: task for task in plan.tasks}
        for name, task in self.running.items():
            if name not in coming or self.makes_another(task.task, coming[name], workers, asked_anew):
                raise ImpossibleEvent(f"the plan changes {name}, which is running")

    def _carry(
        self,
        known: dict[str, TaskState],
        task: Task,
        index: int,
        workers: Mapping[str, WorkerType],
        asked_anew: bool,
    ) -> TaskState:
        state = known.get(task.id)
        if state is None:
            self.seats += 1
            return TaskState(task, index, self.seats)
        if self.makes_another(state.task, task, workers, asked_anew):
            state.forget()
            self.told.pop(task.id, None)
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
            if stale or task.trouble.doubted:
                task.in_trouble.doubted = stale
            return
        dead = any(need.mark in DEAD for need in needs)
        put_off = task.task.id in self.replanning.deferred
        if (task.mark in _FROM_INPUTS and stale and task.number) or (
            task.mark == "skipped" and not dead and not put_off
        ):
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
        kept = task.trouble.kept
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
            self._pay(task, event)
        if event.outcome == "success":
            if task.task.cli == "claude":
                self.refusals = 0
            self.told.pop(event.task, None)
            task.used += 1
            task.result, task.seconds = event.result, event.seconds
            self._settle(task, "completed")
        else:
            self._draw_consequence(task, event)
        if self.plan is not None and self.plan.replan != "off" and task.mark:
            self._hear(task, event)

    def _hear(self, task: TaskState, event: AttemptFinished) -> None:
        """Keep what an ended task has to say for the next planning call."""
        if is_planning(task.task):
            if task.mark == "failed":
                self.replanning.fail_call(event.task)
            return
        news = News(
            event.task, event.attempt, event.time, task.mark, event.outcome, event.reason, event.report
        )
        self.replanning.hear(news)

    def _pay(self, task: TaskState, event: AttemptFinished) -> None:
        task.cost_usd += event.cost_usd
        self.cost_usd += event.cost_usd
        if event.session and event.outcome != "success":
            self.session_costs[event.session] = self.session_costs.get(event.session, 0.0) + event.cost_usd
        models = event.models or ({event.model: event.cost_usd} if event.model else {})
        spent = Spending(1, event.cost_usd, event.input_tokens, event.output_tokens, models)
        self.spending.setdefault(task.task.worker, Spending()).add(spent)

    def _draw_consequence(self, task: TaskState, event: AttemptFinished) -> None:
        self.refusals += event.outcome == "authentication"
        if event.outcome in verdict.HALTING or self.refusals >= verdict.AUTHENTICATION_REFUSALS:
            self.halted = event.outcome
        if event.ordered:
            self._open(task)
            return
        luck = verdict.luck(self.run, event.task, event.attempt)
        used = task.used + (event.outcome in verdict.COUNTING)
        interrupted = event.outcome == "interrupted"
        trouble = task.in_trouble
        before = trouble.interruptions if interrupted else trouble.in_a_row
        then = verdict.what_follows(task.task, event.outcome, used, before, luck)
        task.used = used
        trouble.in_a_row = 0 if then.counts else trouble.in_a_row + 1
        trouble.interruptions = trouble.interruptions + 1 if interrupted else 0
        if then.fate == "again":
            # A limit that says it was reset long ago is not asked again at once.
            known = event.until if event.until and event.until > event.time else None
            trouble.retry_at = known.timestamp() if known else event.time.timestamp() + then.delay
            self._open(task)
        else:
            self._settle(task, then.fate)

    def _open(self, task: TaskState) -> None:
        if task.trouble.doubted:
            self._reconsider(task)
        else:
            self.opened.append(task)

    def _settle(self, task: TaskState, mark: str) -> None:
        """What an attempt comes to, unless what it was made from does not hold any more."""
        doubted = task.trouble.doubted
        task.be_out_of_trouble()
        if doubted and self._is_stale(task):
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
        self.replanning.fail_call(event.task)
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
                self.replanning.deferred.pop(other.task.id, None)
                self._uncount(other)
                other.renew()
        task.be_out_of_trouble()
        self.replanning.reopen(event.task)
        self._reconsider_after(task)
        if event.allow:
            self.allowed[event.task] = (*self.allowed.get(event.task, ()), *event.allow)
            self.told[event.task] = Told(allow=event.allow)

    def _answer(self, event: TaskAnswered) -> None:
        task = self._task(event.task)
        if task.mark != "blocked":
            raise ImpossibleEvent(f"{event.task} is answered, but {self._story(task)}")
        self.orders.add(event.order)
        self.finished = self.verified = None
        self._uncount(task)
        task.renew()
        self.told[event.task] = Told(event.text)
        self._reconsider_after(task)

    def _pause(self, event: LaunchesPaused) -> None:
        self.paused = event

    def _resume_launches(self, event: LaunchesResumed) -> None:
        self.paused = None

    def _verify(self, event: PlanVerified) -> None:
        self.verified = event

    def _finish(self, event: RunFinished) -> None:
        if self.launched:
            raise ImpossibleEvent(f"the run finishes, but {self._story(self.launched[0])}")
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
    PlanRevised: RunState._revise,
    RevisionProposed: RunState._propose,
    RevisionRejected: RunState._reject,
    RunRolledBack: RunState._roll_back,
    AttemptStarted: RunState._launch,
    AttemptFinished: RunState._land,
    StartOutlined: RunState._launch,
    FinishOutlined: RunState._land,
    TaskBlocked: RunState._block,
    TaskSkipped: RunState._skip,
    TaskCancelled: RunState._cancel,
    TaskRetried: RunState._retry,
    TaskAnswered: RunState._answer,
    LaunchesPaused: RunState._pause,
    LaunchesResumed: RunState._resume_launches,
    PlanVerified: RunState._verify,
    RunFinished: RunState._finish,
}


def _refuse_unknown_tasks(plan: Plan) -> None:
    ids = {task.id for task in plan.tasks}
    if len(ids) < len(plan.tasks) or any(
        not ids.issuperset(names) for t in plan.tasks for names in (t.needs, t.after) if names
    ):
        raise ImpossibleEvent("the plan has a task twice, or waits for one that it does not have")


def fold(events: Iterable[Event]) -> RunState:
    """The state after all `events`.

    Raises:
        ImpossibleEvent: with the task's story and the event's number.
    """
    state = RunState()
    for event in events:
        state.apply(event)
    return state
