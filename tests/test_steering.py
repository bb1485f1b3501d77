"""Two dispatchers at once, and orders from another terminal: stop, cancel, retry, and a plan that is changed."""

from __future__ import annotations

import pytest
from project import HELD, HOLD, Project, attempt_file, begun, claude, note, shell, until

from orchestrator.edges.inbox import Order, hand_in

pytestmark = pytest.mark.real


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


def test_stop_without_a_dispatcher_stops_daemons_of_ended_tasks_too(project: Project) -> None:
    daemon = "setsid sleep 600 > /dev/null 2>&1 < /dev/null & sleep 0.1"
    project.plan(shell("B", daemon), shell("A", *HELD, needs=["B"]))
    project.kill(begun(project))
    assert len(project.living()) > 1
    assert project.do("stop").status == 0
    assert project.living() == []
