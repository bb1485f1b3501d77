"""Every command, its flags and its exit statuses, as typed."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest
from project import HOLD, PROGRAM, Project, claude, note, shell, until

pytestmark = pytest.mark.real

KEYS = {
    "id", "agent", "title", "worker", "status", "outcome", "reason", "attempts", "cost_usd", "started", "ended",
    "result",
}  # fmt: skip


def test_version_and_help_say_what_there_is(project: Project) -> None:
    assert project.do("--version").out.startswith("orchestrate ")
    done = project.do("--help")
    assert done.status == 0
    for word in (
        "init",
        "validate",
        "plan",
        "run",
        "wait",
        "status",
        "log",
        "stop",
        "retry",
        "cancel",
        "aggregate",
    ):
        assert f"\n  {word} " in done.out
    for number in ("0", "1", "2", "3", "4", "5", "6", "75", "130"):
        assert re.search(rf"^ +{number} +[a-z]", done.out, re.MULTILINE)


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["run", "--parallelism", "0"],
        ["run", "--budget", "-1"],
        ["run", "no-such-plan.yaml"],
        ["run"],
        ["run", "--new"],
        ["validate"],
        ["plan"],
        ["init"],
        ["init", "x", "--from", "y"],
        ["init", "--from", "no-such-file.md"],
        ["wait"],
        ["wait", "--timeout", "soon"],
        ["retry"],
        ["retry", "A", "--failed"],
        ["retry", "A"],
        ["cancel"],
        ["cancel", "A"],
        ["stop"],
        ["log", "A"],
        ["aggregate"],
        ["--workspace", ".git/x", "status"],
        ["--workspace", "", "status"],
        ["--workspace", "/dev/null", "init", "x"],
        ["--workspace", "/dev/null/x", "status"],
        ["init", " "],
        ["run", "--budget", "nan"],
        ["run", "--budget", "1e400"],
        ["auto", "x", "--budget", "inf"],
        ["aggregate", "--synthesize", "--budget", "nan"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_done_as_typed_is_refused_with_2_and_makes_nothing(
    project: Project, words: list[str]
) -> None:
    done = project.do(*words)
    assert done.status == 2
    assert done.err
    assert not (project.workspace / "journal.jsonl").exists()


def test_a_link_that_leads_to_itself_is_refused_wherever_a_path_is_given(project: Project) -> None:
    (project.folder / "loop").symlink_to("loop")
    project.plan(shell("A", "true"))
    project.run()
    for words in (
        ["--workspace", "loop", "status"],
        ["--workspace", "loop", "run", "plan.yaml"],
        ["run", "loop"],
        ["init", "--from", "loop"],
        ["aggregate", "--to", "loop"],
        ["demo", "loop"],
    ):
        done = project.do(*words)
        assert (words, done.status, len(done.err.splitlines())) == (words, 2, 1)
    assert (project.folder / "loop").is_symlink()


def test_a_plan_with_problems_is_refused_and_the_workspace_is_as_it_was(project: Project) -> None:
    project.plan(shell("A", "echo x"))
    project.run()
    before = {p: p.read_bytes() for p in project.workspace.rglob("*") if p.is_file()}
    project.plan(shell("A", "echo y", needs=["B"]), {"id": "C", "cli": "shell"}, name="bad.yaml")
    for words in (["validate", "bad.yaml"], ["plan", "bad.yaml"], ["run", "bad.yaml"]):
        done = project.do(*words)
        assert (words[0], done.status) == (words[0], 2)
        assert "bad.yaml:1: " in done.err
        assert "B" in done.err
        assert "C" in done.err
    assert {p: p.read_bytes() for p in project.workspace.rglob("*") if p.is_file()} == before


def test_init_makes_a_plan_and_keeps_what_is_there(project: Project) -> None:
    begun = project.do("init", "find out why")
    assert (begun.status, bool(re.search(r"then: .* validate, then: .* plan\n$", begun.err))) == (0, True)
    plan = project.workspace / "plan.yaml"
    assert "find out why" in plan.read_text()
    assert project.do("init", "again").status == 2
    assert "find out why" in plan.read_text()
    assert project.do("init", "again", "--new").status == 0
    assert "again" in plan.read_text()
    assert any("find out why" in path.read_text() for path in project.workspace.glob("archive/*/plan.yaml"))


def test_init_refuses_while_a_run_is_unfinished(project: Project) -> None:
    project.plan(shell("A", "exit 1", attempts=1, on_failure="escalate"))
    assert project.run().status == 3
    assert project.do("init", "other").status == 2
    assert project.do("init", "other", "--new").status == 0
    assert not project.events()


def test_validate_answers_in_words_and_in_json(project: Project) -> None:
    project.plan(shell("A", "echo x"))
    assert "valid, 1 task\n" in project.do("validate", "plan.yaml").out
    assert json.loads(project.do("validate", "plan.yaml", "--json").out)["valid"] is True
    project.plan(shell("A", "echo x", needs=["A"]))
    done = project.do("validate", "plan.yaml", "--json")
    assert done.status == 2
    assert json.loads(done.out)["problems"]
    assert "tasks" in json.loads(project.do("validate", "--schema").out)["properties"]


def test_validate_points_out_a_plan_that_has_its_first_tasks_made_for_money(project: Project) -> None:
    (project.folder / "empty.yaml").write_text("request: x\nreplan: auto\ntasks: []\n")
    done = project.do("validate", "empty.yaml")
    assert (done.status, "valid, 0 tasks\nnote: there are no tasks" in done.out) == (0, True), done
    assert len(json.loads(project.do("validate", "empty.yaml", "--json").out)["warnings"]) == 1


def test_plan_shows_and_renders_and_runs_nothing(project: Project) -> None:
    project.plan(shell("A", note("start A")), claude("B", "answer", needs=["A"]))
    done = project.do("plan", "plan.yaml", "--ascii")
    assert done.status == 0
    assert "2 tasks in 2 batches" in done.out
    assert (project.workspace / "master_plan.md").exists()
    assert (project.workspace / "agent_tasks" / "agent-02.md").exists()
    assert json.loads(project.do("plan", "plan.yaml", "--json").out)["batches"] == [["A"], ["B"]]
    assert (project.noted(), project.events()) == ([], [])


def test_plan_says_what_a_changed_plan_would_run_again(project: Project) -> None:
    project.plan(shell("A", "echo x"), shell("B", "echo y"))
    project.run()
    project.plan(shell("A", "echo x"), shell("B", "echo z"))
    document = json.loads(project.do("plan", "plan.yaml", "--json").out)
    assert (document["again"], document["completed"]) == (["B"], 1)


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


def test_plan_counts_one_worker_and_one_kept_task_in_the_singular(project: Project) -> None:
    project.plan(shell("A", "true"), claude("B", "answer", needs=["A"]))
    shown = project.do("plan", "plan.yaml").out
    assert (" for 1 worker, " in shown, "; 1 worker uses a model (" in shown) == (True, True), shown
    project.plan(shell("A", "true"), shell("B", "true", estimate="1s"))
    assert "(from estimates of 1 task, " in project.do("plan", "plan.yaml").out
    project.plan(shell("A", "true"))
    project.run()
    assert ": 1 completed task\n" in project.do("plan", "plan.yaml").out


def without_login(project: Project) -> None:
    """A user who has never logged in, and no key."""
    (project.folder.parent / "home").mkdir()
    project.environment["HOME"] = str(project.folder.parent / "home")
    for name in [name for name in project.environment if name.startswith(("ANTHROPIC_", "CLAUDE_"))]:
        del project.environment[name]


@pytest.mark.skipif(sys.platform == "darwin", reason="logins are in the keychain, which is not asked")
def test_plan_notes_that_workers_have_no_login_and_what_to_do(project: Project) -> None:
    without_login(project)
    project.plan(shell("A", "true"), claude("B", "answer"))

    (line,) = [line for line in project.do("plan", "plan.yaml").out.splitlines() if "no login" in line]

    assert line.startswith("note: there is no login for workers: a run would stop at the second ")
    assert all(way in line for way in ("exit 5", "/login", " doctor`", "`cli: session`"))
    assert line[6:] in json.loads(project.do("plan", "plan.yaml", "--json").out)["warnings"]
    project.plan(shell("A", "true"))
    assert "login" not in project.do("plan", "plan.yaml").out


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


def test_another_workspace_works_in_the_current_folder(project: Project) -> None:
    project.plan(shell("A", "pwd"))
    assert project.do("--workspace", "elsewhere/w", "run", "plan.yaml").status == 0
    assert (project.folder / "elsewhere" / "w" / "journal.jsonl").exists()
    assert not project.workspace.exists()
    text = (project.folder / "elsewhere" / "w" / "results" / "agent-01-result.md").read_text()
    assert f"{project.folder}\n" in text


def test_the_nearest_workspace_upwards_is_used(project: Project) -> None:
    project.plan(shell("A", "pwd"))
    project.run()
    (project.folder / "deep").mkdir()
    done = project.do("--workspace", str(project.workspace), "status", "--ascii")
    inner = Project.__new__(Project)
    inner.__dict__.update(project.__dict__, folder=project.folder / "deep")
    assert inner.do("status", "--ascii").out == done.out


def test_watching_where_nothing_was_run_says_so_as_status_does(project: Project) -> None:
    told = project.do("status")
    assert "nothing has been run here yet" in told.out
    assert project.do("status", "--watch") == told
    assert json.loads(project.do("status", "--watch", "--json").out)["run"]["state"] == "none"


def test_where_nothing_was_run_it_begins_with_a_plan_and_then_with_its_run(project: Project) -> None:
    ask = (("status",), ("status", "--watch"), ("wait",), ("finish", "A", "--failed", "why"))
    for words in ask:
        done = project.do(*words)
        assert (done.out + done.err).endswith("orchestrate.py init REQUEST\n"), done
    project.do("init", "x")
    lines = ["".join(project.do(*words)[1:]).rpartition("orchestrate.py ")[2] for words in ask]
    assert lines == [*["run --detach (or: run)\n"] * 3, "next\n"]


def test_a_terminal_without_our_signs_gets_their_codes_and_json_is_whole(project: Project) -> None:
    project.plan(shell("A", "true", title="✓"))
    project.environment["PYTHONIOENCODING"] = "latin-1"
    done = project.do("plan", "plan.yaml")
    assert (done.status, "[A: \\u2713]" in done.out) == (0, True)
    events = [json.loads(line) for line in project.run("--json").out.splitlines()]
    assert [e["plan"]["tasks"][0]["title"] for e in events if e["type"] == "PlanAccepted"] == ["✓"]


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("--version >/dev/full", 5),
        ("status >/dev/full", 5),
        ("validate no-such-plan 2>/dev/full", 2),
        ("oh 2>/dev/full", 2),
    ],
)
def test_a_full_disk_behind_an_output_is_an_exit_status_and_no_traceback(
    project: Project, line: str, status: int
) -> None:
    done = project.finish(project.start(inside=("sh", "-c", f'exec "$@" {line}', "sh")))
    assert done.status == status


def unread(project: Project, line: str, stream: str) -> int:
    """The exit status of a command whose reader has gone before it says anything."""
    reader, writer = os.pipe()
    os.close(reader)
    out, err = (writer if stream == name else subprocess.DEVNULL for name in ("stdout", "stderr"))
    words = [*PROGRAM, *line.split()]
    with open(writer, "wb"):
        done = subprocess.run(
            words,
            cwd=project.folder,
            env=project.environment,
            timeout=20,
            stdout=out,
            stderr=err,
            check=False,
        )
    return done.returncode


@pytest.mark.parametrize(
    ("line", "stream", "status"),
    [
        ("status", "stdout", 0),
        ("validate --schema", "stdout", 0),
        ("--help", "stdout", 0),
        ("--version", "stdout", 0),
        ("validate bad.yaml --json", "stdout", 2),
        ("wait", "stdout", 1),
        ("run --dry-run", "stderr", 0),
        ("validate no-such-plan", "stderr", 2),
    ],
)
def test_a_reader_that_has_gone_changes_no_exit_status(
    project: Project, line: str, stream: str, status: int
) -> None:
    project.plan(shell("A", "exit 1", attempts=1))
    project.run()
    (project.folder / "bad.yaml").write_text("tasks: 1")
    assert unread(project, line, stream) == status


def test_following_ends_when_nobody_reads_it(project: Project) -> None:
    project.plan(shell("A", note("start A"), "echo first", HOLD))
    process = project.start("run", "plan.yaml")
    project.await_note("start A")
    assert [unread(project, line, "stdout") for line in ("log -f", "log A -f")] == [0, 0]
    project.go()
    assert project.finish(process).status == 0


def test_status_in_json_is_utf_8_whatever_the_terminal_speaks(project: Project) -> None:
    project.plan(shell("A", "true", title="grün ✓"))
    project.run()
    project.environment["PYTHONIOENCODING"] = "ascii"
    assert [task["title"] for task in project.document()["tasks"]] == ["grün ✓"]


def test_status_in_json_has_the_promised_shape(project: Project) -> None:
    document = project.document()
    assert (document["format"], document["run"]["state"], document["tasks"]) == (1, "none", [])
    project.plan(shell("A", "echo x", title="one"), shell("B", "exit 1", attempts=1))
    project.run()
    document = project.document()
    run, (first, second) = document["run"], document["tasks"]
    assert {"id", "state", "exit", "cost_usd", "started", "ended", "holding"} <= set(run)
    assert (run["state"], run["exit"], run["holding"]) == ("finished", 1, None)
    assert set(first) >= KEYS
    assert (first["id"], first["agent"], first["title"], first["status"]) == (
        "A",
        "Agent-01",
        "one",
        "completed",
    )
    assert (project.workspace / first["result"]).exists()
    assert (second["status"], second["outcome"], second["attempts"]) == ("failed", "error", 1)


def test_status_is_plain_where_icons_are_not_wanted(project: Project) -> None:
    project.plan(shell("A", "echo x"))
    project.run()
    assert project.do("status", "--ascii").out.isascii()
    assert "✅" in project.do("status").out
    project.environment |= {"PYTHONIOENCODING": "ascii"}
    assert project.do("status").status == 0


def test_log_shows_the_journal_and_what_a_worker_wrote(project: Project) -> None:
    project.plan(
        shell("A", "echo from A; echo aside >&2"), claude("B", "answer"), shell("C", "true", needs=["A", "B"])
    )
    project.run()
    assert "A completed" in project.do("log").out
    assert project.do("log", "A").out == "from A\naside\n"
    assert "second half of B" in project.do("log", "B").out
    done = project.do("log", "D")
    assert done.status == 2
    assert "no task" in done.err


def test_log_follows_a_worker_to_its_end(project: Project) -> None:
    project.plan(shell("A", "echo first", note("start A"), HOLD, "echo last"))
    process = project.start("run", "plan.yaml")
    project.await_note("start A")
    following = project.start("log", "A", "-f")
    journal = project.start("log", "-f")
    assert following.stdout is not None
    assert following.stdout.readline() == "first\n"
    project.go()
    assert project.finish(following).out == "last\n"
    assert "run ended with 0" in project.finish(journal).out
    assert project.finish(process).status == 0


def test_wait_answers_with_the_status_of_the_run(project: Project) -> None:
    project.plan(shell("A", "exit 1", attempts=1))
    project.run()
    assert project.do("wait").status == 1
    done = project.do("wait", "--json")
    assert json.loads(done.out)["run"]["exit"] == 1


def test_aggregate_writes_the_results_where_it_is_told(project: Project) -> None:
    project.plan(shell("A", "echo from A"))
    project.run()
    (project.workspace / "results" / "agent-01-result.md").unlink()
    done = project.do("aggregate", "--to", "all.md")
    assert (done.status, done.out) == (0, "all.md\n")
    assert "from A" in (project.folder / "all.md").read_text()
    assert "from A" in project.result()
    assert project.do("aggregate", "--to", "no/such/folder/x.md").status == 5


def test_cancel_and_retry_name_what_they_do_not_know(project: Project) -> None:
    project.plan(shell("Alpha", "true"))
    project.run()
    for command in ("cancel", "retry"):
        done = project.do(command, "Alpa")
        assert done.status == 2
        assert "Alpha" in done.err
    assert "it is completed" in project.do("cancel", "Alpha").err
    assert project.do("retry", "--failed").out == "nothing has failed\n"


def test_a_reader_that_has_gone_is_no_error(project: Project) -> None:
    project.plan(*(shell(f"T-{n:03d}", "true") for n in range(3)))
    project.run()
    process = project.start("log")
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(20) == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""


def test_a_slow_reader_gets_all_of_it_where_writing_does_not_wait(project: Project) -> None:
    whole = project.do("validate", "--schema").out
    reader, writer = os.pipe()
    size = fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writer, False)
    process = subprocess.Popen([*PROGRAM, "validate", "--schema"], cwd=project.folder, stdout=writer)
    os.close(writer)
    with open(reader, encoding="utf-8") as pipe:
        until(lambda: waiting_in(reader) == size or process.poll() is not None, "a pipe that is full")
        assert pipe.read() == whole
    assert process.wait(20) == 0


def waiting_in(pipe: int) -> int:
    """Bytes that can be read from a pipe at once."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-", "| head -c 1"])
def test_closed_streams_change_nothing_about_a_run(project: Project, closed: str) -> None:
    project.plan(shell("A", note("start A")))
    script = f'set -o pipefail 2>/dev/null; "$@" {closed}'
    process = project.start("run", "plan.yaml", inside=("/bin/bash", "-c", script, "bash"))
    assert project.finish(process).status == 0
    assert project.noted() == ["start A"]


def test_aggregate_replaces_no_file_that_is_not_an_ordinary_one(project: Project) -> None:
    project.plan(shell("A", "echo x"))
    project.run()
    link = project.folder / "link.md"
    link.symlink_to(project.folder / "target.md")
    assert project.do("aggregate", "--to", "link.md").status == 0
    assert link.is_symlink()
    assert (project.folder / "target.md").exists()
    for place in (".", "/dev/stdout"):
        done = project.do("aggregate", "--to", place)
        assert (done.status, f"{place} is not a file that can be replaced" in done.err) == (2, True)


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


def test_ctrl_c_while_waiting_is_130(project: Project) -> None:
    project.plan(shell("A", note("start A"), HOLD))
    run = project.start("run", "plan.yaml")
    project.await_note("start A")
    waiting = project.start("wait")
    until(lambda: _catches_sigint(waiting.pid), "the command has begun")
    waiting.send_signal(signal.SIGINT)
    assert project.finish(waiting).status == 130
    project.go()
    assert project.finish(run).status == 0


def _catches_sigint(pid: int) -> bool:
    # Python has installed its handler, and sleeps between two looks at the journal.
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    caught = next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt"))
    return bool(caught & 1 << (signal.SIGINT - 1)) and "nanosleep" in _where(pid)


def _where(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/wchan").read_text()
    except OSError:
        return "nanosleep"


def test_validate_tells_what_is_wrong_with_the_file_of_a_worker_type_that_is_used(project: Project) -> None:
    workers = project.workspace / "templates" / "workers"
    workers.mkdir(parents=True)
    (workers / "reader.md").write_text("---\nname: reader\npermissionMode: everything\n---\nRead.\n")
    project.plan({"id": "T-01", "description": "Read it", "worker": "reader"})

    done = project.do("validate", "plan.yaml")

    assert done.status == 2
    assert "reader.md:3" in done.err
    assert "everything" in done.err
