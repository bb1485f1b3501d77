"""The rounds of a story: tasks that report, planning calls that are due, begin and are answered."""

from __future__ import annotations

from typing import Any

from story import Story

from orchestrator.core import calls, rounds
from orchestrator.core.events import Call, PlanRevised
from orchestrator.core.plan import Task
from orchestrator.core.report import Report
from orchestrator.core.rounds import Wanted

FOUND = Report(status="complete", discoveries=("there is more",))


def story(count: int = 4, **plan: Any) -> Story:
    """A run of tasks T-01 and so on that need nothing."""
    tasks = [Task(id=f"T-{number:02d}") for number in range(1, count + 1)]
    return Story(*tasks, **{"replan": "auto", **plan})


def due(told: Story) -> Wanted | None:
    return rounds.wanted(told.state, told.now)


def done(told: Story, *names: str, report: Report | None = FOUND) -> Story:
    """These tasks begin and succeed."""
    for name in names:
        told.start(name).wait(1).end(name, report=report)
    return told


def ask(told: Story, call: Call = "replanning") -> str:
    """The planning call that is due begins; its id."""
    wanted = due(told)
    assert wanted is not None
    assert wanted.call == call
    name = calls.call_id(call, told.state.by_id)
    task = calls.call_task(call, name, "Plan.")
    workers = [one for one in told.state.tasks if not one.task.id.startswith(("Plan", "Synthesis"))]
    completed = sum(one.mark == "completed" for one in workers)
    told.tell(
        PlanRevised, by="program", tasks=(task,), call=call, considered=wanted.considered, completed=completed
    )
    told.start(name)
    return name


def answer(told: Story, name: str, **revision: Any) -> Story:
    """A planning call succeeds, and its answer becomes part of the plan."""
    told.end(name)
    assert rounds.answered(told.state) == name
    changes = revision.pop("changes", ("a change",))
    return told.tell(PlanRevised, by="planner", source=name, changes=changes, **revision)
