"""What `plan` shows, as typed."""

from __future__ import annotations

import json

import pytest
from planned import DELIVERED, FIRST, answers, report
from project import Project, claude

pytestmark = pytest.mark.real


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


def test_a_plan_that_grows_is_not_called_too_small_for_an_orchestra(grown: Project) -> None:
    assert "quicker than orchestrating" not in grown.do("plan").out


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
