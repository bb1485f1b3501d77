"""Which new tasks there is room for: the limits on number, growth and depth; what must be comes first.

A task without room is not lost: it stays in the plan, skipped as deferred, and a person can still have it run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from msgspec import Struct

from orchestrator.core.plan import Limits, Task
from orchestrator.core.replanning import is_planning
from orchestrator.core.state import RunState

MOST_DEFERRED = 100
"""Tasks that are put off and kept in the plan: what a person still looks through. More are only refused."""


class Candidate(Struct, frozen=True):
    """New tasks that come together or not at all: one, or the parts of a task that they replace."""

    ids: tuple[str, ...]
    priority: str
    depth: int


class Admission(Struct, frozen=True):
    """What is put off, and why, by id."""

    deferred: dict[str, str]


def admit(
    limits: Limits,
    state: RunState,
    tasks: Mapping[str, Task],
    candidates: Sequence[Candidate],
    dropped: Collection[str],
    asked: Collection[str] = (),
) -> Admission:
    """Put off what the limits leave no room for: the least important first, new tasks before known ones.

    Args:
        tasks: the plan as it would be with all candidates.
        dropped: tasks that it no longer holds.
        asked: tasks that a person is asked about now, which are not put off.
    """
    return _Room(limits, state, tasks, candidates, dropped, asked).admission()


class _Room:
    def __init__(
        self,
        limits: Limits,
        state: RunState,
        tasks: Mapping[str, Task],
        candidates: Sequence[Candidate],
        dropped: Collection[str],
        asked: Collection[str],
    ) -> None:
        self._limits = limits
        self._state = state
        self._tasks = tasks
        self._asked = asked
        self._candidates = sorted(candidates, key=lambda candidate: candidate.priority)
        self._group = {name: candidate for candidate in candidates for name in candidate.ids}
        known = [t for t in state.tasks if not is_planning(t.task) and t.task.id not in dropped]
        self._room = limits.max_tasks - sum(t.task.id not in state.replanning.deferred for t in known)
        self._growth = limits.max_growth
        self._in: set[str] = set()
        self._deferred: dict[str, str] = {}

    def admission(self) -> Admission:
        for candidate in self._candidates:
            if candidate.ids[0] not in self._in and candidate.ids[0] not in self._deferred:
                self._try(candidate)
        return Admission(self._deferred)

    def _try(self, candidate: Candidate) -> None:
        wanted = self._with_needs(candidate)
        why = self._why_not(candidate, wanted)
        if why:
            self._deferred |= dict.fromkeys(candidate.ids, why)
            return
        names = [name for one in wanted for name in one.ids]
        while len(names) > self._room and (other := self._less_important(candidate.priority)):
            self._deferred[other] = f"makes room for what is more important ({self._full()})"
            self._room += 1
        self._in.update(names)
        self._room -= len(names)
        self._growth -= len(names)

    def _with_needs(self, candidate: Candidate) -> list[Candidate]:
        """The candidate, and the new ones that it cannot do without."""
        found, queue = {candidate.ids: candidate}, [candidate]
        while queue:
            for name in queue.pop().ids:
                for need in (*self._tasks[name].needs, *self._tasks[name].after):
                    other = self._group.get(need)
                    if other is not None and need not in self._in and other.ids not in found:
                        found[other.ids] = other
                        queue.append(other)
        return list(found.values())

    def _why_not(self, candidate: Candidate, wanted: Sequence[Candidate]) -> str:
        names = [name for one in wanted for name in one.ids]
        if gone := next((name for name in names if name in self._deferred), ""):
            return self._deferred[gone]
        if any(one.depth > self._limits.max_depth for one in wanted):
            return f"deferred: deeper than max_depth of {self._limits.max_depth}"
        if len(names) > self._growth:
            return f"deferred: max_growth of {self._limits.max_growth} is reached"
        if len(names) > self._room + len(list(self._all_less_important(candidate.priority))):
            return f"deferred: {self._full()}"
        return ""

    def _full(self) -> str:
        return f"max_tasks of {self._limits.max_tasks} is reached"

    def _less_important(self, priority: str) -> str:
        return max(
            self._all_less_important(priority),
            key=lambda name: (self._tasks[name].priority, name),
            default="",
        )

    def _all_less_important(self, priority: str) -> Iterable[str]:
        """Known tasks, found on the way, that nobody began or waits for and that matter less."""
        waited_for = {n for task in self._tasks.values() for n in (*task.needs, *task.after)}
        for task in self._state.tasks:
            name = task.task.id
            if (
                name in self._tasks
                and name not in self._asked
                and self._tasks[name].priority > priority
                and self._state.replanning.origin_of(name).depth
                and not (task.number or task.mark or name in waited_for or name in self._deferred)
            ):
                yield name
