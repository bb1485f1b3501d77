from __future__ import annotations

from typing import Any

import pytest
from story import Story

from orchestrator.core import growth, growthtables
from orchestrator.core.events import Origin, PlanRevised, RevisionProposed, RevisionRejected, TaskRetried
from orchestrator.core.plan import Limits, Task
from orchestrator.core.revision import Analysis, Change, Draft, Revision
from orchestrator.core.workers import PLANNER

FIRST = (Task(id="T-01", worker="code-analyzer"), Task(id="T-02", worker="code-developer"))
LATER = Task(id="T-03", title="Later", worker="code-developer")


def call(name: str = "Plan-01") -> Task:
    return Task(id=name, worker=PLANNER)


def grown() -> Story:
    """Two tasks planned first; then one came, one was taken out, and one found no room."""
    story = Story(*FIRST, replan="auto", limits=Limits(max_rounds=3))
    story.start("T-01").wait(30).end("T-01", cost_usd=0.2)
    story.tell(PlanRevised, by="program", call="replanning", tasks=(call(),), considered=("T-01",))
    story.start("Plan-01").wait(5).end("Plan-01", cost_usd=0.1)
    return story.tell(
        PlanRevised, by="planner", source="Plan-01", reason="two were found", tasks=(LATER, Task(id="T-04")),
        dropped={"T-02": "cancelled by a revision: not needed"}, deferred={"T-04": "max_tasks of 2 is reached"},
        changes=("added T-03 Later", "cancelled T-02: not needed", "added T-04"), refused=("add X: no such type",),
        origins={"T-03": Origin(1, "T-01", 1), "T-04": Origin(1, "", 1)},
    )  # fmt: skip


def test_the_scope_adds_up() -> None:
    scope = growth.scope(grown().state)

    assert scope.first + scope.added - scope.taken_out - scope.deferred == scope.now
    assert scope == growth.Scope(first=2, added=2, taken_out=1, deferred=1, now=2, done=1, planning_calls=1)


def test_a_plan_that_does_not_grow_says_nothing_of_growth() -> None:
    story = Story(*FIRST)

    assert list(growth.lines(story.state)) == []
    assert growth.document(story.state) is None


def test_status_tells_the_growth_in_two_lines() -> None:
    assert list(growth.lines(grown().state)) == [
        "plan: 1 round, 2 planned first, 2 now (2 added, 1 taken out, 1 deferred)",
        "limit reached: T-04: max_tasks of 2 is reached",
    ]


def test_why_planning_ended_is_told_where_no_limit_was_reached() -> None:
    story = Story(*FIRST, replan="auto")
    story.tell(RevisionRejected, by="planner", reason="nothing", source="", finish="all is planned")

    assert list(growth.lines(story.state))[1:] == ["planning ended: all is planned"]


@pytest.mark.parametrize(
    ("analysis", "types", "holding"),
    [
        (Analysis(kind="partially defined", unknown=("a",), tasks=4), 2, 0),
        (Analysis(kind="evolving", unknown=("a", "b"), tasks=5), 3, 4),
        (Analysis(kind="open-ended", unknown=(), tasks=20), 1, 2),
    ],
)
def test_complexity_is_counted_and_not_felt(analysis: Analysis, types: int, holding: int) -> None:
    assert sum(one.holds for one in growth.conditions(analysis, types)) == holding


def test_shares_leave_the_planning_calls_out_and_cover_tasks_that_were_taken_out() -> None:
    story = grown()
    story.start("T-03").wait(10).end("T-03")
    shares = {share.worker: share for share in growth.shares(story.state)}

    assert shares["code-analyzer"].part == 0.75
    assert shares["code-developer"].part == 0.25
    assert shares[PLANNER].part is None
    assert sum(share.seconds for share in shares.values()) == 45


def test_commands_are_no_part_of_any_worker_types_share() -> None:
    story = Story(Task(id="A"), Task(id="B", worker="writer"), Task(id="C", cli="shell", run="make"))
    story.start("A").wait(30).end("A").start("B").wait(10).end("B").start("C").wait(60).end("C")

    found = [(one.worker, one.tasks, one.seconds, one.part) for one in growth.shares(story.state)]

    assert found == [("general", 1, 30, 0.75), ("writer", 1, 10, 0.25), (growth.COMMANDS, 1, 60, None)]


def test_what_was_paid_to_a_worker_type_stays_though_no_task_is_written_for_it_any_more() -> None:
    story = Story(Task(id="A", cli="claude", worker="writer"), Task(id="C", cli="shell", run="make"))
    story.start("A").wait(30).end("A", outcome="error", cost_usd=0.25).start("C").end("C")
    story.tell_plan(Task(id="A", cli="claude"), Task(id="C", cli="shell", run="make"))

    rows = growthtables.share_rows(story.state)

    assert [(row["worker"], row["tasks"], row["usd"]) for row in rows] == [
        ("general", 1, "0.0000"),
        ("writer", 0, "0.2500"),
        (growth.COMMANDS, 1, "0.0000"),
        ("all", 2, "0.2500"),
    ]


def uneven(count: int, *others: str, seconds: float = 90) -> Story:
    story = Story(
        *[Task(id=f"T-{i}") for i in range(count)], *[Task(id=f"O-{one}", worker=one) for one in others]
    )
    story.start("T-0").wait(seconds).end("T-0")
    for one in others:
        story.start(f"O-{one}").wait(20).end(f"O-{one}")
    return story


def test_a_worker_type_with_nearly_all_of_the_work_is_pointed_out() -> None:
    found = growth.uneven(uneven(4, "writer").state)

    assert found is not None
    assert found.worker == "general"
    assert "general did 82% of the work" in growthtables.uneven(uneven(4, "writer").state)


@pytest.mark.parametrize("story", [uneven(5), uneven(3, "writer"), uneven(4, "writer", seconds=80)])
def test_of_few_tasks_or_one_type_or_up_to_four_fifths_nothing_is_pointed_out(story: Story) -> None:
    assert growth.uneven(story.state) is None
    assert growthtables.uneven(story.state) == ""


def test_the_first_plan_is_no_adaptive_decision() -> None:
    story = Story(replan="auto")
    for number in (1, 2):
        names = (f"T-{number}", f"U-{number}")
        tasks = tuple(Task(id=name) for name in names)
        story.tell(PlanRevised, by="planner", tasks=tasks, changes=tuple(f"added {name}" for name in names))

    assert growth.adaptive(story.state) == {"added": 2}
    assert growth.adaptive(grown().state) == {"added": 2, "cancelled": 1}


def test_a_proposal_is_told_in_a_line_for_each_change() -> None:
    revision = Revision(
        add=(Draft(fields={"title": "Look\nagain"}, reason="twice"),),
        cancel=(Change(task="T-01"),),
        ask=(Change(task="", question="Which one?"),),
    )

    assert growth.proposal(revision) == ["add Look again: twice", "cancel T-01", "ask a person: Which one?"]


def test_the_costs_of_tasks_add_up_to_that_of_the_run() -> None:
    story = Story(*[Task(id=f"T-{i}") for i in range(30)])
    for i in range(30):
        story.start(f"T-{i}").wait(1).end(f"T-{i}", cost_usd=0.01 * (i + 1))
    rows = growthtables.dearest_rows(story.state)

    assert len(rows) == growthtables.DEAREST + 1
    assert rows[0]["task"] == "T-29"
    assert rows[-1]["title"] == "10 tasks"
    assert sum(float(str(row["usd"])) for row in rows) == pytest.approx(story.state.cost_usd)


def test_long_lists_are_cut_and_counted() -> None:
    story = Story(*FIRST, replan="auto")
    tasks = tuple(Task(id=f"N-{i}") for i in range(80))
    deferred = {task.id: "no room" for task in tasks}
    changes = tuple(f"added {task.id}" for task in tasks)
    story.tell(PlanRevised, by="planner", tasks=tasks, deferred=deferred, changes=changes, refused=changes)
    facts: dict[str, Any] = growthtables.variables(story.state)

    assert (len(facts["deferred"]), facts["deferred_left_out"]) == (growthtables.MOST_ITEMS, 30)
    (entry,) = facts["rounds"]
    assert (len(entry["changes"]), entry["changes_left_out"]) == (growthtables.MOST_CHANGES, 70)
    assert (len(entry["refused"]), entry["refused_left_out"]) == (growthtables.MOST_REFUSED, 75)


def test_a_synthesis_holds_until_a_task_ends_after_it() -> None:
    story = Story(*FIRST)
    for name in ("T-01", "T-02"):
        story.start(name).wait(1).end(name)
    story.tell(PlanRevised, by="program", call="synthesis", tasks=(call("Synthesis-01"),), completed=2)
    assert growth.synthesis_that_holds(story.state) is None
    story.wait(1).start("Synthesis-01").wait(1).end("Synthesis-01")
    found = growth.synthesis_that_holds(story.state)
    assert found is not None
    assert found.task.id == "Synthesis-01"

    story.tell(TaskRetried, task="T-02").start("T-02").wait(1).end("T-02")

    assert growth.synthesis_that_holds(story.state) is None


def test_a_revision_that_waits_is_told_with_what_it_asks_for() -> None:
    story = Story(*FIRST, replan="ask")
    story.tell(
        RevisionProposed, by="planner", revision=Revision(reason="more", cancel=(Change(task="T-02"),))
    )

    assert growthtables.variables(story.state)["proposal"] == {
        "by": "planner", "reason": "more", "parts": ["cancel T-02"], "left_out": 0,
    }  # fmt: skip
