"""A revision against the plan as it stands: what of it holds, what is refused and why, what there is no room for.

Nothing that runs or is done is touched, ids are given here, the plan stays without cycles, and a planner gets no
permission that a person did not give. What is refused is told in sentences, for whoever asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.core.admission import MOST_DEFERRED, Admission, Candidate, admit
from orchestrator.core.drafts import Drafts, alike, called
from orchestrator.core.events import Origin
from orchestrator.core.hints import Hints, shown
from orchestrator.core.plan import PRIORITIES, Task
from orchestrator.core.replanning import is_planning
from orchestrator.core.revision import By, Change, Revision, whole
from orchestrator.core.state import RunState, TaskState
from orchestrator.core.text import one_line
from orchestrator.core.trial import Fault, Op, Trial, because
from orchestrator.core.workers import WorkerType

MOST_REFUSED = 200
"""Sentences about what does not hold: more than anybody reads, and what the journal keeps of a flood."""

GIVEN_UP = ("failed", "skipped")


class Revised(Struct, frozen=True, kw_only=True):
    """What a revision comes to; `tasks` are those that are new or another now, whole.

    `dropped`, `deferred` and `asked` say why, by id; `asked[""]` is a question about the whole. `changes`, `refused`
    and `near` (what looks like a task that is there) are sentences. `in_vain`: all it changes is put off, or was taken
    out before.
    """

    tasks: tuple[Task, ...] = ()
    dropped: dict[str, str] = {}
    deferred: dict[str, str] = {}
    asked: dict[str, str] = {}
    origins: dict[str, Origin] = {}
    reassigned: tuple[str, ...] = ()
    in_vain: bool = False
    changes: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    near: tuple[str, ...] = ()


def revised(
    state: RunState,
    revision: Revision,
    types: Mapping[str, WorkerType],
    by: By,
    considered: Sequence[str] = (),
    *,
    first: bool = False,
) -> Revised:
    """What holds of `revision` now.

    Args:
        types: the worker types that there are.
        considered: the tasks whose reports it follows from.
        first: it makes the first tasks of a run, which no discovery led to.
    """
    return _Reviser(state, revision, types, by, considered, first).result()


class _Reviser:
    def __init__(
        self,
        state: RunState,
        revision: Revision,
        types: Mapping[str, WorkerType],
        by: By,
        considered: Sequence[str],
        first: bool,
    ) -> None:
        self._state = state
        self._revision = revision
        self._by = by
        self._now = {task.task.id: task.task for task in state.tasks}
        self._hints = Hints(self._now)
        self._refused: list[str] = []
        self._drafts = Drafts(state, types, by, considered, first)
        self._ops: list[Op] = []

    def result(self) -> Revised:
        self._ops = [*self._changes(), *self._additions()]
        while True:
            built = Trial(self._state, self._now, self._ops, self._drafts.aliases)
            admission = self._admit(built)
            faults = [*built.faults, *self._contradictions(built), *self._out_of_room(built, admission)]
            if not faults:
                return self._revised(built, admission)
            for fault in faults:
                if fault.op in self._ops:
                    self._ops.remove(fault.op)
                    self._refuse(fault.op.name, fault.why)

    def _refuse(self, what: str, why: str) -> None:
        if len(self._refused) < MOST_REFUSED:
            self._refused.append(one_line(whole(f"{what}: {why}"), 500))

    def _changes(self) -> Iterator[Op]:
        """What is asked of tasks that are there, and that they allow."""
        seen: set[tuple[str, str]] = set()
        for kind in ("split", "cancel", "accept", "reassign", "rewire", "reorder", "ask"):
            for change in getattr(self._revision, kind):
                name = f"{kind} {one_line(change.task, 64)}".strip()
                why = self._why_not(kind, change)
                if not why and (change.task, kind) in seen:
                    why = "it stands there twice"
                if why:
                    self._refuse(name, why)
                    continue
                seen.add((change.task, kind))
                drafted = tuple(self._drafts.parts(change, self._refuse)) if kind == "split" else ()
                if kind != "split" or len(drafted) == len(change.into) > 0:
                    yield Op(kind, name, change, drafted)
                else:
                    self._drafts.forget(drafted)
                    self._refuse(name, "not all of its parts can be")

    def _why_not(self, kind: str, change: Change) -> str:
        if kind == "ask" and not change.task:
            return "" if change.question else "it asks nothing"
        task = self._state.by_id.get(change.task)
        if task is None:
            retired = " any more" if change.task in self._state.retired else ""
            return f"there is no task {shown(change.task)}{retired}{self._hints.question(change.task)}"
        if is_planning(task.task):
            return "it belongs to the planning itself"
        if task.running:
            return "it is running; what runs is not changed"
        if task.mark in ("completed", "cancelled"):
            return f"it is {task.mark}"
        return self._why_not_so(kind, change, task)

    def _why_not_so(self, kind: str, change: Change, task: TaskState) -> str:
        mine = self._by == "person" or task.task.on_failure != "escalate"
        if kind in ("cancel", "accept", "rewire") and task.mark in ("failed", "blocked") and not mine:
            return "a person decides about it, as its on_failure says; reassign or split it, or ask"
        if kind == "cancel" and task.mark == "failed":
            return "it has failed, which cannot be undone; reassign, split or accept it, or ask"
        if kind == "accept" and task.mark not in GIVEN_UP:
            return f"it is {task.status}: there is nothing to go on without"
        if kind in ("reorder", "rewire") and task.mark == "failed":
            return "it has failed; reassign, split or accept it, or ask"
        if kind in ("reassign", "ask") and task.task.id in self._state.replanning.deferred:
            return "it is put off; a person can still have it run"
        if kind == "reorder" and change.priority not in PRIORITIES:
            return f"{shown(change.priority)} is not one of {', '.join(PRIORITIES)}"
        if kind == "reorder" and change.priority == task.task.priority:
            return "that is its priority already"
        if kind == "rewire" and change.needs is None and change.after is None:
            return "it says neither what the task needs nor what it comes after"
        if kind == "ask" and not change.question:
            return "it asks nothing"
        if kind == "ask" and task.mark == "blocked" and task.reason == change.question:
            return "it waits for an answer to that already"
        if kind == "split" and task.task.cli == "shell" and self._by == "planner":
            return "it is a command, not a worker's task"
        return self._drafts.why_not_reassigned(change, task) if kind == "reassign" else ""

    def _additions(self) -> Iterator[Op]:
        for drafted in self._drafts.additions(self._revision.add, self._refuse):
            yield Op("add", f"add {shown(called(drafted.task))}", None, (drafted,))

    def _admit(self, built: Trial) -> Admission:
        plan = self._state.plan
        assert plan is not None
        groups = [
            Candidate(
                ids=tuple(drafted.task.id for drafted in op.drafted),
                priority=min(built.tasks[drafted.task.id].priority for drafted in op.drafted),
                depth=max(drafted.origin.depth for drafted in op.drafted),
            )
            for op in built.ops
            if op.drafted
        ]
        asked = {op.change.task for op in built.ops if op.kind == "ask" and op.change}
        return admit(plan.limits, self._state, built.tasks, groups, frozenset(built.dropped), asked)

    def _contradictions(self, built: Trial) -> Iterator[Fault]:
        """Changes that take out a task, or give it to others, of which the same revision adds a duplicate."""
        for op in built.ops:
            if op.change is None or op.change.task not in self._drafts.wanted_again:
                continue
            if op.kind in ("cancel", "split") or (op.kind == "reassign" and op.change.worker):
                yield Fault(op, "the same revision adds it again")

    def _out_of_room(self, built: Trial, admission: Admission) -> Iterator[Fault]:
        """Splits without room for their parts, changes that would make a task wait for one put off, and new tasks
        beyond as many as are put off and kept."""
        kept = MOST_DEFERRED - len(self._state.replanning.deferred)
        put_off = [name for name in admission.deferred if name not in self._now]
        too_many = frozenset(put_off[max(kept, 0) :])
        for op in built.ops:
            if op.kind == "add" and op.drafted[0].task.id in too_many:
                yield Fault(
                    op, f"{admission.deferred[op.drafted[0].task.id]}, and {MOST_DEFERRED} wait already"
                )
            if op.kind == "split" and any(drafted.task.id in admission.deferred for drafted in op.drafted):
                yield Fault(op, admission.deferred[op.drafted[0].task.id])
            elif op.kind == "rewire" and op.change is not None and op.change.task not in admission.deferred:
                task = built.tasks.get(op.change.task)
                if task and any(name in admission.deferred for name in (*task.needs, *task.after)):
                    yield Fault(op, "it would wait for a task that there is no room for")

    def _revised(self, built: Trial, admission: Admission) -> Revised:
        deferred = admission.deferred
        tasks = built.without_waiting_for(deferred)
        ids = self._drafts.final_ids(tasks)
        changed = [
            _renamed(task, ids) for name, task in tasks.items() if name in ids or task != self._now.get(name)
        ]
        drafted = [one for op in built.ops for one in op.drafted]
        return Revised(
            tasks=tuple(changed),
            dropped={name: _with_ids(why, ids) for name, why in built.dropped.items()},
            deferred={ids.get(name, name): why for name, why in deferred.items()},
            asked={op.change.task: op.change.question for op in built.ops if op.kind == "ask" and op.change},
            origins={ids[one.task.id]: one.origin for one in drafted},
            reassigned=tuple(self._helped(built.ops)),
            in_vain=bool(built.ops) and all(self._is_in_vain(op, deferred) for op in built.ops),
            changes=tuple(_told(op, ids, deferred) for op in built.ops),
            refused=tuple(self._refused),
            near=tuple(alike(self._now, [_renamed(tasks[one.task.id], ids) for one in drafted])),
        )

    def _is_in_vain(self, op: Op, deferred: Mapping[str, str]) -> bool:
        """Whether nothing comes of a change, or it goes to and fro: adding and cancelling the same is no progress."""
        if op.kind == "add":
            return op.drafted[0].task.id in deferred or op.drafted[0].task.id in self._drafts.taken_up
        return (
            op.kind == "cancel" and op.change is not None and self._drafts.was_gone(self._now[op.change.task])
        )

    def _helped(self, ops: Iterable[Op]) -> Iterator[str]:
        """The failed tasks that are reassigned: for a task that has not failed yet this step of recovery is left."""
        for op in ops:
            if op.kind == "reassign" and op.change and self._state.by_id[op.change.task].gave_up:
                yield op.change.task


def _renamed(task: Task, ids: Mapping[str, str]) -> Task:
    if not any(name in ids for name in (task.id, *task.needs, *task.after)):
        return task
    return replace(
        task,
        id=ids.get(task.id, task.id),
        needs=tuple(ids.get(name, name) for name in task.needs),
        after=tuple(ids.get(name, name) for name in task.after),
    )


def _with_ids(text: str, ids: Mapping[str, str]) -> str:
    for name, final in ids.items():
        text = text.replace(name, final)
    return text


def _told(op: Op, ids: Mapping[str, str], deferred: Mapping[str, str]) -> str:
    """An accepted change in a sentence."""
    if op.change is None:
        drafted = op.drafted[0]
        task, name = drafted.task, drafted.task.id
        verb = "put off" if name in deferred else "added"
        led = f", from {drafted.origin.of}" if drafted.origin.of else ""
        what = f"{verb} {ids[name]} {called(task)} ({task.worker}, {task.priority}{led})"
        return what + because(drafted.draft.reason)
    change, what = op.change, op.name
    if op.kind == "split":
        what = f"split {change.task} into {', '.join(ids[drafted.task.id] for drafted in op.drafted)}"
    elif op.kind == "reassign":
        to = " ".join(word for word in (change.worker, change.model) if word)
        what = f"reassigned {change.task}" + (f" to {to}" if to else ", with another description")
    elif op.kind == "reorder":
        what = f"{change.task} has priority {change.priority} now"
    elif op.kind == "ask":
        what = f"asked a person{f' about {change.task}' if change.task else ''}: {one_line(change.question, 300)}"
    else:
        what = f"{_DONE[op.kind]} {change.task}"
    return what + because(change.reason)


_DONE = {"cancel": "cancelled", "accept": "goes on without", "rewire": "changed what comes before"}
