from __future__ import annotations

from story import Story

from orchestrator.core import calls, rounds
from orchestrator.core.events import PlanRevised, TaskCancelled, TaskRetried


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
