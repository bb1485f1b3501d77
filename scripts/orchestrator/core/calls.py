"""The program's own calls as tasks: their ids, the form of their answers, and what they are bounded by."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from orchestrator.core.events import Call
from orchestrator.core.plan import PRIORITIES, Task
from orchestrator.core.revision import REQUEST_KINDS
from orchestrator.core.workers import PLANNER

NAMES: dict[Call, str] = {"analysis": "Plan", "replanning": "Plan", "synthesis": "Synthesis"}
TITLES: dict[Call, str] = {
    "analysis": "Analyse the request and plan the first tasks",
    "replanning": "Take up what was reported and revise the plan",
    "synthesis": "Join the results and check that they fit together",
}

TIMEOUT = "20m"
"""Of one planning call: it reads some pages and writes a few; ten times what a long answer takes."""

READS = ("Read", "Grep", "Glob")
"""The tools of a synthesis, which has to look into results; the other calls have none."""

_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_PRIORITY = {"type": "string", "enum": list(PRIORITIES)}


def _form(required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _list_of(form: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": form}


_DRAFT = _form(
    ("title", "description", "worker"),
    ref=_TEXT, title=_TEXT, description=_TEXT, worker=_TEXT, needs=_TEXTS, after=_TEXTS, before=_TEXTS,
    priority=_PRIORITY, expected_output=_TEXT, constraints=_TEXTS, steps=_TEXTS, writes=_TEXTS, artifacts=_TEXTS,
    verify=_TEXTS, model=_TEXT, estimate=_TEXT, of=_TEXT, reason=_TEXT,
)  # fmt: skip


def _change(**more: Any) -> dict[str, Any]:
    return _list_of(_form(("task", "reason"), task=_TEXT, reason=_TEXT, **more))


_REVISION: dict[str, Any] = {
    "reason": _TEXT,
    "add": _list_of(_DRAFT),
    "cancel": _change(),
    "reorder": _change(priority=_PRIORITY),
    "rewire": _change(needs=_TEXTS, after=_TEXTS),
    "split": _change(into=_list_of(_DRAFT)),
    "reassign": _change(worker=_TEXT, model=_TEXT, description=_TEXT),
    "accept": _change(),
    "ask": _list_of(_form(("question",), task=_TEXT, question=_TEXT, reason=_TEXT)),
    "finish": _TEXT,
    "context": _TEXT,
}

_ANALYSIS = _form(
    ("kind", "known", "unknown", "strategy", "tasks"),
    kind={"type": "string", "enum": list(REQUEST_KINDS)},
    known=_TEXTS, unknown=_TEXTS, strategy=_TEXT, tasks={"type": "integer", "minimum": 1},
)  # fmt: skip

_QUALITY = _form(("score", "reasons"), score={"type": "integer", "minimum": 1, "maximum": 5}, reasons=_TEXTS)

FORMS: dict[Call, dict[str, Any]] = {
    "analysis": _form(("analysis", "reason", "add"), analysis=_ANALYSIS, **_REVISION),
    "replanning": _form(("reason",), **_REVISION),
    "synthesis": _form(
        ("deliverable", "integration", "consistent", "conflicts", "missing", "quality"),
        deliverable={"type": "string", "pattern": r"\S"}, integration=_TEXTS, consistent={"type": "boolean"},
        conflicts=_TEXTS, missing=_TEXTS, quality=_QUALITY, reason=_TEXT, add=_list_of(_DRAFT),
    ),
}  # fmt: skip
"""The answers that are asked for, as JSON Schemas of the draft that the claude program takes."""

REVISION_KEYS = frozenset((*_REVISION, "analysis"))
"""What of an answer is a revision; the rest of a synthesis is the deliverable."""


def call_id(call: Call, used: Collection[str]) -> str:
    """The id of the next call of this kind; `used` are all ids there ever were."""
    taken = {name.lower() for name in used}
    number = 1
    while f"{NAMES[call]}-{number:02d}".lower() in taken:
        number += 1
    return f"{NAMES[call]}-{number:02d}"


def call_task(call: Call, name: str, description: str, needs: tuple[str, ...] = ()) -> Task:
    """A planning call as a task: first in its turn, with a form for its answer."""
    return Task(
        id=name,
        title=TITLES[call],
        description=description,
        worker=PLANNER,
        needs=needs,
        priority="P0",
        timeout=TIMEOUT,
        tools=READS if call == "synthesis" else (),
        output_schema=FORMS[call],
    )


def as_revision(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The part of an answer that asks for changes of the plan."""
    return {key: value for key, value in answer.items() if key in REVISION_KEYS}
