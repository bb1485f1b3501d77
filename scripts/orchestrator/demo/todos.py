"""Lists the notes that people left in comments: TODO, FIXME, XXX, HACK, BUG."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from common import Record, place, plural, publish, shown, table
from tree import File, is_minified, project_files, text_of

# Words that say "this is wrong" before those that say "this is missing".
WORDS = ("FIXME", "BUG", "HACK", "XXX", "TODO")
WORD = re.compile(rf"\b({'|'.join(WORDS)})\b(?![-_/])")
# A string or a comment; the strings are matched so that what looks like a comment inside is passed over.
PYTHON_TOKEN = re.compile(
    r""""{3}(?:\\.|[^\\])*?"{3}|'{3}(?:\\.|[^\\])*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|\#[^\n]*""",
    re.DOTALL,
)
COMMENT = re.compile(r"(?:#|//|/\*|<!--|--|^\s*\*|^\s*[;%])(.*)$")
COMMENTED = frozenset({"CSS", "HTML", "YAML", "TOML", "Template"})


def main() -> None:
    """Prints the notes of the current folder."""
    notes = [note for file in project_files().files for note in notes_in(file)]
    notes.sort(key=lambda note: (WORDS.index(note["word"]), note["path"], note["line"]))
    counts = Counter(note["word"] for note in notes)
    kinds = ", ".join(f"{counts[word]} {word}" for word in WORDS if counts[word])
    files = Counter(note["path"] for note in notes)
    text = [
        "# Notes left in comments",
        "",
        f"{plural(len(notes), 'note')}{': ' + kinds if kinds else ''}. "
        "Comments alone were read, not strings.",
        "",
        *table(
            ("word", "where", "note"), [(n["word"], place(n["path"], n["line"]), n["text"]) for n in notes]
        ),
        "",
        "## Files with the most notes",
        "",
        *table(("notes", "file"), [(count, place(path)) for path, count in files.most_common(10)]),
    ]
    publish("todos", text, {"notes": notes})


def notes_in(file: File) -> Iterator[Record]:
    """Yields the notes of one file, one per line."""
    if not (file.is_code or file.language in COMMENTED):
        return
    text = text_of(file)
    if text is None or not WORD.search(text) or is_minified(text):
        return
    found = [(line, comment) for line, comment in comments(text) if WORD.search(comment)]
    if found and file.language == "Python":
        found = list(python_comments(text))
    for line, comment in found:
        match = WORD.search(comment)
        if match:
            note = shown(comment[match.end() :].lstrip(" :(").rstrip(" */->")[:100])
            yield {"path": file.path, "line": line, "word": match[1], "text": note}


def comments(text: str) -> Iterator[tuple[int, str]]:
    """Yields line number and text of what looks like a comment."""
    for number, line in enumerate(text.split("\n"), 1):
        match = COMMENT.search(line)
        if match:
            yield number, match[1]


def python_comments(text: str) -> Iterator[tuple[int, str]]:
    """Yields line number and text of each comment, none of them inside a string."""
    line, position = 1, 0
    for match in PYTHON_TOKEN.finditer(text):
        if match[0].startswith("#"):
            line, position = line + text.count("\n", position, match.start()), match.start()
            yield line, match[0]


if __name__ == "__main__":
    main()
