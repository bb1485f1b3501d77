"""The loop: decide, record, act; then wait for what comes of it.

Everything is recorded, and synced, before it is done. All events of one turn are written together, so that a
busy run pays for one sync a turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any, Protocol

from orchestrator import exits, planchecks
from orchestrator.attempt import Attempt
from orchestrator.attempts import Attempts, ProcessTable
from orchestrator.clis import claude
from orchestrator.core import rounds
from orchestrator.core.events import (
    AttemptStarted,
    Event,
    LaunchesPaused,
    LaunchesResumed,
    Listener,
    PlanAccepted,
    PlanRevised,
    PlanVerified,
    RunFinished,
    TaskSkipped,
)
from orchestrator.core.governor import Governor, Hold
from orchestrator.core.learning import Learned
from orchestrator.core.plan import Plan
from orchestrator.core.scheduler import Finish, Launch, Scheduler, Skip, Stop, Verify
from orchestrator.core.state import RunState, TaskState
from orchestrator.core.workers import WorkerType
from orchestrator.edges.inbox import Order
from orchestrator.edges.processes import Ended
from orchestrator.edges.workspace import Workspace
from orchestrator.landing import Landing
from orchestrator.orders import LOOK_FOR_ORDERS, Orders
from orchestrator.planchecks import PlanChecks
from orchestrator.recording import JournalFile, Recorder
from orchestrator.refreshing import Refresher, Renderer
from orchestrator.resultfiles import ResultFiles
from orchestrator.sessions import Sessions

INTERRUPT = "interrupted"
"""Why a run ended that a person stopped."""

LOOK_AT_STARTS = 0.05
"""Seconds between two looks at starting workers, while others wait for them to have started."""

LOOK_AT_MEMORY = 0.1
"""Seconds for which a look at the free memory holds: a worker takes longer to fill its own."""

WORTH_TELLING = 5.0
"""Seconds for which launches are held before the journal says so: shorter ones are the order of business."""


class Conductor(Protocol):
    """What may change the plan while it runs: see `dynamic.Planner`."""

    def turn(self, *, may_call: bool) -> None: ...
    def obey(self, order: Order) -> bool: ...


class Dispatcher:
    """One dispatcher of one run; it alone writes the journal while it lives.

    Args:
        clock: seconds since the epoch that go on steadily, whatever is done to the machine's clock.
        listeners: called with the events of each commit once they are on disk.
        memory: the bytes that are free on this machine, None where that is unknown.
        zone: in which messages of the API name times.
    """

    def __init__(
        self,
        state: RunState,
        journal: JournalFile,
        workspace: Workspace,
        processes: ProcessTable,
        attempts: Attempts,
        result_files: ResultFiles,
        views: Renderer,
        clock: Callable[[], float],
        listeners: Sequence[Listener] = (),
        learned: Learned | None = None,
        parallelism: int | None = None,
        budget: float | None = None,
        cores: int = 1,
        memory: Callable[[], int | None] = lambda: None,
        zone: tzinfo = UTC,
    ) -> None:
        self.state = state
        self._processes = processes
        self._attempts = attempts
        self._clock = clock
        self._bounds = (learned, parallelism, budget)
        self._cores = cores
        self._memory = memory
        self._memory_known: int | None = None
        self._memory_seen = 0.0
        self._governor: Governor | None = None
        self._scheduler = self._scheduling() if state.plan else None
        self._held_since: float | None = None
        self._launching: list[tuple[TaskState, float | None]] = []
        self._closing = False
        self._stopping = ""
        self._signals = 0
        self._signals_seen = 0
        self._refresher = Refresher(state, views, clock)
        self._recorder = Recorder(state, journal, clock, listeners)
        self._landing = Landing(state, attempts, result_files, self._recorder, clock, zone)
        self._plan_checks = PlanChecks(state, workspace, processes, attempts, clock)
        self._sessions = Sessions(state, workspace, attempts, self._recorder, self._land, self._adopt, clock)
        self._orders = Orders(
            state, workspace, self._recorder, attempts, self._sessions, self._plan_checks, self, clock
        )
        self._exit: int | None = None
        self.each_turn: Callable[[], None] | None = None
        self.conductor: Callable[[], Conductor] | None = None

    def _scheduling(self) -> Scheduler:
        """A scheduler for the plan as it stands; one governor goes on over all plans of a run."""
        plan = self.state.plan
        assert plan is not None
        learned, parallelism, budget = self._bounds
        if any(task.cli == "claude" for task in plan.tasks) and self._governor is None:
            self._governor = Governor(parallelism or plan.limits.parallelism, self._cores)
            if self.state.paused and self.state.paused.until:
                self._governor.pause(self.state.paused.reason, self.state.paused.until.timestamp())
        prefixes = [
            claude.prefix(task, self.state.worker_of(task)) if task.cli == "claude" else ""
            for task in plan.tasks
        ]
        return Scheduler(self.state, learned, parallelism, budget, self._governor, prefixes)

    def interrupt(self) -> None:
        """Somebody wants the run to stop: once with a grace, a second time at once. Safe in a signal handler."""
        self._signals += 1

    def run(self) -> int:
        """Run until nothing is left to do; the exit status of the run.

        Raises:
            OSError: the disk is full or failing. Workers go on; the next run takes them over.
        """
        self.recover()
        while self._exit is None:
            self._heed_signals()
            self._orders.take()
            self._decide()
            self.commit()
            self._launch()
            if self._exit is None:
                self._wait()
                if self.each_turn:
                    self.each_turn()
                self._refresher.refresh()
        return self._exit

    def recover(self) -> None:
        """Adopt the workers of an earlier dispatcher that still live, harvest those that have ended."""
        for task in list(self.state.running.values()):
            from_before = self._sessions if task.task.cli == "session" else self._attempts
            if over := from_before.recover(task):
                self._land(over)
            else:
                self._adopt(task)
        self.commit()

    def _adopt(self, task: TaskState) -> None:
        if self._scheduler is not None:
            self._scheduler.adopt(task)

    def steer(self) -> None:
        """Take orders in without running anything: for `stop`, `retry`, `cancel` where no dispatcher lives."""
        self.recover()
        self._orders.take()
        self.commit()
        self._let_stopped_end()

    def settle(self) -> None:
        """Take in what a session says, and what follows from it, where no dispatcher lives. Launches nothing."""
        self.recover()
        self._orders.take()
        self.commit()
        while self._sessions.checking:
            self._wait()
            self.commit()
        while self._exit is None and not any(
            task.task.cli != "session" and (task.running or task.startable) for task in self.state.tasks
        ):
            self._decide()
            self.commit()
            if self._exit is None:
                self._wait()
        self._orders.take(now=True)
        self.commit()

    def accept(self, plan: Plan, workers: Sequence[WorkerType] = (), written: Plan | None = None) -> None:
        """Go on with another plan. Workers that live from before go on too, unless it changes their tasks."""
        self.recover()
        types = {worker.name: worker for worker in workers}
        asked_anew = self.state.plan is not None and self.state.plan.request != plan.request
        coming = {task.id: task for task in plan.tasks}
        for attempt in list(self._attempts.running.values()):
            old = attempt.task.task
            if old.id not in coming or self.state.makes_another(old, coming[old.id], types, asked_anew):
                self._attempts.stop(attempt, "interrupted")
        self._let_stopped_end()
        for task in [t for t in self.state.running.values() if t.task.cli == "session"]:
            old = task.task
            if old.id not in coming or self.state.makes_another(old, coming[old.id], types, asked_anew):
                self._sessions.give_up(task, "interrupted")
        self.record(PlanAccepted(**self.stamp(), plan=plan, workers=tuple(workers), written=written))
        self._scheduler = self._scheduling()
        for attempt in self._attempts.running.values():
            self._scheduler.adopt(attempt.task)
        self.commit()

    def revise(self, event: PlanRevised) -> None:
        """Go on with a changed plan, in which all that runs is as it was."""
        self.record(event)
        self._scheduler = self._scheduling()
        for attempt in self._attempts.running.values():
            self._scheduler.adopt(attempt.task)

    def _let_stopped_end(self) -> None:
        while any(attempt.stopped for attempt in self._attempts.running.values()):
            self._wait()
            self.commit()

    def stamp(self) -> dict[str, Any]:
        """Number and time of the next event."""
        return self._recorder.stamp()

    def record(self, event: Event) -> None:
        """Take one event in; it is on disk after the next commit."""
        self._recorder.record(event)

    def commit(self) -> None:
        """Write and sync what was recorded."""
        if self._recorder.commit():
            self._orders.put_away()

    def _decide(self) -> None:
        if self._plan_checks.under_way:
            return
        assert self._scheduler is not None
        plans = self._scheduler.plan.replan != "off" or self.state.replanning.open_call
        if self.conductor is not None and plans:
            self.conductor().turn(may_call=not self._closing and not self._scheduler.shut)
        if self._closing and self.state.launched and not self._attempts.running:
            # Work whose checks were interrupted: how it ended is for the next run to find out.
            self._exit = exits.INTERRUPTED if self._stopping == INTERRUPT else exits.LIMIT
            return
        if self._governor is not None and self._scheduler.has_ready:
            self._scheduler.memory = self._free_memory()
        actions = self._scheduler.decide(self._clock(), closing=self._closing)
        self._tell_of_hold(self._scheduler.held)
        for action in actions:
            match action:
                case Launch():
                    self._intend(action)
                case Skip(task=name, reason=reason):
                    self.record(TaskSkipped(**self.stamp(), task=name, reason=reason))
                case Stop(reason=reason):
                    self._stop_all(reason)
                case Verify():
                    self._plan_checks.begin()
                case Finish() if self._attempts.running:
                    # What a session handed in is still being checked: no process of a worker, but work all the same.
                    pass
                case Finish(exit=status, reason=reason):
                    self._finish(status, reason)
        if any(isinstance(action, Skip) for action in actions):
            self._decide()

    def _free_memory(self) -> int | None:
        """The bytes that were free a moment ago."""
        now = self._clock()
        if now >= self._memory_seen + LOOK_AT_MEMORY:
            self._memory_known, self._memory_seen = self._memory(), now
        return self._memory_known

    def _tell_of_hold(self, hold: Hold | None) -> None:
        """Let the journal say why nothing is launched, and that it is again."""
        now = self._clock()
        paused = self.state.paused
        if hold is None:
            self._held_since = None
            if paused:
                self.record(LaunchesResumed(**self.stamp()))
            return
        self._held_since = now if self._held_since is None else self._held_since
        until = datetime.fromtimestamp(hold.until, UTC) if hold.until is not None else None
        known = paused is not None and (paused.reason, paused.until) == (hold.reason, until)
        if not known and (
            paused or now >= self._held_since + WORTH_TELLING or (hold.until or 0) > now + WORTH_TELLING
        ):
            self.record(LaunchesPaused(**self.stamp(), reason=hold.reason, until=until))

    def _intend(self, launch: Launch) -> None:
        task, number = self.state.by_id[launch.task], launch.attempt
        event = AttemptStarted(
            **self.stamp(), task=launch.task, attempt=number, cli=task.task.cli,
            session=self._attempts.session(task, number), ceiling_usd=launch.ceiling,
        )  # fmt: skip
        self.record(event)
        self._launching.append((task, launch.ceiling))

    def _launch(self) -> None:
        launching, self._launching = self._launching, []
        for task, ceiling in launching:
            if over := self._attempts.start(task, ceiling):
                self._land(over)
            # The worker needs a core to start on; what ended meanwhile is taken in beside it.
            self._take_in_ended(0.0)

    def _wait(self) -> None:
        self._take_in_ended(self._patience())
        for name, sign in self._attempts.watch():
            if self._governor is not None:
                self._governor.heard(name, sign, self._clock())
        self._plan_checks.watch()

    def _take_in_ended(self, patience: float | None) -> None:
        for ended in self._processes.wait(patience):
            if ended.key.startswith(planchecks.PREFIX):
                self._note_plan_check(ended)
            elif over := self._attempts.ended(ended):
                self._land(over)

    def _patience(self) -> float | None:
        news = self.state.opened or self.state.doomed
        if self._recorder.unwritten or (news and not self._plan_checks.under_way):
            return 0.0
        assert self._scheduler is not None
        now = self._clock()
        starting = self._governor is not None and self._governor.starting and self._scheduler.held
        look = LOOK_AT_STARTS if starting else LOOK_FOR_ORDERS
        times = [now + look, self._attempts.next_time(), self._scheduler.next_time()]
        return max(0.0, min(time for time in times if time is not None) - now)

    def _land(self, attempt: Attempt) -> None:
        if attempt.undecided and self._closing:
            return
        event = self._landing.land(attempt)
        if self._governor is not None:
            until = event.until.timestamp() if event.until else None
            self._governor.ended(event.task, event.outcome, until, self._clock())

    def _heed_signals(self) -> None:
        if self._signals == self._signals_seen:
            return
        if not self._signals_seen:
            self._stop_all(INTERRUPT)
        if self._signals > 1:
            self._attempts.kill()
            self._plan_checks.stop("kill")
        self._signals_seen = self._signals

    def _stop_all(self, reason: str) -> None:
        """Launch nothing more and stop what runs; each is recorded as interrupted and can go on later."""
        self._closing = True
        if self._stopping != INTERRUPT:
            self._stopping = reason
        for attempt in self._attempts.running.values():
            if not attempt.stopped:
                self._attempts.stop(attempt, "interrupted")
        self._plan_checks.stop()

    def stop(self, order: Order) -> None:
        """Bring the run to an end: at once, or when what runs has ended."""
        if order.after_running:
            self._closing = True
        else:
            self._stop_all(INTERRUPT)

    def about_plan(self, order: Order) -> bool:
        """Have an order about the plan obeyed by whoever may change it; whether it was, and its file can go."""
        # Who takes in what a session says changes no plan: the order stays for whoever does.
        return self.conductor is not None and self.conductor().obey(order)

    def _finish(self, status: int, reason: str) -> None:
        if self._stopping == INTERRUPT:
            status, reason = exits.INTERRUPTED, INTERRUPT
        self.record(RunFinished(**self.stamp(), exit=status, reason=reason))
        self._exit = status

    def _note_plan_check(self, ended: Ended) -> None:
        if self._stopping or not rounds.all_completed(self.state):
            self._plan_checks.abandon()
        elif evidence := self._plan_checks.note(ended):
            holds, reason = planchecks.passed(evidence)
            self.record(PlanVerified(**self.stamp(), passed=holds, reason=reason))
