"""The command `orchestrate` in a folder of the PATH, and whose it is."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from installation import User

from orchestrator import pathcommand
from orchestrator.skillfiles import ENTRY

ROOT = Path(__file__).resolve().parent.parent


def test_the_lines_to_type_are_those_that_the_permission_rule_allows(user: User) -> None:
    user.orchestrate("install")

    by_name, by_path = user.installed("status"), user.orchestrate("status")

    assert by_name.out.endswith("begin with: orchestrate init REQUEST\n")
    assert by_path.out.endswith(f"begin with: python3 {ROOT / ENTRY} init REQUEST\n")


def test_the_rule_names_the_command_where_the_shell_finds_it_and_else_the_script(user: User) -> None:
    found = user.orchestrate("install").out
    user.variables["PATH"] = os.defpath

    done = user.orchestrate("install")

    settings = f"in {user.home / '.claude' / 'settings.json'}:"
    assert found.splitlines()[-1] == '  "Bash(orchestrate *)"'
    assert settings in found
    assert done.out.splitlines()[-1] == f'  "Bash(python3 {user.skill / ENTRY} *)"'
    assert f"{user.commands} is not on the PATH" in done.err


def test_a_changed_command_is_kept(user: User) -> None:
    user.orchestrate("install")
    user.command.write_text(user.command.read_text() + "# mine\n")

    again, done = user.orchestrate("install"), user.orchestrate("uninstall")

    assert f"{user.command} is none of ours: it was left alone" in again.err
    assert f"kept {user.command}" in done.out
    assert user.command.read_text().endswith("# mine\n")


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_foreign_command_of_that_name_is_left_alone(user: User, kind: str) -> None:
    user.commands.mkdir(parents=True)
    if kind == "file":
        user.command.write_text("#!/bin/sh\necho another program\n")
        user.command.chmod(0o755)
    else:
        user.command.symlink_to("/nowhere/orchestrate")

    done = user.orchestrate("install")

    assert done.status == 0
    assert "none of ours: it was left alone" in done.err
    assert f'"Bash(python3 {user.skill / ENTRY} *)"' in done.out
    assert user.command.is_symlink() == (kind == "link")
    assert user.orchestrate("install", "--check").status == 5 if kind == "file" else True


def test_a_command_that_a_package_brought_is_good_enough(user: User) -> None:
    user.commands.mkdir(parents=True)
    user.command.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT / 'scripts')!r})\n"
        f"{pathcommand.OF_A_PACKAGE}\nsys.exit(main())\n"
    )
    user.command.chmod(0o755)

    done = user.orchestrate("install")

    assert '"Bash(orchestrate *)"' in done.out
    assert user.orchestrate("install", "--check").status == 0
