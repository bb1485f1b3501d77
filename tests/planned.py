"""What the stand-in `planner.py` answers in the runs of plans that grow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from project import Project

PLANNER = Path(__file__).resolve().parent / "planner.py"


def report(words: str, **more: Any) -> str:
    """What a worker says, with its report."""
    told = {"status": "complete", "summary": words, **more}
    return f"{words}\n\n```json\n{json.dumps(told)}\n```"


def answers(project: Project, **by_task: Any) -> None:
    """What the model answers each task; `Plan_01` for `Plan-01`."""
    found = {name.replace("_", "-"): answer for name, answer in by_task.items()}
    (project.folder / "answers.json").write_text(json.dumps(found))
    project.environment |= {
        "ORCHESTRATE_CLAUDE": str(PLANNER),
        "PLANNER_ANSWERS": str(project.folder / "answers.json"),
    }


ONE = {"ref": "one", "title": "One", "description": "Do the one.", "worker": "general"}
ANALYSIS = {"kind": "open-ended", "known": ["one"], "unknown": [], "strategy": "One first.", "tasks": 1}
FIRST = {"analysis": ANALYSIS, "reason": "two parts", "add": [ONE]}
DELIVERED = {
    "deliverable": "# Done",
    "integration": [],
    "consistent": True,
    "conflicts": [],
    "missing": [],
    "quality": {"score": 5, "reasons": []},
    "reason": "nothing is missing",
}
