"""What an attempt left on disk: its output, read in pieces however large, and the result file made from it."""

from __future__ import annotations

import codecs
import hashlib
import os
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from msgspec import Struct

from orchestrator.core.events import SUMMARY_CHARACTERS
from orchestrator.core.frontmatter import MARK
from orchestrator.core.text import clean
from orchestrator.edges.workspace import sync, write_whole_bytes

PIECE = 1 << 18
"""Bytes of output held in memory at a time."""

LONGEST_RESULT = 16 << 20
"""Bytes of output that become a result; the rest stays in the attempt's stdout, and the result says so."""

LONGEST_LINE = 32 << 20
"""Bytes of one line of output that are read: twice the largest result; answers of 3 MB are seen."""

LONGEST_ESCAPE = 256
"""Characters of a terminal escape that are held together where it falls on the border of two pieces."""


class Digest(Struct, frozen=True):
    """A result's identity and beginning; `whole`: the beginning is all there is."""

    result: str
    summary: str
    whole: bool


def pieces(path: str) -> Iterator[str]:
    """The text of a file, cleaned, piece by piece; what is not UTF-8 becomes U+FFFD."""
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    left, held = LONGEST_RESULT, ""
    with open(path, "rb") as file:
        while left > 0 and (data := file.read(min(PIECE, left))):
            left -= len(data)
            text = held + decode(data)
            end = _whole(text)
            held = text[end:]
            yield clean(text[:end])
        if rest := held + decode(b"", final=True):
            yield clean(rest)
        if left <= 0 and file.read(1):
            yield f"\n\n(cut after {LONGEST_RESULT >> 20} MiB; all of it: {path})\n"


def _whole(text: str) -> int:
    """How much of a text can be cleaned before its continuation is known."""
    escape = text.rfind("\x1b", max(0, len(text) - LONGEST_ESCAPE))
    return escape if escape >= 0 else len(text) - text.endswith("\r")


def lines(path: str) -> Iterator[bytes]:
    """The lines of a file that may be JSON objects; of a longer line than LONGEST_LINE the beginning.

    A long line that cannot be one is passed over without being held: its middle must not be taken for a line.
    """
    try:
        file = open(path, "rb")
    except FileNotFoundError:
        return
    with file:
        while line := file.readline(PIECE):
            if len(line) < PIECE or line.endswith(b"\n"):
                yield line
                continue
            promising = line.startswith(b'{"')
            if promising:
                line += file.readline(LONGEST_LINE)
            last = line
            while last and not last.endswith(b"\n"):
                last = file.readline(PIECE)
            if promising:
                yield line


def tail(path: str, characters: int) -> str:
    """The end of a file, cleaned."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - characters * 4))
            return clean(file.read().decode("utf-8", "replace"))[-characters:]
    except OSError:
        return ""


def digest(text: Iterable[str]) -> Digest:
    """Hash and beginning of a text that comes in pieces."""
    known = hashlib.sha256()
    beginning, length = "", 0
    for piece in text:
        known.update(piece.encode("utf-8", "replace"))
        length += len(piece)
        if len(beginning) <= SUMMARY_CHARACTERS:
            beginning += piece[: SUMMARY_CHARACTERS + 1 - len(beginning)]
    summary = beginning[:SUMMARY_CHARACTERS]
    return Digest(known.hexdigest()[:32], summary, length <= SUMMARY_CHARACTERS)


def write_result(path: str | Path, frame: tuple[str, str], text: Iterable[str], *, durable: bool) -> None:
    """The result file: what stands before the text, the text, and what stands after it; swapped in whole.

    `durable`: synced, because the journal does not hold the whole text.
    """
    rest = chain((frame[0],), text, (frame[1],))
    gathered: list[bytes] = []
    size = 0
    for piece in rest:
        gathered.append(piece.encode("utf-8", "replace"))
        size += len(gathered[-1])
        if size > PIECE:
            _write_long(path, gathered, rest)
            return
    write_whole_bytes(os.fspath(path), b"".join(gathered), durable=durable)


def _write_long(path: str | Path, begun: list[bytes], rest: Iterable[str]) -> None:
    aside = f"{path}.{os.getpid()}~"
    try:
        with open(aside, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.writelines(begun)
            file.writelines(piece.encode("utf-8", "replace") for piece in rest)
            file.flush()
            sync(file.fileno())
    except OSError:
        Path(aside).unlink(missing_ok=True)
        raise
    os.replace(aside, path)


def body(path: str | Path) -> Iterator[str]:
    """The text of a result file without its front matter, piece by piece."""
    with open(path, encoding="utf-8", errors="replace") as file:
        text = file.read(PIECE)
        if text.startswith(MARK):
            while (end := text.find(f"\n{MARK}", len(MARK) - 1)) < 0 and (more := file.read(PIECE)):
                text += more
            text = text[end + 1 + len(MARK) :] if end >= 0 else ""
            text += file.read(max(PIECE - len(text), 0))
        while text:
            yield text
            text = file.read(PIECE)
