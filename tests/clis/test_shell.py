from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from fakes import plan, task
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.clis import shell
from orchestrator.core.checks import problems


def test_the_command_line_holds_no_text_of_the_task() -> None:
    assert shell.command("/w/prompt.md", "/w/status") == (
        "/bin/sh", "-c", shell.WRAPPER, "/w/prompt.md", "/w/status",
    )  # fmt: skip


def test_inputs_and_results_are_variables_with_names_that_a_shell_takes() -> None:
    one = task("T-02", inputs={"who is": "me", "größe": "1\n2", "PATH": "/x"})
    assert shell.environment(one, {"T-01": "/w/results/agent-01-result.md"}) == {
        "ORCHESTRATE_INPUT_who_is": "me",
        "ORCHESTRATE_INPUT_gr__e": "1\n2",
        "ORCHESTRATE_INPUT_PATH": "/x",
        "ORCHESTRATE_RESULT_T_01": "/w/results/agent-01-result.md",
    }


@given(st.dictionaries(st.text(), st.text()), st.dictionaries(st.text(), st.text()))
def test_no_variable_outside_its_own_names_is_set(inputs: dict[str, str], results: dict[str, str]) -> None:
    names = shell.environment(task("a", inputs=inputs), results)
    assert all(name.startswith(("ORCHESTRATE_INPUT_", "ORCHESTRATE_RESULT_")) for name in names)
    assert all(name.isascii() and name.replace("_", "a").isalnum() for name in names)


def test_two_inputs_that_become_one_variable_are_a_problem_of_the_plan() -> None:
    found = problems(plan(task("a", inputs={"who is": "x", "who_is": "y"})))
    assert [problem.field for problem in found] == ["inputs"]


def test_two_needs_that_become_one_variable_are_a_problem_of_the_plan() -> None:
    found = problems(plan(task("T-1"), task("T_1"), task("a", "T-1 T_1")))
    assert [(problem.task, problem.field) for problem in found] == [(2, "needs")]


@pytest.mark.parametrize(("written", "status"), [(b"0\n", 0), (b"127\n", 127), (b"255\n", 255)])
def test_the_status_that_was_written_is_read(written: bytes, status: int) -> None:
    assert shell.exit_status(written) == status


@pytest.mark.parametrize(
    "written", [b"", b"0", b"12", b"\n", b"x\n", b"-1\n", b"1\n2\n", b" 1\n", b"9" * 5000 + b"\n", b"\xff\n"]
)
def test_what_is_no_whole_status_is_none(written: bytes) -> None:
    assert shell.exit_status(written) is None


@given(st.binary())
def test_any_bytes_are_read(written: bytes) -> None:
    assert shell.exit_status(written) in {None, *range(1000)}


@pytest.mark.real
@pytest.mark.parametrize(
    ("run", "status", "said"),
    [
        ("echo done", 0, "done\n"),
        ("exit 7", 7, ""),
        ("exec sh -c 'exit 5'", 5, ""),
        ("trap 'echo bye' EXIT; exit 3", 3, "bye\n"),
        ("trap 'exit 9' EXIT", 9, ""),
        ("set -e; false; echo never", 1, ""),
        ("if then", 2, ""),
        ("no-such-program-here", 127, ""),
        ("kill -9 $$; sleep 0", None, ""),
        ('echo "$# $*"', 0, "0 \n"),
        ("s=4; false", 1, ""),
        ("cat <<'END'\n$x `y`\nEND", 0, "$x `y`\n"),
    ],
)
def test_however_a_command_ends_its_status_is_written(
    tmp_path: Path, run: str, status: int | None, said: str
) -> None:
    (tmp_path / "prompt.md").write_text(f"{run}\n")
    argv = shell.command(str(tmp_path / "prompt.md"), str(tmp_path / "status"))
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    known = tmp_path / "status"
    assert (shell.exit_status(known.read_bytes()) if known.exists() else None) == status
    assert done.returncode == (status if status is not None else -9)
    assert done.stdout == said
