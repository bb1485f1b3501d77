"""The skill as the real program sees it: installed, as a plugin, and what the printed rule allows."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_answers import Answer, text, tool
from api_requests import Request
from installation import User
from project import Done
from realclaude import MakeReal, RealProject, lines

from orchestrator import skillfiles
from orchestrator.skillfiles import NAME

ROOT = Path(__file__).resolve().parent.parent.parent
LISTED = f"- {NAME}"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A copy of the repository, as far as a marketplace needs it, under another name than the skill's."""
    folder = tmp_path / "repository"
    skillfiles.copy(skillfiles.source().files, folder)
    return folder


def said(request: Request) -> Answer:
    """An answer that ends the session."""
    return text("ok")


def claude(project: RealProject, *words: str | Path) -> Done:
    """A command of the program that asks no model."""
    done = subprocess.run(
        [str(project.claude), *map(str, words)], cwd=project.folder, env=project.environment,
        stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", timeout=120, check=False,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)


def skills(done: Done) -> Iterator[str]:
    """Those of ours that a session begins with."""
    begun = next(line for line in lines(done.out) if line.get("subtype") == "init")
    return (name for name in begun["skills"] if NAME in name)


def installed(project: RealProject, tmp_path: Path) -> User:
    """The skill, installed into the configuration folder of `project` by our own command."""
    user = User(
        tmp_path / "user",
        ORCHESTRATE_NO_SETUP="1",
        CLAUDE_CONFIG_DIR=project.environment["CLAUDE_CONFIG_DIR"],
    )
    assert user.orchestrate("install").status == 0
    return user


@pytest.mark.oldest
def test_an_installed_skill_is_listed_once_and_its_name_loads_it(real: MakeReal, tmp_path: Path) -> None:
    project = real(said)
    installed(project, tmp_path)

    done = project.ask(prompt=f"/{NAME} hello")

    assert list(skills(done)) == [NAME]
    assert "Base directory for this skill" in project.api.requests[-1].text
    assert project.api.requests[-1].text.count(LISTED) == 1


@pytest.mark.oldest
def test_the_plugin_and_its_marketplace_are_valid(real: MakeReal) -> None:
    done = claude(real(said), "plugin", "validate", "--strict", ROOT)

    assert done.status == 0, done.out + done.err


@pytest.mark.oldest
def test_the_plugin_is_installed_from_a_folder_and_its_skill_is_listed(
    real: MakeReal, repository: Path
) -> None:
    project = real(said)

    added = claude(project, "plugin", "marketplace", "add", repository)
    put = claude(project, "plugin", "install", f"{NAME}@{NAME}")
    done = project.ask()

    assert (added.status, put.status) == (0, 0), added.err + put.err + added.out + put.out
    assert list(skills(done)) == [f"{NAME}:{NAME}"]
    assert f"{LISTED}:{NAME}" in project.api.requests[0].text or LISTED in project.api.requests[0].text


@pytest.mark.oldest
@pytest.mark.parametrize("allowed", [True, False])
def test_the_printed_rule_spares_the_question(real: MakeReal, tmp_path: Path, allowed: bool) -> None:
    def leads(request: Request) -> Answer:
        return tool("Bash", command="orchestrate --version") if not request.turn else text("ok")

    project = real(leads)
    user = installed(project, tmp_path)
    project.environment["PATH"] = f"{user.commands}:{project.environment['PATH']}"
    *_, where, rule = user.orchestrate("install").out.splitlines()
    if allowed:
        settings = Path(where.rpartition(" in ")[2].rstrip(":"))
        settings.write_text(json.dumps({"permissions": {"allow": [json.loads(rule)]}}))

    done = project.ask()

    denials = lines(done.out)[-1]["permission_denials"]
    assert ("orchestrate 0.1.0" in project.api.requests[-1].text) == allowed
    assert bool(denials) != allowed


@pytest.mark.oldest
def test_the_model_may_load_the_skill_without_a_question(real: MakeReal, tmp_path: Path) -> None:
    def leads(request: Request) -> Answer:
        return tool("Skill", skill=NAME) if not request.turn else text("ok")

    project = real(leads)
    installed(project, tmp_path)

    done = project.ask()

    assert lines(done.out)[-1]["permission_denials"] == []
    assert "Base directory for this skill" in project.api.requests[-1].text


@pytest.mark.oldest
def test_with_allowed_tools_it_would_be_denied(real: MakeReal, tmp_path: Path) -> None:
    """Why SKILL.md names none."""

    def leads(request: Request) -> Answer:
        return tool("Skill", skill=NAME) if not request.turn else text("ok")

    project = real(leads)
    skill = Path(project.environment["CLAUDE_CONFIG_DIR"]) / "skills" / NAME
    skill.mkdir(parents=True)
    page = (ROOT / "SKILL.md").read_text(encoding="utf-8")
    assert "allowed-tools" not in page
    (skill / "SKILL.md").write_text(
        page.replace("license: MIT", "license: MIT\nallowed-tools: Bash(orchestrate *)", 1)
    )

    done = project.ask()

    assert [denied["tool_name"] for denied in lines(done.out)[-1]["permission_denials"]] == ["Skill"]
