"""The documents at the top of the repository: their blocks and sections, and what of them the program writes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import click
from jinja2 import Environment, meta

from orchestrator.clis import claude
from orchestrator.commands import orchestrate
from orchestrator.edges.templates import templates_folder

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(ROOT.glob("*.md"))
COMMANDS, TEMPLATES = ROOT / "cli-integration.md", ROOT / "templates.md"

FENCE = re.compile(r"^(?P<fence>`{3,})(?P<language>[\w-]*)\n(?P<body>.*?)^(?P=fence)$", re.M | re.S)
WIDTH = 100
"""Columns of a help text in a document."""


class Block(NamedTuple):
    """A fenced block of a document."""

    language: str
    body: str


def name_of(path: Path) -> str:
    """A document's name in test ids."""
    return path.relative_to(ROOT).as_posix()


def blocks(text: str) -> list[Block]:
    """The fenced blocks; one inside another belongs to the outer one."""
    return [Block(found["language"], found["body"]) for found in FENCE.finditer(text)]


def prose(text: str) -> str:
    """The text without its fenced blocks."""
    return FENCE.sub("", text)


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next one of its level or above; headings in blocks do not count.

    Raises:
        KeyError: there is no such heading.
    """
    start, end = _span(text, heading)
    return text[start:end]


def _span(text: str, heading: str) -> tuple[int, int]:
    level = len(heading) - len(heading.lstrip("#"))
    inside = [(found.start(), found.end()) for found in FENCE.finditer(text)]
    marks = [
        found
        for found in re.finditer(rf"^#{{1,{level}}} .*\n", text, re.M)
        if not any(start < found.start() < end for start, end in inside)
    ]
    for found, after in zip(marks, [*marks[1:], None], strict=True):
        if found[0].rstrip() == heading:
            return found.end(), after.start() if after else len(text)
    raise KeyError(heading)


def rows(text: str) -> list[list[str]]:
    """The cells of all table rows but the headings."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    rules = [i for i, row in enumerate(cells) if set("".join(row)) <= set("-:")]
    return [row for i, row in enumerate(cells) if i not in rules and i + 1 not in rules]


def in_code(text: str) -> list[str]:
    """All `inline code` outside of blocks."""
    return re.findall(r"`([^`\n]+)`", prose(text))


def help_of(name: str) -> str:
    """What `orchestrate NAME --help` prints, at the width of a document."""
    settings = {**orchestrate.context_settings, "max_content_width": WIDTH, "terminal_width": WIDTH}
    parent = click.Context(orchestrate, info_name="orchestrate", **settings)
    command = orchestrate.commands[name]
    return command.get_help(click.Context(command, info_name=name, parent=parent, **settings)) + "\n"


def uses(template: str) -> str:
    """The line that names the variables of a template."""
    parsed = Environment().parse((templates_folder() / template).read_text(encoding="utf-8"))
    return f"Uses: {', '.join(f'`{name}`' for name in sorted(meta.find_undeclared_variables(parsed)))}.\n"


def with_block(text: str, heading: str, language: str, body: str) -> str:
    """`text` with `body` in place of the first block under a heading; added where there is none."""
    fence = "`" * (3 if "```" not in body else 4)
    new = f"{fence}{language}\n{body}{fence}"
    start, end = _span(text, heading)
    part = text[start:end]
    blank = "\n" if part.strip() else ""
    changed = (
        FENCE.sub(lambda _: new, part, count=1)
        if FENCE.search(part)
        else f"{part.rstrip()}\n{blank}{new}\n\n"
    )
    return text[:start] + changed + text[end:]


def with_helps(text: str) -> str:
    """cli-integration.md with a part for every command there is, in the order of their names; prose in it stays."""
    start, end = _span(text, "## Commands")
    introduction = re.split(r"^### ", text[start:end], maxsplit=1, flags=re.M)[0].rstrip()
    parts = [f"{introduction}\n\n"]
    for name in sorted(orchestrate.commands):
        heading = f"### `orchestrate {name}`"
        try:
            body = section(text, heading)
        except KeyError:
            body = "\n"
        parts.append(with_block(f"{heading}\n{body}", heading, "text", help_of(name)))
    return text[:start] + "".join(parts) + text[end:]


def with_samples(text: str, samples: dict[str, str]) -> str:
    """templates.md with the variables and a sample of every template."""
    for template, sample in samples.items():
        heading = f"## `{template}`"
        if heading not in text:
            text = f"{text.rstrip()}\n\n{heading}\n\nUses: .\n"
        start, end = _span(text, heading)
        part = re.sub(r"^Uses: .*\n", lambda _: uses(template), text[start:end], count=1, flags=re.M)  # noqa: B023
        text = text[:start] + part + text[end:]
        text = with_block(text, heading, "markdown" if ".md." in template else "text", sample)
    return text


def with_lists(text: str) -> str:
    """cli-integration.md with the variables that workers do not get, and what is denied to all of them."""
    variables = "".join(f"{name}\n" for name in claude.SESSION_VARIABLES)
    denied = "".join(f"{rule}\n" for rule in claude.DENIED)
    text = with_block(text, "## Environment variables", "text", variables)
    return with_block(text, "## Permissions", "text", denied)
