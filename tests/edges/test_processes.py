"""Processes, with real ones."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from project import alive, until

from orchestrator.edges import processes, processtree
from orchestrator.edges.processes import Ended, Processes


class Attempt:
    """One process of a dispatcher, with its files in a folder."""

    def __init__(self, folder: Path, name: str = "T-01.1") -> None:
        self.key, self.marker = name, f"{folder.name}-{os.getpid()}/{name}"
        self.stdout, self.stderr, self.pid_file = (str(folder / n) for n in ("stdout", "stderr", "pids"))
        self.folder = folder

    def start(self, table: Processes, script: str, **environment: str) -> None:
        table.start(
            self.key, self.marker, ("/bin/sh", "-c", script), environment, os.devnull, self.stdout, self.stderr,
            self.pid_file,
        )  # fmt: skip

    def adopt(self, table: Processes, over: bool = False) -> bool:
        return table.adopt(self.key, self.marker, self.stdout, self.pid_file, over=over)

    @property
    def pid(self) -> int:
        known = processes.read_pid(self.pid_file, self.marker, os.stat(self.stdout).st_ino)
        assert known is not None
        return known[0]

    def output(self) -> str:
        return Path(self.stdout).read_text()

    def says(self, text: str) -> None:
        until(lambda: text in self.output(), f"{text!r} on stdout")

    def child(self) -> int:
        """The pid that the script wrote to the file `child`."""
        file = self.folder / "child"
        return int(until(lambda: file.exists() and file.read_text().strip(), "a child's pid"))


@pytest.fixture
def attempt(tmp_path: Path) -> Iterator[Attempt]:
    found = Attempt(tmp_path)
    yield found
    processtree.stop_now(found.marker)


@pytest.fixture
def table() -> Processes:
    return Processes(os.environ)


def end_of(table: Processes) -> Ended:
    """The next process that ends."""
    return until(lambda: table.wait(0.5), "the end of a process")[0]


def test_an_exit_status_is_told_with_what_was_written(table: Processes, attempt: Attempt) -> None:
    attempt.start(table, "echo out; echo err >&2; exit 7")
    assert end_of(table) == Ended("T-01.1", 7, 0)
    assert (attempt.output(), Path(attempt.stderr).read_text()) == ("out\n", "err\n")


def test_a_signal_is_told_as_a_negative_status(table: Processes, attempt: Attempt) -> None:
    attempt.start(table, "kill -9 $$")
    assert end_of(table).exit == -9


def test_a_worker_leads_a_session_of_its_own_with_default_signals(table: Processes, attempt: Attempt) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        attempt.start(table, "ps -o sid= -p $$; echo $$; kill -INT $$; echo ignored")
    finally:
        signal.signal(signal.SIGINT, before)
    assert end_of(table).exit == -signal.SIGINT
    session, pid = attempt.output().split()
    assert session == pid


def test_the_environment_carries_marker_and_inputs_and_no_open_file(
    table: Processes, attempt: Attempt
) -> None:
    with open(attempt.folder / "ours", "w"):
        attempt.start(table, "echo $ORCHESTRATE_ATTEMPT $WORD; ls -l /proc/$$/fd", WORD="a b")
        end_of(table)
    first, descriptors = attempt.output().split("\n", 1)
    assert first == f"{attempt.marker} a b"
    assert "/stdout" in descriptors
    assert "/ours" not in descriptors


def test_a_process_that_becomes_another_program_is_a_member_all_the_while(
    table: Processes, attempt: Attempt
) -> None:
    attempt.start(table, f"exec {'nice -n 0 ' * 100} sleep 600")
    looks = [processtree.members(attempt.marker) for _ in range(30)]
    assert all(attempt.pid in found for found in looks)


def test_the_same_output_is_never_started_twice(table: Processes, attempt: Attempt) -> None:
    attempt.start(table, "echo first")
    end_of(table)
    with pytest.raises(FileExistsError):
        attempt.start(table, "echo second")
    assert attempt.output() == "first\n"


def test_a_program_that_is_missing_leaves_no_lock(table: Processes, attempt: Attempt) -> None:
    with pytest.raises(FileNotFoundError):
        table.start("k", attempt.marker, ("/no/such",), {}, os.devnull, attempt.stdout, attempt.stderr)
    assert not processes.is_locked(attempt.stdout)
    assert "k" not in table


def test_the_lock_lives_as_long_as_the_worker(table: Processes, attempt: Attempt) -> None:
    attempt.start(table, "read line < /dev/null; sleep 600")
    assert processes.is_locked(attempt.stdout)
    table.stop(attempt.key, "kill")
    end_of(table)
    assert not processes.is_locked(attempt.stdout)


def test_a_living_worker_is_adopted_and_its_end_is_seen(table: Processes, attempt: Attempt) -> None:
    attempt.start(table, "exec sleep 600")
    other = Processes(os.environ)
    assert attempt.adopt(other)
    assert other.wait(0) == []
    os.kill(attempt.pid, signal.SIGTERM)
    assert end_of(other) == Ended(attempt.key, None, 0)


@pytest.mark.parametrize(
    "noted",
    [None, "", "\n{} 12", "\n{} 12 34 boot", "\n{} 1 2 other-boot\n", "\n{} x y z\n", "\nother 7 1 2 3\n"],
)
def test_a_worker_whose_pid_was_not_written_is_found_by_its_marker(
    table: Processes, attempt: Attempt, noted: str | None
) -> None:
    attempt.start(table, "sleep 600 & wait")
    pid = attempt.pid
    os.unlink(attempt.pid_file)
    if noted is not None:
        name = f"{attempt.marker} {os.stat(attempt.stdout).st_ino}"
        Path(attempt.pid_file).write_text(noted.format(name))
    other = Processes(os.environ)
    assert attempt.adopt(other)
    assert attempt.pid == pid
    other.stop(attempt.key, "kill")
    end_of(other)


def test_adopting_twice_tells_the_end_once(table: Processes, attempt: Attempt) -> None:
    attempt.start(table, "sleep 600")
    other = Processes(os.environ)
    assert attempt.adopt(other)
    assert attempt.adopt(other)
    other.stop(attempt.key, "kill")
    end_of(other)
    assert attempt.key not in other
    assert other.wait(0) == []


def test_an_attempt_that_is_over_is_not_adopted(table: Processes, attempt: Attempt) -> None:
    attempt.start(table, "echo done")
    end_of(table)
    assert not attempt.adopt(Processes(os.environ))


def test_an_attempt_that_was_never_started_is_not_adopted(attempt: Attempt) -> None:
    assert not attempt.adopt(Processes(os.environ))


def test_what_a_dead_worker_left_is_stopped_and_the_worker_not_adopted(
    table: Processes, attempt: Attempt
) -> None:
    attempt.start(table, f"sleep 600 & echo $! > {attempt.folder}/child; exit 0")
    child = attempt.child()
    os.waitpid(attempt.pid, 0)
    assert processes.is_locked(attempt.stdout)
    assert not attempt.adopt(Processes(os.environ))
    assert not alive(child)


def test_a_daemon_of_a_worker_that_is_over_is_not_adopted_in_its_place(
    table: Processes, attempt: Attempt
) -> None:
    attempt.start(table, f"setsid sleep 600 & echo $! > {attempt.folder}/child; sleep 0.1; exit 0")
    daemon = attempt.child()
    os.waitpid(attempt.pid, 0)
    os.unlink(attempt.pid_file)
    assert processtree.find_leader(attempt.marker) is not None
    assert not attempt.adopt(Processes(os.environ), over=True)
    assert not alive(daemon)


def test_a_daemon_is_told_from_a_worker_by_an_older_child(table: Processes, attempt: Attempt) -> None:
    attempt.start(
        table, f"sleep 600 & setsid sleep 600 & echo $! > {attempt.folder}/child; sleep 0.1; exit 0"
    )
    daemon = attempt.child()
    os.waitpid(attempt.pid, 0)
    os.unlink(attempt.pid_file)
    assert not attempt.adopt(Processes(os.environ))
    assert not alive(daemon)


def test_a_pid_that_was_given_away_again_is_left_alone(table: Processes, attempt: Attempt) -> None:
    attempt.start(table, "echo done")
    end_of(table)
    with subprocess.Popen(["sleep", "600"]) as stranger, open(attempt.stdout) as held:
        inode = os.stat(attempt.stdout).st_ino
        processes.write_pid(attempt.pid_file, attempt.marker, inode, stranger.pid, 1)
        fcntl.flock(held, fcntl.LOCK_EX)
        assert not attempt.adopt(Processes(os.environ))
        assert stranger.poll() is None
        stranger.kill()


def test_stopping_gently_gives_a_worker_time_to_end_by_itself(table: Processes, attempt: Attempt) -> None:
    attempt.start(table, "trap 'echo tidy; exit 3' TERM; echo up; while :; do sleep 0.02; done")
    attempt.says("up")
    table.stop(attempt.key, "terminate")
    assert end_of(table).exit == 3
    assert "tidy" in attempt.output()


def test_an_interrupt_reaches_the_worker_alone(table: Processes, attempt: Attempt) -> None:
    child = "import signal,time\nsignal.signal(signal.SIGINT, lambda *_: print('child', flush=True))\n"
    child += "print('ready', flush=True)\nwhile True: time.sleep(1)"
    (attempt.folder / "child.py").write_text(child)
    attempt.start(
        table,
        f"trap 'echo leader; exit 0' INT; {sys.executable} {attempt.folder}/child.py & wait; wait",
    )
    attempt.says("ready")
    table.stop(attempt.key, "interrupt")
    assert end_of(table).exit == 0
    assert "child" not in attempt.output()


def test_a_worker_that_ignores_every_signal_is_killed(table: Processes, attempt: Attempt) -> None:
    attempt.start(table, "trap '' TERM INT; echo up; while :; do sleep 0.02; done")
    attempt.says("up")
    table.stop(attempt.key, "terminate")
    assert table.wait(0.1) == []
    table.stop(attempt.key, "kill")
    assert end_of(table).exit == -9


@pytest.mark.parametrize(
    "script",
    [
        "sleep 600 & echo $! > child",
        "setsid sleep 600 & echo $! > child",
        "(setsid sleep 600 & echo $! > child)",
        "sh -c 'trap \"\" TERM; echo $$ > child; sleep 600; sleep 600' & until test -s child; do :; done",
    ],
    ids=["child", "session", "double-fork", "ignores-sigterm"],
)
def test_what_a_worker_leaves_behind_is_stopped_and_counted(
    table: Processes, attempt: Attempt, script: str
) -> None:
    attempt.start(table, f"cd {attempt.folder}; {script}; echo done; exit 0")
    child = attempt.child()
    ended = end_of(table)
    assert ended.exit == 0
    assert ended.left >= 1
    assert not alive(child)


def test_a_daemon_without_the_worker_s_files_is_stopped_with_it(table: Processes, attempt: Attempt) -> None:
    attempt.start(
        table, f"cd {attempt.folder}; setsid sleep 600 > /dev/null 2>&1 & echo $! > child; sleep 600"
    )
    daemon = attempt.child()
    table.stop(attempt.key, "terminate")
    end_of(table)
    assert not alive(daemon)


def test_stopping_one_attempt_leaves_the_others_alone(table: Processes, tmp_path: Path) -> None:
    one, other = (Attempt(tmp_path / name, name) for name in ("T-01.1", "T-01.11"))
    for each in (one, other):
        each.folder.mkdir()
        each.start(table, "sleep 600")
    table.stop(one.key, "kill")
    assert end_of(table).key == one.key
    assert alive(other.pid)
    table.stop(other.key, "kill")
    assert end_of(table).key == other.key


@pytest.mark.parametrize("drift", [None, 1, -3])
def test_the_start_that_is_noted_is_the_one_of_the_process_table(tmp_path: Path, drift: int | None) -> None:
    ticks = processtree.ticks_now if drift is None else lambda: processtree.ticks_now() + drift
    table = Processes(os.environ, ticks=ticks)
    noted, known = [], []
    for number in range(12):
        key, stdout = f"T-{number}.1", str(tmp_path / f"{number}")
        table.start(key, key, ("/bin/sleep", "60"), {}, os.devnull, stdout, stdout, str(tmp_path / "pids"))
        pid, start = processes.read_pid(str(tmp_path / "pids"), key, os.stat(stdout).st_ino) or (0, 0)
        noted.append(start)
        known.append(processtree.start_ticks(pid))
        table.stop(key, "kill")
    assert noted == known


def test_a_watched_descriptor_ends_the_wait_once_for_each_byte(table: Processes) -> None:
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    table.watch(reader)
    os.write(writer, b"x")
    assert table.wait(60) == []
    with pytest.raises(BlockingIOError):
        os.read(reader, 1)
    os.close(reader)
    os.close(writer)


def test_a_pid_is_believed_only_whole_and_of_this_boot(tmp_path: Path) -> None:
    path = str(tmp_path / "pids")
    processes.write_pid(path, "run/T-01.1", 7, 12, 34)
    assert processes.read_pid(path, "run/T-01.1", 7) == (12, 34)
    whole = Path(path).read_bytes()
    for size in range(len(whole)):
        Path(path).write_bytes(whole[:size])
        assert processes.read_pid(path, "run/T-01.1", 7) is None


def test_pids_are_noted_behind_a_line_that_was_cut_off(tmp_path: Path) -> None:
    path = str(tmp_path / "pids")
    Path(path).write_text("\nrun/T-01.1 7 12")
    processes.write_pid(path, "run/T-01.1", 7, 56, 78)
    processes.write_pid(path, "run/T-01.11", 8, 90, 12)
    assert processes.read_pid(path, "run/T-01.1", 7) == (56, 78)
    assert processes.read_pid(path, "run/T-01.11", 8) == (90, 12)


def test_the_pid_of_another_attempt_of_the_same_name_is_not_taken_for_this_one(tmp_path: Path) -> None:
    path = str(tmp_path / "pids")
    processes.write_pid(path, "run/T-01.1", 7, 12, 34)
    assert processes.read_pid(path, "run/T-01.1", 8) is None


def test_the_age_of_a_process_is_measured_by_the_machine_s_uptime(table: Processes, attempt: Attempt) -> None:
    attempt.start(table, "sleep 600")
    assert 0 <= table.age(attempt.key) < 60
    table.stop(attempt.key, "kill")
    end_of(table)
