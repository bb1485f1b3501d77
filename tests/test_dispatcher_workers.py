"""A dispatcher and workers of a model CLI: sessions that go on, limits that hold, money that is counted once."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from dispatched import given, options, said, worker
from fakes import START, Act, Stage, plan, stream, task

from orchestrator.core.events import (
    AttemptFinished,
    AttemptStarted,
    LaunchesPaused,
    LaunchesResumed,
    RunFinished,
    TaskBlocked,
)
from orchestrator.core.plan import Limits
from orchestrator.edges.inbox import Order, hand_in


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def limited(until: float | None = None) -> Act:
    """A worker that meets a subscription's usage limit."""
    lines = stream(
        "You've hit your 5-hour limit", is_error=True, api_error_status=429, api_error="usage_limit_reached"
    )
    if until is not None:
        info = f'{{"status":"rejected","resetsAt":{int(until)}}}'
        lines = f'{{"type":"rate_limit_event","rate_limit_info":{info}}}\n'.encode() + lines
    return Act(stdout=lines, exit=1)


def test_work_that_fails_its_check_goes_on_in_the_same_session_and_is_told_why(stage: Stage) -> None:
    broken = Act(exit=1, stdout=b"FAILED test_export: 3 rows are missing\n")
    stage.processes.script = {
        "a.1": said(session_id=None), "a.1/verify-1": broken, "a.2": said(), "a.2/verify-1": Act(),
    }  # fmt: skip
    assert stage.play(plan(worker("a", verify=("make test",)))) == 0
    first, second = stage.happened(AttemptStarted)
    assert second.session == first.session
    assert options(stage, "a.2")["resume"] == first.session
    told = given(stage, "a.2")
    assert "make test" in told
    assert "FAILED test_export: 3 rows are missing" in told
    assert "Do a" not in told
    assert [event.outcome for event in stage.happened(AttemptFinished)] == ["unverified", "success"]


def test_a_session_that_cannot_go_on_is_followed_by_a_fresh_one_that_is_told_too(stage: Stage) -> None:
    lost = b'{"type":"result","subtype":"error_during_execution","is_error":true,"num_turns":0}\n'
    stage.processes.script = {
        "a.1": said(), "a.1/verify-1": Act(exit=1, stdout=b"3 rows are missing\n"),
        "a.2": Act(exit=1, stdout=lost), "a.3": said(),
    }  # fmt: skip
    assert stage.play(plan(worker("a", verify=("make test",), attempts=2))) == 0
    first, second, third = stage.happened(AttemptStarted)
    assert second.session == first.session != third.session
    outcomes = stage.happened(AttemptFinished)
    assert outcomes[1].outcome == "interrupted"
    assert "session" in outcomes[1].reason
    assert "resume" not in options(stage, "a.3")
    assert "Do a" in given(stage, "a.3")


def test_a_session_that_goes_on_is_paid_for_once(stage: Stage) -> None:
    def paid(total: float, own: float) -> Act:
        usage = {"sonnet": {"costUSD": own}}
        return said(
            total_cost_usd=total,
            modelUsage={"sonnet": {"costUSD": total}},
            model_usage_since_last_result=usage,
        )

    stage.processes.script = {"a.1": paid(0.5, 0.5), "a.1/verify-1": Act(exit=1), "a.2": paid(0.8, 0.3)}
    assert stage.play(plan(worker("a", verify=("make test",)))) == 0
    assert [round(event.cost_usd, 6) for event in stage.happened(AttemptFinished)] == [0.5, 0.3]
    assert round(stage.state.cost_usd, 6) == 0.8
    spent = stage.state.spending["general"]
    assert (spent.attempts, round(spent.usd, 6), round(spent.models["sonnet"], 6)) == (2, 0.8, 0.8)


def test_what_a_session_costs_after_a_change_of_model_is_that_models(stage: Stage) -> None:
    def paid(total: float, **own: float) -> Act:
        usage = {name: {"costUSD": usd} for name, usd in own.items()}
        known = {"sonnet": {"costUSD": 0.5}, **usage}
        return said(total_cost_usd=total, modelUsage=known, model_usage_since_last_result=usage)

    stage.processes.script = {
        "a.1": paid(0.5, sonnet=0.5), "a.1/verify-1": Act(exit=1), "a.2": paid(0.75, haiku=0.25),
    }  # fmt: skip
    assert stage.play(plan(worker("a", verify=("make test",), attempts=2, fallback_model="haiku"))) == 0
    second = stage.happened(AttemptFinished)[1]
    assert (second.model, round(second.cost_usd, 6)) == ("haiku", 0.25)
    assert stage.state.spending["general"].models == {"sonnet": 0.5, "haiku": 0.25}


def test_an_older_program_that_names_the_cost_of_each_part_is_added_up(stage: Stage) -> None:
    stage.processes.script = {
        "a.1": said(total_cost_usd=0.5), "a.1/verify-1": Act(exit=1), "a.2": said(total_cost_usd=0.3),
    }  # fmt: skip
    assert stage.play(plan(worker("a", verify=("make test",)))) == 0
    assert round(stage.state.cost_usd, 6) == 0.8


def test_at_a_usage_limit_all_launches_wait_for_its_reset_and_the_run_ends_by_itself(stage: Stage) -> None:
    reset = START + timedelta(hours=2)
    stage.processes.script = {"a.1": limited(reset.timestamp())}
    assert stage.play(plan(worker("a"), worker("b", "a"), worker("c"), task("d"))) == 0
    paused = stage.happened(LaunchesPaused)
    assert [(event.reason, event.until) for event in paused] == [("the usage limit is reached", reset)]
    assert stage.happened(LaunchesResumed)
    launches = {f"{e.task}.{e.attempt}": e.time for e in stage.happened(AttemptStarted)}
    assert launches["a.2"] >= reset
    assert launches["c.1"] >= reset
    assert launches["d.1"] < reset
    assert all(task.used <= 1 for task in stage.state.tasks)


def refused(*, answered: bool, text: str = "slow down", status: int | None = 429) -> Act:
    """A worker whose last request was refused; before it one was answered, or none."""
    lines = stream(text, tools=1, is_error=True, api_error_status=status).splitlines(keepends=True)
    return Act(stdout=b"".join(lines if answered else [lines[0], lines[-1]]), exit=1)


@pytest.mark.parametrize(
    ("text", "status"), [("slow down", 429), ("Connection refused (ECONNREFUSED)", None)]
)
def test_what_was_answered_before_a_refusal_is_not_paid_for_again(
    stage: Stage, text: str, status: int | None
) -> None:
    first, second = (refused(answered=answered, text=text, status=status) for answered in (True, False))
    stage.processes.script = {"a.1": first, "a.2": second, "a.3": said()}
    assert stage.play(plan(worker("a", attempts=1))) == 0
    begun, *others = stage.happened(AttemptStarted)
    assert [event.session for event in others] == [begun.session] * 2
    assert options(stage, "a.3")["resume"] == begun.session
    assert "was interrupted from outside" in given(stage, "a.3")


def test_a_session_in_which_nothing_was_answered_is_begun_again(stage: Stage) -> None:
    stage.processes.script = {"a.1": refused(answered=False)}
    assert stage.play(plan(worker("a", attempts=1))) == 0
    assert "resume" not in options(stage, "a.2")
    assert "Do a" in given(stage, "a.2")


def test_a_session_that_is_refused_again_and_again_is_given_up_for_a_fresh_one(stage: Stage) -> None:
    stage.processes.script = {f"a.{number}": refused(answered=number == 1) for number in range(1, 12)}
    assert stage.play(plan(worker("a", attempts=1))) == 0
    sessions = [event.session for event in stage.happened(AttemptStarted)]
    assert len(set(sessions[:10])) == 1
    assert sessions[10] != sessions[0]


def test_a_reset_that_only_the_text_names_is_waited_for(stage: Stage) -> None:
    text = "You've hit your 5-hour limit · resets 11:30am (UTC)"
    act = said(text=text, is_error=True, api_error_status=429, api_error="usage_limit_reached")
    stage.processes.script = {"a.1": act}
    assert stage.play(plan(worker("a"))) == 0
    assert stage.happened(AttemptFinished)[0].until == START.replace(hour=11, minute=30)


def test_a_reset_that_no_window_lasts_to_is_not_waited_for(stage: Stage) -> None:
    stage.processes.script = {"a.1": limited((START + timedelta(days=3000)).timestamp())}
    assert stage.play(plan(worker("a"))) == 0
    assert stage.happened(AttemptFinished)[0].until is None
    first, second = stage.happened(AttemptStarted)
    assert second.time - first.time < timedelta(minutes=10)


def test_a_reset_in_words_counts_from_when_they_were_written(stage: Stage) -> None:
    text = "You've hit your 5-hour limit · resets 11:30am (UTC)"
    made = stage.dispatcher(plan(worker("a")))
    made.record(AttemptStarted(**made.stamp(), task="a", attempt=1, cli="claude"))
    made.commit()
    folder = Path(stage.workspace.attempt("a", 1))
    folder.mkdir(parents=True)
    wrote = stream(text=text, is_error=True, api_error_status=429, api_error="usage_limit_reached")
    (folder / "stdout").write_bytes(wrote)
    stage.clock.now += 3 * 3600
    assert stage.dispatcher().run() == 0
    assert stage.happened(AttemptFinished)[0].until == START.replace(hour=11, minute=30)


def test_a_dispatcher_that_comes_back_keeps_the_pause(stage: Stage) -> None:
    reset = START + timedelta(hours=2)
    stage.processes.script = {"a.1": limited(reset.timestamp())}
    made = stage.dispatcher(plan(worker("a"), worker("b", "a"), worker("c")))
    stage.at(60, made.interrupt)
    assert made.run() == 130
    assert stage.dispatcher().run() == 0
    later = [event for event in stage.happened(AttemptStarted) if event.task in "bc" or event.attempt > 1]
    assert later
    assert all(event.time >= reset for event in later)


def test_a_second_refused_login_stops_the_run_and_the_first_does_not(stage: Stage) -> None:
    refused = said(text="Invalid API key", is_error=True, api_error_status=401)
    stage.processes.script = {"a.1": refused}
    assert stage.play(plan(worker("a"), worker("b"))) == 0
    stage.processes.script = {"c": refused, "d": refused}
    stage.journal.lines.clear()
    assert stage.play(plan(worker("c"), worker("d"), worker("e"))) == 5
    assert len(stage.happened(AttemptStarted)) == 2


def test_no_credit_stops_the_run_at_once(stage: Stage) -> None:
    stage.processes.script = {
        "a": said(text="Credit balance is too low", is_error=True, api_error_status=400)
    }
    assert stage.play(plan(worker("a"), worker("b"))) == 5
    assert len(stage.happened(AttemptStarted)) == 1


def test_an_answer_lets_the_session_of_a_blocked_task_go_on(stage: Stage) -> None:
    report = '```json\n{"status": "blocked", "questions": ["Which of the two tables?"]}\n```'
    stage.processes.script = {"a.1": said(text=f"I cannot go on.\n\n{report}")}
    assert stage.play(plan(worker("a"), worker("b", "a"))) == 3
    assert "Which of the two tables?" in stage.happened(TaskBlocked)[0].question
    hand_in(stage.workspace.inbox, Order("answer", "a", text="The second one."))
    assert stage.dispatcher().run() == 0
    first, second = stage.happened(AttemptStarted)[:2]
    assert second.session == first.session
    assert "The second one." in given(stage, "a.2")
    assert "Do a" not in given(stage, "a.2")


def test_a_rule_that_a_person_adds_lets_the_session_of_a_denied_task_go_on(stage: Stage) -> None:
    denied = {"tool_name": "Bash", "tool_use_id": "t", "tool_input": {"command": "npm test"}}
    stage.processes.script = {"a.1": said(permission_denials=[denied])}
    assert stage.play(plan(worker("a"))) == 3
    assert "Bash(npm test)" in stage.happened(AttemptFinished)[0].reason
    hand_in(stage.workspace.inbox, Order("retry", "a", allow=("Bash(npm test)",)))
    assert stage.dispatcher().run() == 0
    assert "Bash(npm test)" in options(stage, "a.2")["settings"]
    assert "resume" in options(stage, "a.2")
    assert "Bash(npm test)" in given(stage, "a.2")
    assert "Bash(npm test)" not in options(stage, "a.1")["settings"]


def test_secrets_of_the_environment_reach_no_result_journal_or_feedback(stage: Stage) -> None:
    stage.environment = {"DEPLOY_TOKEN": "s3cr3t-v4lue-of-mine"}
    leaky = stream("the token is s3cr3t-v4lue-of-mine")
    stage.processes.script = {
        "a": Act(stdout=leaky), "a.1/verify-1": Act(exit=1, stdout=b"used s3cr3t-v4lue-of-mine\n"),
        "b": Act(stdout=b"x s3cr3t-v4lue-of-mine y\n"),
    }  # fmt: skip
    assert stage.play(plan(worker("a", verify=("make test",)), task("b"))) == 0
    kept = [*stage.workspace.root.glob("results/*"), *stage.workspace.root.glob("attempts/*/*.md")]
    text = b"".join(path.read_bytes() for path in kept) + b"".join(stage.journal.lines)
    assert b"redacted" in text
    assert b"s3cr3t-v4lue-of-mine" not in text


def test_what_a_session_did_before_it_was_interrupted_counts(stage: Stage) -> None:
    began = b'{"type":"system","subtype":"init","session_id":"SESSION"}\n'
    call = b'{"type":"assistant","message":{"content":[{"type":"tool_use","id":"t","name":"Edit","input":{}}]}}\n'
    accepted = plan(worker("a", writes=("docs/**",)))
    stage.processes.script = {"a.1": Act(3600, stdout=began + call)}
    made = stage.dispatcher(accepted)
    stage.at(5, made.interrupt)
    assert made.run() == 130
    session = stage.happened(AttemptStarted)[0].session
    path = Path(f"{stage.workspace.root}/attempts/a.1/stdout")
    path.write_bytes(path.read_bytes().replace(b"SESSION", session.encode()))
    stage.processes.script = {"a.2": said(session_id=session)}
    assert stage.dispatcher().run() == 0


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ('Found.\n\n```json\n{"status": "partial", "summary": "half"}\n```', "partial"),
        ('Found.\n\n```json\n{"status": "comp\n```', "absent"),
        ("Found.", "absent"),
    ],
)
def test_a_report_that_is_missing_or_broken_is_marked_absent_and_the_result_counts(
    stage: Stage, answer: str, told: str
) -> None:
    stage.processes.script = {"a": said(result=answer)}
    assert stage.play(plan(worker("a"), task("b"))) == 0
    assert f'\nreport: "{told}"\n' in Path(stage.workspace.result_name(1)).read_text(encoding="utf-8")
    assert '\nreport: ""\n' in Path(stage.workspace.result_name(2)).read_text(encoding="utf-8")


def test_what_all_workers_of_a_type_are_told_is_one_file(stage: Stage) -> None:
    assert stage.play(plan(worker("a"), worker("b"))) == 0
    files = {options(stage, key)["append-system-prompt-file"] for key in ("a.1", "b.1")}
    assert files == {stage.workspace.role("general")}
    assert "Your report" in Path(files.pop()).read_text(encoding="utf-8")


def test_a_worker_may_spend_what_is_left_of_the_runs_budget(stage: Stage) -> None:
    stage.processes.script = {"a": said(total_cost_usd=1.5)}
    accepted = plan(worker("a"), worker("b", "a", budget_usd=5.0), limits=Limits(budget_usd=2.0))
    assert stage.play(accepted) == 0
    assert options(stage, "a.1")["max-budget-usd"] == "2.0"
    assert options(stage, "b.1")["max-budget-usd"] == "0.5"


def test_a_worker_stopped_at_the_runs_budget_goes_on_when_there_is_more(stage: Stage) -> None:
    over = said(subtype="error_max_budget_usd", is_error=True, total_cost_usd=2.1)
    stage.processes.script = {"a.1": over}
    accepted = plan(worker("a"), limits=Limits(budget_usd=2.0))
    assert stage.play(accepted) == 4
    assert stage.happened(RunFinished)[-1].reason == "the budget of $2.00 is spent"
    assert stage.state.by_id["a"].used == 0
    stage.processes.script = {"a.2": said(total_cost_usd=2.4)}
    assert stage.dispatcher(budget=5.0).run() == 0
    assert options(stage, "a.2")["resume"] == stage.happened(AttemptStarted)[0].session


def test_a_tasks_own_ceiling_is_not_paid_for_twice(stage: Stage) -> None:
    over = said(subtype="error_max_budget_usd", is_error=True, total_cost_usd=1.1)
    stage.processes.script = {"a": over}
    assert stage.play(plan(worker("a", budget_usd=1.0), limits=Limits(budget_usd=5.0))) == 1
    assert len(stage.happened(AttemptStarted)) == 1


def test_the_result_of_a_task_with_a_schema_is_what_the_schema_asked_for(tmp_path: Path) -> None:
    stage = Stage(tmp_path, {"a": Act(stdout=stream("Here it is.", structured_output={"lines": [3, 5]}))})
    schema = {"type": "object", "required": ["lines"], "properties": {"lines": {"type": "array"}}}
    assert stage.play(plan(worker("a", output_schema=schema))) == 0
    body = stage.workspace.result(1).read_text().split("---\n", 2)[2]
    assert json.loads(body) == {"lines": [3, 5]}


def test_the_others_do_not_wait_for_the_checks_of_the_first_of_their_kind(stage: Stage) -> None:
    stage.processes.script = {
        "a.1": Act(1, stdout=stream()),
        "a.1/verify-1": Act(600),
        "b": Act(5, stdout=stream()),
    }
    tasks = [worker(name, verify=("test -s report",)) for name in ("a", "b")]
    assert stage.play(plan(*tasks)) == 0
    ends = [event.task for event in stage.happened(AttemptFinished)]
    assert ends == ["b", "a"]
