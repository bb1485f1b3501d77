from __future__ import annotations

import shlex
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from saying import SHELL, command, work

from orchestrator.core.consequences import (
    AUTHENTICATION_REFUSALS,
    COUNTING,
    HALTING,
    LIMIT_PAUSE,
    Following,
    Outcome,
    luck,
    next_step,
    what_follows,
)

FOLLOWING: list[tuple[str, Following]] = [
    ("success", Following("completed")),
    ("denied", Following("blocked")),
    ("blocked", Following("blocked")),
    ("ceiling", Following("failed")),
    *((outcome, Following("again", counts=True, delay=0.5)) for outcome in sorted(COUNTING)),
    ("rate limited", Following("again", delay=0.5)),
    ("overloaded", Following("again", delay=0.5)),
    ("unreachable", Following("again", delay=0.5)),
    ("authentication", Following("again", delay=0.5)),
    ("usage limited", Following("again", delay=LIMIT_PAUSE)),
    ("out of budget", Following("again")),
    ("no credit", Following("again")),
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
    one = command(attempts=2, on_failure=on_failure)
    assert what_follows(one, outcome, 1, 0, 0.0).fate == "again"
    assert what_follows(one, outcome, 2, 0, 0.0).fate == fate


def test_the_ceiling_of_a_task_follows_on_failure_at_once() -> None:
    assert what_follows(command(on_failure="escalate"), "ceiling", 0, 0, 0.0).fate == "blocked"


@pytest.mark.parametrize(
    ("outcome", "limit"), [("interrupted", 3), ("rate limited", 20), ("usage limited", 20), ("no credit", 20)]
)
def test_what_uses_up_no_attempt_ends_after_a_number_in_a_row(outcome: str, limit: int) -> None:
    assert what_follows(SHELL, outcome, 0, limit - 2, 0.0).fate == "again"
    assert what_follows(SHELL, outcome, 0, limit - 1, 0.0).fate == "failed"


def test_one_refused_login_does_not_halt_a_run_by_itself() -> None:
    assert {"no credit"} == HALTING
    assert AUTHENTICATION_REFUSALS == 2


def test_the_pause_doubles_from_a_second_to_a_minute() -> None:
    one = command(attempts=99)
    delays = [what_follows(one, "error", used, 0, 1.0).delay for used in (1, 2, 3, 6, 7, 90)]
    assert delays == [1.0, 2.0, 4.0, 32.0, 60.0, 60.0]


def test_jitter_is_full_and_the_same_at_every_replay() -> None:
    drawn = [luck("r-1", f"T-{number}", attempt) for number in range(100) for attempt in (1, 2)]
    assert drawn == [luck("r-1", f"T-{number}", attempt) for number in range(100) for attempt in (1, 2)]
    assert len(set(drawn)) == 200
    assert 0 <= min(drawn) < 0.05
    assert 0.95 < max(drawn) < 1
    assert luck("r-2", "T-1", 1) != luck("r-1", "T-1", 1)


@pytest.mark.parametrize(
    ("outcome", "fate", "words"),
    [
        ("success", "completed", ""),
        ("error", "again", "another attempt in 4.0s"),
        ("timeout", "retrying", "another attempt in 4.0s"),
        ("unverified", "again", "continues the same session in 4.0s, told what was wrong"),
        ("invalid output", "again", "continues the same session in 4.0s, told what was wrong"),
        ("interrupted", "again", "continues the same session in 4.0s; no attempt is used up"),
        ("rate limited", "again", "another attempt in 4.0s; no attempt is used up"),
        ("usage limited", "again", "another attempt when the limit is reset, in 4.0s; no attempt is used up"),
        ("authentication", "again", "another attempt; a second refusal in a row ends the run"),
        (
            "no credit",
            "again",
            "nothing more is launched until there is credit; then `orchestrate run --detach` goes on",
        ),
        (
            "out of budget",
            "again",
            "the same session goes on with what is left; `orchestrate run --detach --budget USD` gives more",
        ),
        (
            "error",
            "failed",
            "`orchestrate retry a` gives it fresh attempts",
        ),
        (
            "error",
            "blocked",
            "waits for a person: `orchestrate answer a TEXT`, `orchestrate retry a`, or `orchestrate cancel a`",
        ),
        ("blocked", "blocked", "waits for a person: `orchestrate answer a TEXT`, or `orchestrate cancel a`"),
        (
            "denied",
            "blocked",
            "waits for a person: `orchestrate retry a --allow RULE`, or `orchestrate cancel a`",
        ),
        ("error", "skipped", ""),
    ],
)
def test_the_next_step_is_said_in_words(outcome: str, fate: str, words: str) -> None:
    assert next_step(work(), outcome, fate, delay=4.0) == words


def test_a_failure_names_what_it_leads_to_and_nothing_that_is_not_so() -> None:
    again = "`orchestrate retry a` gives it fresh attempts"
    assert next_step(work(), "error", "failed", skips=True) == f"its dependents are skipped; {again}"
    stops = work(on_failure="stop")
    assert next_step(stops, "error", "failed", skips=True) == f"nothing more is launched; {again}"


def test_a_command_has_no_session_to_continue() -> None:
    assert next_step(SHELL, "unverified", "again") == "another attempt"
    assert next_step(SHELL, "interrupted", "again") == "another attempt; no attempt is used up"


def test_a_task_that_stops_the_run_says_so() -> None:
    assert next_step(work(on_failure="stop"), "error", "failed").startswith("nothing more is launched; ")


def test_denied_rules_stand_in_the_line_to_type_as_a_shell_reads_them() -> None:
    line = next_step(work(), "denied", "blocked", denials=("Bash(npm test)", "WebFetch", "Bash(npm test)"))
    expected = "orchestrate retry a --allow 'Bash(npm test)' --allow WebFetch"
    assert line == f"waits for a person: `{expected}`, or `orchestrate cancel a`"


@given(st.lists(st.text(max_size=60), max_size=5))
@example(["Bash(echo `id`)"])
@example(["Bash(a\nb)", "Read"])
def test_a_line_to_type_holds_the_rules_as_they_are_or_none(denials: list[str]) -> None:
    line = next_step(work(), "denied", "blocked", denials=denials)
    assert line.isprintable()
    words = shlex.split(line.split("`")[1])
    assert words[:3] == ["orchestrate", "retry", "a"]
    assert words[4::2] in (["RULE"], list(dict.fromkeys(denials)))


@pytest.mark.parametrize("outcome", sorted(get_args(Outcome)))
def test_every_outcome_without_success_has_a_next_step(outcome: str) -> None:
    fate = what_follows(work(), outcome, 1, 0, 0.5).fate
    assert bool(next_step(work(), outcome, fate)) == (outcome != "success")
