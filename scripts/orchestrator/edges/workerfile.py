"""One worker file: front matter in YAML, then what the worker is told; the format of Claude Code's subagents."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path

from msgspec import Struct

from orchestrator.core.hints import shown
from orchestrator.core.text import clean, one_line
from orchestrator.core.workers import WorkerType, worker_type, wrong_fields
from orchestrator.edges.nodes import Items, Node, Pairs, Problems, Scalar, Unreadable, yaml_nodes

LARGEST_FILE = 64 * 1024
"""Bytes: what the claude program takes as front matter, and twenty times a long prompt."""

_HEADER = re.compile(r"---[ \t]*\n(.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_NAME = re.compile(r"""^name:[ \t]+(["']?)(.+?)\1[ \t]*(?:#.*)?$""", re.MULTILINE)
_KEY = re.compile(r"^([A-Za-z][\w-]*:)[ \t]+([^\s\"'\[{|>].*?)[ \t]*$", re.MULTILINE)


class Wrong(Exception):
    """What is wrong with a file: its text is a line for each thing, `FILE:LINE: what`."""


class Header(Struct):
    """The front matter of a file: texts and lists of texts, with the line in which each begins."""

    fields: dict[str, str | list[str]] = {}
    lines: dict[str, int] = {}
    wrong: Problems = []


def name_of(path: Path, folder: Path) -> str:
    """The name that a file says it has, else that of the file: so too where it cannot be read."""
    try:
        head = _beginning(path, folder, LARGEST_FILE).decode("utf-8-sig", "replace").replace("\r\n", "\n")
    except OSError:
        return path.stem
    said = _NAME.search(head.partition("\n---")[0]) if head.startswith("---") else None
    return said[2] if said else path.stem


def read(path: Path, folder: Path, *, bundled: bool = False) -> WorkerType:
    """The worker type in a file of `folder`.

    Raises:
        Wrong: it cannot be read, is a link that leads out of the folder, or has mistakes.
    """
    text = _text(path, folder)
    found = _HEADER.match(text)
    if found is None:
        raise Wrong(f"{_named(path)}:1: no front matter; begin with the lines `---`, `name: …`, `---`")
    header = header_of(found[1])
    if not header.wrong:
        header.fields.setdefault("name", path.stem)
        mistakes = wrong_fields(header.fields)
        header.wrong = [(header.lines.get(key, 1), f"{key}: {message}") for key, message in mistakes]
    if header.wrong:
        raise Wrong("\n".join(f"{_named(path)}:{line}: {message}" for line, message in header.wrong))
    return worker_type(header.fields, text[found.end() :].strip(), bundled=bundled)


def header_of(text: str) -> Header:
    """The front matter between the two `---`; lines are counted from the first `---`."""
    wrong: Problems = []
    root = _nodes(text, wrong)
    if wrong:
        # People write `description: Use it when: …` without quotes, and the claude program takes it.
        again: Problems = []
        root = _nodes(_KEY.sub(_quoted, text), again)
        wrong = wrong[:1] if again else []
    if not wrong and not isinstance(root, Pairs):
        wrong = [(1, "front matter is a map of `name:`, `description:` and so on")]
    header = Header(wrong=[(line + 1, message) for line, message in wrong])
    for key, node in root.pairs if isinstance(root, Pairs) else ():
        if key.text in header.fields:
            header.wrong.append((key.line + 1, f"the key {shown(key.text)} stands here twice"))
        header.lines[key.text] = key.line + 1
        header.fields[key.text] = _value(node)
    return header


def _beginning(path: Path, folder: Path, most: int) -> bytes:
    """The first bytes of an ordinary file in `folder`.

    Raises:
        OSError: it cannot be read, is none, or is a link that leads out of the folder.
    """
    if not Path(os.path.realpath(path)).is_relative_to(folder.resolve()):
        raise OSError(errno.EXDEV, "leads out of its folder; put a copy there instead")
    # Not blocking: a named pipe would keep the program waiting for ever.
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "is not an ordinary file")
        return file.read(most)


def _text(path: Path, folder: Path) -> str:
    try:
        data = _beginning(path, folder, LARGEST_FILE + 1)
    except OSError as error:
        raise Wrong(f"{_named(path)}: {error.strerror or error}") from error
    if len(data) > LARGEST_FILE:
        raise Wrong(f"{_named(path)}: the file is larger than {LARGEST_FILE >> 10} KB")
    try:
        return clean(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Wrong(
            f"{_named(path)}:{line}: byte {error.start} is not UTF-8; save the file as UTF-8"
        ) from error


def _nodes(text: str, wrong: Problems) -> Node | None:
    try:
        return yaml_nodes(text.encode("utf-8", "replace"), wrong)
    except Unreadable:
        return None


def _quoted(found: re.Match[str]) -> str:
    text = found[2].replace("\\", "\\\\").replace('"', '\\"')
    return f'{found[1]} "{text}"'


def _value(node: Node) -> str | list[str]:
    """A text or a list of texts; what is deeper belongs to keys that mean nothing here."""
    if isinstance(node, Scalar):
        return "" if node.plain and node.text in ("~", "null") else node.text
    items = node.items if isinstance(node, Items) else []
    return [item.text for item in items if isinstance(item, Scalar)]


def _named(path: Path) -> str:
    return one_line(str(path), 4096)
