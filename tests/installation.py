"""Users with a home of their own, in which the skill is installed for real, and copies of the skill to install from."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from project import Done
from warmth import Command, can_begin

from orchestrator import bootstrap, pathcommand, skillfiles
from orchestrator.environment import STATE_FILE, Environment, fingerprint
from orchestrator.skillfiles import ENTRY, NAME

ROOT = Path(__file__).resolve().parent.parent
CHANGED, ADDED, GONE = "workflow.md", "notes/mine.md", "examples.md"
PLAN = """\
request: Say hello
tasks:
  - {id: T-01, cli: shell, run: echo hello}
"""


class User:
    """A home folder, a folder to stand in, and an environment with nothing else in it."""

    def __init__(self, folder: Path, *programs: Path, **more: str) -> None:
        self.home, self.here = folder / "home", folder / "elsewhere"
        self.skill = self.home / ".claude" / "skills" / NAME
        self.commands = self.home / ".local" / "bin"
        self.command = self.commands / "orchestrate"
        for made in (self.home, self.here):
            made.mkdir(parents=True)
        path = [*map(str, programs), str(self.commands), os.defpath]
        self.variables = {"HOME": str(self.home), "PATH": os.pathsep.join(path), "LANG": "C.UTF-8", **more}

    def start(self, *words: str | Path) -> subprocess.Popen[str]:
        """Begin a command from the folder elsewhere."""
        return subprocess.Popen(
            list(map(str, words)), cwd=self.here, env=self.variables, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
        )  # fmt: skip

    def type(self, *words: str | Path) -> Done:
        """A command from the folder elsewhere, to its end."""
        return _ended(self.start(*words))

    def orchestrate(self, *words: str, root: Path = ROOT) -> Done:
        """A command of the program in `root`, run by the Python of the tests."""
        if root == ROOT and can_begin(words, self.variables):
            return _ended(Command(words, self.here, self.variables))
        return self.type(sys.executable, root / ENTRY, *words)

    def installed(self, *words: str) -> Done:
        """A command by its name, as a user types it after `install`."""
        return self.type(self.command, *words)


def _ended(process: subprocess.Popen[str]) -> Done:
    out, err = process.communicate(timeout=180)
    assert "Traceback" not in err, err
    return Done(process.returncode, out, err)


def cache_with_packages(folder: Path) -> Path:
    """A cache folder with the private environment of the program, made from the packages of the tests.

    The installer has tests of its own; this is what it leaves.
    """
    lock = str(ROOT / skillfiles.LOCK)
    inside = folder / NAME / fingerprint(lock)
    subprocess.run([pathcommand.interpreter(), "-I", "-m", "venv", "--without-pip", inside], check=True)
    (packages,) = inside.glob("lib/python*/site-packages")
    link_packages(packages)
    (inside / STATE_FILE).write_text(f"{fingerprint(lock)}\n")
    assert Environment(str(inside), lock, bootstrap.PACKAGES).is_ready()
    return folder


def link_packages(packages: Path) -> None:
    """Let a folder of packages have what the tests have, but for this program itself."""
    for source in (Path(entry) for entry in sys.path if entry.endswith("site-packages")):
        for entry in source.iterdir():
            foreign = (
                not entry.name.startswith(("orchestrator", "distributed_task")) and entry.suffix != ".pth"
            )
            if foreign and not (packages / entry.name).exists():
                (packages / entry.name).symlink_to(entry)


def another_version(folder: Path, version: str) -> Path:
    """The skill as a folder of its own that says it is `version`, to install from."""
    skillfiles.copy(skillfiles.source().files, folder)
    init = folder / "scripts" / "orchestrator" / "__init__.py"
    init.write_text(re.sub(r'__version__ = ".*"', f'__version__ = "{version}"', init.read_text()))
    return folder


def version_of(skill: Path) -> str:
    """The version of a copy, which must be whole: every file is as its manifest says, and no other is there."""
    manifest = skillfiles.read_manifest(skill)
    assert manifest is not None, skill
    assert skillfiles.differences(skill, manifest) == ([], [], [])
    init = (skill / "scripts" / "orchestrator" / "__init__.py").read_text()
    assert f'"{manifest.version}"' in init
    return manifest.version


def tree(folder: Path, but: Iterable[str] = ("__pycache__",)) -> set[str]:
    """Every file, folder and link below."""
    return {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if not set(path.parts) & set(but)
    }


def personalise(skill: Path) -> None:
    """Change a file and add one."""
    (skill / CHANGED).write_text("changed")
    (skill / ADDED).parent.mkdir()
    (skill / ADDED).write_text("added")
