"""What people and workers read, compared with golden files; `UPDATE_GOLDEN=1` writes them anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from story import Story
from viewed import growing, put, put_results, put_synthesis

from orchestrator.core.briefing import Addition
from orchestrator.core.events import (
    RunFinished,
    RunResumed,
    TaskRetried,
)
from orchestrator.core.plan import Task
from orchestrator.core.workers import WorkerType
from orchestrator.edges.views import Begins, Need, Views, banner
from orchestrator.edges.workspace import Workspace

GOLDEN = Path(__file__).parent / "golden"


def same_as_golden(name: str, text: str) -> None:
    """Compare with the file, or, with UPDATE_GOLDEN in the environment, write it."""
    path = GOLDEN / name
    if "UPDATE_GOLDEN" in os.environ:
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


ADDITION = Addition(
    "Prices are in cents.", "```\nverify failed\n```\n", "Take the second one.", ("Bash(npm test)",)
)

NEEDS = (
    Need(
        "T-01", "Profile the export", ".orchestrator/results/agent-01-result.md", "The join is slow.\n", True
    ),
    Need("T-02", "Count the rows", ".orchestrator/results/agent-02-result.md", "10 a.csv", False),
    Need("T-09", "Something else", ".orchestrator/results/agent-09-result.md", "", False),
)


def test_master_plan(workspace: Workspace, story: Story) -> None:
    Views(workspace, story.history).refresh(story.state, story.now)
    same_as_golden("master_plan.md", workspace.master_plan.read_text(encoding="utf-8"))


def test_final_output(workspace: Workspace, story: Story) -> None:
    put_results(workspace, story)
    Views(workspace, story.history).final(story.state, story.now)
    same_as_golden("final_output.md", workspace.final_output.read_text(encoding="utf-8"))


def test_the_documents_of_a_plan_that_grew(workspace: Workspace) -> None:
    story = growing()
    put_synthesis(workspace, story)
    views = Views(workspace, story.history)
    same_as_golden("master_plan_grown.md", views.master_plan(story.state, story.now))
    same_as_golden("final_output_grown.md", views.final_output(story.state, story.now, workspace.root))


@pytest.mark.parametrize("answer", ["no JSON", "[1]", "x" * (1 << 21)])
def test_an_answer_of_a_synthesis_that_cannot_be_read_is_pointed_to(
    workspace: Workspace, answer: str
) -> None:
    story = growing()
    put(workspace, story.state.by_id["Synthesis-01"], answer)
    text = Views(workspace, story.history).final_output(story.state, story.now, workspace.root)
    assert "The answer of Synthesis-01 cannot be read as one; it is in [agent-" in text


def test_final_output_says_what_each_completion_rests_on(workspace: Workspace) -> None:
    checks = ("python check_names.py", "make test")
    story = Story(Task(id="T-01", verify=checks), Task(id="T-02"), success_criteria=("It is fast",))
    story.start("T-01").end("T-01").start("T-02").end("T-02")

    text = Views(workspace, story.history).final_output(story.state, story.now, workspace.root)

    assert "which no program has checked:\n\n- It is fast\n\nOf 2 completed tasks 1 rests on proof" in text
    assert "| T-01 | T-01 | ✅ completed | 2 checks |\n| T-02 | T-02 | ✅ completed | none |" in text
    assert "Proof: 2 checks (`python check_names.py`, `make test`). " in text


def test_commands_can_be_copied_out_of_the_views(workspace: Workspace) -> None:
    story = Story(Task(id="T-01", attempts=1), verify=("python3 check_all.py",)).start("T-01")
    story.end("T-01", "unverified", "verify `python3 check_docstrings.py`: exit status 1: a_b.py")
    views = Views(workspace, story.history)

    final = views.final_output(story.state, story.now, workspace.root)
    master = views.master_plan(story.state, story.now)

    assert "- Check of the whole plan: `python3 check_all.py`: not run" in final
    assert "verify `python3 check_docstrings.py`: exit status 1: a\\_b.py). `orchestrate retry T-01`" in final
    assert "| unverified: verify `python3 check_docstrings.py`: exit status 1: a\\_b.py | give up" in master


def test_the_times_of_a_run_that_was_taken_up_again_are_told_apart(workspace: Workspace) -> None:
    story = Story(Task(id="T-01", attempts=1)).start("T-01").wait(40).end("T-01", "error")
    story.tell(RunFinished, exit=1, reason="a task failed")
    story.wait(90).tell(RunResumed, pid=2, version="1").tell(TaskRetried, task="T-01").wait(1)
    story.start("T-01").wait(54).end("T-01").tell(RunFinished, exit=0, reason="all tasks completed")

    text = Views(workspace, story.history).final_output(story.state, story.now, workspace.root)

    assert "- Duration: 3m 05s, " in text
    assert "included; since it was last taken up again: 55s\n" in text
    assert "the whole width is\n54s" in text
    assert "The other 2m 11s of the duration are not drawn: " in text


def test_final_output_concatenated(workspace: Workspace, story: Story) -> None:
    put_results(workspace, story)
    text = Views(workspace, story.history).final_output(
        story.state, story.now, workspace.root, "concatenated"
    )
    same_as_golden("final_output_concatenated.md", text)


def test_prompt(workspace: Workspace, story: Story) -> None:
    views = Views(workspace, story.history)
    same_as_golden("prompt.md", views.prompt(story.plan, story.state.by_id["T-01"], ()))
    same_as_golden("prompt_with_needs.md", views.prompt(story.plan, story.state.by_id["T-04"], NEEDS))


@pytest.mark.parametrize("begins", ["continued", "corrected", "answered"])
def test_prompts_of_sessions_that_go_on(workspace: Workspace, story: Story, begins: Begins) -> None:
    views = Views(workspace, story.history)
    text = views.prompt(story.plan, story.state.by_id["T-01"], (), begins, ADDITION)
    same_as_golden(f"prompt_{begins}.md", text)


def test_a_prompt_with_what_came_after_the_plan(workspace: Workspace, story: Story) -> None:
    views = Views(workspace, story.history)
    text = views.prompt(story.plan, story.state.by_id["T-01"], (), addition=ADDITION)
    same_as_golden("prompt_with_additions.md", text)


def test_what_all_workers_of_a_type_are_told(workspace: Workspace, story: Story) -> None:
    views = Views(workspace, story.history)
    worker = WorkerType(name="writer", prompt="You write.\n\nKeep it {{ short }}.\n")
    same_as_golden("role.md", views.role(worker))


def test_shell_card(workspace: Workspace, story: Story) -> None:
    views = Views(workspace, story.history)
    same_as_golden("shell_card.md", views.shell_card(story.plan, story.state.by_id["T-02"], NEEDS[:1]))


def test_the_banner_calls_a_command_what_it_is(story: Story) -> None:
    command = story.state.by_id["T-02"]
    assert command.task.cli == "shell"
    assert "⚙️ Agent-02 [T-02: Count the rows] shell\n" in banner(story.state, 1, [command])


def test_banner(story: Story) -> None:
    same_as_golden("banner.txt", banner(story.state, 1, story.state.tasks[:3]))
    in_ascii = banner(story.state, 2, story.state.tasks[1:2], ascii_only=True)
    assert in_ascii.isascii()
    same_as_golden("banner_ascii.txt", in_ascii)


def test_a_structured_answer_needs_no_report(workspace: Workspace) -> None:
    story = Story(Task(id="T-01", output_schema={"type": "object"}))
    assert "## Report" not in Views(workspace, story.history).prompt(story.plan, story.state.tasks[0], ())
