"""Whole runs as real processes: what they survive, and what they leave."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from project import HOLD, PROGRAM, ROOT, Project, alive, claude, note, shell, until

from orchestrator.edges.inbox import Order, hand_in
from orchestrator.runs import SteadyClock

pytestmark = pytest.mark.real

HELD = (note("start A"), HOLD, note("end A"))
"""A task that waits for the test, and says when it began and ended."""


def begun(project: Project, *words: str, inside: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """A run whose task A has begun."""
    process = project.start("run", "plan.yaml", *words, inside=inside)
    project.await_note("start A")
    return process


def test_a_run_ends_with_every_result_and_view(project: Project) -> None:
    project.plan(
        shell("A", "echo hello"),
        shell("B", 'grep hello "$ORCHESTRATE_RESULT_A"', needs=["A"]),
        claude("C", "answer"),
    )
    done = project.run()
    assert done.status == 0
    assert set(project.statuses().values()) == {"completed"}
    assert "hello" in project.result(2)
    assert "second half of C" in (project.workspace / "final_output.md").read_text()
    assert len(done.out.splitlines()) <= 20


def test_a_finished_plan_is_not_run_again_and_says_so(project: Project) -> None:
    project.plan(shell("A", note("start A")))
    project.run()
    before = project.events()
    done = project.run()
    assert (done.status, project.noted()) == (0, ["start A"])
    assert "nothing to do" in done.out
    assert project.events() == before


# Interrupted in every way.


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


def test_a_signal_is_heeded_at_once(project: Project) -> None:
    project.plan(shell("A", f"trap '{note('told')}' TERM".replace('"', ""), note("start A"), HOLD))
    process = begun(project)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    project.await_note("told")
    assert time.monotonic() - began < 0.3
    assert project.finish(process).status == 130


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


def attempt_file(project: Project, name: str) -> bytes:
    """A file of an attempt, or nothing."""
    path = project.workspace / "attempts" / name
    return path.read_bytes() if path.exists() else b""


# Killed.


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


@pytest.mark.parametrize("left", [0, 20, 60])
def test_a_journal_that_was_cut_off_before_its_first_event_repeats_nothing(
    project: Project, left: int
) -> None:
    project.plan(shell("A", note("start A")), shell("B", note("start B"), needs=["A"]))
    assert project.run().status == 0
    path = project.workspace / "journal.jsonl"
    path.write_bytes(path.read_bytes()[:left])
    assert project.run().status == 0
    assert project.noted("start") == ["start A", "start B"]


def test_a_journal_that_was_removed_begins_anew_and_keeps_the_old_attempts(project: Project) -> None:
    project.plan(shell("A", note("start A")))
    assert project.run().status == 0
    (project.workspace / "journal.jsonl").unlink()
    assert project.run().status == 0
    assert project.noted("start") == ["start A", "start A"]
    assert (project.workspace / "archive" / "unstarted" / "attempts" / "A.1" / "stdout").exists()


def test_an_attempt_of_another_plan_is_not_taken_for_this_one_s(project: Project) -> None:
    project.plan(shell("A", note("old A")))
    assert project.run().status == 0
    path = project.workspace / "journal.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    project.plan(shell("A", note("new A")))
    assert project.run().status == 0
    assert project.noted() == ["old A", "new A"]


@pytest.mark.parametrize("words", [("retry", "A"), None])
def test_a_worker_that_failed_is_launched_again_with_the_same_program(
    project: Project, words: tuple[str, ...] | None
) -> None:
    project.plan(claude("A", "killed+answer", attempts=1))
    assert project.run().status == 1
    if words:
        assert project.do(*words).status == 0
    assert project.run("--retry-failed").status == 0
    assert project.outcomes("A") == ["error", "success"]


def test_a_finished_worker_whose_task_was_changed_is_launched(project: Project) -> None:
    project.plan(claude("A", "answer"))
    assert project.run().status == 0
    project.plan(claude("A", "answer", description="another"))
    assert project.run().status == 0
    assert project.outcomes("A") == ["success", "success"]


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


# What workers do.


def test_a_timeout_stops_a_worker_and_all_it_started(project: Project) -> None:
    project.plan(shell("A", "sleep 600 & echo up; sleep 600", timeout="300ms", attempts=1))
    assert project.run().status == 1
    assert (project.outcomes("A"), project.living()) == (["timeout"], [])


def test_a_worker_that_ignores_every_signal_is_killed_in_the_end(project: Project) -> None:
    project.plan(
        shell("A", "trap '' TERM INT; while :; do sleep 0.05; done", timeout="300ms", attempts=1),
        claude("C", "stubborn+hang", timeout="500ms", attempts=1),
    )
    assert project.run().status == 1
    assert (project.outcomes("A"), project.outcomes("C")) == (["timeout"], ["timeout"])
    assert project.living() == []


@pytest.mark.parametrize(("check", "outcome"), [("true", "success"), ("false", "unverified")])
def test_a_worker_that_does_not_end_after_its_result_is_judged_by_its_work(
    project: Project, check: str, outcome: str
) -> None:
    project.plan(claude("A", "linger", idle_timeout="400ms", attempts=1, verify=[check]))

    project.run()

    assert project.outcomes("A") == [outcome]
    assert "it did not end after its result" in project.events("AttemptFinished")[0]["reason"]
    assert len(project.noted("start A")) == 1, "it is not paid for again"
    assert project.living() == []


def test_a_silent_claude_worker_is_stopped_as_stalled(project: Project) -> None:
    project.plan(claude("A", "hang", idle_timeout="400ms", attempts=1))
    project.run()
    assert project.outcomes("A") == ["stalled"]


@pytest.mark.parametrize(
    "line",
    [
        "sleep 600 &",
        "setsid sleep 600 &",
        "(setsid sleep 600 > /dev/null 2>&1 < /dev/null &)",
        "nohup sh -c 'sleep 600; :' > /dev/null 2>&1 &",
    ],
)
def test_nothing_that_a_worker_started_is_left_after_the_run(project: Project, line: str) -> None:
    project.plan(shell("A", line, "echo done"))
    assert project.run().status == 0
    assert project.living() == []


def test_the_children_of_a_claude_worker_are_stopped_too(project: Project) -> None:
    project.plan(claude("A", "children+answer"))
    assert project.run().status == 0
    assert project.living() == []


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["exit 7"], 7),
        (["exec sh -c 'exit 8'"], 8),
        (["trap 'exit 9' EXIT", "true"], 9),
        (["if then"], 2),
        (["false", "true"], 0),
        (["set -e", "false", "true"], 1),
        (["no-such-program"], 127),
        (["echo x", "exec true"], 0),
    ],
    ids=["exit", "exec", "trap", "syntax", "last", "set-e", "missing", "exec-true"],
)
def test_the_exit_status_of_a_command_is_not_lost(project: Project, lines: list[str], status: int) -> None:
    project.plan(shell("A", *lines, attempts=1))
    assert project.run().status == (1 if status else 0)
    assert project.events("AttemptFinished")[0]["exit"] == status


@pytest.mark.parametrize("lines", [["exec true"], ["exit 0", "exit 1"]])
def test_the_exit_status_is_known_without_a_dispatcher(project: Project, lines: list[str]) -> None:
    project.plan(shell("A", note("start A"), HOLD, *lines))
    project.kill(begun(project))
    project.go()
    until(lambda: attempt_file(project, "A.1/status"), "the end of the worker")
    assert project.run().status == 0
    assert project.outcomes("A") == ["success"]


def test_a_command_that_is_given_too_much_says_so(project: Project) -> None:
    project.plan(shell("A", "true", inputs={f"x{n}": "y" * 130_000 for n in range(50)}, attempts=1))
    done = project.run()
    assert done.status == 1
    assert (
        "more than a process can be given as variables; give fewer, or write them to a file"
        in project.result()
    )


def test_inputs_and_results_reach_a_command_through_its_environment(project: Project) -> None:
    project.plan(
        shell("A-1", "echo from A"),
        shell("B", "pwd", 'echo "$ORCHESTRATE_INPUT_some_word"', 'cat "$ORCHESTRATE_RESULT_A_1"',
              needs=["A-1"], inputs={"some-word": "$HOME `x` \"é\""}),
    )  # fmt: skip
    assert project.run().status == 0
    assert '$HOME `x` "é"' in project.result(2)
    assert f"{project.folder}\n" in project.result(2)
    assert "from A" in project.result(2)


def test_whatever_a_worker_writes_its_result_is_text_and_the_terminal_is_safe(project: Project) -> None:
    write = r"printf '\377\376\000\033[31mred\033]0;title\007\n'; head -c 10000 /dev/zero | tr '\0' x; echo"
    project.plan(shell("A", write, "echo end"), shell("B", f"({write}) >&2; exit 1", attempts=1))
    done = project.run()
    assert done.status == 1
    assert "\x1b" not in done.out + done.err + project.do("log", "A").out + project.do("status").out
    text = project.result()
    assert "\x1b" not in text
    assert "\0" not in text
    assert "x" * 10_000 + "\nend" in text
    assert all("\x1b" not in path.read_text() for path in project.workspace.glob("*.md"))


def test_artifacts_and_verify_decide_over_an_exit_status(project: Project) -> None:
    project.plan(
        shell("A", "echo x > out", artifacts=["out"], verify=["grep x out", "true"]),
        shell("B", "true", artifacts=["missing"], attempts=1),
        shell("C", "true", verify=["echo no such luck; exit 3"], attempts=1),
    )
    assert project.run().status == 1
    assert project.statuses() == {"A": "completed", "B": "failed", "C": "failed"}
    assert "missing" in project.events("AttemptFinished", "B")[0]["reason"]
    assert "no such luck" in project.events("AttemptFinished", "C")[0]["reason"]


@pytest.mark.parametrize(
    ("model", "outcomes", "status"),
    [
        ("answer", ["success"], 0),
        ("nothing", ["empty"], 1),
        ("failed", ["error"], 1),
        ("garbage", ["empty"], 1),
        ("limited+answer", ["rate limited", "success"], 0),
        ("killed+answer", ["error"], 1),
        ("denied", ["denied"], 3),
        ("logged-out", ["authentication"] * 2, 5),
    ],
)
def test_what_a_claude_worker_says_of_itself_is_believed_only_so_far(
    project: Project, model: str, outcomes: list[str], status: int
) -> None:
    project.plan(claude("A", model, attempts=1))
    assert project.run().status == status
    assert project.outcomes("A") == outcomes


def test_a_claude_program_that_is_missing_is_an_error_of_the_machine(project: Project) -> None:
    project.plan(claude("A", "answer"))
    project.environment["ORCHESTRATE_CLAUDE"] = "/no/such/claude"
    done = project.run()
    assert done.status == 5
    assert "/no/such/claude is not a program" in done.err
    assert project.events() == []


# The disk.


def in_namespace(project: Project, script: str, size: str) -> subprocess.CompletedProcess[str]:
    """A script in a mount namespace of its own, with a small disk under the project's folder."""
    if os.geteuid() or not shutil.which("unshare"):
        pytest.skip("needs root and unshare to mount a small disk")
    mount = f'set -u; mount -t tmpfs -o size={size} none "$PROJECT" || exit 77; cd "$PROJECT"; cp "$PLAN" plan.yaml\n'
    program = " ".join(PROGRAM)
    done = subprocess.run(
        ["unshare", "-m", "--propagation", "private", "sh", "-c", mount + script.replace("ORCHESTRATE", program)],
        env={**project.environment, "PROJECT": str(project.folder), "PLAN": str(project.folder.parent / "plan.yaml")},
        capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode in (1, 77) and "unshare" in done.stderr:
        pytest.skip(f"no mount namespace here: {done.stderr}")
    assert done.returncode != 77, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_a_disk_filled_by_a_worker_ends_the_run_clearly_and_the_next_one_goes_on(project: Project) -> None:
    fill = 'test -e "$PLAN.filled" || { touch "$PLAN.filled"; cat /dev/zero > fill 2>/dev/null; }'
    project.plan(
        shell("A", note("start A"), "echo from A"),
        shell("B", note("start B"), fill, "echo from B", needs=["A"]),
        shell("C", note("start C"), 'cat "$ORCHESTRATE_RESULT_B"', needs=["B"]),
        name="../plan.yaml",
    )
    script = """
    ORCHESTRATE run plan.yaml; echo "first $?"
    for again in 1 2 3 4; do ORCHESTRATE run; echo "again $?"; done
    rm fill; ORCHESTRATE run; echo "last $?"
    grep -c 'from B' .orchestrator/final_output.md
    """
    done = in_namespace(project, script, "1m")
    assert "first 5\n" in done.stdout
    assert done.stdout.count("again 5\n") == 4
    assert "last 0\n" in done.stdout
    assert "free some space" in done.stderr
    assert project.noted("start A") == ["start A"]
    assert project.noted("start C") == ["start C"]


def test_a_command_that_ends_on_a_full_disk_is_not_run_again(project: Project) -> None:
    began = 'until grep -q "start B" "$STANDIN_LEDGER"; do sleep 0.02; done'
    project.plan(
        shell("A", began, "cat /dev/zero > fill 2>/dev/null", "echo from A", attempts=1),
        shell("B", note("start B"), HOLD.replace("go", '"$PLAN.go"'), note("end B"), "exit 7", attempts=1),
        name="../plan.yaml",
    )
    script = """
    ORCHESTRATE run plan.yaml; echo "first $?"
    touch "$PLAN.go"; until grep -q "end B" "$STANDIN_LEDGER"; do sleep 0.02; done; sleep 0.2
    rm fill; ORCHESTRATE run; echo "last $?"
    ORCHESTRATE status
    """
    done = in_namespace(project, script, "1m")
    assert "first 5\n" in done.stdout
    assert "last 1\n" in done.stdout
    assert "exit status 7" in done.stdout
    assert project.noted() == ["start B", "end B"]


def test_launches_that_never_came_about_do_not_fail_a_task(project: Project) -> None:
    project.plan(shell("A", "echo x"))
    project.run()
    path = project.workspace / "journal.jsonl"
    lines = path.read_text().splitlines()[:3]
    time_, seq = project.events()[0]["time"], 3
    for number in (1, 2, 3):
        begun = {"type": "AttemptStarted", "task": "A", "attempt": number, "cli": "shell"}
        ended = {"type": "AttemptFinished", "task": "A", "attempt": number, "outcome": "interrupted"}
        for event in (begun, ended) if number < 3 else (begun,):
            lines.append(json.dumps({**event, "seq": seq, "time": time_}))
            seq += 1
    shutil.rmtree(project.workspace / "attempts")
    path.write_text("\n".join(lines) + "\n")
    assert project.run().status == 0


def test_more_workers_than_files_may_be_open_run_side_by_side(project: Project) -> None:
    names = [f"T-{n}" for n in range(50)]
    project.plan(*(shell(name, note(f"start {name}"), HOLD) for name in names))
    limited = ("/bin/sh", "-c", 'ulimit -n 40; exec "$@"', "sh")
    process = project.start("run", "plan.yaml", "--parallelism", "50", inside=limited)
    until(lambda: len(project.noted()) == 50, "all of them")
    project.go()
    assert project.finish(process).status == 0
    assert sorted(project.noted()) == sorted(f"start {name}" for name in names)


def test_a_read_only_workspace_is_refused_with_what_to_do(project: Project) -> None:
    project.plan(shell("A", "echo x"), name="../plan.yaml")
    script = """
    ORCHESTRATE run plan.yaml; echo "first $?"; cp plan.yaml other.yaml; sed -i s/x/y/ other.yaml
    mount -o remount,ro none "$PROJECT"
    ORCHESTRATE run other.yaml; echo "read-only $?"
    ORCHESTRATE status; echo "status $?"
    ORCHESTRATE retry A; echo "retry $?"
    """
    done = in_namespace(project, script, "1m")
    assert "first 0\n" in done.stdout
    assert "read-only 5\n" in done.stdout
    assert "retry 5\n" in done.stdout
    assert "1 completed" in done.stdout
    assert "status 0\n" in done.stdout
    assert "Read-only file system; choose a writable place with --workspace" in done.stderr


def test_a_project_that_is_moved_goes_on_where_it_is_now(project: Project) -> None:
    project.plan(
        shell("A", note("start A"), "pwd"), shell("B", "pwd; test -e mended", needs=["A"], attempts=1)
    )
    assert project.run().status == 1
    project.folder = project.folder.rename(project.folder.with_name("moved"))
    project.workspace = project.folder / ".orchestrator"
    (project.folder / "mended").touch()
    assert project.run("--retry-failed").status == 0
    assert project.noted() == ["start A"]
    assert project.result(2).endswith(f"\n{project.folder}\n")
    assert project.document()["run"]["project"] == str(project.folder)


def test_the_copy_of_a_project_works_in_itself(project: Project) -> None:
    project.plan(shell("A", "pwd; test -e mended", attempts=1))
    assert project.run().status == 1
    copy = shutil.copytree(project.folder, project.folder.with_name("copy"))
    (copy / "mended").touch()
    project.folder, project.workspace = copy, copy / ".orchestrator"
    assert project.run("--retry-failed").status == 0
    assert project.result().endswith(f"\n{copy}\n")


def test_a_workspace_elsewhere_says_that_its_project_folder_is_gone(project: Project) -> None:
    project.plan(shell("A", "exit 1", attempts=1))
    elsewhere = str(project.folder.with_name("elsewhere"))
    project.do("--workspace", elsewhere, "run", "plan.yaml")
    project.folder = project.folder.rename(project.folder.with_name("moved"))
    done = project.do("--workspace", elsewhere, "run", "--retry-failed")
    assert done.status == 2
    assert "/project; put it back, or begin anew with `run --new`" in done.err


def test_a_folder_whose_path_is_no_text_is_refused_in_a_sentence(project: Project) -> None:
    project.plan(shell("A", "true"))
    odd = os.fsdecode(os.fsencode(project.folder) + b"\xff")
    os.rename(project.folder, odd)
    project.folder = Path(odd)
    for words in (("run", "plan.yaml"), ("plan", "plan.yaml"), ("init", "x"), ("status",)):
        done = project.do(*words)
        assert done.status == 2
        assert "is not text in UTF-8; give the folder another name" in done.err
    assert os.listdir(odd) == ["plan.yaml"]
    project.folder = Path(odd).parent
    done = project.do("--workspace", f"{odd}/w", "run", f"{odd}/plan.yaml")
    assert (done.status, os.listdir(odd)) == (2, ["plan.yaml"])


# The journal.


def test_a_journal_cut_anywhere_resumes_and_repeats_nothing(project: Project) -> None:
    project.plan(
        shell("A", note("start A"), "echo a"),
        shell("B", note("start B"), 'cat "$ORCHESTRATE_RESULT_A"', needs=["A"]),
    )
    project.run()
    whole = (project.workspace / "journal.jsonl").read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    for size in [end + more for end in ends[1:-1] for more in (0, 30)]:
        (project.workspace / "journal.jsonl").write_bytes(whole[:size])
        assert (size, project.run().status) == (size, 0)
    assert project.noted() == ["start A", "start B"]


def test_an_old_attempt_of_another_task_is_not_taken_for_this_one(project: Project) -> None:
    project.plan(shell("A", "echo old"))
    project.run()
    (project.workspace / "journal.jsonl").unlink()
    project.plan(shell("A", "echo new"))
    assert project.run().status == 0
    assert "new" in project.result()


def test_a_broken_line_is_refused_by_its_number_and_nothing_changes(project: Project) -> None:
    project.plan(shell("A", "echo x"))
    project.run()
    path = project.workspace / "journal.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:2], lines[2][:-5] + "\n", *lines[3:]]))
    before = tree(project)
    for words in (("run",), ("run", "plan.yaml"), ("status",), ("retry", "A"), ("aggregate",), ("wait",)):
        done = project.do(*words)
        assert (words, done.status) == (words, 2)
        assert "journal.jsonl:3: " in done.err
    assert tree(project) == before
    assert project.run("--new").status == 0


def tree(project: Project) -> dict[str, bytes]:
    """Every file of the workspace but the lock, which names its last holder."""
    files = (p for p in project.workspace.rglob("*") if p.is_file() and p.name != "dispatcher.lock")
    return {str(path.relative_to(project.workspace)): path.read_bytes() for path in files}


def test_a_steady_clock_goes_on_from_the_machine_s_and_never_back() -> None:
    clock = SteadyClock()
    times = [clock() for _ in range(1000)]
    assert times == sorted(times)
    assert abs(times[0] - time.time()) < 1


# Two at once, and orders from outside.


def test_a_second_dispatcher_is_refused_with_the_pid_of_the_first(project: Project) -> None:
    project.plan(shell("A", *HELD))
    process = begun(project)
    done = project.run()
    assert done.status == 6
    assert f"pid {process.pid})" in done.err
    project.go()
    assert project.finish(process).status == 0


def test_removing_the_lock_file_of_a_dispatcher_lets_no_second_one_in(project: Project) -> None:
    project.plan(shell("A", *HELD))
    process = begun(project)
    (project.workspace / "dispatcher.lock").unlink()
    for words in ((), ("--new",)):
        done = project.run(*words)
        assert (done.status, "though its lock file was removed" in done.err) == (6, True)
    project.go()
    assert project.finish(process).status == 0
    assert project.noted() == ["start A", "end A"]


def test_what_cannot_be_written_is_named(project: Project) -> None:
    project.plan(shell("A", "rm -rf .orchestrator/results"))
    done = project.run()
    assert done.status == 5
    assert re.search(r"/results/agent-01-result.md\S*: No such file or directory", done.err)
    assert project.run().status == 0


def test_stop_from_another_terminal_stops_the_workers(project: Project) -> None:
    project.plan(shell("A", *HELD))
    process = begun(project)
    assert project.do("stop").status == 0
    assert (project.finish(process).status, project.living()) == (130, [])
    assert project.outcomes("A") == ["interrupted"]


@pytest.mark.parametrize("gives_up", [False, True])
def test_a_stop_that_comes_while_a_run_begins_is_obeyed(project: Project, gives_up: bool) -> None:
    # What is looked for first, and takes its time: the claude program.
    slow = project.folder.parent / "slow"
    standin = project.environment["ORCHESTRATE_CLAUDE"]
    then = "exit 1" if gives_up else f'exec {standin} "$@"'
    slow.write_text(f"#!/bin/sh\ntouch {project.folder}/looked\n{HOLD}\n{then}\n")
    slow.chmod(0o755)
    project.environment["ORCHESTRATE_CLAUDE"] = str(slow)
    project.plan(shell("A", note("start A")), claude("B", "answer"))
    process = project.start("run", "plan.yaml")
    until((project.folder / "looked").exists, "the look at the program")
    stop = project.start("stop")
    until(lambda: list((project.workspace / "inbox").iterdir()), "the order")
    project.go()
    assert project.finish(process).status == (5 if gives_up else 130)
    assert project.finish(stop).status == 0
    assert project.noted() == []
    assert not list((project.workspace / "inbox").iterdir())


def test_stop_after_running_lets_them_finish_and_launches_nothing_more(project: Project) -> None:
    project.plan(shell("A", *HELD), shell("B", note("start B"), needs=["A"]))
    process = begun(project)
    assert project.do("stop", "--after-running").status == 0
    project.go()
    assert project.finish(process).status != 0
    assert (project.statuses(), project.noted("start B")) == ({"A": "completed", "B": "pending"}, [])
    assert project.run().status == 0


def test_stop_reaches_workers_whose_dispatcher_is_gone(project: Project) -> None:
    project.plan(shell("A", *HELD))
    project.kill(begun(project))
    assert project.do("stop").status == 0
    assert (project.outcomes("A"), project.living()) == (["interrupted"], [])


@pytest.mark.parametrize("killed", [False, True])
def test_cancel_stops_one_task_and_skips_what_needs_it(project: Project, killed: bool) -> None:
    project.plan(shell("A", *HELD), shell("B", "true", needs=["A"]), shell("C", note("end C")))
    process = begun(project)
    project.await_note("end C")
    if killed:
        project.kill(process)
    assert project.do("cancel", "A").status == 0
    assert (project.run() if killed else project.finish(process)).status == 1
    assert project.statuses() == {"A": "cancelled", "B": "skipped", "C": "completed"}
    assert project.living() == []


def test_retry_during_a_run_gives_a_failed_task_and_its_dependents_another_chance(project: Project) -> None:
    project.plan(shell("A", *HELD), shell("B", "test -e mended", attempts=1), shell("C", "true", needs=["B"]))
    process = begun(project)
    until(lambda: project.events("TaskSkipped"), "the end of B and C")
    (project.folder / "mended").touch()
    assert project.do("retry", "B").status == 0
    until(lambda: "success" in project.outcomes("C"), "B and C")
    project.go()
    assert project.finish(process).status == 0


def test_an_order_whose_giver_was_killed_is_obeyed_by_the_next_run(project: Project) -> None:
    project.plan(shell("A", note("start A")))
    project.run()
    hand_in(project.workspace / "inbox", Order("retry", "A"))
    assert project.do("run").status == 0
    assert project.noted() == ["start A"] * 2
    hand_in(project.workspace / "inbox", Order("stop"))
    assert "nothing to do" in project.do("run").out


def test_retry_without_a_run_waits_for_the_next(project: Project) -> None:
    project.plan(shell("A", "test -e mended", attempts=1), shell("B", note("start B"), needs=["A"]))
    assert project.run().status == 1
    (project.folder / "mended").touch()
    assert project.run().status == 1
    assert project.do("retry", "--failed").status == 0
    assert project.statuses() == {"A": "pending", "B": "waiting"}
    assert project.run().status == 0
    assert project.noted() == ["start B"]


def test_a_plan_edited_during_a_run_changes_nothing_until_the_next(project: Project) -> None:
    project.plan(shell("A", *HELD), shell("B", note("old B"), needs=["A"]))
    process = begun(project)
    edited = [shell("A", *HELD), shell("B", note("new B"), needs=["A"]), shell("C", note("new C"))]
    project.plan(*edited)
    (project.workspace / "plan.yaml").write_bytes((project.folder / "plan.yaml").read_bytes())
    project.go()
    assert project.finish(process).status == 0
    assert project.noted() == ["start A", "end A", "old B"]
    assert project.do("run").status == 0
    assert sorted(project.noted()[3:]) == ["new B", "new C"]


def test_a_changed_plan_stops_the_living_worker_of_a_changed_task_only(project: Project) -> None:
    project.plan(shell("A", *HELD), shell("B", note("start B"), HOLD, note("end B")))
    process = begun(project)
    project.await_note("start B")
    project.kill(process)
    project.plan(shell("A", *HELD), shell("B", note("new B")))
    process = project.start("run", "plan.yaml")
    project.await_note("new B")
    project.go()
    assert project.finish(process).status == 0
    assert sorted(project.noted()) == ["end A", "new B", "start A", "start B"]


def test_a_worker_taken_over_with_a_changed_plan_is_verified_once(project: Project) -> None:
    slow = f"{note('verify A')}; sleep 0.5; test -e go"
    project.plan(shell("A", *HELD, verify=[slow]))
    project.kill(begun(project))
    project.go()
    until(lambda: attempt_file(project, "A.1/status"), "the end of the worker")
    project.plan(shell("A", *HELD, verify=[slow]), shell("B", note("start B")))
    assert project.run().status == 0
    assert project.outcomes("A") == ["success"]
    assert project.noted("verify") == ["verify A"]


def test_a_demo_leaves_no_worker_of_one_that_was_killed_behind(project: Project) -> None:
    demo = ("demo", ".", "--cli", "claude", "--claude", project.environment["ORCHESTRATE_CLAUDE"])
    project.environment["STANDIN_PAUSE"] = "600"
    process = project.start(*demo)
    until(project.living, "a worker")
    project.kill(process)
    assert project.living()
    project.do("demo", ".")
    assert project.living() == []


@pytest.mark.parametrize("begun", [("run", "plan.yaml"), ("init", "mine")])
def test_a_demo_does_not_take_the_workspace_of_another_plan(project: Project, begun: tuple[str, ...]) -> None:
    project.plan(shell("A", "true"))
    project.do(*begun)
    before = sorted(project.workspace.rglob("*"))
    done = project.do("--workspace", ".orchestrator", "demo", ".")
    assert (done.status, sorted(project.workspace.rglob("*"))) == (2, before)
    assert "is the workspace of another plan" in done.err
    for _ in range(2):
        assert project.do("--workspace", "elsewhere", "demo", ".").status == 0


@pytest.mark.parametrize("words", [("run", "other.yaml", "--new"), ("init", "another", "--new")])
def test_a_run_that_is_archived_leaves_no_worker_behind(project: Project, words: tuple[str, ...]) -> None:
    project.plan(shell("A", *HELD))
    project.kill(begun(project))
    project.plan(shell("B", "true"), name="other.yaml")
    assert project.do(*words).status == 0
    assert project.living() == []


def test_a_run_whose_archiving_was_cut_off_goes_on_with_all_it_had(project: Project) -> None:
    long = "head -c 50000 /dev/zero | tr '\\0' x"
    project.plan(shell("A", note("start A"), long), shell("B", "true", needs=["A"]))
    project.run()
    whole = project.result()
    (run,) = (event["run"] for event in project.events("RunStarted"))
    aside = project.workspace / "archive" / f"{run}~"
    aside.mkdir(parents=True)
    for name in ("results", "attempts"):
        os.replace(project.workspace / name, aside / name)
    project.plan(
        shell("A", note("start A"), long), shell("C", 'wc -c < "$ORCHESTRATE_RESULT_A"', needs=["A"])
    )
    assert project.run().status == 0
    assert project.noted() == ["start A"]
    assert project.result() == whole
    assert not aside.exists()


def test_stop_without_a_dispatcher_stops_daemons_of_ended_tasks_too(project: Project) -> None:
    daemon = "setsid sleep 600 > /dev/null 2>&1 < /dev/null & sleep 0.1"
    project.plan(shell("B", daemon), shell("A", *HELD, needs=["B"]))
    project.kill(begun(project))
    assert len(project.living()) > 1
    assert project.do("stop").status == 0
    assert project.living() == []


# Detached.


def test_a_detached_run_returns_at_once_and_outlives_its_caller(project: Project) -> None:
    project.plan(shell("A", *HELD))
    # A shell in a session of its own, all of which is killed once it has typed the command.
    caller = project.start("run", "plan.yaml", "--detach", inside=("/bin/sh", "-c", '"$@"; sleep 600', "sh"))
    project.await_note("start A")
    pid = until(lambda: project.document()["run"]["dispatcher"], "the dispatcher")
    assert os.getsid(pid) != os.getsid(caller.pid)
    os.killpg(caller.pid, signal.SIGHUP)
    os.killpg(caller.pid, signal.SIGKILL)
    assert project.do("wait", "--timeout", "100ms").status == 75
    assert alive(pid)
    project.go()
    assert project.do("wait").status == 0
    until(lambda: not alive(pid), "the end of the dispatcher")


def test_a_detached_run_keeps_nothing_open_that_its_caller_waits_for(project: Project) -> None:
    project.plan(shell("A", *HELD))
    script = '"$@" 7>&1 8>&1 9>&1 > /dev/null 2>&1'
    process = project.start("run", "plan.yaml", "--detach", inside=("/bin/sh", "-c", script, "sh"))
    assert project.finish(process).status == 0
    project.await_note("start A")
    assert project.do("wait", "--timeout", "100ms").status == 75
    project.go()
    assert project.do("wait").status == 0


def test_a_detached_run_that_cannot_begin_says_why(project: Project) -> None:
    project.plan(claude("A", "answer"))
    project.environment["ORCHESTRATE_CLAUDE"] = "/no/such"
    done = project.run("--detach")
    assert done.status == 5
    assert "/no/such is not a program" in done.err
    project.plan(shell("B", "true"))
    project.run()
    done = project.run("--detach")
    assert done.status == 0
    assert "nothing to do" in done.out


def test_a_detached_run_says_whether_it_began_or_goes_on(project: Project) -> None:
    project.plan(shell("A", "test -e mended", attempts=1))
    assert re.match(r"run \S+ began as process \d+; see: ", project.run("--detach").out)
    assert project.do("wait").status == 1
    until(lambda: not project.document()["run"]["dispatcher"], "the end of the dispatcher")
    (project.folder / "mended").touch()
    again = project.run("--detach", "--retry-failed")
    assert re.match(r"run \S+ goes on as process \d+; see: ", again.out)
    assert project.do("wait").status == 0


def test_detach_and_watch_stays_until_the_end(project: Project) -> None:
    project.plan(shell("A", *HELD))
    process = begun(project, "--detach", "--watch")
    until(lambda: project.document()["run"]["state"] == "running", "the run")
    assert process.poll() is None
    project.go()
    project.finish(process)
    assert project.events("RunFinished")


def test_wait_without_a_dispatcher_tells_the_line_to_type(project: Project) -> None:
    project.plan(shell("A", *HELD))
    process = begun(project)
    waiting = project.start("wait")
    project.kill(process)
    done = project.finish(waiting)
    assert done.status == 130
    assert "go on with: " in done.out
    assert done.out.endswith(" run --detach (or: run)\n")


def test_wait_returns_when_a_person_is_needed(project: Project) -> None:
    project.plan(shell("A", *HELD), shell("B", "exit 1", attempts=1, on_failure="escalate"))
    process = begun(project)
    assert project.do("wait").status == 3
    project.go()
    assert project.finish(process).status == 3


# Limits of the run.


def test_the_deadline_stops_the_run_with_4_and_the_next_run_goes_on(project: Project) -> None:
    project.plan(shell("A", *HELD), limits={"deadline": "1s"})
    process = begun(project)
    assert project.finish(process).status == 4
    assert project.living() == []
    project.go()
    assert project.run().status == 0


def test_a_spent_budget_ends_the_run_with_4(project: Project) -> None:
    project.plan(claude("A", "answer"), claude("B", "answer", needs=["A"]), limits={"budget_usd": 0.01})
    assert project.run().status == 4
    assert project.statuses()["B"] == "pending"
    assert project.run("--budget", "1").status == 0


def test_the_plan_s_own_checks_decide_at_its_end(project: Project) -> None:
    project.plan(shell("A", "true"), verify=["test -e mended"])
    assert project.run().status == 1
    (project.folder / "mended").touch()
    assert project.run().status == 0
    assert len(project.events("AttemptStarted")) == 1


def test_a_template_that_hardly_ends_costs_its_own_view_and_nothing_else(project: Project) -> None:
    own = project.workspace / "templates"
    own.mkdir(parents=True)
    (own / "master_plan.md.j2").write_text("{% for a in range(99999) %}" * 4 + "{% endfor %}" * 4)
    project.plan(shell("A", "echo found"))

    done = project.run()

    assert (done.status, project.statuses()) == (0, {"A": "completed"})
    assert done.err.count(f"orchestrate: {own / 'master_plan.md.j2'}:1: takes more than 2,000,000 steps") == 1
    assert "found" in (project.workspace / "final_output.md").read_text()
    assert not (project.workspace / "master_plan.md").exists()
    assert project.do("plan", "plan.yaml").status == 2


def test_a_broken_template_of_the_program_is_one_error_that_says_what_to_do(
    project: Project, tmp_path: Path
) -> None:
    copied = tmp_path / "copied"
    for part in ("scripts", "templates"):
        shutil.copytree(ROOT / part, copied / part, ignore=shutil.ignore_patterns("__pycache__"))
    broken = copied / "templates" / "master_plan.md.j2"
    broken.write_text("\n{{ nothing }}")
    project.plan(shell("A", "echo found"))

    words = (sys.executable, str(copied / "scripts" / "orchestrate.py"))
    told = [
        subprocess.run(
            [*words, command, "plan.yaml"], cwd=project.folder, env=project.environment, text=True,
            stdin=subprocess.DEVNULL, capture_output=True, check=False,
        )
        for command in ("plan", "run")
    ]  # fmt: skip

    said = f"orchestrate: {broken}:2: 'nothing' is undefined; install the program again\n"
    assert [done.returncode for done in told] == [5, 0]
    assert [done.stderr.count(said) for done in told] == [1, 1]
    assert "Traceback" not in told[0].stderr + told[1].stderr
    assert "found" in (project.workspace / "final_output.md").read_text()
