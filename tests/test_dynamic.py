"""The dynamic loop against planners and workers that mean no good: bounded, explained, and taken up again."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from project import Project
from schemes import (
    LIMITS,
    SCHEMING,
    made,
    nothing_is_done_twice,
    play,
    refused,
    scheme,
    started,
    why,
)

pytestmark = pytest.mark.real

__all__ = ["nothing_is_done_twice"]


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
    assert done.status in (0, 4), "how many rounds it takes depends on which reports come together"
    assert set(project.statuses().values()) == {"completed"}
    assert "cancel T-01: it is completed" in refused(project)
    assert "cancel Plan-01: it belongs to the planning itself" in refused(project)


def test_a_planner_that_invents_ids_gets_none_of_them(project: Project) -> None:
    done = play(project, "invents")
    assert done.status == 4
    assert "T-99" not in project.statuses()
    assert "there is no task 'X-2'" in refused(project)


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
        assert f"- added T-{number - 1:02d} part" in asked, "what the same answer changed"
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
