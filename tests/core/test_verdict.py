from __future__ import annotations

from typing import Any, get_args

import pytest
from fakes import task
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core import verdict
from orchestrator.core.plan import Task
from orchestrator.core.verdict import (
    COUNTING,
    HALTING,
    Check,
    Ending,
    Evidence,
    Following,
    Outcome,
    Said,
    judge,
    what_follows,
    worth_checking,
)

SHELL = task("a", timeout="5m", idle_timeout="2m")
CLAUDE = task("a", cli="claude", run="", description="x", timeout="5m", idle_timeout="2m")


def says(text: str = "Done.", **fields: Any) -> Said:
    """What a worker writes in a run that goes well, but for `fields`."""
    well: dict[str, Any] = {"started": True, "ended": True, "subtype": "success", "turns": 3, "tool_calls": 2}
    return Said(**(well | fields), text=text)


def failed(text: str, status: int | None = None, **fields: Any) -> Said:
    return says(text, is_error=True, status=status, **fields)


def outcome_of(ending: Ending, said: Said | None = None, one: Task | None = None, **evidence: Any) -> str:
    one = one or (SHELL if said is None else CLAUDE)
    ruling = judge(one, Evidence(ending, said, **evidence))
    return f"{ruling.outcome}: {ruling.reason}".removesuffix(": ")


NOTHING = Said()
STARTED = Said(started=True)
LIMIT = "You've hit your session limit · resets 3:45pm"
LOGIN = "Not logged in · Please run /login"
CREDIT = "Credit balance is too low"

ROWS: list[tuple[str, Ending, Said | None, str]] = [
    ("a command that ended well", Ending(0), None, "success"),
    ("a command that failed", Ending(3), None, "error: exit status 3"),
    ("a command that was killed", Ending(-9), None, "error: killed by SIGKILL"),
    ("a command whose end nobody saw", Ending(), None,
     "interrupted: its process ended unseen and left no exit status"),
    ("too long", Ending(-15, "timeout"), None, "timeout: stopped after its timeout of 5m"),
    ("too silent", Ending(-15, "stalled"), NOTHING, "stalled: stopped: nothing was written for 2m"),
    ("stopped with the run", Ending(-15, "interrupted"), None, "interrupted: stopped with the run"),
    ("cancelled", Ending(0, "cancelled"), says(), "cancelled: cancelled"),
    ("exit 0 and success", Ending(0), says(), "success"),
    ("success before the order to stop took effect", Ending(0, "interrupted"), says(), "success"),
    ("success, but over its time", Ending(0, "timeout"), says(), "timeout: stopped after its timeout of 5m"),
    ("success, its exit unseen", Ending(), says(), "success"),
    ("success over a failing exit", Ending(1), says(), "error: exit status 1"),
    ("success over a kill", Ending(143), says(), "error: killed by SIGTERM"),
    ("an answer about logins over a failing exit", Ending(1), says("Invalid API key: fixed."),
     "error: exit status 1"),
    ("HTTP 400", Ending(1), failed("Bad request", 400), "error: HTTP 400: Bad request"),
    ("HTTP 401", Ending(1), failed("Unauthorized", 401), "authentication: Unauthorized"),
    ("HTTP 429", Ending(1), failed("Slow down", 429), "rate limited: Slow down"),
    ("HTTP 429 that names no quota", Ending(1), failed("limited (not your usage limit)", 429),
     "rate limited: limited (not your usage limit)"),
    ("HTTP 500", Ending(1), failed("Internal", 500), "error: HTTP 500: Internal"),
    ("HTTP 529", Ending(1), failed("Overloaded", 529), "overloaded: Overloaded"),
    ("a usage limit by field", Ending(1), failed("No.", 429, api_error="usage_limit_reached"), "usage limited: No."),
    ("a usage limit by text", Ending(1), failed(LIMIT, 429), f"usage limited: {LIMIT}"),
    ("not logged in", Ending(1), failed(LOGIN), f"authentication: {LOGIN}"),
    ("no credit", Ending(1), failed(CREDIT, 400), f"no credit: {CREDIT}"),
    ("an error without a status", Ending(1), failed("Connection dropped"), "error: Connection dropped"),
    ("an error during execution", Ending(0), failed("", subtype="error_during_execution"),
     "error: error_during_execution"),
    ("an error without a word", Ending(1), failed(""), "error: failed without a word"),
    ("too many turns", Ending(1), failed("", subtype="error_max_turns"), "ceiling: reached its ceiling of turns"),
    ("too much money", Ending(1), failed("", subtype="error_max_budget_usd"),
     "ceiling: reached its ceiling of money"),
    ("no answer in the schema", Ending(1), failed("", subtype="error_max_structured_output_retries"),
     "invalid output: the answer never matched output_schema"),
    ("exit 0 and nothing written", Ending(0), NOTHING, "empty: exit status 0, but no result was written"),
    ("exit 0 and no result line", Ending(0), STARTED, "empty: exit status 0, but no result was written"),
    ("exit 1 and nothing written", Ending(1), NOTHING, "error: exit status 1"),
    ("killed by SIGTERM", Ending(143), STARTED, "error: killed by SIGTERM before it had a result"),
    ("killed by SIGKILL", Ending(-9), STARTED, "error: killed by SIGKILL before it had a result"),
    ("killed by SIGHUP", Ending(129), STARTED, "error: killed by SIGHUP before it had a result"),
    ("killed by an unknown signal", Ending(-64), STARTED, "error: killed by SIGRTMAX before it had a result"),
    ("its end unseen, without a result", Ending(), STARTED,
     "interrupted: its process ended unseen, without a result"),
    ("no turn", Ending(0), says("Unknown command: /x", turns=0),
     "empty: no turn was taken: Unknown command: /x"),
    ("an empty result", Ending(0), says(" \n"), "empty: the result is empty"),
    ("an empty text beside structured output", Ending(0), says("", structured=True), "success"),
    ("denied tools", Ending(0), says(denials=("Bash", "Write", "Bash")), "denied: denied: Bash, Write"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("ending", "said", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_an_attempt_is_judged_by_all_its_signals(ending: Ending, said: Said | None, expected: str) -> None:
    assert outcome_of(ending, said) == expected


def test_a_complaint_on_stderr_explains_an_exit_status() -> None:
    assert outcome_of(Ending(2), complaint="make: no rule") == "error: exit status 2: make: no rule"
    assert outcome_of(Ending(1), NOTHING, complaint=LOGIN) == f"authentication: {LOGIN}"


def test_a_command_that_prints_the_words_of_a_login_halts_nothing() -> None:
    assert outcome_of(Ending(1), complaint=LOGIN) == f"error: exit status 1: {LOGIN}"


def test_a_long_answer_that_quotes_a_limit_is_no_limit() -> None:
    text = f"The log says: {LIMIT}. " + "It goes on. " * 40
    assert outcome_of(Ending(1), failed(text)).startswith("error: ")


def work(**fields: Any) -> Task:
    return task("a", cli="claude", run="", description="x", **fields)


GOOD, BAD = Check("make test", 0), Check("make lint", 1, "E501\nline too long")


def test_missing_artifacts_and_failing_checks_are_all_named() -> None:
    one = work(artifacts=("a.md",), verify=("make lint", "make test"))
    checks = (BAD, Check("make test", None))
    assert outcome_of(Ending(0), says(), one, artifact_problems=("a.md: missing",), checks=checks) == (
        "unverified: a.md: missing; verify `make lint`: exit status 1: E501 line too long; "
        "verify `make test`: had to be stopped"
    )


def test_a_command_is_verified_like_a_worker() -> None:
    one = task("a", verify=("make lint",))
    assert outcome_of(Ending(0), None, one, checks=(BAD,)).startswith("unverified")
    assert outcome_of(Ending(0), None, one, checks=(GOOD,)) == "success"


@pytest.mark.parametrize("said", [None, says()])
def test_work_whose_checks_were_not_run_is_not_done(said: Said | None) -> None:
    one = work(verify=("make lint", "make test")) if said else task("a", verify=("make lint", "make test"))
    assert outcome_of(Ending(0), said, one, checks=(GOOD,)).startswith("unverified")
    assert outcome_of(Ending(0, "interrupted"), said, one).startswith("interrupted")


def test_work_stopped_while_it_was_verified_is_interrupted() -> None:
    one = work(verify=("make lint",))
    stopped = (Check("make lint", None),)
    assert outcome_of(Ending(0, "interrupted"), says(), one, checks=stopped) == (
        "interrupted: stopped while its work was being verified"
    )


def test_proof_outranks_denials_and_an_empty_text() -> None:
    one = work(verify=("make test",))
    assert (
        outcome_of(Ending(0), says(denials=("Bash",)), one, checks=(GOOD,))
        == "success: although denied: Bash"
    )
    assert outcome_of(Ending(0), says(""), one, checks=(GOOD,)) == "success"
    assert outcome_of(Ending(0), says("", denials=("Bash",)), work(artifacts=("a",))).startswith("success")


def test_declared_work_without_a_tool_call_needs_proof() -> None:
    said = says(tool_calls=0)
    suspicious = "unverified: declares work, but no tool was used and nothing proves it"
    assert outcome_of(Ending(0), said, work(writes=("src/**",))) == suspicious
    assert (
        outcome_of(Ending(0), said, work(writes=("src/**",), verify=("make test",)), checks=(GOOD,))
        == "success"
    )
    assert outcome_of(Ending(0), said) == "success"


def test_a_schema_asks_for_structured_output() -> None:
    one = work(output_schema={"type": "object"})
    assert outcome_of(Ending(0), says(), one) == "invalid output: no structured output was given"
    assert outcome_of(Ending(0), says(structured=True), one) == "success"


def test_only_work_that_can_still_succeed_is_worth_checking() -> None:
    assert worth_checking(SHELL, Evidence(Ending(0)))
    assert not worth_checking(SHELL, Evidence(Ending(1)))
    assert not worth_checking(CLAUDE, Evidence(Ending(0), NOTHING))
    assert not worth_checking(SHELL, Evidence(Ending(0, "timeout")))


def test_a_reason_is_one_line_of_bounded_length() -> None:
    ruling = judge(CLAUDE, Evidence(Ending(0), says(denials=tuple(f"Tool\n{n}" for n in range(5000)))))
    assert len(ruling.reason) < 300
    assert "\n" not in ruling.reason


SAID = st.builds(
    Said,
    started=st.booleans(),
    ended=st.booleans(),
    is_error=st.booleans(),
    subtype=st.sampled_from(["", "success", "error_max_turns", "error_during_execution", "odd"]),
    status=st.sampled_from([None, 200, 401, 429, 500, 529]),
    turns=st.sampled_from([None, 0, 1]),
    denials=st.sampled_from([(), ("Bash",)]),
    text=st.sampled_from(["", "Done.", LIMIT, LOGIN, CREDIT]),
)
ENDINGS = st.builds(
    Ending,
    st.sampled_from([None, 0, 1, 143, -9]),
    st.sampled_from(["", "timeout", "stalled", "interrupted", "cancelled"]),
)
EVIDENCE = st.builds(
    Evidence,
    ENDINGS,
    st.none() | SAID,
    st.sampled_from(["", LOGIN]),
    st.sampled_from([(), ("a: missing",)]),
    st.lists(st.builds(Check, st.just("make"), st.sampled_from([None, 0, 1])), max_size=2).map(tuple),
)


@given(EVIDENCE, st.booleans())
def test_success_is_never_said_over_a_signal_against_it(evidence: Evidence, verified: bool) -> None:
    one = task("a", verify=("make",)) if verified else SHELL
    ruling = judge(one, evidence)
    assert ruling.outcome in get_args(Outcome)
    if ruling.outcome != "success":
        assert ruling.reason
        return
    said = evidence.said
    assert evidence.ending.exit in (0, None) or evidence.ending.stopped
    assert said is None or (said.ended and not said.is_error and said.subtype == "success")
    assert not evidence.artifact_problems
    assert all(check.exit == 0 for check in evidence.checks)
    assert not verified or evidence.checks


FOLLOWING: list[tuple[str, Following]] = [
    ("success", Following("completed")),
    ("denied", Following("blocked")),
    ("ceiling", Following("failed")),
    *((outcome, Following("again", counts=True, delay=0.5)) for outcome in sorted(COUNTING)),
    ("rate limited", Following("again", delay=0.5)),
    ("overloaded", Following("again", delay=0.5)),
    ("usage limited", Following("again", delay=verdict.LIMIT_PAUSE)),
    *((outcome, Following("again")) for outcome in sorted(HALTING)),
    ("interrupted", Following("again")),
    ("cancelled", Following("again")),
]


def test_every_outcome_has_its_consequence() -> None:
    assert {outcome for outcome, _ in FOLLOWING} == set(get_args(Outcome))


@pytest.mark.parametrize(("outcome", "expected"), FOLLOWING)
def test_what_follows_the_first_attempt(outcome: str, expected: Following) -> None:
    used = 1 if outcome in COUNTING else 0
    assert what_follows(SHELL, outcome, used, 0, luck=0.5) == expected


@pytest.mark.parametrize("outcome", sorted(COUNTING))
@pytest.mark.parametrize(
    ("on_failure", "fate"), [("skip", "failed"), ("stop", "failed"), ("escalate", "blocked")]
)
def test_the_last_attempt_that_counts_decides_by_on_failure(outcome: str, on_failure: str, fate: str) -> None:
    one = task("a", attempts=2, on_failure=on_failure)
    assert what_follows(one, outcome, 1, 0, 0.0).fate == "again"
    assert what_follows(one, outcome, 2, 0, 0.0).fate == fate


def test_the_ceiling_of_a_task_follows_on_failure_at_once() -> None:
    assert what_follows(task("a", on_failure="escalate"), "ceiling", 0, 0, 0.0).fate == "blocked"


@pytest.mark.parametrize(
    ("outcome", "limit"), [("interrupted", 3), ("rate limited", 20), ("usage limited", 20), ("no credit", 20)]
)
def test_what_uses_up_no_attempt_ends_after_a_number_in_a_row(outcome: str, limit: int) -> None:
    assert what_follows(SHELL, outcome, 0, limit - 2, 0.0).fate == "again"
    assert what_follows(SHELL, outcome, 0, limit - 1, 0.0).fate == "failed"


def test_the_pause_doubles_from_a_second_to_a_minute() -> None:
    one = task("a", attempts=99)
    delays = [what_follows(one, "error", used, 0, 1.0).delay for used in (1, 2, 3, 6, 7, 90)]
    assert delays == [1.0, 2.0, 4.0, 32.0, 60.0, 60.0]


def test_jitter_is_full_and_the_same_at_every_replay() -> None:
    drawn = [verdict.luck("r-1", f"T-{task}", attempt) for task in range(100) for attempt in (1, 2)]
    assert drawn == [verdict.luck("r-1", f"T-{task}", attempt) for task in range(100) for attempt in (1, 2)]
    assert len(set(drawn)) == 200
    assert 0 <= min(drawn) < 0.05
    assert 0.95 < max(drawn) < 1
    assert verdict.luck("r-2", "T-1", 1) != verdict.luck("r-1", "T-1", 1)


def test_signals_have_their_names_where_they_have_one() -> None:
    assert verdict.signal_name(15) == "SIGTERM"
    assert verdict.signal_name(99) == "signal 99"
