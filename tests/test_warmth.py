"""A command that is forked does what one that is started does."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from project import HOLD, PROGRAM, Done, Project, note, shell
from warmth import Command

pytestmark = pytest.mark.real


def started(project: Project, *words: str) -> Done:
    """A command from beginning to end, by a Python of its own."""
    done = subprocess.run(
        [*PROGRAM, *words], cwd=project.folder, env=project.environment, stdin=subprocess.DEVNULL,
        capture_output=True, encoding="utf-8", start_new_session=True, check=False,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    "words",
    [
        ["--version"],
        ["--help"],
        ["status"],
        ["status", "--json"],
        ["nonsense"],
        ["validate", "plan.yaml"],
        ["plan", "--json", "plan.yaml"],
        ["run", "--dry-run", "plan.yaml"],
        ["wait"],
    ],
    ids=" ".join,
)
def test_a_forked_command_says_what_a_started_one_says(project: Project, words: list[str]) -> None:
    project.plan(shell("A", "true"), shell("B", "true", needs=["A"]))

    assert project.do(*words) == started(project, *words)


def test_a_forked_run_is_found_finished_by_a_started_one_and_the_other_way_round(project: Project) -> None:
    project.plan(shell("A", note("start A")))
    assert (project.run().status, started(project, "run", "plan.yaml").status) == (0, 0)
    project.plan(shell("A", note("start A")), shell("B", note("start B")))
    assert (started(project, "run", "plan.yaml").status, project.run().status) == (0, 0)
    assert project.noted() == ["start A", "start B"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is forked")
def test_a_forked_command_is_a_process_with_its_own_variables_and_end(project: Project) -> None:
    project.environment["OF_THIS_ONE"] = "words"
    project.plan(shell("A", 'echo "$OF_THIS_ONE"', note("start A"), HOLD))
    run = project.start("run", "plan.yaml")
    project.await_note("start A")

    assert isinstance(run, Command)
    assert run.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        run.wait(0.01)
    run.kill()

    assert run.wait() == run.returncode == -signal.SIGKILL
    project.go()
    assert project.run().status == 0
    assert project.do("log", "A").out == "words\n"


def test_a_variable_that_python_reads_at_its_start_is_heeded(project: Project) -> None:
    project.plan(shell("A", "true"))
    project.run()
    assert "✅" in project.do("status").out

    project.environment["PYTHONIOENCODING"] = "ascii"

    assert project.do("status").out.isascii()
