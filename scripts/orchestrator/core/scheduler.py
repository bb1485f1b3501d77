"""What is wanted next: a pure function of plan, state and time, made incremental.

Pending tasks wait in a heap: by priority, then by the longest estimated path to the end of the plan, then in
plan order. Tasks with the same `writes` share a lane of which only the head stands in the heap, so that a
thousand tasks that write one file cost no more than one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from heapq import heappop, heappush

from msgspec import Struct

from orchestrator import exits
from orchestrator.core import rounds, sessiontasks
from orchestrator.core.governor import Governor, Hold
from orchestrator.core.graph import longest_remaining
from orchestrator.core.learning import Learned, weights
from orchestrator.core.overlap import writes_overlap
from orchestrator.core.plan import Task, seconds
from orchestrator.core.readyqueue import Rank, ReadyQueue
from orchestrator.core.replanning import is_planning
from orchestrator.core.spending import LEAST_CEILING, share
from orchestrator.core.state import DEAD, RunState, TaskState
from orchestrator.core.text import dollars, one_line
from orchestrator.core.verdict import BACKOFF_CEILING


class Launch(Struct, frozen=True):
    """Start the next attempt of a task, which may cost at most `ceiling` dollars."""

    task: str
    attempt: int
    ceiling: float | None = None


class Skip(Struct, frozen=True):
    """Record that a task will not run."""

    task: str
    reason: str


class Stop(Struct, frozen=True):
    """Stop all that runs: a limit of the run was reached."""

    reason: str


class Verify(Struct, frozen=True):
    """All tasks are completed: run the commands for the whole plan."""


class Finish(Struct, frozen=True):
    """Nothing is left to do: end the run with this exit status."""

    exit: int
    reason: str


Action = Launch | Skip | Stop | Verify | Finish
Lane = tuple[str, ...]


_VERBS = {"failed": "failed", "skipped": "was skipped", "cancelled": "was cancelled"}


class Scheduler:
    """Decides over one `RunState`; reads it and never changes it but for its lists of news.

    `held` is why the last decision launched no worker, None where nothing held one back; `memory` are the bytes that
    are free, where that is known.

    Args:
        governor: the gate for the workers of model CLIs; None: there is none.
        prefixes: for each task what its requests share with those of its kind; "" for a command.
    """

    def __init__(
        self,
        state: RunState,
        learned: Learned | None = None,
        parallelism: int | None = None,
        budget: float | None = None,
        governor: Governor | None = None,
        prefixes: Sequence[str] = (),
    ) -> None:
        assert state.plan is not None
        self.state = state
        self.plan = state.plan
        self.parallelism = parallelism or state.plan.limits.parallelism
        self.budget = budget or state.plan.limits.budget_usd
        self.governor = governor
        self.held: Hold | None = None
        self.memory: int | None = None
        self._prefixes = prefixes or [""] * len(state.tasks)
        self._spent_before = (learned or Learned()).spent
        self.weights = weights(state.plan, learned or Learned())
        dependents = [[d.index for d in (*task.needed_by, *task.after_of)] for task in state.tasks]
        self._remaining = longest_remaining(dependents, self.weights)
        self._ready = ReadyQueue()
        self._later: list[tuple[float, int]] = []
        self._doomed: list[TaskState] = []
        self._lanes: dict[Lane, list[tuple[Rank, int]]] = {}
        self._parked: dict[Lane, list[Lane]] = {}
        self._now = 0.0
        self._busy = {t.index: t.task.writes for t in state.running.values() if t.task.writes}
        state.opened[:] = [task for task in state.tasks if task.startable]
        state.doomed[:] = [task for task in state.tasks if self._is_doomed(task)]

    def decide(self, now: float, *, closing: bool = False) -> list[Action]:
        """The actions wanted at `now` (seconds since the epoch); `closing`: launch nothing more."""
        self._now = now
        self._take_news()
        if skips := self._skips():
            return skips
        if (late := self._lateness()) and self.state.launched:
            return [Stop(late)]
        if late or closing or (self.shut and (not self._all_completed() or self._unpaid())):
            return [] if self.state.launched else [self._finish(late)]
        launches = self._launches()
        if launches or self.state.launched:
            return launches
        if self._later or self._ready:
            return [self._finish(self._hopeless())] if self._hopeless() else []
        return [Verify() if self._unverified() else self._finish()]

    @property
    def has_ready(self) -> bool:
        """Whether something may be launched at the next decision."""
        return bool(self._ready or self.state.opened)

    def adopt(self, task: TaskState) -> None:
        """Count a task that runs already."""
        if task.task.writes:
            self._busy[task.index] = task.task.writes
        if self.governor is not None and self._prefixes[task.index]:
            given = self.state.ceilings.get(task.task.id)
            reserve = self._reserve(task.task) if given is None else given
            self.governor.launched(task.task.id, self._prefixes[task.index], reserve)

    def next_time(self) -> float | None:
        """When something will be wanted without any news: the next retry or the deadline."""
        times = [self._later[0][0]] if self._later else []
        if self.held and self.held.until is not None:
            times.append(self.held.until)
        deadline = self.deadline()
        # One that has passed wants nothing more: whoever woke up for it again would never sleep.
        if deadline is not None and deadline > self._now and not self._all_ended():
            times.append(deadline)
        return min(times, default=None)

    def deadline(self) -> float | None:
        """Seconds since the epoch: the plan's deadline, from when this dispatcher took the run on."""
        if self.plan.limits.deadline is None or self.state.resumed is None:
            return None
        return self.state.resumed.timestamp() + seconds(self.plan.limits.deadline)

    def _take_news(self) -> None:
        for task in self.state.opened:
            if task.task.cli == "session":
                continue
            if self._is_early(task):
                heappush(self._later, (task.trouble.retry_at, task.index))
            else:
                self._push(task)
        self.state.opened.clear()
        while self._later and (self._later[0][0] <= self._now or self._is_stale(*self._later[0])):
            self._push(self.state.tasks[heappop(self._later)[1]])
        for index in [i for i in self._busy if not self.state.tasks[i].running]:
            self._leave(self._busy.pop(index))

    def _is_early(self, task: TaskState) -> bool:
        """Whether the time of its retry is yet to come."""
        wait = task.trouble.retry_at - self._now
        # A clock set back between two dispatchers must not turn a short wait into a long one.
        return wait > 0 and (wait <= BACKOFF_CEILING or task.outcome == "usage limited")

    def _is_stale(self, retry_at: float, index: int) -> bool:
        """Whether the task no longer waits for that time: cancelled, say, or tried again by a person."""
        task = self.state.tasks[index]
        return not task.startable or task.trouble.retry_at != retry_at

    def _rank(self, task: TaskState) -> Rank:
        return (task.task.priority, -self._remaining[task.index], task.index)

    def _push(self, task: TaskState) -> None:
        if task.task.cli == "session" or not task.startable or self._is_early(task):
            return
        entry = (self._rank(task), task.index)
        lane = task.task.writes
        if not lane:
            self._offer(entry)
            return
        waiting = self._lanes.setdefault(lane, [])
        heappush(waiting, entry)
        if waiting[0] is entry and lane not in self._busy.values():
            self._offer(entry)

    def _offer(self, entry: tuple[Rank, int]) -> None:
        self._ready.push(entry, self._prefixes[entry[1]])

    def _leave(self, lane: Lane) -> None:
        """A lane is free again: its next task may go, and those of the lanes that it kept waiting."""
        for freed in (lane, *self._parked.pop(lane, ())):
            if waiting := self._lanes.get(freed):
                self._offer(waiting[0])

    def _skips(self) -> list[Action]:
        """All that the news doom, also through others: a long chain is one decision, not one a link."""
        found: dict[str, Action] = {}
        self._doomed += self.state.doomed
        self.state.doomed.clear()
        if not self._doomed or rounds.may_be_rescued(self.state):
            return []
        queue = [task for task in self._doomed if self._is_doomed(task)]
        self._doomed.clear()
        for task in queue:
            if task.task.id not in found:
                found[task.task.id] = Skip(task.task.id, self._why_dead(task, found))
                queue.extend(other for other in task.needed_by if not other.mark and not other.running)
        return list(found.values())

    def _is_doomed(self, task: TaskState) -> bool:
        return not task.mark and not task.running and any(n.mark in DEAD for n in self.state.needs_of(task))

    def _why_dead(self, task: TaskState, skipped: Collection[str]) -> str:
        needs = self.state.needs_of(task)
        need = next(need for need in needs if need.mark in DEAD or need.task.id in skipped)
        return f"dependency failed: it needs {need.task.id}, which {_VERBS[need.mark or 'skipped']}"

    def _lateness(self) -> str:
        deadline = self.deadline()
        if deadline is not None and self._now >= deadline and not self._all_ended():
            return f"the deadline of {self.plan.limits.deadline} has passed"
        return ""

    @property
    def shut(self) -> bool:
        """Whether nothing more is launched: no login, a failure that stops the run, the budget."""
        return bool(self.state.halted or self.state.stoppers or self._spent())

    def _spent(self) -> bool:
        return self.budget is not None and self.state.cost_usd >= self.budget

    def _unpaid(self) -> bool:
        """Whether the plan would be looked at again, were there money for it."""
        return self._spent() and rounds.wanted(self.state, datetime.fromtimestamp(self._now, UTC)) is not None

    def _launches(self) -> list[Action]:
        launches: list[Action] = []
        chosen: set[int] = set()
        self.held = None
        free = self.parallelism - len(self.state.launched)
        while len(launches) < free and (first := self._ready.first()):
            (_, index), kind = first
            task = self.state.tasks[index]
            if not task.startable or self._is_early(task):
                self._ready.take(kind)
                self._pass_over(task)
            elif kind and (hold := self._hold(task, kind)):
                self._ready.leave(kind)
                self.held = self.held or hold
            else:
                self._ready.take(kind)
                if index not in chosen and self._enter(task):
                    chosen.add(index)
                    ceiling = self._launch(task, kind, free - len(launches)) if kind else None
                    launches.append(Launch(task.task.id, task.number + 1, ceiling))
        self._ready.resume()
        if self._later and not self.held and self.governor:
            self.held = self.governor.paused(self._now)
        if launches:
            self.held = None
        return launches

    def _hold(self, task: TaskState, kind: str) -> Hold | None:
        if self.governor is None:
            return None
        left = None if self.budget is None else self.budget - self.state.cost_usd
        reserve = max(self._reserve(task.task), LEAST_CEILING)
        return self.governor.hold(kind, reserve, left, self.memory, self._now)

    def _launch(self, task: TaskState, kind: str, places: int) -> float | None:
        """Set apart what a worker may cost, one of `places` that can be launched now; returns the most, in dollars."""
        own, reserve, others = task.task.budget_usd, self._reserve(task.task), 0.0
        if self.budget is not None:
            soon = self._ready.count() + sum(1 for _, index in self._later if self._prefixes[index])
            others = self.governor.reserved if self.governor else 0.0
            own = share(own, reserve, self.budget - self.state.cost_usd - others, min(places, 1 + soon))
        if self.governor is not None:
            self.governor.launched(task.task.id, kind, reserve if own is None else own)
        return own

    def _reserve(self, task: Task) -> float:
        """What a worker will cost, in dollars: at most its own ceiling, else what its type cost before."""
        if task.budget_usd is not None:
            return task.budget_usd
        here = self.state.spending.get(task.worker) or self._spent_before.get(task.worker)
        return here.each if here else 0.0

    def _hopeless(self) -> str:
        """Why waiting is in vain: what is waited for comes after the deadline; else nothing."""
        deadline, wait = self.deadline(), self.held.until if self.held else None
        if wait is None and self._later and not self._ready:
            wait = self._later[0][0]
        if deadline is None or wait is None or wait < deadline or self.state.launched:
            return ""
        why = self.held.reason if self.held else "the next attempt is due later"
        return f"the deadline of {self.plan.limits.deadline} comes first: {why}"

    def _pass_over(self, task: TaskState) -> None:
        """A stale entry, of a task cancelled meanwhile, say, must not hold up the lane behind it."""
        if task.startable:
            # Here although it is early: the clock was set back when it came, and has caught up since.
            heappush(self._later, (task.trouble.retry_at, task.index))
        waiting = self._lanes.get(task.task.writes)
        if waiting and waiting[0][1] == task.index:
            heappop(waiting)
            if waiting:
                self._offer(waiting[0])

    def _enter(self, task: TaskState) -> bool:
        """Take the task's lane if no running task writes there; else wait behind the one that does."""
        lane = task.task.writes
        if not lane:
            return True
        for busy in self._busy.values():
            if busy == lane:
                return False
            if writes_overlap(busy, lane):
                self._parked.setdefault(busy, []).append(lane)
                return False
        waiting = self._lanes[lane]
        while waiting and waiting[0][1] != task.index:
            heappop(waiting)
        if waiting:
            heappop(waiting)
        self._busy[task.index] = lane
        return True

    def _all_completed(self) -> bool:
        return rounds.all_completed(self.state)

    def _all_ended(self) -> bool:
        return self.state.ended == len(self.state.tasks)

    def _unverified(self) -> bool:
        waits = self.state.replanning.proposed is not None
        open_ = bool(self.plan.verify) and self._all_completed() and self.state.verified is None
        return open_ and not waits and not self._nothing_planned()

    def _nothing_planned(self) -> str:
        """Why a plan that was to grow has no task at all; empty where it has one."""
        waits = self.state.replanning.proposed is not None
        if waits or self.plan.replan == "off" or any(not is_planning(task.task) for task in self.state.tasks):
            return ""
        over = rounds.planning_is_over(self.state) or "nothing came of it"
        return f"no task was planned: {one_line(over, 200)}"

    def _finish(self, late: str = "") -> Finish:
        state = self.state
        limit = rounds.limit_reached(state)
        if limit and not state.halted:
            return Finish(exits.LIMIT, limit)
        if self._unpaid() and not state.halted:
            return Finish(exits.LIMIT, f"the budget of {dollars(self.budget or 0)} is spent")
        if self._unverified():
            return Finish(exits.FAILED, "the plan's own verify was not run")
        if (
            not state.halted
            and not late
            and not state.tally["blocked"]
            and (nothing := self._nothing_planned())
        ):
            return Finish(exits.FAILED, nothing)
        waits = state.replanning.proposed is not None
        if self._all_completed() and not waits:
            verified = state.verified
            if verified and not verified.passed:
                return Finish(exits.FAILED, verified.reason)
            return Finish(exits.COMPLETED, "completed")
        if state.halted:
            return Finish(exits.ENVIRONMENT, state.halted)
        if late:
            return Finish(exits.LIMIT, late)
        if self._spent() and not self._all_ended():
            return Finish(exits.LIMIT, f"the budget of {dollars(self.budget or 0)} is spent")
        if waits:
            return Finish(exits.WAITS, "a revision of the plan waits for a person: approve or reject it")
        if state.tally["blocked"]:
            return Finish(exits.WAITS, "waiting for a person")
        if waiting := sessiontasks.waiting(state):
            return Finish(exits.WAITS, f"{waiting}: `orchestrate next` shows its tasks")
        if state.stoppers:
            return Finish(exits.FAILED, f"stopped by the failure of {', '.join(sorted(state.stoppers))}")
        return Finish(exits.FAILED, "not all tasks were completed")
