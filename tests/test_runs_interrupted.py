"""Runs that are interrupted by a signal or two: what stops, and what the next run goes on with."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import time

import pytest
from project import HELD, HOLD, PROGRAM, Project, attempt_file, begun, claude, note, shell, until

pytestmark = pytest.mark.real


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_signal_stops_the_workers_with_a_grace_and_the_next_run_goes_on(
    project: Project, number: signal.Signals
) -> None:
    project.plan(
        shell("A", "trap 'sleep 0.2; echo tidied > tidy; exit 0' TERM", note("start A"), HOLD),
        shell("B", note("start B"), needs=["A"]),
    )
    process = begun(project)
    process.send_signal(number)
    done = project.finish(process)
    assert (done.status, project.outcomes("A"), project.living()) == (130, ["interrupted"], [])
    assert (project.folder / "tidy").exists()
    assert project.noted("start B") == []
    project.go()
    assert project.run().status == 0
    assert project.document()["tasks"][0]["attempts"] == 2


def test_a_second_signal_stops_the_workers_at_once(project: Project) -> None:
    project.plan(shell("A", f"trap '{note('told A')}' TERM".replace('"', ""), note("start A"), HOLD))
    process = begun(project)
    process.send_signal(signal.SIGINT)
    project.await_note("told A")
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    done = project.finish(process)
    assert (done.status, project.outcomes("A"), project.living()) == (130, ["interrupted"], [])
    assert time.monotonic() - began < 2.5


def test_a_second_signal_ends_the_plan_s_own_check_at_once(project: Project) -> None:
    check = f"trap '{note('told')}' TERM; {note('check')}; while :; do sleep 0.02; done".replace('"', "")
    project.plan(shell("A", "true"), verify=[check])
    process = project.start("run", "plan.yaml")
    project.await_note("check")
    process.send_signal(signal.SIGINT)
    project.await_note("told")
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    assert project.finish(process).status == 130
    assert time.monotonic() - began < 2.5
    assert project.living() == []


def test_a_second_signal_at_the_very_end_leaves_nothing_behind(project: Project) -> None:
    daemon = "(trap '' TERM; setsid sleep 600 > /dev/null 2>&1 < /dev/null &)"
    project.plan(shell("B", daemon, "sleep 0.1"), shell("A", *HELD, needs=["B"]))
    process = begun(project)
    process.send_signal(signal.SIGINT)
    until(lambda: project.events("RunFinished"), "the end of the run")
    process.send_signal(signal.SIGINT)
    assert project.finish(process).status == 130
    assert project.living() == []


def test_work_that_was_done_is_not_repeated_because_its_checks_were_interrupted(project: Project) -> None:
    check = f"{note('verify')}; test -e go || sleep 600".replace('"', "")
    project.plan(shell("A", note("start A"), verify=[check]))
    process = project.start("run", "plan.yaml")
    project.await_note("verify")
    process.send_signal(signal.SIGINT)
    assert project.finish(process).status == 130
    project.go()
    assert project.run().status == 0
    assert project.noted("start") == ["start A"]


def test_a_signal_is_heeded_where_it_was_inherited_as_ignored(project: Project) -> None:
    project.plan(shell("A", *HELD))
    process = begun(project, inside=("/bin/sh", "-c", "trap '' INT; exec \"$@\"", "sh"))
    process.send_signal(signal.SIGINT)
    assert project.finish(process).status == 130


def test_a_run_under_nohup_goes_on_when_its_terminal_is_closed(project: Project) -> None:
    project.plan(shell("A", *HELD))
    process = begun(project, inside=("nohup",))
    process.send_signal(signal.SIGHUP)
    assert project.do("wait", "--timeout", "600ms").status == 75
    project.go()
    assert project.finish(process).status == 0


def test_a_run_that_outlives_its_terminal_keeps_its_exit_status(project: Project) -> None:
    project.plan(shell("A", *HELD))
    terminal, other_end = pty.openpty()
    line = f'trap "" HUP; "$@" < /dev/tty > /dev/tty 2>&1; echo $? > {project.folder}/ended'
    with contextlib.closing(os.fdopen(terminal, "rb", buffering=0)):
        # A session whose terminal this is, and which does not heed that it is closed.
        subprocess.Popen(
            ["setsid", "-c", "sh", "-c", line, "sh", *PROGRAM, "run", "plan.yaml"],
            cwd=project.folder, env=project.environment, stdin=other_end, stdout=other_end, stderr=other_end,
        )  # fmt: skip
        os.close(other_end)
        project.await_note("start A")
    project.go()
    ended = project.folder / "ended"
    assert until(lambda: ended.exists() and ended.read_text(), "the end") == "0\n"


def test_a_claude_worker_is_interrupted_before_anything_harsher(project: Project) -> None:
    project.plan(claude("A", "polite"))
    process = project.start("run", "plan.yaml")
    project.await_note("start A")
    until(lambda: b"init" in attempt_file(project, "A.1/stdout"), "the first line")
    process.send_signal(signal.SIGINT)
    assert project.finish(process).status == 130
    assert "finished early" in project.result()


def test_a_plan_completed_while_it_was_interrupted_is_complete(project: Project) -> None:
    test_a_claude_worker_is_interrupted_before_anything_harsher(project)
    assert project.statuses() == {"A": "completed"}
    assert project.run().status == 0


def test_what_claude_hands_in_when_interrupted_is_not_done_until_it_is_verified(project: Project) -> None:
    project.plan(claude("A", "polite", verify=["test -e proof"]))
    process = project.start("run", "plan.yaml")
    until(lambda: b"init" in attempt_file(project, "A.1/stdout"), "the first line")
    process.send_signal(signal.SIGINT)
    project.finish(process)
    assert project.statuses() != {"A": "completed"}
