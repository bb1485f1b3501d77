"""cli-integration.md is compared with the program: help texts, options, variables, and its lines of shell."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest
from fakeclaude import HELP, VERSION
from pages import COMMANDS, ROOT, blocks, help_of, in_code, rows, section, with_helps, with_lists
from project import Project

from orchestrator import exits
from orchestrator.clis import claude
from orchestrator.clis.claude_features import features
from orchestrator.commands import EXIT_CODES, orchestrate
from orchestrator.core.plan import Task
from orchestrator.core.rundocument import RUN_STATES
from orchestrator.core.workers import GENERAL

TEXT = COMMANDS.read_text(encoding="utf-8")
PACKAGE = ROOT / "scripts" / "orchestrator"
VARIABLE = re.compile(r"(ORCHESTRATE|CLAUDE|ANTHROPIC|DISABLE|BASH|XDG)_[A-Z_]+|LOCALAPPDATA|HOME")


def test_every_command_has_its_help_text_and_none_is_there_that_the_program_lacks() -> None:
    for name in orchestrate.commands:
        assert help_of(name) in TEXT, f"orchestrate {name}: run python3 tests/regenerate.py"
    assert set(re.findall(r"^### `orchestrate ([\w-]+)`$", TEXT, re.M)) == set(orchestrate.commands)


def test_writing_it_anew_changes_nothing() -> None:
    assert with_lists(with_helps(TEXT)) == TEXT, "run python3 tests/regenerate.py"


@pytest.mark.parametrize("name", ["aggregate", "run", "wait"])
def test_a_new_command_gets_a_part_of_its_own_where_it_belongs(name: str) -> None:
    heading = f"### `orchestrate {name}`\n"
    without = TEXT.replace(heading + section(TEXT, heading.rstrip()), "")
    assert heading not in without
    assert with_helps(without) == TEXT


def test_the_exit_statuses_are_those_of_the_help() -> None:
    told = [row[0] for row in rows(section(TEXT, "## Exit statuses"))]
    assert told == re.findall(r"^  (\d+) ", EXIT_CODES, re.M)
    assert sorted(map(int, told)) == sorted(value for name, value in vars(exits).items() if name.isupper())


def test_the_states_of_a_run_are_those_of_status() -> None:
    told = [in_code(row[0])[0] for row in rows(section(TEXT, "## Where a run stands"))]
    assert tuple(told) == RUN_STATES


def test_the_variables_are_those_that_the_code_knows() -> None:
    part = section(TEXT, "## Environment variables")
    told = {name.rstrip("…") for row in rows(part) for name in re.findall(r"`([^`]+)`", row[0])}
    assert told == _variables() - set(claude.SESSION_VARIABLES)


def _variables() -> set[str]:
    """All texts in the package that are the name, or the beginning of the name, of a variable."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        if "demo" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and VARIABLE.fullmatch(node.value)
            ):
                found.add(node.value)
    return found


def test_what_every_worker_is_given_stands_there_with_its_value() -> None:
    told = {
        name: row[1] for row in rows(section(TEXT, "## Environment variables")) for name in in_code(row[0])
    }
    for name, value in claude.environment().items():
        assert f"`{value}`" in told[name] or name.startswith("BASH_"), name
    assert claude.environment()["BASH_DEFAULT_TIMEOUT_MS"] == "600000"
    assert claude.environment()["BASH_MAX_TIMEOUT_MS"] == "3600000"


def test_the_options_of_claude_are_those_that_the_program_gives() -> None:
    told = {row[0].strip("`") for row in rows(section(TEXT, "## The claude command"))}
    assert told == _options(resume=False) | _options(resume=True)


def _options(*, resume: bool) -> set[str]:
    program = features("claude", VERSION, HELP)
    task = Task(id="T-01", max_turns=9, budget_usd=1.0, output_schema={"type": "object"})
    line = claude.command(program, task, GENERAL, "session", prompt_file="role.md", resume=resume)
    return {word.split("=")[0] for word in line[1:]}


@pytest.fixture
def planned(project: Project) -> Project:
    """A project with two planned agents, and a `claude` on the PATH that answers with what it was given."""
    project.workspace.mkdir()
    tasks = [{"id": f"T-0{i}", "title": f"Part {i}", "description": f"Do part {i}."} for i in (1, 2)]
    project.plan(*tasks)
    assert project.do("plan", "plan.yaml").status == 0
    program = project.folder.parent / "bin" / "claude"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$*"\ncat\n')
    program.chmod(0o755)
    project.environment["PATH"] = f"{program.parent}:{project.environment['PATH']}"
    return project


def test_the_bare_hands_lines_give_each_agent_its_own_prompt(planned: Project) -> None:
    one, several = (b.body for b in blocks(section(TEXT, "### With bare hands")) if b.language == "sh")
    for lines, files in (
        (one, {"agent-01.json": 1}),
        (several, {"agent-01.md.json": 1, "agent-02.md.json": 2}),
    ):
        subprocess.run(["sh", "-ec", lines], cwd=planned.folder, env=planned.environment, check=True)
        for name, number in files.items():
            given = (planned.folder / "bare" / name).read_text()
            assert given.startswith("-p --output-format json --permission-mode acceptEdits\n")
            assert f"Do part {number}." in given


def test_a_prompt_for_bare_hands_says_which_results_are_missing(planned: Project) -> None:
    planned.plan(
        {"id": "A", "description": "x"}, {"id": "B", "description": "y", "needs": ["A"]}, name="n.yaml"
    )
    planned.do("plan", "n.yaml")
    prompts = [path.read_text() for path in sorted(Path(planned.workspace / "agent_tasks").iterdir())]
    assert any("not there yet" in text for text in prompts)


def test_the_lines_for_ci_end_as_they_should(project: Project) -> None:
    project.plan({"id": "A", "cli": "shell", "run": "true"})
    lines = next(b.body for b in blocks(section(TEXT, "## In cron and CI")) if b.language == "sh")
    for line in lines.splitlines():
        words = line.split(" > ")[0].split()[1:]
        assert project.do(*words).status == 0, line
