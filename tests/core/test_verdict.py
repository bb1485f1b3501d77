from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saying import CREDIT, LIMIT, LOGIN, SHELL, command, ruling, says, work

from orchestrator.core import consequences, evidence, verdict
from orchestrator.core.evidence import Check, Ending, Evidence, Said
from orchestrator.core.report import Report
from orchestrator.core.verdict import LONGEST_REASON, Outcome, judge, proof, proven

GOOD, BAD = Check("make test", 0), Check("make lint", 1, "E501\nline too long")
COMPLETE = Report("complete", "All is done.")
PARTIAL = Report("partial", "Half of it is done.")
ASKING = Report("blocked", "Two ways lead there.", questions=("Which key?", "Whose?"))
SCHEMA = {"type": "object"}


def worked(one: Any = None, said: Said | None = None, **signals: Any) -> str:
    """The ruling on an attempt whose process ended well."""
    return ruling(Ending(0), said or says(), one, **signals)


def test_missing_artifacts_and_failing_checks_are_all_named() -> None:
    one = work(artifacts=("a.md",), verify=("make lint", "make test"))
    checks = (BAD, Check("make test", None))
    assert worked(one, artifact_problems=("a.md is missing",), checks=checks) == (
        "unverified: a.md is missing; verify `make lint`: exit status 1: E501 line too long; "
        "verify `make test`: had to be stopped at the timeout of 5m"
    )


@pytest.mark.parametrize("problem", ["missing", "empty", "as it was before the first attempt"])
def test_artifacts_that_prove_nothing_are_a_reason(problem: str) -> None:
    found = worked(work(artifacts=("a.md",)), artifact_problems=(f"artifact a.md is {problem}",))
    assert found == f"unverified: artifact a.md is {problem}"


def test_a_check_that_is_not_there_is_said_to_be_missing() -> None:
    missing = (Check("lint src", 127, "sh: 1: lint: not found\n"),)
    assert worked(work(verify=("lint src",)), checks=missing) == (
        "unverified: verify `lint src`: the command was not found (exit status 127): sh: 1: lint: not found"
    )


def test_of_a_long_output_whole_lines_of_the_end_are_quoted_and_said_to_be_the_end() -> None:
    printed = "".join(f"src/module_{n}.py: function_{n} has no docstring\n" for n in range(40))
    found = worked(work(verify=("make",)), checks=(Check("make", 2, printed),))
    assert found.startswith(
        "unverified: verify `make`: exit status 2: … src/module_36.py: function_36 has no"
    )
    assert found.endswith("src/module_39.py: function_39 has no docstring")
    assert len(found) < 260


def test_an_output_that_fits_is_quoted_whole() -> None:
    found = worked(work(verify=("make",)), checks=(Check("make", 2, "a.py: f\n\nb.py: g\nc.py: h\n"),))
    assert found == "unverified: verify `make`: exit status 2: a.py: f b.py: g c.py: h"


def test_of_a_long_line_the_end_is_quoted_in_whole_words() -> None:
    found = worked(work(verify=("make",)), checks=(Check("make", 2, "some words " * 900 + "1 failed"),))
    assert "exit status 2: … some words" in found or "exit status 2: … words some" in found
    assert found.endswith("words 1 failed")
    assert len(found) < 260


def test_of_a_word_without_an_end_the_end_is_quoted() -> None:
    found = worked(work(verify=("make",)), checks=(Check("make", 2, "x" * 9000 + " 1 failed"),))
    assert "exit status 2: …xxx" in found
    assert found.endswith("xxx 1 failed")
    assert len(found) < 300


def test_a_command_is_verified_like_a_worker() -> None:
    one = command(verify=("make lint",))
    assert ruling(Ending(0), None, one, checks=(BAD,)).startswith("unverified")
    assert ruling(Ending(0), None, one, checks=(GOOD,)) == "success"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (None, "unverified: it ended before its work was verified"),
        (says(), "unverified: it ended before its work was verified"),
        (says(denials=("Bash",)), "denied: denied: Bash; it ended before its work was verified"),
    ],
)
def test_work_whose_checks_were_not_run_is_not_done(said: Said | None, expected: str) -> None:
    checks = ("make lint", "make test")
    one = work(verify=checks) if said else command(verify=checks)
    assert ruling(Ending(0), said, one, checks=(GOOD,)) == expected
    assert ruling(Ending(0, "interrupted"), said, one).startswith("interrupted")


def test_work_stopped_while_it_was_verified_is_interrupted() -> None:
    stopped = (Check("make lint", None),)
    assert ruling(Ending(0, "interrupted"), says(), work(verify=("make lint",)), checks=stopped) == (
        "interrupted: stopped while its work was being verified"
    )


def test_proof_outranks_denials_and_an_empty_text() -> None:
    one = work(verify=("make test",))
    assert worked(one, says(denials=("Bash",)), checks=(GOOD,)) == "success: although denied: Bash"
    assert worked(one, says(""), checks=(GOOD,)) == "success"
    assert worked(work(artifacts=("a",)), says("", denials=("Bash",))).startswith("success")


def test_an_empty_result_without_proof_is_empty() -> None:
    assert worked(said=says(" \n")) == "empty: the result is empty"
    assert worked(said=says("", structured='{"a":1}')) == "success"


def test_declared_work_without_a_tool_call_needs_proof() -> None:
    said = says(tool_calls=0)
    suspicious = "unverified: declares work, but no tool was used and nothing proves it"
    assert worked(work(writes=("src/**",)), said) == suspicious
    assert worked(work(writes=("src/**",), verify=("make test",)), said, checks=(GOOD,)) == "success"
    assert worked(said=said) == "success"


def test_denials_without_proof_block_and_are_listed_once_each() -> None:
    said = says(denials=("Bash(npm test)", "Edit(//srv/a.txt)", "Bash(npm test)"))
    assert worked(said=said) == "denied: denied: Bash(npm test), Edit(//srv/a.txt)"
    assert worked(said=said, report=COMPLETE).startswith("denied")


def test_denials_outrank_failing_checks_which_are_told_with_them() -> None:
    found = worked(work(verify=("make lint",)), says(denials=("Bash(npm ci)",)), checks=(BAD,))
    assert found == ("denied: denied: Bash(npm ci); verify `make lint`: exit status 1: E501 line too long")


def test_denied_reading_does_no_harm_to_work_that_is_reported_complete() -> None:
    said = says(denials=("Read(//etc/hosts)", "WebFetch(domain:example.org)", "Grep"))
    listed = "denied: Read(//etc/hosts), WebFetch(domain:example.org), Grep"
    assert worked(said=said, report=COMPLETE) == f"success: although {listed}"
    assert worked(said=said, report=PARTIAL) == f"denied: {listed}"
    assert worked(said=said) == f"denied: {listed}"
    assert worked(work(verify=("make lint",)), said, report=COMPLETE, checks=(BAD,)).startswith("unverified")


def test_denied_reading_does_no_harm_to_a_structured_output_that_is_valid() -> None:
    said = says(denials=("Read(//etc/hosts)",), structured="{}")
    one = work(output_schema=SCHEMA)
    assert worked(one, said).startswith("success: although denied")
    assert worked(one, said, schema_problem="/a: must be text").startswith("denied")


def test_of_many_denials_whole_rules_are_listed_and_the_others_counted() -> None:
    rules = tuple(f"Bash(make target-{number})" for number in range(5000))
    found = judge(work(), Evidence(Ending(0), says(denials=rules)))
    listed, _, rest = found.reason.removeprefix("denied: ").rpartition(" and ")
    shown = listed.split(", ")
    assert tuple(shown) == rules[: len(shown)]
    assert rest == f"{5000 - len(shown)} more"


def test_a_worker_that_cannot_go_on_waits_for_a_person() -> None:
    assert worked(report=ASKING) == "blocked: it asks: Which key? Whose?"
    assert worked(report=Report("blocked", "No network.")) == "blocked: it asks: No network."
    assert worked(report=Report("blocked")) == "blocked: its report says blocked, and does not say why"


def test_a_worker_that_asks_is_not_told_of_failing_checks_again_and_again() -> None:
    found = worked(work(verify=("make lint",)), report=ASKING, checks=(BAD,))
    assert found.startswith("blocked: it asks: Which key? Whose?; verify `make lint`")


def test_what_was_denied_and_what_is_asked_is_told_together() -> None:
    found = worked(said=says(denials=("Bash(id)",)), report=ASKING)
    assert found == "denied: denied: Bash(id); it asks: Which key? Whose?"


def test_proof_outranks_what_a_report_says() -> None:
    one = work(verify=("make test",))
    assert worked(one, report=ASKING, checks=(GOOD,)) == "success: although its report says blocked"
    assert worked(one, report=PARTIAL, checks=(GOOD,)) == (
        "success: its report says partial: Half of it is done."
    )


def test_a_partial_report_is_said_and_a_complete_one_is_not() -> None:
    assert worked(report=PARTIAL) == "success: its report says partial: Half of it is done."
    assert worked(report=Report("partial")) == "success: its report says partial"
    assert worked(report=COMPLETE) == "success"


def test_files_changed_outside_of_writes_need_proof() -> None:
    one = work(writes=("src/**",), verify=("make test",))
    outside = ("b.txt", "c/d.txt")
    assert worked(one, outside=outside, checks=(GOOD,)) == (
        "success: although it changed b.txt, c/d.txt outside of its writes"
    )
    assert worked(work(writes=("src/**",)), outside=outside) == (
        "unverified: it changed b.txt, c/d.txt outside of its writes"
    )
    assert worked(one, outside=outside, checks=(BAD,)).endswith(
        "line too long; it changed b.txt, c/d.txt outside of its writes"
    )


def test_everything_that_is_to_be_known_about_a_success_is_told() -> None:
    said = says(denials=("Bash(id)",))
    assert worked(work(artifacts=("a",)), said, outside=("b",), report=PARTIAL) == (
        "success: although denied: Bash(id); although it changed b outside of its writes; "
        "its report says partial: Half of it is done."
    )


def test_a_schema_asks_for_structured_output_that_matches() -> None:
    one = work(output_schema=SCHEMA)
    structured = says(structured='{"a":1}')
    assert worked(one) == "invalid output: no structured output was given"
    assert worked(one, structured) == "success"
    assert worked(one, structured, schema_problem="/a: must be text") == (
        "invalid output: the structured output does not match output_schema: /a: must be text"
    )


def test_a_schema_is_not_proven_by_checks() -> None:
    one = work(output_schema=SCHEMA, verify=("make test",))
    assert worked(one, checks=(GOOD,)).startswith("invalid output")
    assert worked(one, checks=(BAD,)) == (
        "unverified: verify `make lint`: exit status 1: E501 line too long; no structured output was given"
    )


def test_work_is_proven_by_artifacts_or_by_all_of_its_checks() -> None:
    assert proven(work(artifacts=("a",)), Evidence(Ending(0)))
    assert not proven(work(artifacts=("a",)), Evidence(Ending(0), artifact_problems=("a is missing",)))
    assert proven(work(verify=("make test",)), Evidence(Ending(0), checks=(GOOD,)))
    assert not proven(work(verify=("make test", "make lint")), Evidence(Ending(0), checks=(GOOD,)))
    assert not proven(work(verify=("make lint",), artifacts=("a",)), Evidence(Ending(0), checks=(BAD,)))
    assert not proven(work(), Evidence(Ending(0)))


def test_the_checks_of_a_plan_have_no_task() -> None:
    assert proof(Evidence(Ending(0), checks=(GOOD,))) is None
    found = proof(Evidence(Ending(0), checks=(Check("make", None),)))
    assert found is not None
    assert found.reason == "verify `make`: had to be stopped"


def test_a_reason_is_one_clean_line() -> None:
    printed = "\x1b[31mred\x1b[0m\x00\r\n\u202eback"
    found = judge(work(verify=("make",)), Evidence(Ending(0), says(), checks=(Check("make", 1, printed),)))
    assert found.reason == "verify `make`: exit status 1: red\ufffd \ufffdback"


def test_evidence_without_a_word_is_given_one() -> None:
    assert worked(work(artifacts=("a",)), artifact_problems=("",)) == "unverified: unverified"


TEXTS = st.sampled_from(["", " ", "\n", "\x1b[0m", "Done.", LIMIT, LOGIN, CREDIT, "x" * 9000]) | st.text()
REPORTS = st.builds(
    Report,
    st.sampled_from(["complete", "partial", "blocked"]),
    TEXTS,
    questions=st.lists(TEXTS, max_size=2).map(tuple),
)
SAID = st.builds(
    Said,
    started=st.booleans(),
    answered=st.booleans(),
    ended=st.booleans(),
    is_error=st.booleans(),
    subtype=st.sampled_from(["", "success", "error_max_turns", "error_max_budget_usd", "odd"]) | TEXTS,
    status=st.sampled_from([None, 200, 401, 403, 429, 500, 529]),
    api_error=st.sampled_from(["", "usage_limit_reached", "authentication_failed", "billing_error", "odd"]),
    turns=st.sampled_from([None, 0, 1]),
    tool_calls=st.integers(0, 1),
    denials=st.lists(st.sampled_from(["Bash", "Read(//a)"]) | TEXTS, max_size=3).map(tuple),
    text=TEXTS,
    structured=st.sampled_from(["", "{}"]),
)
ENDINGS = st.builds(
    Ending,
    st.none() | st.sampled_from([0, 1, 127, 143, -9]) | st.integers(-99, 255),
    st.sampled_from(["", "timeout", "stalled", "interrupted", "cancelled"]),
)
EVIDENCE = st.builds(
    Evidence,
    ENDINGS,
    st.none() | SAID,
    TEXTS,
    st.lists(st.sampled_from(["a: missing"]) | TEXTS, max_size=2).map(tuple),
    st.lists(st.builds(Check, TEXTS, st.sampled_from([None, 0, 1, 127, -11]), TEXTS), max_size=2).map(tuple),
    schema_problem=TEXTS,
    outside=st.lists(TEXTS, max_size=2).map(tuple),
    report=st.none() | REPORTS,
    resumed=st.booleans(),
    cost_usd=st.floats(0, 10),
)
TASKS = st.builds(
    work,
    verify=st.sampled_from([(), ("make",)]),
    artifacts=st.sampled_from([(), ("a",)]),
    writes=st.sampled_from([(), ("src/**",)]),
    output_schema=st.sampled_from([None, SCHEMA]),
    budget_usd=st.sampled_from([None, 1.0]),
    idle_timeout=st.sampled_from([None, "1m"]),
)


@given(EVIDENCE, TASKS)
def test_every_verdict_but_a_plain_success_says_why_on_one_bounded_line(signals: Evidence, one: Any) -> None:
    found = judge(one, signals)
    assert found.outcome in get_args(Outcome)
    assert found.reason or found.outcome == "success"
    assert len(found.reason) <= LONGEST_REASON
    assert len(found.reason.splitlines()) <= 1


@given(EVIDENCE, TASKS)
def test_success_is_never_said_over_a_signal_against_it(signals: Evidence, one: Any) -> None:
    said = signals.said
    if judge(one, signals).outcome != "success":
        return
    assert signals.ending.exit in (0, None) or signals.ending.stopped
    assert said is None or (
        said.ended and not said.is_error and said.subtype == "success" and said.turns != 0
    )
    assert not any(signals.artifact_problems)
    assert all(check.exit == 0 for check in signals.checks)
    assert len(signals.checks) >= len(one.verify)
    if said is not None:
        assert one.output_schema is None or (said.structured and not signals.schema_problem.strip())
        assert proven(one, signals) or not (
            signals.outside or (signals.report or COMPLETE).status == "blocked"
        )


@given(EVIDENCE, TASKS)
def test_a_lost_session_is_always_an_interruption(signals: Evidence, one: Any) -> None:
    if verdict.session_lost(signals):
        assert judge(one, signals).outcome == "interrupted"


def test_what_is_used_elsewhere_is_found_here() -> None:
    assert verdict.what_follows is consequences.what_follows
    assert verdict.Said is evidence.Said
    assert SHELL.cli == "shell"
