"""`doctor`: every finding by itself, then the command as people type it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakeclaude import fake_claude
from project import HOLD, Done, Project, note, shell

from orchestrator import health
from orchestrator.edges.claudefiles import Login

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("megabytes", "good", "said"),
    [
        (299, False, "workers that fit at once: 0; end other programs"),
        (300, True, "workers that fit at once: 1; run with --parallelism 1"),
        (599, True, "workers that fit at once: 3; run with --parallelism 3"),
        (600, True, "workers that fit at once: 4"),
    ],
)
def test_memory_says_how_many_workers_fit(megabytes: int, good: bool, said: str) -> None:
    finding = health.memory(megabytes * 1_000_000)
    assert finding.good is good
    assert finding.text.startswith(f"{megabytes} MB free; {said}")
    assert ("--parallelism" in finding.text) is ("--parallelism" in said)


def test_unknown_memory_is_no_reason_to_worry() -> None:
    assert health.memory(None).good


def test_a_clock_that_was_never_set_is_bad() -> None:
    finding = health.clock(NOON.replace(year=1970), None)
    assert not finding.good
    assert "set the clock" in finding.text


def test_a_clock_that_was_set_back_behind_the_journal_is_bad() -> None:
    assert health.clock(NOON, NOON - timedelta(days=1)).good
    assert health.clock(NOON, NOON + timedelta(seconds=30)).good
    finding = health.clock(NOON, NOON + timedelta(hours=1))
    assert not finding.good
    assert finding.text.startswith(
        "2026-05-01 12:00:00 UTC is before the journal's last event (2026-05-01 13:00:00)"
    )


def test_nobody_to_pay_is_bad_and_says_how_to_log_in() -> None:
    finding = health.login(Login("none"))
    assert not finding.good
    assert "/login" in finding.text


def test_an_api_key_over_a_subscription_is_said() -> None:
    finding = health.login(Login("api key", "ANTHROPIC_API_KEY", overrides=True))
    assert finding.good
    assert finding.text == (
        "workers bill the API key from ANTHROPIC_API_KEY, not your subscription; take it away to use the subscription"
    )
    assert "before a subscription" in health.login(Login("api key", "ANTHROPIC_API_KEY")).text
    assert ";" not in health.login(Login("subscription", "/login")).text


def test_processes_of_a_run_that_is_over_are_bad() -> None:
    markers = dict.fromkeys(range(11, 18), "old/T-01.1") | {30: "new/T-01.1", 31: "other/T-01.1"}
    finding = health.attempts(markers, {"old", "new"}, "new", held=True)
    assert not finding.good
    assert finding.text.endswith("kill 11 12 13 14 15 and 2 more")


def test_attempts_of_the_run_that_goes_on_are_good() -> None:
    markers = {30: "new/T-01.1", 31: "new/T-01.1", 32: "new/T-02.1", 33: "other/T-01.1"}
    assert health.attempts(markers, {"new"}, "new", held=True).text == "2 at work"
    left = health.attempts(markers, {"new"}, "new", held=False)
    assert left.good
    assert "2 go on without a dispatcher; take them up with: " in left.text
    assert not health.attempts(markers, {"new"}, "", held=False).good
    assert health.attempts({}, set(), "", held=False).text == "none left behind"


@pytest.fixture
def machine(project: Project, tmp_path: Path) -> Project:
    """A project on a machine with a home of its own, a claude program, and an API key."""
    home = tmp_path / "home"
    home.mkdir()
    fake_claude(tmp_path / "claude")
    for name in [name for name in project.environment if name.startswith(("ANTHROPIC_", "CLAUDE"))]:
        del project.environment[name]
    project.environment |= {"HOME": str(home), "ANTHROPIC_API_KEY": "planted-key"}
    project.environment["ORCHESTRATE_CLAUDE"] = str(tmp_path / "claude")
    return project


def line_of(done: Done, name: str) -> str:
    """The line of one finding."""
    (line,) = [line for line in done.out.splitlines() if line[4:].startswith(f"{name}: ")]
    return line


def test_a_machine_with_all_that_is_needed_is_healthy(machine: Project) -> None:
    done = machine.do("doctor", "--json")
    document = json.loads(done.out)
    assert (done.status, document["healthy"]) == (0, True), document
    assert [finding["name"] for finding in document["findings"]] == [
        *(
            "python",
            "processes",
            "claude",
            "login",
            "git",
            "disk",
            "workspace folder",
            "memory",
            "cores",
            "clock",
        ),
        *("journal", "dispatcher", "attempts"),
    ]
    assert all(set(finding) == {"name", "good", "text"} for finding in document["findings"])
    assert "planted" not in done.out


def test_a_missing_program_is_bad_and_says_what_to_do(machine: Project) -> None:
    machine.environment["ORCHESTRATE_CLAUDE"] = "/no/such"
    done = machine.do("doctor")
    assert done.status == 5
    assert line_of(done, "claude").startswith("BAD claude: /no/such is not a program; install Claude Code")


@pytest.mark.parametrize("script", ["printf '\\377\\n'", "exit 3", "kill -9 $$"])
def test_a_program_that_is_not_what_it_seems_is_bad(machine: Project, script: str) -> None:
    program = machine.folder / "claude"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    done = machine.do("doctor", "--claude", str(program))
    assert done.status == 5
    assert line_of(done, "claude").startswith("BAD ")


def test_a_program_that_is_too_old_is_bad(machine: Project, tmp_path: Path) -> None:
    fake_claude(tmp_path / "claude", version="1.0.3")
    done = machine.do("doctor")
    assert done.status == 5
    assert line_of(done, "claude").startswith("BAD claude: ")
    assert "1.0.3" in line_of(done, "claude")


def test_nobody_logged_in_is_bad(machine: Project, tmp_path: Path) -> None:
    fake_claude(
        tmp_path / "claude", status='{"loggedIn": false, "authMethod": "none", "apiProvider": "firstParty"}'
    )
    del machine.environment["ANTHROPIC_API_KEY"]
    done = machine.do("doctor")
    assert done.status == 5
    assert line_of(done, "login").startswith("BAD login: not logged in; ")


def test_a_broken_file_of_claude_code_is_bad(machine: Project) -> None:
    Path(machine.environment["HOME"], ".claude.json").write_text("{")
    done = machine.do("doctor")
    assert done.status == 5
    assert ".claude.json is not JSON" in line_of(done, "login")


def test_a_journal_that_cannot_be_read_is_bad(machine: Project) -> None:
    (machine.workspace / "journal.jsonl").mkdir(parents=True)
    done = machine.do("doctor")
    assert done.status == 5
    assert line_of(done, "journal").startswith("BAD journal: ")


def test_a_lock_that_cannot_be_opened_is_bad(machine: Project) -> None:
    machine.workspace.mkdir()
    (machine.workspace / "dispatcher.lock").symlink_to("dispatcher.lock")
    done = machine.do("doctor")
    assert done.status == 5
    assert line_of(done, "dispatcher").startswith("BAD dispatcher: ")


def test_a_run_at_work_is_told(machine: Project) -> None:
    machine.plan(shell("A", note("start A"), HOLD))
    process = machine.start("run", "plan.yaml")
    machine.await_note("start A")
    done = machine.do("doctor")
    assert done.status == 0
    assert line_of(done, "journal").endswith("is running")
    assert line_of(done, "dispatcher") == f"ok  dispatcher: at work, pid {process.pid}"
    assert line_of(done, "attempts") == "ok  attempts: 1 at work"
    machine.go()
    machine.finish(process)
    assert line_of(machine.do("doctor"), "attempts") == "ok  attempts: none left behind"


def test_workers_without_a_dispatcher_are_told_with_how_to_take_them_up(machine: Project) -> None:
    machine.plan(shell("A", note("start A"), HOLD))
    process = machine.start("run", "plan.yaml")
    machine.await_note("start A")
    machine.kill(process)
    done = machine.do("doctor")
    assert done.status == 0
    assert "is interrupted; go on with: " in line_of(done, "journal")
    assert "1 go on without a dispatcher; take them up with: " in line_of(done, "attempts")


def test_workers_of_an_archived_run_are_bad_and_named(machine: Project) -> None:
    machine.plan(shell("A", note("start A"), "exec sleep 600"))
    process = machine.start("run", "plan.yaml")
    machine.await_note("start A")
    machine.kill(process)
    (begun,) = machine.events("RunStarted")
    archived = machine.workspace / "archive" / begun["run"]
    archived.mkdir(parents=True)
    (machine.workspace / "journal.jsonl").rename(archived / "journal.jsonl")
    done = machine.do("doctor")
    assert done.status == 5
    line = line_of(done, "attempts")
    assert line.startswith("BAD attempts: processes of a run that is over still live: kill ")
    assert set(line.partition("kill ")[2].split()) == {str(pid) for pid in machine.living()}
