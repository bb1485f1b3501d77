"""A revision against the plan as it stands: what of it holds, what is refused and why, what there is no room for.

Nothing that runs or is done is touched, ids are given here, the plan stays without cycles, and a planner gets no
permission that a person did not give. What is refused is told in sentences, for whoever asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.core.admission import Admission, Candidate, admit
from orchestrator.core.drafts import Drafted, Drafts, alike
from orchestrator.core.graph import find_cycles
from orchestrator.core.hints import Hints, shown
from orchestrator.core.plan import Task
from orchestrator.core.replanning import Origin, is_planning
from orchestrator.core.revision import PRIORITIES, By, Change, Revision
from orchestrator.core.state import RunState, TaskState
from orchestrator.core.text import one_line
from orchestrator.core.workers import WorkerType

FAILED = ("failed", "blocked", "skipped")


class Revised(Struct, frozen=True, kw_only=True):
    """What a revision comes to; `tasks` are those that are new or another now, whole.

    `dropped`, `deferred` and `asked` say why, by id; `asked[""]` is a question about the whole. `changes`, `refused`
    and `near` (what looks like a task that is there) are sentences.
    """

    tasks: tuple[Task, ...] = ()
    dropped: dict[str, str] = {}
    deferred: dict[str, str] = {}
    asked: dict[str, str] = {}
    origins: dict[str, Origin] = {}
    reassigned: tuple[str, ...] = ()
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


class _Op(Struct, eq=False):
    """One change on trial: `change` of a task that is there, or `drafted` ones to be added."""

    kind: str
    name: str
    change: Change | None = None
    drafted: tuple[Drafted, ...] = ()


class _Fault(Struct, frozen=True):
    op: _Op
    why: str


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
        self._types = types
        self._now = {task.task.id: task.task for task in state.tasks}
        self._hints = Hints(self._now)
        self._refused: list[str] = []
        self._near: list[str] = []
        self._drafts = Drafts(state, types, by, considered, first)
        self._ops: list[_Op] = []

    def result(self) -> Revised:
        self._ops = [*self._changes(), *self._additions()]
        while True:
            built = _Build(self._state, self._now, self._ops, self._drafts.aliases)
            admission = self._admit(built)
            faults = [*built.faults, *self._out_of_room(built, admission)]
            if not faults:
                return self._revised(built, admission)
            for fault in faults:
                if fault.op in self._ops:
                    self._ops.remove(fault.op)
                    self._refuse(fault.op.name, fault.why)

    def _refuse(self, what: str, why: str) -> None:
        self._refused.append(one_line(f"{what}: {why}", 500))

    def _changes(self) -> Iterator[_Op]:
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
                    yield _Op(kind, name, change, drafted)
                else:
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
        if kind == "cancel" and task.mark == "failed":
            return "it has failed, which cannot be undone; reassign, split or accept it, or ask"
        if kind == "accept" and task.mark not in FAILED:
            return f"it is {task.status}: there is nothing to go on without"
        if kind in ("reorder", "rewire") and task.mark == "failed":
            return "it has failed; reassign, split or accept it, or ask"
        if kind == "reorder" and change.priority not in PRIORITIES:
            return f"{shown(change.priority)} is not one of {', '.join(PRIORITIES)}"
        if kind == "rewire" and change.needs is None and change.after is None:
            return "it says neither what the task needs nor what it comes after"
        if kind == "ask" and not change.question:
            return "it asks nothing"
        return self._drafts.why_not_reassigned(change, task) if kind == "reassign" else ""

    def _additions(self) -> Iterator[_Op]:
        for drafted in self._drafts.additions(self._revision.add, self._refuse):
            yield _Op("add", f"add {shown(drafted.task.name)}", None, (drafted,))

    def _admit(self, built: _Build) -> Admission:
        plan = self._state.plan
        assert plan is not None
        groups = [
            Candidate(
                ids=tuple(drafted.task.id for drafted in op.drafted),
                priority=min(built.tasks[drafted.task.id].priority for drafted in op.drafted),
                depth=max(drafted.origin.depth for drafted in op.drafted),
                replaces=op.kind == "split",
            )
            for op in built.ops
            if op.drafted
        ]
        return admit(plan.limits, self._state, built.tasks, groups, frozenset(built.dropped))

    def _out_of_room(self, built: _Build, admission: Admission) -> Iterator[_Fault]:
        """Splits without room for their parts, and changes that would make a task wait for one put off."""
        for op in built.ops:
            if op.kind == "split" and any(drafted.task.id in admission.deferred for drafted in op.drafted):
                yield _Fault(op, admission.deferred[op.drafted[0].task.id])
            elif op.kind == "rewire" and op.change is not None:
                task = built.tasks.get(op.change.task)
                if task and any(name in admission.deferred for name in (*task.needs, *task.after)):
                    yield _Fault(op, "it would wait for a task that there is no room for")

    def _revised(self, built: _Build, admission: Admission) -> Revised:
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
            reassigned=tuple(op.change.task for op in built.ops if op.kind == "reassign" and op.change),
            changes=tuple(_told(op, ids, deferred) for op in built.ops),
            refused=tuple(self._refused),
            near=tuple(alike(self._now, [_renamed(tasks[one.task.id], ids) for one in drafted])),
        )


class _Build:
    """The plan as it would be with all `ops`; `faults` are those that do not fit into it."""

    def __init__(
        self, state: RunState, now: Mapping[str, Task], ops: Sequence[_Op], aliases: Mapping[str, str]
    ) -> None:
        self.ops = tuple(ops)
        self.tasks = dict(now)
        self.dropped: dict[str, str] = {}
        self.faults: list[_Fault] = []
        self._state = state
        self._aliases = aliases
        self._ends: dict[str, tuple[str, ...]] = {}
        self._by: dict[str, _Op] = {}
        for op in ops:
            getattr(self, f"_{op.kind}")(op)
        for op in ops:
            for drafted in op.drafted:
                self._put_before(drafted)
        self._follow_dropped()
        self._find_unknown()
        if not self.faults:
            self._find_cycles()

    def without_waiting_for(self, deferred: Mapping[str, str]) -> dict[str, Task]:
        """The tasks; those that were there do not wait for new ones that are put off."""
        if not deferred:
            return self.tasks
        found = {}
        for name, task in self.tasks.items():
            if name not in deferred and any(n in deferred for n in (*task.needs, *task.after)):
                task = replace(
                    task,
                    needs=tuple(n for n in task.needs if n not in deferred),
                    after=tuple(n for n in task.after if n not in deferred),
                )
            found[name] = task
        return found

    def _resolve(self, names: Sequence[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self._aliases.get(name, name) for name in names))

    def _change(self, op: _Op, **fields: object) -> None:
        assert op.change is not None
        # Another change of the same revision may have taken the task out.
        if op.change.task in self.tasks:
            self.tasks[op.change.task] = replace(self.tasks[op.change.task], **fields)
            self._by[op.change.task] = op
        else:
            self.faults.append(_Fault(op, "the same revision takes it out"))

    def _insert(self, op: _Op, drafted: Drafted, task: Task) -> None:
        needs = self._resolve(task.needs)
        after = tuple(name for name in self._resolve(task.after) if name not in needs)
        self.tasks[task.id] = replace(task, needs=needs, after=after)
        self._by[task.id] = op

    def _add(self, op: _Op) -> None:
        self._insert(op, op.drafted[0], op.drafted[0].task)

    def _split(self, op: _Op) -> None:
        assert op.change is not None
        parent = self.tasks.pop(op.change.task, None)
        if parent is None:
            self.faults.append(_Fault(op, "the same revision takes it out"))
            return
        inside = {drafted.task.id for drafted in op.drafted}
        for drafted in op.drafted:
            self._insert(op, drafted, drafted.task)
        waited_for = {name for part in inside for name in (*self.tasks[part].needs, *self.tasks[part].after)}
        ends = tuple(drafted.task.id for drafted in op.drafted if drafted.task.id not in waited_for)
        for part in (self.tasks[name] for name in inside):
            needs = tuple(dict.fromkeys((*parent.needs, *part.needs)))
            after = tuple(n for n in dict.fromkeys((*parent.after, *part.after)) if n not in needs)
            self.tasks[part.id] = replace(part, needs=needs, after=after)
        self._hand_on_proof(parent, inside, ends)
        names = ", ".join(drafted.task.id for drafted in op.drafted)
        self.dropped[parent.id] = f"split into {names}{_because(op.change.reason)}"
        self._ends[parent.id] = ends

    def _hand_on_proof(self, parent: Task, inside: set[str], ends: Sequence[str]) -> None:
        """What had to be shown of the whole has to be shown of its last parts, unless a part says so already."""
        proven = [self.tasks[name] for name in inside]
        lost = {
            field: getattr(parent, field)
            for field in ("artifacts", "verify")
            if not set(getattr(parent, field)) <= {one for task in proven for one in getattr(task, field)}
        }
        for name in ends:
            end = self.tasks[name]
            more = {
                field: tuple(dict.fromkeys((*getattr(end, field), *value))) for field, value in lost.items()
            }
            self.tasks[name] = replace(end, **more) if more else end

    def _cancel(self, op: _Op) -> None:
        assert op.change is not None
        if self.tasks.pop(op.change.task, None) is None:
            self.faults.append(_Fault(op, "the same revision takes it out"))
            return
        self.dropped[op.change.task] = f"cancelled by a revision{_because(op.change.reason)}"
        self._by[op.change.task] = op

    def _accept(self, op: _Op) -> None:
        assert op.change is not None
        name = op.change.task
        for dependent in self._state.by_id[name].needed_by:
            task = self.tasks.get(dependent.task.id)
            if task is not None and not dependent.running and dependent.mark != "completed":
                needs = tuple(n for n in task.needs if n != name)
                self.tasks[task.id] = replace(task, needs=needs, after=(*task.after, name))

    def _reassign(self, op: _Op) -> None:
        assert op.change is not None
        wanted = {"worker": op.change.worker, "model": op.change.model, "description": op.change.description}
        self._change(op, **{field: value for field, value in wanted.items() if value})

    def _rewire(self, op: _Op) -> None:
        assert op.change is not None
        task = self.tasks.get(op.change.task)
        if task is None:
            self.faults.append(_Fault(op, "the same revision takes it out"))
            return
        needs = task.needs if op.change.needs is None else self._resolve(op.change.needs)
        after = task.after if op.change.after is None else self._resolve(op.change.after)
        self._change(op, needs=needs, after=tuple(name for name in after if name not in needs))

    def _reorder(self, op: _Op) -> None:
        assert op.change is not None
        self._change(op, priority=op.change.priority)

    def _ask(self, op: _Op) -> None:
        assert op.change is not None
        if op.change.task and op.change.task not in self.tasks:
            self.faults.append(_Fault(op, "the same revision takes it out"))

    def _put_before(self, drafted: Drafted) -> None:
        """What must wait for a new task needs it; where that runs or is done already, those behind it do."""
        for target in self._resolve(drafted.draft.before):
            known = self._state.by_id.get(target)
            begun = known is not None and (known.running or known.mark == "completed")
            behind = [other.task.id for other in known.needed_by] if known and begun else [target]
            for name in behind:
                other, task = self._state.by_id.get(name), self.tasks.get(name)
                touched = other is not None and (other.running or other.mark == "completed")
                if (
                    task is not None
                    and not touched
                    and drafted.task.id not in task.needs
                    and task.id != drafted.task.id
                ):
                    after = tuple(n for n in task.after if n != drafted.task.id)
                    self.tasks[name] = replace(task, needs=(*task.needs, drafted.task.id), after=after)

    def _follow_dropped(self) -> None:
        """Who waited for a task that was split waits for its last parts; who came after a cancelled one, does not."""
        for name, task in self.tasks.items():
            if any(gone in self.dropped for gone in (*task.needs, *task.after)):
                needs = tuple(dict.fromkeys(n for need in task.needs for n in self._ends.get(need, (need,))))
                after = tuple(
                    dict.fromkeys(
                        n for first in task.after for n in self._ends.get(first, (first,))
                        if n in self.tasks and n not in needs
                    )
                )  # fmt: skip
                self.tasks[name] = replace(task, needs=needs, after=after)

    def _find_unknown(self) -> None:
        for name, task in self.tasks.items():
            for need in (*task.needs, *task.after):
                if need not in self.tasks:
                    self._blame(name, need)
                elif need == name:
                    self.faults.append(_Fault(self._by[name], "a task cannot wait for itself"))
                elif need in task.needs and self._is_dead_end(name, need):
                    why = f"it needs {need}, which is {self._state.by_id[need].status}"
                    self.faults.append(_Fault(self._by[name], why))

    def _is_dead_end(self, name: str, need: str) -> bool:
        """Whether nothing can come of a new or rewired task, because what it needs will never be there."""
        known = self._state.by_id.get(need)
        if known is None or name not in self._by or need in self._by:
            return False
        given_up = known.mark in ("failed", "cancelled") or need in self._state.replanning.deferred
        return given_up and self._by[name].kind in ("add", "split", "rewire")

    def _blame(self, name: str, need: str) -> None:
        cancelled = self._by.get(need)
        if cancelled is not None and cancelled.kind == "cancel":
            self.faults.append(_Fault(cancelled, f"{name} needs it; cancel or rewire that too"))
        elif name in self._by:
            self.faults.append(_Fault(self._by[name], f"it waits for {shown(need)}, which there is not"))

    def _find_cycles(self) -> None:
        names = list(self.tasks)
        at = {name: i for i, name in enumerate(names)}
        tasks = self.tasks.values()
        edges = [[at[name] for name in (*task.needs, *task.after)] for task in tasks]
        for cycle in find_cycles(edges):
            members = [names[i] for i in cycle]
            guilty = [self._by[name] for name in members if name in self._by]
            new = [op for op in guilty if op.drafted] or guilty
            why = "it would close a cycle: " + " -> ".join(
                shown(self.tasks[n].name)[1:-1] for n in members[:10]
            )
            self.faults.append(_Fault(new[0], why))


def _because(reason: str) -> str:
    return f": {one_line(reason, 300)}" if reason else ""


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


def _told(op: _Op, ids: Mapping[str, str], deferred: Mapping[str, str]) -> str:
    """An accepted change in a sentence."""
    if op.change is None:
        drafted = op.drafted[0]
        task, name = drafted.task, drafted.task.id
        verb = "put off" if name in deferred else "added"
        led = f", from {drafted.origin.of}" if drafted.origin.of else ""
        what = f"{verb} {ids[name]} {one_line(task.name, 80)} ({task.worker}, {task.priority}{led})"
        return what + _because(drafted.draft.reason)
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
    return what + _because(change.reason)


_DONE = {"cancel": "cancelled", "accept": "goes on without", "rewire": "changed what comes before"}
