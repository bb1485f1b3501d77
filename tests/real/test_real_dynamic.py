"""The dynamic loop with the real program and a scripted model: plans that grow, fail, recover and come to an end."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import shop
from realclaude import RealProject, Shop

PAGE = Path(__file__).resolve().parent.parent.parent / "dynamic.md"


def calls(project: RealProject) -> Counter[str]:
    """How many planning calls there were of each kind."""
    return Counter(event["call"] for event in project.events("PlanRevised") if "call" in event)


def test_the_shop_grows_through_rounds_and_recoveries_to_a_deliverable(finished_shop: Shop) -> None:
    project, done = finished_shop

    assert done.status == 0, done
    statuses = project.statuses()
    finished = [name for name in statuses if name.startswith("T-")]
    assert len(finished) == 15
    assert set(statuses.values()) == {"completed"}, statuses
    types = {task["worker"] for task in project.document()["tasks"]}
    assert types >= {
        *("code-analyzer", "system-architect", "code-developer", "test-engineer"),
        *("documentation-writer", "performance-optimizer"),
    }
    assert calls(project) == {"analysis": 1, "replanning": 3, "synthesis": 1}
    assert sum(calls(project).values()) * 3 <= len(finished), "at most one call for three finished tasks"
    assert project.outcomes("T-05") == ["unverified"] * 3 + ["success"], "reassigned"
    assert project.outcomes("T-07") == ["unverified"] * 3, "split"
    for name in shop.CODE:
        assert (project.folder / shop.built(name)).read_text() == shop.CODE[name]
    assert project.events("PlanVerified")[-1]["passed"]
    payment = next(request for request in project.api.requests if shop.task_of(request) == "T-10")
    assert "Prices are whole cents." in payment.text


def test_nothing_is_paid_twice_when_the_finished_shop_is_run_again(finished_shop: Shop) -> None:
    project, _ = finished_shop
    asked, cost = len(project.api.requests), project.document()["run"]["cost_usd"]

    again = project.run()

    assert again.status == 0
    assert "nothing to do" in again.out
    assert len(project.api.requests) == asked
    assert project.document()["run"]["cost_usd"] == cost


def test_the_document_shows_the_rounds_of_this_run(finished_shop: Shop) -> None:
    project, _ = finished_shop
    if os.environ.get("UPDATE_GOLDEN"):
        PAGE.write_text(with_rounds(PAGE.read_text(encoding="utf-8"), rounds_of(project)), encoding="utf-8")

    assert PAGE.read_text(encoding="utf-8") == with_rounds(
        PAGE.read_text(encoding="utf-8"), rounds_of(project)
    )


def rounds_of(project: RealProject) -> str:
    """The rounds of a run as rows of a table."""
    revised = [event for event in project.events("PlanRevised") if event["by"] == "planner"]
    lines = [
        f"| {number} | {event['source']}: {event['reason']} | {'; '.join(event['changes'])} |"
        for number, event in enumerate(revised, 1)
    ]
    return "\n".join(lines) + "\n"


def with_rounds(text: str, rows: str) -> str:
    """The document with these rows in its table of rounds."""
    head, rule, rest = text.partition("| round | asked for by | what changed |\n| --- | --- | --- |\n")
    return head + rule + rows + rest[re.match(r"(\|.*\n)*", rest).end() :]  # type: ignore[union-attr]
