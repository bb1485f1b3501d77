"""What Claude Code's own files say: whether the user trusts a folder, and who pays for workers.

Files are only looked at. Of a stored login it is asked whether there is one, never what it is. The rules here were
observed with versions 2.1.197 and 2.1.329 of the program, which agree in all of them.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

MOST_STATE = 64 << 20
"""Bytes: older versions keep the history of every project in the file that records trust."""

YES = ("1", "true", "yes", "on")
"""What switches a variable on; any other value is as good as none."""

CLOUDS = (
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
    "CLAUDE_CODE_USE_FOUNDRY",
    "CLAUDE_CODE_USE_MANTLE",
    "CLAUDE_CODE_USE_ANTHROPIC_AWS",
    "CLAUDE_CODE_USE_ANTHROPIC_GOOGLE_CLOUD",
)

Payer = Literal["api key", "subscription", "gateway", "cloud", "none", "unknown"]


class Login(Struct, frozen=True):
    """Who pays for workers, and what decides that: a variable, a setting, or `/login`.

    `overrides`: an API key is used although there is a subscription login too.
    """

    payer: Payer
    source: str = ""
    overrides: bool = False

    @property
    def sentence(self) -> str:
        """For `plan` and `doctor`."""
        return _SENTENCES[self.payer].format(self.source) + (
            ", not your subscription" if self.overrides else ""
        )


_SENTENCES: dict[Payer, str] = {
    "api key": "workers bill the API key from {}",
    "subscription": "workers count against your subscription ({})",
    "gateway": "workers are billed by the gateway that {} belongs to",
    "cloud": "workers are billed by your cloud provider ({})",
    "none": "there is no login for workers",
    "unknown": "workers use Claude Code's own login, if there is one (its files do not tell)",
}


def trusted(project: Path, environment: Mapping[str, str]) -> bool:
    """Whether the user has trusted `project` in Claude Code, for workers with this environment.

    Only a record of the folder itself counts (`trust_folder`), none of a folder above it. What cannot be read
    grants nothing.
    """
    if _on(environment, "CLAUDE_CODE_IGNORE_PERSISTED_TRUST"):
        return False
    projects = _object(state_file(project, environment), MOST_STATE).get("projects")
    record = projects.get(trust_folder(project)) if isinstance(projects, dict) else None
    return isinstance(record, dict) and record.get("hasTrustDialogAccepted") is True


def trust_folder(project: Path) -> str:
    """The folder under which trust in `project` is recorded, links resolved.

    That is the root of its git repository, for a linked worktree that of the main one, else the folder itself.
    """
    here = Path(os.path.realpath(project))
    for folder in (here, *here.parents):
        if os.path.isdir(folder / ".git"):
            return str(folder)
        if os.path.isfile(folder / ".git"):
            return _main_worktree(folder)
    return str(here)


def _main_worktree(folder: Path) -> str:
    """The main worktree of a linked one; the folder itself, if it is none (a submodule, or a forged pointer)."""
    marker, _, pointer = _line(folder / ".git").partition(":")
    own = Path(os.path.normpath(folder / pointer.strip()))
    common = Path(os.path.normpath(own / _line(own / "commondir")))
    back = _line(own / "gitdir")
    if (
        marker != "gitdir"
        or own.parent != common / "worktrees"
        or not back
        or os.path.realpath(back) != str(folder / ".git")
    ):
        return str(folder)
    return os.path.realpath(common.parent if common.name == ".git" else common)


def state_file(project: Path, environment: Mapping[str, str]) -> Path:
    """The file in which Claude Code records trust; it need not exist.

    `.claude.json` in `CLAUDE_CONFIG_DIR` if that is set, else in the home folder; but `.config.json` in the
    configuration folder wins where it is still there.
    """
    old = config_folder(project, environment) / ".config.json"
    if os.path.exists(old):
        return old
    named = environment.get("CLAUDE_CONFIG_DIR")
    return (project / named if named else _home(environment)) / ".claude.json"


def config_folder(project: Path, environment: Mapping[str, str]) -> Path:
    """Where Claude Code keeps its settings and logins; a relative `CLAUDE_CONFIG_DIR` begins at `project`."""
    named = environment.get("CLAUDE_CONFIG_DIR")
    return project / named if named else _home(environment) / ".claude"


def _home(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("HOME") or os.path.expanduser("~"))


def damage(project: Path, environment: Mapping[str, str]) -> str:
    """What is wrong with the file that the program refuses to start without reading; else nothing."""
    path = state_file(project, environment)
    text = _text(path, MOST_STATE)
    try:
        json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        return f"{path} is not JSON ({error}): claude does not start. Mend it, or put it aside"
    return ""


def login(environment: Mapping[str, str], project: Path | None = None, platform: str = sys.platform) -> Login:
    """Who pays for workers, by the order in which the program itself chooses; secrets are not kept.

    Settings of the project count only where one is named and trusted: workers elsewhere do not load them. `none`
    is certain only as far as files tell; on a Mac logins are in the keychain, which is not asked.
    """
    here = project or Path.cwd()
    folder = config_folder(here, environment)
    places = [folder / "settings.json"]
    if project and trusted(project, environment):
        places += [project / ".claude" / name for name in ("settings.json", "settings.local.json")]
    settings = [_object(place) for place in places]
    variables = dict(environment)
    for setting in settings:
        own = setting.get("env")
        variables |= {name: str(value) for name, value in own.items()} if isinstance(own, dict) else {}
    found = _given(variables, any(setting.get("apiKeyHelper") for setting in settings))
    stored = _holds_something(folder / ".credentials.json")
    if found and found.payer == "api key":
        return replace(found, overrides=stored or bool(variables.get("CLAUDE_CODE_OAUTH_TOKEN")))
    if found:
        return found
    if stored:
        return Login("subscription", "/login")
    if _object(state_file(here, environment), MOST_STATE).get("primaryApiKey"):
        return Login("api key", "/login")
    return Login("unknown" if platform == "darwin" else "none")


def _given(variables: Mapping[str, str], helper: bool) -> Login | None:
    """What variables and settings decide; they come before any login that was stored."""
    if cloud := next((name for name in CLOUDS if _on(variables, name)), ""):
        return Login("cloud", cloud)
    if variables.get("ANTHROPIC_API_KEY"):
        return Login("api key", "ANTHROPIC_API_KEY")
    if variables.get("ANTHROPIC_AUTH_TOKEN"):
        return Login("gateway", "ANTHROPIC_AUTH_TOKEN")
    if helper:
        return Login("api key", "apiKeyHelper")
    if variables.get("CLAUDE_CODE_OAUTH_TOKEN"):
        return Login("subscription", "CLAUDE_CODE_OAUTH_TOKEN")
    return None


def _on(variables: Mapping[str, str], name: str) -> bool:
    return variables.get(name, "").strip().lower() in YES


def _holds_something(path: Path) -> bool:
    """Whether a file has more in it than an empty object; it is not read."""
    try:
        return path.stat().st_size > len("{}\n")
    except OSError:
        return False


def _object(path: Path, most: int = 1 << 20) -> dict[str, Any]:
    """A file's JSON object; an empty one where it has none, or more than `most` bytes."""
    try:
        found = json.loads(_text(path, most))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _line(path: Path) -> str:
    return _text(path, 1 << 14).strip()


def _text(path: Path, most: int) -> str:
    """The text of an ordinary file of at most `most` bytes, less its byte order mark; else nothing."""
    try:
        known = os.stat(path)
        if not stat.S_ISREG(known.st_mode) or known.st_size > most:
            return ""
        with open(path, "rb") as file:
            return file.read(most).decode("utf-8-sig", "replace")
    except (OSError, ValueError):
        return ""
