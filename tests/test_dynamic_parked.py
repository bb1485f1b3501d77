"""Planning calls that meet limits, refused logins and failures of the API: parked, gone on with, and paid for once."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes import START, Act, Stage, plan, stream
from scheming import numbered, whole
from scheming import plan as adding

from orchestrator.core.events import AttemptFinished, AttemptStarted, LaunchesPaused, PlanRevised, RunFinished
from orchestrator.core.plan import Limits
from orchestrator.core.rundocument import holding

RESET = START + timedelta(hours=2)
FOUND = json.dumps({"status": "complete", "summary": "done", "discoveries": ["there is more"]})
WORKED = Act(stdout=stream(f"Done.\n\n```json\n{FOUND}\n```", total_cost_usd=0.01))


def answered(answer: dict[str, Any]) -> Act:
    """A planning call that is answered so."""
    return Act(stdout=stream(json.dumps(answer), structured_output=answer, total_cost_usd=0.01))


def refused(text: str, **fields: Any) -> Act:
    """A call that the API does not answer: a first line and a last one, and no cost."""
    first, *_, last = stream(text, is_error=True, total_cost_usd=0.0, **fields).splitlines(keepends=True)
    return Act(stdout=first + last, exit=1)


def limited(until: datetime) -> Act:
    """A call that meets a subscription's usage limit."""
    info = {"status": "rejected", "resetsAt": int(until.timestamp()), "rateLimitType": "five_hour"}
    event = json.dumps({"type": "rate_limit_event", "rate_limit_info": info}).encode() + b"\n"
    act = refused("You've hit your 5-hour limit", api_error_status=429, api_error="usage_limit_reached")
    return Act(stdout=event + act.stdout, exit=1)


OVERLOADED = refused("API Error: 529 Overloaded", api_error_status=529)
UNREACHABLE = refused(
    "API Error: Can't reach the API server — check your internet or DNS (ENOTFOUND)",
    api_error="connection_failed",
)
LOGGED_OUT = refused("Not logged in · Please run /login", api_error="authentication_failed")
GROWN = {
    "Plan-01": answered(adding(numbered(1))),
    "T-01": WORKED,
    "Plan-02": answered({"reason": "one more", "add": [numbered(2)], "finish": "all is planned"}),
    "T-02": WORKED,
    "Synthesis-01": answered(whole()),
}
CALLS = ("Plan-01", "Plan-02", "Synthesis-01")


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path, GROWN)


def trouble(stage: Stage, *acts: Act, call: str = "") -> None:
    """The first attempts of a planning call, or of each of them, end so."""
    for name in (call,) if call else CALLS:
        stage.processes.script = {
            **stage.processes.script, **{f"{name}.{number}": act for number, act in enumerate(acts, 1)},
        }  # fmt: skip


def play(stage: Stage, **limits: Any) -> int:
    return stage.play(plan(replan="auto", limits=Limits(**limits)))


def check_that_nothing_was_lost(stage: Stage) -> None:
    """The plan grew as it would have without trouble, and each call was answered, and paid for, once."""
    assert stage.statuses() == dict.fromkeys(GROWN, "completed")
    ended = stage.happened(AttemptFinished)
    assert sorted(event.task for event in ended if event.outcome == "success") == sorted(GROWN)
    assert sum(event.cost_usd for event in ended) == pytest.approx(0.01 * len(GROWN))
    growth = stage.state.replanning
    assert (growth.rounds, growth.failed_calls, growth.in_vain) == (2, 0, 0)
    assert all(task.used == 1 for task in stage.state.tasks)
    assert len([event for event in stage.happened(PlanRevised) if event.call]) == len(CALLS)


@pytest.mark.parametrize("call", CALLS)
def test_a_planning_call_at_a_usage_limit_waits_for_the_reset_and_uses_up_nothing(
    stage: Stage, call: str
) -> None:
    trouble(stage, limited(RESET), call=call)
    assert play(stage) == 0
    check_that_nothing_was_lost(stage)
    _, second = (event for event in stage.happened(AttemptStarted) if event.task == call)
    assert second.time >= RESET
    paused = stage.happened(LaunchesPaused)
    assert [(event.reason, event.until) for event in paused] == [("the usage limit is reached", RESET)]


def test_status_says_why_a_parked_planning_call_waits_and_until_when(stage: Stage) -> None:
    trouble(stage, limited(RESET), call="Plan-01")
    seen: list[Any] = []
    stage.at(60, lambda: seen.append(holding(stage.state, 1, stage.clock.time)))
    play(stage)
    assert seen == [{"reason": "the usage limit is reached", "until": RESET}]


@pytest.mark.parametrize("times", [1, 5])
@pytest.mark.parametrize("act", [OVERLOADED, UNREACHABLE], ids=["overloaded", "unreachable"])
def test_planning_calls_that_the_api_does_not_answer_are_made_again_until_it_does(
    stage: Stage, act: Act, times: int
) -> None:
    trouble(stage, *[act] * times)
    assert play(stage) == 0
    check_that_nothing_was_lost(stage)


def test_a_dispatcher_that_is_killed_while_planning_is_parked_waits_on_and_pays_nothing_twice(
    stage: Stage,
) -> None:
    trouble(stage, limited(RESET), call="Plan-02")
    made = stage.dispatcher(plan(replan="auto"))
    stage.at(60, made.interrupt)
    assert made.run() == 130
    assert stage.dispatcher().run() == 0
    check_that_nothing_was_lost(stage)
    assert [e.time >= RESET for e in stage.happened(AttemptStarted) if e.task == "Plan-02"] == [False, True]


@pytest.mark.parametrize("call", CALLS)
def test_a_refused_login_ends_the_run_and_the_next_one_goes_on_with_the_same_call(
    stage: Stage, call: str
) -> None:
    trouble(stage, LOGGED_OUT, LOGGED_OUT, call=call)
    assert play(stage) == 5
    assert stage.statuses()[call] == "retrying"
    assert stage.dispatcher().run() == 0
    check_that_nothing_was_lost(stage)


def test_a_reset_after_the_deadline_is_not_waited_for_and_a_later_run_goes_on(stage: Stage) -> None:
    trouble(stage, limited(RESET), call="Plan-02")
    assert play(stage, deadline="1h") == 4
    assert stage.happened(RunFinished)[-1].reason == (
        "the deadline of 1h comes first: the usage limit is reached"
    )
    stage.clock.now = RESET.timestamp()
    assert stage.dispatcher().run() == 0
    check_that_nothing_was_lost(stage)


def test_what_waits_for_a_failed_task_is_there_again_when_the_call_that_rescues_it_can_be_made(
    stage: Stage,
) -> None:
    needs = numbered(2) | {"needs": ["one"]}
    stage.processes.script = {
        **GROWN,
        "Plan-01": answered(adding(numbered(1) | {"ref": "one"}, needs)),
        "T-01": Act(stdout=stream("", subtype="error_max_turns", is_error=True), exit=1),
        "Plan-02.1": LOGGED_OUT,
        "Plan-02.2": LOGGED_OUT,
        "Plan-02": answered(
            {"reason": "other", "reassign": [{"task": "T-01", "model": "opus", "reason": "x"}]}
        ),
        "T-01.2": WORKED,
        "Plan-03": answered({"reason": "all is there", "finish": "all is there"}),
    }
    assert play(stage) == 5
    assert stage.dispatcher().run() == 0
    assert set(stage.statuses().values()) == {"completed"}
