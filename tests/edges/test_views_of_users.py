"""Result files, and views by the user's own templates."""

from __future__ import annotations

import pytest
import yaml
from story import Story

from orchestrator.core.briefing import OPENING
from orchestrator.core.frontmatter import MARK
from orchestrator.edges.templates import templates_folder
from orchestrator.edges.views import Views
from orchestrator.edges.workspace import Workspace
from orchestrator.errors import UsageError


def test_result_frames_are_yaml_and_leave_the_text_alone(workspace: Workspace, story: Story) -> None:
    facts = {"task": "T-01", "title": "{{ 7 * 7 }}: '\"\n---", "artifacts": ["a", "b: c"], "cost_usd": 0.5}
    before, after = Views(workspace, story.history).result_frame(facts)
    assert yaml.safe_load(before.removesuffix(MARK)) == facts
    assert after == ""


def test_the_programs_result_template_adds_nothing(workspace: Workspace, story: Story) -> None:
    workspace.templates.mkdir()
    shipped = (templates_folder() / "agent_result.md.j2").read_text(encoding="utf-8")
    (workspace.templates / "agent_result.md.j2").write_text(shipped, encoding="utf-8")
    assert Views(workspace, story.history).result_frame({"task": "A"}) == (f'{MARK}task: "A"\n{MARK}', "")


def test_a_users_result_template_stands_around_the_text(workspace: Workspace, story: Story) -> None:
    workspace.templates.mkdir()
    own = workspace.templates / "agent_result.md.j2"
    own.write_text("# {{ title }}\n\n{{ text }}\n\nEnd of {{ task }}.\n", encoding="utf-8")
    before, after = Views(workspace, story.history).result_frame({"task": "A", "title": "*x* \0text\0"})
    assert before.endswith(f"{MARK}# \\*x\\* \ufffdtext\ufffd\n\n")
    assert after == "\n\nEnd of A.\n"


@pytest.mark.parametrize("text", ["no text", "{{ text }}{{ text }}", "{{ text|upper }}"])
def test_a_users_result_template_must_use_the_text_once(
    workspace: Workspace, story: Story, text: str
) -> None:
    workspace.templates.mkdir()
    (workspace.templates / "agent_result.md.j2").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="exactly once"):
        Views(workspace, story.history).result_frame({"task": "A"})


def test_a_wrong_template_of_the_user_leaves_the_view_as_it_was(workspace: Workspace, story: Story) -> None:
    workspace.templates.mkdir()
    views = Views(workspace, story.history)
    views.refresh(story.state, story.now)
    before = workspace.master_plan.read_bytes()
    (workspace.templates / "master_plan.md.j2").write_text("{{ nothing }}", encoding="utf-8")
    with pytest.raises(UsageError, match=r"master_plan\.md\.j2:1: 'nothing' is undefined"):
        Views(workspace, story.history).refresh(story.state, story.now)
    assert workspace.master_plan.read_bytes() == before
    assert [path.name for path in workspace.root.iterdir() if path.name.endswith("~")] == []


def test_a_users_prompt_still_begins_with_the_same_words(workspace: Workspace, story: Story) -> None:
    workspace.templates.mkdir()
    (workspace.templates / "agent_task.md.j2").write_text("/help {{ task }}", encoding="utf-8")
    prompt = Views(workspace, story.history).prompt(story.plan, story.state.tasks[0], ())
    assert prompt == f"{OPENING}\n\n/help T-01"


def test_a_users_banner_is_used(workspace: Workspace, story: Story) -> None:
    workspace.templates.mkdir()
    (workspace.templates / "batch_banner.txt.j2").write_text("batch {{ batch }}\n", encoding="utf-8")
    assert Views(workspace, story.history).banner(story.state, 3, story.state.tasks) == "batch 3\n"
