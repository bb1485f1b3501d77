from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fakes import START, Act, Stage, plan, stream, task

from orchestrator.core.events import AttemptFinished, AttemptStarted, RunFinished, TaskBlocked
from orchestrator.core.plan import Limits, Task


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def claude_task(name: str, needs: str = "", **fields: Any) -> Task:
    return task(name, needs, cli="claude", run="", description=f"Do {name}", **fields)


def test_a_plan_runs_to_its_end_in_the_order_of_its_needs(folder: Path) -> None:
    stage = Stage(folder, {"a": Act(3), "b": Act(1)})
    assert stage.play(plan(task("a"), task("b"), task("c", "a b"))) == 0
    assert stage.processes.started == ["a.1", "b.1", "c.1"]
    assert stage.statuses() == dict.fromkeys("abc", "completed")
    assert stage.happened(RunFinished)[-1].exit == 0


def test_the_intention_is_on_disk_before_the_process_exists(folder: Path) -> None:
    stage = Stage(folder)
    recorded: list[list[str]] = []
    original = stage.processes.start

    def start(key: str, *rest: Any) -> None:
        recorded.append([f"{e.task}.{e.attempt}" for e in stage.happened(AttemptStarted)])
        assert key in recorded[-1]
        original(key, *rest)

    stage.processes.start = start  # type: ignore[method-assign,assignment]
    assert stage.play(plan(task("a"), task("b", "a"))) == 0
    assert recorded == [["a.1"], ["a.1", "b.1"]]


def test_the_result_file_is_there_before_the_end_is_recorded(folder: Path) -> None:
    stage = Stage(folder, {"a": Act(stdout=b"found it\n")})
    seen: list[str] = []

    def listen(written: Sequence[Any]) -> None:
        if any(isinstance(event, AttemptFinished) for event in written):
            seen.append(stage.workspace.result(1).read_text())

    stage.play(plan(task("a")), listeners=[listen])
    assert seen[0].endswith("found it\n")


def test_events_are_numbered_without_gaps_and_replay_to_the_same_end(folder: Path) -> None:
    stage = Stage(folder, {"a.1": Act(exit=1), "b": Act(exit=3)})
    assert stage.play(plan(task("a"), task("b", attempts=2), task("c", "b"), task("d", "a"))) == 1
    assert [event.seq for event in stage.journal.events] == list(range(1, len(stage.journal.events) + 1))
    assert stage.statuses() == {"a": "completed", "b": "failed", "c": "skipped", "d": "completed"}


def test_a_failed_attempt_is_made_again_up_to_the_attempts_of_the_task(folder: Path) -> None:
    stage = Stage(folder, {"a": Act(exit=2)})
    assert stage.play(plan(task("a", attempts=3))) == 1
    assert stage.processes.started == ["a.1", "a.2", "a.3"]
    assert {event.reason for event in stage.happened(AttemptFinished)} == {"exit status 2"}


def test_dependents_are_given_the_result_files_of_their_needs(folder: Path) -> None:
    stage = Stage(folder)
    stage.play(plan(task("T-1", inputs={"who is": "me"}), task("T-2", "T-1")))
    assert stage.processes.environments["T-1.1"] == {"ORCHESTRATE_INPUT_who_is": "me"}
    path = str(stage.workspace.result(1))
    assert stage.processes.environments["T-2.1"] == {"ORCHESTRATE_RESULT_T_1": path}


def test_a_long_chain_behind_a_failure_is_skipped_without_a_crash(folder: Path) -> None:
    stage = Stage(folder, {"T-0": Act(exit=1)})
    chain = [task("T-0", attempts=1), *(task(f"T-{n}", f"T-{n - 1}") for n in range(1, 3000))]
    assert stage.play(plan(*chain)) == 1
    assert stage.state.tally["skipped"] == 2999


def test_a_timeout_stops_the_attempt_and_counts(folder: Path) -> None:
    stage = Stage(folder, {"a": Act(3600)})
    assert stage.play(plan(task("a", timeout="20s", attempts=1))) == 1
    assert stage.happened(AttemptFinished)[0].outcome == "timeout"
    assert stage.clock.now - START.timestamp() == 20


def test_the_time_that_the_machine_sleeps_is_not_the_workers(folder: Path) -> None:
    stage = Stage(folder, {"a": Act(8 * 3600 + 15)})

    def close_the_lid_for_a_night() -> None:
        stage.slept += 8 * 3600
        stage.clock.now += 8 * 3600

    stage.at(5, close_the_lid_for_a_night)
    assert stage.play(plan(task("a", timeout="20s", attempts=1))) == 0
    assert stage.happened(AttemptFinished)[0].seconds == 15


def test_a_silent_worker_is_stopped_and_a_silent_command_is_not(folder: Path) -> None:
    stage = Stage(folder, {"a": Act(3600), "b": Act(3600)})
    tasks = (claude_task("a", attempts=1), task("b", timeout="2h"))
    assert stage.play(plan(*tasks)) == 1
    assert {e.task: e.outcome for e in stage.happened(AttemptFinished)} == {"a": "stalled", "b": "success"}


def test_verify_commands_decide_and_their_output_is_the_reason(folder: Path) -> None:
    stage = Stage(folder, {"a.1/verify-2": Act(exit=1, stdout=b"2 tests failed\n")})
    assert stage.play(plan(task("a", verify=("make lint", "make test"), attempts=1))) == 1
    assert stage.processes.started == ["a.1", "a.1/verify-1", "a.1/verify-2"]
    finished = stage.happened(AttemptFinished)[0]
    assert finished.outcome == "unverified"
    assert finished.reason == "verify `make test`: exit status 1: 2 tests failed"


def test_verify_is_not_run_for_an_attempt_that_failed_anyway(folder: Path) -> None:
    stage = Stage(folder, {"a.1": Act(exit=1)})
    stage.play(plan(task("a", verify=("make test",), attempts=1)))
    assert stage.processes.started == ["a.1"]


def test_declared_artifacts_must_exist_and_be_new(folder: Path) -> None:
    (folder / "old.md").write_text("from before\n")
    stage = Stage(folder, {"a": Act(saves={"new.md": "fresh\n"}), "b": Act()})
    tasks = (task("a", artifacts=("new.md",)), task("b", artifacts=("old.md",), attempts=1))
    assert stage.play(plan(*tasks)) == 1
    assert {e.task: e.outcome for e in stage.happened(AttemptFinished)} == {"a": "success", "b": "unverified"}


def test_the_verify_of_the_plan_runs_once_at_the_end(folder: Path) -> None:
    stage = Stage(folder, {"/plan-1": Act(5), "/plan-2": Act(exit=1, stdout=b"no\n")})
    assert stage.play(plan(task("a"), verify=("make check", "make docs"))) == 1
    assert stage.processes.started == ["a.1", "/plan-1", "/plan-2"]
    assert stage.happened(RunFinished)[0].reason == "verify `make docs`: exit status 1: no"


def test_the_deadline_may_pass_while_the_plan_is_verified(folder: Path) -> None:
    stage = Stage(folder, {"/plan-1": Act(60)})
    assert stage.play(plan(task("a"), verify=("make check",), limits=Limits(deadline="10s"))) == 0


def test_the_deadline_stops_workers_with_a_grace_and_without_spinning(folder: Path) -> None:
    stage = Stage(folder, {"a": Act(3600, grace=8)})
    assert stage.play(plan(task("a"), limits=Limits(deadline="10s"))) == 4
    assert stage.statuses() == {"a": "retrying"}
    assert stage.state.by_id["a"].used == 0


def test_an_interrupt_stops_workers_with_a_grace_and_uses_up_no_attempt(folder: Path) -> None:
    stage = Stage(folder, {"a": Act(60, grace=3), "b": Act(60, grace=3)})
    accepted = plan(task("a", attempts=1), task("b", attempts=1), task("c", "a"))
    dispatcher = stage.dispatcher(accepted)
    stage.at(5, dispatcher.interrupt)
    assert dispatcher.run() == 130
    assert stage.processes.stopped == [("a.1", "terminate"), ("b.1", "terminate")]
    assert [e.outcome for e in stage.happened(AttemptFinished)] == ["interrupted", "interrupted"]
    assert stage.play(accepted) == 0
    assert stage.processes.started == ["a.1", "b.1", "a.2", "b.2", "c.1"]


def test_a_second_interrupt_stops_at_once(folder: Path) -> None:
    stage = Stage(folder, {"a": Act(3600, grace=600)})
    dispatcher = stage.dispatcher(plan(task("a")))
    stage.at(5, dispatcher.interrupt)
    stage.at(6, dispatcher.interrupt)
    assert dispatcher.run() == 130
    assert stage.processes.stopped[-1] == ("a.1", "kill")
    assert stage.clock.now - START.timestamp() < 8


def test_an_interrupt_that_comes_while_a_deadline_stops_the_run_decides_the_exit(folder: Path) -> None:
    stage = Stage(folder, {"a": Act(3600, grace=10)})
    dispatcher = stage.dispatcher(plan(task("a"), limits=Limits(deadline="5s")))
    stage.at(8, dispatcher.interrupt)
    assert dispatcher.run() == 130


def test_a_worker_that_had_finished_when_it_was_interrupted_is_not_paid_again(folder: Path) -> None:
    stage = Stage(folder, {"a": Act(3600, grace=3, stubborn=True, stdout=stream("Paid for."))})
    dispatcher = stage.dispatcher(plan(claude_task("a")))
    stage.at(5, dispatcher.interrupt)
    dispatcher.run()
    assert stage.statuses() == {"a": "completed"}
    assert stage.play(plan(claude_task("a"))) == 0
    assert stage.processes.started == ["a.1"]


def test_a_worker_interrupted_before_it_could_be_verified_is_not_taken_as_done(folder: Path) -> None:
    said = Act(3600, grace=3, stubborn=True, stdout=stream("Done.", tools=1))
    stage = Stage(folder, {"a": said})
    dispatcher = stage.dispatcher(plan(claude_task("a", verify=("make test",))))
    stage.at(5, dispatcher.interrupt)
    assert dispatcher.run() == 130
    assert stage.statuses() == {"a": "retrying"}


def test_an_interrupted_session_is_continued(folder: Path) -> None:
    begun = stream().splitlines(keepends=True)[0]
    stage = Stage(folder, {"a.1": Act(60, grace=1, exit=-15, stdout=begun), "a.2": Act(stdout=stream())})
    dispatcher = stage.dispatcher(plan(claude_task("a")))
    stage.at(5, dispatcher.interrupt)
    assert dispatcher.run() == 130
    assert stage.play(plan(claude_task("a"))) == 0
    first, second = (event.session for event in stage.happened(AttemptStarted))
    assert first == second
    assert f"--session-id={first}" in stage.processes.commands["a.1"]
    assert f"--resume={first}" in stage.processes.commands["a.2"]


def test_a_session_that_never_began_is_not_continued(folder: Path) -> None:
    stage = Stage(folder, {"a.1": Act(60), "a.2": Act(stdout=stream())})
    dispatcher = stage.dispatcher(plan(claude_task("a")))
    stage.at(5, dispatcher.interrupt)
    assert dispatcher.run() == 130
    assert stage.play(plan(claude_task("a"))) == 0
    assert len({event.session for event in stage.happened(AttemptStarted)}) == 2


def test_stop_ends_the_run_and_stop_after_running_lets_workers_finish(folder: Path) -> None:
    tasks = plan(task("a"), task("b", "a"))
    stage = Stage(folder, {"a": Act(10)})
    stage.order(3, order="stop", after_running=True)
    assert stage.play(tasks) == 1
    assert stage.statuses() == {"a": "completed", "b": "pending"}
    stage.processes.script = {"b": Act(10)}
    stage.order(3, order="stop")
    assert stage.play(tasks) == 130
    assert stage.statuses() == {"a": "completed", "b": "retrying"}


def test_a_cancelled_task_is_stopped_and_its_dependents_skipped(folder: Path) -> None:
    stage = Stage(folder, {"a": Act(3600, grace=2), "b": Act(10)})
    stage.order(3, order="cancel", task="a")
    assert stage.play(plan(task("a"), task("b"), task("c", "a"))) == 1
    assert stage.statuses() == {"a": "cancelled", "b": "completed", "c": "skipped"}
    assert not list(stage.workspace.inbox.iterdir())


def test_a_retry_ordered_during_the_run_gives_fresh_attempts_to_dependents_too(folder: Path) -> None:
    stage = Stage(folder, {"a.1": Act(exit=1), "slow": Act(30)})
    stage.order(10, order="retry", task="a")
    assert stage.play(plan(task("a", attempts=1), task("b", "a"), task("slow"))) == 0
    assert stage.processes.started == ["a.1", "slow.1", "a.2", "b.1"]


def test_an_order_that_comes_too_late_is_put_away(folder: Path) -> None:
    stage = Stage(folder, {"b": Act(10)})
    stage.order(5, order="cancel", task="a")
    stage.order(5, order="cancel", task="nobody")
    assert stage.play(plan(task("a"), task("b"))) == 0
    assert not list(stage.workspace.inbox.iterdir())


def test_a_task_retried_while_the_plan_is_verified_has_the_plan_verified_again(folder: Path) -> None:
    stage = Stage(folder, {"/plan-1": Act(30)})
    stage.order(10, order="retry", task="a")
    assert stage.play(plan(task("a"), verify=("make check",))) == 0
    assert stage.processes.started[:2] == ["a.1", "/plan-1"]
    assert stage.processes.started[-2:] == ["a.2", "/plan-1"]


def test_a_denied_worker_blocks_with_a_question(folder: Path) -> None:
    denied = stream("I could not.", permission_denials=[{"tool_name": "Bash"}])
    stage = Stage(folder, {"a": Act(stdout=denied), "b": Act(stdout=stream())})
    assert stage.play(plan(claude_task("a"), claude_task("b"))) == 3
    assert stage.happened(TaskBlocked)[0].question == (
        "denied: Bash; waits for a person: `orchestrate retry a --allow Bash`, or `orchestrate cancel a`"
    )
    assert stage.statuses() == {"a": "blocked", "b": "completed"}


def test_a_usage_limit_is_waited_out(folder: Path) -> None:
    reset = int(START.timestamp()) + 7200
    limited = b'{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":%d}}\n' % reset
    limited += stream("You've hit your session limit", is_error=True, api_error_status=429)
    stage = Stage(folder, {"a.1": Act(exit=1, stdout=limited), "a.2": Act(stdout=stream())})
    assert stage.play(plan(claude_task("a", attempts=1))) == 0
    second = stage.happened(AttemptStarted)[1]
    assert second.time == datetime.fromtimestamp(reset, UTC)


def test_the_last_attempt_that_counts_uses_the_fallback_model(folder: Path) -> None:
    stage = Stage(folder, {"a": Act(exit=1)})
    stage.play(plan(claude_task("a", attempts=2, fallback_model="haiku")))
    models = [[o for o in argv if o.startswith("--model")] for argv in stage.processes.commands.values()]
    assert models == [["--model=sonnet"], ["--model=haiku"]]


def test_views_are_refreshed_at_most_once_a_second(folder: Path) -> None:
    stage = Stage(folder, {f"T-{n}": Act(0.02) for n in range(200)})
    stage.play(plan(*(task(f"T-{n}") for n in range(200)), limits=Limits(parallelism=1)))
    assert 1 <= stage.views.refreshed <= 3


@pytest.mark.parametrize(("lasts", "times"), [(0.1, 0), (5.0, 1)])
def test_what_later_workers_will_be_given_is_shown_once_and_not_in_a_short_run(
    folder: Path, lasts: float, times: int
) -> None:
    tasks = [task(f"T-{n}") for n in range(6)]
    stage = Stage(folder, {one.id: Act(lasts) for one in tasks})
    stage.play(plan(*tasks, limits=Limits(parallelism=1)))
    assert stage.views.previewed == times
