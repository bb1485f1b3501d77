"""Runs whose dispatcher or workers are killed: nothing is lost, and nothing runs twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from datetime import datetime, timedelta

import pytest
from project import HELD, HOLD, Project, attempt_file, begun, claude, note, shell, until

pytestmark = pytest.mark.real


def test_a_worker_that_outlives_its_dispatcher_is_adopted(project: Project) -> None:
    project.plan(shell("A", *HELD), shell("B", note("start B"), needs=["A"]))
    project.kill(begun(project))
    process = project.start("run", "plan.yaml")
    until(lambda: project.events("RunResumed"), "the next dispatcher")
    project.go()
    assert project.finish(process).status == 0
    assert project.noted() == ["start A", "end A", "start B"]
    assert project.outcomes("A") == ["success"]


def test_a_worker_that_ended_without_a_dispatcher_is_harvested(project: Project) -> None:
    project.plan(shell("A", *HELD, "exit 0"), claude("C", "slow+answer"))
    process = begun(project)
    project.await_note("start C")
    project.kill(process)
    project.go()
    project.await_note("end A")
    project.await_note("end C")
    assert project.run().status == 0
    assert sorted(line[:7] for line in project.noted("start")) == ["start A", "start C"]


def test_a_daemon_is_not_taken_for_its_worker_whose_pid_was_not_written(project: Project) -> None:
    project.plan(shell("A", "setsid sleep 600 &", *HELD, timeout="5s"))
    project.kill(begun(project))
    project.go()
    until(lambda: attempt_file(project, "A.1/status"), "the end of the worker")
    (project.workspace / "attempts" / "pids").unlink()
    assert project.run().status == 0
    assert (project.outcomes("A"), project.living()) == (["success"], [])
    assert len(project.noted("start")) == 1
    assert project.events("AttemptFinished")[0]["seconds"] < 3


def test_a_harvested_failure_counts_and_is_retried(project: Project) -> None:
    project.plan(shell("A", note("start A"), HOLD, "test -e again || { touch again; exit 7; }"))
    project.kill(begun(project))
    project.go()
    until(lambda: attempt_file(project, "A.1/status") == b"7\n", "the end of the first attempt")
    assert project.run().status == 0
    assert project.outcomes("A") == ["error", "success"]


def test_work_that_was_done_is_verified_however_late_the_next_run_comes(project: Project) -> None:
    project.plan(shell("A", *HELD, timeout="1s", verify=["sleep 0.3; test -e go"]))
    project.kill(begun(project))
    project.go()
    until(lambda: attempt_file(project, "A.1/status"), "the end of the worker")
    shift_clock(project, hours=-1)
    assert project.run().status == 0
    assert project.outcomes("A") == ["success"]


def test_a_clock_that_was_set_on_does_not_end_an_adopted_worker(project: Project) -> None:
    project.plan(shell("A", *HELD))
    project.kill(begun(project))
    shift_clock(project, hours=-2)
    process = project.start("run", "plan.yaml")
    until(lambda: project.events("RunResumed"), "the next dispatcher")
    project.go()
    assert project.finish(process).status == 0
    assert project.outcomes("A") == ["success"]


def test_a_clock_that_was_set_back_does_not_matter(project: Project) -> None:
    project.plan(shell("A", *HELD, timeout="15s"))
    project.kill(begun(project))
    shift_clock(project, hours=2)
    project.go()
    assert project.run().status == 0
    assert project.outcomes("A") == ["success"]


def test_a_harvested_attempt_took_as_long_as_it_ran(project: Project) -> None:
    project.plan(shell("A", *HELD))
    project.kill(begun(project))
    project.go()
    until(lambda: attempt_file(project, "A.1/status"), "the end of the worker")
    shift_clock(project, hours=-3)
    status = project.workspace / "attempts" / "A.1"
    for file in status.iterdir():
        moment = file.stat().st_mtime - 3 * 3600
        os.utime(file, (moment, moment))
    project.run()
    assert project.events("AttemptFinished")[0]["seconds"] < 60


def shift_clock(project: Project, hours: float) -> None:
    """Make the journal say that all in it happened at another time, as after a jump of the clock."""
    path = project.workspace / "journal.jsonl"
    header, *lines = path.read_text().splitlines()
    events = [json.loads(line) for line in lines]
    for event in events:
        moment = datetime.fromisoformat(event["time"]) + timedelta(hours=hours)
        event["time"] = moment.isoformat().replace("+00:00", "Z")
    path.write_text("\n".join([header, *map(json.dumps, events)]) + "\n")


def test_a_worker_killed_alone_counts_as_an_error_and_is_tried_again(project: Project) -> None:
    project.plan(shell("A", "test -e once || { touch once; kill -9 $$; }"), claude("C", "killed+answer"))
    assert project.run().status == 0
    assert (project.outcomes("A"), project.outcomes("C")) == (["error", "success"], ["error", "success"])
    assert "SIGKILL" in project.events("AttemptFinished", "A")[0]["reason"]


def test_a_session_goes_on_after_an_interruption_if_it_had_begun(project: Project) -> None:
    project.plan(claude("A", "hang-once+again"))
    process = project.start("run", "plan.yaml")
    until(lambda: b"init" in attempt_file(project, "A.1/stdout"), "the first line")
    process.send_signal(signal.SIGINT)
    assert project.finish(process).status == 130
    assert project.run().status == 0
    session = project.events("AttemptStarted", "A")[0]["session"]
    assert f"resumed session {session}" in project.result()


def test_daemons_of_a_run_that_was_killed_at_its_very_end_are_stopped_by_the_next(project: Project) -> None:
    project.plan(shell("A", "echo x"))
    project.run()
    environment = {**project.environment, "ORCHESTRATE_ATTEMPT": f"{project.document()['run']['id']}/A.1"}
    with subprocess.Popen(["sleep", "600"], env=environment, start_new_session=True) as daemon:
        try:
            project.run()
            assert project.living() == []
        finally:
            daemon.kill()


def test_views_that_a_killed_dispatcher_did_not_write_are_written_by_the_next_run(project: Project) -> None:
    project.plan(shell("A", "echo x"))
    project.run()
    (project.workspace / "final_output.md").unlink()
    assert project.run().status == 0
    assert (project.workspace / "final_output.md").exists()


def test_a_result_removed_by_hand_is_restored_for_whoever_needs_it(project: Project) -> None:
    long = "seq 1 3000"
    project.plan(
        shell("A", "echo short"),
        shell("B", long),
        shell("C", *HELD),
        shell("D", 'wc -l < "$ORCHESTRATE_RESULT_B"; cat "$ORCHESTRATE_RESULT_A"', needs=["A", "B", "C"]),
    )
    process = begun(project)
    until(lambda: project.outcomes("A") and project.outcomes("B"), "two results")
    shutil.rmtree(project.workspace / "results")
    (project.workspace / "results").mkdir()
    project.go()
    assert project.finish(process).status == 0
    assert "short" in project.result(4)
    assert "\n2999\n3000\n" in project.result(2)


def test_a_result_that_a_power_loss_left_empty_is_restored(project: Project) -> None:
    project.plan(
        shell("A", "echo short"),
        shell("B", 'cat "$ORCHESTRATE_RESULT_A"; test -e mended', needs=["A"], attempts=1),
    )
    assert project.run().status == 1
    results = project.workspace / "results"
    for path in results.iterdir():
        path.write_bytes(b"")
    (project.folder / "mended").touch()
    assert project.run("--retry-failed").status == 0
    assert [project.result(agent).endswith("\nshort\n") for agent in (1, 2)] == [True, True]
