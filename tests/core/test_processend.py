from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from saying import CREDIT, LIMIT, LOGIN, SHELL, failed, ruling, says, work

from orchestrator.clis import claude_output
from orchestrator.core.evidence import Ending, Evidence, Said
from orchestrator.core.plan import Task
from orchestrator.core.verdict import judge, session_lost, worth_checking

NOTHING = Said()
STARTED = Said(started=True)
SOON = datetime(2025, 3, 1, 12, tzinfo=UTC)
NO_SESSION = "No conversation found with session ID: 11111111-1111-4111-8111-111111111111"

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
    ("success over a failing exit", Ending(1), says(), "error: exit status 1 after its result"),
    ("success over a kill", Ending(143), says(), "error: killed by SIGTERM after its result"),
    ("an answer about logins over a failing exit", Ending(1), says("Invalid API key: fixed."),
     "error: exit status 1 after its result"),
    ("HTTP 400", Ending(1), failed("Bad request", 400, api_error="unknown"), "error: HTTP 400: Bad request"),
    ("HTTP 401", Ending(1), failed("Unauthorized", 401, api_error="authentication_failed"),
     "authentication: Unauthorized"),
    ("HTTP 403", Ending(1), failed("Failed to authenticate.", 403, api_error="authentication_failed"),
     "error: HTTP 403: Failed to authenticate."),
    ("HTTP 404", Ending(1), failed("No such model", 404, api_error="model_not_found"),
     "error: HTTP 404: No such model"),
    ("HTTP 413", Ending(1), failed("Request too large", 413, api_error="invalid_request"),
     "error: HTTP 413: Request too large"),
    ("HTTP 429", Ending(1), failed("Slow down", 429, api_error="rate_limit"), "rate limited: Slow down"),
    ("HTTP 429 that names no quota", Ending(1), failed("limited (not your usage limit)", 429),
     "rate limited: limited (not your usage limit)"),
    ("HTTP 500", Ending(1), failed("Internal", 500, api_error="server_error"), "error: HTTP 500: Internal"),
    ("HTTP 529", Ending(1), failed("Overloaded", 529, api_error="server_error"), "overloaded: Overloaded"),
    ("HTTP 529 without a word", Ending(1), failed("", 529), "overloaded: HTTP 529, without a word"),
    ("HTTP 500 without a word", Ending(1), failed(" ", 500), "error: HTTP 500, without a word"),
    ("a dropped connection", Ending(1), failed("API Error: Connection dropped", api_error="connection_failed"),
     "error: API Error: Connection dropped"),
    ("a connection that never came about", Ending(1),
     failed("API Error: Connection refused (ECONNREFUSED)", api_error="connection_failed"),
     "unreachable: API Error: Connection refused (ECONNREFUSED)"),
    ("the same as the oldest version says it", Ending(1),
     failed("API Error: Unable to connect to API (FailedToOpenSocket)", api_error="server_error"),
     "unreachable: API Error: Unable to connect to API (FailedToOpenSocket)"),
    ("a name that is not known", Ending(1),
     failed("API Error: Can't reach the API server (ENOTFOUND)", api_error="connection_failed"),
     "unreachable: API Error: Can't reach the API server (ENOTFOUND)"),
    ("an HTTP error that quotes one", Ending(1), failed("upstream (ECONNREFUSED)", 500),
     "error: HTTP 500: upstream (ECONNREFUSED)"),
    ("a refusal of the model", Ending(1), failed("API Error: safeguards", api_error="invalid_request"),
     "error: API Error: safeguards"),
    ("a usage limit by field", Ending(1), failed("No.", 429, api_error="usage_limit_reached"), "usage limited: No."),
    ("a usage limit by the time it resets", Ending(1), failed("No.", 429, until=SOON), "usage limited: No."),
    ("a usage limit by text", Ending(1), failed(LIMIT, 429), f"usage limited: {LIMIT}"),
    ("a limit of spending by text", Ending(1),
     failed("API Error: 400 You have reached your specified API usage limits.", 400),
     "usage limited: API Error: 400 You have reached your specified API usage limits."),
    ("the time of a window over an overload", Ending(1), failed("Overloaded", 529, until=SOON),
     "overloaded: Overloaded"),
    ("not logged in, by field", Ending(1), failed("No.", api_error="authentication_failed"), "authentication: No."),
    ("not logged in, by text", Ending(1), failed(LOGIN), f"authentication: {LOGIN}"),
    ("a login that the organization does not allow", Ending(1),
     failed("Ask your admin", 403, api_error="oauth_org_not_allowed"), "authentication: Ask your admin"),
    ("no credit, by field", Ending(1), failed("No.", 400, api_error="billing_error"), "no credit: No."),
    ("no credit, by text", Ending(1), failed(CREDIT, 400), f"no credit: {CREDIT}"),
    ("an error during execution", Ending(0), failed("Aborted", subtype="error_during_execution"),
     "error: broken off in the middle of its work (error_during_execution): Aborted"),
    ("an error of a new kind", Ending(1), failed("", subtype="error_new"), "error: ended with error_new"),
    ("an error without a word", Ending(1), failed(""), "error: failed without a word"),
    ("too many turns", Ending(1), failed("", subtype="error_max_turns"), "ceiling: reached its ceiling of turns"),
    ("no answer in the schema", Ending(1), failed("", subtype="error_max_structured_output_retries"),
     "invalid output: the answer never matched output_schema"),
    ("exit 0 and nothing written", Ending(0), NOTHING,
     "empty: exit status 0, but no result was written, as after an interrupt"),
    ("exit 0 and no result line", Ending(0), STARTED,
     "empty: exit status 0, but no result was written, as after an interrupt"),
    ("exit 1 and nothing written", Ending(1), NOTHING, "error: exit status 1"),
    ("killed by SIGTERM", Ending(143), STARTED, "error: killed by SIGTERM before it had a result"),
    ("killed by SIGKILL", Ending(-9), STARTED, "error: killed by SIGKILL before it had a result"),
    ("killed by SIGHUP", Ending(129), STARTED, "error: killed by SIGHUP before it had a result"),
    ("killed by an unknown signal", Ending(-64), STARTED, "error: killed by SIGRTMAX before it had a result"),
    ("its end unseen, without a result", Ending(), STARTED,
     "interrupted: its process ended unseen, without a result"),
    ("no turn", Ending(0), says("Unknown command: /x", turns=0),
     "empty: no turn was taken: Unknown command: /x"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("ending", "said", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_the_end_of_a_process_is_judged_by_all_that_it_says(
    ending: Ending, said: Said | None, expected: str
) -> None:
    assert ruling(ending, said) == expected


INIT = b'{"type":"system","subtype":"init"}\n'
TRIED = b'{"type":"result","subtype":"error_during_execution","is_error":true,"num_turns":1,"result":"No."}\n'
WELL = b'{"type":"result","subtype":"success","is_error":false,"num_turns":1,"result":"Done."}\n'


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ([INIT, TRIED, WELL], "success"),
        ([INIT, WELL, TRIED], "error: broken off in the middle of its work (error_during_execution): No."),
        ([INIT], "empty: exit status 0, but no result was written, as after an interrupt"),
        ([b"\x00\xff{{{\n", b'{"type": oh\n'], "empty: exit status 0, but no result was written"),
        ([b"warning: x\n", INIT, b'{"type":\n', b"\xff\xfe\n", WELL, b"bye\n", b'{"a":1}\n'], "success"),
        ([INIT, WELL[:-30]], "empty: exit status 0, but no result was written"),
    ],
    ids=[
        "the last of several result lines counts",
        "also when it is the worse one",
        "none",
        "garbage alone",
        "garbage before, between and after",
        "a result line torn off",
    ],
)
def test_result_lines_are_found_among_anything(output: list[bytes], expected: str) -> None:
    assert ruling(Ending(0), claude_output.read(output)).startswith(expected)


def test_a_complaint_on_stderr_explains_an_exit_status() -> None:
    assert ruling(Ending(2), complaint="make: no rule") == "error: exit status 2: make: no rule"
    assert ruling(Ending(1), NOTHING, complaint="unknown option") == "error: exit status 1: unknown option"


@pytest.mark.parametrize(
    ("complaint", "outcome"), [(LOGIN, "authentication"), (CREDIT, "no credit"), (LIMIT, "usage limited")]
)
def test_a_complaint_without_a_result_line_can_be_about_login_credit_or_limit(
    complaint: str, outcome: str
) -> None:
    assert ruling(Ending(1), NOTHING, complaint=complaint) == f"{outcome}: {complaint}"


def test_a_command_that_prints_the_words_of_a_login_halts_nothing() -> None:
    assert ruling(Ending(1), complaint=LOGIN) == f"error: exit status 1: {LOGIN}"


def test_a_long_answer_that_quotes_a_limit_is_no_limit() -> None:
    text = f"The log says: {LIMIT}. " + "It goes on. " * 40
    assert ruling(Ending(1), failed(text)).startswith("error: ")


def over_money(one: Task, cost_usd: float) -> str:
    return ruling(Ending(1), failed("", subtype="error_max_budget_usd"), one, cost_usd=cost_usd)


def test_the_ceiling_of_turns_is_named_where_the_task_has_one() -> None:
    said = failed("", subtype="error_max_turns")
    assert ruling(Ending(1), said, work(max_turns=4)) == "ceiling: reached its ceiling of turns (4)"


def test_the_overshoot_over_a_ceiling_of_money_is_told() -> None:
    expected = "ceiling: reached its ceiling of money: $0.3200 of $0.2500"
    assert over_money(work(budget_usd=0.25), 0.32) == expected


def test_a_sum_that_rounding_puts_below_the_ceiling_is_at_it() -> None:
    assert over_money(work(budget_usd=0.3), 0.1 * 3 - 1e-9).startswith("ceiling: ")


def test_a_ceiling_below_the_task_s_own_is_the_run_s() -> None:
    expected = "out of budget: reached its share of what was left of the budget of the run, at $0.0300"
    assert over_money(work(budget_usd=0.25), 0.03) == expected
    assert over_money(work(), 0.03) == expected


def test_where_no_cost_is_known_the_ceiling_is_the_task_s_own() -> None:
    assert over_money(work(budget_usd=0.25), 0.0).startswith("ceiling: ")


def refused(**fields: Any) -> Said:
    """What the program writes, without a beginning, where it does not know the session."""
    facts: dict[str, Any] = {"ended": True, "is_error": True, "subtype": "error_during_execution", "turns": 0}
    return Said(**(facts | {"text": NO_SESSION} | fields))


@pytest.mark.parametrize(
    ("ending", "said", "complaint"),
    [
        (Ending(1), refused(), NO_SESSION),
        (Ending(1), NOTHING, NO_SESSION),
        (Ending(1), NOTHING, ""),
        (Ending(), refused(), ""),
        (Ending(), NOTHING, NO_SESSION),
    ],
)
def test_a_session_that_cannot_be_continued_is_no_fault_of_the_task(
    ending: Ending, said: Said, complaint: str
) -> None:
    evidence = Evidence(ending, said, complaint, resumed=True)
    assert session_lost(evidence)
    found = judge(work(), evidence)
    assert found.outcome == "interrupted"
    assert found.reason.startswith("its session could not be continued (")
    assert found.reason.endswith("); the next attempt begins a fresh one")
    assert (NO_SESSION in found.reason) == bool(said.text or complaint)


@pytest.mark.parametrize(
    ("ending", "said", "complaint", "resumed", "outcome"),
    [
        (Ending(1), refused(), NO_SESSION, False, "error"),
        (Ending(1), refused(started=True), NO_SESSION, True, "error"),
        (Ending(1), refused(answered=True), NO_SESSION, True, "error"),
        (Ending(1), refused(text=LOGIN), "", True, "authentication"),
        (Ending(1), NOTHING, CREDIT, True, "no credit"),
        (Ending(1), refused(status=529, subtype="success"), "", True, "overloaded"),
        (Ending(0), NOTHING, NO_SESSION, True, "empty"),
        (Ending(-9), NOTHING, "", True, "error"),
        (Ending(143), NOTHING, "", True, "error"),
        (Ending(127), NOTHING, "cannot be started: no such file", True, "error"),
        (Ending(), NOTHING, "", True, "interrupted"),
        (Ending(), says(started=False), "a warning", True, "success"),
        (Ending(-2, "interrupted"), NOTHING, NO_SESSION, True, "interrupted"),
        (Ending(1), None, NO_SESSION, True, "error"),
    ],
)
def test_other_ends_of_a_resumed_attempt_are_what_they_are(
    ending: Ending, said: Said | None, complaint: str, resumed: bool, outcome: str
) -> None:
    evidence = Evidence(ending, said, complaint, resumed=resumed)
    assert not session_lost(evidence)
    found = judge(SHELL if said is None else work(), evidence)
    assert found.outcome == outcome
    assert "could not be continued" not in found.reason


def test_only_work_that_can_still_succeed_is_worth_checking() -> None:
    assert worth_checking(SHELL, Evidence(Ending(0)))
    assert not worth_checking(SHELL, Evidence(Ending(1)))
    assert not worth_checking(work(), Evidence(Ending(0), NOTHING))
    assert not worth_checking(work(), Evidence(Ending(0), says(turns=0)))
    assert not worth_checking(SHELL, Evidence(Ending(0, "timeout")))
