"""The files of the skill: where they come from, the list of those that were installed, and what differs from it.

`installer.py` is about packages; this and `installing.py` are about the skill itself.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import msgspec

from orchestrator import __version__
from orchestrator.edges.workspace import sync_folder, write_all
from orchestrator.errors import EnvironmentProblem

NAME = "distributed-task-orchestrator"
ENTRY = "scripts/orchestrate.py"
PACKAGE = "scripts/orchestrator"
LOCK = "scripts/requirements.lock"
MANIFEST = ".installed.json"
FORMAT = 1
"""Of the manifest."""

DOCUMENT = re.compile(r"\]\(([\w-]+\.md)\)")
GENERATED = "__pycache__"


class Source(NamedTuple):
    """Where the skill can be copied from: each of its files, by its name in the skill's folder."""

    root: Path
    files: Mapping[str, Path]
    packed: bool
    """In an installed package, and not a folder that is the skill itself."""


class Manifest(msgspec.Struct, frozen=True):
    """What was installed: the SHA-256 of every file by its name, and the folders that were made around it."""

    version: str
    files: dict[str, str]
    made: list[str] = []
    format: int = FORMAT


class Differences(NamedTuple):
    """How a folder differs from its manifest, by names of files."""

    changed: list[str]
    missing: list[str]
    added: list[str]

    @property
    def theirs(self) -> list[str]:
        """What the user changed or added."""
        return [*self.changed, *self.added]


def source() -> Source:
    """The skill that this program is a part of.

    Raises:
        EnvironmentProblem: the program was put somewhere without the rest of the skill.
    """
    package = Path(__file__).resolve().parent
    for root in (package / "_skill", package.parents[1]):
        if (root / "SKILL.md").is_file():
            return Source(root, dict(_files(root, package)), root.name == "_skill")
    raise EnvironmentProblem(f"there is no SKILL.md with {package}; install from a clone or from the package")


def _files(root: Path, package: Path) -> Iterator[tuple[str, Path]]:
    documents = DOCUMENT.findall((root / "SKILL.md").read_text(encoding="utf-8"))
    for name in ("SKILL.md", *documents, "LICENSE", ENTRY, LOCK):
        yield name, root / name
    for folder in (".claude-plugin", "templates"):
        yield from _below(root / folder, folder)
    for name, path in _below(package, PACKAGE):
        if not name.startswith(f"{PACKAGE}/_skill/"):
            yield name, path


def _below(folder: Path, name: str) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name == GENERATED:
            continue
        if path.is_dir():
            yield from _below(path, f"{name}/{path.name}")
        elif not path.name.endswith("~"):
            yield f"{name}/{path.name}", path


def copy(files: Mapping[str, Path], folder: Path) -> dict[str, str]:
    """Copy `files` into a folder of their own, synced; their hashes."""
    hashes = {}
    for name, path in files.items():
        data = path.read_bytes()
        hashes[name] = hashlib.sha256(data).hexdigest()
        write_new(folder / name, data, 0o755 if os.access(path, os.X_OK) else 0o644)
    for parent in {
        path for name in files for path in (folder / name).parents if folder in (path, *path.parents)
    }:
        sync_folder(parent)
    return hashes


def write_new(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file that is not there yet, synced, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        write_all(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def hashes(files: Mapping[str, Path]) -> dict[str, str]:
    """The SHA-256 of each file."""
    return {name: _hash(path) for name, path in files.items()}


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_manifest(folder: Path, files: dict[str, str], made: list[str]) -> None:
    """Note in a folder what was installed there."""
    found = Manifest(__version__, files, made)
    write_new(folder / MANIFEST, msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")


def read_manifest(folder: Path) -> Manifest | None:
    """What was installed in a folder; nothing where it was not installed, or cannot be told.

    Raises:
        EnvironmentProblem: a newer version of this program installed it, in a way that this one does not know.
    """
    try:
        data = (folder / MANIFEST).read_bytes()
        if msgspec.json.decode(data, type=dict[str, object]).get("format") != FORMAT:
            raise EnvironmentProblem(f"{folder} was installed by another version of this program: use that")
        found = msgspec.json.decode(data, type=Manifest)
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
        return None
    # A manifest can come with a repository that was cloned: it must not name what is elsewhere.
    return found if all(map(_inside, found.files)) else None


def _inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and bool(path.parts)


def differences(folder: Path, manifest: Manifest) -> Differences:
    """How `folder` differs from what was installed in it; what Python generates does not count."""
    present = set(_present(folder, ""))
    installed = [name for name in manifest.files if name in present]
    return Differences(
        changed=[name for name in installed if not _same(folder / name, manifest.files[name])],
        missing=[name for name in manifest.files if name not in present],
        added=sorted(present - set(manifest.files) - {MANIFEST}),
    )


def _present(folder: Path, prefix: str) -> Iterator[str]:
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            if entry.name != GENERATED:
                yield from _present(Path(entry.path), f"{prefix}{entry.name}/")
        else:
            yield f"{prefix}{entry.name}"


def _same(path: Path, expected: str) -> bool:
    return not path.is_symlink() and _hash(path) == expected


def is_skill(folder: Path) -> bool:
    """Whether a folder holds this skill, of whatever version."""
    try:
        beginning = (folder / "SKILL.md").read_text(encoding="utf-8", errors="replace")[:500]
    except OSError:
        return False
    return f"\nname: {NAME}\n" in beginning and (folder / ENTRY).is_file()
