from __future__ import annotations

from story import START, Story

from orchestrator.core import plandiff
from orchestrator.core.learning import Learned
from orchestrator.core.plan import Limits, Task
from orchestrator.core.plandiff import Ahead, Line, PlanDiff
from orchestrator.core.revising import revised
from orchestrator.core.revision import Change, Draft, Revision
from orchestrator.core.spending import Spending
from orchestrator.core.workers import GENERAL

TYPES = {"general": GENERAL}


def shell(name: str, estimate: str = "10m", **fields: object) -> Task:
    return Task(id=name, cli="shell", run="true", estimate=estimate, **fields)  # type: ignore[arg-type]


def diff(story: Story, revision: Revision, learned: Learned | None = None) -> PlanDiff:
    """What a person's revision changes."""
    state, learned = story.state, learned or Learned()
    found = revised(state, revision, TYPES, "person")
    before, plan = plandiff.ahead(state, learned), state.plan
    assert plan is not None
    state.apply(plandiff.as_event(state, revision, found, "person", TYPES, START))
    assert state.plan is not None
    return PlanDiff(plandiff.changed_tasks(plan, state.plan, found), before, plandiff.ahead(state, learned))


def test_only_what_is_still_to_be_done_counts() -> None:
    story = Story(shell("A"), shell("B", needs=("A",)), shell("C", needs=("B",)))
    story.start("A").end("A")

    assert plandiff.ahead(story.state, Learned()) == Ahead(
        tasks=2, critical_path=["B", "C"], critical_seconds=1200.0, expected_seconds=1200.0, cost_usd=0.0
    )


def test_every_kind_of_change_has_its_sign() -> None:
    story = Story(shell("A"), shell("B"), shell("C", priority="P1"), limits=Limits(max_tasks=3))
    revision = Revision(
        add=(
            Draft(fields={"title": "New", "cli": "shell", "run": "true", "priority": "P0", "needs": ["C"]}),
            Draft(fields={"title": "Late", "cli": "shell", "run": "true", "priority": "P3"}),
        ),
        cancel=(Change(task="A", reason="not needed"),),
        reorder=(Change(task="C", priority="P0"),),
        ask=(Change(task="B", question="Which one?"),),
    )

    lines = diff(story, revision).tasks

    assert [(line.sign, line.task) for line in lines] == [
        *(("-", "A"), ("~", "C"), ("+", "T-01"), ("+", "T-02"), ("!", "T-02"), ("?", "B"))
    ]
    told = {(line.sign, line.task): line.text for line in lines}
    assert told["-", "A"] == "A: cancelled by a revision: not needed"
    assert told["~", "C"] == "priority P1 -> P0"
    assert told["+", "T-01"] == "New (shell; P0; needs C)"
    assert "max_tasks of 3 is reached" in told["!", "T-02"]
    assert told["?", "B"] == "Which one?"


def test_money_is_estimated_from_what_workers_cost_before() -> None:
    story = Story(Task(id="A", worker="code-developer"))
    learned = Learned(spent={"code-developer": Spending(attempts=2, usd=3.0)})

    found = diff(story, Revision(add=(Draft(fields={"title": "More"}),)), learned)

    assert found.before.cost_usd == 1.5
    assert found.after.cost_usd == 1.74


def test_a_diff_is_told_in_lines() -> None:
    before = Ahead(1, ["A"], 60.0, 60.0, 0.24)
    after = Ahead(2, ["A", "T-01"], 120.0, 120.0, 0.48)

    assert list(plandiff.told(PlanDiff([Line("+", "T-01", "New (general; P2)")], before, after))) == [
        "+ T-01 New (general; P2)",
        "tasks ahead: 1 -> 2",
        "critical path: 1m 00s (A) -> 2m 00s (A T-01)",
        "expected: 1m 00s -> 2m 00s",
        "estimated cost: $0.24 -> $0.48",
    ]
