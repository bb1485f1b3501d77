"""What is cut, left out or missing in a view, and what it says of that."""

from __future__ import annotations

from pathlib import Path

import pytest
from story import Story
from viewed import growing, put, put_results, put_synthesis, shape

from orchestrator.assignments import Assignments
from orchestrator.core.plan import Task
from orchestrator.edges.views import Views, banner
from orchestrator.edges.workspace import Workspace


def test_a_long_deliverable_is_cut(workspace: Workspace) -> None:
    story = growing()
    put_synthesis(workspace, story, " line of text\n" * 9_000)
    text = Views(workspace, story.history).final_output(story.state, story.now, workspace.root)
    assert len(text) < 150_000
    assert "Cut here; the linked file has all of it." in text


def test_a_preview_shows_the_first_tasks_but_not_what_a_worker_was_given(workspace: Workspace) -> None:
    story = Story(
        Task(id="A"), Task(id="B", needs=("A",)), Task(id="C", cli="shell", run="true"), Task(id="D")
    )
    story.start("A").end("A")
    put(workspace, story.state.tasks[0], "What A found.\n")
    assert Views(workspace, story.history).preview(story.state, most=3) == 1
    written = sorted(path.name for path in (workspace.root / "agent_tasks").iterdir())
    assert written == ["agent-02.md", "agent-03.md"]
    assert "What A found." in workspace.agent_task(2).read_text(encoding="utf-8")
    assert "## Command" in workspace.agent_task(3).read_text(encoding="utf-8")


def test_a_preview_names_a_result_that_is_not_there_yet_as_the_worker_will_see_it(
    workspace: Workspace,
) -> None:
    story = Story(Task(id="A"), Task(id="B", needs=("A",)))
    Views(workspace, story.history).preview(story.state)
    shown = workspace.agent_task(2).read_text(encoding="utf-8")
    assert f"File: {workspace.result(1)}\n\n(not there yet)\n" in shown


@pytest.mark.parametrize("found", ["Little.\n", "A line of many.\n" * 2000])
def test_a_preview_is_what_the_worker_is_given_once_all_that_it_needs_is_there(
    workspace: Workspace, found: str
) -> None:
    story = Story(Task(id="A"), Task(id="B", needs=("A",)))
    story.start("A").end("A")
    put(workspace, story.state.tasks[0], found)
    views = Views(workspace, story.history)
    views.preview(story.state)
    given = Assignments(story.state, workspace, views, None).given(story.state.tasks[1])
    assert workspace.agent_task(2).read_bytes() == given


def test_a_result_file_removed_by_hand_is_said_to_be_missing(workspace: Workspace, story: Story) -> None:
    text = Views(workspace, story.history).final_output(story.state, story.now, workspace.root)
    assert text.count("No result file.") == 5


def test_links_are_as_seen_from_the_file_that_holds_them(
    workspace: Workspace, story: Story, tmp_path: Path
) -> None:
    put_results(workspace, story)
    folder = tmp_path / "a (b) c"
    folder.mkdir()
    Views(workspace, story.history).final(story.state, story.now, to=folder / "out.md")
    text = (folder / "out.md").read_text(encoding="utf-8")
    assert "](../.orchestrator/results/agent-01-result.md)" in text
    assert not workspace.final_output.exists()


def test_a_long_result_is_cut_with_a_link_to_the_rest(workspace: Workspace) -> None:
    story = Story(Task(id="A", cli="shell", run="x")).start("A").end("A")
    put(workspace, story.state.tasks[0], "```\n" + "line of text\n" * 100_000)
    text = Views(workspace, story.history).final_output(story.state, story.now, workspace.root)
    assert len(text) < 15_000
    assert "Cut here; the rest is in [agent-01-result.md](results/agent-01-result.md)." in text
    assert shape(text)["heading_open"] == 11


def test_a_long_request_is_cut(workspace: Workspace) -> None:
    story = Story(Task(id="A"), request="word " * 100_000)
    text = Views(workspace, story.history).master_plan(story.state, story.now)
    assert len(text) < 15_000
    assert "`plan.yaml` has all of it." in text


def many(workspace: Workspace, count: int) -> Story:
    needs = [(f"T-{i // 10}",) if i >= 10 else () for i in range(count)]
    story = Story(*[Task(id=f"T-{i}", title="Some words", needs=needs[i], attempts=1) for i in range(count)])
    for i in range(count // 2):
        story.start(f"T-{i}").wait(1).end(f"T-{i}")
        if i < 20:
            put(workspace, story.state.tasks[i], "Result text\n" * 1000)
    return story


@pytest.mark.parametrize("count", [1000, 10_000])
def test_documents_of_many_tasks_stay_readable(workspace: Workspace, count: int) -> None:
    story = many(workspace, count)
    views = Views(workspace, story.history)
    plan = views.master_plan(story.state, story.now)
    output = views.final_output(story.state, story.now, workspace.root)
    assert "Not drawn" in plan
    assert max(len(plan), len(output)) < 400_000
    assert output.count("\n### ") == 1000
    shown = plan.count("\n| T-") // 2
    assert shown <= 1000
    assert ("are left out here" in plan) == (count > 1000)
    assert " shorter ones are not." in output


def test_a_large_batch_is_cut_in_the_banner() -> None:
    story = Story(*[Task(id=f"T-{i}") for i in range(500)])
    text = banner(story.state, 1, story.state.tasks)
    assert text.endswith("\nand 480 more\n")
    assert text.count("[T-") == 20
