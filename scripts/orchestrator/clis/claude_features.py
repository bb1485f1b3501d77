"""What an installed claude program offers, by what it says of itself; pure."""

from __future__ import annotations

import re

from msgspec import Struct

OLDEST = (2, 1, 197)
"""The oldest version that the tests with the real program pass with."""

NEEDED = frozenset(
    (
        "json-schema", "max-budget-usd", "model", "output-format", "permission-mode", "print",
        "resume", "session-id", "setting-sources", "settings", "strict-mcp-config", "tools", "verbose",
    )
)  # fmt: skip
"""Options without which a worker could not be run, or not be kept within its bounds."""

HIDDEN = frozenset(("append-system-prompt-file", "max-turns"))
"""Options that every version since OLDEST takes and no `--help` shows."""

# An option stands behind two spaces, the lines of its description far behind it.
_OPTION_LINE = re.compile(r"^ {2}((?:-\w, )?--[A-Za-z][\w-]*(?:, --[A-Za-z][\w-]*)*)", re.MULTILINE)
_VERSION = re.compile(r"(\d{1,9})\.(\d{1,9})\.(\d{1,9})")


class Program(Struct, frozen=True):
    """An installed claude program.

    `text` is its version as it says it, `version` the numbers in it, () where there are none; `options` are
    the long names of the options that it takes. `trusted`: the project folder is trusted in Claude Code.
    """

    path: str
    version: tuple[int, ...] = ()
    text: str = ""
    options: frozenset[str] = frozenset()
    trusted: bool = False


def features(path: str, version_text: str, help_text: str, *, trusted: bool = False) -> Program:
    """The program at `path`, by what its `--version` and `--help` printed."""
    lines = _OPTION_LINE.findall(help_text)
    options = frozenset(name for line in lines for name in re.findall(r"--([\w-]+)", line))
    found = _VERSION.search(version_text)
    version = tuple(int(number) for number in found.groups()) if found else ()
    text = " ".join(version_text.split())[:80]
    return Program(path, version, text, options | HIDDEN if version >= OLDEST else options, trusted)


def complaint(program: Program) -> str:
    """Why workers cannot be run with this program, and what to do; "" where they can."""
    if not program.version:
        said = f"says {program.text!r}" if program.text else "says nothing"
        return f"{program.path} is not Claude Code: its --version {said}; {_NAME_ANOTHER}"
    if program.version < OLDEST:
        return (
            f"claude {_dotted(program.version)} at {program.path} is older than {_dotted(OLDEST)}, "
            "the oldest that workers can rely on; update it with: claude update"
        )
    if missing := sorted(NEEDED - program.options):
        listed = ", ".join(f"--{name}" for name in missing)
        return f"{program.path} is not Claude Code: its --help does not offer {listed}; {_NAME_ANOTHER}"
    return ""


_NAME_ANOTHER = "name the right program with --claude or ORCHESTRATE_CLAUDE"


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
