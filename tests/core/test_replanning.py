from __future__ import annotations

from story import Story

from orchestrator.core import calls, rounds
from orchestrator.core.events import PlanRevised, RevisionRejected, TaskAnswered, TaskCancelled, TaskRetried
from orchestrator.core.plan import Task


def asked() -> Story:
    """A run whose first planning call is under way."""
    story = Story(replan="auto")
    call = calls.call_task("analysis", "Plan-01", "Plan it.")
    return story.tell(PlanRevised, by="program", tasks=(call,), call="analysis").start("Plan-01")


def failed() -> Story:
    story = asked().end("Plan-01", "ceiling")
    assert story.state.by_id["Plan-01"].mark == "failed"
    return story


def due(story: Story) -> rounds.Wanted | None:
    return rounds.wanted(story.state, story.now)


def test_a_planning_call_that_failed_is_followed_by_another_one() -> None:
    story = failed()
    assert story.state.replanning.failed_calls == 1
    assert due(story) == rounds.Wanted("analysis")


def test_a_planning_call_that_a_person_cancels_holds_up_no_other() -> None:
    story = asked().end("Plan-01", "cancelled", ordered=True).tell(TaskCancelled, task="Plan-01")
    assert not rounds.may_be_rescued(story.state)
    assert due(story) == rounds.Wanted("analysis")


def test_a_planning_call_that_is_retried_is_the_open_one_again() -> None:
    story = failed().tell(TaskRetried, task="Plan-01")
    assert due(story) is None
    story.start("Plan-01").end("Plan-01")
    assert rounds.answered(story.state) == "Plan-01"
    assert story.state.replanning.failed_calls == 0


def test_an_analysis_that_only_asks_has_planned_nothing_yet() -> None:
    story = asked().end("Plan-01")
    call = calls.call_task("replanning", "Plan-02", "Plan it.")
    facts = {"tasks": (call,), "asked": {"Plan-02": "Which one?"}, "changes": ("asked a person: Which one?",)}
    story.tell(PlanRevised, by="planner", source="Plan-01", call="replanning", **facts)
    assert story.state.replanning.first is None
    story.tell(TaskAnswered, task="Plan-02", text="This one.").start("Plan-02").end("Plan-02")
    story.tell(PlanRevised, by="planner", source="Plan-02", tasks=(Task(id="T-01"),), changes=("added T-01",))
    assert story.state.replanning.first == 1


def test_what_came_of_an_answer_is_forgotten_when_its_call_is_made_again() -> None:
    story = (
        asked()
        .end("Plan-01")
        .tell(RevisionRejected, by="planner", source="Plan-01", reason="it says nothing")
    )
    assert story.state.replanning.fates["Plan-01"].word == "planned nothing"
    story.tell(TaskRetried, task="Plan-01").start("Plan-01").end("Plan-01")
    story.tell(PlanRevised, by="planner", source="Plan-01", tasks=(Task(id="T-01"),), changes=("added T-01",))
    assert story.state.replanning.fates == {}
