from __future__ import annotations

import ast
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bare_machine import ROOT, BareMachine, Process, ended

from orchestrator.bootstrap import PACKAGES, python_complaint
from orchestrator.environment import STATE_FILE, fingerprint, missing
from orchestrator.installer import HALF_MADE, failure_reason

READ_BY_OLD_PYTHONS = (
    "scripts/orchestrate.py",
    "scripts/orchestrator/__init__.py",
    "scripts/orchestrator/bootstrap.py",
    "scripts/orchestrator/environment.py",
    "tests/check.py",
)


@pytest.fixture
def machine(tmp_path: Path) -> BareMachine:
    return BareMachine(tmp_path)


@pytest.fixture
def with_uv(machine: BareMachine) -> BareMachine:
    machine.add_uv()
    return machine


@pytest.fixture
def gate() -> Iterator[socket.socket]:
    """Where the stand-in uv knocks, and waits, before it installs anything."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        yield listener


def first_line(process: Process) -> str:
    """Of what it says on stderr."""
    assert process.stderr is not None
    return process.stderr.readline()


def port(gate: socket.socket) -> str:
    return str(gate.getsockname()[1])


def test_the_first_command_installs_the_packages_and_says_so_in_one_line(with_uv: BareMachine) -> None:
    done = with_uv.run("status")

    folder = with_uv.made_environment()
    assert done.facts()["prefix"] == str(folder)
    assert done.stderr == f"orchestrate: installing the packages it needs, once, in {folder}\n"


def test_the_second_command_installs_nothing_and_says_nothing(with_uv: BareMachine) -> None:
    with_uv.run("status")

    done = with_uv.run("status")

    assert done.facts()["prefix"] == str(with_uv.made_environment())
    assert done.stderr == ""
    assert with_uv.uv_calls() == ["venv", "pip"]


def test_arguments_and_variables_reach_the_command_as_they_were(with_uv: BareMachine) -> None:
    arguments = ["run", "a b", "", "ä", "--x=*", "-S"]

    facts = with_uv.run(*arguments).facts()

    assert facts["arguments"] == arguments
    assert facts["variables"] == sorted(with_uv.environment())


def test_an_interpreter_that_has_the_packages_is_kept(machine: BareMachine) -> None:
    (folder,) = machine.python.parent.parent.glob("lib/python*/site-packages")
    for package in PACKAGES:
        (folder / package).mkdir()
        (folder / package / "__init__.py").touch()
    (folder / "click" / "inner.py").touch()

    done = machine.run("status")

    assert done.facts()["prefix"] == str(machine.python.parent.parent)
    assert not machine.cache.exists()


def test_version_is_answered_without_packages_and_installs_none(with_uv: BareMachine) -> None:
    done = with_uv.run("--version")

    assert (done.status, done.stdout, done.stderr) == (0, "orchestrate 0.1.0\n", "")
    assert with_uv.uv_calls() == []
    assert list(with_uv.home.iterdir()) == []


def test_of_two_first_commands_at_once_one_installs_and_the_other_waits(
    with_uv: BareMachine, gate: socket.socket
) -> None:
    first = with_uv.start("status", UV_GATE=port(gate))
    knock, _ = gate.accept()
    second = with_uv.start("status", UV_GATE=port(gate))
    waiting = first_line(second)
    knock.close()

    assert waiting == "orchestrate: another process is installing the packages; waiting for it\n"
    assert ended(first).facts()["prefix"] == ended(second).facts()["prefix"]
    assert with_uv.uv_calls() == ["venv", "pip"]


def test_after_a_kill_in_the_middle_the_next_command_waits_for_the_orphan_and_begins_anew(
    with_uv: BareMachine, gate: socket.socket
) -> None:
    killed = with_uv.start("status", UV_GATE=port(gate))
    knock, _ = gate.accept()
    killed.kill()
    second = with_uv.start("status")
    waiting = first_line(second)
    knock.close()

    assert "waiting" in waiting
    assert ended(second).facts()["prefix"] == str(with_uv.made_environment())
    assert ended(killed).status == -signal.SIGKILL
    assert with_uv.uv_calls() == ["venv", "pip", "venv", "pip"]


@pytest.mark.parametrize("state", [None, "", f"{HALF_MADE}\n", "00000000-cpython-311"])
def test_a_half_made_environment_is_emptied_and_made_again(with_uv: BareMachine, state: str | None) -> None:
    folder = with_uv.cache / fingerprint(str(with_uv.lock))
    (folder / "lib" / "rest").mkdir(parents=True)
    (folder / "bin").symlink_to("nowhere")
    if state is not None:
        (folder / STATE_FILE).write_text(state)

    done = with_uv.run("status")

    assert done.facts()["prefix"] == str(folder)
    assert not (folder / "lib" / "rest").exists()


@pytest.mark.parametrize("vanished", ["click", "click/__init__.py", "yaml"])
def test_a_complete_environment_that_lost_a_package_is_made_anew(with_uv: BareMachine, vanished: str) -> None:
    with_uv.run("status")
    remove(with_uv.packages_folder() / vanished)

    done = with_uv.run("status")

    assert done.status == 0, done.stderr
    assert with_uv.uv_calls() == ["venv", "pip", "venv", "pip"]


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def test_an_environment_whose_python_is_gone_is_made_anew(with_uv: BareMachine) -> None:
    with_uv.run("status")
    python = with_uv.made_environment() / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python3")

    assert with_uv.run("status").status == 0


def test_a_package_that_lost_an_inner_file_is_an_error_once(with_uv: BareMachine) -> None:
    with_uv.run("status")
    (with_uv.packages_folder() / "click" / "inner.py").unlink()

    broken, healed = with_uv.run("status"), with_uv.run("status")

    assert broken.status == 5
    assert "is damaged. The next command makes it anew." in broken.stderr
    assert "Traceback" not in broken.stderr
    assert healed.status == 0


def test_an_installer_that_installs_nothing_ends_in_an_error_and_not_in_a_loop(with_uv: BareMachine) -> None:
    done = with_uv.run("status", UV_INSTALLS_NOTHING="1")

    assert done.status == 5
    assert "there is no click, jinja2" in done.stderr
    assert with_uv.uv_calls() == ["venv", "pip"]
    assert with_uv.run("status").status == 0


def test_a_python_that_ignores_its_environment_ends_in_an_error_and_not_in_a_loop(
    with_uv: BareMachine,
) -> None:
    with_uv.run("status")

    with_uv.python_options = ("-S",)
    done = with_uv.run("status")

    assert done.status == 5
    assert "Is PYTHONHOME or -S in the way?" in done.stderr


def test_no_setup_refuses_and_the_line_it_prints_installs_the_packages(with_uv: BareMachine) -> None:
    refused = with_uv.run("status", ORCHESTRATE_NO_SETUP="1")

    assert refused.status == 5
    assert with_uv.uv_calls() == []
    assert not with_uv.cache.exists()
    explanation, line = refused.stderr.splitlines()
    assert explanation.startswith(
        "orchestrate: click, jinja2, msgspec, psutil, rich, yaml missing, and ORCHE"
    )
    subprocess.run(["/bin/sh", "-c", line], env=with_uv.environment(), check=True)
    assert with_uv.run("status", ORCHESTRATE_NO_SETUP="1").facts()["prefix"] == str(
        with_uv.made_environment()
    )


def test_without_a_network_the_error_has_the_reason_and_the_line_to_type(with_uv: BareMachine) -> None:
    with_uv.remove_pip()

    done = with_uv.run("status", UV_BREAKS="1")

    assert done.status == 5
    assert done.stderr.splitlines()[1:3] == [
        "orchestrate: could not install the packages it needs: dns error: failed to lookup address"
        " (no connection to the package index) (uv)",
        "By hand:",
    ]
    assert [path.name for path in with_uv.made_environment().iterdir()] == [STATE_FILE]
    assert with_uv.run("status").status == 0


def test_pip_installs_from_the_lock_file_where_uv_fails(with_uv: BareMachine) -> None:
    (with_uv.home / "pip.py").write_text("raise SystemExit('the wrong pip')")

    done = with_uv.run(
        "status",
        UV_BREAKS="1",
        PIP_NO_INDEX="1",
        PIP_FIND_LINKS=str(with_uv.wheels),
        PYTHONPATH=str(with_uv.home),
    )

    assert done.facts()["prefix"] == str(with_uv.made_environment())


def test_where_pip_reaches_no_index_the_error_says_so(machine: BareMachine) -> None:
    done = machine.run("status", PIP_INDEX_URL="http://127.0.0.1:9/", PIP_RETRIES="1")

    assert done.status == 5
    assert "(no connection to the package index)" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (
            "WARNING: old\nERROR: No matching distribution found for click==1.0\n",
            "No matching distribution found",
        ),
        (
            "error: Failed\n  cause: invalid peer certificate: UnknownIssuer\n\nhint: --x",
            "invalid peer certificate",
        ),
        ("  × No solution found\n  ╰─▶ Because click was not found", "Because click was not found"),
        (
            "Traceback (most recent call last):\n  x\nOSError: [Errno 28] No space left\n",
            "OSError: [Errno 28]",
        ),
        ("strange words\n\n", "strange words"),
        ("", "it gave no reason"),
    ],
)
def test_the_reason_is_the_telling_line_of_the_output(output: str, reason: str) -> None:
    assert failure_reason(output).startswith(reason)


def test_a_python_without_venv_names_the_debian_package(machine: BareMachine) -> None:
    machine.remove_pip()
    (machine.programs / "apt-get").touch(mode=0o755)

    done, refused = machine.run("status"), machine.run("status", ORCHESTRATE_NO_SETUP="1")

    assert (done.status, refused.status) == (5, 5)
    assert f"no uv, and no venv with pip for {machine.python}. By hand:\n" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("  sudo apt-get install python3.")
    assert refused.stderr.splitlines()[-1] == done.stderr.splitlines()[-1]


def test_a_cache_that_cannot_be_written_is_an_error_that_names_the_variable(machine: BareMachine) -> None:
    (machine.home / "file").touch()

    done = machine.run("status", XDG_CACHE_HOME=str(machine.home / "file"))

    assert done.status == 5
    assert done.stderr.startswith("orchestrate: nowhere to install the packages it needs: ")
    assert done.stderr.endswith("XDG_CACHE_HOME=FOLDER names another cache folder.\n")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes to read-only folders")
def test_a_read_only_cache_is_an_error(machine: BareMachine) -> None:
    (machine.home / ".cache").mkdir(mode=0o500)

    assert "Permission denied" in machine.run("status").stderr


def test_a_home_that_does_not_exist_is_an_error_and_is_not_made(machine: BareMachine) -> None:
    machine.home.rmdir()

    done = machine.run("status")

    assert done.status == 5
    assert done.stderr.startswith(f"orchestrate: there is no home folder {machine.home}. XDG_")
    assert not machine.home.exists()


def test_a_relative_cache_folder_is_ignored(with_uv: BareMachine) -> None:
    with_uv.run("status", XDG_CACHE_HOME="cache")

    assert with_uv.made_environment().is_dir()


@pytest.mark.parametrize("version", [(2, 7), (3, 6), (3, 10)])
def test_an_old_python_is_told_which_one_is_needed(version: tuple[int, int]) -> None:
    assert python_complaint(version).startswith(
        f"needs Python 3.11 or newer; this is {version[0]}.{version[1]} ("
    )


@pytest.mark.parametrize("version", [(3, 11), (3, 14), (4, 0)])
def test_a_newer_python_is_not_complained_about(version: tuple[int, int]) -> None:
    assert python_complaint(version) == ""


@pytest.mark.parametrize("path", READ_BY_OLD_PYTHONS)
def test_what_speaks_to_an_old_python_is_in_its_language(path: str) -> None:
    tree = ast.parse((ROOT / path).read_text(), feature_version=(3, 6))

    futures = [
        node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "__future__"
    ]
    assert futures == []


def test_a_package_folder_without_files_counts_as_missing(tmp_path: Path) -> None:
    (tmp_path / "click").mkdir()
    (tmp_path / "rich.py").touch()

    assert missing(("click", "rich", "yaml"), [str(tmp_path)]) == ["click", "yaml"]


def test_the_real_lock_file_installs_from_the_package_index(machine: BareMachine) -> None:
    shutil.copy(ROOT / "scripts" / "requirements.lock", machine.lock)
    commands = machine.scripts / "orchestrator" / "commands.py"
    commands.write_text(commands.read_text().replace("click.inner", "click"))

    # The user's own settings say where the index is.
    done = machine.run("status", **{**os.environ, "PATH": "", "XDG_CACHE_HOME": str(machine.home / ".cache")})

    if "(no connection to the package index)" in done.stderr:
        pytest.skip("the package index cannot be reached")
    assert done.facts()["prefix"] == str(machine.made_environment())


@pytest.mark.parametrize("module", ["bootstrap", "commands", "planning"])
def test_a_compiled_file_that_a_full_disk_cut_off_is_in_the_way_once(tmp_path: Path, module: str) -> None:
    skill = tmp_path / "skill"
    for part in ("scripts", "templates"):
        shutil.copytree(ROOT / part, skill / part, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "plan.yaml").write_text("request: try\ntasks: [{id: A, cli: shell, run: 'true'}]\n")
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def plan() -> subprocess.CompletedProcess[str]:
        words = [sys.executable, str(skill / "scripts" / "orchestrate.py"), "plan", "plan.yaml"]
        return subprocess.run(words, cwd=tmp_path, env=kept, capture_output=True, text=True, check=False)

    assert plan().returncode == 0
    (compiled,) = (skill / "scripts" / "orchestrator" / "__pycache__").glob(f"{module}.*.pyc")
    os.truncate(compiled, 100)

    done = plan()
    assert (done.returncode, "Traceback" in done.stderr) == (5, False), done.stderr
    assert "Type the command again" in done.stderr
    assert plan().returncode == 0
