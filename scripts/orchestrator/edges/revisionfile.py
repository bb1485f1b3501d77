"""A person's revision in a YAML or JSON file to a Revision, or all that is wrong with it, with line numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from orchestrator.core import revision as core
from orchestrator.core.checks import problems
from orchestrator.core.plan import PRIORITIES, Plan, Task
from orchestrator.core.revision import FIELDS_OF_CHANGES, KINDS, REQUEST_KINDS, Revision
from orchestrator.edges.forms import FREE, Form, plan_form
from orchestrator.edges.nodes import Broken, Items, Node, Pairs, Problems, Scalar, Unreadable
from orchestrator.edges.planfile import listed, read_text
from orchestrator.edges.planproblems import nodes
from orchestrator.edges.survey import Fields, Survey
from orchestrator.errors import PlanError

_LONGEST = {
    "reason": core.LONGEST_REASON,
    "finish": core.LONGEST_REASON,
    "context": core.LONGEST_CONTEXT,
    "description": core.LONGEST_TEXT,
    "question": 2 * core.LONGEST_REASON,
    "strategy": 2 * core.LONGEST_REASON,
}

_NOT_ALONE = ("needs", "after", "worker")
"""Fields of a new task that only the plan can judge."""

_FROM_WHOLE = ("run", "description", "cli")
"""What a part of a split task may leave to the task that is split."""

_TEXT, _NAMES = Form("text"), Form("list", inside=Form("text"))
_OF_CHANGES = {
    "task": _TEXT,
    "reason": _TEXT,
    "priority": Form("choice", choices=PRIORITIES),
    "needs": _NAMES,
    "after": _NAMES,
    "worker": _TEXT,
    "model": _TEXT,
    "description": _TEXT,
    "question": _TEXT,
    "into": FREE,
}
_ANALYSIS = Form(
    "fields",
    fields={
        "kind": Form("choice", choices=REQUEST_KINDS),
        "known": _NAMES,
        "unknown": _NAMES,
        "strategy": _TEXT,
        "tasks": Form("integer", least=0),
    },
)
_TOP = Form(
    "fields",
    fields={
        **dict.fromkeys(KINDS, FREE),
        **dict.fromkeys(("reason", "finish", "context"), _TEXT),
        "analysis": _ANALYSIS,
    },
)


def read_revision(path: Path) -> Revision:
    """The revision in a file.

    Raises:
        PlanError: the file cannot be read, or all that is wrong in it, each `NAME:LINE: what`.
    """
    return parse_revision(read_text(path), str(path))


def parse_revision(text: str, name: str) -> Revision:
    """The revision in the text of a file that the user knows as `name`.

    Raises:
        PlanError: all that is wrong in it, each `NAME:LINE: what`.
    """
    found: Problems = []
    try:
        root = nodes(text, found)
    except Unreadable:
        root = Broken(1)
    revision = Revision()
    if isinstance(root, Pairs):
        revision = _Reader(found).revision(root)
    elif not found:
        line = root.line if root else 1
        found.append((line, "a revision is a map such as `add: [{title: …}]`"))
    if found:
        raise PlanError(listed(found, name))
    return revision


class _Reader:
    def __init__(self, found: Problems) -> None:
        self.found = found
        self.survey = Survey(found)

    def revision(self, root: Pairs) -> Revision:
        top = self.survey.fields(_TOP, root, "", later=(*KINDS, "analysis"))
        tree: dict[str, Any] = dict(top.values)
        self._bound(top)
        if (node := top.nodes.get("analysis")) is not None:
            tree["analysis"] = self._map(_ANALYSIS, node, "analysis: ").values
        for kind in KINDS:
            if kind in top.nodes:
                tree[kind] = list(self._entries(kind, top.nodes[kind], f"{kind} "))
        revision, unread = core.read(_plain(tree))
        if not self.found:
            self._judge(top, revision, unread)
        return revision

    def _judge(self, top: Fields, revision: Revision, unread: Sequence[core.Problem]) -> None:
        """What is read tolerantly from a model has the last word: nothing of a person's file is passed over."""
        for problem in unread:
            line = top.keys.get(str(problem.path[0]), top.line) if problem.path else top.line
            self.found.append((line, f"{core.where(problem.path)} {problem.message}"))
        if revision == Revision(reason=revision.reason):
            self.found.append((top.line, f"it asks for nothing; write one of {', '.join(KINDS)} or finish"))

    def _map(self, form: Form, node: Node, where: str) -> Fields:
        if isinstance(node, Pairs):
            fields = self.survey.fields(form, node, where, later=("into",))
            self._bound(fields)
            return fields
        if not isinstance(node, Broken):
            self.found.append((node.line, f"{where}expected a map of {', '.join(list(form.fields)[:10])}"))
        return Fields(node.line, where)

    def _entries(self, kind: str, node: Node, where: str) -> Iterator[dict[str, Any]]:
        is_nothing = isinstance(node, Scalar) and node.plain and not node.text
        if isinstance(node, Scalar) and not is_nothing:
            self.found.append((node.line, f"{where.strip()}: expected a list of maps; write `- task: T-01`"))
        items = node.items if isinstance(node, Items) else [node] if isinstance(node, Pairs) else []
        if len(items) > core.MOST_CHANGES:
            self.found.append((node.line, f"{where.strip()}: more than {core.MOST_CHANGES} entries"))
            items = items[: core.MOST_CHANGES]
        for number, item in enumerate(items, 1):
            place = f"{where}{number}: "
            if kind in ("add", "into"):
                yield self._draft(item, place, is_part=kind == "into")
            else:
                yield self._change(kind, item, place)

    def _change(self, kind: str, node: Node, where: str) -> dict[str, Any]:
        own = {name: _OF_CHANGES[name] for name in ("task", "reason", *FIELDS_OF_CHANGES[kind])}
        fields = self._map(Form("fields", fields=own), node, where)
        if isinstance(node, Pairs) and kind != "ask" and not {"task"} & (fields.keys.keys() | fields.wrong):
            self.found.append((fields.line, f"{where}says no `task`; name the one that is meant"))
        entry = dict(fields.values)
        if "into" in fields.nodes:
            entry["into"] = list(self._entries("into", fields.nodes["into"], f"{where}into "))
        return entry

    def _draft(self, node: Node, where: str, *, is_part: bool) -> dict[str, Any]:
        fields = self._map(_draft_form(), node, where)
        if "id" in fields.keys:
            told = "ids are given by the program; `ref` is how this file may call the task"
            self.found.append((fields.keys["id"], f"{where}{told}"))
        elif isinstance(node, Pairs):
            self._check_task(fields, is_part)
        return dict(fields.values)

    def _check_task(self, fields: Fields, is_part: bool) -> None:
        """What can be seen of a new task without the plan."""
        values = {key: value for key, value in fields.values.items() if key in Task.__struct_fields__}
        alone = replace(Task(**{**values, "id": "T"}), needs=(), after=(), worker="general")
        for problem in problems(Plan(request="x", tasks=(alone,))):
            hidden = is_part and problem.field in _FROM_WHOLE and problem.field not in fields.keys
            if hidden or problem.field in _NOT_ALONE or problem.field in fields.wrong:
                continue
            line, node = fields.keys.get(problem.field, fields.line), fields.nodes.get(problem.field)
            if isinstance(node, Items) and isinstance(problem.item, int) and problem.item < len(node.items):
                line = node.items[problem.item].line
            self.found.append((line, f"{fields.where}{problem.field}: {problem.message}"))

    def _bound(self, fields: Fields) -> None:
        """A model's text is cut; a person is told."""
        for name, value in fields.values.items():
            if isinstance(value, str) and len(value) > (most := _LONGEST.get(name, len(value))):
                told = f"is longer than {most:,} characters; shorten it"
                self.found.append((fields.keys[name], f"{fields.where}{name}: {told}"))


@cache
def _draft_form() -> Form:
    task = plan_form().fields["tasks"].inside
    assert task is not None
    own = {"ref": _TEXT, "of": _TEXT, "before": _NAMES, "reason": _TEXT}
    return Form("fields", fields={**own, **task.fields, "id": FREE}, inside=FREE)


def _plain(value: Any) -> Any:
    """Lists as a parser makes them."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value
