"""The command `orchestrate` in a folder of the PATH: a few lines of shell that lead to the installed skill.

A file there that does not consist of exactly these lines is somebody else's, or was changed: it is left alone.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

from orchestrator.edges.workspace import write_whole

NAME = "orchestrate"
FORM = """\
#!/bin/sh
# Written by `orchestrate install`, removed by `orchestrate uninstall`.
python={python}
test -x "$python" || python=python3
exec "$python" {script} "$@"
"""
OF_A_PACKAGE = "from orchestrator.__main__ import main"
"""A line of the script that pip and uv make for the console script."""

READ = re.compile(r"^python=(?P<python>.+)\n.*\nexec \"\$python\" (?P<script>.+) \"\$@\"$", re.M)


def interpreter() -> str:
    """The Python to start with: not that of an environment, which may be removed."""
    major, minor = sys.version_info[:2]
    found = Path(sys.base_prefix) / "bin" / f"python{major}.{minor}"
    return str(found) if os.access(found, os.X_OK) else sys.executable


def text(python: str, script: Path) -> str:
    """What the file says."""
    return FORM.format(python=shlex.quote(python), script=shlex.quote(str(script)))


def leads_to(path: Path) -> Path | None:
    """The script that the command at `path` starts; nothing where it is not as `install` writes it."""
    try:
        if path.is_symlink():
            return None
        told = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    found = READ.search(told)
    if found is None:
        return None
    try:
        (python,), (script,) = shlex.split(found["python"]), shlex.split(found["script"])
    except ValueError:
        return None
    return Path(script) if text(python, Path(script)) == told else None


def is_of_a_package(path: Path) -> bool:
    """Whether pip or uv put it there for this program."""
    try:
        return OF_A_PACKAGE in path.read_bytes()[:4096].decode("utf-8", "replace")
    except OSError:
        return False


def is_ours(path: Path) -> bool:
    """Whether the command at `path` is this program, whoever put it there."""
    return leads_to(path) is not None or is_of_a_package(path)


def first(search: str) -> Path | None:
    """The command of our name that a shell starts; `search` is the PATH."""
    found = shutil.which(NAME, path=search)
    return Path(found) if found else None


def spelling(script: Path, search: str) -> str:
    """How a user types the program in `script`: by name where the shell finds the command that leads to it."""
    found = first(search)
    there = leads_to(found) if found else None
    if there and there.exists() and there.samefile(script):
        return NAME
    return f"python3 {shlex.quote(str(script))}"


def write(path: Path, script: Path) -> None:
    """Put the command there.

    Raises:
        OSError: that cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text(interpreter(), script))
    path.chmod(0o755)
