"""Where a run stands: the fold of its events. `RunState.apply` is the only way anything here changes.

A task's status is derived from a few facts, never stored. Work per event is proportional to the task's own
edges; only a changed plan and a retry, which people make by hand, look at every task.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from sys import intern
from typing import Any

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
from orchestrator.core.plan import Plan
from orchestrator.core.planstate import PlanState, Told
from orchestrator.core.replanning import News, is_planning
from orchestrator.core.spending import Spending
from orchestrator.core.taskstate import DEAD, ENDED, STATUSES, TaskState
from orchestrator.errors import ImpossibleEvent

__all__ = ["DEAD", "ENDED", "STATUSES", "RunState", "TaskState", "Told", "fold"]


class RunState(PlanState):
    """The state of a run, from its first event to its last.

    `allowed` are the rules that were added, by task; `spending` is by worker type. `written` is the plan as a
    person wrote it, before revisions. `session_costs` are the dollars that sessions have cost which may go on.
    `ceilings` are those that the last attempts of tasks may cost, where there was a ceiling.
    """

    def __init__(self) -> None:
        super().__init__()
        self.run = ""
        self.project = ""
        self.pid = 0
        self.parallelism: int | None = None
        self.budget_usd: float | None = None
        self.written: Plan | None = None
        self.allowed: dict[str, tuple[str, ...]] = {}
        self.spending: dict[str, Spending] = {}
        self.session_costs: dict[str, float] = {}
        self.ceilings: dict[str, float | None] = {}
        self.paused: LaunchesPaused | None = None
        self.refusals = 0
        self.started: datetime | None = None
        self.resumed: datetime | None = None
        self.finished: RunFinished | None = None
        self.verified: PlanVerified | None = None
        self.cost_usd = 0.0
        self.halted = ""
        self.orders: set[str] = set()
        self.seq = 0

    def apply(self, event: Event) -> None:
        """Take one event in.

        Raises:
            ImpossibleEvent: the event cannot follow; the state is as it was before.
        """
        _APPLY[event.__class__](self, event)
        self.seq = event.seq

    @property
    def launched(self) -> list[TaskState]:
        """What runs as a process: all that runs but what a session works on."""
        return [task for task in self.running.values() if task.task.cli != "session"]

    @property
    def last_part(self) -> float | None:
        """Seconds from when an ended run was last taken up again to its end; None where it was not."""
        if self.finished is None or self.resumed is None or self.resumed == self.started:
            return None
        return (self.finished.time - self.resumed).total_seconds()

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
        self.finished = self.verified = None
        self.written = event.written or event.plan
        self.replanning.keep_deferred({t.task.id for t in self.tasks if t.mark == "skipped"})
        if event.plan.replan != "off" and self.replanning.first is None:
            planned = sum(not is_planning(task) for task in event.plan.tasks)
            self.replanning.first = planned or None

    def _revise(self, event: PlanRevised) -> None:
        if self.plan is None:
            raise ImpossibleEvent("a plan is revised that was not accepted")
        known = (name for name in event.asked if name in self.by_id)
        for name in (*event.dropped, *known):
            if self._task(name).running or self._task(name).mark == "completed":
                raise ImpossibleEvent(f"a revision changes {self._story(self._task(name))}")
        changed = {task.id: task for task in event.tasks}
        kept = tuple(changed.pop(t.id, t) for t in self.plan.tasks if t.id not in event.dropped)
        plan = replace(self.plan, tasks=(*kept, *changed.values()))
        retiring = [self.by_id[name] for name in event.dropped]
        # Other dependencies give nobody fresh attempts whom a person cancelled, or for whom there is no room.
        over = {
            t.task.id for t in self.tasks if t.mark == "cancelled" or t.task.id in self.replanning.deferred
        }
        self._take_plan(plan, self.workers | {worker.name: worker for worker in event.workers}, over)
        self.finished = self.verified = None
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
        self.replanning.reject(event, len(self.tasks_proper) - len(self.replanning.deferred))

    def _roll_back(self, event: RunRolledBack) -> None:
        self.cost_usd += event.cost_usd
        self.finished = None

    def _launch(self, event: AttemptStarted) -> None:
        task = self._task(event.task)
        if task.mark or task.running or task.unmet or event.attempt <= task.number:
            raise ImpossibleEvent(f"{event.task} starts attempt {event.attempt}, but is {self._story(task)}")
        task.running = True
        task.number, task.session, task.attempt_at = event.attempt, event.session, event.time
        task.started = task.started or event.time
        if task.task.needs:
            task.basis = self._basis(task)
        if event.ceiling_usd is not None or event.task in self.ceilings:
            self.ceilings[event.task] = event.ceiling_usd
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
        if self.replans and task.mark:
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
        then = verdict.what_follows(task.task, event.outcome, used, before, luck, replans=self.replans)
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

    def _block(self, event: TaskBlocked) -> None:
        task = self._task(event.task)
        gives_up = task.mark == "failed" and task.task.on_failure == "escalate"
        if not gives_up:
            self._unfinished(event.task, "is blocked")
        task.reason = event.question
        if task.mark != "blocked":
            self._end(task, "blocked")
        if gives_up:
            self._reconsider_after(task)

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
            put_off = other is not task and other.task.id in self.replanning.deferred
            if other is task or (other.mark in ("failed", "blocked", "skipped") and not put_off):
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


def fold(events: Iterable[Event]) -> RunState:
    """The state after all `events`.

    Raises:
        ImpossibleEvent: with the task's story and the event's number.
    """
    state = RunState()
    for event in events:
        state.apply(event)
    return state
