"""Everything that is wrong with a plan file, each problem with its line."""

from __future__ import annotations

import re
from collections.abc import Collection
from json import JSONDecodeError
from typing import Any

import msgspec

from orchestrator.core.checks import WHOLE_PLAN, Problem, problems
from orchestrator.core.hints import shown
from orchestrator.core.plan import ID_PATTERN, Limits, Plan, Task
from orchestrator.core.workers import BUNDLED
from orchestrator.edges.forms import Form, plan_form, with_defaults
from orchestrator.edges.jsonnodes import json_nodes
from orchestrator.edges.nodes import Broken, Items, Node, Pairs, Problems, Scalar, Unreadable, yaml_nodes
from orchestrator.edges.survey import Fields, Survey

_MAY_HIDE = {"run": ("cli",), "description": ("cli", "title")}
"""What seems to be missing in these fields may only be so because another one could not be read."""


def explain(text: str, known: Collection[str] = BUNDLED) -> tuple[Plan | None, Problems]:
    """The plan, as far as it can be read, and (line, sentence) for all that is wrong.

    `known` are the worker types that there are.
    """
    found: Problems = []
    try:
        root = nodes(text, found)
    except Unreadable:
        return None, found
    if not isinstance(root, Pairs):
        line = root.line if root else 1
        return None, [*found, (line, "a plan is a map of `request:`, `tasks:` and so on")]
    return _Explainer(found, known).plan(root), found


def nodes(text: str, found: Problems) -> Node | None:
    """The tree of a file; one that begins like JSON is read as JSON if it can be, else as YAML.

    Raises:
        Unreadable: it is neither; why is in `found`.
    """
    if not text.startswith("{"):
        return yaml_nodes(text.encode(), found)
    try:
        return json_nodes(text, found)
    except JSONDecodeError as error:
        not_json = (error.lineno, f"not valid JSON: {error.msg}")
    in_yaml: Problems = []
    try:
        node = yaml_nodes(text.encode(), in_yaml)
    except Unreadable:
        found[:] = [not_json]
        raise
    found[:] = in_yaml
    return node


class _Explainer:
    """Reads the tree into a plan and remembers where each field of each task stood."""

    def __init__(self, found: Problems, known: Collection[str]) -> None:
        self.found = found
        self.known = known
        self.survey = Survey(found)
        self.form = plan_form()
        self.top = Fields(1)
        self.defaults = Fields(1, "defaults: ")
        self.tasks: list[Fields] = []

    def plan(self, root: Pairs) -> Plan:
        self.top = self.survey.fields(self.form, root, "", later=("tasks", "defaults", "limits"))
        self.defaults = self._section("defaults")
        limits = self._section("limits")
        self.top.keys.update({f"limits.{name}": line for name, line in limits.keys.items()})
        self.top.wrong.update(f"limits.{name}" for name in limits.wrong)
        tasks = tuple(self._tasks())
        values: dict[str, Any] = {"request": "", **self.top.values}
        plan = Plan(**values, limits=Limits(**limits.values), tasks=tasks)
        self._check(plan)
        if not self.found:
            self._confirm(plan)
        return plan

    def _section(self, name: str) -> Fields:
        """A map of known keys at the top of the file; empty where it is not one."""
        node = self.top.nodes.get(name)
        if isinstance(node, Pairs):
            return self.survey.fields(self.form.fields[name], node, f"{name}: ")
        if node is not None:
            self.survey.value(self.form.fields[name], node, f"{name}: ")
        return Fields(1)

    def _tasks(self) -> list[Task]:
        node = self.top.nodes.get("tasks")
        if node is None or (isinstance(node, Scalar) and not node.text):
            return []
        if not isinstance(node, Items):
            self.survey.value(self.form.fields["tasks"], node, "tasks: ")
            self.top.wrong.add("tasks")
            return []
        form = self.form.fields["tasks"].inside or self.form
        return [self._task(form, item, number) for number, item in enumerate(node.items, start=1)]

    def _task(self, form: Form, node: Node, number: int) -> Task:
        if not isinstance(node, Pairs):
            if not isinstance(node, Broken):
                self.found.append(
                    (node.line, f"task {number}: expected a map with an `id`; write `- id: T-01`")
                )
            self.tasks.append(Fields(node.line, wrong=set(form.fields)))
            return Task(id="")
        written = next((v.text for k, v in node.pairs if k.text == "id" and isinstance(v, Scalar)), "")
        label = f"{written}: " if re.search(ID_PATTERN, written) else f"task {number}: "
        fields = self.survey.fields(form, node, label)
        if "id" not in fields.keys:
            self.found.append((node.line, f"{label}has no `id`; write one such as `id: T-{number:02d}`"))
        fields.wrong |= self.defaults.wrong - fields.keys.keys()
        self.tasks.append(fields)
        # An id that cannot stay is kept here: what needs it shall not be called wrong as well.
        return Task(**{**with_defaults(fields.values, self.defaults.values), "id": written})

    def _check(self, plan: Plan) -> None:
        for problem in problems(plan, self.known):
            wrong = self._fields(problem).wrong
            if problem.field not in wrong and wrong.isdisjoint(_MAY_HIDE.get(problem.field, ())):
                self.found.append(self._placed(problem))

    def _fields(self, problem: Problem) -> Fields:
        return self.top if problem.task == WHOLE_PLAN else self.tasks[problem.task]

    def _placed(self, problem: Problem) -> tuple[int, str]:
        """The line and the sentence; what comes from the defaults is told about the defaults, once."""
        fields, item = self._fields(problem), problem.item
        if fields is not self.top and _lacks(fields, problem) and not _lacks(self.defaults, problem):
            fields = self.defaults
        line, node = fields.keys.get(problem.field, fields.line), fields.nodes.get(problem.field)
        name = problem.field.replace(".", ": ") + ": "
        if isinstance(node, Items) and isinstance(item, int) and item < len(node.items):
            line = node.items[item].line
        if isinstance(node, Pairs) and isinstance(item, str):
            line = next((key.line for key, _ in node.pairs if key.text == item), line)
            name += f"{shown(item)}: "
        return line, f"{fields.where}{name}{problem.message}"

    def _confirm(self, plan: Plan) -> None:
        """The structs have the last word: nothing passes here that the quick reading would refuse."""
        try:
            msgspec.convert(msgspec.to_builtins(plan), Plan)
        except (msgspec.ValidationError, OverflowError) as error:
            self.found.append((1, str(error)))


def _lacks(fields: Fields, problem: Problem) -> bool:
    node = fields.nodes.get(problem.field)
    if isinstance(node, Pairs) and isinstance(problem.item, str):
        return all(key.text != problem.item for key, _ in node.pairs)
    return node is None
