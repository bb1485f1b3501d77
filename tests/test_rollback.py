"""`rollback`: a run taken back to an earlier point of its journal, also where the program is killed on the way."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from project import HOLD, Project, claude, note, shell, until

from orchestrator import rollback
from orchestrator.edges import journal
from orchestrator.edges.workspace import Workspace

pytestmark = pytest.mark.real


@pytest.fixture
def finished(project: Project) -> Project:
    """A run of three tasks, one after the other, that has ended."""
    project.plan(
        shell("A", note("start A"), "echo one"),
        claude("B", "answer", needs=["A"]),
        shell("C", note("start C"), "echo three > made", "echo three", needs=["B"]),
    )
    assert project.run().status == 0
    return project


def seq_of(project: Project, kind: str, task: str) -> int:
    """The number of an event."""
    found: int = project.events(kind, task)[0]["seq"]
    return found


def test_a_run_goes_on_from_before_a_task(finished: Project) -> None:
    result = finished.result(1)
    done = finished.do("rollback", "--to", "B")
    assert done.status == 0
    assert "5 events, the work on 2 tasks and $0.01 were taken back" in done.out
    assert "files in the project folder are not touched" in done.out
    assert (finished.folder / "made").exists()
    assert finished.statuses() == {"A": "completed", "B": "pending", "C": "waiting"}
    assert (finished.result(1), (finished.workspace / "results" / "agent-02-result.md").exists()) == (
        result,
        False,
    )
    assert finished.do("run").status == 0
    assert finished.noted("start A") == ["start A"]
    assert len(finished.noted("start B")) == len(finished.noted("start C")) == 2


def test_money_stays_spent(finished: Project) -> None:
    finished.do("rollback", "--to", "B")
    assert finished.document()["run"]["cost_usd"] == 0.01
    assert finished.do("run").status == 0
    assert finished.document()["run"]["cost_usd"] == 0.02
    finished.do("rollback", "--to", "B")
    assert finished.document()["run"]["cost_usd"] == 0.02


def test_what_is_taken_back_is_kept_in_the_archive(finished: Project) -> None:
    before = (finished.workspace / "journal.jsonl").read_bytes()
    told = json.loads(
        finished.do("rollback", "--to", str(seq_of(finished, "AttemptFinished", "B")), "--json").out
    )
    kept = Path(told["archive"])
    assert (kept / "journal.jsonl").read_bytes() == before
    assert sorted(path.name for path in (kept / "attempts").iterdir()) == ["C.1"]
    assert [path.name for path in (kept / "results").iterdir()] == ["agent-03-result.md"]
    assert (told["tasks"], told["events"], told["cost_usd"]) == (["C"], 3, 0.0)
    last = finished.events()[-1]
    assert (last["type"], last["to"], last["seq"]) == ("RunRolledBack", told["to"], told["to"] + 1)
    assert kept.parts[-2:] == tuple(last["archive"].split("/"))
    assert not (finished.workspace / "rollback.json").exists()


def test_no_attempt_folder_of_what_was_taken_back_is_used_again(finished: Project) -> None:
    old = (finished.workspace / "attempts" / "C.1" / "stdout").stat().st_ino
    finished.do("rollback", "--to", "C")
    assert not (finished.workspace / "attempts" / "C.1").exists()
    finished.do("run")
    assert (finished.workspace / "attempts" / "C.1" / "stdout").stat().st_ino != old


def test_a_result_that_a_retry_replaced_comes_back(project: Project) -> None:
    project.plan(shell("A", f"test -e again && echo second || echo first; {note('start A')}"))
    project.run()
    end = project.events()[-1]["seq"]
    (project.folder / "again").touch()
    project.do("retry", "A")
    project.do("run")
    assert "second" in project.result(1)
    assert project.do("rollback", "--to", str(end)).status == 0
    assert "first" in project.result(1)
    assert project.statuses() == {"A": "completed"}


def test_orders_that_nobody_took_are_not_obeyed_afterwards(finished: Project) -> None:
    order = json.dumps({"order": "retry", "task": "A"})
    (finished.workspace / "inbox" / "00000000000000000001-1-0.json").write_text(order)
    finished.do("rollback", "--to", "C")
    finished.do("run")
    assert finished.events("TaskRetried") == []


@pytest.mark.parametrize("to", ["0", "1", "99", "X", "BB", "-1", "", "1.5", "9" * 20])
def test_what_cannot_be_meant_is_refused(finished: Project, to: str) -> None:
    before = (finished.workspace / "journal.jsonl").read_bytes()
    done = finished.do("rollback", f"--to={to}")
    assert (done.status, len(done.err.strip().splitlines())) == (2, 1), done
    assert (finished.workspace / "journal.jsonl").read_bytes() == before


def test_a_task_that_never_started_is_nothing_to_take_back(project: Project) -> None:
    project.plan(shell("A", "false", attempts=1), shell("B", "true", needs=["A"]))
    project.run()
    assert "has not been started" in project.do("rollback", "--to", "B").err


def test_nothing_to_roll_back_is_said(project: Project) -> None:
    done = project.do("rollback", "--to", "3")
    assert (done.status, "nothing has been run here yet" in done.err) == (2, True)


def test_a_living_dispatcher_is_left_alone(project: Project) -> None:
    project.plan(shell("A", note("start A"), HOLD))
    process = project.start("run", "plan.yaml")
    project.await_note("start A")
    assert project.do("rollback", "--to", "A").status == 6
    project.go()
    assert project.finish(process).status == 0


def test_workers_of_what_is_taken_back_are_stopped_and_the_others_go_on(project: Project) -> None:
    project.plan(
        shell("A", note("start A"), HOLD), shell("B", "true"), shell("C", note("start C"), HOLD, needs=["B"])
    )
    process = project.start("run", "plan.yaml")
    project.await_note("start A")
    project.await_note("start C")
    project.kill(process)
    told = json.loads(project.do("rollback", "--to", "C", "--json").out)
    assert told["running"] == ["A"]
    until(lambda: len(project.living()) <= 2, "the end of C")
    project.go()
    assert project.do("run").status == 0
    assert (len(project.noted("start A")), len(project.noted("start C"))) == (1, 2)


def test_an_attempt_that_ended_later_is_found_again_and_paid_for_once(project: Project) -> None:
    project.plan(
        shell("A", note("start A"), "echo one"), claude("B", "slow+answer"), limits={"parallelism": 2}
    )
    project.run()
    seq = seq_of(project, "AttemptStarted", "B")
    assert seq < seq_of(project, "AttemptFinished", "B")
    told = json.loads(project.do("rollback", "--to", str(seq), "--json").out)
    assert (told["cost_usd"], "B" in told["running"]) == (0.0, True)
    assert project.do("run").status == 0
    assert len(project.noted("start B")) == 1
    assert project.document()["run"]["cost_usd"] == 0.01


def test_what_a_worker_left_in_the_project_is_no_proof_against_the_one_that_follows_it(
    project: Project,
) -> None:
    project.plan(shell("A", "test -e made || echo x > made", artifacts=["made"], attempts=1))
    assert project.run().status == 0
    for _ in range(2):
        assert project.do("rollback", "--to", "A").status == 0
        assert project.do("run").status == 0


class Killed(BaseException):
    """The process is gone."""


def killed_at(monkeypatch: pytest.MonkeyPatch, number: int) -> Callable[[], int]:
    """Let the process die just before the `number`th change of a file; how many there were."""
    count = 0

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def change(*words: Any, **more: Any) -> Any:
            nonlocal count
            if count == number:
                raise Killed
            count += 1
            return real(*words, **more)

        return change

    for name in ("replace", "link", "unlink", "mkdir", "fdatasync", "fsync", "write"):
        monkeypatch.setattr(os, name, counted(getattr(os, name)))
    return lambda: count


@pytest.mark.parametrize("then", ["run", "rollback"])
def test_a_kill_at_any_point_leaves_a_whole_journal_and_the_next_command_tidies_up(
    finished: Project, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    whole = finished.workspace / "journal.jsonl"
    to = str(seq_of(finished, "AttemptStarted", "C") - 1)
    workspace = Workspace(finished.workspace)
    for number in range(200):
        before = whole.read_bytes()
        runs = len(finished.noted("start C"))
        with monkeypatch.context() as patch:
            killed_at(patch, number)
            try:
                rollback.roll_back(workspace, to, True)
            except Killed:
                survived = False
            else:
                survived = True
        state = journal.load(whole)
        assert whole.read_bytes() == before or state.by_id["C"].mark is None
        swapped = whole.read_bytes() != before
        if then == "rollback" and not swapped:
            assert finished.do("rollback", "--to", to).status == 0
            swapped = True
        assert finished.do("run").status == 0
        assert not (finished.workspace / "rollback.json").exists()
        assert len(finished.noted("start C")) == runs + swapped, number
        if survived:
            break
    else:
        raise AssertionError("it never got to its end")
    assert number > 10
