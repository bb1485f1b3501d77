from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bare_machine import ROOT, BareMachine, Finished
from check import TOOLS
from claude_program import VERSIONS

from orchestrator.bootstrap import PACKAGES

FILES = ("check.py", "claude_program.py", "lonely.py")
TOOL = "import os, sys; print(os.getcwd(), *sys.argv[1:]); sys.exit('--fail' in sys.argv)"


NPM = """#!{python} -I
import os, sys
from pathlib import Path

package = sys.argv[-1]
with open({log!r}, "a") as log:
    print(package, file=log)
if "NPM_BREAKS" in os.environ:
    sys.exit("npm error code ENOTFOUND\\nnpm error network")
modules = Path(sys.argv[sys.argv.index("--prefix") + 1], "node_modules")
program = modules / ".bin" / "claude"
program.parent.mkdir(parents=True)
version = os.environ.get("NPM_GIVES", package.rpartition("@")[2])
works = f"#!/bin/sh\\necho '{{version}} (Claude Code)'\\n"
program.write_text("#!/bin/sh\\nexit 1\\n" if "NPM_RUNS_NO_SCRIPTS" in os.environ else works)
program.chmod(0o755)
own = modules / package.rpartition("@")[0]
own.mkdir(parents=True)
(own / "install.cjs").write_text(f"cat > {{program}} <<'END'\\n{{works}}END\\n")
"""


@pytest.fixture
def machine(tmp_path: Path) -> BareMachine:
    """The repository with tools that say where and how they were called."""
    machine = BareMachine(tmp_path, dict.fromkeys((*PACKAGES, *TOOLS), TOOL))
    machine.add_uv()
    tests = machine.scripts.parent / "tests"
    tests.mkdir()
    for name in FILES:
        shutil.copy(ROOT / "tests" / name, tests)
    shutil.move(machine.lock, tests)
    machine.script = tests / "check.py"
    add_program(machine, "npm", NPM.format(python=sys.executable, log=str(tmp_path / "npm.log")))
    add_program(machine, "node", '#!/bin/sh\nPATH=/usr/bin:/bin exec /bin/sh "$1"\n')
    return machine


def add_program(machine: BareMachine, name: str, text: str) -> None:
    """Puts it on the PATH."""
    (machine.programs / name).write_text(text)
    (machine.programs / name).chmod(0o755)


def said(done: Finished) -> str:
    """What it wrote on stderr, whether or not this machine permits network namespaces."""
    return "".join(f"{line}\n" for line in done.stderr.splitlines() if not line.startswith("lonely: "))


def test_it_makes_an_environment_and_runs_every_step_from_the_repository(machine: BareMachine) -> None:
    done = machine.run()

    root = machine.scripts.parent
    assert done.status == 0, done.stderr
    assert said(done) == f"check: installing the packages it needs, once, in {root / '.venv'}\n"
    assert [line for line in done.stdout.splitlines() if line.startswith(str(root))] == [
        f"{root} -n 4 --dist loadgroup",
        f"{root} check .",
        f"{root} format --check .",
        f"{root} scripts tests",
    ]


def test_the_second_time_it_installs_nothing(machine: BareMachine) -> None:
    machine.run()

    done = machine.run()

    assert (done.status, said(done)) == (0, "")
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


def installed(machine: BareMachine) -> list[str]:
    """The versions of the claude program that are there."""
    return sorted(path.name for path in (machine.scripts.parent / ".claude-cli").iterdir())


def test_the_pinned_versions_of_the_claude_program_are_installed_once(
    machine: BareMachine, tmp_path: Path
) -> None:
    done = machine.run()
    again = machine.run()

    assert installed(machine) == sorted(VERSIONS)
    assert (tmp_path / "npm.log").read_text().split() == [f"@anthropic-ai/claude-code@{v}" for v in VERSIONS]
    assert [f"installing claude {version} for the tests" in done.stdout for version in VERSIONS] == [True] * 2
    assert "installing" not in again.stdout
    assert "SKIPPED" not in done.stdout + again.stdout


def test_a_program_whose_install_script_did_not_run_is_put_into_its_place(machine: BareMachine) -> None:
    done = machine.run(NPM_RUNS_NO_SCRIPTS="1")

    assert installed(machine) == sorted(VERSIONS)
    assert "SKIPPED" not in done.stdout


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ({"NPM_BREAKS": "1"}, "failed: npm error code ENOTFOUND"),
        ({"NPM_GIVES": "1.0.0"}, "does not run, or is another version"),
        ({"ORCHESTRATE_TEST_CLAUDE_DIR": "/nowhere"}, "(ORCHESTRATE_TEST_CLAUDE_DIR names that folder)"),
    ],
    ids=["no network", "another version", "folder that is not there"],
)
def test_what_cannot_be_installed_is_skipped_loudly_and_the_rest_runs(
    machine: BareMachine, trouble: dict[str, str], reason: str
) -> None:
    done = machine.run(**trouble)

    assert done.status == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("SKIPPED the tests of the real claude program: ")
    assert done.stdout.splitlines()[-1].endswith(reason)
    assert done.stdout.count("SKIPPED") == 2
    assert not (machine.scripts.parent / ".claude-cli").exists() or installed(machine) == []


def test_without_npm_it_says_what_helps(machine: BareMachine) -> None:
    (machine.programs / "npm").unlink()

    done = machine.run()

    assert done.status == 0
    assert done.stdout.splitlines()[-1].endswith("no npm on the PATH (Debian: apt-get install npm)")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may install packages")
def test_root_on_a_debian_machine_gets_npm_by_apt_get(machine: BareMachine, tmp_path: Path) -> None:
    npm = machine.programs / "npm"
    shutil.move(npm, tmp_path / "npm")
    add_program(
        machine, "apt-get", f'#!/bin/sh\nif [ "$1" = install ]; then /bin/cp {tmp_path}/npm {npm}; fi\n'
    )

    done = machine.run()

    assert "check: installing npm for the tests (apt-get install npm)\n" in done.stdout
    assert installed(machine) == sorted(VERSIONS)


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
