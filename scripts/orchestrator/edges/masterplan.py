"""A first `plan.yaml`: from a request, or from a master plan in Markdown.

The Markdown form: `## Original Request` with a quotation, and a table under `## Task Decomposition` with the
columns Task ID, Description, Dependencies, Input and Expected Output. Other sections and columns are passed
over; a numbered or bulleted list under `## Success Criteria` is taken along.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from msgspec import Struct

from orchestrator.core.hints import Hints, shown
from orchestrator.core.plan import ID_PATTERN
from orchestrator.errors import PlanError

_HEADING = re.compile(r"\s{0,3}#{1,6}\s+(.*?)\s*#*\s*$")
_ROW = re.compile(r"\s*\|(.*)$")
_RULE = re.compile(r"\s*\|?\s*:?-{2,}:?\s*(\|\s*:?-+:?\s*)*\|?\s*$")
_FENCE = re.compile(r"\s*(```|~~~)")
_MARKS = re.compile(r"^\s*(?:[-*+]|[0-9]+[.)])\s+(?:\[.\]\s+)?")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_NO_WORDS = frozenset({"", "-", "—", "–", "none", "n/a", "na", "no", "nothing", "null", "[]", "[input]"})
_UPSTREAM = re.compile(r"\b(?:output|outputs|result|results)\b", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"\[(?:desc|description|input|output|output type|.*user'?s request.*)\]", re.IGNORECASE)

# The columns of the form, in its order, each with the beginnings of the headings it is known by.
_COLUMNS = {
    "id": ("taskid", "id", "task"),
    "description": ("description", "desc", "subtask", "task"),
    "needs": ("dependenc", "dependson", "depends", "needs"),
    "input": ("input",),
    "output": ("expectedoutput", "output", "expected"),
}
_PRIORITY = "priority"


class _Row(Struct):
    line: int
    cells: dict[str, str]


def plan_from_master(text: str, name: str) -> str:
    """The commented `plan.yaml` for a master plan in Markdown that the user knows as `name`.

    Raises:
        PlanError: it has no task table, or its rows are no tasks; each problem `NAME:LINE: what`.
    """
    lines = text.removeprefix("\ufeff").splitlines()
    sections = list(_sections(lines))
    rows, problems = _table(lines, sections)
    if not rows and not problems:
        problems.append((1, "no table with the columns Task ID, Description, Dependencies was found"))
    ids = [row.cells["id"] for row in rows]
    tasks = [_task(row, ids, problems) for row in rows]
    if problems:
        raise PlanError([f"{name}:{line}: {message}" for line, message in sorted(problems)])
    request = _request(sections) or "\n".join(lines[:1])
    criteria = _criteria(sections)
    head = [f"# Made from {_comment(name)}; check it with `orchestrate validate`, see it with `orchestrate plan`."]
    head += [f"request: {_quoted(request)}", *(["success_criteria:"] if criteria else [])]
    head += [f"  - {_quoted(one)}" for one in criteria]
    return "\n".join([*head, *_LIMITS, "tasks:", *(line for task in tasks for line in task)]) + "\n"
