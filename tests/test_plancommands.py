"""The commands of plans that grow, as typed: auto, revise, approve, reject, and waiting for discoveries."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from planned import DELIVERED, FIRST, ONE, answers, report
from project import HOLD, Done, Project, note, shell, until

pytestmark = pytest.mark.real


def revise(project: Project, *words: str, **revision: Any) -> Done:
    """`revise` with a file that says so."""
    (project.folder / "change.yaml").write_text(json.dumps(revision))
    return project.do("revise", "change.yaml", *words)


# auto


def test_auto_plans_works_and_joins_the_results(project: Project) -> None:
    answers(project, Plan_01=FIRST, T_01=report("It is one."), Synthesis_01=DELIVERED)
    done = project.do("auto", "Find the one", "--budget", "5", "--verify", "test -d .")
    assert done.status == 0, done
    assert project.statuses() == {"Plan-01": "completed", "T-01": "completed", "Synthesis-01": "completed"}
    plan = yaml.safe_load((project.workspace / "plan.yaml").read_text())
    assert plan["limits"] == {
        "budget_usd": 5,
        "deadline": "8h",
        "max_tasks": 50,
        "max_rounds": 10,
        "max_depth": 4,
    }
    assert (plan["replan"], plan["verify"], plan["tasks"]) == ("auto", ["test -d ."], [])
    again = project.do("run")
    assert (again.status, "nothing to do" in again.out) == (0, True)
    assert len(project.noted("start")) == 3


def test_auto_without_a_budget_names_a_sensible_one_and_leaves_everything(project: Project) -> None:
    done = project.do("auto", "Find the one", "--max-tasks", "30")
    assert done.status == 2
    assert "--budget 10" in done.err
    assert not project.workspace.exists()


@pytest.mark.parametrize(
    "words", [["--deadline", "soon"], ["--deadline", "0s"], ["--budget", "inf"], ["--verify", " "]]
)
def test_auto_refuses_what_no_plan_can_hold(project: Project, words: list[str]) -> None:
    done = project.do("auto", "Find the one", "--budget", "5", *words)
    assert done.status == 2
    assert not (project.workspace / "plan.yaml").exists()


def test_auto_takes_the_request_as_it_is(project: Project) -> None:
    answers(project, Plan_01={"finish": "nothing to do", "reason": "it is done"})
    request = "* {a}: 'b' # c\n\"d\" %s"
    project.do("auto", request, "--budget", "5", "--ask")
    plan = yaml.safe_load((project.workspace / "plan.yaml").read_text())
    assert (plan["request"], plan["replan"]) == (request, "ask")


def test_auto_leaves_an_unfinished_run_alone_unless_told(project: Project) -> None:
    answers(project, Plan_01=FIRST, T_01=report("It is one."), Synthesis_01=DELIVERED)
    project.do("auto", "Find the one", "--budget", "5", "--ask")
    before = (project.workspace / "plan.yaml").read_text()
    refused = project.do("auto", "Another", "--budget", "5")
    assert (refused.status, "unfinished" in refused.err) == (2, True)
    assert (project.workspace / "plan.yaml").read_text() == before
    assert project.do("auto", "Another", "--budget", "5", "--new").status == 0
    assert len(list((project.workspace / "archive").iterdir())) == 1


@pytest.mark.parametrize("words", [("run", "--new"), ("auto", "Find the one", "--budget", "7", "--new")])
def test_a_run_that_begins_anew_says_what_the_one_before_cost_and_that_it_has_its_own_budget(
    project: Project, words: tuple[str, ...]
) -> None:
    answers(project, Plan_01=FIRST, T_01=report("It is one."), Synthesis_01=DELIVERED)
    project.do("auto", "Find the one", "--budget", "5")
    assert project.document()["run"]["cost_usd"] == 0.75

    done = project.do(*words)

    assert "that run cost $0.75 (the CLI's own estimate); the new one takes nothing over from it" in done.err
    budget = "$5.00" if words[0] == "run" else "$7.00"
    assert f"counts from $0.00, up to its own budget of {budget}" in done.err
    assert project.document()["run"]["cost_usd"] == 0.75


def test_auto_needs_the_claude_program_before_anything_is_archived(project: Project) -> None:
    project.plan(shell("A", "true"))
    project.run()
    done = project.do("auto", "Another", "--budget", "5", "--claude", "/no/claude")
    assert done.status == 5
    assert not (project.workspace / "archive").exists()


# approve and reject


@pytest.fixture
def asking(project: Project) -> Project:
    """A run whose first revision waits."""
    answers(project, Plan_01=FIRST, T_01=report("It is one."), Synthesis_01=DELIVERED)
    done = project.do("auto", "Find the one", "--budget", "5", "--ask")
    assert done.status == 3, done
    return project


def test_an_approved_revision_holds_and_the_run_goes_on(asking: Project) -> None:
    done = asking.do("approve")
    assert done.status == 0
    assert "+ T-01 One (general; P2)" in done.out
    assert "tasks ahead: 0 -> 1" in done.out
    assert "go on with:" in done.out
    assert asking.statuses()["T-01"] == "pending"
    assert asking.do("run").status == 0
    again = asking.do("approve")
    assert (again.status, "no revision waits" in again.err) == (2, True)


def test_a_rejected_revision_is_gone_with_its_reason(asking: Project) -> None:
    assert asking.do("reject", "not that").status == 0
    assert asking.events("RevisionRejected")[0]["reason"] == "not that"
    assert list(asking.statuses()) == ["Plan-01"]
    assert "Plan-01  🚫 rejected" in asking.do("status").out
    assert asking.do("reject").status == 2


def test_a_revision_of_which_nothing_holds_is_not_put_before_a_person(project: Project) -> None:
    lost = FIRST | {"add": [ONE | {"needs": ["X-1"]}]}
    answers(project, Plan_01=lost, Plan_02=FIRST)

    done = project.do("auto", "Find the one", "--budget", "5", "--ask")

    assert done.status == 3
    assert [event["source"] for event in project.events("RevisionProposed")] == ["Plan-02"]
    assert (
        "it waits for 'X-1', which there is not"
        in (project.workspace / "attempts" / "Plan-02.1" / "prompt.md").read_text()
    )
    assert "Plan-01  ❌ refused" in project.do("status").out


def test_what_could_not_be_read_of_a_revision_is_still_told_when_it_is_approved(project: Project) -> None:
    answers(
        project, Plan_01=FIRST | {"add": [ONE, {"title": "...", "description": "-", "worker": "general"}]}
    )
    project.do("auto", "Find the one", "--budget", "5", "--ask")

    done = project.do("approve")

    assert "refused: add[1].title says nothing: a task has a title or a description" in done.out


def test_no_other_revision_is_handed_in_while_one_waits(asking: Project) -> None:
    done = revise(asking, add=[{"title": "Two"}])
    assert (done.status, "waits already (two parts)" in done.err) == (2, True)
    assert len(asking.events("RevisionProposed")) == 1


def test_a_revision_of_a_person_waits_too_where_the_plan_asks(project: Project) -> None:
    project.plan(shell("A", "true"), replan="ask", limits={"budget_usd": 1})
    answers(project, Synthesis_01=DELIVERED)
    project.run()
    proposed = revise(project, add=[shell("B", "true") | {"title": "Bee", "id": None} | {"needs": ["A"]}])
    assert proposed.status == 2, "ids are the program's"
    proposed = revise(project, add=[{"title": "Bee", "cli": "shell", "run": "true", "needs": ["A"]}])
    assert proposed.status == 3
    assert "approve" in proposed.out
    assert project.do("wait").status in (0, 130)
    assert project.do("approve").status == 0
    assert project.statuses()["T-01"] == "pending"


# revise


def test_a_dry_run_shows_the_whole_difference_and_changes_nothing(project: Project) -> None:
    project.plan(
        shell("A", "false", attempts=1, estimate="10m"),
        shell("B", "true", needs=["A"], estimate="20m"),
        shell("C", "false", attempts=1),
    )
    project.run()
    before = project.events()
    done = revise(
        project,
        "--dry-run",
        accept=[{"task": "A"}],
        add=[{"title": "New", "cli": "shell", "run": "true", "estimate": "1h", "before": ["B"]}],
        cancel=[{"task": "C"}],
    )
    assert done.status == 0
    assert "+ T-01 New (shell; P2)" in done.out
    assert "~ B needs A -> T-01" in done.out
    assert "critical path: none -> 1h 20m" in done.out
    assert "refused: cancel C: it has failed" in done.out
    assert project.events() == before
    document = json.loads(revise(project, "--dry-run", "--json", accept=[{"task": "A"}]).out)
    assert document["outcome"] == "dry run"
    assert (document["diff"]["before"]["tasks"], document["diff"]["after"]["tasks"]) == (0, 1)


def test_a_revision_of_which_nothing_holds_is_refused_with_all_reasons(project: Project) -> None:
    project.plan(shell("A", "true"))
    project.run()
    before = project.events()
    done = revise(project, cancel=[{"task": "A"}, {"task": "AA"}])
    assert done.status == 2
    assert "cancel A: it is completed" in done.err
    assert "no task 'AA'; did you mean 'A'?" in done.err
    assert project.events() == before


def test_a_revision_is_taken_by_a_living_dispatcher_once(project: Project) -> None:
    project.plan(shell("A", note("start A"), HOLD))
    process = project.start("run", "plan.yaml")
    project.await_note("start A")
    done = revise(project, add=[{"title": "Bee", "cli": "shell", "run": note("start B"), "needs": ["A"]}])
    assert (done.status, "the run goes on with it" in done.out) == (0, True)
    project.go()
    assert project.finish(process).status == 0
    assert project.statuses() == {"A": "completed", "T-01": "completed"}
    assert len(project.events("PlanRevised")) == 1
    assert project.noted("start B") == ["start B"]


def test_a_revision_that_was_recorded_before_a_crash_is_not_applied_again(project: Project) -> None:
    project.plan(shell("A", "true"))
    project.run()
    assert revise(project, add=[{"title": "Bee", "cli": "shell", "run": "true"}]).status == 0
    (event,) = project.events("PlanRevised")
    order = {
        "order": "revise",
        "revision": {"add": [{"fields": {"title": "Again", "cli": "shell", "run": "true"}}]},
    }
    (project.workspace / "inbox" / event["order"]).write_text(json.dumps(order))
    assert project.do("run").status == 0
    assert list(project.statuses()) == ["A", "T-01"]
    assert not (project.workspace / "inbox" / event["order"]).exists()


def test_a_revision_without_a_run_is_refused(project: Project) -> None:
    done = revise(project, add=[{"title": "Bee"}])
    assert (done.status, "nothing has been run here yet" in done.err) == (2, True)


# wait --discoveries


def test_a_wait_for_discoveries_returns_when_one_comes_and_says_how_to_go_on(project: Project) -> None:
    found = report("Found it.", discoveries=["stock has to be kept"], questions=["Which one?"])
    answers(project, A=found, B="hold")
    work = {"description": "work"}
    project.plan(
        {"id": "A", "title": "a", **work},
        {"id": "B", "title": "b", **work},
        replan="off",
        limits={"parallelism": 2},
    )
    process = project.start("run", "plan.yaml")
    until(lambda: project.events("AttemptFinished", "A"), "the end of A")
    done = project.do("wait", "--discoveries", "--since", "0")
    assert done.status == 75
    seq = project.events("AttemptFinished", "A")[0]["seq"]
    assert f"{seq} A (success) Found it." in done.out
    assert "discovery: stock has to be kept" in done.out
    assert "question: Which one?" in done.out
    assert f"wait --discoveries --since {project.events()[-1]['seq']}" in done.out
    again = project.do("wait", "--discoveries", "--since", str(seq), "--timeout", "0s", "--json")
    document = json.loads(again.out)
    assert (again.status, document["exit"], document["discoveries"]) == (75, 75, [])
    project.go()
    project.finish(process)
    ended = json.loads(project.do("wait", "--discoveries", "--since", "0", "--json").out)
    assert (ended["exit"], ended["discoveries"][0]["task"]) == (0, "A")
    assert ended["discoveries"][0]["report"]["discoveries"] == ["stock has to be kept"]


def test_a_wait_for_discoveries_begins_with_the_wait(project: Project) -> None:
    answers(project, A=report("Found it.", discoveries=["x"]))
    project.plan({"id": "A", "description": "work"})
    project.run()
    done = project.do("wait", "--discoveries")
    assert (done.status, "discovery:" in done.out) == (0, False)


def test_since_without_discoveries_is_refused(project: Project) -> None:
    assert project.do("wait", "--since", "3").status == 2


# plan


def test_a_plan_without_tasks_says_what_will_happen(project: Project) -> None:
    project.plan(replan="auto", limits={"budget_usd": 5})
    done = project.do("plan", "plan.yaml")
    assert done.status == 0
    assert "no tasks yet: the run begins with a planning call" in done.out
    assert "at most 50 tasks" in done.out
    assert "at most $5.00" in done.out


def test_the_plan_of_a_run_that_grew_is_shown_as_it_stands(project: Project) -> None:
    project.plan(shell("A", "true"))
    project.run()
    revise(project, add=[{"title": "Bee", "cli": "shell", "run": "true", "needs": ["A"]}])
    assert "2 tasks in 2 batches" in project.do("plan").out


def test_a_revision_is_taken_where_the_dispatcher_was_killed_and_its_workers_live(project: Project) -> None:
    project.plan(shell("A", note("start A"), HOLD), shell("B", note("start B"), needs=["A"]))
    process = project.start("run", "plan.yaml")
    project.await_note("start A")
    project.kill(process)
    done = revise(
        project, cancel=[{"task": "B"}, {"task": "A"}], add=[{"title": "Cee", "cli": "shell", "run": "true"}]
    )
    assert (done.status, "go on with:" in done.out) == (0, True)
    assert "refused: cancel A: it is running" in done.out
    project.go()
    assert project.do("run").status == 0
    assert project.noted("start") == ["start A"]
    assert project.statuses() == {"A": "completed", "T-01": "completed"}


def test_with_json_every_refusal_is_json_too(project: Project) -> None:
    project.plan(shell("A", "true"))
    assert project.run().status == 0
    nothing = revise(project, "--json", cancel=[{"task": "A"}, {"task": "B"}])
    assert nothing.status == 2
    document = json.loads(nothing.out)
    assert (document["outcome"], document["event"]) == ("refused", None)
    assert document["refused"] == ["cancel A: it is completed", "cancel B: there is no task 'B'"]
    for done in (
        revise(project, "--json", add="all"),
        project.do("revise", "none.yaml", "--json"),
        project.do("approve", "--json"),
        project.do("reject", "--json"),
    ):
        assert (done.status, json.loads(done.out)["outcome"]) == (2, "refused"), done
