"""Sessions that type the commands of SKILL.md, each with the exit status that SKILL.md gives it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import shop
import stage
from api_answers import Answer, text, tool
from api_requests import Request
from promises import PLAN_FILE, expect, expect_statuses, sample_plan
from stage import Leader, opened

NOTES: dict[str, Any] = {
    "request": "Put the notes in order",
    "tasks": [
        {"id": "T-01", "cli": "shell", "run": "wc -l notes.txt"},
        {"id": "T-02", "title": "Choose the spelling", "description": "Ask which spelling is wanted."},
        {
            "id": "T-03",
            "title": "Read the history",
            "description": "Read it.",
            "tools": ["Read"],
            "after": ["T-02"],
        },
        {"id": "T-04", "title": "Sum up", "cli": "session", "description": "Sum it up.", "after": ["T-03"]},
        {"id": "T-05", "cli": "shell", "run": "test -e mended", "after": ["T-04"]},
    ],
}
"""A plan in which everything happens that the table of exit statuses in SKILL.md speaks of, one after the other."""

MISSPELT = {**NOTES, "tasks": [{**task, "needs": ["T-99"]} for task in NOTES["tasks"]]}
QUESTION = {"status": "blocked", "summary": "It can be spelt in two ways.", "questions": ["Which spelling?"]}


def written(plan: object) -> Answer:
    """The model writes the plan."""
    return tool("Write", file_path=PLAN_FILE, content=plan if isinstance(plan, str) else json.dumps(plan))


MAY_HAVE_GONE_ON = (0, 6)
"""Of `run` where the dispatcher still lived when it was told how to go on."""

STORY: tuple[tuple[str | Answer, int | tuple[int, ...]], ...] = (
    ('orchestrate init "Put the notes in order"', 0),
    (tool("Read", file_path=PLAN_FILE), 0),
    (written(MISSPELT), 0),
    ("orchestrate validate", 2),
    (written(NOTES), 0),
    ("orchestrate validate", 0),
    ("orchestrate plan", 0),
    ("orchestrate doctor", 0),
    ("orchestrate run --detach", 0),
    ("orchestrate wait", 3),
    ("orchestrate status", 0),
    ('orchestrate answer T-02 "The old one"', 0),
    ("orchestrate run --detach", MAY_HAVE_GONE_ON),
    ("orchestrate wait", 3),
    ("orchestrate status", 0),
    ('orchestrate retry T-03 --allow "Bash(touch *)"', 0),
    ("orchestrate run --detach", MAY_HAVE_GONE_ON),
    ("orchestrate wait", 3),
    ("orchestrate next", 0),
    ("orchestrate start T-04", 0),
    (tool("Write", file_path="summary.md", content="Three notes, one of them old.\n"), 0),
    ("orchestrate finish T-04 --result summary.md", 0),
    ("orchestrate run --detach", 0),
    ("orchestrate wait --timeout 100s", 1),
    ("orchestrate status", 0),
    ("orchestrate log T-05", 0),
    ("touch mended", 0),
    ("orchestrate retry T-05", 0),
    ("orchestrate run --detach", 0),
    ("orchestrate wait", 0),
    ("orchestrate aggregate --synthesize", 0),
    (tool("Read", file_path=".orchestrator/final_output.md"), 0),
    ("orchestrate stop", 0),
)
"""What a session does with it, and the exit status of each step, or those that it may have."""


def notes_worker() -> Callable[[Request], Answer]:
    """The workers of that plan: one has a question, one wants a tool that it has not."""
    asked: list[str] = []

    def answer(request: Request) -> Answer:
        name = shop.task_of(request)
        first = name not in asked
        asked.append(name)
        if name.startswith("Synthesis"):
            return shop.planned(**DELIVERED)
        if name == "T-02" and first:
            return text(f"I have to ask.\n\n```json\n{json.dumps(QUESTION)}\n```\n")
        if name == "T-03" and first:
            return tool("Bash", command="touch read", description="note it")
        return stage.DONE

    return answer


def commands_work(version: str) -> None:
    """The commands that SKILL.md names work as typed there, from another folder, through the program's Bash tool."""
    steps = [step for step, _ in STORY]
    with opened(Leader(*steps, text("All is in order."), worker=notes_worker()), version) as there:
        (there.folder / "notes.txt").write_text("one\ntwo\nthree\n")
        there.lead()
        expect_statuses(there, [status for _, status in STORY])
        expect(
            "Three notes, one of them old." in there.calls()[-2].output,
            "the result is not in final_output.md",
        )


DELIVERED: dict[str, Any] = {
    "deliverable": "# Done\n\nThree notes, one of them old.", "integration": [], "consistent": True, "conflicts": [],
    "missing": [], "quality": {"score": 5, "reasons": []},
}  # fmt: skip
GROWING: tuple[tuple[str, int], ...] = (
    ('orchestrate auto "Find the one" --budget 5 --ask --detach', 0),
    ("orchestrate wait", 3),
    ("orchestrate status", 0),
    ("orchestrate approve", 0),
    ("orchestrate run --detach", 0),
    ("orchestrate wait", 0),
)
"""A session in which the plan is made on the way, and waits for a person."""


def growing_plans_work(version: str) -> None:
    """A plan that is made on the way waits for `approve`, and goes on."""
    one = {"ref": "one", "title": "One", "description": "Do it.", "worker": "general"}
    by_task = {
        "Plan-01": shop.planned(analysis=shop.ANALYSIS, reason="one part", add=[one], finish="that is all"),
        "Synthesis-01": shop.planned(**DELIVERED, reason="nothing is missing"),
    }

    def worker(request: Request) -> Answer:
        return by_task.get(shop.task_of(request), stage.DONE)

    with opened(Leader(*(step for step, _ in GROWING), text("done"), worker=worker), version) as there:
        there.lead()
        expect_statuses(there, [status for _, status in GROWING])


def sample_is_valid(version: str) -> None:
    """The plan that SKILL.md shows passes `validate` and `plan` at the first try."""
    steps: list[stage.Step] = [
        written(sample_plan()),
        stage.by_path("orchestrate validate"),
        stage.by_path("orchestrate plan"),
    ]
    with opened(Leader(*steps, text("done")), version) as there:
        there.lead()
        expect_statuses(there, [0, 0, 0])
