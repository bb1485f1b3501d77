from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bare_machine import ROOT, BareMachine
from check import TOOLS

from orchestrator.bootstrap import PACKAGES

TOOL = "import os, sys; print(os.getcwd(), *sys.argv[1:]); sys.exit('--fail' in sys.argv)"


@pytest.fixture
def machine(tmp_path: Path) -> BareMachine:
    """The repository with tools that say where and how they were called."""
    machine = BareMachine(tmp_path, dict.fromkeys((*PACKAGES, *TOOLS), TOOL))
    machine.add_uv()
    tests = machine.scripts.parent / "tests"
    tests.mkdir()
    shutil.copy(ROOT / "tests" / "check.py", tests)
    shutil.move(machine.lock, tests)
    machine.script = tests / "check.py"
    return machine


def test_it_makes_an_environment_and_runs_every_step_from_the_repository(machine: BareMachine) -> None:
    done = machine.run()

    root = machine.scripts.parent
    assert done.status == 0, done.stderr
    assert done.stderr == f"check: installing the packages it needs, once, in {root / '.venv'}\n"
    assert [line for line in done.stdout.splitlines() if line.startswith(str(root))] == [
        f"{root} -n 2 --dist loadgroup",
        f"{root} check .",
        f"{root} format --check .",
        f"{root} scripts tests",
    ]


def test_the_second_time_it_installs_nothing(machine: BareMachine) -> None:
    machine.run()

    done = machine.run()

    assert (done.status, done.stderr) == (0, "")
    assert machine.uv_calls() == ["venv", "pip"]


def test_a_changed_lock_file_makes_the_environment_anew(machine: BareMachine) -> None:
    machine.run()
    with (machine.script.parent / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")

    assert machine.run().status == 0
    assert machine.uv_calls() == ["venv", "pip", "venv", "pip"]


def test_arguments_go_to_pytest_and_one_failure_fails_the_whole_after_all_steps(machine: BareMachine) -> None:
    done = machine.run("-k", "plan", "--fail")

    assert done.status == 1
    assert f"{machine.scripts.parent} -k plan --fail\n" in done.stdout
    assert [line.split()[0] for line in done.stdout.splitlines()[-4:]] == ["FAILED", "ok", "ok", "ok"]


def test_a_virtual_environment_of_somebody_else_is_left_alone(machine: BareMachine) -> None:
    theirs = machine.scripts.parent / ".venv" / "pyvenv.cfg"
    theirs.parent.mkdir()
    theirs.touch()

    done = machine.run()

    assert done.status == 5
    assert done.stderr == f"check: {theirs.parent} was not made by this program; move it out of the way\n"
    assert theirs.exists()


def test_without_packages_the_error_is_short(machine: BareMachine) -> None:
    machine.remove_pip()

    done = machine.run(UV_BREAKS="1")

    assert done.status == 5
    assert "(no connection to the package index)" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_ci_runs_just_that_from_any_folder(machine: BareMachine, tmp_path: Path) -> None:
    shutil.copytree(ROOT / ".ci", machine.scripts.parent / ".ci")
    for name in ("bash", "dirname"):
        found = shutil.which(name)
        assert found, name
        (machine.programs / name).symlink_to(found)
    (machine.programs / "python3").symlink_to(sys.executable)

    command = [str(machine.scripts.parent / ".ci" / "run"), "--fail"]
    environment = machine.environment()
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 1, done.stderr
    assert f"{machine.scripts.parent} --fail\n" in done.stdout
