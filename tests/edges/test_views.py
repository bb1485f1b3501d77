from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from story import Story

from orchestrator.core.briefing import OPENING, Addition
from orchestrator.core.events import (
    Origin,
    PlanRevised,
    RevisionProposed,
    RunFinished,
    RunResumed,
    TaskBlocked,
    TaskRetried,
)
from orchestrator.core.frontmatter import MARK
from orchestrator.core.plan import Limits, Task
from orchestrator.core.revision import Analysis, Draft, Revision
from orchestrator.core.state import TaskState
from orchestrator.core.text import clean
from orchestrator.core.workers import PLANNER, WorkerType
from orchestrator.edges import results
from orchestrator.edges.templates import templates_folder
from orchestrator.edges.views import Begins, Need, Views, banner
from orchestrator.edges.workspace import Workspace
from orchestrator.errors import UsageError

GOLDEN = Path(__file__).parent / "golden"

PROFILE = Task(
    id="T-01",
    title="Profile the export",
    description="Profile the export.\n\n    python -m cProfile export.py\n\nKeep the ten slowest calls.",
    worker="performance-optimizer",
    inputs={"entry": "src/export.py", "rows": "first line\nsecond line"},
    expected_output="A table of the ten slowest calls",
    constraints=("No new packages",),
    steps=("Run it once to warm up", "Run it\nthree times"),
    writes=("out/**",),
    artifacts=("out/profile.txt",),
    verify=("test -s out/profile.txt",),
)
COUNT = Task(
    id="T-02",
    title="Count the rows",
    cli="shell",
    run="wc -l data/*.csv\nawk 'END { print NR }' data/big.csv",
    inputs={"pattern": "*.csv"},
    needs=("T-01",),
    attempts=2,
)
FETCH = Task(id="T-03", title="Fetch the changelog", worker="documentation-writer")
JOIN = Task(id="T-04", title="Join the findings", needs=("T-01", "T-02"), after=("T-03",))
DRAFT = Task(id="T-05", title="Draft the note", needs=("T-01",))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace(tmp_path / ".orchestrator")
    made.create()
    return made


@pytest.fixture
def story() -> Story:
    story = Story(
        *(PROFILE, COUNT, FETCH, JOIN, DRAFT),
        success_criteria=("The export takes less than a minute",),
        limits=Limits(parallelism=2),
    )
    story.wait(1).start("T-01").start("T-03").wait(30)
    story.end("T-01", cost_usd=0.25).end("T-03", "denied", "denied: WebFetch", cost_usd=0.05)
    story.start("T-02").start("T-05").wait(2).end("T-02", "error", "exit status 2: no such file")
    story.wait(1).start("T-02").wait(5).end("T-02", "timeout", "stopped after its timeout of 30m").skip(
        "T-04"
    )
    story.wait(12).end("T-05", cost_usd=0.1)
    return story.tell(RunFinished, exit=3, reason="waiting for a person")


def put(workspace: Workspace, task: TaskState, text: str) -> None:
    frame = (f"{MARK}task: {task.task.id}\n{MARK}", "")
    results.write_result(workspace.result(task.agent), frame, [text], durable=False)


def put_results(workspace: Workspace, story: Story) -> None:
    tasks = story.state.by_id
    put(workspace, tasks["T-01"], "# Profile\n\nThe <b>join</b> takes 80% of the time.\n\n```\n<rows>\n```\n")
    put(workspace, tasks["T-02"], "10 a.csv\n```\n# 20 b.csv\n")
    put(workspace, tasks["T-05"], "The note: the join is slow.\n")


def same_as_golden(name: str, text: str) -> None:
    """Compare with the file, or, with UPDATE_GOLDEN in the environment, write it."""
    path = GOLDEN / name
    if "UPDATE_GOLDEN" in os.environ:
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


ADDITION = Addition(
    "Prices are in cents.", "```\nverify failed\n```\n", "Take the second one.", ("Bash(npm test)",)
)
PLAN, SYNTHESIS = Task(id="Plan-01", worker=PLANNER), Task(id="Synthesis-01", worker=PLANNER)


def growing(text: str = "", finish: str = "all is planned") -> Story:
    """A plan that grew from two tasks, was joined, and has a revision that waits; `text` stands everywhere."""
    first = (
        Task(id="T-01", title=f"Look{text}", worker="code-analyzer"),
        Task(id="T-02", title=f"Build{text}"),
    )
    story = Story(request="Build a shop", replan="ask")
    analysis = Analysis(
        known=(f"a catalog{text}",), unknown=(f"payment{text}",), strategy=f"Look first{text}", tasks=6
    )
    story.tell(PlanRevised, by="program", call="analysis", tasks=(PLAN,)).start("Plan-01").wait(5)
    story.end("Plan-01", cost_usd=0.05)
    story.tell(
        PlanRevised, by="planner", source="Plan-01", tasks=first, analysis=analysis, reason=f"unknown{text}",
        changes=(f"added T-01 Look{text}", f"added T-02 Build{text}"), refused=(f"add X: no such type{text}",),
    )  # fmt: skip
    story.start("T-01").wait(30).end("T-01", cost_usd=0.2)
    later = (Task(id="T-03", title=f"Pay{text}", needs=("T-01",)), Task(id="T-04", title=f"Ship{text}"))
    story.tell(
        PlanRevised, by="person", reason=f"payment was found{text}", tasks=later, finish=f"{finish}{text}",
        dropped={"T-02": f"cancelled by a revision: bought{text}"}, deferred={"T-04": f"max_tasks is reached{text}"},
        changes=("added T-03 Pay", "cancelled T-02: bought"), origins={"T-03": Origin(1, "T-01", 2)},
    )  # fmt: skip
    story.start("T-03").wait(10).end("T-03", cost_usd=0.1)
    story.tell(
        PlanRevised, by="program", call="synthesis", tasks=(SYNTHESIS,), considered=("T-03",), completed=2
    )
    story.start("Synthesis-01").wait(10).end("Synthesis-01", cost_usd=0.02)
    asked = Revision(reason=f"one more{text}", add=(Draft(fields={"title": f"Test{text}"}),))
    return story.tell(RevisionProposed, by="planner", source="Synthesis-01", revision=asked)


def put_synthesis(workspace: Workspace, story: Story, text: str = "") -> None:
    lists = {name: [f"{name} is told{text}"] for name in ("integration", "conflicts", "missing")}
    whole = {**lists, "deliverable": f"# The shop{text}\n\nIt sells.", "consistent": False}
    whole["quality"] = {"score": 4, "reasons": [f"it was tried{text}"]}
    put(workspace, story.state.by_id["Synthesis-01"], json.dumps(whole))


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


def test_a_long_deliverable_is_cut(workspace: Workspace) -> None:
    story = growing()
    put_synthesis(workspace, story, " line of text\n" * 9_000)
    text = Views(workspace, story.history).final_output(story.state, story.now, workspace.root)
    assert len(text) < 150_000
    assert "Cut here; the linked file has all of it." in text


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


# What could break out of where it stands.
BITS: list[str] = [
    *("# h", "## h", "\n", "\n\n", "|", "| --- |", "```", "~~~", "<!--", "<details>", "</div>"),
    *("> ", "- ", "1. ", "===", "---", "`", "*", "_", "\\", "[a](b)", "[T-01]: /x", "{{ 7191 * 7193 }}"),
    *("{% if %}", "{#", "\x1b[31m", "\r", "\x00", "\x9b", "\u202e", "\x85", "\t", "    "),
    *("@/etc/passwd", "/help", "%%{init: {}}%%", '"', "&lt;", "é", "x"),
]
NASTY = (st.lists(st.sampled_from(BITS), max_size=8).map("".join) | st.text(max_size=20)).filter(str.strip)

parse = MarkdownIt("commonmark").enable("table").parse


def shape(text: str) -> Counter[str]:
    """How many headings, tables and raw pieces of HTML a document has, quotes left out."""
    found: Counter[str] = Counter()
    depth = 0
    for token in parse(text):
        depth += {"blockquote_open": 1, "blockquote_close": -1}.get(token.type, 0)
        kinds = [token.type, *(child.type for child in token.children or ())]
        found.update(kind for kind in kinds if kind.startswith("html"))
        if not depth:
            found.update(
                kind for kind in kinds if kind in ("heading_open", "table_open", "tr_open", "td_open", "hr")
            )
    return found


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


def test_a_structured_answer_needs_no_report(workspace: Workspace) -> None:
    story = Story(Task(id="T-01", output_schema={"type": "object"}))
    assert "## Report" not in Views(workspace, story.history).prompt(story.plan, story.state.tasks[0], ())


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
    story.state.project = str(workspace.root.parent)
    Views(workspace, story.history).preview(story.state)
    assert "File: .orchestrator/results/agent-01-result.md\n\n(not there yet)\n" in workspace.agent_task(
        2
    ).read_text(encoding="utf-8")


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


def test_a_large_batch_is_cut_in_the_banner() -> None:
    story = Story(*[Task(id=f"T-{i}") for i in range(500)])
    text = banner(story.state, 1, story.state.tasks)
    assert text.endswith("\nand 480 more\n")
    assert text.count("[T-") == 20


@given(nasty=NASTY)
@settings(max_examples=50, deadline=None)
def test_no_terminal_code_gets_into_a_banner(nasty: str) -> None:
    story = tale(f"w{nasty}")
    text = banner(story.state, 1, story.state.tasks)
    assert not controls(text)
    assert len(text.split("\n")) == len(banner(story.state, 1, tale("word").state.tasks).split("\n"))
