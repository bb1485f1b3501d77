"""The dynamic loop cut off anywhere: the next run ends with the same plan, and nothing that had ended is paid again."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from project import Project, until

pytestmark = pytest.mark.real

SCHEMING = Path(__file__).resolve().parent / "scheming.py"
ALL = ["Plan-01", "T-01", "T-02", "Plan-02", "T-03", "Plan-03", "Synthesis-01"]


@pytest.fixture
def growing(project: Project) -> Project:
    """A plan that grows in two rounds and is joined then."""
    project.environment |= {"ORCHESTRATE_CLAUDE": str(SCHEMING), "SCHEME": "grows"}
    project.plan(replan="auto", limits={"budget_usd": 1, "parallelism": 1})
    return project


def begun(project: Project) -> list[str]:
    """The tasks in the order in which attempts of them began."""
    return [line.split()[1] for line in project.noted("start")]


def ended(project: Project) -> Counter[str]:
    """How many attempts of each task came to their end."""
    return Counter(line.split()[1] for line in project.noted("end"))


def tasks(project: Project) -> list[dict[str, Any]]:
    """The plan that came of it, without what depends on the time."""
    kept = ("id", "title", "worker", "status", "outcome", "cost_usd")
    return [{key: task[key] for key in kept} for task in project.document()["tasks"]]


def lines_of(project: Project) -> list[str]:
    """The journal, its header first."""
    return (project.workspace / "journal.jsonl").read_text().splitlines(keepends=True)


def test_a_journal_cut_at_any_event_pays_only_what_had_not_begun(growing: Project, tmp_path: Path) -> None:
    assert growing.run().status == 0
    assert begun(growing) == ALL
    wanted, whole, events = tasks(growing), lines_of(growing), growing.events()
    shutil.copytree(growing.workspace, tmp_path / "whole")
    for count in range(len(events) + 1):
        known = {event["task"] for event in events[:count] if event["type"] == "AttemptStarted"}
        _restore(growing, tmp_path / "whole", whole[: count + 1], keep=known)

        done = growing.run()

        where = f"after {count} events: {events[count - 1]['type'] if count else 'none'}"
        assert done.status == 0, (where, done)
        assert begun(growing) == [name for name in ALL if name not in known], where
        assert tasks(growing) == wanted, where


def test_an_answer_of_the_planner_that_is_on_disk_is_applied_and_not_asked_for_again(
    growing: Project, tmp_path: Path
) -> None:
    growing.run()
    wanted, whole, events = tasks(growing), lines_of(growing), growing.events()
    shutil.copytree(growing.workspace, tmp_path / "whole")
    answers = [
        at
        for at, event in enumerate(events)
        if event["type"] == "AttemptFinished" and not event["task"].startswith("T-")
    ]
    for at in (count for answer in answers for count in (answer, answer + 1)):
        _restore(growing, tmp_path / "whole", whole[: at + 1], keep=set(ALL))

        assert growing.run().status == 0

        assert begun(growing) == []
        assert tasks(growing) == wanted


def _restore(project: Project, whole: Path, lines: list[str], *, keep: set[str]) -> None:
    """The workspace as it was when the journal had these lines and attempts of these tasks had begun."""
    shutil.rmtree(project.workspace)
    shutil.copytree(whole, project.workspace)
    (project.workspace / "journal.jsonl").write_text("".join(lines))
    for folder in (project.workspace / "attempts").iterdir():
        if folder.is_dir() and folder.name.rpartition(".")[0] not in keep:
            shutil.rmtree(folder)
    project.ledger.write_text("")


@pytest.mark.parametrize("workers_too", [False, True], ids=["dispatcher", "both"])
@pytest.mark.parametrize("lines", range(1, 2 * len(ALL), 3))
def test_kill_9_at_any_step_pays_nothing_that_had_ended_again(
    growing: Project, lines: int, workers_too: bool
) -> None:
    growing.environment["SCHEME_PAUSE"] = "0.05"
    process = growing.start("run", "plan.yaml")
    until(lambda: len(growing.noted()) >= lines, f"{lines} lines in the ledger")
    growing.kill(process)
    if workers_too:
        for pid in growing.living():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    done = growing.run()

    assert done.status == 0, done
    assert [task["id"] for task in tasks(growing)] == ALL
    assert set(growing.statuses().values()) == {"completed"}
    assert max(ended(growing).values()) == 1
    if not workers_too:
        assert Counter(begun(growing)) == Counter(ALL)
