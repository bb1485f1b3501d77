"""What workers and people wrote, made harmless for the place where it is shown; and numbers and lists in words.

Nothing here shortens or changes what a worker's files say; only views, prompts and terminals get this form.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

# ECMA-48 control sequences (colours, cursor), operating system commands (titles, links), then single ones.
# An unended command takes its line with it, not the rest of the text.
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?|\x1b[@-_]?")
# As many as follow each other: a file of nothing else is cleaned as fast as one of words.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]+")
# The program is written in JavaScript, where U+FEFF is white space too.
_COMMAND = re.compile(r"[\s\ufeff]*/(?=\S)")
_FILE = re.compile(r"(?<![^\s\ufeff])@(?=[^\s\u2060])")
_CODE = re.compile(r"(?<!`)`(?!`)([^`]+)`(?!`)")
_MARKDOWN = re.compile(r"[\\`*_\[\]<>|~#&]")


def clean(text: str) -> str:
    """`text` without terminal escapes; other control and direction characters become U+FFFD,
    one for as many as follow each other."""
    if text.isprintable():
        return text
    text = text.replace("\r\n", "\n")
    return _CONTROLS.sub("\ufffd", _ESCAPES.sub("", text))


def one_line(text: str, length: int = 200) -> str:
    """The beginning of `text`, cleaned, on one line."""
    line = " ".join(clean(text[: length * 8]).split())
    return line if len(line) <= length else line[: length - 1] + "…"


def ending(text: str, length: int = 200) -> str:
    """The end of `text`, cleaned, on one line: all of it, or whole lines or else words of it after a `…`."""
    lines = [line for line in (" ".join(line.split()) for line in clean(text).splitlines()) if line]
    whole = " ".join(lines)
    if len(whole) <= length:
        return whole
    shown = ""
    while len(longer := f"{lines.pop()} {shown}".rstrip()) <= length - 2:
        shown = longer
    if shown:
        return f"… {shown}"
    kept = whole[1 - length :]
    # A word without an end, such as JSON on one line, is cut where it has to be.
    word = kept.find(" ", 0, length // 2)
    return f"…{kept[word:] if word >= 0 else kept}"


def last_line(text: str) -> str:
    """The last line that says anything, for an error message."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def markdown(text: str, length: int = 200) -> str:
    """`text` as words inside a Markdown line or table cell: no structure comes of it."""
    return _MARKDOWN.sub(_escaped, one_line(text, length))


def _escaped(sign: re.Match[str]) -> str:
    # A function costs nothing where there is no match; a pattern for what to put there costs 2 µs each time.
    return f"\\{sign[0]}"


def with_code(text: str, length: int = 200, *, in_table: bool = False) -> str:
    """As `markdown`, but what stands between single backquotes is inline code, to be copied as it is.

    Args:
        in_table: for a cell, where a `|` has to be escaped even in code.
    """
    line = one_line(text, length)
    if "`" not in line:
        return _MARKDOWN.sub(_escaped, line)
    parts = _CODE.split(line)
    return "".join(
        _as_code(part, in_table) if place % 2 else _MARKDOWN.sub(_escaped, part)
        for place, part in enumerate(parts)
    )


def _as_code(text: str, in_table: bool) -> str:
    if in_table and "|" in text:
        # Before a backslash of its own nobody can say which of the two escapes the sign.
        if "\\" in text:
            return _MARKDOWN.sub(_escaped, f"`{text}`")
        text = text.replace("|", "\\|")
    return f"`{text}`"


def code(text: str, length: int = 200) -> str:
    """`text` as inline code in a line that is no row of a table: it can be copied as it is."""
    line = one_line(text, length)
    fence = "`" * (max((len(run) for run in re.findall(r"`+", line)), default=0) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def fenced(text: str, info: str = "") -> str:
    """`text` as a fenced block whose fence is longer than any in it."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    end = "" if text.endswith("\n") or not text else "\n"
    return f"{fence}{info}\n{text}{end}{fence}"


def quoted(text: str) -> str:
    """`text` as a block quote: its headings, lists and unclosed fences stay inside."""
    return "\n".join(f"> {line}".rstrip() for line in re.split(r"\r\n?|\n", text))


def neutralised(text: str) -> str:
    """`text` for a prompt: the claude program expands neither `@file` nor a leading `/command` in it.

    A word joiner (U+2060) between the sign and the word stops it. A command is one only at the beginning of
    the whole text, so that paths elsewhere stay what they are.
    """
    text = neutralised_inside(text)
    if command := _COMMAND.match(text):
        text = f"{command[0]}\u2060{text[command.end() :]}"
    return text


def neutralised_inside(text: str) -> str:
    """As `neutralised`, for what never begins a prompt: an input such as `/srv/data.csv` stays what it is."""
    return _FILE.sub("@\u2060", text) if "@" in text else text


def counted(number: int, word: str) -> str:
    """`1 round`, `2 rounds`."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first `most` names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def dollars(amount: float) -> str:
    """An amount for people: `$12.35`, `$0.04`; of a small one all that counts: `$0.0375`."""
    cents, more = f"{amount:.4f}"[:-2], f"{amount:.4f}"[-2:].rstrip("0")
    return f"${cents}{more}" if 0 < amount < 0.1 else f"${amount:.2f}"


def duration(seconds: float) -> str:
    """Seconds for people: `0.4s`, `12s`, `3m 05s`, `2h 07m`."""
    if seconds < 10:
        return f"{max(seconds, 0.0):.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
