"""Which files of the project folder changed while a worker was alone in it, whoever changed them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

from orchestrator.core.overlap import covers
from orchestrator.edges.workspace import NAME

MOST_FILES = 5000
"""Files of a project that are looked at: some 20 ms before a worker and after it. A larger one is not looked at."""

MOST_NAMED = 20
"""Changed files that are named."""

BY_THE_WAY = frozenset(
    (
        NAME, ".git", ".hg", ".svn", "node_modules", ".venv", "venv", "__pycache__", ".pytest_cache",
        ".mypy_cache", ".ruff_cache", ".hypothesis", ".tox", ".nox", ".cache", ".gradle", ".idea", "target",
    )
)  # fmt: skip
"""Folders in which commands leave something whatever they were called for."""

Seen = dict[str, tuple[int, ...]]
"""Inode, mode, size and time of the last change of each file, by its path in the project folder."""


def look(project: str) -> Seen | None:
    """The files as they are now; None where they are too many."""
    seen: Seen = {}
    for name, known in _files(project):
        seen[name] = known
        if len(seen) > MOST_FILES:
            return None
    return seen


def outside(before: Mapping[str, tuple[int, ...]], project: str, writes: Sequence[str]) -> tuple[str, ...]:
    """The files outside of `writes` that came, went or changed since `before`, at most MOST_NAMED."""
    now = look(project)
    if now is None:
        return ()
    changed = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    return tuple(name for name in changed if not covers(tuple(writes), name))[:MOST_NAMED]


def _files(project: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    folders = [""]
    while folders:
        below = folders.pop()
        try:
            entries = list(os.scandir(os.path.join(project, below)))
        except OSError:
            continue
        for entry in entries:
            name = os.path.join(below, entry.name)
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in BY_THE_WAY:
                    folders.append(name)
                continue
            try:
                known = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            yield name, (known.st_ino, known.st_mode, known.st_size, known.st_mtime_ns)
