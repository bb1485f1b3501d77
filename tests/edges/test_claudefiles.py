"""Files of Claude Code, as the program itself reads them; each case was observed with 2.1.197 and 2.1.329."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from orchestrator.edges import claudefiles
from orchestrator.edges.claudefiles import Login


class Machine:
    """A home folder and a project folder, and how a test writes into them."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(os.path.realpath(folder))
        self.home = self.folder / "home"
        self.config = self.home / ".claude"
        self.project = self.folder / "code" / "project"
        self.environment = {"HOME": str(self.home)}
        for place in (self.config, self.project):
            place.mkdir(parents=True)

    def trust(self, *folders: Path | str, file: str = ".claude.json", accepted: object = True) -> None:
        records = {str(folder): {"hasTrustDialogAccepted": accepted} for folder in folders}
        self.write(file, {"projects": records})

    def write(self, file: str, content: Any) -> None:
        """A file below the home folder."""
        path = self.home / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")

    def project_settings(self, **settings: Any) -> None:
        (self.project / ".claude").mkdir()
        (self.project / ".claude/settings.json").write_text(json.dumps(settings))

    def trusts(self, folder: Path | None = None, **environment: str) -> bool:
        return claudefiles.trusted(folder or self.project, {**self.environment, **environment})

    def login(self, platform: str = "linux", **environment: str) -> Login:
        return claudefiles.login({**self.environment, **environment}, self.project, platform)

    def repository(self, *worktree: str) -> Path:
        """A git repository with one commit; `worktree` is a branch and the folder to check it out to."""
        root = self.folder / "repository"
        self.git("init", "--quiet", str(root), cwd=self.folder)
        self.git("commit", "--quiet", "--allow-empty", "--message=first", cwd=root)
        if worktree:
            self.git("worktree", "add", "--quiet", "-b", *worktree, cwd=root)
        return root

    def git(self, *words: str, cwd: Path) -> None:
        environment = {
            **self.environment, "PATH": os.environ["PATH"], "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org",
            "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.org",
        }  # fmt: skip
        subprocess.run(["git", *words], cwd=cwd, env=environment, check=True)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_folder_without_a_record_is_not_trusted(machine: Machine) -> None:
    assert not machine.trusts()
    machine.write(".claude.json", {"projects": {str(machine.project): {"allowedTools": []}}})
    assert not machine.trusts()


def test_a_folder_with_a_record_is_trusted(machine: Machine) -> None:
    machine.trust(machine.project)
    assert machine.trusts()


def test_trust_in_a_folder_above_does_not_count(machine: Machine) -> None:
    machine.trust(machine.project.parent, "/", f"{machine.project}/")
    assert not machine.trusts()


@pytest.mark.parametrize("accepted", ["true", 1, None, [True]])
def test_only_true_is_acceptance(machine: Machine, accepted: object) -> None:
    machine.trust(machine.project, accepted=accepted)
    assert not machine.trusts()


def test_links_are_resolved_before_the_record_is_looked_up(machine: Machine) -> None:
    link = machine.folder / "link"
    link.symlink_to(machine.project)
    machine.trust(machine.project)
    assert machine.trusts(link)
    machine.trust(link)
    assert not machine.trusts(link)


def test_trust_in_a_repository_is_recorded_at_its_root(machine: Machine) -> None:
    root = machine.repository()
    inside = root / "a" / "b"
    inside.mkdir(parents=True)
    machine.trust(root)
    assert machine.trusts(root)
    assert machine.trusts(inside)
    machine.trust(inside, root.parent)
    assert not machine.trusts(inside)


def test_trust_in_a_linked_worktree_is_recorded_at_the_main_one(machine: Machine) -> None:
    linked = machine.folder / "linked"
    root = machine.repository("other", str(linked))
    machine.trust(root)
    assert machine.trusts(linked)
    machine.trust(linked)
    assert not machine.trusts(linked)


def test_trust_in_a_worktree_of_a_bare_repository_is_recorded_at_that(machine: Machine) -> None:
    bare, linked = machine.folder / "bare.git", machine.folder / "linked"
    machine.git("clone", "--quiet", "--bare", str(machine.repository()), str(bare), cwd=machine.folder)
    machine.git("worktree", "add", "--quiet", "-b", "other", str(linked), cwd=bare)
    assert claudefiles.trust_folder(linked) == str(bare)


def test_a_folder_that_only_points_at_a_trusted_repository_is_not_trusted(machine: Machine) -> None:
    linked = machine.folder / "linked"
    machine.trust(machine.repository("other", str(linked)))
    (machine.project / ".git").write_text((linked / ".git").read_text())
    assert not machine.trusts()


@pytest.mark.parametrize(
    "pointer", ["", "garbage", "gitdir:", "gitdir: ../nowhere", "gitdir: \0", "\x00" * 99]
)
def test_a_pointer_that_leads_nowhere_leaves_the_folder_on_its_own(machine: Machine, pointer: str) -> None:
    (machine.project / ".git").write_text(pointer)
    machine.trust(machine.project)
    assert machine.trusts()


def test_a_submodule_is_trusted_on_its_own(machine: Machine) -> None:
    root = machine.repository()
    module = root / "module"
    module.mkdir()
    (root / ".git/modules/module").mkdir(parents=True)
    (module / ".git").write_text("gitdir: ../.git/modules/module\n")
    machine.trust(root)
    assert not machine.trusts(module)
    machine.trust(module)
    assert machine.trusts(module)


def test_the_configuration_folder_has_records_of_its_own(machine: Machine) -> None:
    machine.trust(machine.project)
    other = str(machine.home / "other")
    assert not machine.trusts(CLAUDE_CONFIG_DIR=other)
    machine.trust(machine.project, file="other/.claude.json")
    assert machine.trusts(CLAUDE_CONFIG_DIR=other)
    assert machine.trusts(CLAUDE_CONFIG_DIR=f"{other}/")


def test_an_empty_name_of_the_configuration_folder_is_none(machine: Machine) -> None:
    machine.trust(machine.project)
    assert machine.trusts(CLAUDE_CONFIG_DIR="")


def test_a_relative_configuration_folder_begins_where_workers_work(machine: Machine) -> None:
    machine.trust(machine.project, file="../code/project/own/.claude.json")
    assert machine.trusts(CLAUDE_CONFIG_DIR="own")
    assert not machine.trusts(CLAUDE_CONFIG_DIR="~/own")


def test_the_record_is_not_in_the_folder_that_is_used_without_a_name(machine: Machine) -> None:
    machine.trust(machine.project, file=".claude/.claude.json")
    assert not machine.trusts()


def test_the_file_of_old_versions_wins_where_it_is_still_there(machine: Machine) -> None:
    machine.trust(machine.project, file=".claude/.config.json")
    assert machine.trusts()
    machine.trust(machine.project)
    machine.write(".claude/.config.json", "{}")
    assert not machine.trusts()


def test_trust_that_the_program_is_told_to_ignore_does_not_count(machine: Machine) -> None:
    machine.trust(machine.project)
    assert not machine.trusts(CLAUDE_CODE_IGNORE_PERSISTED_TRUST="1")
    assert machine.trusts(CLAUDE_CODE_IGNORE_PERSISTED_TRUST="0")


@pytest.mark.parametrize(
    "content",
    ["", "{", "null", "[]", '{"projects": []}', '{"projects": {"/": 1}}', "[" * 100_000, "\0\ufffd"],
)
def test_garbage_grants_nothing(machine: Machine, content: str) -> None:
    machine.write(".claude.json", content)
    assert not machine.trusts()


def test_what_is_no_ordinary_file_grants_nothing(machine: Machine) -> None:
    os.mkfifo(machine.home / ".claude.json")
    assert not machine.trusts()
    (machine.home / ".claude.json").unlink()
    (machine.home / ".claude.json").mkdir()
    assert not machine.trusts()


def test_a_file_of_more_than_the_limit_is_not_read(machine: Machine) -> None:
    machine.trust(machine.project)
    os.truncate(machine.home / ".claude.json", claudefiles.MOST_STATE + 1)
    assert not machine.trusts()
    assert not claudefiles.damage(machine.project, machine.environment)


def test_a_byte_order_mark_broken_letters_and_a_linked_file_are_no_hindrance(machine: Machine) -> None:
    machine.trust(machine.project)
    file = machine.home / ".claude.json"
    text = file.read_text()[:-1] + ', "history": "\\ud83d'
    file.rename(machine.folder / "elsewhere")
    (machine.folder / "elsewhere").write_bytes(b"\xef\xbb\xbf" + text.encode() + b'\xff"}')
    file.symlink_to(machine.folder / "elsewhere")
    assert machine.trusts()


def test_a_broken_file_is_told_with_what_to_do(machine: Machine) -> None:
    assert not claudefiles.damage(machine.project, machine.environment)
    machine.write(".claude.json", '{"projects":')
    told = claudefiles.damage(machine.project, machine.environment)
    assert told.startswith(f"{machine.home}/.claude.json is not JSON")
    assert "put it aside" in told


def test_without_any_login_nobody_pays(machine: Machine) -> None:
    assert machine.login() == Login("none")
    assert machine.login("darwin") == Login("unknown")


def test_a_stored_login_counts_against_the_subscription(machine: Machine) -> None:
    machine.write(".claude/.credentials.json", {"claudeAiOauth": {}})
    assert machine.login() == Login("subscription", "/login")
    assert machine.login().sentence == "workers count against your subscription (/login)"


def test_an_empty_store_is_no_login(machine: Machine) -> None:
    machine.write(".claude/.credentials.json", "{}\n")
    assert machine.login() == Login("none")


def test_a_stored_login_is_not_read(machine: Machine) -> None:
    machine.write(".claude/.credentials.json", "no JSON at all")
    (machine.config / ".credentials.json").chmod(0)
    assert machine.login() == Login("subscription", "/login")


def test_an_api_key_comes_before_a_subscription_and_says_so(machine: Machine) -> None:
    assert machine.login(ANTHROPIC_API_KEY="k") == Login("api key", "ANTHROPIC_API_KEY")
    assert machine.login(ANTHROPIC_API_KEY="k", CLAUDE_CODE_OAUTH_TOKEN="t").overrides
    machine.write(".claude/.credentials.json", {"claudeAiOauth": {}})
    login = machine.login(ANTHROPIC_API_KEY="k")
    assert login.sentence == "workers bill the API key from ANTHROPIC_API_KEY, not your subscription"
    assert machine.login(ANTHROPIC_API_KEY="") == Login("subscription", "/login")


def test_a_token_of_a_subscription_counts_against_it(machine: Machine) -> None:
    assert machine.login(CLAUDE_CODE_OAUTH_TOKEN="t") == Login("subscription", "CLAUDE_CODE_OAUTH_TOKEN")


def test_a_bearer_token_is_for_a_gateway(machine: Machine) -> None:
    machine.write(".claude/.credentials.json", {"claudeAiOauth": {}})
    assert machine.login(ANTHROPIC_AUTH_TOKEN="t") == Login("gateway", "ANTHROPIC_AUTH_TOKEN")


def test_the_key_helper_of_the_user_comes_before_a_subscription(machine: Machine) -> None:
    machine.write(".claude/settings.json", {"apiKeyHelper": "echo key"})
    assert machine.login(CLAUDE_CODE_OAUTH_TOKEN="t") == Login("api key", "apiKeyHelper", overrides=True)
    assert machine.login(ANTHROPIC_API_KEY="k").source == "ANTHROPIC_API_KEY"


def test_variables_in_the_settings_come_before_those_of_the_environment(machine: Machine) -> None:
    machine.write(".claude/settings.json", {"env": {"ANTHROPIC_API_KEY": ""}})
    assert machine.login(ANTHROPIC_API_KEY="k") == Login("none")
    machine.write(".claude/settings.json", {"env": {"CLAUDE_CODE_USE_BEDROCK": 1}})
    assert machine.login(ANTHROPIC_API_KEY="k") == Login("cloud", "CLAUDE_CODE_USE_BEDROCK")
    assert machine.login(CLAUDE_CONFIG_DIR=str(machine.folder)) == Login("none")


@pytest.mark.parametrize("name", claudefiles.CLOUDS)
def test_a_cloud_provider_comes_before_every_key(machine: Machine, name: str) -> None:
    keys = {"ANTHROPIC_API_KEY": "k", "CLAUDE_CODE_OAUTH_TOKEN": "t"}
    assert machine.login(**keys, **{name: "1"}) == Login("cloud", name)
    assert (
        machine.login(**keys, **{name: "Yes"}).sentence
        == f"workers are billed by your cloud provider ({name})"
    )
    assert machine.login(**keys, **{name: "0"}).payer == "api key"
    assert machine.login(**keys, **{name: "enabled"}).payer == "api key"


def test_settings_of_a_project_count_where_it_is_trusted(machine: Machine) -> None:
    machine.project_settings(env={"ANTHROPIC_API_KEY": "k"})
    assert machine.login() == Login("none")
    machine.trust(machine.project)
    assert machine.login() == Login("api key", "ANTHROPIC_API_KEY")
    assert claudefiles.login(machine.environment, platform="linux") == Login("none")


def test_a_console_login_bills_its_key_unless_there_is_a_subscription(machine: Machine) -> None:
    machine.write(".claude.json", {"primaryApiKey": "k"})
    assert machine.login() == Login("api key", "/login")
    machine.write(".claude/.credentials.json", {"claudeAiOauth": {}})
    assert machine.login() == Login("subscription", "/login")


def test_broken_settings_are_none(machine: Machine) -> None:
    machine.write(".claude/settings.json", '{"env":')
    assert machine.login(ANTHROPIC_API_KEY="k").payer == "api key"
    machine.write(".claude/settings.json", {"env": ["ANTHROPIC_API_KEY"]})
    assert machine.login() == Login("none")


def test_no_secret_is_in_what_is_said(machine: Machine) -> None:
    machine.write(
        ".claude/settings.json", {"env": {"ANTHROPIC_API_KEY": "planted-1"}, "apiKeyHelper": "planted-2"}
    )
    machine.write(".claude/.credentials.json", {"claudeAiOauth": "planted-3"})
    login = machine.login(CLAUDE_CODE_OAUTH_TOKEN="planted-4")
    assert "planted" not in repr(login) + login.sentence
