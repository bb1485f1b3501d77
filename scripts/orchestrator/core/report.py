"""What a worker says of its own work: the fenced JSON block at the end of its answer.

A model writes it, so it is read tolerantly; it stands in the journal and in later prompts, so all of it is
bounded.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import Struct

from orchestrator.core.text import clean, one_line

MOST_ENTRIES = 20
"""Entries of one list: what a person still reads."""

LONGEST_ENTRY = 500
"""Characters of one entry: a few sentences."""

LONGEST_SUMMARY = 2000
"""Characters of the summary: a page."""

LARGEST_REPORT = 16 << 10
"""Bytes of a whole report as JSON: the reports of a hundred tasks still fit into one prompt."""

_LONGEST_TITLE = 200
_DEEPEST = 3
_BLOCKS_TRIED = 1000
_BARE_OBJECTS_TRIED = 8

Status = Literal["complete", "partial", "blocked"]


class NewTask(Struct, frozen=True, omit_defaults=True):
    """Work that a worker proposes; only ever a proposal, and nothing in it is checked against the plan."""

    title: str
    description: str = ""
    worker: str = ""
    """The worker type that it asks for."""
    why: str = ""


class Report(Struct, frozen=True, omit_defaults=True):
    """A report, cut to size: what stands in the journal and reaches later prompts."""

    status: Status
    summary: str = ""
    findings: tuple[str, ...] = ()
    discoveries: tuple[str, ...] = ()
    recommendations: tuple[str, ...] = ()
    new_tasks: tuple[NewTask, ...] = ()
    questions: tuple[str, ...] = ()
    artifacts: tuple[str, ...] = ()


_SPELLINGS: dict[Status, tuple[str, ...]] = {
    "complete": ("complete", "completed", "done", "finished", "success", "successful", "succeeded"),
    "partial": (
        *("partial", "partially", "partially complete", "partially completed", "partially done"),
        *("mostly complete", "mostly done", "not complete", "incomplete", "in progress", "ongoing"),
    ),
    "blocked": (
        *("blocked", "stuck", "failed", "failure", "error", "on hold", "waiting", "needs input"),
        *("cannot proceed", "unable to proceed"),
    ),
}
_STATUSES = {spelling: status for status, spellings in _SPELLINGS.items() for spelling in spellings}
_NOTHING = frozenset(("", "-", "none", "null", "n/a", "nothing"))
_LISTS = ("findings", "discoveries", "recommendations", "questions", "artifacts")
_FIELDS = frozenset(("summary", "newtasks", *_LISTS))

_OPENING = re.compile(
    r"^[ \t]*+(?:`{3,}+|~{3,}+)[ \t]*+(?:json[^\n{]*+)?\s*+(?=\{)", re.MULTILINE | re.IGNORECASE
)
_FENCE = re.compile(r"^[ \t]*+(?:```|~~~)", re.MULTILINE)
_FENCE_LINE = re.compile(r"^[ \t]*+(?:```|~~~).*+$", re.MULTILINE)
_BARE = re.compile(r"^\{", re.MULTILINE)
# A string is matched whole, ended or not, so that a comma in it is none.
_STRING_OR_LAST_COMMA = re.compile(r'("(?:[^"\\]++|\\.)*+"?)|,(?=\s*+[}\]])', re.DOTALL)


def parse(text: str, redact: Callable[[str], str] = str) -> tuple[Report | None, str]:
    """The report in a worker's answer; without one, why there is none, in words.

    It is the last fenced JSON block with the form of a report, whatever follows it, or else one JSON object
    that the answer ends with. Of what a model gets wrong, commas after a last entry, line breaks in strings,
    other spellings of a status or a key, and single texts, numbers and objects in place of lists of texts are
    understood; other keys are ignored. A status such as `failed` is `blocked`: a person has to see it.

    Args:
        redact: takes secrets out of the texts, which JSON can spell in another way than `text` shows.
    """
    found = _found(text.strip(), redact)
    return found.report, found.complaint


def split(text: str) -> tuple[str, Report | None]:
    """An answer without the block of its report, and the report; the answer as it is where there is none."""
    whole = text.strip()
    found = _found(whole, str)
    if found.report is None:
        return text, None
    rest = (whole[: found.start].rstrip(), whole[found.end :].strip())
    return "\n\n".join(filter(None, rest)), found.report


class _Found(NamedTuple):
    """A report, and the place of its block in the text; without one, why there is none."""

    report: Report | None
    complaint: str = ""
    start: int = 0
    end: int = 0


def _found(text: str, redact: Callable[[str], str]) -> _Found:
    for start in _bare_objects(text):
        fields, end, _ = _decoded(text[start:])
        if not text[start + end :].strip() and (report := _understood(fields, redact)):
            # The fence before it may never have been closed.
            opened = (match.start() for match in _OPENING.finditer(text) if match.end() == start)
            return _Found(report, start=next(opened, start), end=len(text))
    complaint = ""
    openings = deque(_OPENING.finditer(text), _BLOCKS_TRIED)
    for tried, opening in enumerate(reversed(openings)):
        start = opening.end()
        fence = _FENCE.search(text, start)
        fields, end, problem = _decoded(text[start : fence.start() if fence else len(text)])
        if problem and fence and tried < _BARE_OBJECTS_TRIED:
            # It can quote code in a fence of its own, with line breaks as they are.
            fields, end, other = _decoded(text[start:])
            problem = problem if other else ""
        if report := _understood(fields, redact):
            closing = _FENCE_LINE.search(text, start + end)
            return _Found(report, start=opening.start(), end=closing.end() if closing else len(text))
        complaint = complaint or problem or redact(_shortcoming(fields))
    return _Found(None, complaint or "no fenced JSON block at the end")


def _bare_objects(text: str) -> Iterator[int]:
    """Where an object could begin that ends the text; the last places first."""
    if text.endswith("}"):
        places = deque((match.start() for match in _BARE.finditer(text)), _BARE_OBJECTS_TRIED)
        yield from reversed(places)


def _decoded(text: str) -> tuple[dict[str, Any], int, str]:
    """The object that `text` begins with, where it ends, and what is wrong with it; keys as in `_FIELDS`."""
    decoder = json.JSONDecoder(strict=False)
    try:
        try:
            raw, end = decoder.raw_decode(text)
        except json.JSONDecodeError:
            # A blank for a comma: the places in the text stay what they are.
            repaired = _STRING_OR_LAST_COMMA.sub(lambda match: match[1] or " ", text)
            raw, end = decoder.raw_decode(repaired)
    except json.JSONDecodeError as error:
        return {}, 0, f"the block is not JSON: line {error.lineno}: {error.msg}"
    except RecursionError:
        return {}, 0, "the block is nested too deeply to be read"
    except ValueError as error:
        return {}, 0, f"the block cannot be read: {error}"
    return {re.sub(r"[^a-z]", "", key.lower()): value for key, value in raw.items()}, end, ""


def _understood(fields: dict[str, Any], redact: Callable[[str], str]) -> Report | None:
    """The report that an object is; None for one of another form, such as an example of some output."""
    status = _status(fields.get("status"))
    if status is None or not (fields == {"status": status} or fields.keys() & _FIELDS):
        return None
    length = LONGEST_ENTRY
    report = _cut_to(fields, status, length, redact)
    while len(msgspec.json.encode(report)) > LARGEST_REPORT:
        length = length * 3 // 4
        report = _cut_to(fields, status, length, redact)
    return report


def _shortcoming(fields: dict[str, Any]) -> str:
    """Why an object is no report."""
    status = fields.get("status")
    if status is None:
        return "the block has no status"
    if _status(status) is None:
        return f'the block has the status "{_text(status, 60)}", not complete, partial or blocked'
    return "the block has nothing of a report but a status"


def _status(value: Any) -> Status | None:
    if not isinstance(value, str) or len(value) > LONGEST_ENTRY:
        return None
    # `Complete (all tests pass)` is complete; `complete | partial | blocked` is the form itself.
    first = re.split(r"[.,:;!(–—]| - ", value.strip().lower(), maxsplit=1)[0]
    return _STATUSES.get(re.sub(r"[\W_]+", " ", first).strip())


def _cut_to(fields: dict[str, Any], status: Status, length: int, redact: Callable[[str], str]) -> Report:
    """The report with at most `length` characters in an entry, and the summary in proportion."""
    proposed = (_new_task(value, length, redact) for value in _entries(fields.get("newtasks")))
    return Report(
        status=status,
        summary=_text(fields.get("summary"), length * LONGEST_SUMMARY // LONGEST_ENTRY, redact),
        new_tasks=tuple(islice(filter(None, proposed), MOST_ENTRIES)),
        **{name: _texts(fields.get(name), length, redact) for name in _LISTS},
    )


def _entries(value: Any) -> list[Any]:
    if isinstance(value, list):
        # Some can be empty; a million of them are not looked through.
        return value[: 10 * MOST_ENTRIES]
    return [value] if value else []


def _texts(value: Any, length: int, redact: Callable[[str], str]) -> tuple[str, ...]:
    texts = (_text(entry, length, redact) for entry in _entries(value))
    return tuple(islice((text for text in texts if text.lower() not in _NOTHING), MOST_ENTRIES))


def _new_task(value: Any, length: int, redact: Callable[[str], str]) -> NewTask | None:
    if not isinstance(value, dict):
        value = {"description": value}
    description = _text(value.get("description"), length, redact)
    wanted = _text(value.get("title"), length, redact) or description or _text(value, length, redact)
    if wanted.lower() in _NOTHING:
        return None
    title = one_line(wanted, min(length, _LONGEST_TITLE))
    return NewTask(
        title=title,
        description="" if description == title else description,
        worker=one_line(_text(value.get("worker"), length, redact), min(length, _LONGEST_TITLE)),
        why=_text(value.get("why"), length, redact),
    )


def _text(value: Any, length: int, redact: Callable[[str], str] = str) -> str:
    """`value` as text for people: cleaned, encodable, at most `length` characters."""
    # What is not shown is not cleaned; escapes take up some of it.
    start = redact(_flat(value))[: length * 8].encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    text = clean(start).strip()
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def _flat(value: Any, depth: int = 0) -> str:
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool):
        return "" if value is None else str(value).lower()
    if not isinstance(value, dict | list):
        return str(value)
    if depth == _DEEPEST:
        return "…"
    if isinstance(value, list):
        return ", ".join(filter(None, (_flat(entry, depth + 1) for entry in value)))
    parts = ((key, _flat(entry, depth + 1)) for key, entry in value.items())
    return "; ".join(f"{key}: {part}" for key, part in parts if part)
