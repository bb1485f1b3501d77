from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from rounds_of import FOUND, answer, ask, done, due, story
from story import Story

from orchestrator.core import calls, rounds
from orchestrator.core.events import (
    PlanRevised,
    RevisionProposed,
    RevisionRejected,
    TaskAnswered,
    TaskBlocked,
    TaskCancelled,
    TaskRetried,
)
from orchestrator.core.plan import Limits, Task
from orchestrator.core.report import Report
from orchestrator.core.revision import Change, Draft, Revision
from orchestrator.core.rounds import Wanted
from orchestrator.core.scheduler import Finish, Launch, Scheduler, Skip

# When the plan is looked at again


def test_a_run_without_tasks_begins_with_an_analysis_and_one_of_a_written_plan_does_not() -> None:
    assert due(story(0)) == Wanted("analysis")
    assert due(story(1)) is None


def test_a_plan_that_does_not_replan_is_never_looked_at_again() -> None:
    assert due(story(0, replan="off")) is None
    assert due(done(story(1, replan="off"), "T-01")) is None


def test_three_ended_tasks_are_taken_together_and_two_are_not_while_there_is_work() -> None:
    told = done(story(5), "T-01", "T-02")
    assert due(told) is None
    assert due(done(told, "T-03")) == Wanted("replanning", ("T-01", "T-02", "T-03"))


def test_one_report_is_enough_where_nothing_else_is_left_to_do() -> None:
    assert due(done(story(1), "T-01")) == Wanted("replanning", ("T-01",))


def test_a_report_waits_a_minute_for_others_that_run_and_no_longer() -> None:
    told = done(story(2).start("T-02"), "T-01")
    assert due(told) is None
    told.wait(rounds.PATIENCE - 1)
    assert due(told) is None
    assert due(told.wait(1)) == Wanted("replanning", ("T-01",))


def test_a_report_waits_on_where_something_can_be_launched() -> None:
    told = done(story(3).start("T-02"), "T-01").wait(2 * rounds.PATIENCE)
    assert due(told) is None, "T-03 is ready"


def test_plain_successes_alone_are_no_reason_to_plan() -> None:
    told = done(story(4), "T-01", "T-02", "T-03", report=Report(status="complete", summary="as asked"))
    assert due(told) is None


def test_there_are_never_two_planning_calls_at_once_and_running_tasks_go_on() -> None:
    told = done(story(7), "T-01", "T-02", "T-03").start("T-04")
    name = ask(told)
    done(told, "T-05", "T-06", "T-07")
    assert due(told) is None
    assert told.state.by_id["T-04"].running
    told.end("T-04", report=FOUND)
    assert due(answer(told, name)) == Wanted("replanning", ("T-05", "T-06", "T-07", "T-04"))


def test_what_was_considered_is_not_considered_again() -> None:
    told = done(story(1), "T-01")
    answer(told, ask(told))
    assert due(told) == Wanted("synthesis")


# Failures


def failing(**more: Any) -> Story:
    """T-01 has failed, T-02 needs it, T-03 has nothing to do with it."""
    tasks = (Task(id="T-01"), Task(id="T-02", needs=("T-01",)), Task(id="T-03"))
    return (
        Story(*tasks, **{"replan": "auto", **more}).start("T-01").wait(1).end("T-01", "ceiling", "it broke")
    )


def actions(told: Story) -> list[Any]:
    return Scheduler(told.state).decide(told.now.timestamp())


def test_dependents_of_a_failed_task_are_not_skipped_while_it_may_be_rescued_and_siblings_go_on() -> None:
    told = failing()
    assert rounds.may_be_rescued(told.state)
    assert actions(told) == [Launch("T-03", 1)]
    name = ask(done(told, "T-03")) or ""
    assert not any(isinstance(action, Skip) for action in actions(told)), "while the call is under way"
    answer(told, name, changes=())
    assert [type(action) for action in actions(told)] == [Skip], "nothing was done about it"


@pytest.mark.parametrize("limits", [{"max_rounds": 1}])
def test_dependents_are_skipped_where_a_bound_keeps_the_failed_task_from_being_planned_anew(
    limits: dict[str, Any],
) -> None:
    told = failing(limits=Limits(**limits))
    told.start("T-03").end("T-03")
    answer(told, ask(told), changes=())
    assert not rounds.may_be_rescued(told.state)
    assert actions(told) == [Skip("T-02", "dependency failed: it needs T-01, which failed")]


def test_without_replanning_dependents_are_skipped_at_once() -> None:
    assert Skip("T-02", "dependency failed: it needs T-01, which failed") in actions(failing(replan="off"))


def test_a_failed_task_is_planned_anew_even_when_the_planner_has_finished() -> None:
    told = done(story(2), "T-01")
    told.start("T-02")
    told.wait(rounds.PATIENCE)
    answer(told, ask(told), finish="all is there")
    told.end("T-02", "ceiling", "it broke")
    assert due(told) == Wanted("replanning", ("T-02",))


def escalating(**more: Any) -> Story:
    """T-01, about which a person is to be asked, has failed; T-02 needs it, T-03 comes after it."""
    tasks = (
        Task(id="T-01", on_failure="escalate", attempts=1),
        Task(id="T-02", needs=("T-01",)),
        Task(id="T-03", after=("T-01",)),
    )
    return Story(*tasks, **{"replan": "auto", **more}).start("T-01").wait(1).end("T-01", "error", "it broke")


def asked_about(told: Story) -> list[str]:
    return [task.task.id for task in rounds.to_escalate(told.state)]


def test_a_person_is_asked_about_a_failed_task_only_when_planning_anew_has_not_helped() -> None:
    told = done(escalating(), "T-03", report=None)
    assert (told.state.by_id["T-01"].status, asked_about(told)) == ("failed", [])
    name = ask(told)
    assert asked_about(told) == [], "while the call is under way"
    changed = Task(id="T-01", on_failure="escalate", attempts=1, model="opus")
    answer(told, name, tasks=(changed,), reassigned=("T-01",))
    assert actions(told) == [Launch("T-01", 2)]
    told.start("T-01").end("T-01", "error", "again")
    assert asked_about(told) == []
    answer(told, ask(told), changes=())
    assert asked_about(told) == ["T-01"]


def test_where_nothing_is_planned_anew_a_person_is_asked_at_once() -> None:
    assert escalating(replan="off").state.by_id["T-01"].status == "blocked"
    told = escalating(limits=Limits(max_rounds=0))
    assert asked_about(told) == ["T-01"]


def test_a_person_asked_about_a_failed_task_holds_up_what_waits_for_it_and_has_it_go_on() -> None:
    told = escalating().start("T-03")
    answer(told, ask(told.wait(rounds.PATIENCE)), changes=())
    told.end("T-03", "interrupted").tell(TaskBlocked, task="T-01", question="it broke; what now?")
    assert {task.task.id: task.status for task in told.state.tasks} == {
        "T-01": "blocked",
        "T-02": "waiting",
        "T-03": "waiting",
        "Plan-01": "completed",
    }
    assert actions(told) == [Finish(3, "waiting for a person")]
    told.tell(TaskAnswered, task="T-01", text="Try the other way.")
    assert actions(told) == [Launch("T-01", 2)]


def test_a_run_that_is_halted_rescues_nothing() -> None:
    told = failing()
    told.start("T-03").end("T-03", "no credit", "nothing is left")
    assert told.state.halted
    assert not rounds.may_be_rescued(told.state)


# Where it ends


def test_two_rounds_that_change_nothing_end_the_planning_with_their_reason() -> None:
    told = story(6)
    for names in (("T-01", "T-02", "T-03"), ("T-04", "T-05", "T-06")):
        name = ask(done(told, *names))
        told.end(name).tell(RevisionRejected, by="planner", source=name, reason="nothing holds")
    assert rounds.planning_is_over(told.state) == "diminishing returns: 2 rounds in a row changed nothing"
    assert due(told) == Wanted("synthesis")
    assert rounds.limit_reached(told.state) == "", "it is no limit"


def test_rounds_that_only_put_off_or_go_to_and_fro_are_in_vain() -> None:
    told = story(6)
    for at, names in enumerate((("T-01", "T-02", "T-03"), ("T-04", "T-05", "T-06"))):
        answer(done(told, *names), ask(told), changes=("put off T-07",), in_vain=True)
        assert told.state.replanning.in_vain == at + 1
    assert rounds.planning_is_over(told.state).startswith("diminishing returns")


def test_what_a_bound_leaves_unheard_is_named_and_stays_for_a_run_with_a_wider_one() -> None:
    told = done(story(1, limits=Limits(max_rounds=1)), "T-01")
    answer(told, ask(told), tasks=(Task(id="T-02"),))
    done(told, "T-02")
    assert due(told) == Wanted("synthesis"), "it considers nothing of what is left"
    name = ask(told, "synthesis")
    told.end(name).tell(RevisionRejected, by="planner", source=name, reason="joined")
    assert rounds.limit_reached(told.state) == "max_rounds of 1 is reached; not looked at: T-02"
    assert due(told) is None


def test_two_planning_calls_that_failed_are_not_followed_by_a_third() -> None:
    told = story(0)
    for _ in range(rounds.MOST_FAILED_CALLS):
        told.end(ask(told, "analysis"), "ceiling")
    assert due(told) is None
    assert rounds.planning_is_over(told.state) == "2 planning calls have failed"


def test_of_calls_that_failed_one_gets_fresh_attempts_first_the_last_that_plans() -> None:
    told = done(story(1), "T-01")
    for _ in range(rounds.MOST_FAILED_CALLS):
        told.end(ask(told), "ceiling")
    name = ask(told, "synthesis")
    told.end(name, "ceiling")
    assert rounds.to_retry(told.state) == ["Plan-02"]
    told.tell(TaskRetried, task="Plan-02").start("Plan-02")
    answer(told, "Plan-02")
    assert rounds.to_retry(told.state) == [name]


def test_a_synthesis_comes_when_all_has_ended_and_again_only_when_more_was_completed() -> None:
    told = done(story(1), "T-01", report=None)
    name = ask(told, "synthesis")
    told.end(name)
    told.tell(PlanRevised, by="planner", source=name, tasks=(Task(id="T-02"),), changes=("added T-02",))
    assert due(told) is None
    name = ask(done(told, "T-02", report=None), "synthesis")
    told.end(name).tell(RevisionRejected, by="planner", source=name, reason="joined")
    assert due(told) is None


def test_no_synthesis_is_made_of_a_run_that_waits_for_a_person() -> None:
    told = done(story(2), "T-01", report=None).start("T-02").end("T-02", "blocked", "which one?")
    assert told.state.by_id["T-02"].mark == "blocked"
    assert due(told) == Wanted("replanning", ("T-01", "T-02"))
    answer(told, ask(told), changes=())
    assert due(told) is None, "the planner had no answer either"


def test_only_the_first_synthesis_may_add() -> None:
    told = story(1)
    assert rounds.synthesis_may_add(told.state, 0)
    assert not rounds.synthesis_may_add(told.state, 1)
    assert not rounds.synthesis_may_add(story(1, replan="off").state, 0)


# Asking a person


def test_nothing_is_planned_while_a_revision_waits_for_a_person() -> None:
    told = done(story(1, replan="ask"), "T-01")
    name = ask(told)
    revision = Revision(add=(Draft(fields={"title": "more"}),))
    told.end(name).tell(RevisionProposed, revision=revision, by="planner", source=name, considered=("T-01",))
    assert due(told.wait(3600)) is None
    told.tell(PlanRevised, by="planner", source=name, tasks=(Task(id="T-02"),), changes=("added T-02",))
    assert told.state.replanning.proposed is None
    assert actions(told) == [Launch("T-02", 1)]


def test_a_question_about_the_whole_may_be_put_with_the_call_that_will_hear_the_answer() -> None:
    told = done(story(1), "T-01")
    name = ask(told)
    call = calls.call_task("replanning", "Plan-09", "Plan.")
    answer(told, name, tasks=(call,), asked={"Plan-09": "Which one?"}, call="replanning", changes=())
    assert told.state.by_id["Plan-09"].mark == "blocked"
    assert due(told) is None


def test_the_steps_of_recovery_are_told_apart() -> None:
    told = failing()
    changed = Task(id="T-01", model="opus")
    told.start("T-03").end("T-03")
    answer(told, ask(told), tasks=(changed,), reassigned=("T-01",), changes=("reassigned T-01: stronger",))
    assert told.state.replanning.reassigned == {"T-01"}
    assert actions(told) == [Launch("T-01", 2)]
    told.start("T-01").end("T-01", "ceiling", "again")
    parts = (Task(id="T-04"), Task(id="T-02", needs=("T-04",)))
    dropped = {"T-01": "split into T-04: smaller"}
    answer(told, ask(told), tasks=parts, dropped=dropped, changes=("split T-01 into T-04: smaller",))
    assert actions(told) == [Launch("T-04", 1)]
    assert [entry.changes for entry in told.state.replanning.history] == [
        ("reassigned T-01: stronger",),
        ("split T-01 into T-04: smaller",),
    ]


def test_the_minute_counts_from_the_oldest_report() -> None:
    told = story(3).start("T-03")
    done(told, "T-01").wait(40)
    done(told, "T-02").wait(20)
    assert due(told) == Wanted("replanning", ("T-01", "T-02"))
    assert rounds.wanted(told.state, told.now - timedelta(seconds=5)) is None


def test_a_cancelled_task_is_no_failure_to_be_rescued() -> None:
    told = story(2).tell(TaskCancelled, task="T-01")
    assert not rounds.may_be_rescued(told.state)


def test_a_change_of_a_task_is_kept_as_it_was_asked() -> None:
    told = done(story(1, replan="ask"), "T-01")
    revision = Revision(ask=(Change(task="T-01", question="Is it right?"),))
    told.tell(RevisionProposed, revision=revision, by="person")
    assert told.state.replanning.proposed is not None
    assert due(told) is None


def test_a_run_that_planned_no_task_has_not_completed() -> None:
    told = Story(replan="auto", verify=("make check",))
    for _ in range(2):
        call = calls.call_task("analysis", calls.call_id("analysis", told.state.by_id), "Plan it.")
        told.tell(PlanRevised, by="program", tasks=(call,), call="analysis").start(call.id).end(call.id)
        told.tell(RevisionRejected, by="planner", reason="not JSON", source=call.id)
    finish = Scheduler(told.state).decide(told.now.timestamp())
    assert finish == [
        Finish(1, "no task was planned: diminishing returns: 2 rounds in a row changed nothing")
    ]
