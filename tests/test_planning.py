"""What `plan` shows, as typed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from planned import DELIVERED, FIRST, answers, report
from project import Project, claude, note, shell

pytestmark = pytest.mark.real


def files(project: Project) -> dict[Path, bytes]:
    """Every file of the workspace but the lock."""
    found = (path for path in project.workspace.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {path: path.read_bytes() for path in found}


@pytest.fixture
def grown(project: Project) -> Project:
    """A run of `auto` that has ended: one task, and two calls of its own."""
    answers(project, Plan_01=FIRST, T_01=report("It is one."), Synthesis_01=DELIVERED)
    assert project.do("auto", "Find the one", "--budget", "5").status == 0
    return project


def test_planning_calls_are_not_counted_as_tasks_of_the_plan(grown: Project) -> None:
    shown = grown.do("plan")
    assert "\n1 task in 1 batch, 4 at a time; beside them 2 planning calls\n" in shown.out
    assert f"kept from run {grown.document()['run']['id']}: 1 completed task\n" in shown.out
    document = json.loads(grown.do("plan", "--json").out)
    assert (document["tasks"], document["planning_calls"], document["completed"]) == (1, 2, 1)
    assert document["batches"] == [["T-01"]]


def test_what_a_persons_own_task_for_the_planning_worker_costs_is_told(project: Project) -> None:
    project.plan(claude("P", "answer", worker="orchestrator"), shell("Q", "true", needs=["P"]))
    shown = project.do("plan", "plan.yaml").out
    assert ("\ncost: not bounded; 1 worker uses a model (" in shown, "tools of P: " in shown) == (True, True)


def test_a_plan_that_grows_is_not_called_too_small_for_an_orchestra(grown: Project) -> None:
    assert "quicker than orchestrating" not in grown.do("plan").out


@pytest.mark.parametrize("name", ["T-01", "A"])
def test_a_plan_that_only_a_new_run_can_begin_is_shown_as_that_run(grown: Project, name: str) -> None:
    grown.plan(*(shell(f"{name}{more}", "true") for more in ("", "x", "y")), claude("W", "answer"))
    before = files(grown)

    shown = grown.do("plan", "plan.yaml")

    assert shown.status == 0, shown
    first, *_, last = shown.out.splitlines()
    assert first.startswith("as a new run: ")
    assert "`run --new`" in first
    assert "\n4 tasks in 1 batch, 4 at a time\n" in shown.out
    assert "\nestimate: $0.25 for 1 worker, " in shown.out
    assert "kept from run" not in shown.out
    assert last == "views: those of the run that is here, left as they are"
    assert files(grown) == before
    assert grown.run().status == 2
    document = json.loads(grown.do("plan", "plan.yaml", "--json").out)
    assert (document["tasks"], document["completed"], document["again"]) == (4, 0, [])
    assert document["new_run"] == first.removeprefix("as a new run: ")


def test_a_plan_that_the_run_goes_on_with_is_no_new_run(project: Project) -> None:
    project.plan(shell("A", "true"))
    project.run()
    project.plan(shell("A", "true"), shell("B", "true"))
    shown = project.do("plan", "plan.yaml")
    assert ("as a new run" in shown.out, "views: " in shown.out) == (False, True)
    assert json.loads(project.do("plan", "plan.yaml", "--json").out)["new_run"] is None


def test_what_a_run_would_take_a_plan_for_does_not_hide_what_is_wrong_with_it(grown: Project) -> None:
    grown.plan(shell("A", "true", needs=["B"]))
    assert grown.do("plan", "plan.yaml").status == 2


def test_workers_that_may_use_the_same_are_told_in_one_line(project: Project) -> None:
    project.plan(
        *(claude(f"T-{n}", "answer", verify=["make all", f"make {n}"]) for n in range(8)),
        claude("R", "answer", worker="code-analyzer"),
    )
    shown = project.do("plan", "plan.yaml").out.splitlines()
    assert [line for line in shown if line.startswith("tools of ") or " also: " in line] == [
        "tools of T-0, T-1, T-2, T-3, T-4, T-5, T-6, T-7: Read, Grep, Glob, Edit, Write, Bash(make all) "
        "(general, answer, acceptEdits)",
        *(f"    T-{n} also: Bash(make {n})" for n in range(5)),
        "    3 more tasks also: what their own `allow` and `verify` name",
        "tools of R: Read, Grep, Glob (code-analyzer, answer, dontAsk)",
    ]


def test_plan_shows_and_renders_and_runs_nothing(project: Project) -> None:
    project.plan(shell("A", note("start A")), claude("B", "answer", needs=["A"]))
    done = project.do("plan", "plan.yaml", "--ascii")
    assert done.status == 0
    assert "2 tasks in 2 batches" in done.out
    assert (project.workspace / "master_plan.md").exists()
    assert (project.workspace / "agent_tasks" / "agent-02.md").exists()
    assert json.loads(project.do("plan", "plan.yaml", "--json").out)["batches"] == [["A"], ["B"]]
    assert (project.noted(), project.events()) == ([], [])


def test_plan_says_what_a_changed_plan_would_run_again(project: Project) -> None:
    project.plan(shell("A", "echo x"), shell("B", "echo y"))
    project.run()
    project.plan(shell("A", "echo x"), shell("B", "echo z"))
    document = json.loads(project.do("plan", "plan.yaml", "--json").out)
    assert (document["again"], document["completed"]) == (["B"], 1)


def test_plan_counts_one_worker_and_one_kept_task_in_the_singular(project: Project) -> None:
    project.plan(shell("A", "true"), claude("B", "answer", needs=["A"]))
    shown = project.do("plan", "plan.yaml").out
    assert (" for 1 worker, " in shown, "; 1 worker uses a model (" in shown) == (True, True), shown
    project.plan(shell("A", "true"), shell("B", "true", estimate="1s"))
    assert "(from estimates of 1 task, " in project.do("plan", "plan.yaml").out
    project.plan(shell("A", "true"))
    project.run()
    assert ": 1 completed task\n" in project.do("plan", "plan.yaml").out


def without_login(project: Project) -> None:
    """A user who has never logged in, and no key."""
    (project.folder.parent / "home").mkdir()
    project.environment["HOME"] = str(project.folder.parent / "home")
    for name in [name for name in project.environment if name.startswith(("ANTHROPIC_", "CLAUDE_"))]:
        del project.environment[name]


@pytest.mark.skipif(sys.platform == "darwin", reason="logins are in the keychain, which is not asked")
def test_plan_notes_that_workers_have_no_login_and_what_to_do(project: Project) -> None:
    without_login(project)
    project.plan(shell("A", "true"), claude("B", "answer"))

    (line,) = [line for line in project.do("plan", "plan.yaml").out.splitlines() if "no login" in line]

    assert line.startswith("note: there is no login for workers: a run would stop at the second ")
    assert all(way in line for way in ("exit 5", "/login", " doctor`", "`cli: session`"))
    assert line[6:] in json.loads(project.do("plan", "plan.yaml", "--json").out)["warnings"]
    project.plan(shell("A", "true"))
    assert "login" not in project.do("plan", "plan.yaml").out
