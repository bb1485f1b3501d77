"""The form of a result: Markdown for people, then one fenced JSON block for the tasks that follow.

Names of files are untrusted text: in the Markdown they are printed on one line with control characters
made visible, in the JSON they are ASCII, so that no name can forge a block.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

TOP = 15
FENCE = "```json"

Record = dict[str, Any]


def publish(kind: str, text: Sequence[str], data: Record) -> None:
    """Prints the result of a script; `kind` is the name under which `read_results` finds `data`."""
    lines = [
        *text,
        "",
        "Data for the tasks that follow:",
        "",
        FENCE,
        *_json_lines({"kind": kind} | data),
        "```",
    ]
    sys.stdout.buffer.write(("\n".join(lines) + "\n").encode("utf-8", "backslashreplace"))
    sys.stdout.flush()


def read_results(paths: Sequence[str], *kinds: str) -> list[Record]:
    """The data of the result files in `paths`, in the order of `kinds`; ends the script if one is missing."""
    found: dict[str, Record] = {}
    for path in paths:
        data = _data_of(path)
        found[str(data.get("kind"))] = data
    missing = [kind for kind in kinds if kind not in found]
    if missing:
        fail(f"no result of kind {', '.join(missing)} among the files given: {', '.join(paths) or 'none'}")
    return [found[kind] for kind in kinds]


def fail(message: str) -> NoReturn:
    """Ends the script with one line on stderr and exit status 1."""
    sys.exit(f"{Path(sys.argv[0]).name}: {message}")


def table(head: Sequence[str], rows: Iterable[Sequence[object]], most: int = TOP) -> list[str]:
    """A Markdown table of the first `most` rows, numbers to the right; says how many rows were left out."""
    kept = list(rows)
    if not kept:
        return ["(none)"]
    numeric = [isinstance(cell, int | float) for cell in kept[0]]
    lines = [_row(head), _row(["---:" if number else "---" for number in numeric])]
    lines += [_row([_cell(cell) for cell in row]) for row in kept[:most]]
    if len(kept) > most:
        lines += ["", f"... and {len(kept) - most:,} more."]
    return lines


def place(path: str, line: int | None = None) -> str:
    """`path:line` for people."""
    return shown(path) if line is None else f"{shown(path)}:{line}"


def shown(text: str) -> str:
    """`text` on one line, everything unprintable as an escape; cut at 300 characters."""
    cut = text if len(text) <= 300 else text[:299] + "…"
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in cut)


def plural(count: int, noun: str) -> str:
    """`1 file`, `2 files`, `2 copies`."""
    many = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{count:,} {noun if count == 1 else many}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int | float) else shown(str(value)).replace("|", "\\|")


def _json_lines(data: Record) -> list[str]:
    """One line per record, so that the block can be read and diffed."""
    fields = [f"{json.dumps(key)}: {_value(value)}" for key, value in data.items()]
    return ["{", *",\n".join(fields).split("\n"), "}"]


def _value(value: object) -> str:
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(json.dumps(each) for each in value) + "\n]"
    if isinstance(value, dict) and value:
        return (
            "{\n"
            + ",\n".join(f"{json.dumps(key)}: {json.dumps(each)}" for key, each in value.items())
            + "\n}"
        )
    return json.dumps(value)


def _data_of(path: str) -> Record:
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
        block = text.rpartition(f"\n{FENCE}\n")[2].partition("\n```")[0]
        data = json.loads(block)
    except (OSError, ValueError) as problem:
        fail(f"{shown(path)} holds no data block: {problem}")
    return data if isinstance(data, dict) else fail(f"{shown(path)}: the data block is not an object")
