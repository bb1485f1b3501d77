"""What the end of an attempt's process decides, and what the CLI says of it; the work is not looked at.

Fields decide. Text decides only about logins, credit and usage limits, by one table, and codes in it about whether
the API was reached at all.
"""

from __future__ import annotations

from orchestrator.core.consequences import Outcome, Verdict
from orchestrator.core.evidence import Ending, Evidence, Said, signal_name
from orchestrator.core.plan import Task
from orchestrator.core.text import one_line

LONGEST_PART = 200
"""Characters of one thing that a reason quotes."""

LONGEST_MESSAGE = 300
"""Characters: an answer that is longer is no message of the CLI itself, whatever it quotes."""

ROUNDING = 0.999
"""A sum of dollars that is below its ceiling by less than this is at it."""


def by_its_end(task: Task, evidence: Evidence) -> Verdict | None:
    """What the end of the process, and what the CLI says of it, decide; None: the work decides."""
    ending, said = evidence.ending, evidence.said
    finished = said is not None and said.ended and not said.is_error and said.subtype == "success"
    if ending.stopped and not (finished and ending.stopped == "interrupted"):
        return Verdict(ending.stopped, _STOPPED[ending.stopped].format(task=task))
    if said is None:
        return _end_of_a_command(ending, evidence.complaint)
    if not finished or (ending.exit and not ending.stopped):
        return _unfinished(task, evidence, said)
    if said.turns == 0 or (said.turns is None and not said.answered):
        return Verdict("empty", with_detail("no turn was taken", said.text))
    return None


_STOPPED = {
    "timeout": "stopped after its timeout of {task.timeout}",
    "stalled": "stopped: nothing was written for {task.idle_timeout}",
    "interrupted": "stopped with the run",
    "cancelled": "cancelled",
}


def _end_of_a_command(ending: Ending, complaint: str) -> Verdict | None:
    if ending.exit is None:
        return Verdict("interrupted", "its process ended unseen and left no exit status")
    if ending.exit < 0:
        return Verdict("error", f"killed by {signal_name(-ending.exit)}")
    return Verdict("error", with_detail(f"exit status {ending.exit}", complaint)) if ending.exit else None


def _unfinished(task: Task, evidence: Evidence, said: Said) -> Verdict:
    if session_lost(evidence):
        why = one_line(said.text or evidence.complaint, LONGEST_PART) or _how(evidence.ending)
        lost = f"its session could not be continued ({why}); the next attempt begins a fresh one"
        return Verdict("interrupted", lost)
    if not said.ended:
        return _without_last_line(evidence.ending, evidence.complaint)
    if said.subtype == "error_max_turns":
        ceiling = f" ({task.max_turns})" if task.max_turns else ""
        return Verdict("ceiling", f"reached its ceiling of turns{ceiling}")
    if said.subtype == "error_max_budget_usd":
        return _out_of_money(task, evidence.cost_usd)
    if said.subtype == "error_max_structured_output_retries":
        return Verdict("invalid output", with_detail("the answer never matched output_schema", said.text))
    if said.is_error and (failure := _api_failure(said)):
        return failure
    if not said.is_error and said.subtype == "success":
        return Verdict("error", with_detail(f"{_how(evidence.ending)} after its result", evidence.complaint))
    how = _BROKEN_OFF.get(said.subtype, f"ended with {one_line(said.subtype, 60)}")
    return Verdict("error", with_detail(how, said.text or evidence.complaint))


_BROKEN_OFF = {
    "": "its last line does not say whether it succeeded",
    "success": "",
    "error_during_execution": "broken off in the middle of its work (error_during_execution)",
}


def _out_of_money(task: Task, cost_usd: float) -> Verdict:
    """The program stops after the call that passes its ceiling: what that came to is told."""
    spent = f"${cost_usd:.4f}"
    if task.budget_usd is None or 0 < cost_usd < task.budget_usd * ROUNDING:
        return Verdict(
            "out of budget", f"reached its share of what was left of the budget of the run, at {spent}"
        )
    return Verdict("ceiling", f"reached its ceiling of money: {spent} of ${task.budget_usd:.4f}")


def _without_last_line(ending: Ending, complaint: str) -> Verdict:
    if ending.exit is None:
        return Verdict("interrupted", "its process ended unseen, without a result")
    if ending.exit == 0:
        return Verdict("empty", "exit status 0, but no result was written, as after an interrupt")
    if ending.signal:
        return Verdict("error", f"{_how(ending)} before it had a result")
    return _by_text(complaint) or Verdict("error", with_detail(_how(ending), complaint))


def _how(ending: Ending) -> str:
    """How a process ended that did not end well."""
    return f"killed by {signal_name(ending.signal)}" if ending.signal else f"exit status {ending.exit}"


def _api_failure(said: Said) -> Verdict | None:
    quoted = one_line(said.text, LONGEST_PART) or f"HTTP {said.status}, without a word"
    if decided := _by_field(said):
        return Verdict(decided, quoted)
    if trouble := _by_text(said.text):
        return trouble
    if said.status is None and any(code in said.text for code in _NO_CONNECTION):
        return Verdict("unreachable", quoted)
    if said.status in _BY_STATUS:
        return Verdict(_BY_STATUS[said.status], quoted)
    if said.status is not None:
        return Verdict("error", f"HTTP {said.status}: {quoted}" if said.text.strip() else quoted)
    return None


def _by_field(said: Said) -> Outcome | None:
    if said.status == 429 and said.until is not None:
        return "usage limited"
    if said.api_error == "authentication_failed" and said.status is None:
        # With no status there was no request: it found no login. It says the same of any 403.
        return "authentication"
    return _BY_KIND.get(said.api_error)


_BY_KIND: dict[str, Outcome] = {
    "usage_limit_reached": "usage limited",
    "billing_error": "no credit",
    "oauth_org_not_allowed": "authentication",
    "org_disabled_credential": "authentication",
}
"""What versions 2.1.197 and 2.1.329 were seen to call their errors, and what that decides."""

_BY_STATUS: dict[int, Outcome] = {401: "authentication", 429: "rate limited", 529: "overloaded"}

_NO_CONNECTION = (
    *("(ECONNREFUSED)", "(ENOTFOUND)", "(EAI_AGAIN)", "(ENETUNREACH)", "(EHOSTUNREACH)", "(ENETDOWN)"),
    *("(ConnectionRefused)", "(FailedToOpenSocket)"),
)
"""The codes of the system, and of the oldest version, for a connection that did not come about: nothing was asked."""

_TEXTS: tuple[tuple[Outcome, tuple[str, ...]], ...] = (
    (
        "authentication",
        ("not logged in", "please run /login", "invalid api key", "oauth token has expired"),
    ),
    ("no credit", ("credit balance is too low",)),
    (
        "usage limited",
        ("you've hit your", "usage limit reached", "you have reached your specified api usage limits"),
    ),
)
"""The only texts that decide anything, in lower case."""


def _by_text(text: str) -> Verdict | None:
    line = text.strip().lower()
    if len(line) < LONGEST_MESSAGE:
        for outcome, phrases in _TEXTS:
            if any(phrase in line for phrase in phrases):
                return Verdict(outcome, one_line(text, LONGEST_PART))
    return None


def session_lost(evidence: Evidence) -> bool:
    """Whether the CLI could not go on with the session that it was given, and so never began.

    No fault of the task: it costs no attempt, and the next one begins a fresh session.
    """
    ending, said = evidence.ending, evidence.said
    if not evidence.resumed or said is None or said.started or said.answered or ending.stopped:
        return False
    if said.ended and not said.is_error:
        return False
    words = said.text or evidence.complaint
    # 126 and 127: there was no program that could have gone on.
    refused = bool(words) if ending.exit is None else ending.exit not in (0, 126, 127)
    return refused and not ending.signal and said.status is None and _by_text(words) is None


def with_detail(what: str, detail: str) -> str:
    """`what: detail`, the latter cut to size; never empty."""
    detail = one_line(detail, LONGEST_PART)
    return f"{what}: {detail}" if what and detail else what or detail or "failed without a word"
