"""Puts one folder, or link, into the place of another at one stroke, while nobody else does.

A crash leaves the old or the new one, each whole. Where the system cannot exchange two names at once, a crash can
leave the old one aside; the next `held` puts it back.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestrator.edges.workspace import sync_folder

AT_FDCWD = -100
"""Of <fcntl.h> on Linux: paths begin in the current folder."""

RENAME_EXCHANGE = 2
"""Of renameat2(2), Linux 3.15; RENAME_SWAP of macOS's renamex_np(2) is 2 as well."""

OLD = "old"
"""In the folder aside: what was at the target, while nothing is there."""

Exchange = Callable[[Path, Path], bool]


@contextmanager
def held(target: Path) -> Iterator[Path]:
    """Hold the folder around `target`, made where it is missing; yields an empty folder beside `target`.

    Waits for others. What a crash left is put right first; the yielded folder is removed at the end.

    Raises:
        OSError: the folder cannot be made, or not be written.
    """
    descriptor = _lock(target.parent)
    try:
        aside = target.with_name(f".{target.name}.setup")
        _recover(target, aside)
        aside.mkdir()
        try:
            yield aside
        finally:
            _recover(target, aside)
    finally:
        os.close(descriptor)


def swap(new: Path, target: Path, aside: Path, exchange: Exchange | None = None) -> None:
    """Let `new` be at `target`; what was there ends up in `aside`. All three are in one file system."""
    if not os.path.lexists(target):
        os.rename(new, target)
    elif not (exchange or exchanged)(new, target):
        os.rename(target, aside / OLD)
        os.rename(new, target)
    sync_folder(target.parent)


def take_away(target: Path, aside: Path) -> None:
    """Let there be nothing at `target`, at one stroke, and then nothing of it at all."""
    os.rename(target, aside / "removed")


def exchanged(one: Path, other: Path) -> bool:
    """Exchange two names at once; false, with nothing changed, where this system cannot."""
    library = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(one), os.fsencode(other)
    try:
        if sys.platform == "darwin":
            return bool(library.renamex_np(*names, RENAME_EXCHANGE) == 0)
        return bool(library.renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE) == 0)
    except AttributeError:
        return False


def _lock(folder: Path) -> int:
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(folder)):
                return descriptor
        # Somebody has removed the folder while we waited for it.
        os.close(descriptor)


def _recover(target: Path, aside: Path) -> None:
    old = aside / OLD
    if os.path.lexists(old) and not os.path.lexists(target):
        os.rename(old, target)
    if aside.exists():
        shutil.rmtree(aside)
