"""Outcomes, and what follows from each: a fate, or another attempt; and what comes next, in words."""

from __future__ import annotations

import shlex
import zlib
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from orchestrator.core.plan import Task
from orchestrator.core.text import duration

Outcome = Literal[
    "success",
    "error",
    "timeout",
    "stalled",
    "empty",
    "unverified",
    "invalid output",
    "ceiling",
    "denied",
    "blocked",
    "rate limited",
    "overloaded",
    "unreachable",
    "usage limited",
    "out of budget",
    "authentication",
    "no credit",
    "interrupted",
    "cancelled",
]

COUNTING = frozenset(("error", "timeout", "stalled", "empty", "unverified", "invalid output"))
"""Outcomes that use up one of the task's `attempts`."""

NEEDS_A_PERSON = frozenset(("denied", "blocked"))
"""Outcomes after which another attempt would come to the same: only a person can help."""

HALTING = frozenset(("no credit",))
"""Outcomes after which no worker of the run could do better: nothing more is launched."""

AUTHENTICATION_REFUSALS = 2
"""So many in a row halt a run as well: one can be a worker whose token another one has just renewed."""

IN_A_ROW = 20
"""How often in a row an outcome may use up no attempt before the task has failed."""

INTERRUPTIONS_IN_A_ROW = 3
"""The same for interruptions: a task that takes its dispatcher down with it must not do so for ever."""

BACKOFF_BASE, BACKOFF_FACTOR, BACKOFF_CEILING = 1.0, 2.0, 60.0
"""Seconds; with full jitter, after "Exponential Backoff and Jitter" (AWS Architecture Blog, 2015)."""

LIMIT_PAUSE = 300.0
"""Seconds to wait at a usage limit that does not say when it resets."""

LONGEST_SUGGESTION = 200
"""Characters of permission rules in a line to type; what is longer stands in the reason."""

Fate = Literal["completed", "failed", "blocked", "again"]

_CORRECTED = frozenset(("unverified", "invalid output"))


class Verdict(Struct, frozen=True):
    """An outcome, and why in words: one line, empty for a success without a but."""

    outcome: Outcome
    reason: str = ""


class Following(Struct, frozen=True):
    """What follows from an outcome: the task's fate, or another attempt after `delay` seconds."""

    fate: Fate
    counts: bool = False
    delay: float = 0.0


def what_follows(
    task: Task, outcome: str, used: int, in_a_row: int, luck: float, *, replans: bool = False
) -> Following:
    """The fate of a task after an attempt.

    Args:
        used: attempts that count, this one included if it does.
        in_a_row: attempts before this one, without a break, that did not count; this one not included.
        luck: 0.0 to 1.0, the jitter.
        replans: the plan may be changed before a person is asked; a task of `on_failure: escalate` has failed until
            then.
    """
    final: Fate = "blocked" if task.on_failure == "escalate" and not replans else "failed"
    if outcome == "success":
        return Following("completed")
    if outcome in NEEDS_A_PERSON:
        return Following("blocked")
    if outcome == "ceiling":
        return Following(final)
    if outcome in COUNTING:
        if used >= task.attempts:
            return Following(final, counts=True)
        return Following("again", counts=True, delay=luck * _backoff(used))
    limit = INTERRUPTIONS_IN_A_ROW if outcome == "interrupted" else IN_A_ROW
    if in_a_row + 1 >= limit:
        return Following(final)
    if outcome == "usage limited":
        return Following("again", delay=LIMIT_PAUSE)
    waits = outcome in ("rate limited", "overloaded", "unreachable", "authentication")
    return Following("again", delay=luck * _backoff(in_a_row + 1) if waits else 0.0)


def luck(run: str, task: str, attempt: int) -> float:
    """A fraction of 1 that differs from attempt to attempt, and is the same at every replay."""
    return zlib.crc32(f"{run}/{task}.{attempt}".encode()) / 2**32


def _backoff(count: int) -> float:
    return min(BACKOFF_CEILING, BACKOFF_BASE * BACKOFF_FACTOR ** min(count - 1, 16))


def next_step(
    task: Task,
    outcome: str,
    fate: str,
    *,
    delay: float = 0.0,
    denials: Sequence[str] = (),
    skips: bool = False,
) -> str:
    """What comes next, in words, on one line; empty where nothing does.

    Args:
        fate: of a `Following`, or any status of the task.
        delay: seconds until the next attempt, as far as known.
        denials: the permission rules that were denied, for the line to type.
        skips: whether other tasks are skipped because this one failed.
    """
    if fate == "blocked":
        return f"waits for a person: {_ways_out(task.id, outcome, denials)}"
    if fate == "failed" and task.on_failure == "escalate":
        return "it is reassigned or split, or a person is asked"
    if fate == "failed":
        if task.on_failure == "stop":
            after = "nothing more is launched; "
        else:
            after = "its dependents are skipped; " if skips else ""
        return f"{after}`orchestrate retry {task.id}` gives it fresh attempts"
    if fate not in ("again", "retrying"):
        return ""
    return _NEXT.get(outcome) or _another(task, outcome, delay)


def question(task: Task, outcome: str, reason: str, denials: Sequence[str] = ()) -> str:
    """What a person is asked about a blocked task, with the lines to type."""
    return f"{reason or outcome}; {next_step(task, outcome, 'blocked', denials=denials)}"


def _ways_out(name: str, outcome: str, denials: Sequence[str]) -> str:
    cancel = f"`orchestrate cancel {name}`"
    if outcome == "denied":
        return f"`orchestrate retry {name} --allow {_allowed(denials)}`, or {cancel}"
    again = "" if outcome == "blocked" else f" `orchestrate retry {name}`,"
    return f"`orchestrate answer {name} TEXT`,{again} or {cancel}"


def _allowed(denials: Sequence[str]) -> str:
    line = " --allow ".join(map(shlex.quote, dict.fromkeys(denials)))
    # A rule with a line break or a backquote in it would not come out of the line as it went in.
    fits = 0 < len(line) <= LONGEST_SUGGESTION and line.isprintable() and "`" not in line
    return line if fits else "RULE"


def _another(task: Task, outcome: str, delay: float) -> str:
    if task.cli == "session":
        return "another attempt when a session starts it: `orchestrate next` shows what was wrong"
    if outcome == "usage limited":
        when = f", in {duration(delay)}" if delay > 0 else ""
        return f"another attempt when the limit is reset{when}; no attempt is used up"
    continues = task.cli == "claude" and outcome in (*_CORRECTED, "interrupted")
    then = "continues the same session" if continues else "another attempt"
    told = ", told what was wrong" if continues and outcome in _CORRECTED else ""
    when = f" in {duration(delay)}" if delay > 0 else ""
    free = "" if outcome in COUNTING else "; no attempt is used up"
    return f"{then}{when}{told}{free}"


_NEXT = {
    "authentication": "another attempt; a second refusal in a row ends the run",
    "no credit": "nothing more is launched until there is credit; then `orchestrate run --detach` goes on",
    "out of budget": "the same session goes on with what is left; `orchestrate run --detach --budget USD` gives more",
}
