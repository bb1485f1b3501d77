"""Child processes: started in sessions of their own, found again, waited for, stopped with all they started.

One attempt's tree is known by `ORCHESTRATE_ATTEMPT` in the environment, which all descendants inherit. The lock
on an attempt's stdout file lives as long as a process holds it as its standard output.
"""

from __future__ import annotations

import fcntl
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Literal, NamedTuple

from orchestrator.edges.processtree import (
    GRACE_TERMINATE,
    LOOK_AGAIN,
    MARKER,
    boot_id,
    find_leader,
    group_lives,
    lifetime,
    members,
    send,
    start_ticks,
    stop_now,
    ticks_now,
)

GRACE_INTERRUPT = 3.0
"""Seconds that a worker has after SIGINT to flush its transcript (claude needs up to 1.5)."""

POLL_WITHOUT_PIDFD = 0.05
"""Seconds between two looks at children of whose end the kernel cannot tell us."""

KEPT_DESCRIPTORS = 64
"""Open files that are left for everything else: processes beyond that are looked at from time to time."""

EXEC_RACE = 2.0
"""Seconds to wait for a process that holds the lock but cannot be found: it may be between fork and exec."""

_RESET = [
    signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD, signal.SIGXFSZ,
]  # fmt: skip

How = Literal["interrupt", "terminate", "kill"]


class Ended(NamedTuple):
    """A process whose whole tree is gone; `exit` as in `Ending`; `left` counts what it had left behind."""

    key: str
    exit: int | None
    left: int


class _Process:
    def __init__(self, key: str, marker: str, pid: int, ticks: int, own: bool, stdout: str) -> None:
        self.key, self.marker, self.pid, self.ticks, self.own, self.stdout = (
            key,
            marker,
            pid,
            ticks,
            own,
            stdout,
        )
        self.descriptor: int | None = None
        self.over = False
        self.exit: int | None = None
        self.left = 0
        self.seen: set[tuple[int, int]] = set()
        self.signals: list[tuple[int, float]] = []
        self.next_signal = 0.0


class Processes:
    """All the processes of one dispatcher, by a key of its own."""

    def __init__(
        self,
        environment: Mapping[str, str],
        clock: Callable[[], float] = time.monotonic,
        ticks: Callable[[], int] = ticks_now,
    ) -> None:
        """Begin without any.

        Args:
            clock: counts seconds and never jumps.
            ticks: what the kernel would note now as the start of a process; believed only where the two agree.
        """
        self._environment = {**environment}
        self._clock = clock
        self._ticks = ticks
        self._ticks_agree: bool | None = None
        self._living: dict[str, _Process] = {}
        self._by_descriptor: dict[int, _Process] = {}
        self._stopping: dict[str, _Process] = {}
        self._poll = select.poll()
        self._watched: set[int] = set()
        self._blind: dict[str, _Process] = {}
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._most_watched = sys.maxsize if most == resource.RLIM_INFINITY else most - KEPT_DESCRIPTORS

    def __contains__(self, key: str) -> bool:
        return key in self._living

    def watch(self, descriptor: int) -> None:
        """Let `wait` return when this non-blocking descriptor can be read; `wait` empties it."""
        self._watched.add(descriptor)
        self._poll.register(descriptor, select.POLLIN)

    def start(
        self, key: str, marker: str, argv: tuple[str, ...], environment: Mapping[str, str], stdin: str, stdout: str,
        stderr: str, pid_file: str = "",
    ) -> None:  # fmt: skip
        """Start a process in a session of its own, with new files as its output.

        Args:
            pid_file: where it is noted for a dispatcher to come; one file for all attempts.

        Raises:
            FileExistsError: `stdout` is there already, so this attempt was started before.
            OSError: the program cannot be started.
        """
        output = os.open(stdout, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_APPEND, 0o600)
        try:
            fcntl.flock(output, fcntl.LOCK_EX)
            inode = os.fstat(output).st_ino
            before = self._ticks()
            pid = os.posix_spawn(
                argv[0],
                argv,
                {**self._environment, **environment, MARKER: marker},
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, stdin, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, output, 1),
                    (os.POSIX_SPAWN_DUP2, 1, 2)
                    if stderr == stdout
                    else (os.POSIX_SPAWN_OPEN, 2, stderr, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                ],
                setsid=True,
                setsigmask=(),
                setsigdef=_RESET,
            )
        finally:
            os.close(output)
        ticks = self._start_of(pid, before)
        if pid_file:
            # It lives: what is wrong here must not pass for a failure to start it, and its marker tells of it too.
            with suppress(OSError):
                write_pid(pid_file, marker, inode, pid, ticks)
        self._take(_Process(key, marker, pid, ticks, True, stdout))

    def _start_of(self, pid: int, before: int) -> int:
        """The start time of a process that was just made, in ticks; 0 if it is gone already.

        Where no tick fell between, the clock tells it in a hundredth of the time that the process table takes.
        """
        if self._ticks_agree and self._ticks() == before:
            return before
        known = start_ticks(pid) or 0
        if self._ticks_agree is None and known and self._ticks() == before:
            self._ticks_agree = known == before
        return known

    def adopt(self, key: str, marker: str, stdout: str, pid_file: str, *, over: bool = False) -> bool:
        """Take over an attempt of a dispatcher that is gone, if it still lives.

        Where only parts of its tree live, they are stopped here and now, for nobody can tell how it ended but
        its files. Returns whether the attempt goes on. `over`: its files already tell how it ended, so whoever
        holds the lock is a child; where the pid was never written, nothing else tells a daemon from the worker.
        """
        if key in self._living:
            return True
        until = self._clock() + EXEC_RACE
        while not over and is_locked(stdout):
            inode = os.stat(stdout).st_ino
            known = read_pid(pid_file, marker, inode)
            pid, ticks = known or find_leader(marker) or (0, 0)
            seen = start_ticks(pid) if pid else None
            # A tick apart: no pid comes round in so short a time, and the clock may have been rounded otherwise.
            if seen is not None and abs(seen - ticks) <= 1:
                process = _Process(key, marker, pid, seen, False, stdout)
                if not known:
                    write_pid(pid_file, marker, inode, pid, seen)
                if self._take(process):
                    return True
            if pid or self._clock() > until:
                break
            time.sleep(LOOK_AGAIN)
        stop_now(marker)
        return False

    def age(self, key: str) -> float:
        """For how many seconds a process has lived, whatever was done to the machine's clock meanwhile."""
        return lifetime(self._living[key].ticks)

    def stop(self, key: str, how: How) -> None:
        """Begin to stop a process and all it started; `wait` tells when nothing of it is left."""
        process = self._living[key]
        phases = {
            "interrupt": [(signal.SIGINT, GRACE_INTERRUPT), (signal.SIGTERM, GRACE_TERMINATE)],
            "terminate": [(signal.SIGTERM, GRACE_INTERRUPT)],
            "kill": [],
        }[how]
        process.signals = [*phases, (signal.SIGKILL, LOOK_AGAIN)]
        process.next_signal = 0.0
        # Listed before the first signal: when a parent has ended its children are harder to tell.
        process.seen |= set(members(process.marker, process.seen, process.pid).items())
        self._stopping[key] = process
        self._press(process)

    def wait(self, timeout: float | None) -> list[Ended]:
        """Wait for news at most `timeout` seconds; what has ended, with nothing of it left."""
        if self._stopping:
            timeout = LOOK_AGAIN if timeout is None else min(timeout, LOOK_AGAIN)
        if self._blind:
            timeout = POLL_WITHOUT_PIDFD if timeout is None else min(timeout, POLL_WITHOUT_PIDFD)
        ready = self._poll.poll(None if timeout is None else max(0.0, timeout * 1000))
        for descriptor in self._watched.intersection(d for d, _ in ready):
            with suppress(BlockingIOError):
                os.read(descriptor, 4096)
        over = [p for descriptor, _ in ready if (p := self._by_descriptor.get(descriptor))]
        over += [p for p in self._blind.values() if not self._lives(p)]
        ended = [p for p in over if self._end(p)]
        ended += [process for process in list(self._stopping.values()) if self._press(process)]
        return [self._forget(process) for process in ended]

    def _take(self, process: _Process) -> bool:
        try:
            process.descriptor = self._descriptor(process.pid)
        except ProcessLookupError:
            return False
        if process.descriptor is None:
            self._blind[process.key] = process
        elif not process.own and start_ticks(process.pid) != process.ticks:
            os.close(process.descriptor)
            return False
        else:
            self._by_descriptor[process.descriptor] = process
            self._poll.register(process.descriptor, select.POLLIN)
        self._living[process.key] = process
        return True

    def _descriptor(self, pid: int) -> int | None:
        """What tells of the end of a process; None where the kernel has nothing of the kind, or no more of it."""
        if not hasattr(os, "pidfd_open") or len(self._by_descriptor) >= self._most_watched:
            return None
        try:
            return os.pidfd_open(pid)
        except ProcessLookupError:
            raise
        except OSError:
            return None

    def _lives(self, process: _Process) -> bool:
        if not process.own:
            return start_ticks(process.pid) == process.ticks
        ended, status = os.waitpid(process.pid, os.WNOHANG)
        if ended:
            process.exit = os.waitstatus_to_exitcode(status)
        return not ended

    def _end(self, process: _Process) -> bool:
        """Its leader is over: take its exit status; whether nothing else of it is left."""
        process.over = True
        if process.own and process.exit is None:
            process.exit = os.waitstatus_to_exitcode(os.waitpid(process.pid, 0)[1])
        if process.descriptor is not None:
            self._poll.unregister(process.descriptor)
            del self._by_descriptor[process.descriptor]
            os.close(process.descriptor)
            process.descriptor = None
        self._blind.pop(process.key, None)
        if process.key in self._stopping:
            return False
        if not group_lives(process.pid) and not is_locked(process.stdout):
            return True
        left = members(process.marker, (), process.pid)
        if not left:
            return True
        process.left = len(left)
        process.seen = set(left.items())
        process.signals = [(signal.SIGTERM, GRACE_TERMINATE), (signal.SIGKILL, LOOK_AGAIN)]
        self._stopping[process.key] = process
        return False

    def _press(self, process: _Process) -> bool:
        """One step of stopping a tree: look who is left, signal them when it is time; whether all are gone."""
        left = members(process.marker, process.seen, process.pid)
        process.seen |= set(left.items())
        if process.over and not left:
            return True
        now = self._clock()
        # SIGINT was for the leader alone: once it is gone there is nothing to wait for.
        hasty = process.over and process.signals[0][0] == signal.SIGTERM
        if now < process.next_signal and not hasty:
            return False
        number, grace = process.signals[0] if len(process.signals) == 1 else process.signals.pop(0)
        process.next_signal = now + grace
        send(number, [process.pid] if number == signal.SIGINT and not process.over else left)
        return False

    def _forget(self, process: _Process) -> Ended:
        self._stopping.pop(process.key, None)
        del self._living[process.key]
        return Ended(process.key, process.exit, process.left)


def is_locked(stdout: str) -> bool:
    """Whether a process still writes this attempt's stdout. Only tests, with a momentary shared lock."""
    try:
        descriptor = os.open(stdout, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def write_pid(path: str, marker: str, inode: int, pid: int, ticks: int) -> None:
    """Note which process an attempt is: a line in a file for all of them, whatever a crash left at its end.

    The attempt goes by its marker and the inode of its stdout: another attempt of the same name has another file.
    Pid, start time and boot together name a process for good.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.write(descriptor, f"\n{marker} {inode} {pid} {ticks} {boot_id()}\n".encode())
    os.close(descriptor)


def read_pid(path: str, marker: str, inode: int) -> tuple[int, int] | None:
    """Pid and start time of an attempt, if they were noted whole, in this boot."""
    try:
        with open(path, "rb") as file:
            noted = file.read()
    except OSError:
        return None
    _, _, last = noted.rpartition(f"\n{marker} {inode} ".encode())
    line, ended, _ = last.partition(b"\n")
    words = line.decode("ascii", "replace").split()
    if not ended or len(words) != 3 or words[2] != boot_id():
        return None
    return int(words[0]), int(words[1])
