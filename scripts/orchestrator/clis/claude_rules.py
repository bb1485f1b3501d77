"""Permission rules of the claude program, written so that each means one command or path and nothing more.

What is said of the program's reading of rules was measured with its versions 2.1.197 and 2.1.329.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from orchestrator.core.workers import tool_name

# A `*` that no backslash makes an ordinary character.
_STAR = re.compile(r"(?<!\\)(?:\\\\)*\*")
_GLOB = re.compile(r"([\\*?\[\]!#{}])")
_WORD = re.compile(
    r"""'[^']*' | "(?:\\.|[^"\\])*" | \\. | \d*[<>]&\d | &>>? | \|\| | && | \|&? | << | .""",
    re.DOTALL | re.VERBOSE,
)
_SEPARATORS = frozenset(("|", "|&", "||", "&&", ";", "\n"))
_OPAQUE = frozenset(("(", ")", "{", "}", "`", "&", "<<", "'", '"'))
"""Where one of these stands outside quotes, what follows a separator need not be a command of its own."""

_REDIRECTED = re.compile(r"(?:\s*(?:\d*>&\d|(?:&|\d)?>>?\s*[\w./-]+))+$")


def rule(tool: str, content: str) -> str:
    """The rule for one use of a tool. A backslash or an odd parenthesis in `content` has to be escaped."""
    if "\\" in content or not _balanced(content):
        content = re.sub(r"([\\()])", r"\\\1", content)
    return f"{tool}({content})"


def _balanced(text: str) -> bool:
    depth = 0
    for char in text:
        depth += (char == "(") - (char == ")")
        if depth < 0:
            return False
    return depth == 0


def path_rule(tool: str, path: str, below: str = "") -> str:
    """The rule for a file, or by `below` (`/**`) for all in a folder; a relative path is the worker's own.

    Only `Read` and `Edit` take paths; `Edit` stands for all tools that write, and for what Bash is seen to
    write.
    """
    # To the program a path is absolute only with two slashes.
    anchored = f"/{path}" if path.startswith("/") else path
    return rule(tool, _GLOB.sub(r"\\\1", anchored) + below)


def shell_rules(command: str) -> tuple[str, ...]:
    """The rules that allow a worker to run `command` as it stands, and no other.

    The program allows a compound command by one rule, but looks at each command of a pipeline by itself; such
    a command is then allowed alone, too. Some it never allows by a rule: `&`, subshells beside others, loops
    over a glob, globs in writing commands, redirections out of the project folder.
    """
    command = command.strip()
    return tuple(rule("Bash", _exactly(part)) for part in _parts(command) if part)


def _exactly(command: str) -> str:
    # A `*` is a wildcard, except in the form `PREFIX:*`: the command itself, or with further arguments.
    return f"{command}:*" if command.endswith(":*") or _STAR.search(command) else command


def _parts(command: str) -> list[str]:
    """The commands that the program looks at one by one, without redirections; else the whole."""
    parts, separated = [""], set()
    for word in _WORD.findall(command):
        if word in _SEPARATORS:
            separated.add(word)
            parts.append("")
        elif word in _OPAQUE or (word[0] == '"' and ("`" in word or "$(" in word)):
            return [command]
        else:
            parts[-1] += word
    # `PREFIX:*` has to be one line.
    if separated & {"|", "|&"} or ("\n" in separated and _STAR.search(command)):
        return [_REDIRECTED.sub("", part.strip()) for part in parts]
    return [command]


def tool_names(rules: Iterable[str]) -> tuple[str, ...]:
    """The built-in tools that rules speak of, each once: `Bash` of `Bash(git *)`; none of MCP servers."""
    names = dict.fromkeys(map(tool_name, rules))
    # The word `default` would mean all tools.
    return tuple(name for name in names if name[:1].isupper() and name.isalnum() and name.isascii())
