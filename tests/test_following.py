"""What `log` and `wait` show of a run, as typed."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from project import HOLD, Project, claude, note, shell, until

pytestmark = pytest.mark.real


def test_log_shows_the_journal_and_what_a_worker_wrote(project: Project) -> None:
    project.plan(
        shell("A", "echo from A; echo aside >&2"), claude("B", "answer"), shell("C", "true", needs=["A", "B"])
    )
    project.run()
    assert "A completed" in project.do("log").out
    assert project.do("log", "A").out == "from A\naside\n"
    assert "second half of B" in project.do("log", "B").out
    done = project.do("log", "D")
    assert done.status == 2
    assert "no task" in done.err


def test_log_follows_a_worker_to_its_end(project: Project) -> None:
    project.plan(shell("A", "echo first", note("start A"), HOLD, "echo last"))
    process = project.start("run", "plan.yaml")
    project.await_note("start A")
    following = project.start("log", "A", "-f")
    journal = project.start("log", "-f")
    assert following.stdout is not None
    assert following.stdout.readline() == "first\n"
    project.go()
    assert project.finish(following).out == "last\n"
    assert "run ended with 0" in project.finish(journal).out
    assert project.finish(process).status == 0


def test_wait_answers_with_the_status_of_the_run(project: Project) -> None:
    project.plan(shell("A", "exit 1", attempts=1))
    project.run()
    assert project.do("wait").status == 1
    done = project.do("wait", "--json")
    assert json.loads(done.out)["run"]["exit"] == 1


def test_ctrl_c_while_waiting_is_130(project: Project) -> None:
    project.plan(shell("A", note("start A"), HOLD))
    run = project.start("run", "plan.yaml")
    project.await_note("start A")
    waiting = project.start("wait")
    until(lambda: _catches_sigint(waiting.pid), "the command has begun")
    waiting.send_signal(signal.SIGINT)
    assert project.finish(waiting).status == 130
    project.go()
    assert project.finish(run).status == 0


def _catches_sigint(pid: int) -> bool:
    # Python has installed its handler, and sleeps between two looks at the journal.
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    caught = next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt"))
    return bool(caught & 1 << (signal.SIGINT - 1)) and "nanosleep" in _where(pid)


def _where(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/wchan").read_text()
    except OSError:
        return "nanosleep"
