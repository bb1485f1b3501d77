"""The documents say what is so: commands, plans, exit statuses and links in them are checked here."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from orchestrator.commands import EXIT_CODES, orchestrate
from orchestrator.edges.planfile import parse_plan

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("bench/*.md")])
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
STATUS_ROW = re.compile(r"^\| (\d+) \| (.+?) \|$", re.M)


def ids(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def commands_in(text: str) -> list[list[str]]:
    """Every command line of ours that a document shows, as words."""
    code = [body for _, body in BLOCK.findall(text)] + re.findall(r"`([^`\n]+)`", text)
    lines = [line.split("#")[0].strip() for body in code for line in body.splitlines()]
    shown = [re.sub(r"^python3 \S*orchestrate\.py", "orchestrate", line) for line in lines]
    return [line.split() for line in shown if line.startswith("orchestrate ")]


@pytest.mark.parametrize("document", DOCUMENTS, ids=ids)
def test_every_command_that_a_document_shows_exists_with_its_options(document: Path) -> None:
    for words in commands_in(document.read_text(encoding="utf-8")):
        rest = [word for word in words[1:] if not word.startswith(("--workspace", ".orch"))]
        if not rest or rest[0].isupper():
            continue
        if rest[0].startswith("--"):
            assert rest[0] in ("--version", "--help"), words
            continue
        command = orchestrate.commands.get(rest[0])
        assert command is not None, f"{document.name}: {' '.join(words)}"
        known = {option for each in command.params for option in each.opts} | {"--help"}
        unknown = [word for word in rest[1:] if word.startswith("-") and word.split("=")[0] not in known]
        assert unknown == [], f"{document.name}: {' '.join(words)}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=ids)
def test_every_plan_in_a_document_is_valid(document: Path) -> None:
    for language, body in BLOCK.findall(document.read_text(encoding="utf-8")):
        if language == "yaml":
            parse_plan(body.encode(), document.name)


@pytest.mark.parametrize("document", DOCUMENTS, ids=ids)
def test_every_link_of_a_document_leads_to_a_file(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if "://" not in target:
            assert (document.parent / target).exists(), f"{document.name}: {target}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=ids)
def test_a_document_holds_no_hidden_or_broken_characters(document: Path) -> None:
    text = document.read_bytes().decode("utf-8")
    assert re.findall(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufffd]|Ã|â€", text) == []


def test_the_readme_and_the_help_list_the_same_exit_statuses() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    in_help = re.findall(r"^  (\d+) ", EXIT_CODES, re.M)
    assert [number for number, _ in STATUS_ROW.findall(readme)] == in_help


def test_every_command_is_named_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [
        name for name in orchestrate.commands if f"orchestrate {name}" not in readme and name != "demo"
    ] == []


def test_every_command_explains_itself_and_its_options() -> None:
    for name, command in orchestrate.commands.items():
        assert command.help, name
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{name} {parameter.opts}"


def test_the_skill_page_is_short_and_has_only_fields_that_skills_may_have() -> None:
    text = (ROOT / "SKILL.md").read_text(encoding="utf-8")
    front = text.split("---\n")[1]
    allowed = {"name", "description", "license", "compatibility", "metadata", "allowed-tools"}
    assert text.count("\n") <= 150
    assert {line.split(":")[0] for line in front.splitlines()} <= allowed
    description = re.search(r"^description: (.*)$", front, re.M)
    assert description is not None
    assert len(description[1]) <= 450
