"""The tasks of a run and what holds between them: who waits for whom, what may start, what can never start.

Work is proportional to a task's own edges; only a changed plan and a retry look at every task.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from msgspec import Struct

from orchestrator.core.plan import Plan, Task
from orchestrator.core.replanning import Replanning, is_planning
from orchestrator.core.sameness import changes_work
from orchestrator.core.taskstate import DEAD, ENDED, TaskState, by_status
from orchestrator.core.workers import GENERAL, WorkerType
from orchestrator.errors import ImpossibleEvent

_FROM_INPUTS = ("completed", "failed", "blocked")


class Told(Struct, frozen=True):
    """What a person added for a task's next attempt: an answer, or permission rules."""

    text: str = ""
    allow: tuple[str, ...] = ()


class PlanState:
    """The plan that holds, and the facts about its tasks; the methods keep the counters true.

    `told` is by task: what its next attempt is told. `opened` and `doomed` are news for the scheduler: tasks that may
    start now, and tasks that never can.
    """

    def __init__(self) -> None:
        self.plan: Plan | None = None
        self.workers: dict[str, WorkerType] = {}
        self.told: dict[str, Told] = {}
        self.replanning = Replanning()
        self.tasks: list[TaskState] = []
        self.by_id: dict[str, TaskState] = {}
        self.retired: dict[str, TaskState] = {}
        self.seats = 0
        self.running: dict[str, TaskState] = {}
        self.tally: dict[str, int] = dict.fromkeys((*ENDED, "blocked"), 0)
        self.stoppers: set[str] = set()
        self.opened: list[TaskState] = []
        self.doomed: list[TaskState] = []

    def counts(self) -> dict[str, int]:
        """How many tasks have each status, in the order of STATUSES."""
        return by_status(self.tasks)

    @property
    def replans(self) -> bool:
        """Whether the plan may grow while it is carried out."""
        return self.plan is not None and self.plan.replan != "off"

    @property
    def tasks_proper(self) -> list[TaskState]:
        """The tasks of the plan without the program's own planning calls."""
        return [task for task in self.tasks if not is_planning(task.task)]

    @property
    def ended(self) -> int:
        """How many tasks have ended, however they ended."""
        return sum(self.tally[mark] for mark in ENDED)

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

    def _take_plan(self, plan: Plan, workers: dict[str, WorkerType], over: Collection[str] = ()) -> None:
        """Go on with `plan`: what is the same task still keeps its story, and so do those that are `over`."""
        known = {**self.retired, **self.by_id}
        asked_anew = self.plan is not None and self.plan.request != plan.request
        _refuse_unknown_tasks(plan)
        self._refuse_to_change_running(plan, workers, asked_anew)
        self.plan = plan
        self.tasks = [
            self._carry(known, task, i, workers, asked_anew, over) for i, task in enumerate(plan.tasks)
        ]
        self.workers = workers
        self.by_id = {task.task.id: task for task in self.tasks}
        self.retired = {name: task for name, task in known.items() if name not in self.by_id}
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
        over: Collection[str],
    ) -> TaskState:
        state = known.get(task.id)
        if state is None:
            self.seats += 1
            return TaskState(task, index, self.seats)
        if task.id not in over and self.makes_another(state.task, task, workers, asked_anew):
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

    def _is_stale(self, task: TaskState) -> bool:
        return task.basis != self._basis(task) or any(n.mark != "completed" for n in self.needs_of(task))

    def _task(self, name: str) -> TaskState:
        task = self.by_id.get(name)
        if task is None:
            raise ImpossibleEvent(f"no task {name} in the plan")
        return task

    @staticmethod
    def _story(task: TaskState) -> str:
        last = f", last outcome: {task.outcome}" if task.outcome else ""
        return f"{task.task.id} is {task.status} after {task.number} attempts{last}"


def _refuse_unknown_tasks(plan: Plan) -> None:
    ids = {task.id for task in plan.tasks}
    if len(ids) < len(plan.tasks) or any(
        not ids.issuperset(names) for t in plan.tasks for names in (t.needs, t.after) if names
    ):
        raise ImpossibleEvent("the plan has a task twice, or waits for one that it does not have")
