"""What the next dispatcher makes of what the last one left; and of a plan that was changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fakes import Act, Stage, plan, task
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core.events import AttemptFinished
from orchestrator.core.plan import Limits
from orchestrator.core.state import fold


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def crash(stage: Stage, dispatcher: Any, seconds: float) -> None:
    """Let the dispatcher die without a word after so many seconds."""
    stage.at(seconds, _die)
    with pytest.raises(KeyboardInterrupt):
        dispatcher.run()


def _die() -> None:
    raise KeyboardInterrupt


def test_the_next_dispatcher_adopts_workers_that_live_and_harvests_those_that_ended(folder: Path) -> None:
    stage = Stage(folder, {"a": Act(10), "b": Act(60)})
    accepted = plan(task("a"), task("b"), task("c", "a b"))
    crash(stage, stage.dispatcher(accepted), 5)
    stage.clock.now += 20
    assert stage.play(accepted) == 0
    assert stage.processes.started == ["a.1", "b.1", "c.1"]


def test_an_attempt_whose_end_nobody_saw_is_made_again_without_using_up_one(folder: Path) -> None:
    stage = Stage(folder, {"a.1": Act(3600)})
    accepted = plan(task("a", attempts=1))
    crash(stage, stage.dispatcher(accepted), 5)
    stage.processes.vanish()
    assert stage.play(accepted) == 0
    assert stage.processes.started == ["a.1", "a.2"]
    assert stage.happened(AttemptFinished)[0].outcome == "interrupted"


def test_a_task_that_takes_its_dispatcher_down_has_failed_after_three_times(folder: Path) -> None:
    stage = Stage(folder, {"a": Act(3600)})
    accepted = plan(task("a"))
    for _ in range(3):
        crash(stage, stage.dispatcher(accepted), 5)
        stage.processes.vanish()
    assert stage.play(accepted) == 1
    assert stage.processes.started == ["a.1", "a.2", "a.3"]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=4), st.integers(1, 4))
def test_wherever_the_dispatcher_dies_nothing_that_ended_runs_again(
    tmp_path_factory: pytest.TempPathFactory, crashes: list[int], parallelism: int
) -> None:
    stage = Stage(tmp_path_factory.mktemp("run"), {f"T-{n}": Act(n % 4 + 0.5) for n in range(8)})
    tasks = [task(f"T-{n}", f"T-{n - 3}" if n > 2 else "") for n in range(8)]
    accepted = plan(*tasks, limits=Limits(parallelism=parallelism))
    for seconds in crashes:
        dispatcher = stage.dispatcher(accepted)
        stage.at(seconds, _die)
        try:
            dispatcher.run()
        except KeyboardInterrupt:
            continue
        stage.processes.agenda.clear()
    assert stage.play(accepted) == 0
    assert sorted(stage.processes.started) == sorted(f"{one.id}.1" for one in tasks)


def test_a_cancel_survives_the_death_of_the_dispatcher(folder: Path) -> None:
    stage = Stage(folder, {"a": Act(3600, grace=30)})
    accepted = plan(task("a"))
    stage.order(3, order="cancel", task="a")
    crash(stage, stage.dispatcher(accepted), 10)
    assert stage.play(accepted) == 1
    assert stage.statuses() == {"a": "cancelled"}


def test_a_changed_plan_keeps_what_is_unchanged_and_runs_the_rest(folder: Path) -> None:
    stage = Stage(folder)
    before = plan(task("a"), task("b", "a"), task("c"))
    assert stage.play(before) == 0
    assert stage.play(plan(task("a", run="make more"), task("b", "a"), task("c"), task("d"))) == 0
    # What `a` yields is the same again, so `b` holds.
    assert stage.processes.started == ["a.1", "c.1", "b.1", "a.2", "d.1"]


def test_a_changed_plan_stops_a_living_worker_whose_task_it_changes_and_no_other(folder: Path) -> None:
    stage = Stage(folder, {"a.1": Act(3600), "b": Act(60)})
    crash(stage, stage.dispatcher(plan(task("a"), task("b"))), 5)
    assert stage.play(plan(task("a", run="make more"), task("b"))) == 0
    assert stage.processes.started == ["a.1", "b.1", "a.2"]


def test_a_result_made_from_replaced_inputs_is_made_again(folder: Path) -> None:
    stage = Stage(folder, {"a.1": Act(stdout=b"one\n"), "a.2": Act(stdout=b"two\n"), "b.1": Act(60)})
    crash(stage, stage.dispatcher(plan(task("a"), task("b", "a"))), 10)
    assert stage.play(plan(task("a", run="make more"), task("b", "a"))) == 0
    assert stage.processes.started == ["a.1", "b.1", "a.2", "b.2"]


def test_a_result_that_turns_out_to_hold_is_on_disk(folder: Path) -> None:
    said = {"a.1": Act(stdout=b"one\n"), "a.2": Act(90, stdout=b"one\n"), "b.1": Act(60, stdout=b"B\n")}
    stage = Stage(folder, said)
    crash(stage, stage.dispatcher(plan(task("a"), task("b", "a"))), 10)
    assert stage.play(plan(task("a", run="make more"), task("b", "a"))) == 0
    assert stage.processes.started == ["a.1", "b.1", "a.2"]
    assert stage.workspace.result(2).read_text().endswith("B\n")


PLAN_SCRIPTS: list[tuple[Mapping[str, Act], int]] = [({}, 0), ({"b": Act(exit=1)}, 1)]


@pytest.mark.parametrize(("script", "exit_status"), PLAN_SCRIPTS)
def test_running_a_run_that_has_ended_starts_nothing(
    folder: Path, script: Mapping[str, Act], exit_status: int
) -> None:
    stage = Stage(folder, script)
    accepted = plan(task("a"), task("b", attempts=1))
    assert stage.play(accepted) == exit_status
    started = list(stage.processes.started)
    assert stage.play(accepted) == exit_status
    assert stage.processes.started == started


def test_every_truncation_of_a_journal_resumes_and_repeats_no_completed_task(folder: Path) -> None:
    stage = Stage(folder, {"b.1": Act(exit=1)})
    accepted = plan(task("a"), task("b"), task("c", "a b"))
    stage.play(accepted)
    lines = stage.journal.lines
    for length in range(2, len(lines)):
        stage.journal.lines = lines[:length]
        known = fold(stage.journal.events)
        done = {one.task.id for one in known.tasks if one.mark == "completed"}
        stage.processes.started.clear()
        assert stage.play(accepted) == 0
        # The attempts that were made left their evidence on disk: none is made again.
        assert stage.processes.started == []
        assert done <= {e.task for e in stage.happened(AttemptFinished)}
