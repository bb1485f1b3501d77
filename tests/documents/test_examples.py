"""The plans of examples.md are run: commands for real, workers by a stand-in that does what a task declares."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from pages import ROOT, Block, blocks, rows, section
from project import Project

from orchestrator.core.advice import outlook
from orchestrator.core.plan import Limits, Plan, Task
from orchestrator.edges.planfile import parse_plan

TEXT = (ROOT / "examples.md").read_text(encoding="utf-8")
PLANS = [block.body for block in blocks(TEXT) if block.language == "yaml"]
BY_WORKERS = [text for text in PLANS if "cli: session" not in text and "incoming.csv" not in text]


def request(text: str) -> str:
    return parse_plan(text.encode(), "examples.md").request


@pytest.fixture
def sources(project: Project) -> Project:
    """A project folder with the files that the plans speak of."""
    project.environment["ORCHESTRATE_CLAUDE"] = str(Path(__file__).resolve().parent.parent / "obliging.py")
    for name in ("intro", "install", "usage", "api", "faq"):
        _write(project.folder / "docs" / f"{name}.md", f"# {name}\n")
    for name in ("core", "web", "jobs", "tools"):
        _write(project.folder / "src" / name / "files.py", "import os\n\nHERE = os.path.abspath('.')\n")
    _write(project.folder / "src" / "api.py", "def users():\n    return []\n")
    return project


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_there_are_at_least_eight_examples_each_with_a_plan_of_its_own() -> None:
    assert len({request(text) for text in PLANS}) == len(PLANS) >= 8


@pytest.mark.parametrize("text", BY_WORKERS, ids=request)
def test_a_plan_of_the_examples_runs_to_its_end(sources: Project, text: str) -> None:
    (sources.folder / "plan.yaml").write_text(text)
    done = sources.run()
    assert done.status == 0, done.err + str(sources.statuses())
    assert set(sources.statuses().values()) == {"completed"}


def test_the_words_are_counted_right(sources: Project) -> None:
    text = next(text for text in PLANS if "Count the words" in text)
    (sources.folder / "plan.yaml").write_text(text)
    sources.run()
    assert sources.result(5).endswith("\n3000\n")


def test_the_check_of_the_glossary_tells_a_glossary_from_what_is_none(tmp_path: Path) -> None:
    plan = parse_plan(next(text for text in PLANS if "Glossary" in text).encode(), "examples.md")
    (check,) = next(task.verify for task in plan.tasks if task.id == "glossary")
    head = ["# Glossary", "", "| English | German |", "| --- | --- |"]

    def passes(rows: list[str]) -> bool:
        _write(tmp_path / "de" / "glossary.md", "\n".join([*head, *rows, ""]))
        return subprocess.run(check, shell=True, cwd=tmp_path, check=False).returncode == 0

    assert subprocess.run(check, shell=True, cwd=tmp_path, check=False, stderr=subprocess.DEVNULL).returncode
    assert passes([f"| term {n} | Wort {n} |" for n in range(40)])
    assert not passes([f"| term {n} | Wort {n} |" for n in range(39)])
    assert not passes([f"| term {n} |  |" for n in range(40)])
    assert not passes([f"- term {n}: Wort {n}" for n in range(40)])


def test_a_command_merges_results_that_are_data(sources: Project) -> None:
    text = next(text for text in PLANS if "support letters" in text)
    (sources.folder / "plan.yaml").write_text(text)
    sources.run()
    assert (sources.folder / "causes.csv").read_text().splitlines() == ["text,delivery"] * 3
    assert sources.result(4).endswith(" 3 delivery\n")
    (line,) = re.findall(r"`(sed [^`]+)`", section(TEXT, "## Merging results that are data"))
    result = sources.workspace / "results" / "agent-01-result.md"
    printed = subprocess.run(
        line,
        shell=True,
        env={**os.environ, "ORCHESTRATE_RESULT_T_01": str(result)},
        capture_output=True,
        check=True,
    )
    assert json.loads(printed.stdout) == {"letters": [{"file": "text", "cause": "delivery"}]}


def test_verify_sees_files_and_nothing_of_what_the_worker_says(project: Project) -> None:
    for name in [name for name in project.environment if name.startswith("ORCHESTRATE_TEST_")]:
        del project.environment[name]
    seen = "env | sed -n 's/^\\(ORCHESTRATE_[A-Z]*\\)_*[^=]*=.*/\\1/p' | sort -u; ls .orchestrator/results"
    project.plan(
        {"id": "A", "description": "a", "model": "answer", "inputs": {"x": "y"}},
        {"id": "B", "description": "b", "model": "answer", "needs": ["A"], "verify": [f"{seen}; exit 1"]},
        defaults={"attempts": 1},
    )
    project.run()
    shown = (project.workspace / "attempts" / "B.1" / "verify-1.out").read_text()
    assert shown.split() == ["ORCHESTRATE_ATTEMPT", "ORCHESTRATE_CLAUDE", "agent-01-result.md"]


def test_the_failing_run_recovers_line_by_line_as_it_is_told(project: Project) -> None:
    here = section(TEXT, "## A failing run and its recovery")
    plan, lines = (block.body for block in blocks(here)[:2])
    project.workspace.mkdir()
    (project.workspace / "plan.yaml").write_text(plan)
    for line in lines.splitlines():
        command, _, expected = re.split(r"(\s+# )", line, maxsplit=1)
        words = command.split()
        if words[0] == "orchestrate":
            status = project.do(*words[1:]).status
        else:
            status = os.waitstatus_to_exitcode(os.system(f"cd '{project.folder}' && {command}"))
        assert status == int(re.match(r"\d+", expected)[0]), line  # type: ignore[index]
    assert set(project.statuses().values()) == {"completed"}
    assert len(project.events("AttemptStarted", "other")) == 1


def test_the_session_example_is_led_by_the_commands_that_it_names(sources: Project) -> None:
    text = next(text for text in PLANS if "cli: session" in text)
    sources.workspace.mkdir()
    (sources.workspace / "plan.yaml").write_text(text)
    sources.do("run")
    (sources.folder / "result.md").write_text("users becomes list_users\n")
    assert "T-01" in sources.do("next").out
    assert "Propose a new name" in sources.do("start", "T-01").out
    assert sources.do("finish", "T-01", "--result", "result.md").status == 0
    assert sources.statuses() == {"T-01": "completed", "T-02": "completed", "T-03": "pending"}


def test_the_minutes_of_the_sizing_table_are_those_of_the_scheduler() -> None:
    heading = TEXT[TEXT.index("| tasks | 1 at a time |") :].splitlines()[0]
    places = [int(word) for word in re.findall(r"\d+", heading)]
    for tasks, *minutes in rows(section(TEXT, "## How many workers")):
        count = int(tasks.split()[0])
        parts = [Task(id=f"T-{i}") for i in range(count)]
        plan = Plan(
            request="x",
            tasks=(*parts, Task(id="join", needs=tuple(part.id for part in parts))),
            limits=Limits(),
        )
        assert [int(cell) for cell in minutes] == [
            round(outlook(plan, [600.0] * (count + 1), place).expected_seconds / 60) for place in places
        ]


def test_a_block_inside_another_is_not_a_block_of_its_own() -> None:
    assert blocks("````md\n```yaml\nx\n```\n````\n```sh\ny\n```\n") == [
        Block("md", "```yaml\nx\n```\n"),
        Block("sh", "y\n"),
    ]
