"""The claude program as it is found and asked, with scripts in its place."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from fakeclaude import HELP, fake_claude
from project import alive, until

from orchestrator import claudeprogram
from orchestrator.edges.claudefiles import Login
from orchestrator.errors import EnvironmentProblem

Environment = dict[str, str]


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """That of a user with a home of their own and nothing else."""
    home = tmp_path / "home"
    home.mkdir()
    return {"HOME": str(home), "PATH": os.environ["PATH"]}


def script(path: Path, *lines: str) -> str:
    """A program of shell lines."""
    path.write_text("\n".join(("#!/bin/sh", *lines, "")))
    path.chmod(0o755)
    return str(path)


def test_the_program_that_is_named_is_the_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, other = fake_claude(tmp_path / "ours"), fake_claude(tmp_path / "claude")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("ORCHESTRATE_CLAUDE", raising=False)
    assert claudeprogram.find(None) == other
    monkeypatch.setenv("ORCHESTRATE_CLAUDE", ours)
    assert claudeprogram.find(None) == ours
    assert claudeprogram.find("claude") == other


def test_the_program_is_also_found_where_its_installers_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/no/such")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ORCHESTRATE_CLAUDE", raising=False)
    place = tmp_path / ".local" / "bin"
    place.mkdir(parents=True)
    installed = fake_claude(place / "claude")
    assert claudeprogram.find(None) == installed


def test_no_program_is_an_error_that_says_what_to_install() -> None:
    with pytest.raises(
        EnvironmentProblem, match=r"^/no/such is not a program; install Claude Code \(npm install"
    ):
        claudeprogram.find("/no/such")


def test_a_program_is_known_by_what_it_says_of_itself(tmp_path: Path, environment: Environment) -> None:
    path = fake_claude(tmp_path / "claude", version="2.1.300")
    program = claudeprogram.look(path, tmp_path, environment)
    assert (program.path, program.version, program.trusted) == (path, (2, 1, 300), False)
    assert "session-id" in program.options


def test_a_trusted_folder_is_known_with_the_program(tmp_path: Path, environment: Environment) -> None:
    path = fake_claude(tmp_path / "claude")
    record = f'{{"projects": {{"{os.path.realpath(tmp_path)}": {{"hasTrustDialogAccepted": true}}}}}}'
    Path(environment["HOME"], ".claude.json").write_text(record)
    assert claudeprogram.look(path, tmp_path, environment).trusted


def test_options_that_only_newer_versions_have_are_named(tmp_path: Path, environment: Environment) -> None:
    newer = claudeprogram.look(fake_claude(tmp_path / "new"), tmp_path, environment)
    assert claudeprogram.lacks(newer) == []
    help_text = HELP.replace("--permission-prompts", "--other-prompts")
    older = claudeprogram.look(fake_claude(tmp_path / "old", help_text=help_text), tmp_path, environment)
    assert claudeprogram.lacks(older) == ["--permission-prompts"]


def test_a_program_that_is_too_old_is_refused(tmp_path: Path, environment: Environment) -> None:
    path = fake_claude(tmp_path / "claude", version="2.1.196")
    with pytest.raises(
        EnvironmentProblem, match=r"claude 2\.1\.196 .* is older than 2\.1\.197.*claude update"
    ):
        claudeprogram.look(path, tmp_path, environment)


def test_another_program_is_refused(tmp_path: Path, environment: Environment) -> None:
    path = script(tmp_path / "claude", "echo hello")
    with pytest.raises(EnvironmentProblem, match="is not Claude Code"):
        claudeprogram.look(path, tmp_path, environment)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("exit 3", r"claude --version` ended with 3; install it again$"),
        ("echo 'no library' >&2; exit 127", r"ended with 127 \(no library\)"),
        ("kill -9 $$", "was killed by signal 9"),
    ],
)
def test_a_program_that_fails_is_refused_with_what_it_said(
    tmp_path: Path, environment: Environment, line: str, told: str
) -> None:
    with pytest.raises(EnvironmentProblem, match=told):
        claudeprogram.look(script(tmp_path / "claude", line), tmp_path, environment)


def test_a_file_that_cannot_be_run_is_refused(tmp_path: Path, environment: Environment) -> None:
    path = tmp_path / "claude"
    path.write_bytes(b"\x7fELF but not really")
    path.chmod(0o755)
    with pytest.raises(
        EnvironmentProblem, match=r"does not run in .* \(Exec format error\); install it again"
    ):
        claudeprogram.look(str(path), tmp_path, environment)


def test_a_silent_program_is_given_up_with_all_it_started(tmp_path: Path, environment: Environment) -> None:
    path = script(tmp_path / "claude", "sleep 600 & echo $! >> child", "wait")
    began = time.monotonic()
    with pytest.raises(EnvironmentProblem, match=r"claude --version` has not ended after 0\.3 s"):
        claudeprogram.ask(path, tmp_path, environment, ("--version",), patience=0.3)
    assert time.monotonic() - began < 10
    child = int((tmp_path / "child").read_text())
    until(lambda: not alive(child), "the end of the child, which was killed")


@pytest.mark.parametrize("line", ["exec yes", "exec yes >&2"])
def test_a_program_that_prints_without_end_is_given_up_before_it_fills_the_memory(
    tmp_path: Path, environment: Environment, line: str
) -> None:
    path = script(tmp_path / "claude", "echo $$ > pid", line)
    with pytest.raises(EnvironmentProblem, match=r"claude --version` prints without end; install it again$"):
        claudeprogram.ask(path, tmp_path, environment, ("--version",), patience=5)
    assert not alive(int((tmp_path / "pid").read_text()))


def test_questions_are_asked_at_the_same_time_with_nothing_to_read(
    tmp_path: Path, environment: Environment
) -> None:
    """Each waits for the other; one after another they would wait for ever."""
    lines = 'touch "asked$1"', f"until test -e asked$2; do sleep 0.01; done; echo {'x' * 100}; cat"
    answers = claudeprogram.ask(
        script(tmp_path / "claude", *lines), tmp_path, environment, ("one", "two"), ("two", "one")
    )
    assert [answer.out for answer in answers] == ["x" * 100 + "\n"] * 2


def test_the_program_is_asked_where_workers_work_without_the_session_around_us(
    tmp_path: Path, environment: Environment
) -> None:
    path = script(tmp_path / "claude", "pwd -P; env")
    (answer,) = claudeprogram.ask(path, tmp_path, {**environment, "CLAUDECODE": "1", "KEPT": "1"}, ())
    assert answer.out.startswith(f"{os.path.realpath(tmp_path)}\n")
    assert "KEPT=1" in answer.out
    assert "CLAUDECODE" not in answer.out


def status(method: str, *, provider: str = "firstParty", logged_in: bool = True, more: str = "") -> str:
    """What `claude auth status` prints."""
    known = f'"loggedIn": {str(logged_in).lower()}, "authMethod": "{method}", "apiProvider": "{provider}"'
    return f"{{{known}{more}}}"


KEY = ', "apiKeySource": "ANTHROPIC_API_KEY"'
CONSOLE = ', "apiKeySource": "/login managed key"'
PLAN = ', "email": "a@example.org", "subscriptionType": "max"'


@pytest.mark.parametrize(
    ("said", "login"),
    [
        (status("none", logged_in=False), Login("none")),
        (status("api_key", more=KEY), Login("api key", "ANTHROPIC_API_KEY")),
        (status("claude.ai", more=KEY), Login("api key", "ANTHROPIC_API_KEY", overrides=True)),
        (status("oauth_token", more=KEY), Login("api key", "ANTHROPIC_API_KEY")),
        (status("claude.ai", more=PLAN), Login("subscription", "/login")),
        (status("claude.ai", more=CONSOLE + PLAN), Login("subscription", "/login")),
        (status("claude.ai", more=CONSOLE), Login("api key", "/login")),
        (status("api_key", more=CONSOLE), Login("api key", "/login")),
        (status("api_key_helper"), Login("api key", "apiKeyHelper")),
        (status("third_party", provider="bedrock", more=KEY), Login("cloud", "bedrock")),
        (status("oauth_token"), Login("unknown")),
        (status("something new"), Login("unknown")),
    ],
)
def test_what_the_program_says_of_its_login(said: str, login: Login) -> None:
    assert claudeprogram.told(said) == login


@pytest.mark.parametrize("said", ["", "Usage: claude", "[]", "{}", '{"loggedIn": "yes"}', "[" * 100_000])
def test_what_is_no_answer_says_nothing_of_the_login(said: str) -> None:
    assert claudeprogram.told(said) is None


@pytest.mark.parametrize(
    ("files", "program", "both"),
    [
        (Login("none"), None, Login("none")),
        (Login("unknown"), Login("subscription", "/login"), Login("subscription", "/login")),
        (Login("subscription", "/login"), Login("none"), Login("none")),
        # The settings of a trusted project give it; the program does not look there when asked.
        (Login("api key", "ANTHROPIC_API_KEY"), Login("none"), Login("api key", "ANTHROPIC_API_KEY")),
        (
            Login("api key", "ANTHROPIC_API_KEY"),
            Login("api key", "ANTHROPIC_API_KEY", overrides=True),
            Login("api key", "ANTHROPIC_API_KEY", overrides=True),
        ),
        (
            Login("gateway", "ANTHROPIC_AUTH_TOKEN"),
            Login("unknown"),
            Login("gateway", "ANTHROPIC_AUTH_TOKEN"),
        ),
        (Login("none"), Login("cloud", "vertex"), Login("cloud", "vertex")),
    ],
)
def test_files_and_program_together_tell_who_pays(files: Login, program: Login | None, both: Login) -> None:
    assert claudeprogram.settled(files, program) == both


def test_who_pays_is_asked_of_the_program_where_files_do_not_tell(
    tmp_path: Path, environment: Environment
) -> None:
    path = fake_claude(tmp_path / "claude", status=status("claude.ai", more=PLAN))
    assert claudeprogram.login(path, tmp_path, environment) == Login("subscription", "/login")
