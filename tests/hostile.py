"""A claude program whose every word a test chooses, and a look at all that is written or shown of it."""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from project import Project

HOSTILE = """
import json, os, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from fakeclaude import ABOUT
if len(sys.argv) == 2 and sys.argv[1] in ABOUT:
    print(ABOUT[sys.argv[1]])
elif "auth" in sys.argv:
    print('{{"loggedIn": true}}')
else:
    sys.stdin.read()
    key = os.environ["ORCHESTRATE_ATTEMPT"].rpartition("/")[2]
    folder = Path({folder!r})
    told = json.loads((folder / f"{{key}}.json").read_text())
    options = dict(word[2:].partition("=")[::2] for word in sys.argv[1:] if word.startswith("--"))
    session = options.get("resume") or options["session-id"]
    (folder / f"{{key}}.seen").write_text(json.dumps([sys.argv[1:], dict(os.environ)]))
    sys.stderr.write(told["stderr"])
    for line in told["stdout"]:
        print(json.dumps(line).replace("SESSION", session) if isinstance(line, dict) else line, flush=True)
    if told["waits"]:
        import time
        while not Path("go").exists():
            time.sleep(0.02)
    sys.exit(told["exit"])
"""

KEYS = {
    "ANTHROPIC_API_KEY": "sk-" + "ant-api03-planted0123456789abcdefXYZ",
    "AWS_ACCESS_KEY_ID": "AKIA" + "PLANTED012345678",
    "AWS_SECRET_ACCESS_KEY": "wJalrPlanted/K7MDENG+bPxRfiCYplantedKEY1",
    "GITHUB_TOKEN": "ghp_" + "planted0123456789ABCDEFGHIJabcdefghij",
    "DEPLOY_PASSWORD": 'pl4nted"with\\back/slash&more',
}

ID = "AWS_ACCESS_KEY_ID"
"""Names a key and is none: it is found by its form, not in base64."""


class Hostile:
    """A claude program whose every word a test chooses."""

    def __init__(self, project: Project, folder: Path) -> None:
        self.project, self.folder = project, folder
        folder.mkdir()
        program = folder / "claude"
        source = HOSTILE.format(tests=str(Path(__file__).resolve().parent), folder=str(folder))
        program.write_text(f"#!{sys.executable}\n{source}")
        program.chmod(0o755)
        project.environment |= {"ORCHESTRATE_CLAUDE": str(program), "HOME": str(folder), **KEYS}

    def says(
        self,
        key: str,
        text: str,
        *lines: Any,
        stderr: str = "",
        code: int = 0,
        waits: bool = False,
        **more: Any,
    ) -> None:
        """What the worker of an attempt writes; `lines` come before its result."""
        begin = {"type": "system", "subtype": "init", "session_id": "SESSION"}
        result = {
            "type": "result", "subtype": "success", "is_error": False, "num_turns": 2, "total_cost_usd": 0.01,
            "result": text, "session_id": "SESSION", **more,
        }  # fmt: skip
        told = {"stdout": [begin, *lines, result], "stderr": stderr, "exit": code, "waits": waits}
        (self.folder / f"{key}.json").write_text(json.dumps(told))

    def seen(self, key: str) -> tuple[list[str], dict[str, str]]:
        """The arguments and the environment of the worker of an attempt."""
        arguments, environment = json.loads((self.folder / f"{key}.seen").read_text())
        return arguments, environment


def ways(secret: str) -> list[str]:
    """A secret as it is, in JSON, and in base64."""
    return [secret, json.dumps(secret)[1:-1], base64.b64encode(secret.encode()).decode()]


def everything(leaky: str = "") -> str:
    """A text with each secret in each way."""
    return leaky + "\n".join(f"{name}: {' '.join(ways(value))}" for name, value in KEYS.items())


def spoken(text: str) -> dict[str, Any]:
    return {"type": "assistant", "message": {"content": [{"type": "text", "text": text}]}}


def used(name: str, **given: str) -> dict[str, Any]:
    call = {"type": "tool_use", "id": "t", "name": name, "input": given}
    return {"type": "assistant", "message": {"content": [call]}}


RAW = re.compile(r"attempts/[^/]+/(?:stdout|stderr)$|verify-\d+\.out$|/plan\.yaml$")


def kept(project: Project) -> Iterator[tuple[str, str]]:
    """All files of the workspace that are not the worker's own, with their text."""
    for path in sorted(project.workspace.rglob("*")):
        if path.is_file() and not RAW.search(str(path)):
            yield str(path.relative_to(project.workspace)), path.read_text("utf-8", "replace")


def shown(project: Project, *tasks: str) -> Iterator[tuple[str, str]]:
    """What every command that shows something prints."""
    words: list[tuple[str, ...]] = [
        ("status",), ("status", "--json"), ("log",), ("log", "--json"), ("log", "-f"), ("wait",), ("wait", "--json"),
        ("run", "plan.yaml"), ("aggregate",),
    ]  # fmt: skip
    words += [("log", task, *more) for task in tasks for more in ((), ("-f",))]
    for command in words:
        done = project.do(*command)
        yield " ".join(command), done.out + done.err


def leaks(texts: Iterator[tuple[str, str]]) -> list[tuple[str, str, str]]:
    """Where a secret stands: in what, whose, in which way."""
    return [
        (where, name, way)
        for where, text in texts
        for name, value in KEYS.items()
        for way in ways(value)
        if way in text and not (name == ID and way != value)
    ]
