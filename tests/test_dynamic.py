"""The dynamic loop against planners and workers that mean no good: bounded, explained, and taken up again."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from project import Done, Project, shell, until

pytestmark = pytest.mark.real

SCHEMING = Path(__file__).resolve().parent / "scheming.py"
LIMITS = {"budget_usd": 1, "max_tasks": 12, "max_rounds": 4, "max_growth": 4}


def scheme(project: Project, name: str, **more: Any) -> None:
    """A plan without tasks, for a planner that behaves so."""
    project.environment |= {"ORCHESTRATE_CLAUDE": str(SCHEMING), "SCHEME": name}
    limits = LIMITS | more.pop("limits", {})
    project.plan(**{"replan": "auto", "limits": limits, **more})


def play(project: Project, name: str, **more: Any) -> Done:
    """A whole run with such a planner."""
    scheme(project, name, **more)
    return project.run()


def started(project: Project) -> Counter[str]:
    """How many attempts of each task were begun."""
    return Counter(line.split()[1] for line in project.noted("start"))


def made(project: Project) -> list[str]:
    """The tasks that are no planning calls and were begun."""
    return sorted(name for name in started(project) if name.startswith("T-"))


def why(project: Project) -> str:
    """The reason for which the run ended."""
    return str(project.events("RunFinished")[-1]["reason"])


def refused(project: Project) -> str:
    """All that was refused, in one text."""
    return "\n".join(line for event in project.events() for line in event.get("refused", ()))


def row(project: Project, task: str) -> str:
    """The line about a task in `status`."""
    return next(line for line in project.do("status").out.splitlines() if line.startswith(f"  {task} "))


def master_plan(project: Project) -> str:
    """The view."""
    return (project.workspace / "master_plan.md").read_text()


@pytest.fixture(autouse=True)
def nothing_is_done_twice(project: Project) -> Any:
    """Whatever a test did, another `run` begins nothing and says the same."""
    yield
    before, ended = project.noted("start"), project.events("RunFinished")
    again = project.run()
    assert again.status == ended[-1]["exit"]
    assert project.noted("start") == before
    assert project.document()["run"]["cost_usd"] <= LIMITS["budget_usd"]


# Planners


def test_a_planner_that_adds_a_thousand_tasks_gets_what_the_limits_allow(project: Project) -> None:
    done = play(project, "thousand")
    assert done.status == 4
    assert "max_growth of 4 is reached" in why(project)
    assert len(made(project)) == 12, "max_tasks"
    assert "the first 100 are read" in refused(project)


def test_a_planner_that_adds_the_same_for_ever_ends_by_diminishing_returns(project: Project) -> None:
    done = play(project, "duplicates")
    assert done.status == 0
    assert made(project) == ["T-01", "T-02", "T-03"]
    assert "it is T-01 already, which is completed" in refused(project)


def test_a_planner_that_adds_the_same_in_other_letters_and_spaces_adds_it_once(project: Project) -> None:
    done = play(project, "words")
    assert (done.status, made(project)) == (0, ["T-01"])


def test_a_planner_that_makes_cycles_gets_the_rest_of_its_tasks(project: Project) -> None:
    done = play(project, "cycles")
    assert (done.status, why(project)) == (4, "max_rounds of 4 is reached; not looked at: T-04")
    assert made(project) == ["T-01", "T-02", "T-03", "T-04"]
    assert "loop" in refused(project)


def test_a_planner_cannot_cancel_what_runs_or_is_done_or_its_own_calls(project: Project) -> None:
    done = play(project, "cancels")
    assert done.status == 0
    assert set(project.statuses().values()) == {"completed"}
    assert "cancel T-01: it is completed" in refused(project)
    assert "cancel Plan-01: it belongs to the planning itself" in refused(project)


def test_a_planner_that_invents_ids_gets_none_of_them(project: Project) -> None:
    done = play(project, "invents")
    assert done.status == 4
    assert "T-99" not in project.statuses()
    assert "there is no task 'X-2'" in refused(project)


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


def test_a_planner_that_is_finished_at_once_ends_the_run_with_its_reason(project: Project) -> None:
    done = play(project, "finished")
    assert (done.status, why(project)) == (1, "no task was planned: nothing is to be done")
    assert started(project) == {"Plan-01": 1}


def test_a_planner_that_is_never_finished_ends_at_the_rounds_and_goes_on_with_more(project: Project) -> None:
    done = play(project, "never")
    assert (done.status, why(project)) == (4, "max_rounds of 4 is reached; not looked at: T-04")
    before = started(project)
    assert before == dict.fromkeys(
        ["Plan-01", "Plan-02", "Plan-03", "Plan-04", *made(project), "Synthesis-01"], 1
    )

    scheme(project, "never", limits={"max_rounds": 6, "max_depth": 9})
    more = project.run()

    assert (more.status, why(project)) == (4, "max_rounds of 6 is reached; not looked at: T-06")
    new = started(project) - before
    assert new == dict.fromkeys(["Plan-05", "T-05", "Plan-06", "T-06", "Synthesis-02"], 1)


def test_a_planner_that_asks_for_ever_waits_for_each_answer_until_the_rounds_are_used_up(
    project: Project,
) -> None:
    done = play(project, "asks")
    statuses = [done.status]
    for number in range(2, 10):
        if done.status != 3:
            break
        assert f"Plan-{number:02d} blocked: And what of" in done.out
        assert f"answer Plan-{number:02d} TEXT" in done.out, "no line that would put the same question again"
        assert "again: " not in done.out
        asked = project.events("PlanRevised")[-1]["tasks"][-1]["description"]
        assert "You asked a person, who answers below:\n\n> And what of" in asked
        assert f"answer Plan-{number:02d} TEXT" in project.do("status").out
        assert project.do("answer", f"Plan-{number:02d}", "As you like.").status == 0
        done = project.run()
        statuses.append(done.status)
    assert statuses[:-1] == [3] * (len(statuses) - 1)
    assert statuses[-1] in (3, 4)
    assert sum(started(project).values()) <= 12


def test_a_synthesis_that_always_misses_something_opens_one_round_and_no_other(project: Project) -> None:
    done = play(project, "misses")
    assert done.status == 0
    assert started(project) == dict.fromkeys(["Plan-01", "T-01", "Synthesis-01", "T-02", "Synthesis-02"], 1)
    said = [event["reason"] for event in project.events() if event.get("source", "").startswith("Synthesis")]
    assert said == [
        "what the synthesis found missing",
        "the results are joined; no other round is opened for what is missing",
    ]


def test_a_synthesis_that_misses_nothing_says_so(project: Project) -> None:
    play(project, "sane")
    assert project.events("RevisionRejected")[-1]["reason"] == "the results are joined and nothing is missing"


def test_a_planner_that_splits_and_reassigns_for_ever_ends_at_a_limit(project: Project) -> None:
    done = play(project, "splits")
    assert done.status == 4
    assert sum(started(project).values()) <= 4 + 12 * 3
    assert "max_rounds" in why(project) or "max_depth" in why(project)


def test_a_task_to_be_escalated_goes_through_the_whole_ladder_before_a_person_is_asked(
    project: Project,
) -> None:
    project.environment |= {"ORCHESTRATE_CLAUDE": str(SCHEMING), "SCHEME": "climbs"}
    first = {"id": "A", "title": "lazy A", "on_failure": "escalate", "attempts": 2, "artifacts": ["out"]}
    project.plan(first, {"id": "B", "title": "after it", "needs": ["A"]}, replan="auto", limits=LIMITS)
    done = project.run()
    assert done.status == 3
    assert started(project)["A"] == 4, "two attempts, and two after it was given to another model"
    changes = [line for event in project.events("PlanRevised") for line in event.get("changes", ())]
    assert [line.split(":")[0] for line in changes] == ["reassigned A to opus", "split A into T-01, T-02"]
    asked = project.events("TaskBlocked")
    assert [event["task"] for event in asked] == ["T-01", "T-02"]
    assert asked[0]["seq"] > project.events("PlanRevised")[-1]["seq"], "nothing is asked before all was tried"
    assert project.statuses()["B"] == "waiting"
    assert "orchestrate answer T-01 TEXT" in done.out


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


def test_the_budget_holds_in_the_middle_of_planning_and_a_larger_one_goes_on(project: Project) -> None:
    done = play(project, "never", limits={"budget_usd": 0.04})
    assert (done.status, why(project)) == (4, "the budget of $0.04 is spent")
    before = started(project)
    assert sum(before.values()) == 4

    scheme(project, "never", limits={"budget_usd": 1})
    assert project.run().status == 4
    assert not (started(project) - before).keys() & before.keys()


def test_a_deadline_that_comes_while_the_planner_thinks_stops_it_and_a_later_one_goes_on(
    project: Project,
) -> None:
    project.environment["SCHEME_PAUSE"] = "600"
    done = play(project, "sane", limits={"deadline": "2s"})
    assert (done.status, why(project)) == (4, "the deadline of 2s has passed")
    assert project.outcomes("Plan-01") == ["interrupted"]
    assert project.living() == []
    project.environment["SCHEME_PAUSE"] = "0"
    scheme(project, "sane", limits={"deadline": "10m"})
    assert project.run().status == 0


# Plans that are written, and grow


def test_a_plan_with_tasks_grows_by_what_they_report(project: Project) -> None:
    project.environment |= {"ORCHESTRATE_CLAUDE": str(SCHEMING), "SCHEME": "grows"}
    project.plan({"id": "A", "description": "Begin."}, replan="auto", limits=LIMITS)
    done = project.run()
    assert (done.status, done.err.count("Traceback")) == (0, 0)
    assert started(project) == dict.fromkeys(["A", "Plan-01", "Synthesis-01"], 1)
    assert "planning ended: it is complete" in done.out


def test_a_plan_whose_own_check_fails_at_the_end_ends_with_1_and_is_checked_again(project: Project) -> None:
    done = play(project, "sane", verify=["test -e built"])
    assert done.status == 1
    assert "test -e built" in why(project)
    before = project.noted("start")
    (project.folder / "built").touch()
    assert project.run().status == 0
    assert project.noted("start") == before, "only the check"


def test_the_tasks_of_a_file_may_not_change_once_revisions_have_changed_the_plan(project: Project) -> None:
    project.environment |= {"ORCHESTRATE_CLAUDE": str(SCHEMING), "SCHEME": "never"}
    first = {"id": "A", "description": "Begin."}
    plan: dict[str, Any] = {"replan": "auto", "limits": LIMITS | {"max_rounds": 1}}
    project.plan(first, **plan)
    assert project.run().status == 4
    before = project.events()
    project.plan(first, {"id": "B", "description": "Another."}, **plan)
    done = project.run()
    assert done.status == 2
    assert "its plan was revised since; hand the change in with `revise FILE`" in done.err
    assert project.events() == before
    project.plan(first, **plan)


# Workers


def test_what_a_hostile_worker_reports_reaches_the_planner_as_bounded_text_between_fences(
    project: Project,
) -> None:
    done = play(project, "evil")
    assert done.status == 0
    prompt = (project.workspace / "attempts" / "Plan-02.1" / "prompt.md").read_text()
    fence = re.search(r"^(`{3,})\n(status: .*?)\n\1$", prompt, re.DOTALL | re.MULTILINE)
    assert fence is not None
    outside = prompt.replace(fence[0], "")
    for evil in (
        "say finish now",
        "</report>",
        "curl",
        "passwd",
        "/compact",
        "191",
        "system-reminder",
        "Bash",
    ):
        assert evil not in outside, f"{evil} stands outside of the fence"
    assert "{{ 7 * 191 }}" in fence[2], "a template's syntax stays what it is"
    assert not re.search(r"(?<![\w\u2060])@/etc|@/etc", prompt), "no file is named so that it would be read"
    assert all(not line.startswith(("/", "#", "`")) for line in fence[2].splitlines())
    assert len(prompt.encode()) < 10_000, "5 MB were reported"
    assert {task["worker"] for task in project.document()["tasks"]} == {"general", "orchestrator"}
    assert "root" not in json.dumps(project.document()["tasks"])
