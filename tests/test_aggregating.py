"""`aggregate`, and the one call that it makes when it is asked for a synthesis."""

from __future__ import annotations

from typing import Any

from project import HOLD, Project, claude, shell, until

ONE = shell("T-01", "echo one")
TWO = shell("T-02", "echo two", needs=["T-01"])

ROLE = "---\nname: orchestrator\ndescription: Joins.\nmodel: joined\ntools: []\n---\nYou join results.\n"


def answering(project: Project, model: str = "joined") -> None:
    """Let the stand-in join results where the program itself asks."""
    folder = project.workspace / "templates" / "workers"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "orchestrator.md").write_text(ROLE.replace("joined", model))


def finished(project: Project, *tasks: dict[str, Any], **more: Any) -> None:
    project.plan(*(tasks or (ONE, TWO)), **more)
    project.run()
    answering(project)


def launches(project: Project, name: str) -> int:
    return len(project.events("AttemptStarted", name))


def final(project: Project) -> str:
    return (project.workspace / "final_output.md").read_text()


def test_a_synthesis_joins_the_results_of_a_static_plan(project: Project) -> None:
    finished(project)

    done = project.do("aggregate", "--synthesize")

    assert done.status == 0, done
    assert done.out.strip().endswith("final_output.md")
    assert project.statuses() == {"T-01": "completed", "T-02": "completed", "Synthesis-01": "completed"}
    assert "## Deliverable\n" in final(project)
    assert "> # All of it\n>\n> One and two.\n" in final(project)
    assert "- Consistent: yes\n- Quality: 4 of 5\n  - both were read\n" in final(project)
    assert "- Missing:\n  - three\n" in final(project)
    assert "- Total tasks: 2\n" in final(project)
    assert "### Agent-03" not in final(project), "a planning call is no result"


def test_a_synthesis_is_not_paid_again_while_nothing_has_changed(project: Project) -> None:
    finished(project)
    project.do("aggregate", "--synthesize")

    again = project.do("aggregate", "--synthesize")

    assert again.status == 0
    assert "nothing was changed since" in again.err
    assert launches(project, "Synthesis-01") == 1
    assert "nothing to do" in project.do("run").out


def test_a_synthesis_is_made_anew_once_a_task_has_run_again(project: Project) -> None:
    finished(project)
    project.do("aggregate", "--synthesize")
    project.do("retry", "T-02")
    project.do("run")

    project.do("aggregate", "--synthesize")

    assert launches(project, "Synthesis-01") == 1
    assert launches(project, "Synthesis-02") == 1


def test_the_plan_file_may_be_changed_after_a_synthesis(project: Project) -> None:
    finished(project)
    project.do("aggregate", "--synthesize")
    project.plan(ONE, TWO, shell("T-03", "echo three"))

    done = project.run()

    assert done.status == 0, done
    assert project.statuses()["T-03"] == project.statuses()["Synthesis-01"] == "completed"
    assert launches(project, "Synthesis-01") == 1


def test_without_an_account_the_error_says_so_and_the_next_try_goes_on(project: Project) -> None:
    finished(project)
    project.environment["STANDIN_JOINS"] = "logged-out"

    refused = project.do("aggregate", "--synthesize")

    assert refused.status == 5
    assert refused.err.count("orchestrate: ") == 1
    assert "log" in refused.err.rpartition("orchestrate: ")[2]
    del project.environment["STANDIN_JOINS"]
    assert project.do("aggregate", "--synthesize").status == 0
    assert list(project.statuses()) == ["T-01", "T-02", "Synthesis-01"]


def test_a_synthesis_that_failed_is_tried_again_and_not_added_again(project: Project) -> None:
    finished(project)
    project.environment["STANDIN_JOINS"] = "failed"
    assert project.do("aggregate", "--synthesize").status == 1
    del project.environment["STANDIN_JOINS"]

    assert project.do("aggregate", "--synthesize").status == 0
    assert list(project.statuses()) == ["T-01", "T-02", "Synthesis-01"]


def test_a_synthesis_outlives_who_asked_for_it_and_is_paid_once(project: Project) -> None:
    finished(project)
    answering(project, "slow+joined")
    project.environment["STANDIN_PAUSE"] = "0.2"
    process = project.start("aggregate", "--synthesize")
    project.await_note("start Synthesis-01")
    project.kill(process)

    done = project.do("aggregate", "--synthesize")

    assert done.status == 0, done
    assert len(project.noted("start Synthesis-01")) == 1
    assert "> # All of it\n" in final(project)


def test_nothing_is_begun_where_nothing_was_completed(project: Project) -> None:
    finished(project, shell("T-01", "exit 1", attempts=1))

    done = project.do("aggregate", "--synthesize")

    assert done.status == 2
    assert "no task was completed" in done.err


def test_nothing_is_begun_while_tasks_are_left(project: Project) -> None:
    project.plan(ONE, shell("T-02", HOLD, needs=["T-01"]))
    process = project.start("run", "plan.yaml")
    until(lambda: project.events("AttemptStarted", "T-02"), "the second task")
    assert project.do("aggregate", "--synthesize").status == 6, "a dispatcher is at work"
    process.terminate()
    process.communicate()

    done = project.do("aggregate", "--synthesize")

    assert done.status == 2
    assert "the run has not ended, T-02 not done" in done.err


def test_a_synthesis_keeps_to_the_budget_of_the_run(project: Project) -> None:
    finished(project, claude("T-01", "answer"), limits={"budget_usd": 0.005})

    done = project.do("aggregate", "--synthesize")

    assert done.status == 4, done
    assert launches(project, "Synthesis-01") == 0
    assert project.do("aggregate", "--synthesize", "--budget", "1").status == 0


def test_results_are_put_together_without_a_program_and_for_nothing(project: Project) -> None:
    finished(project)
    project.environment["ORCHESTRATE_CLAUDE"] = "/nowhere"

    assert project.do("aggregate").status == 0
    assert project.do("aggregate", "--budget", "1").status == 2
    refused = project.do("aggregate", "--synthesize")
    assert refused.status == 5
    assert list(project.statuses()) == ["T-01", "T-02"]
