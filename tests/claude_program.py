"""The pinned versions of the claude program that the tests run: where they are, and how they get there.

`check.py` runs this before there is any package: standard library only. The versions are in `.claude-cli/` in
the repository; a folder of the same layout that is named by ORCHESTRATE_TEST_CLAUDE_DIR is used as it is.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

NEWEST, OLDEST = "2.1.329", "2.1.197"
VERSIONS = (NEWEST, OLDEST)
"""The version that everything is tested with, and the oldest that is supported."""

PACKAGE = "@anthropic-ai/claude-code"
FOLDER_VARIABLE = "ORCHESTRATE_TEST_CLAUDE_DIR"
OWN_FOLDER = Path(__file__).resolve().parent.parent / ".claude-cli"


class Unavailable(Exception):
    """A version is not there; the message says why and what helps."""


def folder() -> Path:
    """Where the versions are, a folder each."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named) if named else OWN_FOLDER


def program(version: str, inside: Path | None = None) -> Path:
    """Where a version's program is, or would be."""
    return (inside or folder() / version) / "node_modules" / ".bin" / "claude"


def is_there(version: str) -> bool:
    """Whether a version has been installed."""
    return os.access(program(version), os.X_OK)


def make_ready() -> None:
    """Installs the versions that are missing.

    Raises:
        Unavailable: one of them is missing and cannot be installed.
    """
    missing = [version for version in VERSIONS if not is_there(version)]
    if missing and os.environ.get(FOLDER_VARIABLE):
        where = program(missing[0])
        raise Unavailable(f"there is no {where} ({FOLDER_VARIABLE} names that folder)")
    if missing and not shutil.which("npm"):
        _install_npm()
    for version in missing:
        print(f"check: installing claude {version} for the tests, once, in {OWN_FOLDER}", flush=True)
        _install(version)


def _install_npm() -> None:
    if os.geteuid() or not shutil.which("apt-get"):
        raise Unavailable("no npm on the PATH (Debian: apt-get install npm)")
    print("check: installing npm for the tests (apt-get install npm)", flush=True)
    for words in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", "npm"]):
        _call(["apt-get", *words], "apt-get")


def _install(version: str) -> None:
    OWN_FOLDER.mkdir(exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f"{version}.", dir=OWN_FOLDER))
    try:
        options = ["--no-audit", "--no-fund", "--loglevel=error", "--fetch-retries=1"]
        _call(["npm", "install", "--prefix", str(aside), *options, f"{PACKAGE}@{version}"], "npm")
        if not _is(version, aside):
            # Some npm configurations run no install scripts; this one puts the program into its place.
            _call(["node", str(aside / "node_modules" / PACKAGE / "install.cjs")], "node")
        if not _is(version, aside):
            raise Unavailable(
                f"what npm installed as {PACKAGE}@{version} does not run, or is another version"
            )
        shutil.rmtree(OWN_FOLDER / version, ignore_errors=True)
        aside.rename(OWN_FOLDER / version)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _is(version: str, inside: Path) -> bool:
    home = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(inside), "DISABLE_AUTOUPDATER": "1"}
    try:
        done = subprocess.run(
            [str(program(version, inside)), "--version"],
            env=home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return False
    return done.returncode == 0 and done.stdout.split()[:1] == [version]


def _call(command: list[str], name: str) -> None:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    except OSError as problem:
        raise Unavailable(f"{name} cannot be run: {problem.strerror}") from problem
    if done.returncode:
        complaint = (done.stderr.strip() or done.stdout.strip() or "without a word").splitlines()[0]
        raise Unavailable(f"`{' '.join(command)}` failed: {complaint}")
