"""The plan as it would be with some changes, and which of them do not fit into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.core.drafts import Drafted, called
from orchestrator.core.graph import find_cycles
from orchestrator.core.hints import shown
from orchestrator.core.plan import Task
from orchestrator.core.replanning import is_planning
from orchestrator.core.revision import Change
from orchestrator.core.state import RunState
from orchestrator.core.text import one_line


class Op(Struct, eq=False):
    """One change on trial: `change` of a task that is there, or `drafted` ones to be added."""

    kind: str
    name: str
    change: Change | None = None
    drafted: tuple[Drafted, ...] = ()


class Fault(Struct, frozen=True):
    """Why one change does not fit."""

    op: Op
    why: str


class Trial:
    """The plan as it would be with all `ops`; `faults` are those that do not fit into it."""

    def __init__(
        self, state: RunState, now: Mapping[str, Task], ops: Sequence[Op], aliases: Mapping[str, str]
    ) -> None:
        self.ops = tuple(ops)
        self.tasks = dict(now)
        self.dropped: dict[str, str] = {}
        self.faults: list[Fault] = []
        self._state = state
        self._aliases = aliases
        self._ends: dict[str, tuple[str, ...]] = {}
        self._by: dict[str, Op] = {}
        self._renewed: set[str] = set()
        for op in ops:
            getattr(self, f"_{op.kind}")(op)
        for op in ops:
            for drafted in op.drafted:
                self._put_before(op, drafted)
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

    def _change(self, op: Op, **fields: object) -> None:
        assert op.change is not None
        # Another change of the same revision may have taken the task out.
        if op.change.task in self.tasks:
            self.tasks[op.change.task] = replace(self.tasks[op.change.task], **fields)
        else:
            self.faults.append(Fault(op, "the same revision takes it out"))

    def _insert(self, op: Op, drafted: Drafted, task: Task) -> None:
        needs = self._resolve(task.needs)
        after = tuple(name for name in self._resolve(task.after) if name not in needs)
        self.tasks[task.id] = replace(task, needs=needs, after=after)
        self._by[task.id] = op

    def _add(self, op: Op) -> None:
        self._insert(op, op.drafted[0], op.drafted[0].task)

    def _split(self, op: Op) -> None:
        assert op.change is not None
        parent = self.tasks.pop(op.change.task, None)
        if parent is None:
            self.faults.append(Fault(op, "the same revision takes it out"))
            return
        if begun := next(
            (t for t in self._state.by_id[parent.id].needed_by if self._has_begun(t.task.id)), None
        ):
            self.faults.append(Fault(op, f"{begun.task.id} needs it, which is {begun.status}"))
        inside = {drafted.task.id for drafted in op.drafted}
        for drafted in op.drafted:
            self._insert(op, drafted, drafted.task)
        waited_for = {name for part in inside for name in (*self.tasks[part].needs, *self.tasks[part].after)}
        waited_for |= {d.task.id for d in op.drafted if inside.intersection(self._resolve(d.draft.before))}
        ends = tuple(drafted.task.id for drafted in op.drafted if drafted.task.id not in waited_for)
        for part in (self.tasks[name] for name in inside):
            needs = tuple(dict.fromkeys((*parent.needs, *part.needs)))
            after = tuple(n for n in dict.fromkeys((*parent.after, *part.after)) if n not in needs)
            self.tasks[part.id] = replace(part, needs=needs, after=after)
        self._hand_on_proof(parent, inside, ends)
        names = ", ".join(drafted.task.id for drafted in op.drafted)
        self.dropped[parent.id] = f"split into {names}{because(op.change.reason)}"
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

    def _cancel(self, op: Op) -> None:
        assert op.change is not None
        if self.tasks.pop(op.change.task, None) is None:
            self.faults.append(Fault(op, "the same revision takes it out"))
            return
        self.dropped[op.change.task] = f"cancelled by a revision{because(op.change.reason)}"
        self._by[op.change.task] = op

    def _accept(self, op: Op) -> None:
        assert op.change is not None
        name = op.change.task
        if name not in self.tasks:
            self.faults.append(Fault(op, "the same revision takes it out"))
            return
        for task in list(self.tasks.values()):
            if name in task.needs and not self._is_settled(task.id):
                needs = tuple(n for n in task.needs if n != name)
                self.tasks[task.id] = replace(
                    task, needs=needs, after=tuple(dict.fromkeys((*task.after, name)))
                )

    def _reassign(self, op: Op) -> None:
        assert op.change is not None
        wanted = {"worker": op.change.worker, "model": op.change.model, "description": op.change.description}
        self._change(op, **{field: value for field, value in wanted.items() if value})
        self._renewed.add(op.change.task)

    def _rewire(self, op: Op) -> None:
        assert op.change is not None
        task = self.tasks.get(op.change.task)
        if task is None:
            self.faults.append(Fault(op, "the same revision takes it out"))
            return
        needs = task.needs if op.change.needs is None else self._resolve(op.change.needs)
        after = task.after if op.change.after is None else self._resolve(op.change.after)
        after = tuple(name for name in after if name not in needs)
        if (needs, after) == (task.needs, task.after):
            self.faults.append(Fault(op, "that is what it waits for already"))
        self._change(op, needs=needs, after=after)
        self._by[task.id] = op

    def _reorder(self, op: Op) -> None:
        assert op.change is not None
        self._change(op, priority=op.change.priority)

    def _ask(self, op: Op) -> None:
        assert op.change is not None
        if op.change.task and op.change.task not in self.tasks:
            self.faults.append(Fault(op, "the same revision takes it out"))
        self._renewed.add(op.change.task)

    def _put_before(self, op: Op, drafted: Drafted) -> None:
        """What must wait for a new task needs it; where that runs or is done already, those behind it do."""
        for target in self._resolve(drafted.draft.before):
            if why := self._why_not_before(target):
                self.faults.append(Fault(op, why))
                continue
            behind = [target]
            if self._has_begun(target):
                behind = [other.task.id for other in self._state.by_id[target].needed_by]
            for name in behind:
                if name in self.tasks and name != drafted.task.id and not self._is_settled(name):
                    self._wait_for(name, drafted.task.id)

    def _wait_for(self, name: str, new: str) -> None:
        task = self.tasks[name]
        if new not in task.needs:
            after = tuple(other for other in task.after if other != new)
            self.tasks[name] = replace(task, needs=(*task.needs, new), after=after)

    def _why_not_before(self, target: str) -> str:
        task = self.tasks.get(target)
        if task is None:
            return f"it is to come before {self._shown(target)}, which there is not"
        if is_planning(task):
            return f"it is to come before {target}, which belongs to the planning itself"
        if self._is_settled(target) and not self._has_begun(target):
            return f"it is to come before {target}, which is {self._state.by_id[target].status}"
        return ""

    def _has_begun(self, name: str) -> bool:
        known = self._state.by_id.get(name)
        return known is not None and (known.running or known.mark == "completed")

    def _is_settled(self, name: str) -> bool:
        """Whether no revision changes what a task waits for: it has begun, or was given up."""
        known = self._state.by_id.get(name)
        if known is None or name in self._renewed:
            return False
        return self._has_begun(name) or known.mark in ("failed", "cancelled")

    def _follow_dropped(self) -> None:
        """Who waited for a task that was split waits for its last parts; who came after a cancelled one, does not."""
        for name, task in self.tasks.items():
            if any(gone in self.dropped for gone in (*task.needs, *task.after)):
                ends = {} if self._has_begun(name) else self._ends
                needs = tuple(dict.fromkeys(n for need in task.needs for n in self._ends.get(need, (need,))))
                after = tuple(
                    dict.fromkeys(
                        n for first in task.after for n in ends.get(first, (first,))
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
                    self.faults.append(Fault(self._by[name], "a task cannot wait for itself"))
                elif need in task.needs and self._is_dead_end(name, need):
                    why = f"it needs {need}, which is {self._state.by_id[need].status}"
                    self.faults.append(Fault(self._by[name], why))

    def _shown(self, name: str) -> str:
        """A task as the revision calls it."""
        if name in self.tasks:
            return shown(called(self.tasks[name])) if name not in self._state.by_id else name
        return shown(next((alias for alias, new in self._aliases.items() if new == name), name))

    def _is_dead_end(self, name: str, need: str) -> bool:
        """Whether nothing can come of a new or rewired task, because what it needs will never be there."""
        known = self._state.by_id.get(need)
        if known is None or name not in self._by:
            return False
        given_up = known.mark in ("failed", "cancelled") and need not in self._renewed
        return given_up or need in self._state.replanning.deferred

    def _blame(self, name: str, need: str) -> None:
        cancelled = self._by.get(need)
        if cancelled is not None and cancelled.kind == "cancel":
            self.faults.append(Fault(cancelled, f"{self._shown(name)} needs it; cancel or rewire that too"))
        elif name in self._by:
            self.faults.append(Fault(self._by[name], f"it waits for {self._shown(need)}, which there is not"))

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
                shown(called(self.tasks[n]))[1:-1] for n in members[:10]
            )
            self.faults.append(Fault(new[0], why))


def because(reason: str) -> str:
    """A reason as the end of a sentence."""
    return f": {one_line(reason, 300)}" if reason else ""
