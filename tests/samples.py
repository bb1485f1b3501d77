"""What each template makes of one small run, by the program's own ways."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from story import Story

from orchestrator.core import planningbrief
from orchestrator.core.briefing import Addition
from orchestrator.core.events import Call, RunFinished
from orchestrator.core.frontmatter import MARK
from orchestrator.core.plan import Limits, Task
from orchestrator.core.workers import GENERAL, WorkerType
from orchestrator.edges import results
from orchestrator.edges.views import FACTS, Begins, Need, Views
from orchestrator.edges.workspace import Workspace

READ = Task(
    id="T-01",
    title="Read the export",
    description="Name the three costliest functions of src/export.py.",
    worker="code-analyzer",
    inputs={"file": "src/export.py"},
    expected_output="A table: function, line, why it is costly",
)
FIX = Task(
    id="T-02",
    title="Fix the costliest",
    description="Make the costliest function cheaper. Keep the output byte for byte the same.",
    worker="code-developer",
    needs=("T-01",),
    steps=("Change one function", "Run the checks"),
    constraints=("No new packages",),
    writes=("src/export.py",),
    verify=("python3 -m unittest -q",),
)
COUNT = Task(id="T-03", title="Count the rows", cli="shell", run="wc -l data/*.csv", needs=("T-01",))
ROLE = WorkerType(name="code-analyzer", prompt="# Your role\n\nYou read code and report. You change nothing.")
FOUND = Need("T-01", "Read the export", ".orchestrator/results/agent-01-result.md", "load() is slow.\n", True)


def samples() -> dict[str, str]:
    """The text that each template of the program makes, by the template's name."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder) / ".orchestrator")
        workspace.create()
        return dict(sorted({**_views(workspace), **_prompts(workspace), **_calls(workspace)}.items()))


def _told() -> Story:
    story = Story(READ, FIX, success_criteria=("The output stays the same",), limits=Limits(parallelism=2))
    story.start("T-01").wait(40).end("T-01", cost_usd=0.12, session="s-1")
    story.start("T-02").wait(90).end("T-02", "unverified", "verify `python3 -m unittest -q`: exit status 1")
    story.wait(1).start("T-02").wait(60).end("T-02", cost_usd=0.2)
    return story.tell(RunFinished, exit=0, reason="all tasks completed")


def _views(workspace: Workspace) -> dict[str, str]:
    story = _told()
    views = Views(workspace, story.history)
    for task, text in (("T-01", "load() is slow.\n"), ("T-02", "load() reads the file once.\n")):
        frame = (f"{MARK}task: {task}\n{MARK}", "")
        path = workspace.result(story.state.by_id[task].agent)
        results.write_result(path, frame, [text], durable=False)
    waiting = Story(READ, FIX, COUNT)
    return {
        "agent_result.md.j2": _result(views),
        "batch_banner.txt.j2": views.banner(waiting.state, 1, waiting.state.tasks[:1]),
        "final_output.md.j2": views.final_output(story.state, story.now, workspace.root),
        "master_plan.md.j2": views.master_plan(story.state, story.now),
        "shell_task.md.j2": views.shell_card(waiting.plan, waiting.state.tasks[2], [FOUND]),
        "worker_prompt.md.j2": views.role(ROLE),
    }


def _result(views: Views) -> str:
    known: Mapping[str, object] = {
        "task": "T-01", "agent": "Agent-01", "title": "Read the export", "worker": "code-analyzer",
        "status": "completed", "outcome": "success", "attempt": 1, "model": "sonnet", "cost_usd": 0.12,
        "started": "2025-03-01T10:00:00Z", "ended": "2025-03-01T10:00:40Z", "artifacts": (), "report": "complete",
    }  # fmt: skip
    before, after = views.result_frame({name: known.get(name, "") for name in FACTS})
    return f"{before}load() is slow.\n{after}"


def _prompts(workspace: Workspace) -> dict[str, str]:
    story = _told()
    views, task = Views(workspace, story.history), story.state.by_id["T-02"]
    fault = Addition(feedback="verify `python3 -m unittest -q`: exit status 1")
    asked = Addition(answer="Keep the old name.", allowed=("Bash(git log *)",))
    begun: dict[str, tuple[Begins, Addition]] = {
        "agent_task.md.j2": ("fresh", Addition()),
        "answer_task.md.j2": ("answered", asked),
        "continue_task.md.j2": ("continued", Addition()),
        "feedback_task.md.j2": ("corrected", fault),
    }
    return {
        name: views.prompt(story.plan, task, [FOUND] if begins == "fresh" else [], begins, addition)
        for name, (begins, addition) in begun.items()
    }


def _calls(workspace: Workspace) -> dict[str, str]:
    story = Story(READ, FIX, replan="auto", limits=Limits(budget_usd=5))
    story.start("T-01").wait(40).end("T-01", cost_usd=0.12)
    views, types = Views(workspace, story.history), {"general": GENERAL, "code-analyzer": ROLE}
    calls: dict[str, Call] = {
        "analysis_task.md.j2": "analysis",
        "planning_task.md.j2": "replanning",
        "synthesis_task.md.j2": "synthesis",
    }
    results_of = {"T-01": FOUND.path}
    return {
        name: views.planning(call, planningbrief.variables(story.state, call, types, ("T-01",), results_of))
        + "\n"
        for name, call in calls.items()
    }
