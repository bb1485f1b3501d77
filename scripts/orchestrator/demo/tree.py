"""The files of the project folder, which is the current folder: which there are, and what each one is.

With git its own list is taken (tracked files and new ones that are not ignored), otherwise the folder
is walked. Links are never followed, and nothing but a regular file is ever opened.
`os.path` stands here for `pathlib` because it answers "no", and raises nothing, where a folder is closed or
a link is a loop.
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

# A source above one million bytes is nearly always generated or data: counted by size, not read.
LARGEST_TEXT = 1_000_000
# Bounds the time where somebody points the demo at a whole home folder.
MOST_FILES = 20_000
# The mean line of hand-written code is 30 to 40 characters; minified code has thousands.
LONGEST_MEAN_LINE = 300

SKIPPED = frozenset(
    {
        *(".git", ".hg", ".svn", ".idea", ".orchestrator", ".orchestrator-demo"),
        *("node_modules", "bower_components", ".venv", "venv", "site-packages", ".eggs"),
        *("__pycache__", ".tox", ".nox", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis"),
    }
)
CODE = {
    "Python": ".py .pyi .pyw",
    "JavaScript": ".js .jsx .mjs .cjs",
    "TypeScript": ".ts .tsx .mts .cts",
    "Vue": ".vue",
    "Svelte": ".svelte",
    "C": ".c .h",
    "C++": ".cc .cpp .cxx .hh .hpp",
    "C#": ".cs",
    "Go": ".go",
    "Java": ".java",
    "Kotlin": ".kt .kts",
    "PHP": ".php",
    "Ruby": ".rb",
    "Rust": ".rs",
    "Scala": ".scala",
    "Shell": ".sh .bash .zsh",
    "Swift": ".swift",
    "Dart": ".dart",
    "Lua": ".lua",
    "Perl": ".pl .pm",
    "R": ".r",
    "SQL": ".sql",
}
OTHER = {
    "CSS": ".css .scss .sass .less",
    "HTML": ".html .htm",
    "Template": ".j2 .jinja .hbs .ejs .tmpl",
    "Markdown": ".md .mdx",
    "Text": ".txt .rst .adoc",
    "JSON": ".json .jsonl",
    "YAML": ".yaml .yml",
    "TOML": ".toml",
    "XML": ".xml .svg",
    "Table": ".csv .tsv",
}
LANGUAGES = {ending: language for language, endings in (CODE | OTHER).items() for ending in endings.split()}
TEST_FOLDERS = frozenset({"test", "tests", "__tests__", "spec", "specs", "testdata"})
TEST_NAME = re.compile(
    r"(?:^test_|_test\.|_spec\.|\.test\.|\.spec\.|^conftest\.py$|[a-z]Tests?\.(?:java|kt|cs|php|swift)$)"
)


@dataclass(frozen=True)
class File:
    """A regular file; `path` is relative to the project folder, `size` is in bytes."""

    path: str
    size: int

    @cached_property
    def language(self) -> str:
        """The language by the ending of the name; `Other` where it says nothing."""
        return LANGUAGES.get(PurePosixPath(self.path).suffix.lower(), "Other")

    @property
    def is_code(self) -> bool:
        """Whether this is a programming language, not text or data."""
        return self.language in CODE

    @property
    def is_test(self) -> bool:
        """Whether name or folder follow the habits of test files."""
        return is_test(self.path)


@dataclass(frozen=True)
class Listing:
    """All files, sorted by path; how they were found; what was met but not taken, by reason."""

    files: list[File]
    source: str
    left_out: dict[str, int]

    @property
    def code(self) -> list[File]:
        """The files in a programming language."""
        return [file for file in self.files if file.is_code]


def is_test(path: str) -> bool:
    """Whether the name or a folder of `path` follows the habits of test files."""
    pure = PurePosixPath(path)
    return bool(TEST_NAME.search(pure.name)) or not TEST_FOLDERS.isdisjoint(pure.parts[:-1])


def project_files() -> Listing:
    """Lists the current folder; what cannot be listed or is no regular file is counted, never an error."""
    tracked = git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    names = sorted({name for name in tracked.split("\0") if name}) if tracked else []
    source = "git ls-files" if names else "a walk of the folder"
    left_out: dict[str, int] = {}
    files: list[File] = []
    for path in names or walk(left_out):
        if len(files) == MOST_FILES:
            left_out[f"everything after the first {MOST_FILES:,} files"] = 1
            break
        file = _regular_file(path, left_out)
        if file:
            files.append(file)
    return Listing(sorted(files, key=lambda file: file.path), source, left_out)


def walk(left_out: dict[str, int]) -> Iterator[str]:
    """Yields every path below the current folder that is not a folder, without following links."""

    def unlisted(_error: OSError) -> None:
        _count(left_out, "folders that cannot be listed")

    for folder, folders, names in os.walk(".", onerror=unlisted):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        folders[:] = sorted(name for name in folders if name not in links and _is_ours(folder, name))
        for name in sorted(names + links):
            yield os.path.relpath(os.path.join(folder, name))


def git(*arguments: str) -> str | None:
    """What a git command prints, bytes that are not UTF-8 as surrogates; None where git has no answer.

    A foreign repository's configuration may name programs to run; those that the commands here
    would start are switched off.
    """
    switched_off = ("-c", "core.fsmonitor=false", "-c", "log.showSignature=false")
    environment = {name: text for name, text in os.environ.items() if name not in _POINTS_ELSEWHERE}
    try:
        done = subprocess.run(
            ["git", "--no-pager", *switched_off, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment | {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"},
            timeout=120,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return os.fsdecode(done.stdout)


def text_of(file: File) -> str | None:
    """The text of a file, decoded as UTF-8 with replacement; None if `unread_reason` has a reason."""
    data = bytes_of(file)
    return None if data is None else data.decode("utf-8", "replace")


def bytes_of(file: File) -> bytes | None:
    """The bytes of a text file; None where it is too large, binary or unreadable."""
    return None if file.size > LARGEST_TEXT or (data := _read(file.path)) is None or b"\0" in data else data


def unread_reason(file: File) -> str | None:
    """Why `text_of` gives None for this file, in words; None where it gives text."""
    if file.size > LARGEST_TEXT:
        return f"larger than {LARGEST_TEXT:,} bytes"
    data = _read(file.path)
    if data is None:
        return "unreadable"
    return "binary" if b"\0" in data else None


def is_minified(text: str) -> bool:
    """Whether the lines are so long that no person wrote them."""
    return len(text) > LONGEST_MEAN_LINE * (text.count("\n") + 1)


_POINTS_ELSEWHERE = frozenset({"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"})


def _is_ours(folder: str, name: str) -> bool:
    return name not in SKIPPED and not os.path.exists(os.path.join(folder, name, "pyvenv.cfg"))


def _regular_file(path: str, left_out: dict[str, int]) -> File | None:
    if not SKIPPED.isdisjoint(PurePosixPath(path).parts):
        return None
    try:
        facts = os.lstat(path)
    except OSError:
        return None
    if stat.S_ISREG(facts.st_mode):
        return File(path, facts.st_size)
    kind = "links" if stat.S_ISLNK(facts.st_mode) else "devices, pipes, sockets and submodules"
    broken = kind == "links" and not os.path.exists(path)
    _count(left_out, "broken links" if broken else kind)
    return None


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as stream:
            return stream.read(LARGEST_TEXT + 1)
    except OSError:
        return None


def _count(counts: dict[str, int], reason: str) -> None:
    counts[reason] = counts.get(reason, 0) + 1
