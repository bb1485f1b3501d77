"""Tasks of a session whose commands, or dispatcher, were killed."""

from __future__ import annotations

import shutil

import pytest
from project import HOLD, Project
from sessions_of import hand_in, plan, session

from orchestrator.edges import inbox
from orchestrator.edges.inbox import Order

pytestmark = pytest.mark.real


def killed_while_checking(project: Project) -> None:
    """A `finish` of the one task is killed while a check of its work runs."""
    plan(project, session("A", verify=[f'echo checking >> "$STANDIN_LEDGER"; {HOLD}']))
    project.do("start", "A")
    finish = project.start("finish", "A", "--result", hand_in(project))
    project.await_note("checking")
    project.kill(finish)


def test_what_was_handed_in_is_judged_after_kill_9(project: Project) -> None:
    killed_while_checking(project)
    assert project.statuses() == {"A": "running"}
    project.go()

    assert project.do("run").status == 0
    assert project.outcomes("A") == ["success"]
    assert "all is well" in project.result()


def test_a_started_attempt_is_nobody_s_to_judge_before_it_is_finished(project: Project) -> None:
    plan(project, session("A"))
    project.do("start", "A")

    assert [project.do("run").status, project.do("stop").status] == [3, 0]

    assert project.outcomes("A") == []
    assert project.do("finish", "A", "--result", hand_in(project)).status == 0


def test_a_start_cut_off_between_journal_and_folder_is_made_good_before_anybody_works(
    project: Project,
) -> None:
    plan(project, session("A", artifacts=["out.txt"]))
    project.do("start", "A")
    attempt = project.workspace / "attempts" / "A.1"
    shutil.rmtree(attempt)
    left = inbox.hand_in(project.workspace / "inbox", Order("start", "A"))

    assert "do A" in project.do("next").out
    assert ((attempt / "started-by").read_text(), left.exists()) == (left.name, False)
    (project.folder / "out.txt").write_text("made")

    assert project.do("finish", "A", "--result", hand_in(project)).status == 0
    assert (len(project.events("AttemptStarted")), project.outcomes("A")) == (1, ["success"])


def test_the_verdict_after_a_finish_that_was_killed_is_on_what_it_handed_in(project: Project) -> None:
    killed_while_checking(project)
    project.go()

    done = project.do("finish", "A", "--result", hand_in(project, "something newer"))

    assert (done.status, "something else was handed in for A before" in done.out) == (0, True), done
    assert "A completed" in done.out
    assert ("all is well" in project.result(), "newer" in project.result()) == (True, False)
    assert project.outcomes("A") == ["success"]


def test_an_order_that_a_killed_finish_left_counts_before_the_next_one(project: Project) -> None:
    plan(project, session("A"))
    project.do("start", "A")
    inbox.hand_in(project.workspace / "inbox", Order("finish", "A", attempt=1, failed="no way"))

    done = project.do("finish", "A", "--result", hand_in(project))

    assert (done.status, "before" in done.out, "no way" in done.out) == (1, True, True), done
    assert project.outcomes("A") == ["error"]
