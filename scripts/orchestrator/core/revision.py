"""A change of the plan, as data: what a planner or a person asks for.

It is read tolerantly, because a model writes it, and nothing in it holds before `revising` has checked it against
the plan as it stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Literal, get_args

from msgspec import Struct

from orchestrator.core.hints import Hints, shown
from orchestrator.core.plan import Names
from orchestrator.core.text import clean, one_line

MOST_CHANGES = 100
"""Entries of one kind that are read: ten times what a revision may add by default."""

LONGEST_TEXT = 20_000
"""Characters of a description: a task that needs more is not understood yet."""

LONGEST_CONTEXT = 4_000
"""Characters of what all workers are told of decisions so far: a page each of them pays for."""

LONGEST_REASON = 500
"""Characters of a reason, and twice that of a question: a few sentences."""

MOST_NAMES = 50
"""Dependencies, steps, globs of one task."""

MOST_PROBLEMS = 100
"""Complaints that are told: whoever wrote more mistakes than that will not mend them one by one."""

DEEPEST = 50
"""Maps and lists inside each other, in a field: no task has as many."""

NOT_SAID = frozenset(("none", "null", "nil", "n/a", "na", "no", "false", "nothing", "tbd", "todo"))
"""What a model writes into a field that it fills in and has nothing for; a mark such as `...` is no more."""

_MARKS = " \t\n.…,;:!?-–—_*'\"`()[]{}<>"

By = Literal["planner", "person", "program"]

RequestKind = Literal["open-ended", "partially defined", "evolving"]
REQUEST_KINDS: tuple[RequestKind, ...] = get_args(RequestKind)
"""How well a request is known; the first is what is assumed of one about which nothing readable is said."""


class Draft(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A task to be added. The program gives it an id; `ref` is what the same revision calls it.

    `fields` are those of a task in a plan. `of` is the task whose report it follows from; `before` are tasks that
    must wait for it.
    """

    ref: str = ""
    of: str = ""
    before: Names = ()
    reason: str = ""
    fields: dict[str, Any] = {}


class Change(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What is to become of a task that is there: what each kind of change uses of it says `revising`."""

    task: str
    reason: str = ""
    priority: str = ""
    needs: Names | None = None
    after: Names | None = None
    worker: str = ""
    model: str = ""
    description: str = ""
    question: str = ""
    into: tuple[Draft, ...] = ()


class Analysis(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What is known of a request before the first task is planned."""

    kind: RequestKind = "open-ended"
    known: Names = ()
    unknown: Names = ()
    strategy: str = ""
    tasks: int = 0
    """How many tasks it may come to, as the planner guesses."""


class Revision(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """All that one planning call, or one file of a person, asks for.

    `finish` is why nothing more is to be planned, empty to go on. `context` takes the place of what workers were
    told of decisions so far; None leaves it.
    """

    reason: str = ""
    add: tuple[Draft, ...] = ()
    cancel: tuple[Change, ...] = ()
    reorder: tuple[Change, ...] = ()
    rewire: tuple[Change, ...] = ()
    split: tuple[Change, ...] = ()
    reassign: tuple[Change, ...] = ()
    accept: tuple[Change, ...] = ()
    ask: tuple[Change, ...] = ()
    finish: str = ""
    context: str | None = None
    analysis: Analysis | None = None


KINDS = ("add", "cancel", "reorder", "rewire", "split", "reassign", "accept", "ask")

_OF_DRAFT = ("ref", "of", "before", "reason")
_OF_REVISION = ("reason", *KINDS, "finish", "context", "analysis")

PLANNERS_FIELDS = (
    *(
        "title",
        "description",
        "worker",
        "needs",
        "after",
        "priority",
        "expected_output",
        "constraints",
        "steps",
    ),
    *("writes", "artifacts", "verify", "model", "estimate"),
)
"""The fields of a task that a planner may set. It is told what workers wrote, who may have been told anything:
commands, tools, permissions and ceilings are for the person who wrote the plan."""


class Problem(Struct, frozen=True):
    """Something that cannot be read: `path` leads to it from the top, by keys and indices."""

    path: tuple[str | int, ...]
    message: str


def read(tree: object) -> tuple[Revision, list[Problem]]:
    """The revision in parsed JSON or YAML, and all that could not be read of it."""
    if not isinstance(tree, Mapping):
        return Revision(), [Problem((), "a revision is a map such as `add: [{title: …}]`")]
    reader = _Reader()
    return reader.revision(tree), reader.problems


class _Reader:
    """Reads one revision and gathers what is wrong with it."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def revision(self, tree: Mapping[Any, Any]) -> Revision:
        self._unknown((), tree, _OF_REVISION)
        changes: dict[str, Any] = {
            kind: tuple(
                self._change(path, entry, kind) for path, entry in self._entries((kind,), tree.get(kind))
            )
            for kind in KINDS[1:]
        }
        return Revision(
            reason=self._prose(("reason",), tree.get("reason"), LONGEST_REASON),
            add=self._drafts(("add",), tree.get("add")),
            finish=self._prose(("finish",), tree.get("finish"), LONGEST_REASON),
            context=self._context(tree.get("context")),
            analysis=self._analysis(tree.get("analysis")),
            **changes,
        )

    def _context(self, value: Any) -> str | None:
        text = self._prose(("context",), value, LONGEST_CONTEXT)
        return text or None

    def _drafts(self, path: tuple[str | int, ...], value: Any) -> tuple[Draft, ...]:
        return tuple(self._draft(at, entry) for at, entry in self._entries(path, value))

    def _draft(self, path: tuple[str | int, ...], entry: Mapping[Any, Any]) -> Draft:
        fields = {
            whole(str(key)): self._field((*path, whole(str(key))), value)
            for key, value in entry.items()
            if key not in _OF_DRAFT and value is not None
        }
        title = self._prose((*path, "title"), fields.get("title"), 200)
        if "title" in fields:
            fields["title"] = one_line(title, 200)
        if "description" in fields:
            fields["description"] = self._prose((*path, "description"), fields["description"], LONGEST_TEXT)
        if not (fields.get("title") or fields.get("description")):
            self._say((*path, "title"), "says nothing: a task has a title or a description")
        return Draft(
            ref=self._word((*path, "ref"), entry.get("ref")),
            of=self._word((*path, "of"), entry.get("of")),
            before=self._names((*path, "before"), entry.get("before")) or (),
            reason=self._prose((*path, "reason"), entry.get("reason"), LONGEST_REASON),
            fields=fields,
        )

    def _field(self, path: tuple[str | int, ...], value: Any) -> Any:
        """A field as far as it is read: what types it takes is known to whoever makes a task of it."""
        if path[-1] in ("needs", "after") and isinstance(value, str | list):
            return list(self._names(path, value) or ())
        if isinstance(value, list) and len(value) > MOST_NAMES:
            self._say(path, f"has {len(value):,} entries; the first {MOST_NAMES} are read")
            value = value[:MOST_NAMES]
        return _whole_values(value)

    def _change(self, path: tuple[str | int, ...], entry: Mapping[Any, Any], kind: str) -> Change:
        own = FIELDS_OF_CHANGES[kind]
        self._unknown(path, entry, ("task", "reason", *own))
        task = self._word((*path, "task"), entry.get("task"))
        if not task and kind != "ask":
            self._say((*path, "task"), "says nothing: name the task")
        return Change(
            task=task,
            reason=self._prose((*path, "reason"), entry.get("reason"), LONGEST_REASON),
            priority=self._word((*path, "priority"), entry.get("priority")),
            needs=self._names((*path, "needs"), entry.get("needs")),
            after=self._names((*path, "after"), entry.get("after")),
            worker=self._word((*path, "worker"), entry.get("worker")),
            model=self._word((*path, "model"), entry.get("model")),
            description=self._prose((*path, "description"), entry.get("description"), LONGEST_TEXT),
            question=self._prose((*path, "question"), entry.get("question"), 2 * LONGEST_REASON),
            into=self._drafts((*path, "into"), entry.get("into")),
        )

    def _analysis(self, value: Any) -> Analysis | None:
        if not value:
            return None
        if not isinstance(value, Mapping):
            self._say(("analysis",), "is not a map")
            return None
        kind = value.get("kind")
        guess = value.get("tasks")
        return Analysis(
            kind=kind if kind in REQUEST_KINDS else REQUEST_KINDS[0],
            known=self._texts(("analysis", "known"), value.get("known")),
            unknown=self._texts(("analysis", "unknown"), value.get("unknown")),
            strategy=self._prose(("analysis", "strategy"), value.get("strategy"), 2 * LONGEST_REASON),
            tasks=guess if type(guess) is int and 0 <= guess <= 10_000 else 0,
        )

    def _entries(
        self, path: tuple[str | int, ...], value: Any
    ) -> Iterator[tuple[tuple[str | int, ...], Mapping[Any, Any]]]:
        if value is None:
            return
        if isinstance(value, Mapping):
            value = [value]
        if not isinstance(value, list):
            self._say(path, f"is a list of maps, not {_kind(value)}")
            return
        if len(value) > MOST_CHANGES:
            self._say(path, f"has {len(value):,} entries; the first {MOST_CHANGES} are read")
        for at, entry in enumerate(islice(value, MOST_CHANGES)):
            if isinstance(entry, Mapping):
                yield (*path, at), entry
            else:
                self._say((*path, at), f"is a map, not {_kind(entry)}")

    def _texts(self, path: tuple[str | int, ...], value: Any) -> tuple[str, ...]:
        values = value if isinstance(value, list) else [value] if value else []
        texts = [self._prose(path, entry, LONGEST_REASON) for entry in values[:MOST_NAMES]]
        return tuple(text for text in texts if text)

    def _names(self, path: tuple[str | int, ...], value: Any) -> tuple[str, ...] | None:
        if value is None:
            return None
        values = [value] if isinstance(value, str) else value
        if not isinstance(value, str | list) or not all(isinstance(name, str) for name in values):
            self._say(path, f"is a list of task ids, not {_kind(value)}")
            return None
        if len(values) > MOST_NAMES:
            self._say(path, f"has {len(values):,} entries; the first {MOST_NAMES} are read")
        return tuple(dict.fromkeys(one_line(whole(name), 64) for name in values[:MOST_NAMES] if name.strip()))

    def _word(self, path: tuple[str | int, ...], value: Any) -> str:
        return one_line(self._text(path, value, 200), 200)

    def _prose(self, path: tuple[str | int, ...], value: Any, longest: int) -> str:
        text = self._text(path, value, longest)
        bare = text.strip(_MARKS).lower()
        return text if any(map(str.isalnum, bare)) and bare not in NOT_SAID else ""

    def _text(self, path: tuple[str | int, ...], value: Any, longest: int) -> str:
        if value is None or isinstance(value, bool):
            return ""
        if not isinstance(value, str):
            self._say(path, f"is text, not {_kind(value)}")
            return ""
        text = clean(whole(value[: longest + 1])).strip()
        return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"

    def _unknown(self, path: tuple[str | int, ...], tree: Mapping[Any, Any], known: tuple[str, ...]) -> None:
        for key in islice((key for key in tree if key not in known), MOST_CHANGES):
            hint = Hints(known).question(str(key))
            self._say((*path, whole(str(key))), f"there is no key {shown(str(key))}{hint}")

    def _say(self, path: tuple[str | int, ...], message: str) -> None:
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(Problem(path, message))


FIELDS_OF_CHANGES: dict[str, tuple[str, ...]] = {
    "cancel": (),
    "reorder": ("priority",),
    "rewire": ("needs", "after"),
    "split": ("into",),
    "reassign": ("worker", "model", "description"),
    "accept": (),
    "ask": ("question",),
}
"""What an entry of each kind may say beside `task` and `reason`; those of `add` are drafts."""


def _kind(value: object) -> str:
    names = {
        str: "text",
        list: "a list",
        dict: "a map",
        bool: "yes or no",
        int: "a number",
        float: "a number",
    }
    return "nothing" if value is None else names.get(type(value), "this")


def whole(text: str) -> str:
    """`text` without halves of surrogate pairs: a model can write them, and no file can hold them."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _whole_values(value: Any, depth: int = 0) -> Any:
    """A value that a journal can hold, in the form in which it is read again."""
    if isinstance(value, str):
        return whole(value[:LONGEST_TEXT])
    if depth == DEEPEST:
        return None
    if isinstance(value, Mapping):
        return {whole(str(key)): _whole_values(one, depth + 1) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_whole_values(one, depth + 1) for one in value]
    return value


def where(path: tuple[str | int, ...]) -> str:
    """`add[2].title` for ("add", 2, "title")."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{one_line(part, 60)}" for part in path)
    return text.lstrip(".") or "the revision"
