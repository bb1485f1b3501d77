"""`install --check`: what it finds, and what not."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from installation import ADDED, GONE, User, personalise
from project import Done

from orchestrator import __version__, skillfiles


def findings(done: Done) -> dict[str, int]:
    """The status of each finding of `install --check --json`, by its name."""
    return {found["name"]: found["status"] for found in json.loads(done.out)["findings"]}


def test_check_finds_nothing_wrong_with_what_was_installed(user: User) -> None:
    user.orchestrate("install")

    done = user.installed("install", "--check")

    assert done.status == 0, done.out
    assert [line[:3] for line in done.out.splitlines()] == ["ok "] * 5


def test_files_that_are_missing_or_changed_are_found_and_mended(user: User) -> None:
    user.orchestrate("install")
    personalise(user.skill)
    (user.skill / GONE).unlink()

    broken = user.orchestrate("install", "--check", "--json")
    user.orchestrate("install")
    mended = user.orchestrate("install", "--check")

    assert broken.status == 1
    assert {name for name, status in findings(broken).items() if status} == {"missing files", "changed files"}
    assert mended.status == 0
    assert f"yours: {ADDED}" in mended.out


def test_check_says_what_is_not_installed_and_what_is_of_another_version(user: User, older: Path) -> None:
    nothing = user.orchestrate("install", "--check")
    user.orchestrate("install", root=older)

    other = user.orchestrate("install", "--check")

    assert nothing.status == 1
    assert "nothing is at" in nothing.out
    assert other.status == 1
    assert f"BAD skill: 0.0.9 at {user.skill}; this program is {__version__}" in other.out


def test_check_finds_missing_packages_and_a_command_out_of_reach(user: User, tmp_path: Path) -> None:
    user.orchestrate("install")
    user.variables |= {"XDG_CACHE_HOME": str(tmp_path / "empty"), "PATH": os.defpath}

    done = user.orchestrate("install", "--check", "--json")

    assert done.status == 5
    assert findings(done) == {"skill": 0, "files": 0, "packages": 5, "command": 5, "permission rule": 0}


def test_check_finds_a_command_that_leads_nowhere(user: User) -> None:
    user.orchestrate("install", "--project")
    shutil.rmtree(user.here / ".claude")
    user.variables["ORCHESTRATE_NO_SETUP"] = "1"
    (user.home / ".claude" / "skills").mkdir(parents=True)
    skillfiles.copy(skillfiles.source().files, user.skill)

    done = user.orchestrate("install", "--check", "--json")

    assert done.status == 1
    assert findings(done) == {"skill": 0, "packages": 0, "command": 1, "permission rule": 0}
