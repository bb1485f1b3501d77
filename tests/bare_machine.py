"""A machine with Python alone, in a folder: the program with stand-in packages, and a stand-in for uv.

The stand-in packages are real wheels with real hashes; the stand-in uv makes real virtual environments and
unpacks the wheels into them. So everything but the package index is what a user's machine has.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from orchestrator.bootstrap import PACKAGES

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("__init__.py", "__main__.py", "bootstrap.py", "environment.py", "installer.py")

# What the program does once it has its packages: says where and how it runs.
COMMANDS = """
import json, os, sys
import click.inner, jinja2, msgspec, psutil, rich, yaml

def main():
    print(json.dumps({"arguments": sys.argv[1:], "prefix": sys.prefix, "variables": sorted(os.environ)}))
    return 0
"""

UV = """#!{python} -I
import os, socket, subprocess, sys, zipfile
from pathlib import Path

with open({log!r}, "a") as log:
    print(sys.argv[1], file=log)
if "UV_BREAKS" in os.environ:
    sys.exit("error: Request failed\\n  Caused by: dns error: failed to lookup address")
if sys.argv[1] == "venv":
    python = sys.argv[sys.argv.index("--python") + 1]
    sys.exit(subprocess.call([python, "-I", "-m", "venv", "--without-pip", sys.argv[-1]]))
if "UV_GATE" in os.environ:
    with socket.create_connection(("127.0.0.1", int(os.environ["UV_GATE"]))) as gate:
        gate.recv(1)
folder = next(Path(sys.argv[sys.argv.index("--python") + 1]).parent.parent.glob("lib/python*/site-packages"))
for wheel in [] if "UV_INSTALLS_NOTHING" in os.environ else Path({wheels!r}).glob("*.whl"):
    zipfile.ZipFile(wheel).extractall(folder)
"""


class BareMachine:
    """The folders and programs of one such machine."""

    def __init__(self, folder: Path, packages: dict[str, str] | None = None) -> None:
        self.python_options: tuple[str, ...] = ()
        self.home = folder / "home"
        self.cache = self.home / ".cache" / "distributed-task-orchestrator"
        self.programs = folder / "bin"
        self.wheels = folder / "wheels"
        self.scripts = folder / "repository" / "scripts"
        self.log = folder / "uv.log"
        self.script = self.scripts / "orchestrate.py"
        for made in (self.home, self.programs, self.wheels, self.scripts / "orchestrator"):
            made.mkdir(parents=True)
        shutil.copy(ROOT / "scripts" / "orchestrate.py", self.scripts)
        for part in PARTS:
            shutil.copy(ROOT / "scripts" / "orchestrator" / part, self.scripts / "orchestrator")
        (self.scripts / "orchestrator" / "commands.py").write_text(COMMANDS)
        self.lock = self.scripts / "requirements.lock"
        stand_ins = dict.fromkeys(PACKAGES, "") if packages is None else packages
        self.lock.write_text("".join(self._wheel(name, text) for name, text in stand_ins.items()))
        self.python = bare_python(folder / "python")

    def add_uv(self) -> None:
        """Puts the stand-in on the PATH."""
        uv = self.programs / "uv"
        uv.write_text(UV.format(python=sys.executable, log=str(self.log), wheels=str(self.wheels)))
        uv.chmod(0o755)

    def remove_pip(self) -> None:
        """As on Debian without the package python3-venv."""
        (folder,) = self.python.parent.parent.glob("lib/python*/site-packages")
        # No `sitecustomize`: Debian's own comes first.
        (folder / "without_pip.pth").write_text("import sys; sys.modules['ensurepip'] = None\n")

    def environment(self, **more: str) -> dict[str, str]:
        """All environment variables of a command, `more` included."""
        return {"PATH": str(self.programs), "HOME": str(self.home), "LANG": "C.UTF-8", **more}

    def start(self, *arguments: str, **variables: str) -> Process:
        """`orchestrate ARGUMENTS`, going on by itself."""
        return subprocess.Popen(
            [self.python, *self.python_options, self.script, *arguments],
            env=self.environment(**variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **variables: str) -> Finished:
        """`orchestrate ARGUMENTS`, to its end."""
        return ended(self.start(*arguments, **variables))

    def made_environment(self) -> Path:
        """The one private environment in the cache."""
        (folder,) = self.cache.iterdir()
        return folder

    def packages_folder(self) -> Path:
        """Where the packages of that environment are."""
        (folder,) = self.made_environment().glob("lib/python*/site-packages")
        return folder

    def uv_calls(self) -> list[str]:
        """The commands that the stand-in uv was given."""
        return self.log.read_text().split() if self.log.exists() else []

    def _wheel(self, name: str, main: str) -> str:
        path = self.wheels / f"{name}-1.0-py3-none-any.whl"
        record = f"{name}-1.0.dist-info"
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr(f"{name}/__init__.py", "")
            wheel.writestr(f"{name}/__main__.py", main)
            wheel.writestr(f"{name}/inner.py", "")
            wheel.writestr(f"{record}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            wheel.writestr(
                f"{record}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            wheel.writestr(f"{record}/RECORD", "")
        return f"{name}==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


class Finished:
    """A command that has ended."""

    def __init__(self, status: int, stdout: str, stderr: str) -> None:
        self.status = status
        self.stdout = stdout
        self.stderr = stderr

    def facts(self) -> dict[str, Any]:
        """What the stand-in command said; fails with its stderr where it did not come to that."""
        assert self.status == 0, self.stderr
        facts: dict[str, Any] = json.loads(self.stdout)
        return facts


Process = subprocess.Popen[str]


def ended(process: Process) -> Finished:
    """Waits for it."""
    stdout, stderr = process.communicate(timeout=120)
    return Finished(process.returncode, stdout, stderr)


def bare_python(folder: Path) -> Path:
    """A Python that has the standard library and nothing else."""
    subprocess.run([sys.executable, "-I", "-m", "venv", "--without-pip", folder], check=True)
    return folder / "bin" / "python"
