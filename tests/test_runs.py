"""Whole runs as real processes: how they begin, go on and end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from project import HELD, ROOT, Project, begun, claude, note, shell

from orchestrator.runs import SteadyClock

pytestmark = pytest.mark.real


def test_a_run_ends_with_every_result_and_view(project: Project) -> None:
    project.plan(
        shell("A", "echo hello"),
        shell("B", 'grep hello "$ORCHESTRATE_RESULT_A"', needs=["A"]),
        claude("C", "answer"),
    )
    done = project.run()
    assert done.status == 0
    assert set(project.statuses().values()) == {"completed"}
    assert "hello" in project.result(2)
    assert "second half of C" in (project.workspace / "final_output.md").read_text()
    assert len(done.out.splitlines()) <= 20


def test_a_finished_plan_is_not_run_again_and_says_so(project: Project) -> None:
    project.plan(shell("A", note("start A")))
    project.run()
    before = project.events()
    done = project.run()
    assert (done.status, project.noted()) == (0, ["start A"])
    assert "nothing to do" in done.out
    assert project.events() == before


@pytest.mark.parametrize("words", [("retry", "A"), None])
def test_a_worker_that_failed_is_launched_again_with_the_same_program(
    project: Project, words: tuple[str, ...] | None
) -> None:
    project.plan(claude("A", "killed+answer", attempts=1))
    assert project.run().status == 1
    if words:
        assert project.do(*words).status == 0
    assert project.run("--retry-failed").status == 0
    assert project.outcomes("A") == ["error", "success"]


def test_a_finished_worker_whose_task_was_changed_is_launched(project: Project) -> None:
    project.plan(claude("A", "answer"))
    assert project.run().status == 0
    project.plan(claude("A", "answer", description="another"))
    assert project.run().status == 0
    assert project.outcomes("A") == ["success", "success"]


def test_a_steady_clock_goes_on_from_the_machine_s_and_never_back() -> None:
    clock = SteadyClock()
    times = [clock() for _ in range(1000)]
    assert times == sorted(times)
    assert abs(times[0] - time.time()) < 1


@pytest.mark.parametrize("words", [("run", "other.yaml", "--new"), ("init", "another", "--new")])
def test_a_run_that_is_archived_leaves_no_worker_behind(project: Project, words: tuple[str, ...]) -> None:
    project.plan(shell("A", *HELD))
    project.kill(begun(project))
    project.plan(shell("B", "true"), name="other.yaml")
    assert project.do(*words).status == 0
    assert project.living() == []


def test_a_run_whose_archiving_was_cut_off_goes_on_with_all_it_had(project: Project) -> None:
    long = "head -c 50000 /dev/zero | tr '\\0' x"
    project.plan(shell("A", note("start A"), long), shell("B", "true", needs=["A"]))
    project.run()
    whole = project.result()
    (run,) = (event["run"] for event in project.events("RunStarted"))
    aside = project.workspace / "archive" / f"{run}~"
    aside.mkdir(parents=True)
    for name in ("results", "attempts"):
        os.replace(project.workspace / name, aside / name)
    project.plan(
        shell("A", note("start A"), long), shell("C", 'wc -c < "$ORCHESTRATE_RESULT_A"', needs=["A"])
    )
    assert project.run().status == 0
    assert project.noted() == ["start A"]
    assert project.result() == whole
    assert not aside.exists()


def test_the_deadline_stops_the_run_with_4_and_the_next_run_goes_on(project: Project) -> None:
    project.plan(shell("A", *HELD), limits={"deadline": "1s"})
    process = begun(project)
    assert project.finish(process).status == 4
    assert project.living() == []
    project.go()
    assert project.run().status == 0


def test_a_spent_budget_ends_the_run_with_4(project: Project) -> None:
    project.plan(claude("A", "answer"), claude("B", "answer", needs=["A"]), limits={"budget_usd": 0.01})
    assert project.run().status == 4
    assert project.statuses()["B"] == "pending"
    assert project.run("--budget", "1").status == 0


def test_the_plan_s_own_checks_decide_at_its_end(project: Project) -> None:
    project.plan(shell("A", "true"), verify=["test -e mended"])
    assert project.run().status == 1
    (project.folder / "mended").touch()
    assert project.run().status == 0
    assert len(project.events("AttemptStarted")) == 1


def test_a_template_that_hardly_ends_costs_its_own_view_and_nothing_else(project: Project) -> None:
    own = project.workspace / "templates"
    own.mkdir(parents=True)
    (own / "master_plan.md.j2").write_text("{% for a in range(99999) %}" * 4 + "{% endfor %}" * 4)
    project.plan(shell("A", "echo found"))

    done = project.run()

    assert (done.status, project.statuses()) == (0, {"A": "completed"})
    assert done.err.count(f"orchestrate: {own / 'master_plan.md.j2'}:1: takes more than 2,000,000 steps") == 1
    assert "found" in (project.workspace / "final_output.md").read_text()
    assert not (project.workspace / "master_plan.md").exists()
    assert project.do("plan", "plan.yaml").status == 2


def test_a_broken_template_of_the_program_is_one_error_that_says_what_to_do(
    project: Project, tmp_path: Path
) -> None:
    copied = tmp_path / "copied"
    for part in ("scripts", "templates"):
        shutil.copytree(ROOT / part, copied / part, ignore=shutil.ignore_patterns("__pycache__"))
    broken = copied / "templates" / "master_plan.md.j2"
    broken.write_text("\n{{ nothing }}")
    project.plan(shell("A", "echo found"))

    words = (sys.executable, str(copied / "scripts" / "orchestrate.py"))
    told = [
        subprocess.run(
            [*words, command, "plan.yaml"], cwd=project.folder, env=project.environment, text=True,
            stdin=subprocess.DEVNULL, capture_output=True, check=False,
        )
        for command in ("plan", "run")
    ]  # fmt: skip

    said = f"orchestrate: {broken}:2: 'nothing' is undefined; install the program again\n"
    assert [done.returncode for done in told] == [5, 0]
    assert [done.stderr.count(said) for done in told] == [1, 1]
    assert "Traceback" not in told[0].stderr + told[1].stderr
    assert "found" in (project.workspace / "final_output.md").read_text()
