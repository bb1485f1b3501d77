"""Runs of older and newer versions of the program."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from project import Project

OLDER = Path(__file__).resolve().parent / "older"


def older_workspace(folder: Path, change: Callable[[str], str] = str) -> Project:
    """A project whose workspace another version of the program has left."""
    project = Project(folder)
    shutil.copytree(OLDER / "format-1", project.workspace)
    (project.workspace / "inbox").mkdir()
    journal = project.workspace / "journal.jsonl"
    journal.write_text(change(journal.read_text().replace('"PROJECT"', json.dumps(str(project.folder)))))
    return project


def test_a_run_of_an_older_version_is_read_and_goes_on(tmp_path: Path) -> None:
    project = older_workspace(tmp_path)
    (project.folder / "go").touch()

    before = {task["id"]: task["status"] for task in json.loads(project.do("status", "--json").out)["tasks"]}
    project.do("retry", "--failed")
    done = project.do("run")

    assert before == {"T-01": "completed", "T-02": "failed", "T-03": "skipped"}
    assert done.status == 0, done.err
    assert (project.folder / "ran.txt").read_text() == "summed\n"


def test_a_journal_of_a_newer_version_is_an_error_and_stays(tmp_path: Path) -> None:
    project = older_workspace(tmp_path, lambda text: text.replace('"version":1}', '"version":99}', 1))
    before = (project.workspace / "journal.jsonl").read_bytes()

    done = project.do("run")

    assert done.status == 2
    assert "journal format 99 was written by another version of this program" in done.err
    assert (project.workspace / "journal.jsonl").read_bytes() == before
