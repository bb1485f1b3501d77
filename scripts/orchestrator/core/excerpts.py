"""Texts of people and workers as parts of a Markdown document: none of them can change what surrounds it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from orchestrator.core.text import clean, fenced, markdown, one_line, quoted, with_code

_LIST_MARK = re.compile(r"^(\d+(?=[.)])|(?=[-+=]))")
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_FENCE = re.compile(r"(`{3,})[^`]*$|(~{3,})")
_MERMAID = re.compile(r"[^\w \-.,/()]")


def item(text: str, length: int = 300) -> str:
    """`text` as the one line of a list item: it begins no list, heading or rule of its own."""
    return _LIST_MARK.sub(r"\1\\", with_code(text, length))


def cell(text: str, length: int = 200) -> str:
    """`text` as a table cell; a dash where there is none."""
    return with_code(text, length, in_table=True) or "–"


def names(ids: Iterable[str], most: int = 12) -> str:
    """Task ids for a table cell; of more than `most` the first, and how many there are."""
    known = list(ids)
    more = f", … ({len(known)} in all)" if len(known) > most else ""
    return ", ".join(markdown(name) for name in known[:most]) + more or "–"


def quote(text: str) -> str:
    """`text` as a block quote whose Markdown works and whose HTML does not.

    An unclosed `<!--` or `<details>` would hide the rest of the document. In fenced code, where HTML is text
    anyway, nothing is changed.
    """
    return quoted(_without_tags(clean(text)))


def block(text: str, cli: str) -> str:
    """A result as it stands in a document: a model's answer as a quote, the output of a command as it was."""
    return fenced(clean(text)) if cli == "shell" else quote(text)


def cut(text: str, length: int) -> tuple[str, bool]:
    """The beginning of `text`, up to the end of a line where one is near, and whether it is all of it."""
    if len(text) <= length:
        return text, True
    end = text.rfind("\n", length - length // 4, length)
    return text[: end if end > 0 else length], False


def mermaid_label(text: str, length: int = 40) -> str:
    """`text` for a quoted Mermaid label: only letters, digits and harmless signs as they are."""
    return _MERMAID.sub(lambda sign: f"#{ord(sign[0])};", one_line(text, length))


def _without_tags(text: str) -> str:
    """Every `<` that could begin a tag as an entity; a backslash before it would cancel a second one."""
    if not _TAG.search(text):
        return text
    lines, fence, sure = [], "", True
    for line in text.split("\n"):
        if fence:
            lines.append(line)
            mark = line.strip()
            if len(mark) >= len(fence) and not mark.strip(fence[0]):
                sure = line.startswith(mark)
                fence = ""
            continue
        # A fence that is not at the beginning of its line can belong to a list item, or not be one: from
        # there on nobody can say for certain what is code, and all is taken as text.
        opening = _FENCE.match(line) if sure else None
        sure = sure and (bool(opening) or ("```" not in line and "~~~" not in line))
        fence = (opening[1] or opening[2]) if opening else ""
        lines.append(line if fence else _TAG.sub("&lt;", line))
    return "\n".join(lines)
