"""Drafts of tasks made into tasks: what a planner may set, what is there already, which ids they get."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count, islice
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from orchestrator.core import checks
from orchestrator.core.events import Origin
from orchestrator.core.hints import Hints, shown
from orchestrator.core.plan import Plan, Task
from orchestrator.core.replanning import is_planning
from orchestrator.core.revision import PLANNERS_FIELDS, By, Change, Draft
from orchestrator.core.state import RunState, TaskState
from orchestrator.core.text import one_line
from orchestrator.core.workers import BUNDLED, PLANNER, WorkerType

MODELS = ("haiku", "sonnet", "opus")
"""Names of models that a planner may choose beside those of the plan; the budget bounds what they cost."""

ALIKE = 0.6
"""Share of common words (Jaccard index) from which two titles look alike: `Add the login page` and `Add login`."""

MOST_ALIKE = 20
"""Pairs that are told of one revision: each is a line of the next prompt."""

Refuse = Callable[[str, str], None]

_NEW = "new:{:06d}"


class Drafted(Struct, frozen=True):
    """A draft made into a task, whose id and dependencies still go by the names of the revision."""

    draft: Draft
    task: Task
    origin: Origin


class Drafts:
    """Makes tasks of all the drafts of one revision.

    `aliases` are what the revision calls its new tasks, `wanted_again` the tasks of which it drafts duplicates,
    `taken_up` the new tasks that are what a revision took out before.
    """

    def __init__(
        self,
        state: RunState,
        types: Mapping[str, WorkerType],
        by: By,
        considered: Sequence[str],
        first: bool,
    ) -> None:
        self.aliases: dict[str, str] = {}
        self.wanted_again: set[str] = set()
        self.taken_up: set[str] = set()
        self._state = state
        self._by = by
        self._first = first
        self._considered = considered
        self._count = 0
        self._types = {name: worker for name, worker in types.items() if name != PLANNER}
        if by == "planner":
            own = {task.task.worker for task in state.tasks}
            self._types = {n: w for n, w in self._types.items() if n in BUNDLED or n in own}
        self._commands = {line for task in state.tasks for line in task.task.verify}
        self._commands |= set(state.plan.verify if state.plan else ())
        self._models = {
            *MODELS,
            *(m for t in state.tasks for m in (t.task.model, t.task.fallback_model) if m),
        }
        self._same = {sameness(task.task): task for task in state.tasks}
        gone = (task for task in state.retired.values() if task.mark == "cancelled")
        self._gone = {sameness(task.task): task for task in gone if not is_planning(task.task)}
        self._made: dict[object, str] = {}

    def additions(self, drafts: Sequence[Draft], refuse: Refuse) -> Iterator[Drafted]:
        """The drafts of new tasks that are tasks and are not there already."""
        for draft in drafts:
            depth = 0 if self._first or self._by == "person" else 1 + self._led_by(draft).depth
            origin = Origin(depth, self._leader(draft), self._state.replanning.rounds + 1)
            made = self._drafted(draft, {}, origin, refuse)
            if made is not None and not self._is_there(made, refuse):
                yield made

    def parts(self, change: Change, refuse: Refuse) -> Iterator[Drafted]:
        """The parts of a task that is split; what they do not say of their own is as it was of the whole."""
        parent = self._state.by_id[change.task].task
        of = self._state.replanning.origin_of(parent.id)
        origin = Origin(of.depth + 1, parent.id, self._state.replanning.rounds + 1)
        whole = msgspec.to_builtins(
            replace(parent, needs=(), after=(), artifacts=(), verify=(), output_schema=None)
        )
        inherited = {key: value for key, value in whole.items() if key not in ("id", "title", "description")}
        for draft in change.into:
            made = self._drafted(draft, inherited, origin, refuse)
            if made is not None and not self._is_there(made, refuse, whole=parent.id):
                yield made

    def forget(self, drafted: Iterable[Drafted]) -> None:
        """These come to nothing: nothing else is a duplicate of them."""
        names = {one.task.id for one in drafted}
        self._made = {key: name for key, name in self._made.items() if name not in names}

    def was_gone(self, task: Task) -> bool:
        """Whether a revision took this work out before, and another had it taken up again."""
        return sameness(task) in self._gone

    def _led_by(self, draft: Draft) -> Origin:
        """Where a task comes from; of older tasks than those considered it cannot come, which would be less deep."""
        growth = self._state.replanning
        if draft.of in self._considered:
            return growth.origin_of(draft.of)
        named = (draft.of,) if draft.of in self._state.by_id or draft.of in self._state.retired else ()
        origins = [growth.origin_of(name) for name in (*self._considered, *named)]
        return max(origins, key=lambda origin: origin.depth, default=Origin())

    def _leader(self, draft: Draft) -> str:
        known = draft.of in self._state.by_id or draft.of in self._state.retired
        return draft.of if known else self._considered[0] if len(self._considered) == 1 else ""

    def _drafted(
        self, draft: Draft, inherited: Mapping[str, Any], origin: Origin, refuse: Refuse
    ) -> Drafted | None:
        name = f"add {shown(one_line(str(draft.fields.get('title') or draft.fields.get('description')), 80))}"
        fields = dict(draft.fields)
        if wrong := self._not_allowed(fields):
            refuse(name, wrong)
            return None
        if self._by == "planner" and (strange := self._strange_commands(fields)):
            refuse(
                f"verify of {name}", f"left out {strange}: a planner adds no commands to those of the plan"
            )
        try:
            task = msgspec.convert({**inherited, **fields, "id": "T"}, Task)
        except msgspec.ValidationError as error:
            refuse(name, one_line(str(error), 200))
            return None
        if wrong := self._wrong(task):
            refuse(name, wrong)
            return None
        self._count += 1
        return Drafted(draft, replace(task, id=_NEW.format(self._count)), origin)

    def _not_allowed(self, fields: Mapping[str, Any]) -> str:
        if "id" in fields:
            return "ids are given by the program; `ref` is how this revision may call it"
        if self._by != "planner":
            return ""
        if strange := next((key for key in fields if key not in PLANNERS_FIELDS), ""):
            return f"a planner cannot set {shown(strange)}"
        model = fields.get("model")
        if model is not None and (not isinstance(model, str) or model not in self._models):
            return f"there is no model {shown(str(model))} in the plan; known are {', '.join(sorted(self._models))}"
        return ""

    def _strange_commands(self, fields: dict[str, Any]) -> str:
        """Checks that the plan does not know are taken out: they would run with the rights of this program."""
        asked = fields.get("verify")
        if not isinstance(asked, list):
            return ""
        known = [line for line in asked if isinstance(line, str) and line in self._commands]
        fields["verify"] = known
        return one_line(", ".join(shown(str(line)) for line in asked if line not in known))

    def _wrong(self, task: Task) -> str:
        alone = replace(task, needs=(), after=())
        found = checks.problems(Plan(request="x", tasks=(alone,)), tuple(self._types))
        return "; ".join(f"{problem.field}: {problem.message}" for problem in found[:3])

    def _is_there(self, made: Drafted, refuse: Refuse, whole: str = "") -> bool:
        """Whether a draft is work that is known; a part may be called as the `whole` was whose place it takes."""
        key, name = sameness(made.task), f"add {shown(called(made.task))}"
        known, gone = self._same.get(key), self._gone.get(key)
        if known is not None and known.task.id != whole:
            refuse(name, f"it is {known.task.id} already, which is {known.status}")
            self._call(made.draft, known.task.id)
            self.wanted_again.add(known.task.id)
            return True
        if key in self._made:
            refuse(name, "the same revision has it twice")
            self._call(made.draft, self._made[key])
            return True
        if gone is not None and self._by == "planner":
            if made.draft.ref != gone.task.id:
                refuse(
                    name,
                    f"it was {gone.task.id}: {gone.reason}; to take it up again give it `ref: {gone.task.id}`",
                )
                return True
            self.taken_up.add(made.task.id)
        self._made[key] = made.task.id
        self._call(made.draft, made.task.id)
        return False

    def _call(self, draft: Draft, name: str) -> None:
        if draft.ref and draft.ref not in self._state.by_id:
            self.aliases.setdefault(draft.ref, name)

    def why_not_reassigned(self, change: Change, task: TaskState) -> str:
        """Why a task is not given to another worker type, model, or with another description; empty if it can be."""
        now = task.task
        if not (change.worker or change.model or change.description):
            return "it names no other worker type, model or description"
        if task.gave_up and now.id in self._state.replanning.reassigned:
            return "it was reassigned before and failed again; split it, accept it, or ask"
        if change.worker and change.worker not in self._types:
            return f"there is no worker type {shown(change.worker)}{Hints(tuple(self._types)).question(change.worker)}"
        if change.model and self._by == "planner" and change.model not in self._models:
            return f"there is no model {shown(change.model)} in the plan"
        if now.cli == "shell":
            return "it is a command, not a worker's task"
        changed = replace(
            now,
            worker=change.worker or now.worker,
            model=change.model or now.model,
            description=change.description or now.description,
        )
        if not self._state.makes_another(now, changed, self._types, asked_anew=False):
            return "that is what it is already"
        return self._wrong(changed)

    def final_ids(self, tasks: Iterable[str]) -> dict[str, str]:
        """The ids that new tasks get, in the order in which they were drafted: on from the highest number there was."""
        used = {name.lower() for name in (*self._state.by_id, *self._state.retired)}
        numbers = [int(found[1]) for name in used if (found := re.fullmatch(r"t-(\d{1,9})", name))]
        # Longer numbers are dates and the like: they are not counted on from, only kept clear of.
        free = (f"T-{n:02d}" for n in count(max(numbers, default=0) + 1) if f"t-{n:02d}" not in used)
        return dict(zip(sorted(name for name in tasks if name.startswith("new:")), free, strict=False))


def sameness(task: Task) -> object:
    """What two tasks have in common that are the same work: the words of their titles, worker type and writes."""
    return (_words(task), task.worker, tuple(sorted(task.writes)))


def called(task: Task) -> str:
    """A task in a few words, whether it has a title or not."""
    return one_line(task.title or task.description or task.run or task.id, 80)


def _words(task: Task) -> str:
    text = unicodedata.normalize("NFKC", task.title or task.description or task.run).casefold()
    # What is not seen tells no titles apart: zero-width spaces, soft hyphens, marks of direction.
    text = text if text.isprintable() else "".join(c for c in text if unicodedata.category(c) != "Cf")
    return " ".join(re.sub(r"[\W_]+", " ", text).split()) or text.strip()


def alike(tasks: Mapping[str, Task], new: Sequence[Task]) -> Iterator[str]:
    """Which new tasks look like one that is there, without being the same; for whoever planned them to judge."""
    words = [set(_words(task).split()) for task in new]
    with_word: dict[str, list[int]] = {}
    for at, own in enumerate(words):
        for word in own:
            with_word.setdefault(word, []).append(at)
    found: list[list[Task]] = [[] for _ in new]
    for other in tasks.values() if new else ():
        theirs = set(_words(other).split())
        common = Counter(at for word in theirs for at in with_word.get(word, ()))
        for at, number in common.items():
            like = number >= ALIKE * (len(words[at]) + len(theirs) - number)
            if like and len(found[at]) < MOST_ALIKE and not is_planning(other):
                found[at].append(other)
    pairs = ((task, other) for task, others in zip(new, found, strict=True) for other in others)
    for task, other in islice(pairs, MOST_ALIKE):
        yield f"{task.id} {called(task)} looks like {other.id} {called(other)}"
