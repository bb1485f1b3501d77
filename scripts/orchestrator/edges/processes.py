"""Child processes: started in sessions of their own, found again, waited for, stopped with all they started.

One attempt's tree is known by `ORCHESTRATE_ATTEMPT` in the environment, which all descendants inherit. The lock
on an attempt's stdout file lives as long as a process holds it as its standard output.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cache
from typing import Literal, NamedTuple

MARKER = "ORCHESTRATE_ATTEMPT"

GRACE_INTERRUPT = 3.0
"""Seconds that a worker has after SIGINT to flush its transcript (claude needs up to 1.5)."""

GRACE_TERMINATE = 1.0
"""Seconds between SIGTERM and SIGKILL for all that is left of a tree."""

LOOK_AGAIN = 0.02
"""Seconds between two looks at a tree that is being stopped; one look takes 1 to 2 ms."""

POLL_WITHOUT_PIDFD = 0.05
"""Seconds between two looks at children where the kernel cannot tell us of their end."""

EXEC_RACE = 2.0
"""Seconds to wait for a process that holds the lock but cannot be found: it may be between fork and exec."""

_RESET = [
    signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD, signal.SIGXFSZ,
]  # fmt: skip

How = Literal["interrupt", "terminate", "kill"]


class Entry(NamedTuple):
    """One line of the process table; `marker` is the value of ORCHESTRATE_ATTEMPT, or ''."""

    parent: int
    session: int
    ticks: int
    marker: str


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
    """All the processes of one dispatcher, by a key of its own; `clock` counts seconds and never jumps."""

    def __init__(self, environment: Mapping[str, str], clock: Callable[[], float] = time.monotonic) -> None:
        self._environment = {**environment}
        self._clock = clock
        self._living: dict[str, _Process] = {}
        self._by_descriptor: dict[int, _Process] = {}
        self._stopping: dict[str, _Process] = {}
        self._poll = select.poll()
        self._watched: set[int] = set()

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

        Raises:
            FileExistsError: `stdout` is there already, so this attempt was started before.
            OSError: the program cannot be started.
        """
        output = os.open(stdout, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_APPEND, 0o600)
        try:
            fcntl.flock(output, fcntl.LOCK_EX)
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
        ticks = start_ticks(pid) or 0
        if pid_file:
            write_pid(pid_file, pid, ticks)
        self._take(_Process(key, marker, pid, ticks, True, stdout))

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
            known = read_pid(pid_file)
            pid, ticks = known or find_leader(marker) or (0, 0)
            if pid and start_ticks(pid) == ticks:
                process = _Process(key, marker, pid, ticks, False, stdout)
                if not known:
                    write_pid(pid_file, pid, ticks)
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
        over += [p for p in self._blind if not self._lives(p)]
        ended = [p for p in over if self._end(p)]
        ended += [process for process in list(self._stopping.values()) if self._press(process)]
        return [self._forget(process) for process in ended]

    @property
    def _blind(self) -> list[_Process]:
        if hasattr(os, "pidfd_open"):
            return []
        return [process for process in self._living.values() if not process.over]

    def _take(self, process: _Process) -> bool:
        if hasattr(os, "pidfd_open"):
            try:
                process.descriptor = os.pidfd_open(process.pid)
            except ProcessLookupError:
                return False
            if not process.own and start_ticks(process.pid) != process.ticks:
                os.close(process.descriptor)
                return False
            self._by_descriptor[process.descriptor] = process
            self._poll.register(process.descriptor, select.POLLIN)
        self._living[process.key] = process
        return True

    def _lives(self, process: _Process) -> bool:
        if process.own:
            return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        return start_ticks(process.pid) == process.ticks

    def _end(self, process: _Process) -> bool:
        """Its leader is over: take its exit status; whether nothing else of it is left."""
        process.over = True
        if process.own:
            process.exit = os.waitstatus_to_exitcode(os.waitpid(process.pid, 0)[1])
        if process.descriptor is not None:
            self._poll.unregister(process.descriptor)
            del self._by_descriptor[process.descriptor]
            os.close(process.descriptor)
            process.descriptor = None
        if process.key in self._stopping:
            return False
        if not _group_lives(process.pid) and not is_locked(process.stdout):
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
        _send(number, [process.pid] if number == signal.SIGINT and not process.over else left)
        return False

    def _forget(self, process: _Process) -> Ended:
        self._stopping.pop(process.key, None)
        del self._living[process.key]
        return Ended(process.key, process.exit, process.left)


def _send(number: int, pids: Iterable[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


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


def write_pid(path: str, pid: int, ticks: int) -> None:
    """Pid, start time and boot: together they name a process for good. Valid only with its newline."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    os.write(descriptor, f"{pid} {ticks} {boot_id()}\n".encode())
    os.close(descriptor)


def read_pid(path: str) -> tuple[int, int] | None:
    """Pid and start time from a pid file of this boot."""
    try:
        with open(path, "rb") as file:
            text = file.read(200)
    except OSError:
        return None
    words = text.decode("ascii", "replace").split()
    if not text.endswith(b"\n") or len(words) != 3 or words[2] != boot_id():
        return None
    return int(words[0]), int(words[1])


@cache
def boot_id() -> str:
    """Names this boot of the machine."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        import psutil

        return str(int(psutil.boot_time()))


def start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot (`/proc/PID/stat`, field 22); None if it is gone."""
    if not sys.platform.startswith("linux"):
        return _psutil_ticks(pid)
    try:
        fields = _read(f"/proc/{pid}/stat").rsplit(b")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return None if fields[0] in b"ZX" else int(fields[19])


def _read(path: str) -> bytes:
    """A small file of the kernel's, at half the cost of a file object: this is done at every launch."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 4096)
    finally:
        os.close(descriptor)


def lifetime(ticks: int) -> float:
    """Seconds since a start time as `start_ticks` gives it."""
    if not sys.platform.startswith("linux"):
        return max(0.0, time.time() - ticks / 100)
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))


def _psutil_ticks(pid: int) -> int | None:
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else int(process.create_time() * 100)
    except psutil.Error:
        return None


def table() -> dict[int, Entry]:
    """Every process that lives and that we may look into."""
    if not sys.platform.startswith("linux"):
        return _psutil_table()
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (entry := _entry(name)):
            found[int(name)] = entry
    return found


def _entry(pid: str) -> Entry | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rsplit(b")", 1)[1].split()
    except (OSError, IndexError):
        return None
    if fields[0] in b"ZX":
        return None
    return Entry(int(fields[1]), int(fields[3]), int(fields[19]), _marker(pid))


def _marker(pid: str) -> str:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            environ = b"\0" + file.read()
    except OSError:
        return ""
    _, found, rest = environ.partition(b"\0" + MARKER.encode() + b"=")
    return os.fsdecode(rest.split(b"\0", 1)[0]) if found else ""


def _psutil_table() -> dict[int, Entry]:
    import psutil

    found = {}
    for process in psutil.process_iter(["pid", "ppid", "environ", "create_time"]):
        known = process.info
        try:
            session = os.getsid(known["pid"])
        except OSError:
            session = 0
        marker = (known["environ"] or {}).get(MARKER, "")
        found[known["pid"]] = Entry(
            known["ppid"] or 0, session, int((known["create_time"] or 0) * 100), marker
        )
    return found


def members(marker: str, known: Iterable[tuple[int, int]] = (), leader: int = 0) -> dict[int, int]:
    """The living tree of an attempt, pid to start time.

    Members are the processes with its marker, those known from before, the children of members and the processes
    in a member's session, to a fixpoint. `leader` names the session that the attempt began with.
    """
    everyone = table()
    remembered = set(known)
    found = {
        pid
        for pid, entry in everyone.items()
        if entry.marker == marker or (pid, entry.ticks) in remembered or (leader and entry.session == leader)
    }
    ours = {os.getsid(0), 0}
    while True:
        sessions = {everyone[pid].session for pid in found} - ours
        more = {
            pid
            for pid, entry in everyone.items()
            if pid not in found and (entry.parent in found or entry.session in sessions)
        }
        if not more:
            return {pid: everyone[pid].ticks for pid in found if pid != os.getpid()}
        found |= more


def find_leader(marker: str) -> tuple[int, int] | None:
    """A worker whose pid was never written: the oldest process of its attempt, and leader of a session.

    None where the oldest leads no session: then the worker is dead, and a younger leader is a daemon of its own.
    """
    marked = [(entry.ticks, pid, entry.session) for pid, entry in table().items() if entry.marker == marker]
    ticks, pid, session = min(marked, default=(0, 0, 0))
    return (pid, ticks) if pid and pid == session else None


def stop_now(marker: str) -> int:
    """Stop what is left of an attempt that nobody waits for; how many processes that were."""
    left = members(marker)
    seen = set(left.items())
    for number in (signal.SIGTERM, *[signal.SIGKILL] * 50):
        if not left:
            break
        _send(number, left)
        until = time.monotonic() + (GRACE_TERMINATE if number == signal.SIGTERM else LOOK_AGAIN)
        while left and time.monotonic() < until:
            time.sleep(LOOK_AGAIN / 2)
            left = members(marker, seen)
            seen |= set(left.items())
    return len(seen)
