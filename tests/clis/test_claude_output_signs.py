"""What the lines of the claude program tell the governor."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from streams import INIT, LATER, RESET, TEXT, assistant, call, journaled, lines, result, returned, signs

from orchestrator.clis.claude_output import read
from orchestrator.core.governor import Sign


def test_the_first_answer_is_a_sign_and_the_next_are_not() -> None:
    assert signs(INIT, assistant(TEXT), assistant(call(1)), returned(1), result()) == [Sign("answered")]


SYNTHETIC = {
    "type": "assistant",
    "message": {"model": "<synthetic>", "content": [{"type": "text", "text": "Not logged in"}]},
    "parent_tool_use_id": None,
    "error": "authentication_failed",
}


def test_what_the_program_says_itself_is_no_answer() -> None:
    assert signs(INIT, SYNTHETIC) == []
    said = read(lines(INIT, SYNTHETIC, result(is_error=True, api_error_status=None, result="Not logged in")))
    assert (said.answered, said.api_error) == (False, "authentication_failed")


def retry(status: object) -> dict[str, Any]:
    return {
        "type": "system",
        "subtype": "api_retry",
        "attempt": 1,
        "retry_delay_ms": 522.6,
        "error_status": status,
    }


@pytest.mark.parametrize(
    ("status", "kind"),
    [(429, "rate limited"), (529, "overloaded"), (401, "refused"), (500, ""), (None, ""), ([], "")],
)
def test_a_refused_request_is_a_sign(status: object, kind: str) -> None:
    assert [sign.kind for sign in signs(INIT, retry(status))] == ([kind] if kind else [])


@pytest.mark.parametrize(
    ("milliseconds", "seconds"),
    [(30_250, 30.25), (522.6, 0.0), (2_400, 0.0), (10**12, 120.0), (-9, 0.0), ("30000", 0.0), (None, 0.0)],
)
def test_how_long_the_api_asks_to_wait_is_told_apart_from_the_programs_own_delays(
    milliseconds: object, seconds: float
) -> None:
    assert [sign.delay for sign in signs(INIT, retry(429) | {"retry_delay_ms": milliseconds})] == [seconds]


def test_an_answer_after_a_refusal_is_a_sign_again() -> None:
    said = signs(assistant(TEXT), retry(429), retry(429), assistant(TEXT), assistant(TEXT))
    assert [sign.kind for sign in said] == ["answered", "rate limited", "rate limited", "answered"]


def test_the_status_of_a_failure_is_that_of_its_last_refusal_where_the_last_line_does_not_say() -> None:
    failed = result(is_error=True, api_error_status=None, result="Repeated 529 Overloaded errors.")
    assert read(lines(INIT, retry(529), SYNTHETIC, failed)).status == 529
    assert read(lines(INIT, retry(529), SYNTHETIC, failed | {"api_error_status": 500})).status == 500
    assert read(lines(INIT, retry(529), assistant(TEXT), failed)).status is None
    assert read(lines(INIT, retry(529), result())).status is None


def limit(**info: Any) -> dict[str, Any]:
    return {"type": "rate_limit_event", "rate_limit_info": info}


FULL = {"five_hour": {"utilization": 0.42}, "seven_day": {"utilization": 0.11}}


@pytest.mark.parametrize(
    ("info", "sign"),
    [
        ({"status": "allowed", "isUsingOverage": False}, Sign("window", None, "allowed")),
        (
            {"status": "allowed", "resetsAt": RESET, "rateLimitType": "five_hour", "unifiedWindows": FULL},
            Sign("window", LATER, "allowed", 0.42),
        ),
        (
            {"status": "allowed_warning", "resetsAt": RESET, "utilization": 0.93, "surpassedThreshold": 0.9},
            Sign("window", LATER, "allowed_warning", 0.93),
        ),
        (
            {"status": "rejected", "resetsAt": RESET, "isUsingOverage": False},
            Sign("window", LATER, "rejected"),
        ),
        (
            {"status": "rejected", "resetsAt": RESET, "isUsingOverage": True},
            Sign("window", LATER, "allowed_warning"),
        ),
        ({"status": "rejected", "isUsingOverage": False}, None),
        ({"status": "odd", "resetsAt": RESET}, None),
        ({"status": "allowed", "utilization": -1, "resetsAt": -1}, Sign("window", None, "allowed")),
        ({"status": "allowed", "utilization": True, "resetsAt": "soon"}, Sign("window", None, "allowed")),
        ({"status": ["allowed"], "unifiedWindows": 3}, None),
    ],
)  # fmt: skip
def test_the_window_of_a_subscription_is_a_sign(info: dict[str, Any], sign: Sign | None) -> None:
    assert signs(limit(**info)) == ([sign] if sign else [])


@pytest.mark.parametrize(
    ("info", "until"),
    [
        ({"status": "rejected", "resetsAt": RESET}, LATER),
        ({"status": "rejected", "resetsAt": RESET, "isUsingOverage": True}, None),
        ({"status": "allowed", "resetsAt": RESET}, None),
        ({"status": "rejected"}, None),
        ({"status": "rejected", "resetsAt": 1_740_000_000_000_000}, None),
        ({"status": "rejected", "resetsAt": 1e300}, None),
        ({"status": "rejected", "resetsAt": -1}, None),
        ({"status": "rejected", "resetsAt": "soon"}, None),
        ([], None),
    ],
)
def test_a_reset_time_is_taken_from_a_rejection_that_names_one(info: object, until: datetime | None) -> None:
    said = read(lines({"type": "rate_limit_event", "rate_limit_info": info}, result()))
    assert said.until == until
    journaled(said)
