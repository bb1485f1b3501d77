"""Runs that outlive whoever began them, and those who wait for their end."""

from __future__ import annotations

import os
import re
import signal

import pytest
from project import HELD, Project, alive, begun, claude, shell, until

pytestmark = pytest.mark.real


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
