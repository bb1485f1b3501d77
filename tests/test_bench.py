"""The measurements measure what they say: shapes, schedules on paper, and one group as a real command."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import simulate
from api_requests import Request
from caching import cost
from claude_program import FOLDER_VARIABLE, NEWEST, is_there
from figures import Figure
from lab import Lab, rounds
from launches import at_the_end
from limit import Subscription
from prefix import compared
from shapes import Shape, batches, fork_join, layered, plan_text, published

from orchestrator.core.briefing import OPENING
from orchestrator.edges.planfile import parse_plan

BENCH = Path(__file__).resolve().parent.parent / "bench"
MEASURE, FAULTS = BENCH / "measure.py", BENCH / "faults.py"


def shape(needs: list[tuple[int, ...]], seconds: list[float]) -> Shape:
    return Shape("by hand", "", tuple(needs), tuple(seconds))


def every_shape() -> list[Shape]:
    return [layered(1), fork_join(1), *published()]


def test_the_published_shapes_are_there_with_their_sources() -> None:
    shapes = published()

    assert len(shapes) == 11
    assert all("wfcommons/WfInstances@" in shape.source for shape in shapes)
    assert all(len(shape.needs) == len(shape.seconds) >= 40 for shape in shapes)


@pytest.mark.parametrize("shape", every_shape(), ids=lambda shape: shape.name)
def test_every_shape_is_acyclic_and_no_schedule_beats_its_bound(shape: Shape) -> None:
    assert sorted(shape.order()) == list(range(len(shape.needs)))

    scaled = shape.scaled(12.0, 8)

    assert scaled.bound(8) == pytest.approx(12.0, abs=0.1)
    for simulated in (simulate.fifo, simulate.waves, simulate.critical_path):
        assert simulated(scaled, 8) >= scaled.bound(8) - 1e-6


def test_a_cycle_is_refused() -> None:
    with pytest.raises(ValueError, match="by hand: a cycle"):
        shape([(1,), (0,)], [1, 1]).order()


def test_a_seed_always_makes_the_same_shape() -> None:
    assert layered(3) == layered(3) != layered(4)
    assert fork_join(3) == fork_join(3) != fork_join(4)


def test_the_bound_is_the_critical_path_or_the_work_spread_over_all_slots() -> None:
    chain_and_crowd = shape([(), (0,), (), (), ()], [3, 4, 1, 1, 1])

    assert chain_and_crowd.remaining() == [7, 4, 1, 1, 1]
    assert chain_and_crowd.bound(8) == 7
    assert chain_and_crowd.bound(1) == 10


def test_fifo_starts_what_was_ready_first_and_the_critical_path_what_is_longest() -> None:
    # Two short tasks stand before the head of a long chain.
    late_chain = shape([(), (), (), (2,)], [2, 2, 1, 5])

    assert simulate.fifo(late_chain, 2) == 8
    assert simulate.critical_path(late_chain, 2) == 6


def test_waves_wait_for_the_slowest_of_each_batch() -> None:
    uneven = shape([(), (), (0,), (1,)], [1, 5, 5, 1])

    assert batches(uneven) == [[0, 1], [2, 3]]
    assert simulate.waves(uneven, 2) == 10
    assert simulate.fifo(uneven, 2) == 6
    assert simulate.waves(uneven, 1) == 12


@pytest.mark.parametrize("shape", every_shape(), ids=lambda shape: shape.name)
def test_a_shape_becomes_a_valid_plan_that_knows_its_durations(shape: Shape) -> None:
    scaled = shape.scaled(12.0, 8)

    plan = parse_plan(plan_text(scaled, 8, estimates=True).encode(), "plan.yaml")

    told = [tuple(int(name.removeprefix("T-")) for name in task.needs) for task in plan.tasks]
    assert told == list(scaled.needs)
    assert [task.estimate for task in plan.tasks] == [f"{seconds:.3f}s" for seconds in scaled.seconds]
    assert plan.limits.parallelism == 8
    without = parse_plan(plan_text(scaled, 8, estimates=False).encode(), "plan.yaml")
    assert {task.estimate for task in without.tasks} == {None}


def test_each_round_begins_with_another_contender() -> None:
    turns: list[str] = []

    def take(name: str) -> int:
        turns.append(name)
        return len(turns)

    found = rounds({name: partial(take, name) for name in "abc"}, 3)

    assert "".join(turns) == "abcbcacab"
    assert found == {"a": [1, 6, 8], "b": [2, 4, 9], "c": [3, 5, 7]}


def test_a_figure_says_whether_its_target_is_met() -> None:
    assert "NOT MET" in Figure("too slow", 3.0, "x", 2.5).line()
    assert Figure("fast enough", 2.5, "x", 2.5).document()["met"] is True
    assert Figure("for comparison", 2.5, "x").met is None


def test_a_command_is_metered_by_itself_and_not_with_the_one_that_measures(tmp_path: Path) -> None:
    ballast = bytearray(b"x" * 200_000_000)

    spent = Lab(tmp_path, 1, quick=True).run([sys.executable, "-S", "-c", "sum(range(10**6))"], tmp_path)

    assert len(ballast) == 200_000_000
    assert 1 < spent.peak_mb < 100
    assert spent.cpu > 0
    assert spent.exit == 0


def measured(folder: Path, program: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A command of the measurements, typed in `folder`, where its own folders are made too."""
    variables = {**os.environ, "TMPDIR": str(folder)}
    command = [sys.executable, str(program), *words]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)


@pytest.mark.real
def test_one_group_runs_from_anywhere_and_cleans_up(tmp_path: Path) -> None:
    figures, temporary = tmp_path / "figures.json", tmp_path / "temporary"
    temporary.mkdir()

    done = measured(temporary, MEASURE, "startup", "--quick", "--json", str(figures))

    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(figures.read_text())
    assert document["quick"] is True
    assert document["failed"] == {}
    assert set(document["machine"]) >= {"cores", "python", "kernel", "sync_ms"}
    found = {figure["what"]: figure for figure in document["groups"]["startup"]}
    assert set(found) == {"python itself", "--version", "--help", "status"}
    assert found["--help"]["target"] == 60
    assert found["--help"]["met"] == (found["--help"]["value"] <= 60)
    assert 0 < found["python itself"]["value"] < found["status"]["value"]
    assert list(temporary.iterdir()) == []


@pytest.mark.real
def test_a_run_of_auto_that_is_killed_again_and_again_pays_nothing_twice(tmp_path: Path) -> None:
    done = measured(tmp_path, FAULTS, "--kind", "5", "--seed", "1", "--times", "1", "--jobs", "1")

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.match(r"5 +kill -9 in runs of auto: [1-8] faults in 1 runs, 0 failures", done.stdout)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_group_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(MEASURE), "speed"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert "no group speed; there are overhead, makespan, sizes" in done.stderr


def asked(rules: str, task: str, number: int = 1) -> Request:
    """A request with one breakpoint behind what all workers share and one behind the task."""
    cached = {"cache_control": {"type": "ephemeral"}}
    body = {
        "model": "sonnet",
        "system": [{"type": "text", "text": rules, **cached}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": OPENING + task, **cached}]}],
    }
    return Request(number, {}, json.dumps(body).encode(), 1)


def test_two_requests_share_what_stands_before_a_breakpoint_and_not_the_beginning_of_what_differs() -> None:
    pair = compared(asked("rules " * 1000, " Sow."), asked("rules " * 1000, " Reap the corn."))

    assert 6000 < pair.shared < 6100
    assert pair.ours == len(OPENING) + len(" Sow.")
    assert 0 < pair.unshared < 100 * (1 - 6000 / pair.prompt)
    assert compared(asked("rules", " Sow."), asked("other rules", " Sow.")).shared == 0


def test_what_is_written_to_the_cache_costs_more_and_what_is_read_a_tenth() -> None:
    request = asked("rules", "task")
    written = {"ephemeral_5m_input_tokens": 1000, "ephemeral_1h_input_tokens": 100}
    request.usage = {"input_tokens": 10, "cache_read_input_tokens": 2000, "cache_creation": written}

    assert cost([request, request]) == pytest.approx(2 * (10 + 1250 + 200 + 200))


def test_a_usage_limit_is_reached_after_the_first_answer_and_resets() -> None:
    limit = Subscription(30)
    first, second, third = (asked("rules", "task", number) for number in (1, 2, 3))

    assert limit(first).status == 200
    assert limit(second).status == 429
    assert limit.resets is not None
    assert 30 <= limit.resets - second.time < 31
    third.time = limit.resets
    assert limit(third).status == 200


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only /proc tells them apart")
def test_the_cpu_of_a_process_is_told_apart_from_that_of_its_children() -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {burn!r}])"
    process = subprocess.Popen([sys.executable, "-S", "-c", program], stdout=subprocess.PIPE, text=True)

    spent = at_the_end(process)

    assert process.wait() == 0, "it is still there to be waited for"
    assert spent.children >= 0.25
    assert spent.own < spent.children


@pytest.mark.real
@pytest.mark.skipif(
    not is_there(NEWEST), reason=f"no claude {NEWEST}: run tests/check.py, or set {FOLDER_VARIABLE}"
)
def test_the_groups_of_real_workers_measure_what_they_say(tmp_path: Path) -> None:
    groups = ("prefix", "caching", "storm", "limit", "launches")

    done = measured(tmp_path, MEASURE, *groups, "--quick", "--json", str(tmp_path / "figures.json"))

    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads((tmp_path / "figures.json").read_text())
    found = {
        name: {figure["what"].partition(", ")[2]: figure for figure in document["groups"][name]}
        for name in groups
    }
    assert found["prefix"]["general, a sentence each: not shared"]["met"], done.stdout
    assert found["caching"]["3 workers of a type of 22 kB, one answer: our part"]["value"] < 50
    assert found["storm"]["6 tasks, up to 8: attempts used up"]["value"] == 0
    assert found["storm"]["6 tasks, up to 8: requests a task"]["value"] >= 1
    assert found["limit"]["4 tasks, limit of 3 s: attempts used up"]["value"] == 0
    assert found["limit"]["4 tasks, limit of 3 s: from the reset to the next request"]["value"] >= 0
    assert found["launches"]["4 workers: CPU of the program"]["value"] > 0
