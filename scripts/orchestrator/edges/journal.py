"""The journal on disk: a header line, then an event a line, appended and synced; and who may write it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from orchestrator.core import events
from orchestrator.core.events import AttemptFinished, Event, PlanOutlined, PlanRevised, TaskRetried
from orchestrator.core.state import RunState
from orchestrator.edges import collector
from orchestrator.edges.workspace import sync, sync_folder, write_all
from orchestrator.errors import ImpossibleEvent, JournalError, WorkspaceHeld

FORMAT, VERSION = "orchestrator-journal", 1
HEADER = msgspec.json.encode({"format": FORMAT, "version": VERSION}) + b"\n"
BUFFER = 1 << 16
"""Bytes read at a time: larger blocks are no faster, and a journal of 100,000 tasks is never held whole."""

PATIENCE = 0.1
"""Seconds to try for the lock: a `status` may be testing it at this very moment."""


def read_events(path: Path, form: Any = events.Event) -> Iterator[Any]:
    """Every event, in `form` (all of it, or outlined).

    An incomplete last line is what a crash leaves: it is passed over.

    Raises:
        JournalError: a line that is not an event, or a header that is not ours; it names the line.
    """
    decoder = msgspec.json.Decoder(form)
    for lines in _batches(path):
        try:
            # One call for many lines is three times as fast; a plan of 100,000 tasks is not copied for it.
            found = decoder.decode_lines(b"".join(lines)) if len(lines) > 1 else [decoder.decode(lines[0])]
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _broken(path, error) from error
        if len(found) != len(lines):
            raise _broken(path, ValueError("an empty line"))
        yield from found


def _batches(path: Path) -> Iterator[list[bytes]]:
    try:
        file = open(path, "rb", buffering=BUFFER)
    except FileNotFoundError:
        return
    with file:
        header = file.readline()
        if header.endswith(b"\n"):
            _check_header(path, header)
        while lines := file.readlines(BUFFER):
            last = lines.pop()
            if lines:
                yield lines
            if last.endswith(b"\n"):
                yield [last]


def _broken(path: Path, error: Exception) -> JournalError:
    for number, line in enumerate(_lines(path, 0), 1):
        try:
            if number > 1:
                events.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as found:
            return JournalError(
                f"{path}:{number}: this line of the journal is broken ({found}); nothing was changed. "
                f"Restore the file from a copy, or begin anew with `run --new`, which keeps it in archive/"
            )
    return JournalError(f"{path}: {error}; nothing was changed")


def read_from(path: Path, start: int) -> Iterator[tuple[Event, int]]:
    """The events after byte `start`, each with the byte it ends at; for those who read along.

    Raises:
        JournalError: as `read_events`.
    """
    end = start
    for number, line in enumerate(_lines(path, start), 1):
        end += len(line)
        if number == 1 and not start:
            _check_header(path, line)
            continue
        try:
            event = events.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _broken(path, error) from error
        yield event, end


def _lines(path: Path, start: int) -> Iterator[bytes]:
    try:
        file = open(path, "rb", buffering=BUFFER)
    except FileNotFoundError:
        return
    with file:
        file.seek(start)
        for line in file:
            if line.endswith(b"\n"):
                yield line


def _check_header(path: Path, line: bytes) -> None:
    try:
        header = msgspec.json.decode(line)
        known = header["format"] == FORMAT
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError):
        known = False
    if not known:
        raise JournalError(f"{path}:1: this is not the header of a journal; nothing was changed")
    if header.get("version") != VERSION:
        raise JournalError(
            f"{path}:1: journal format {header.get('version')} was written by another version of this program"
        )


def load(path: Path, *listeners: Callable[[Any], None]) -> RunState:
    """The state that the journal tells of; `listeners` hear every event too.

    Raises:
        JournalError: a broken line.
        ImpossibleEvent: an event that cannot follow, with its task's story.
    """
    state = RunState()
    with collector.paused():
        for event in read_events(path):
            _apply(state, event, path)
            for listen in listeners:
                listen(event)
    return state


_CHANGES = frozenset((PlanOutlined, PlanRevised, TaskRetried))


def look(path: Path) -> RunState:
    """The state for those who only look at it: its plan is an outline, where that is enough to replay by.

    Raises:
        JournalError, ImpossibleEvent: as `load`.
    """
    state = RunState()
    event: Any = None
    with collector.paused():
        try:
            for event in read_events(path, events.Outlined):
                if event.__class__ in _CHANGES and state.plan is not None:
                    break
                state.apply(event)
            else:
                return state
        except ImpossibleEvent as error:
            raise _explained(path, event, error) from error
    # What holds after a change of the plan depends on all that tasks say, and on their results.
    return load(path)


def _apply(state: RunState, event: Event, path: Path) -> None:
    try:
        state.apply(event)
    except ImpossibleEvent as error:
        raise _explained(path, event, error) from error


def _explained(path: Path, event: Event, error: ImpossibleEvent) -> ImpossibleEvent:
    # The header is line 1, and no event is left out of the count.
    number = next(i for i, other in enumerate(read_events(path), 2) if other.seq == event.seq)
    told = story(path, getattr(event, "task", ""), number)
    return ImpossibleEvent(f"{path}:{number}: {error}; nothing was changed{told}")


def story(path: Path, task: str, until: int, most: int = 12) -> str:
    """What the journal says of one task up to line `until`, the last `most` events."""
    if not task:
        return ""
    lines = [
        f"\n  line {number}: {type(event).__name__} {getattr(event, 'outcome', '')}".rstrip()
        for number, event in enumerate(read_events(path), 2)
        if number <= until and getattr(event, "task", "") == task
    ]
    return "".join(lines[-most:])


def last_finish(path: Path, task: str) -> AttemptFinished | None:
    """The last judgement on a task, whole; the state keeps only the facts of it."""
    found = None
    for event in read_events(path):
        if isinstance(event, AttemptFinished) and event.task == task:
            found = event
    return found


class Journal:
    """The journal open for writing; whoever makes one must hold the workspace (`hold`).

    It is locked too: somebody who takes the workspace's lock file for a leftover and removes it lets nobody else in.

    Raises:
        OSError: the disk is full or cannot be written; what had been written of the lines is taken back.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        new = not path.exists()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._end = self._cut_torn_tail()
        if not self._end:
            self._write(HEADER)
        if new:
            sync_folder(path.parent)

    def append(self, written: Sequence[Event]) -> None:
        """Write events and sync them: when this returns they are on disk."""
        self._write(b"".join([events.encode(event) + b"\n" for event in written]))

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def _write(self, data: bytes) -> None:
        try:
            write_all(self._file, data)
            sync(self._file)
        except OSError:
            os.ftruncate(self._file, self._end)
            os.lseek(self._file, self._end, os.SEEK_SET)
            raise
        self._end += len(data)

    def _cut_torn_tail(self) -> int:
        size = os.fstat(self._file).st_size
        end = size
        while end:
            start = max(0, end - BUFFER)
            found = os.pread(self._file, end - start, start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        if end != size:
            os.ftruncate(self._file, end)
            sync(self._file)
        os.lseek(self._file, end, os.SEEK_SET)
        return end


def hold(lock_file: Path) -> int:
    """Take the workspace, and put our pid where the next one can read it; returns the descriptor that holds it.

    Raises:
        WorkspaceHeld: another process has it; the message names its pid.
    """
    descriptor = os.open(lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if not _lock(descriptor):
        pid = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise WorkspaceHeld(
            f"another dispatcher (pid {pid or 'unknown'}) holds {lock_file.parent}; "
            "watch it with `status --watch`, end it with `stop`"
        )
    sign(descriptor)
    return descriptor


def refuse_second(path: Path) -> None:
    """Raises WorkspaceHeld where another process writes this journal, whoever holds the lock file."""
    if holder(path) is not None:
        raise WorkspaceHeld(
            f"another dispatcher writes {path}, though its lock file was removed; wait for its end, or end it"
        )


def _lock(descriptor: int) -> bool:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(0.01)
        else:
            return True


def sign(descriptor: int) -> None:
    """Write our pid into the lock file."""
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)


def holder(lock_file: Path) -> int | None:
    """The pid of the process that holds a lock file, 0 if it is not told, or None. Only tests, with a momentary
    shared lock."""
    try:
        descriptor = os.open(lock_file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(descriptor, 32, 0).strip()
        return int(text) if text.isdigit() else 0
    finally:
        os.close(descriptor)
    return None
