from __future__ import annotations

from typing import Any

from rounds_of import answer, ask, done, due, story
from story import Story

from orchestrator.core import calls, rounds
from orchestrator.core.events import Origin, PlanRevised, RevisionRejected, TaskAnswered, TaskRetried
from orchestrator.core.plan import Task
from orchestrator.core.rounds import Wanted


def refuse(told: Story, what: str = "add 'more': there is no worker type 'x'") -> Story:
    """The planning call that is due is answered with what cannot be."""
    name = ask(told)
    told.end(name)
    again = told.state.replanning.untold(name)
    return told.tell(RevisionRejected, by="planner", source=name, reason=what, refused=(what,), again=again)


def test_what_a_refused_answer_considered_is_told_once_more_with_what_was_refused() -> None:
    told = done(story(1), "T-01")
    refuse(told)
    assert due(told) == Wanted("replanning", ("T-01",))
    assert told.state.replanning.refused == ("add 'more': there is no worker type 'x'",)
    assert told.state.replanning.in_vain == 0, "the answer to what is told again decides"


def test_what_was_refused_twice_is_not_told_a_third_time_and_stays_in_the_listing() -> None:
    told = refuse(done(story(1), "T-01"))
    refuse(told, what="add 'more': a planner cannot set 'run'")
    assert due(told) == Wanted("synthesis")
    assert told.state.replanning.given_up == {"T-01": "add 'more': a planner cannot set 'run'"}
    assert told.state.replanning.in_vain == 1


def test_a_planner_that_needs_no_change_when_it_is_told_again_has_given_nothing_up() -> None:
    told = refuse(done(story(1), "T-01"))
    name = ask(told)
    told.end(name).tell(RevisionRejected, by="planner", source=name, reason="then it stays as it is")
    assert due(told) == Wanted("synthesis")
    assert told.state.replanning.given_up == {}


def test_what_was_given_up_is_taken_off_the_listing_by_whatever_takes_it_up() -> None:
    told = refuse(refuse(done(story(2), "T-01", "T-02")))
    assert list(told.state.replanning.given_up) == ["T-01", "T-02"]
    told.tell(
        PlanRevised, by="person", tasks=(Task(id="T-03"),), origins={"T-03": Origin(1, "T-01")},
        changes=("added T-03",),
    )  # fmt: skip
    assert list(told.state.replanning.given_up) == ["T-02"]


def test_only_what_a_call_was_told_is_done_with_and_not_what_was_heard_since() -> None:
    told = done(story(2), "T-01").start("T-02").wait(rounds.PATIENCE)
    name = ask(told)
    told.tell(TaskRetried, task="T-01").wait(1)
    done(told, "T-01")
    answer(told, name)
    assert list(told.state.replanning.news) == ["T-01"], "its second report"


def test_the_call_that_is_told_the_answer_to_a_question_is_told_the_same_reports() -> None:
    told = done(story(1), "T-01")
    name = ask(told)
    call = calls.call_task("replanning", "Plan-09", "Plan.")
    more: dict[str, Any] = {"tasks": (call,), "asked": {"Plan-09": "Which one?"}, "call": "replanning"}
    answer(told, name, considered=("T-01",), changes=("asked a person: Which one?",), **more)
    assert list(told.state.replanning.news) == ["T-01"]
    told.tell(TaskAnswered, task="Plan-09", text="This one.").start("Plan-09")
    answer(told, "Plan-09")
    assert told.state.replanning.news == {}


def test_a_change_by_a_person_leaves_what_the_planner_is_told_of_its_own_answer() -> None:
    told = refuse(done(story(1), "T-01"))
    told.tell(PlanRevised, by="person", tasks=(Task(id="T-09"),), changes=("added T-09",))
    assert told.state.replanning.refused == ("add 'more': there is no worker type 'x'",)


def test_only_what_was_refused_is_told_as_refused() -> None:
    told = done(story(1), "T-01")
    name = ask(told)
    told.end(name).tell(RevisionRejected, by="planner", source=name, reason="all is well")
    assert told.state.replanning.refused == ()
