"""Runs where Python lacks what only Linux has: the ways that the program takes on macOS, tried out on any system."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from project import HOLD, Project, claude, note, shell, until

ELSEWHERE = Path(__file__).resolve().parent / "elsewhere"


@pytest.fixture
def mac(project: Project) -> Project:
    project.environment["PYTHONPATH"] = str(ELSEWHERE)
    return project


def test_python_lacks_here_what_it_lacks_there(mac: Project) -> None:
    look = (
        "import os, sys; print(sys.platform, [n for n in ('pipe2', 'fdatasync', 'waitid') if hasattr(os, n)])"
    )
    mac.plan(shell("A", f'{sys.executable} -c "{look}"'))
    mac.run()
    assert "darwin []" in mac.result()


def test_a_run_ends_with_every_result(mac: Project) -> None:
    mac.plan(
        shell("A", note("start A"), "exit 3", attempts=2),
        claude("B", "answer"),
        shell("C", "cat $ORCHESTRATE_RESULT_B", needs=["B"]),
    )
    assert mac.run().status == 1
    assert mac.statuses() == {"A": "failed", "B": "completed", "C": "completed"}
    assert (len(mac.noted("start A")), mac.living()) == (2, [])


def test_a_worker_that_outlives_its_dispatcher_is_adopted(mac: Project) -> None:
    mac.plan(shell("A", note("start A"), HOLD), shell("B", note("start B"), needs=["A"]))
    process = mac.start("run", "plan.yaml")
    mac.await_note("start A")
    mac.kill(process)
    process = mac.start("run", "plan.yaml")
    until(lambda: mac.events("RunResumed"), "the next dispatcher")
    mac.go()
    assert mac.finish(process).status == 0
    assert mac.noted() == ["start A", "start B"]


def test_a_timeout_stops_a_worker_and_all_it_started(mac: Project) -> None:
    mac.plan(shell("A", "setsid sleep 600 & sleep 600", timeout="1s", attempts=1))
    assert mac.run().status == 1
    assert (mac.outcomes("A"), mac.living()) == (["timeout"], [])


def test_a_detached_run_is_stopped_from_another_terminal_and_goes_on(mac: Project) -> None:
    mac.plan(shell("A", note("start A"), HOLD))
    assert mac.do("run", "plan.yaml", "--detach").status == 0
    mac.await_note("start A")
    assert mac.do("stop").status == 0
    assert mac.do("wait").status == 130
    assert mac.living() == []
    mac.go()
    assert mac.run().status == 0


def test_doctor_finds_nothing_wrong_with_the_machine(mac: Project) -> None:
    found = {line["name"]: line["good"] for line in json.loads(mac.do("doctor", "--json").out)["findings"]}
    assert all(found[name] for name in ("python", "processes", "workspace folder", "memory", "clock"))
