"""Finds the task table and the sections of a master plan in Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from msgspec import Struct

_HEADING = re.compile(r"\s{0,3}#{1,6}\s+(.*?)[\s#:]*$")
_RULE = re.compile(r"[\s|:-]*-[\s|:-]*")
_TASK_ID = re.compile(r"[`*\s]*[A-Za-z]+[-_ ]?[0-9]+[`*\s]*")

# The columns in the order of the form, which holds where there is no header; each with the names it goes by.
_COLUMNS = {
    "id": ("taskid", "id", "task", "no", "nr"),
    "description": ("description", "desc", "subtask", "taskdescription", "task", "name", "title"),
    "needs": ("dependencies", "dependency", "dependson", "needs", "requires"),
    "input": ("input", "inputs"),
    "output": ("expectedoutput", "output", "outputs", "expected"),
}
_PRIORITY = ("priority", "prio")


class Row(Struct):
    """One row of the task table: its line, from 1, and its cells by column."""

    line: int
    cells: dict[str, str]
    id: str = ""

    def cell(self, column: str) -> str:
        """The text in a column, empty where there is none."""
        return self.cells.get(column, "")


def rows(lines: Sequence[str]) -> list[Row]:
    """The rows of the tables under `Task Decomposition`, else of the first table that lists tasks."""
    start, end = _bounds(lines, "task decomposition")
    if start < end and (found := _tables(lines, start, end, whole=True)):
        return found
    return _tables(lines, 0, len(lines), whole=False)


def section(lines: Sequence[str], name: str) -> list[str]:
    """The lines under the first heading that begins with `name`, up to the next heading."""
    start, end = _bounds(lines, name)
    return list(lines[start:end])


def repaired(line: str) -> str:
    """`line` with UTF-8 that was once read as Windows-1252 turned back; other letters are left alone."""
    return line if line.isascii() else re.sub(r"[^\x00-\x7f]+", _repair, line)


def _repair(found: re.Match[str]) -> str:
    try:
        return b"".join(_byte(letter) for letter in found[0]).decode()
    except (UnicodeEncodeError, UnicodeDecodeError):
        return found[0]


def _byte(letter: str) -> bytes:
    try:
        return letter.encode("cp1252")
    except UnicodeEncodeError:
        # Five bytes have no letter there; editors keep them as control characters.
        return letter.encode("latin-1")


def _bounds(lines: Sequence[str], name: str) -> tuple[int, int]:
    heads = [(at, match[1]) for at, line in enumerate(lines) if (match := _HEADING.match(line))]
    heads.append((len(lines), ""))
    for (at, text), (following, _) in pairwise(heads):
        if re.sub(r"^[\W\d_]+", "", text).casefold().startswith(name):
            return at + 1, following
    return 0, 0


def _tables(lines: Sequence[str], start: int, end: int, *, whole: bool) -> list[Row]:
    """Rows between two lines; `whole`: of all tables there, and a header may be missing."""
    found: list[Row] = []
    columns: list[str] = []
    for at in range(start, end):
        line = lines[at].strip()
        if "|" not in line:
            if found and not whole:
                break
            columns = []
        elif _RULE.fullmatch(line) or not any(_cells(line)):
            continue
        elif not columns:
            cells = _cells(line)
            columns = _columns(cells)
            if not columns and whole and _TASK_ID.fullmatch(cells[0]) and len(cells) > 1:
                columns = list(_COLUMNS)
                found.append(_row(at, cells, columns))
            columns = columns or ["-"]
        elif columns != ["-"]:
            found.append(_row(at, _cells(line), columns))
    return found


def _row(at: int, cells: Sequence[str], columns: Sequence[str]) -> Row:
    return Row(at + 1, {name: cell for name, cell in zip(columns, cells, strict=False) if name})


def _cells(line: str) -> list[str]:
    parts = re.split(r"(?<!\\)\|", line.strip())
    parts = parts[1:] if line.startswith("|") else parts
    parts = parts[:-1] if line.endswith("|") and not line.endswith("\\|") else parts
    return [re.sub(r"<br ?/?>", "\n", part.replace("\\|", "|")).strip() for part in parts]


def _columns(header: Sequence[str]) -> list[str]:
    """The column of each header cell, empty for one that is passed over; empty at all for no task table."""
    names = [re.sub(r"[^a-z]", "", cell.casefold()) for cell in header]
    columns = [""] * len(names)
    for column, aliases in {**_COLUMNS, "priority": _PRIORITY}.items():
        at = next(
            (names.index(one) for one in aliases if one in names and not columns[names.index(one)]), None
        )
        if at is not None:
            columns[at] = column
    return columns if "id" in columns and "description" in columns else []
