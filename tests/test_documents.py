"""The documents say what is so: commands, plans, exit statuses and links in them are checked here."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from pages import ROOT, blocks, in_code, name_of, prose
from tokens import budget, tokens

from orchestrator.commands import EXIT_CODES, orchestrate
from orchestrator.edges.planfile import parse_plan
from orchestrator.edges.revisionfile import parse_revision

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("bench/*.md")])
BROKEN = re.compile(
    "[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffd]|[\u00c2\u00c3][\u0080-\u00bf]|\u00e2[\u0080-\u00bf\u20ac\u201d\u0161\u0152]|\u00f0\u0178"
)
"""Hidden and bidirectional characters, and UTF-8 that was read as something else."""

WORKSPACE = {
    "plan.yaml", "journal.jsonl", "dispatcher.log", "master_plan.md", "agent_tasks", "results", "attempts",
    "final_output.md", "inbox", "archive", "templates", "checks",
}  # fmt: skip

STATUS_ROW = re.compile(r"^\| (\d+) \| (.+?) \|$", re.M)


def commands_in(text: str) -> list[list[str]]:
    """Every command line of ours that a document shows, as words."""
    code = [block.body for block in blocks(text) if block.language != "markdown"] + in_code(text)
    lines = [line.split("#")[0].strip() for body in code for line in body.splitlines()]
    shown = [re.sub(r"^python3 \S*orchestrate\.py", "orchestrate", line) for line in lines]
    return [line.split() for line in shown if line.startswith("orchestrate ")]


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
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


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_plan_and_revision_in_a_document_is_valid(document: Path) -> None:
    for language, body in blocks(document.read_text(encoding="utf-8")):
        if language == "yaml" and re.search(r"^request:", body, re.M):
            parse_plan(body.encode(), document.name)
        elif language == "yaml":
            parse_revision(body, document.name)


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_link_of_a_document_leads_to_a_file_and_a_heading(document: Path) -> None:
    for target, anchor in re.findall(
        r"\]\(([^)#\s]*)(?:#([^)]+))?\)", prose(document.read_text(encoding="utf-8"))
    ):
        if "://" in target:
            continue
        path = document.parent / target if target else document
        assert path.exists(), f"{document.name}: {target}"
        if anchor:
            assert anchor in anchors(path.read_text(encoding="utf-8")), f"{document.name}: #{anchor}"


def anchors(text: str) -> set[str]:
    """What links to a document's headings may say."""
    titles = re.findall(r"^#+ (.+)$", prose(text), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_a_document_holds_no_hidden_or_broken_characters(document: Path) -> None:
    text = document.read_bytes().decode("utf-8")
    assert BROKEN.findall(text) == []
    assert "\t" not in text
    assert "\r" not in text


@pytest.mark.parametrize("text", ["ðŸŸ¡", "â”œ", "Ã©", "\u202e", "\u200b", "\ufeff", "\ufffd", "\x07"])
def test_broken_characters_are_seen(text: str) -> None:
    assert BROKEN.search(f"a {text} b")


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_a_document_holds_nothing_that_the_loader_of_skills_replaces(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    # The loader reads SKILL.md alone; elsewhere a sum of dollars is no argument.
    number = r"\$\d" if document.name == "SKILL.md" else r"\$\d+(?![\d.])"
    assert re.findall(rf"\$ARGUMENTS|{number}|!`", text) == []
    assert set(re.findall(r"\$\{(CLAUDE_\w+)\}", text)) <= {"CLAUDE_SKILL_DIR"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_file_of_the_repository_that_a_document_names_exists(document: Path) -> None:
    for word in (word for code in in_code(document.read_text(encoding="utf-8")) for word in code.split()):
        if re.match(r"(scripts|templates|tests|bench|evals)/[\w./-]+$", word):
            assert (ROOT / word).exists(), f"{document.name}: {word}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_file_of_the_workspace_that_a_document_names_is_one(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for name in re.findall(r"\.orchestrator/([\w-]+(?:\.\w+)?)", text):
        assert name in WORKSPACE, f"{document.name}: .orchestrator/{name}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_exit_status_that_a_document_names_is_one_of_ours(document: Path) -> None:
    known = {*re.findall(r"^  (\d+) ", EXIT_CODES, re.M)}
    told = re.findall(
        r"\b[Ee]nds? with (?:status )?(\d+)\b|\b[Ee]xit (?:status )?(\d+)\b",
        prose(document.read_text("utf-8")),
    )
    assert {one or other for one, other in told} <= known


@pytest.mark.parametrize("document", sorted(ROOT.glob("*.md")), ids=name_of)
def test_a_document_keeps_to_its_budget_of_tokens(document: Path) -> None:
    assert tokens(document.read_text(encoding="utf-8")) <= budget(document), "see python3 tests/tokens.py"


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
