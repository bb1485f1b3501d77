"""A run taken back to an earlier event, on disk: the journal is swapped whole, what it dropped is moved to archive/.

A note says what is to be moved, from before the swap until all of it is. Whoever takes the workspace next does what
a process that was killed did not get to do: forgets the note where the journal is the old one still, else moves on.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from orchestrator.core import events
from orchestrator.core.events import RunRolledBack
from orchestrator.edges import journal
from orchestrator.edges.workspace import Workspace, sync_folder, write_whole_bytes
from orchestrator.errors import OrchestratorError


class Note(Struct, frozen=True):
    """What is to be done once the journal is swapped: `archive` and `move` are paths below the workspace.

    `stop` are the markers of attempts whose processes must not go on.
    """

    archive: str
    stop: tuple[str, ...] = ()
    move: tuple[str, ...] = ()


class _Numbered(Struct):
    seq: int


def new_archive(workspace: Workspace, name: str) -> str:
    """A folder for what is dropped that is not there yet, as its path below the workspace."""
    while (workspace.archive / name).exists():
        name += "-again"
    return f"{workspace.archive.name}/{name}"


def swap(workspace: Workspace, note: Note, last: RunRolledBack) -> None:
    """Keep the journal in the archive, and let a shorter one take its place that ends with `last`.

    At every moment the workspace has the old journal or the new one, whole.
    """
    kept = workspace.root / note.archive / workspace.journal.name
    write_whole_bytes(str(workspace.rollback_note), msgspec.json.encode(note), durable=True)
    kept.parent.mkdir(mode=0o700, parents=True)
    try:
        os.link(workspace.journal, kept)
    except OSError:
        write_whole_bytes(str(kept), workspace.journal.read_bytes(), durable=True)
    for folder in (kept.parent, kept.parent.parent, workspace.root):
        sync_folder(folder)
    data = _beginning(workspace.journal, last.to) + events.encode(last) + b"\n"
    write_whole_bytes(str(workspace.journal), data, durable=True)
    sync_folder(workspace.root)


def _beginning(path: Path, to: int) -> bytes:
    """The lines of a journal up to event `to`, byte for byte."""
    decoder = msgspec.json.Decoder(_Numbered)
    kept = []
    with path.open("rb") as file:
        kept.append(file.readline())
        for line in file:
            if not line.endswith(b"\n") or decoder.decode(line).seq > to:
                break
            kept.append(line)
    return b"".join(kept)


def finish(workspace: Workspace) -> None:
    """Do what a swap of the journal leaves to be done, if there is anything; whoever calls holds the workspace."""
    try:
        note = msgspec.json.decode(workspace.rollback_note.read_bytes(), type=Note)
    except FileNotFoundError:
        return
    if _swapped(workspace, note):
        _stop(note.stop)
        for name in note.move:
            _keep_seen(workspace.root / name)
            _move(workspace.root / name, workspace.root / note.archive / name)
    else:
        _forget(workspace.root / note.archive / workspace.journal.name)
    workspace.rollback_note.unlink()


def _swapped(workspace: Workspace, note: Note) -> bool:
    try:
        told = journal.read_events(workspace.journal)
        return any(isinstance(e, RunRolledBack) and e.archive == note.archive for e in told)
    except OrchestratorError:
        return False


def _stop(markers: Collection[str]) -> None:
    from orchestrator.edges.processtree import stop_now, table

    if markers:
        for marker in {entry.marker for entry in table().values()} & set(markers):
            stop_now(marker)


def _keep_seen(folder: Path) -> None:
    """What stood there before a task's first attempt: files that are not touched are no proof against the next one."""
    seen = folder / "artifacts.json"
    if seen.exists():
        first = folder.with_suffix(".0")
        first.mkdir(mode=0o700, exist_ok=True)
        write_whole_bytes(str(first / seen.name), seen.read_bytes(), durable=True)


def _move(path: Path, target: Path) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        os.replace(path, target)


def _forget(kept: Path) -> None:
    """The journal was not swapped: what was put into the archive for it is a second name of what is there."""
    kept.unlink(missing_ok=True)
    with suppress(OSError):
        kept.parent.rmdir()
