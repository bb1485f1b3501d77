"""Whatever a text holds, it stays where it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from story import Story
from viewed import growing, parse, put, put_synthesis, shape

from orchestrator.core.briefing import OPENING, Addition
from orchestrator.core.events import RunFinished, TaskBlocked
from orchestrator.core.plan import Task
from orchestrator.core.text import clean
from orchestrator.edges.views import Need, Views, banner
from orchestrator.edges.workspace import Workspace

# What could break out of where it stands.
BITS: list[str] = [
    *("# h", "## h", "\n", "\n\n", "|", "| --- |", "```", "~~~", "<!--", "<details>", "</div>"),
    *("> ", "- ", "1. ", "===", "---", "`", "*", "_", "\\", "[a](b)", "[T-01]: /x", "{{ 7191 * 7193 }}"),
    *("{% if %}", "{#", "\x1b[31m", "\r", "\x00", "\x9b", "\u202e", "\x85", "\t", "    "),
    *("@/etc/passwd", "/help", "%%{init: {}}%%", '"', "&lt;", "é", "x"),
]
NASTY = (st.lists(st.sampled_from(BITS), max_size=8).map("".join) | st.text(max_size=20)).filter(str.strip)


def controls(text: str) -> set[str]:
    return set(re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text))


def tale(nasty: str) -> Story:
    """A run in which every text is the same one."""
    facts: dict[str, Any] = {
        "title": nasty,
        "description": nasty,
        "expected_output": nasty,
        "constraints": (nasty,),
    }
    first = Task(
        id="T-01", inputs={nasty: nasty}, worker=nasty, cli="shell", run=nasty or ":", attempts=1, **facts
    )
    second = Task(id="T-02", artifacts=(nasty,), verify=(nasty,), **facts)
    third = Task(id="T-03", needs=("T-02",), **facts)
    story = Story(first, second, third, request=f"r{nasty}", success_criteria=(nasty, nasty))
    story.start("T-01").end("T-01", "error", nasty).start("T-02").end("T-02", "success", nasty)
    story.tell(TaskBlocked, task="T-03", question=nasty)
    return story.tell(RunFinished, exit=1, reason=f"r{nasty}")


@given(nasty=NASTY)
@settings(max_examples=60, deadline=None)
def test_no_text_changes_the_shape_of_a_document(
    tmp_path_factory: pytest.TempPathFactory, nasty: str
) -> None:
    workspace = Workspace(tmp_path_factory.mktemp("w") / ".orchestrator")
    workspace.create()
    for text, harmless in zip(documents(workspace, nasty), documents(workspace, "word"), strict=True):
        assert shape(text) == shape(harmless)
        assert not controls(text)
        assert str(7191 * 7193) not in text


def documents(workspace: Workspace, text: str) -> Iterator[str]:
    story = tale(text)
    for task in story.state.tasks[:2]:
        put(workspace, task, clean(f"w{text}"))
    views = Views(workspace, story.history)
    yield views.master_plan(story.state, story.now)
    yield views.final_output(story.state, story.now, workspace.root)
    yield views.final_output(story.state, story.now, workspace.root, "concatenated")
    yield views.shell_card(story.plan, story.state.tasks[0], (Need("T-02", text, text, text, True),))
    grown = growing(text)
    put_synthesis(workspace, grown, text)
    views = Views(workspace, grown.history)
    yield views.master_plan(grown.state, grown.now)
    yield views.final_output(grown.state, grown.now, workspace.root)


@given(nasty=NASTY)
@settings(max_examples=60, deadline=None)
def test_a_prompt_begins_with_the_same_words_and_fences_what_workers_wrote(nasty: str) -> None:
    prompt, harmless = (told_to(Need("T-02", text, "p", f"w{text}", True), text) for text in (nasty, "word"))
    assert prompt.startswith(f"{OPENING}\n")
    assert not controls(prompt)
    assert not re.search(r"(^|\s)@[^\s\u2060]", prompt)
    assert [token.type for token in parse(prompt) if token.type == "fence" and not token.level] == [
        "fence"
    ] * 2
    assert shape(prompt)["heading_open"] == shape(harmless)["heading_open"]


def told_to(need: Need, text: str) -> str:
    """The prompt of a task whose plan says `text` wherever it is not the author's own prose."""
    inputs = {text: f"a\n{text}"}
    story = Story(
        Task(id="T-02"),
        Task(id="T-03", title=text, worker=text, inputs=inputs, needs=("T-02",)),
        request=text,
    )
    return Views(Workspace(Path("/nowhere")), story.history).prompt(story.plan, story.state.tasks[1], (need,))


@given(answer=NASTY, rule=NASTY)
@settings(max_examples=60, deadline=None)
def test_what_a_person_answered_stays_a_quotation(answer: str, rule: str) -> None:
    story = Story(Task(id="T-01", title="Go"))
    addition = Addition(answer=answer, allowed=(rule,))
    views = Views(Workspace(Path("/nowhere")), story.history)
    for begins in ("fresh", "answered"):
        prompt = views.prompt(story.plan, story.state.tasks[0], (), begins, addition)
        assert prompt.startswith(f"{OPENING}\n")
        assert not controls(prompt)
        assert not re.search(r"(^|\s)@[^\s\u2060]", prompt)


def test_a_prompt_never_holds_another_tasks_description(workspace: Workspace) -> None:
    tasks = [
        Task(id=f"T-{i}", description=f"SECRET-{i}-", needs=(f"T-{i - 1}",) if i else ()) for i in range(5)
    ]
    story = Story(*tasks)
    Views(workspace, story.history).preview(story.state)
    for i in range(5):
        text = workspace.agent_task(i + 1).read_text(encoding="utf-8")
        assert re.findall(r"SECRET-\d-", text) == [f"SECRET-{i}-"]
        assert text.startswith(OPENING)


@given(nasty=NASTY)
@settings(max_examples=50, deadline=None)
def test_no_terminal_code_gets_into_a_banner(nasty: str) -> None:
    story = tale(f"w{nasty}")
    text = banner(story.state, 1, story.state.tasks)
    assert not controls(text)
    assert len(text.split("\n")) == len(banner(story.state, 1, tale("word").state.tasks).split("\n"))
