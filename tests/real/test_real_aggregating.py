"""What people read of a run that grew, and a synthesis asked for: with the real program and a scripted model."""

from __future__ import annotations

import re
from threading import Event

import shop
from api_answers import Answer
from api_requests import Request
from realclaude import MakeReal, RealProject, Shop


def final(project: RealProject) -> str:
    return (project.workspace / "final_output.md").read_text()


def by_worker_type(text: str) -> list[list[int]]:
    """Tasks, completed tasks, paid attempts and tokens of each worker type, and of all."""
    rows = re.search(r"\| Worker type .*\n\| ---.*\n((?:\|.*\n)+)", text)
    assert rows is not None
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[1].splitlines()]
    return [[int(row[column]) for column in (1, 2, 5, 7, 8)] for row in cells]


def test_the_documents_of_the_shop_tell_how_it_grew_and_add_up(finished_shop: Shop) -> None:
    project, done = finished_shop
    plan = (project.workspace / "master_plan.md").read_text()

    assert "- Complexity: 4 of 4 conditions hold\n" in plan
    assert (
        "- Planned first: 2\n- Added since: 14\n- Taken out: 1\n- Deferred: 0\n- Now: 15, of which 15 are completed\n"
        in plan
    )
    assert "- T-07 Build the checkout: split into T-09, T-10: orders and payment are two modules\n" in plan
    assert "- Planning has ended: all that was asked for is planned\n" in plan
    assert "> # The shop\n>\n> Catalog, cart, orders and payment are in `shop/`, with a test.\n" in final(
        project
    )
    assert "- Consistent: yes\n- Quality: 4 of 5\n" in final(project)
    assert "Rounds: 4; planning calls: 5; changes of the plan after the first: 14" in final(project)
    assert not re.search(r"^### .*(Plan|Synthesis)-", final(project), re.MULTILINE)
    *parts, whole = by_worker_type(final(project))
    assert [sum(column) for column in zip(*parts, strict=True)] == whole
    assert "15 tasks: 15 completed, 5 planning calls" in done.out
    assert len(done.out.splitlines()) <= 20

    asked = len(project.api.requests)
    again = project.do("aggregate", "--synthesize")
    assert again.status == 0
    assert "Synthesis-01 joined these results; nothing was changed since" in again.err
    assert len(project.api.requests) == asked


def test_a_synthesis_asked_for_reads_the_results_of_a_static_plan(real: MakeReal) -> None:
    answers = shop.answers(Event())

    def script(request: Request) -> Answer:
        return (
            answers["Synthesis-01"][0]
            if shop.task_of(request).startswith("Syn")
            else shop.reported("It is tea.")
        )

    project = real(script)
    project.plan({"id": "T-01", "description": "Find a product."}, limits={"budget_usd": 1})
    project.run()

    done = project.do("aggregate", "--synthesize")

    assert done.status == 0, done
    assert "## Deliverable\n" in final(project)
    assert project.statuses() == {"T-01": "completed", "Synthesis-01": "completed"}
    request = next(one for one in project.api.requests if shop.task_of(one) == "Synthesis-01")
    assert "results/agent-01-result.md" in request.text
    assert "no other round is made" in request.text
    assert project.run().status == 0
    assert len(project.events("AttemptStarted", "Synthesis-01")) == 1
