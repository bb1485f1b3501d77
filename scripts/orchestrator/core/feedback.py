"""What the next attempt is told of what was wrong with the one before it.

What commands printed and workers named is data: cleaned, fenced, cut to size, and with nothing in it that the
claude program would expand. It only ever stands inside a prompt, never at its beginning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from orchestrator.core.evidence import Check, Evidence, how_it_failed
from orchestrator.core.plan import Task
from orchestrator.core.text import clean, fenced, neutralised_inside, one_line
from orchestrator.core.verdict import judge

LONGEST = 8192
"""Bytes of UTF-8: two pages, most of them for the ends of what the checks printed."""

LONGEST_LIST = 1200
"""Bytes of one list in it."""

MOST_CHECKS = 6
"""Failed checks that are shown: with more of them, none would have the room to say anything."""

LONGEST_COMMAND = 400
"""Bytes of one check's command."""

_AROUND = 200
"""Bytes of the words around one check and of its two fences, at most."""

_LONG_FENCE = re.compile(r"`{8,}")


def feedback(task: Task, evidence: Evidence) -> str:
    """What was wrong with an attempt, as a part of a prompt, at most LONGEST bytes; empty after a success."""
    parts = list(_lists(task, evidence))
    failed = [check for check in evidence.checks if not check.passed]
    if failed:
        left = LONGEST - sum(len(_encoded(part)) + 2 for part in parts)
        parts += _checks(failed, task.timeout, left)
    if not parts and (found := judge(task, evidence)).outcome != "success":
        parts.append(neutralised_inside(found.reason))
    return "\n\n".join(parts)


def _lists(task: Task, evidence: Evidence) -> Iterator[str]:
    if evidence.artifact_problems:
        yield _list("The files that the task is to leave behind do not prove it:", evidence.artifact_problems)
    if task.output_schema is not None and evidence.said is not None:
        if not evidence.said.structured:
            yield "The task asks for structured output, and none was given that matches its schema."
        elif evidence.schema_problem:
            yield _list("The structured output does not match its schema:", (evidence.schema_problem,))
    if evidence.outside:
        yield _list(
            "These files are not yours to change. Put back what you changed in them:", evidence.outside
        )


def _list(heading: str, items: Sequence[str]) -> str:
    lines = [heading, ""]
    left = LONGEST_LIST - len(heading)
    for number, item in enumerate(items):
        line = f"- {neutralised_inside(one_line(item, 250))}"
        left -= len(_encoded(line)) + 1
        if number and left < 0:
            lines.append(f"- and {len(items) - number} more")
            break
        lines.append(line)
    return "\n".join(lines)


def _checks(failed: Sequence[Check], timeout: str, size: int) -> Iterator[str]:
    """The failed checks, in at most `size` bytes."""
    shown = failed[:MOST_CHECKS]
    for check in shown:
        yield _check(check, timeout, (size - _AROUND) // len(shown) - _AROUND)
    if len(failed) > len(shown):
        yield f"{len(failed) - len(shown)} more checks failed."


def _check(check: Check, timeout: str, size: int) -> str:
    """One failed check whose command and output take at most `size` bytes."""
    command = _within(_tame(check.command), min(LONGEST_COMMAND, size // 2), from_end=False)
    output = _tame(check.output).strip("\n")
    said = f"A check failed ({how_it_failed(check, timeout)}):\n\n{fenced(command)}\n\n"
    if not output.strip():
        return f"{said}It printed nothing."
    printed = _within(output, size - len(_encoded(command)), from_end=True)
    return f"{said}The end of what it printed:\n\n{fenced(printed)}"


def _tame(text: str) -> str:
    # A fence is longer than any in the text, and so would take as much room as there is.
    return _LONG_FENCE.sub("```````…", clean(text))


def _within(text: str, size: int, *, from_end: bool) -> str:
    """The beginning or the end of `text` in at most `size` bytes, with nothing in it to be expanded."""
    kept = text[-size:] if from_end else text[:size]
    while len(_encoded(neutralised_inside(kept))) > size - 4:
        less = len(kept) * 7 // 8
        kept = kept[len(kept) - less :] if from_end else kept[:less]
    if len(kept) == len(text):
        return neutralised_inside(kept)
    if from_end:
        # A line that begins in its middle misleads, unless it is most of what there is.
        begin = kept.find("\n", 0, len(kept) // 4) + 1
        return f"…\n{neutralised_inside(kept[begin:])}"
    return f"{neutralised_inside(kept)}\n…"


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")
