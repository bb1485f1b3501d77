"""What stands in the result file of a command that failed, and what `log` shows of it."""

from __future__ import annotations

import pytest
from project import Project, shell

pytestmark = pytest.mark.real


def body(project: Project) -> str:
    """The text of the result, below the front matter."""
    return project.result().split("\n---\n", 1)[1]


def failed(project: Project, *lines: str, **more: object) -> str:
    """What the result of a task says that runs these lines, and fails."""
    project.plan(shell("A", *lines, attempts=1, **more))
    assert project.run().status == 1
    return body(project)


def test_a_command_that_failed_leaves_the_end_of_what_it_printed_and_complained(project: Project) -> None:
    assert failed(project, "echo found it", "echo one >&2; echo two >&2", "exit 3") == (
        "stdout:\n\n```\nfound it\n```\n\nstderr:\n\n```\none\ntwo\n```\n"
    )


def test_a_command_that_said_nothing_is_told_so(project: Project) -> None:
    assert failed(project, "exit 3") == "It printed nothing.\n"


def test_of_much_output_the_end_is_shown_in_whole_lines_and_where_the_rest_is(project: Project) -> None:
    shown = failed(project, "seq 1 100000", "seq 1 100000 >&2", "exit 3")
    stdout = project.workspace / "attempts" / "A.1" / "stdout"
    assert shown.startswith(f"stdout, its end (all of it: {stdout}):\n\n```\n")
    assert shown.endswith("\n99999\n100000\n```\n")
    numbers = [int(line) for line in shown.splitlines() if line.isdigit()]
    assert numbers == [*range(numbers[0], 100_001)] * 2
    assert 4000 < len(shown) < 8000


def test_the_output_of_a_check_that_failed_stands_there_too(project: Project) -> None:
    shown = failed(project, "echo done", verify=["true", "echo not so; exit 1"])
    assert shown == "stdout:\n\n```\ndone\n```\n\nverify `echo not so; exit 1`:\n\n```\nnot so\n```\n"


def test_what_a_command_printed_can_neither_leave_its_block_nor_move_a_cursor(project: Project) -> None:
    shown = failed(project, r"printf '```\n# Title\n\033[2Jcleared\n````\n'", "exit 1")
    assert shown == "stdout:\n\n`````\n```\n# Title\ncleared\n````\n`````\n"


def test_secrets_are_cut_out_of_the_end_also_where_the_cut_goes_through_one(project: Project) -> None:
    secret = "tok-" + "x1y2z3" * 20
    project.environment["MY_API_TOKEN"] = secret
    for more in (0, 40, 100):
        shown = failed(
            project, 'printf "%s\\n" "$MY_API_TOKEN"', f"seq 1 100000 | head -c {2990 - more}", "exit 1"
        )
        assert "x1y2z3" not in shown
        assert "x1y2z3" not in project.do("log", "A").out


def test_a_result_of_a_failure_that_was_removed_is_written_again_as_it_was(project: Project) -> None:
    before = failed(project, "seq 1 100000", "exit 3")
    (project.workspace / "results" / "agent-01-result.md").unlink()
    assert project.run().status == 1
    assert body(project) == before


def test_the_result_of_a_command_that_succeeds_is_all_that_it_printed(project: Project) -> None:
    project.plan(shell("A", "seq 1 100000", "echo aside >&2"))
    project.run()
    assert body(project) == "".join(f"{n}\n" for n in range(1, 100_001))


def test_log_tells_of_a_failure_what_was_printed_what_its_check_said_and_how_it_ended(
    project: Project,
) -> None:
    failed(project, "echo out; echo err >&2", verify=["echo not so; exit 1"])
    shown = project.do("log", "A")
    assert shown.out == "out\nerr\nnot so\n"
    assert shown.err == (
        "verify `echo not so; exit 1`:\n"
        "A failed, attempt 1: unverified: verify `echo not so; exit 1`: exit status 1: not so\n"
    )


def test_log_of_a_command_that_printed_nothing_still_tells_how_it_ended(project: Project) -> None:
    failed(project, "exit 3")
    assert project.do("log", "A") == (0, "", "A failed, attempt 1: error: exit status 3\n")
