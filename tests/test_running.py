"""What `run` does, as typed: dry, within its options, and at its end."""

from __future__ import annotations

import json
import shlex
import sys
from typing import Any

import pytest
from project import Project, claude, note, shell

pytestmark = pytest.mark.real


def test_a_dry_run_prints_the_command_lines_and_runs_nothing(project: Project) -> None:
    project.plan(shell("A", note("start A")), claude("B", "answer"))
    done = project.run("--dry-run")
    assert done.status == 0
    assert "A: /bin/sh -c " in done.out
    assert "--output-format=stream-json" in done.out
    assert (project.noted(), project.events()) == ([], [])


def test_a_dry_run_shows_what_a_worker_is_started_with(project: Project) -> None:
    seen = project.folder / "seen"
    program = project.folder / "claude"
    standin = project.environment["ORCHESTRATE_CLAUDE"]
    noting = f'case "$1" in -p) printf "%s\\n" "$0" "$@" > {seen};; esac'
    program.write_text(f'#!/bin/sh\n{noting}\nexec {sys.executable} {standin} "$@"\n')
    program.chmod(0o755)
    project.environment["ORCHESTRATE_CLAUDE"] = str(program)
    elsewhere = ("--workspace", str(project.folder.parent / "work space" / "not there yet"))
    project.plan(
        claude("A", "answer", max_turns=7, budget_usd=3.5, allow=["Bash(git *)"]), limits={"budget_usd": 2.5}
    )
    dry = project.do(*elsewhere, "run", "plan.yaml", "--dry-run")
    assert (dry.status, dry.err) == (0, "")
    assert project.do(*elsewhere, "run", "plan.yaml").status == 0
    (task, *shown) = shlex.split(dry.out)
    ours = [
        word if not word.startswith("--session-id=") else "--session-id=SESSION-ID"
        for word in seen.read_text().splitlines()
    ]
    assert (task, shown[:-2]) == ("A:", ours)


def test_a_dry_run_shows_the_shares_of_those_that_start_first(project: Project) -> None:
    project.plan(
        claude("A", "answer", budget_usd=1), claude("B", "answer"), claude("C", "answer"),
        claude("D", "answer", needs=["A"]), shell("E", "true"), limits={"budget_usd": 5, "parallelism": 3},
    )  # fmt: skip
    lines = project.run("--dry-run").out.splitlines()
    shown = {line[0]: word for line in lines for word in line.split() if word.startswith("--max-budget")}
    assert shown == {
        "A": "--max-budget-usd=1.0", "B": "--max-budget-usd=2.0", "C": "--max-budget-usd=2.0",
        "D": "--max-budget-usd=5.0",
    }  # fmt: skip


def test_a_project_folder_that_is_not_there_yet_is_no_fault_of_the_program(project: Project) -> None:
    project.plan(claude("A", "answer"))
    place = project.folder.parent / "new" / ".orchestrator"
    dry = project.do("--workspace", str(place), "run", "plan.yaml", "--dry-run")
    assert (dry.status, dry.err) == (0, "")
    assert not place.parent.exists()


def test_plan_and_a_dry_run_say_that_there_is_no_program_for_workers(project: Project) -> None:
    project.environment["ORCHESTRATE_CLAUDE"] = "/nowhere/claude"
    project.plan(shell("A", "true"), claude("B", "answer"))
    dry = project.run("--dry-run")
    assert (dry.status, len(dry.out.splitlines())) == (0, 2)
    assert dry.err.startswith(
        "a run would stop at this: /nowhere/claude is not a program; install Claude Code"
    )
    planned = project.do("plan", "plan.yaml")
    assert planned.status == 0
    assert "\n/nowhere/claude is not a program; install Claude Code" in planned.out
    project.plan(shell("A", "true"))
    assert project.run("--dry-run").err == ""
    assert "is not a program" not in project.do("plan", "plan.yaml").out


@pytest.mark.parametrize("budget", ["nan", "inf", "-inf", "0", "-1", "1e999"])
def test_a_budget_that_bounds_nothing_is_refused(project: Project, budget: str) -> None:
    project.plan(claude("A", "answer"))
    done = project.run("--budget", budget)
    assert (done.status, project.events()) == (2, [])
    assert "--budget" in done.err


def test_a_budget_of_less_than_ten_cents_is_told_as_it_is(project: Project) -> None:
    project.plan(claude("A", "answer"), claude("B", "answer", needs=["A"]))
    done = project.run("--budget", "0.005")
    assert done.status == 4
    assert "the budget of $0.005 is spent" in done.out + done.err
    assert "$0.01 (the CLI's own estimate; $0.005 over the budget of $0.005" in done.out + done.err


def test_parallelism_bounds_what_runs_at_once(project: Project) -> None:
    once = (note("start"), "sleep 0.05", note("end"))
    project.plan(*(shell(f"T-{n}", *once) for n in range(4)), limits={"parallelism": 4})
    assert project.run("--parallelism", "1").status == 0
    assert project.noted() == ["start", "end"] * 4


def test_events_come_as_json_lines(project: Project) -> None:
    project.plan(shell("A", "echo x"))
    done = project.run("--json")
    kinds = [json.loads(line)["type"] for line in done.out.splitlines()]
    assert kinds == ["RunStarted", "PlanAccepted", "AttemptStarted", "AttemptFinished", "RunFinished"]
    assert [json.loads(line) for line in project.do("log", "--json").out.splitlines()] == project.events()


def test_an_unrelated_plan_is_refused_and_new_archives_the_old_run(project: Project) -> None:
    project.plan(shell("A", "echo x"))
    project.run()
    project.plan(shell("B", "echo y"))
    done = project.run()
    assert done.status == 2
    assert "--new" in done.err
    assert json.loads((project.workspace / "plan.yaml").read_text())["tasks"][0]["id"] == "A"
    assert project.run("--new").status == 0
    assert project.statuses() == {"B": "completed"}
    assert len(list(project.workspace.glob("archive/*/journal.jsonl"))) == 1


@pytest.mark.parametrize("words", [(), ("--detach",)])
def test_a_plan_from_a_pipe_is_read_once_and_kept(project: Project, words: tuple[str, ...]) -> None:
    plan = json.dumps({"request": "try", "tasks": [shell("A", "echo x")]})
    inside = ("/bin/sh", "-c", f"printf %s '{plan}' | \"$@\"", "sh")
    assert project.finish(project.start("run", "/dev/stdin", *words, inside=inside)).status == 0
    assert project.do("wait").status == 0
    assert (project.workspace / "plan.yaml").read_text() == plan


@pytest.mark.parametrize(
    ("task", "status"),
    [
        (claude("B", "answer"), 5),
        (claude("B", "answer", permission_mode="bypassPermissions"), 2),
        (claude("B", "answer", worker="nobody"), 2),
    ],
)
def test_a_new_run_that_cannot_begin_leaves_the_earlier_one_as_it_was(
    project: Project, task: dict[str, Any], status: int
) -> None:
    project.plan(shell("A", note("start A")))
    project.run()
    project.plan(task, name="other.yaml")
    project.environment["ORCHESTRATE_CLAUDE"] = "/no/such"
    assert project.do("run", "other.yaml", "--new").status == status
    assert not (project.workspace / "archive").exists()
    done = project.do("run")
    assert (done.status, project.noted()) == (0, ["start A"])
    assert "nothing to do" in done.out


def test_a_failed_task_is_run_again_only_on_demand(project: Project) -> None:
    project.plan(shell("A", note("start A"), "test -e mended", attempts=1), shell("B", "true", needs=["A"]))
    assert project.run().status == 1
    assert project.run().status == 1
    assert project.noted() == ["start A"]
    (project.folder / "mended").touch()
    assert project.run("--retry-failed").status == 0
    assert project.statuses() == {"A": "completed", "B": "completed"}


def test_the_end_names_the_failure_its_file_and_the_next_command(project: Project) -> None:
    project.plan(*(shell(f"T-{n:02d}", "echo why >&2; exit 3", attempts=1) for n in range(30)))
    done = project.run()
    assert done.status == 1
    assert len(done.out.splitlines()) <= 20
    assert done.out.startswith("T-00 failed: exit status 3: why\n")
    assert "results/agent-01-result.md" in done.out
    assert " retry T-00" in done.out


def test_bypassing_permissions_takes_a_flag_too(project: Project) -> None:
    project.plan(claude("A", "answer", permission_mode="bypassPermissions"))
    done = project.run()
    assert done.status == 2
    assert "--allow-bypass" in done.err
    assert project.run("--allow-bypass").status == 0


def test_the_claude_program_can_be_named(project: Project) -> None:
    project.plan(claude("A", "answer"))
    program = project.environment.pop("ORCHESTRATE_CLAUDE")
    assert project.run("--claude", "/no/such").status == 5
    assert project.run("--claude", program).status == 0


@pytest.mark.parametrize("words", ["aggregate", "status", "plan", "retry A", "log", "run --dry-run"])
def test_a_run_that_was_killed_before_it_took_its_plan_in_is_no_trouble(project: Project, words: str) -> None:
    project.plan(shell("A", "echo x"))
    project.run()
    journal = project.workspace / "journal.jsonl"
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:2]))
    assert project.do(*words.split()).status == (2 if words in ("aggregate", "retry A") else 0)


def test_a_run_without_a_plan_makes_nothing(project: Project) -> None:
    assert project.do("run").status == 2
    assert project.do("run", "--detach").status == 2
    assert not project.workspace.exists()


def test_a_run_that_the_environment_stopped_says_why_and_how_to_go_on(project: Project) -> None:
    project.plan(claude("A", "logged-out"))
    done = project.run()
    assert done.status == 5
    assert "stopped: authentication: " in done.out
