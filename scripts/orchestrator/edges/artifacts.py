"""Declared artifacts: what stood there before the first attempt, and whether an attempt made something of it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from glob import glob

import msgspec

from orchestrator.core.text import one_line
from orchestrator.edges.workspace import NAME

NOT_WORK = {NAME, ".git"}
"""Folders whose files change by themselves while a run goes on, and so prove nothing."""

Seen = dict[str, tuple[int, str]]
"""Size and hash of each file, by its path in the project folder; what cannot be read has neither."""


def look(project: str, patterns: Sequence[str]) -> Seen:
    """The files that match now."""
    found: Seen = {}
    for pattern in patterns:
        for name in _matching(project, pattern):
            found[name] = _identity(os.path.join(project, name))
    return found


def problems(project: str, patterns: Sequence[str], before: Mapping[str, tuple[int, str]]) -> tuple[str, ...]:
    """Why the artifacts do not prove the work; empty if they do."""
    return tuple(problem for pattern in patterns if (problem := _problem(project, pattern, before)))


def _problem(project: str, pattern: str, before: Mapping[str, tuple[int, str]]) -> str:
    names = _matching(project, pattern)
    shown = one_line(pattern)
    if not names:
        other = os.path.exists(os.path.join(project, pattern))
        return f"artifact {shown} is {'no file inside the project folder' if other else 'missing'}"
    now = {name: _identity(os.path.join(project, name)) for name in names}
    filled = {name: known for name, known in now.items() if known[0]}
    if not filled:
        return f"artifact {shown} is empty"
    if all(tuple(before.get(name, ())) == known for name, known in filled.items()):
        return f"artifact {shown} is as it was before the first attempt"
    return ""


def matching(project: str, patterns: Sequence[str]) -> tuple[str, ...]:
    """The artifacts' paths, for the result."""
    return tuple(sorted({name for pattern in patterns for name in _matching(project, pattern)}))


def _matching(project: str, pattern: str) -> list[str]:
    if pattern.endswith(("/", "/.")):
        # That is a folder, which proves nothing.
        return []
    root = os.path.realpath(project)
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    names = {os.path.normpath(name) for name in _glob(project, parts)}
    return sorted(name for name in names if _is_work(name) and _is_inside(root, os.path.join(project, name)))


def _glob(folder: str, parts: Sequence[str]) -> Iterator[str]:
    """What matches below a folder. `**` goes into no linked folder: links that lead upwards would never end."""
    if "**" not in parts:
        yield from glob("/".join(parts), root_dir=folder, include_hidden=True)
        return
    at = parts.index("**")
    begin, rest = parts[:at], parts[at + 1 :]
    while rest[:1] == ["**"]:
        rest = rest[1:]
    for top in glob("/".join(begin), root_dir=folder, include_hidden=True) if begin else ("",):
        for where, folders, files in os.walk(os.path.join(folder, top)):
            folders[:] = [name for name in folders if name not in NOT_WORK]
            inner = os.path.relpath(where, folder)
            found = _glob(where, rest) if rest else files
            yield from (os.path.join(inner, name) for name in found)


def _is_work(name: str) -> bool:
    return NOT_WORK.isdisjoint(name.split(os.sep))


def _is_inside(root: str, path: str) -> bool:
    return os.path.isfile(path) and os.path.commonpath((root, os.path.realpath(path))) == root


def _identity(path: str) -> tuple[int, str]:
    try:
        with open(path, "rb") as file:
            return os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        # Taken away meanwhile, or not for us to read: no proof, and no reason to end the run.
        return 0, ""


class _Kept(msgspec.Struct):
    patterns: tuple[str, ...]
    seen: Seen


def dump(patterns: Sequence[str], seen: Seen) -> bytes:
    """As it is kept beside the first attempt."""
    return msgspec.json.encode(_Kept(tuple(patterns), seen))


def load(data: bytes, patterns: Sequence[str]) -> Seen | None:
    """What `dump` wrote, if it was for these patterns."""
    kept = msgspec.json.decode(data, type=_Kept)
    return kept.seen if kept.patterns == tuple(patterns) else None
