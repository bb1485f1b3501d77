"""The judgement on an attempt: evidence in, outcome and reason out.

An exit status of 0 or a text that says "done" is not evidence by itself; every signal counts, and proof
outranks counting.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from orchestrator.core.consequences import (
    AUTHENTICATION_REFUSALS,
    BACKOFF_CEILING,
    COUNTING,
    HALTING,
    IN_A_ROW,
    INTERRUPTIONS_IN_A_ROW,
    LIMIT_PAUSE,
    Following,
    Outcome,
    Verdict,
    luck,
    next_step,
    question,
    what_follows,
)
from orchestrator.core.evidence import Check, Ending, Evidence, Said, how_it_failed, signal_name
from orchestrator.core.plan import Task
from orchestrator.core.processend import LONGEST_PART, by_its_end, session_lost, with_detail
from orchestrator.core.report import Report
from orchestrator.core.text import ending, one_line
from orchestrator.core.workers import READERS, tool_name

__all__ = [
    "AUTHENTICATION_REFUSALS",
    "BACKOFF_CEILING",
    "COUNTING",
    "HALTING",
    "INTERRUPTIONS_IN_A_ROW",
    "IN_A_ROW",
    "LIMIT_PAUSE",
    "Check",
    "Ending",
    "Evidence",
    "Following",
    "Outcome",
    "Said",
    "Verdict",
    "judge",
    "luck",
    "next_step",
    "proof",
    "proven",
    "question",
    "session_lost",
    "signal_name",
    "what_follows",
    "worth_checking",
]

LONGEST_REASON = 500
"""Characters: three lines of a terminal, enough for what decided and the beginning of what was printed."""


def worth_checking(task: Task, evidence: Evidence) -> bool:
    """Whether artifacts and `verify` can still decide anything about this attempt."""
    return by_its_end(task, evidence) is None


def judge(task: Task, evidence: Evidence) -> Verdict:
    """The verdict on one attempt of `task`, from all its signals."""
    found = by_its_end(task, evidence) or _by_its_work(task, evidence)
    reason = one_line(found.reason, LONGEST_REASON)
    return Verdict(found.outcome, reason or ("" if found.outcome == "success" else found.outcome))


def proven(task: Task, evidence: Evidence) -> bool:
    """Whether artifacts or `verify` commands prove the work, and none of them says otherwise."""
    complete = len(evidence.checks) >= len(task.verify) and all(check.passed for check in evidence.checks)
    return complete and not evidence.artifact_problems and bool(evidence.checks or task.artifacts)


def proof(evidence: Evidence, timeout: str = "") -> Verdict | None:
    """What artifacts and `verify` commands say against the work; None if nothing.

    Args:
        timeout: the time that they had, for the reason's sake.
    """
    if evidence.ending.stopped and any(check.exit is None for check in evidence.checks):
        return Verdict(evidence.ending.stopped, "stopped while its work was being verified")
    problems = [*evidence.artifact_problems, *_failed_checks(evidence, timeout)]
    return Verdict("unverified", "; ".join(problems)) if problems else None


def _failed_checks(evidence: Evidence, timeout: str) -> Iterator[str]:
    for check in evidence.checks:
        if not check.passed:
            how = f"verify `{one_line(check.command, 80)}`: {how_it_failed(check, timeout)}"
            yield with_detail(how, ending(check.output, LONGEST_PART))


def _by_its_work(task: Task, evidence: Evidence) -> Verdict:
    """The verdict on an attempt whose process ended well: what it did, and what proves it."""
    against = proof(evidence, task.timeout) or _unchecked(task, evidence)
    said = evidence.said
    if said is None or (against and evidence.ending.stopped):
        return against or Verdict("success")
    sure, found = proven(task, evidence), against.reason if against else ""
    if not sure and (needs := _needs_a_person(task, evidence, said)):
        return Verdict(needs.outcome, _joined(needs.reason, found))
    unfit = _schema_problem(task, evidence)
    outside = _changed_outside(evidence) if evidence.outside else ""
    if against or unfit or (outside and not sure):
        only_unfit = unfit and not against
        return Verdict("invalid output" if only_unfit else "unverified", _joined(found, unfit, outside))
    suspicious = None if sure else _suspicious(task, said)
    return suspicious or Verdict("success", _joined(*_buts(evidence, said)))


def _joined(*parts: str) -> str:
    return "; ".join(filter(None, parts))


def _unchecked(task: Task, evidence: Evidence) -> Verdict | None:
    if len(evidence.checks) >= len(task.verify):
        return None
    return Verdict(evidence.ending.stopped or "unverified", "it ended before its work was verified")


def _needs_a_person(task: Task, evidence: Evidence, said: Said) -> Verdict | None:
    """What was denied, or asked, where nothing proves that the work was done all the same."""
    report = evidence.report
    asked = _asked(report) if report and report.status == "blocked" else ""
    if said.denials and not _is_harmless(task, evidence, said):
        return Verdict("denied", _joined(_denied(said), asked))
    return Verdict("blocked", asked) if asked else None


def _is_harmless(task: Task, evidence: Evidence, said: Said) -> bool:
    """Whether only reading was denied, and the worker had what it needed none the less."""
    structured = task.output_schema is not None and not _schema_problem(task, evidence)
    complete = evidence.report is not None and evidence.report.status == "complete"
    return (complete or structured) and all(tool_name(rule) in READERS for rule in said.denials)


def _asked(report: Report) -> str:
    questions = one_line(" ".join(report.questions), LONGEST_PART * 2)
    asked = questions or one_line(report.summary, LONGEST_PART)
    return f"it asks: {asked}" if asked else "its report says blocked, and does not say why"


def _schema_problem(task: Task, evidence: Evidence) -> str:
    if task.output_schema is None or evidence.said is None:
        return ""
    if not evidence.said.structured:
        return "no structured output was given"
    problem = one_line(evidence.schema_problem, LONGEST_PART)
    return f"the structured output does not match output_schema: {problem}" if problem else ""


def _suspicious(task: Task, said: Said) -> Verdict | None:
    if not said.text.strip() and not said.structured:
        return Verdict("empty", "the result is empty")
    if task.declares_work and not said.tool_calls:
        return Verdict("unverified", "declares work, but no tool was used and nothing proves it")
    return None


def _buts(evidence: Evidence, said: Said) -> Iterator[str]:
    """What is to be known about a success none the less."""
    if said.denials:
        yield f"although {_denied(said)}"
    if evidence.outside:
        yield f"although {_changed_outside(evidence)}"
    if evidence.meanwhile:
        yield f"although {_listed(evidence.meanwhile)} changed meanwhile, outside of its writes"
    if evidence.report and evidence.report.status == "blocked":
        yield "although its report says blocked"
    if evidence.report and evidence.report.status == "partial":
        yield with_detail("its report says partial", evidence.report.summary)


def _denied(said: Said) -> str:
    return f"denied: {_listed(said.denials)}"


def _changed_outside(evidence: Evidence) -> str:
    return f"it changed {_listed(evidence.outside)} outside of its writes"


def _listed(names: Iterable[str]) -> str:
    """Whole names, as many as fit: half a permission rule would be another one."""
    known = [one_line(name, LONGEST_PART) for name in dict.fromkeys(names)]
    shown: list[str] = []
    for name in known:
        if shown and sum(map(len, shown)) + len(name) > LONGEST_PART:
            return f"{', '.join(shown)} and {len(known) - len(shown)} more"
        shown.append(name)
    return ", ".join(shown)
