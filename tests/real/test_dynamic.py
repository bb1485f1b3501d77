"""The dynamic loop with the real program and a scripted model: plans that grow, fail, recover and come to an end."""

from __future__ import annotations

from collections import Counter

import shop
from realclaude import MakeReal, RealProject


def calls(project: RealProject) -> Counter[str]:
    """How many planning calls there were of each kind."""
    return Counter(event["call"] for event in project.events("PlanRevised") if "call" in event)


def test_the_shop_grows_through_rounds_and_recoveries_to_a_deliverable(real: MakeReal) -> None:
    project = real(shop.script())
    project.plan(**shop.PLAN)

    done = project.run()

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


def test_nothing_is_paid_twice_when_the_finished_shop_is_run_again(real: MakeReal) -> None:
    project = real(shop.script())
    project.plan(**shop.PLAN)
    project.run()
    asked, cost = len(project.api.requests), project.document()["run"]["cost_usd"]

    again = project.run()

    assert again.status == 0
    assert "nothing to do" in again.out
    assert len(project.api.requests) == asked
    assert project.document()["run"]["cost_usd"] == cost
