"""Planners whose answers are no plan, are refused or say nothing, and an API that does not answer: what comes of it."""

from __future__ import annotations

from itertools import cycle

import pytest
from project import Project, shell, until
from schemes import (
    made,
    master_plan,
    nothing_is_done_twice,
    play,
    refused,
    row,
    scheme,
    started,
    why,
)

__all__ = ["nothing_is_done_twice"]

pytestmark = pytest.mark.real


def test_a_planner_that_answers_no_plan_is_asked_twice_and_no_more(project: Project) -> None:
    answers = {
        "garbage": "no structured output was given",
        "wrong_types": "must be string",
        "nothing": "must have the properties",
        "wrapped": "must have the properties",
        "own_ids": "must not be there",
        "nested": "must be string",
    }
    done = play(project, "+".join(answers))
    assert done.status == 1
    assert started(project) == {"Plan-01": 3, "Plan-02": 3}, "each with all its attempts"
    told = [event["reason"] for event in project.events("AttemptFinished")]
    for reason, said in zip(cycle(answers.values()), told, strict=False):
        assert reason in said
    assert told[2] in done.out
    assert told[5] in done.out
    assert "2 planning calls have failed" in done.out


def test_a_planner_whose_answers_are_too_long_is_told_so_and_asked_twice(project: Project) -> None:
    done = play(project, "huge")
    assert (done.status, started(project)) == (1, {"Plan-01": 1, "Plan-02": 1})
    assert "the answer is longer than 1,048,576 characters" in done.err
    assert [event["cost_usd"] for event in project.events("AttemptFinished")] == [0.01, 0.01]


def test_a_planning_call_that_failed_and_was_made_good_by_another_leaves_a_completed_run(
    project: Project,
) -> None:
    (project.folder / "checked").touch()
    done = play(project, "recovers", verify=["test -e checked"])
    assert (done.status, why(project)) == (0, "completed")
    assert project.outcomes("Plan-01") == ["invalid output"] * 3
    assert project.events("PlanVerified")[-1]["passed"]


def test_a_planning_call_that_failed_is_made_good_by_a_retry(project: Project) -> None:
    done = play(project, "recovers_late")
    assert done.status == 1
    assert project.do("retry", "Plan-02").status == 0
    done = project.run()
    assert (done.status, why(project)) == (0, "completed")


def test_of_planning_calls_that_failed_only_the_last_is_made_again(project: Project) -> None:
    done = play(project, "garbage")
    assert done.status == 1
    assert "retry Plan-02 " in done.out
    scheme(project, "sane")
    both = project.do("retry", "Plan-01", "Plan-02")
    assert both.status == 2
    assert "Plan-01, Plan-02: there is one planning call at a time" in both.err
    assert project.do("retry", "--failed").status == 0

    assert project.run().status == 0

    assert started(project)["Plan-01"] == 3, "its work was done by the other"
    assert project.statuses()["Plan-01"] == "failed"


def test_a_plan_that_is_not_planned_any_more_does_not_fail_by_its_planning_calls(project: Project) -> None:
    own = [shell("A", "true"), shell("B", "exit 3", attempts=1)]
    scheme(project, "garbage")
    project.plan(*own, replan="auto")
    assert project.run().status == 4
    assert "failed" in {status for name, status in project.statuses().items() if name.startswith("Plan-")}
    project.plan(shell("A", "true"), shell("B", "true"), replan="off")
    done = project.run()
    assert (done.status, why(project)) == (0, "completed")


def test_a_planner_is_told_what_was_refused_before_it_is_believed_to_be_finished(project: Project) -> None:
    done = play(project, "finishes_badly")
    assert (done.status, why(project)) == (0, "completed")
    assert "it waits for 'X-1', which there is not" in refused(project)
    assert len(made(project)) == 1


def test_a_report_about_which_the_planner_was_refused_is_told_once_more_with_what_was_refused(
    project: Project,
) -> None:
    done = play(project, "corrects")
    assert (done.status, why(project)) == (0, "completed")
    assert made(project) == ["T-01", "T-02"]
    prompt = (project.workspace / "attempts" / "Plan-03.1" / "prompt.md").read_text()
    assert "more by T-01" in prompt
    assert "it waits for 'X-1', which there is not" in prompt
    assert started(project) == dict.fromkeys(
        ["Plan-01", "T-01", "Plan-02", "Plan-03", "T-02", "Synthesis-01"], 1
    )
    assert "refused" in row(project, "Plan-02")
    assert "completed" not in row(project, "Plan-02")


def test_what_is_refused_twice_is_listed_at_the_end_and_not_told_a_third_time(project: Project) -> None:
    done = play(project, "insists")
    assert (done.status, why(project)) == (0, "completed")
    assert started(project) == dict.fromkeys(["Plan-01", "T-01", "Plan-02", "Plan-03", "Synthesis-01"], 1)
    told = "told twice and refused twice, so nothing follows from: T-01 (add 'lost 3': it waits for 'X-1'"
    assert told in done.out
    assert told in project.do("status").out
    assert list(project.document()["run"]["growth"]["given_up"]) == ["T-01"]
    assert "Nothing follows from the report of T-01" in (project.workspace / "final_output.md").read_text()
    assert "planned for it refused twice\n\n- T-01" in master_plan(project)


def test_an_answer_that_says_nothing_is_told_apart_from_one_that_planned_something(project: Project) -> None:
    done = play(project, "falls_silent")
    assert (done.status, made(project)) == (0, ["T-01"])
    assert "planned nothing" in row(project, "Plan-02")
    assert "it says nothing" in row(project, "Plan-02")
    assert "nothing is changed: it says nothing" in done.err
    (told,) = [line for line in master_plan(project).splitlines() if line.startswith("| Plan-02 ")]
    assert "planned nothing" in told
    assert "answered, it says nothing" in told
    (task,) = [task for task in project.document()["tasks"] if task["id"] == "Plan-02"]
    assert task["reason"] == "planned nothing: it says nothing"


def test_an_analysis_that_plans_no_task_is_asked_for_once_more_and_is_no_success(project: Project) -> None:
    done = play(project, "plans_nothing")
    assert done.status == 1
    assert why(project) == "no task was planned: diminishing returns: 2 rounds in a row changed nothing"
    assert started(project) == {"Plan-01": 1, "Plan-02": 1}
    assert "planned nothing" in row(project, "Plan-01")


def test_what_stands_for_nothing_in_an_answer_is_taken_for_nothing(project: Project) -> None:
    done = play(project, "fills_in")
    assert (done.status, made(project)) == (0, ["T-01"])
    assert "N/A" not in done.out, "no reason for which planning would have ended"
    assert "add[0].title says nothing" in refused(project)
    prompt = (project.workspace / "attempts" / "T-01.1" / "prompt.md").read_text()
    assert "none" not in prompt, "no decision of the orchestrator that all are told"


# An API that does not answer

GROWN = ["Plan-01", "T-01", "T-02", "Plan-02", "T-03", "Plan-03", "Synthesis-01"]


def test_a_planning_call_at_a_usage_limit_is_parked_and_goes_on_after_the_reset(project: Project) -> None:
    project.environment["TROUBLE"] = "Plan-02:limited"
    scheme(project, "grows", limits={"parallelism": 1})
    run = project.start("run", "plan.yaml")
    until(lambda: project.events("LaunchesPaused"), "the pause")
    held, status = project.document()["run"]["holding"], project.do("status").out
    assert project.finish(run).status == 0
    assert (held["reason"], bool(held["until"])) == ("the usage limit is reached", True)
    assert "holding: the usage limit is reached, until " in status
    check_that_all_grew_and_was_paid_once(project, "Plan-02", ["usage limited", "success"])


@pytest.mark.parametrize(("kind", "outcome"), [("overloaded", "overloaded"), ("unreachable", "unreachable")])
def test_a_planning_call_that_the_api_does_not_answer_is_made_again_and_uses_up_nothing(
    project: Project, kind: str, outcome: str
) -> None:
    project.environment["TROUBLE"] = f"Plan-02:{kind}"
    assert play(project, "grows", limits={"parallelism": 1}).status == 0
    check_that_all_grew_and_was_paid_once(project, "Plan-02", [outcome, outcome, "success"])


def test_a_planning_call_without_a_login_ends_the_run_which_goes_on_with_it_later(project: Project) -> None:
    project.environment["TROUBLE"] = "Plan-02:logged_out"
    done = play(project, "grows", limits={"parallelism": 1})
    assert done.status == 5
    assert "stopped: authentication: Not logged in · Please run /login; when that is settled: " in done.out
    assert "stopped: authentication: Not logged in · Please run /login" in project.do("status").out
    assert project.run().status == 0
    check_that_all_grew_and_was_paid_once(project, "Plan-02", ["authentication"] * 2 + ["success"])


def check_that_all_grew_and_was_paid_once(project: Project, call: str, outcomes: list[str]) -> None:
    """The plan of the scheme `grows`, where one call was made as often as it was, and answered once."""
    assert project.outcomes(call) == outcomes
    assert started(project) == dict.fromkeys(GROWN, 1) | {call: len(outcomes)}
    assert set(project.statuses().values()) == {"completed"}
    growth = project.document()["run"]
    assert growth["cost_usd"] == pytest.approx(0.01 * len(GROWN))
    assert growth["growth"]["rounds"] == 3
