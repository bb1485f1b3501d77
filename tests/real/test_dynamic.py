"""The dynamic loop with the real program and a scripted model: plans that grow, fail, recover and come to an end."""

from __future__ import annotations

import json
import re
from typing import Any

from api_answers import Answer, text, tool
from api_requests import Request, Script
from realclaude import MakeReal

REPORT = {"status": "complete", "summary": "done"}


def reported(words: str, **more: Any) -> Answer:
    """The last word of a worker, with a report."""
    return text(f"{words}\n\n```json\n{json.dumps({**REPORT, **more})}\n```")


def planned(**answer: Any) -> Answer:
    """The answer of a planning call."""
    return tool("StructuredOutput", **answer)


def by_task(answers: dict[str, list[Answer]]) -> Script:
    """Each task's own answers in turn; one that has none is done with the first word."""
    left = {name: list(own) for name, own in answers.items()}

    def script(request: Request) -> Answer:
        found = re.search(r"- Task: ([A-Za-z0-9-]+)", request.text)
        own = left.get(found[1] if found else "", [])
        return own.pop(0) if own else reported("All of it is done.")

    return script


def draft(title: str, worker: str = "general", **more: Any) -> dict[str, Any]:
    return {"title": title, "description": f"{title}, whole.", "worker": worker, **more}


ANALYSIS = {
    "kind": "open-ended",
    "known": ["a shop"],
    "unknown": ["payment"],
    "strategy": "look first",
    "tasks": 4,
}
SYNTHESIS = {
    "deliverable": "# The shop\n\nIt is there.",
    "integration": ["cart uses catalog"],
    "consistent": True,
    "conflicts": [],
    "missing": [],
    "quality": {"score": 4, "reasons": ["all tasks completed"]},
}


def test_a_plan_grows_by_what_workers_discover_and_ends_in_a_deliverable(real: MakeReal) -> None:
    project = real(
        by_task(
            {
                "Plan-01": [planned(analysis=ANALYSIS, reason="look first", add=[draft("Find the scope")])],
                "T-01": [reported("Scope", discoveries=["there must be payment"])],
                "Plan-02": [
                    planned(
                        reason="payment was discovered",
                        add=[draft("Build the payment", "code-developer", ref="pay", of="T-01")],
                        finish="nothing else is open",
                        context="Prices are in cents.",
                    )
                ],
                "Synthesis-01": [planned(**SYNTHESIS)],
            }
        )
    )
    project.plan(replan="auto", request="Build a shop", limits={"budget_usd": 5})

    done = project.run()
    assert done.status == 0, done
    assert project.statuses() == dict.fromkeys(
        ("Plan-01", "T-01", "Plan-02", "T-02", "Synthesis-01"), "completed"
    )
    payment = next(request for request in project.api.requests if "- Task: T-02" in request.text)
    assert "Prices are in cents." in payment.text
