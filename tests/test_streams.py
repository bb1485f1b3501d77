"""Commands whose readers are slow or gone, whose outputs are closed or full, or speak another encoding."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import termios

import pytest
from project import HOLD, PROGRAM, Project, note, shell, until

pytestmark = pytest.mark.real


def test_a_terminal_without_our_signs_gets_their_codes_and_json_is_whole(project: Project) -> None:
    project.plan(shell("A", "true", title="✓"))
    project.environment["PYTHONIOENCODING"] = "latin-1"
    done = project.do("plan", "plan.yaml")
    assert (done.status, "[A: \\u2713]" in done.out) == (0, True)
    events = [json.loads(line) for line in project.run("--json").out.splitlines()]
    assert [e["plan"]["tasks"][0]["title"] for e in events if e["type"] == "PlanAccepted"] == ["✓"]


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("--version >/dev/full", 5),
        ("status >/dev/full", 5),
        ("validate no-such-plan 2>/dev/full", 2),
        ("oh 2>/dev/full", 2),
    ],
)
def test_a_full_disk_behind_an_output_is_an_exit_status_and_no_traceback(
    project: Project, line: str, status: int
) -> None:
    done = project.finish(project.start(inside=("sh", "-c", f'exec "$@" {line}', "sh")))
    assert done.status == status


def unread(project: Project, line: str, stream: str) -> int:
    """The exit status of a command whose reader has gone before it says anything."""
    reader, writer = os.pipe()
    os.close(reader)
    out, err = (writer if stream == name else subprocess.DEVNULL for name in ("stdout", "stderr"))
    words = [*PROGRAM, *line.split()]
    with open(writer, "wb"):
        done = subprocess.run(
            words,
            cwd=project.folder,
            env=project.environment,
            timeout=20,
            stdout=out,
            stderr=err,
            check=False,
        )
    return done.returncode


@pytest.mark.parametrize(
    ("line", "stream", "status"),
    [
        ("status", "stdout", 0),
        ("validate --schema", "stdout", 0),
        ("--help", "stdout", 0),
        ("--version", "stdout", 0),
        ("validate bad.yaml --json", "stdout", 2),
        ("wait", "stdout", 1),
        ("run --dry-run", "stderr", 0),
        ("validate no-such-plan", "stderr", 2),
    ],
)
def test_a_reader_that_has_gone_changes_no_exit_status(
    project: Project, line: str, stream: str, status: int
) -> None:
    project.plan(shell("A", "exit 1", attempts=1))
    project.run()
    (project.folder / "bad.yaml").write_text("tasks: 1")
    assert unread(project, line, stream) == status


def test_following_ends_when_nobody_reads_it(project: Project) -> None:
    project.plan(shell("A", note("start A"), "echo first", HOLD))
    process = project.start("run", "plan.yaml")
    project.await_note("start A")
    assert [unread(project, line, "stdout") for line in ("log -f", "log A -f")] == [0, 0]
    project.go()
    assert project.finish(process).status == 0


def test_status_in_json_is_utf_8_whatever_the_terminal_speaks(project: Project) -> None:
    project.plan(shell("A", "true", title="grün ✓"))
    project.run()
    project.environment["PYTHONIOENCODING"] = "ascii"
    assert [task["title"] for task in project.document()["tasks"]] == ["grün ✓"]


def test_a_reader_that_has_gone_is_no_error(project: Project) -> None:
    project.plan(*(shell(f"T-{n:03d}", "true") for n in range(3)))
    project.run()
    process = project.start("log")
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(20) == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""


def test_a_slow_reader_gets_all_of_it_where_writing_does_not_wait(project: Project) -> None:
    whole = project.do("validate", "--schema").out
    reader, writer = os.pipe()
    size = fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writer, False)
    process = subprocess.Popen([*PROGRAM, "validate", "--schema"], cwd=project.folder, stdout=writer)
    os.close(writer)
    with open(reader, encoding="utf-8") as pipe:
        until(lambda: waiting_in(reader) == size or process.poll() is not None, "a pipe that is full")
        assert pipe.read() == whole
    assert process.wait(20) == 0


def waiting_in(pipe: int) -> int:
    """Bytes that can be read from a pipe at once."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-", "| head -c 1"])
def test_closed_streams_change_nothing_about_a_run(project: Project, closed: str) -> None:
    project.plan(shell("A", note("start A")))
    script = f'set -o pipefail 2>/dev/null; "$@" {closed}'
    process = project.start("run", "plan.yaml", inside=("/bin/bash", "-c", script, "bash"))
    assert project.finish(process).status == 0
    assert project.noted() == ["start A"]
