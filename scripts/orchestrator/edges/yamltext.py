"""Writes text into a plan file so that it reads back as it was."""

from __future__ import annotations

import json
import re

from orchestrator.edges.forms import NOTHING

_PLAIN = re.compile(r"[^\W_](?:[\w ,.()/+'-]*[\w,.()/+'-])?")
# What libyaml refuses, takes for a line break, or may take for a byte order mark.
_ESCAPED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def yaml_text(text: str, indent: int = 0) -> str:
    """`text` as a YAML scalar to stand behind `key: ` or `- `; `indent` is the column of that key.

    Plain where that is safe, a block where it has lines, else in double quotes. Halves of surrogate pairs,
    which no file can hold, become U+FFFD.
    """
    text = _SURROGATE.sub("\ufffd", text)
    if _PLAIN.fullmatch(text) and text not in NOTHING:
        return text
    if "\n" in text and _fits_block(text):
        margin = " " * (indent + 2)
        lines = [margin + line if line else "" for line in text.removesuffix("\n").split("\n")]
        return "\n".join(["|" if text.endswith("\n") else "|-", *lines])
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))


def comment(text: str) -> str:
    """`text` as it may stand behind `# `, on one line."""
    return " ".join(_ESCAPED.sub(" ", _SURROGATE.sub("\ufffd", text)).split())


def _fits_block(text: str) -> bool:
    lines = text.removesuffix("\n").split("\n")
    loose = any(line != line.strip(" \t") and not line.strip() for line in lines)
    return bool(lines[0][:1].strip() and lines[-1]) and not loose and not _ESCAPED.search(text)
