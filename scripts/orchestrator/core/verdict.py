"""The judgement on an attempt: evidence in, outcome and reason out; and what follows from an outcome.

An exit status of 0 or a text that says "done" is not evidence by itself; every signal counts.
"""

from __future__ import annotations

import signal as signals
import zlib
from datetime import datetime
from typing import Literal

from msgspec import Struct

from orchestrator.core.plan import Task

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
    "rate limited",
    "overloaded",
    "usage limited",
    "authentication",
    "no credit",
    "interrupted",
    "cancelled",
]

COUNTING = frozenset(("error", "timeout", "stalled", "empty", "unverified", "invalid output"))
"""Outcomes that use up one of the task's `attempts`."""

HALTING = frozenset(("authentication", "no credit"))
"""Outcomes after which no worker of the run could do better: nothing more is launched."""

IN_A_ROW = 20
"""How often in a row an outcome may use up no attempt before the task has failed."""

INTERRUPTIONS_IN_A_ROW = 3
"""The same for interruptions: a task that takes its dispatcher down with it must not do so for ever."""

BACKOFF_BASE, BACKOFF_FACTOR, BACKOFF_CEILING = 1.0, 2.0, 60.0
"""Seconds; with full jitter, after "Exponential Backoff and Jitter" (AWS Architecture Blog, 2015)."""

LIMIT_PAUSE = 300.0
"""Seconds to wait at a usage limit that does not say when it resets."""


class Ending(Struct, frozen=True):
    """How the process of an attempt ended.

    `exit` is its status, negative for the signal that killed it, None when nobody saw it. `stopped` says why
    the dispatcher stopped it, where it did.
    """

    exit: int | None = None
    stopped: Literal["", "timeout", "stalled", "interrupted", "cancelled"] = ""


class Said(Struct, frozen=True):
    """What a model CLI wrote about its own run; `ended` is whether it wrote a last line at all."""

    started: bool = False
    ended: bool = False
    is_error: bool = False
    subtype: str = ""
    status: int | None = None
    api_error: str = ""
    turns: int | None = None
    tool_calls: int = 0
    open_tool_call: bool = False
    denials: tuple[str, ...] = ()
    text: str = ""
    structured: bool = False
    cost_usd: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    model: str = ""
    session: str | None = None
    until: datetime | None = None


class Check(Struct, frozen=True):
    """One `verify` command: exit status (None: it had to be stopped) and the end of what it printed."""

    command: str
    exit: int | None
    output: str = ""


class Evidence(Struct, frozen=True):
    """All signals of one attempt. `said` is None for a CLI that says nothing about itself."""

    ending: Ending
    said: Said | None = None
    complaint: str = ""
    """The last line of stderr, for the reason's sake."""
    artifact_problems: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()


class Verdict(Struct, frozen=True):
    """An outcome, and why in words."""

    outcome: Outcome
    reason: str = ""


class Following(Struct, frozen=True):
    """What follows from an outcome: the task's fate, or another attempt after `delay` seconds."""

    fate: Literal["completed", "failed", "blocked", "again"]
    counts: bool = False
    delay: float = 0.0


def worth_checking(task: Task, evidence: Evidence) -> bool:
    """Whether artifacts and `verify` can still decide anything about this attempt."""
    return _before_proof(task, evidence) is None


def judge(task: Task, evidence: Evidence) -> Verdict:
    """The verdict on one attempt of `task`, from all its signals."""
    return (
        _before_proof(task, evidence)
        or proof(evidence)
        or _without_proof(task, evidence)
        or _after_proof(task, evidence)
    )


def _before_proof(task: Task, evidence: Evidence) -> Verdict | None:
    ending, said = evidence.ending, evidence.said
    finished = said is not None and said.ended and not said.is_error and said.subtype == "success"
    if ending.stopped and not (finished and ending.stopped == "interrupted"):
        return Verdict(ending.stopped, _STOPPED[ending.stopped].format(task=task))
    if said is not None:
        whole = finished and (ending.stopped or ending.exit in (0, None))
        return None if whole else _unfinished(ending, said, evidence.complaint)
    if ending.exit is None:
        return Verdict("interrupted", "its process ended unseen and left no exit status")
    if ending.exit < 0:
        return Verdict("error", f"killed by {signal_name(-ending.exit)}")
    if ending.exit > 0:
        return Verdict("error", _with(f"exit status {ending.exit}", evidence.complaint))
    return None


_STOPPED = {
    "timeout": "stopped after its timeout of {task.timeout}",
    "stalled": "stopped: nothing was written for {task.idle_timeout}",
    "interrupted": "stopped with the run",
    "cancelled": "cancelled",
}


def _unfinished(ending: Ending, said: Said, complaint: str) -> Verdict:
    if not said.ended:
        return _without_last_line(ending, said, complaint)
    if said.subtype in _CEILINGS:
        return Verdict("ceiling", _CEILINGS[said.subtype])
    if said.subtype == "error_max_structured_output_retries":
        return Verdict("invalid output", "the answer never matched output_schema")
    if said.is_error and (failure := _api_failure(said)):
        return failure
    if not said.is_error and ending.exit:
        return Verdict("error", _with(_how(ending.exit), complaint))
    return Verdict("error", _with(said.subtype if said.subtype != "success" else "", said.text or complaint))


_CEILINGS = {
    "error_max_turns": "reached its ceiling of turns",
    "error_max_budget_usd": "reached its ceiling of money",
}


def _without_last_line(ending: Ending, said: Said, complaint: str) -> Verdict:
    if ending.exit is None:
        return Verdict("interrupted", "its process ended unseen, without a result")
    if ending.exit == 0:
        return Verdict("empty", "exit status 0, but no result was written")
    how = _how(ending.exit)
    if how.startswith("killed"):
        return Verdict("error", f"{how} before it had a result")
    return _login_trouble(complaint) or Verdict("error", _with(how, complaint))


def _how(status: int) -> str:
    """How a process ended that did not end well."""
    if status < 0 or status in (129, 130, 137, 143):
        return f"killed by {signal_name(-status if status < 0 else status - 128)}"
    return f"exit status {status}"


def _api_failure(said: Said) -> Verdict | None:
    quoted = cut(said.text) or f"HTTP {said.status}, without a word"
    if said.api_error == "usage_limit_reached" or _says(said.text, _USAGE_LIMIT):
        return Verdict("usage limited", quoted)
    if trouble := _login_trouble(said.text):
        return trouble
    if said.status == 401:
        return Verdict("authentication", quoted)
    if said.status == 429:
        return Verdict("rate limited", quoted)
    if said.status == 529:
        return Verdict("overloaded", quoted)
    if said.status is not None:
        return Verdict("error", f"HTTP {said.status}: {quoted}" if said.text.strip() else quoted)
    return None


_USAGE_LIMIT = ("you've hit your", "usage limit reached")
_LOGIN = ("not logged in", "please run /login", "invalid api key", "oauth token has expired")
_CREDIT = ("credit balance is too low",)


def _login_trouble(text: str) -> Verdict | None:
    if _says(text, _LOGIN):
        return Verdict("authentication", cut(text))
    if _says(text, _CREDIT):
        return Verdict("no credit", cut(text))
    return None


def _says(text: str, phrases: tuple[str, ...]) -> bool:
    # A real answer can be long and quote anything; the CLI's own messages are one short line.
    line = text.strip().lower()
    return len(line) < 300 and any(phrase in line for phrase in phrases)


def proof(evidence: Evidence) -> Verdict | None:
    """What artifacts and `verify` commands say against the work; None if nothing."""
    if evidence.ending.stopped and any(check.exit is None for check in evidence.checks):
        return Verdict(evidence.ending.stopped, "stopped while its work was being verified")
    problems = list(evidence.artifact_problems)
    for check in evidence.checks:
        if check.exit != 0:
            how = "had to be stopped" if check.exit is None else f"exit status {check.exit}"
            problems.append(_with(f"verify `{cut(check.command, 80)}`: {how}", check.output))
    return Verdict("unverified", "; ".join(problems)) if problems else None


def _without_proof(task: Task, evidence: Evidence) -> Verdict | None:
    if len(evidence.checks) >= len(task.verify):
        return None
    return Verdict(evidence.ending.stopped or "unverified", "it ended before its work was verified")


def _after_proof(task: Task, evidence: Evidence) -> Verdict:
    said = evidence.said
    if said is None:
        return Verdict("success")
    proven = bool(evidence.checks or task.artifacts)
    if said.turns == 0:
        return Verdict("empty", _with("no turn was taken", said.text))
    if task.output_schema is not None and not said.structured:
        return Verdict("invalid output", "no structured output was given")
    if said.denials and not proven:
        return Verdict("denied", _denied(said))
    if not said.text.strip() and not said.structured and not proven:
        return Verdict("empty", "the result is empty")
    if task.declares_work and not said.tool_calls and not proven:
        return Verdict("unverified", "declares work, but no tool was used and nothing proves it")
    return Verdict("success", f"although {_denied(said)}" if said.denials else "")


def _denied(said: Said) -> str:
    return "denied: " + cut(", ".join(dict.fromkeys(said.denials)))


def what_follows(task: Task, outcome: str, used: int, in_a_row: int, luck: float) -> Following:
    """The fate of a task after an attempt.

    Args:
        used: attempts that count, this one included if it does.
        in_a_row: attempts before this one, without a break, that did not count; this one not included.
        luck: 0.0 to 1.0, the jitter.
    """
    if outcome == "success":
        return Following("completed")
    if outcome == "denied":
        return Following("blocked")
    if outcome == "ceiling":
        return Following(_final(task))
    if outcome in COUNTING:
        if used >= task.attempts:
            return Following(_final(task), counts=True)
        return Following("again", counts=True, delay=luck * _backoff(used))
    limit = INTERRUPTIONS_IN_A_ROW if outcome == "interrupted" else IN_A_ROW
    if in_a_row + 1 >= limit:
        return Following(_final(task))
    if outcome == "usage limited":
        return Following("again", delay=LIMIT_PAUSE)
    waits = outcome in ("rate limited", "overloaded")
    return Following("again", delay=luck * _backoff(in_a_row + 1) if waits else 0.0)


def luck(run: str, task: str, attempt: int) -> float:
    """A fraction of 1 that differs from attempt to attempt, and is the same at every replay."""
    return zlib.crc32(f"{run}/{task}.{attempt}".encode()) / 2**32


def _final(task: Task) -> Literal["failed", "blocked"]:
    return "blocked" if task.on_failure == "escalate" else "failed"


def _backoff(count: int) -> float:
    return min(BACKOFF_CEILING, BACKOFF_BASE * BACKOFF_FACTOR ** min(count - 1, 16))


def signal_name(number: int) -> str:
    """`SIGKILL` for 9."""
    try:
        return signals.Signals(number).name
    except ValueError:
        return f"signal {number}"


def cut(text: str, length: int = 200) -> str:
    """The beginning of `text`, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"


def _with(what: str, detail: str) -> str:
    detail = cut(detail)
    return f"{what}: {detail}" if what and detail else what or detail or "failed without a word"
