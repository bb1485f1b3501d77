"""What `demo` does with a workspace that is there."""

from __future__ import annotations

import pytest
from project import Project, shell, until

pytestmark = pytest.mark.real


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
