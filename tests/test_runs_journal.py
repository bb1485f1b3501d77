"""Runs whose journal is cut, broken or gone."""

from __future__ import annotations

import pytest
from project import Project, note, shell

pytestmark = pytest.mark.real


@pytest.mark.parametrize("left", [0, 20, 60])
def test_a_journal_that_was_cut_off_before_its_first_event_repeats_nothing(
    project: Project, left: int
) -> None:
    project.plan(shell("A", note("start A")), shell("B", note("start B"), needs=["A"]))
    assert project.run().status == 0
    path = project.workspace / "journal.jsonl"
    path.write_bytes(path.read_bytes()[:left])
    assert project.run().status == 0
    assert project.noted("start") == ["start A", "start B"]


def test_a_journal_that_was_removed_begins_anew_and_keeps_the_old_attempts(project: Project) -> None:
    project.plan(shell("A", note("start A")))
    assert project.run().status == 0
    (project.workspace / "journal.jsonl").unlink()
    assert project.run().status == 0
    assert project.noted("start") == ["start A", "start A"]
    assert (project.workspace / "archive" / "unstarted" / "attempts" / "A.1" / "stdout").exists()


def test_an_attempt_of_another_plan_is_not_taken_for_this_one_s(project: Project) -> None:
    project.plan(shell("A", note("old A")))
    assert project.run().status == 0
    path = project.workspace / "journal.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    project.plan(shell("A", note("new A")))
    assert project.run().status == 0
    assert project.noted() == ["old A", "new A"]


def test_a_journal_cut_anywhere_resumes_and_repeats_nothing(project: Project) -> None:
    project.plan(
        shell("A", note("start A"), "echo a"),
        shell("B", note("start B"), 'cat "$ORCHESTRATE_RESULT_A"', needs=["A"]),
    )
    project.run()
    whole = (project.workspace / "journal.jsonl").read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    for size in [end + more for end in ends[1:-1] for more in (0, 30)]:
        (project.workspace / "journal.jsonl").write_bytes(whole[:size])
        assert (size, project.run().status) == (size, 0)
    assert project.noted() == ["start A", "start B"]


def test_an_old_attempt_of_another_task_is_not_taken_for_this_one(project: Project) -> None:
    project.plan(shell("A", "echo old"))
    project.run()
    (project.workspace / "journal.jsonl").unlink()
    project.plan(shell("A", "echo new"))
    assert project.run().status == 0
    assert "new" in project.result()


def test_a_broken_line_is_refused_by_its_number_and_nothing_changes(project: Project) -> None:
    project.plan(shell("A", "echo x"))
    project.run()
    path = project.workspace / "journal.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:2], lines[2][:-5] + "\n", *lines[3:]]))
    before = tree(project)
    for words in (("run",), ("run", "plan.yaml"), ("status",), ("retry", "A"), ("aggregate",), ("wait",)):
        done = project.do(*words)
        assert (words, done.status) == (words, 2)
        assert "journal.jsonl:3: " in done.err
    assert tree(project) == before
    assert project.run("--new").status == 0


def tree(project: Project) -> dict[str, bytes]:
    """Every file of the workspace but the lock, which names its last holder."""
    files = (p for p in project.workspace.rglob("*") if p.is_file() and p.name != "dispatcher.lock")
    return {str(path.relative_to(project.workspace)): path.read_bytes() for path in files}
