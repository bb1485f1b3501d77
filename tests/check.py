#!/usr/bin/env python3
"""`python3 tests/check.py [PYTEST_ARGUMENT...]` sets itself up, then tests, lints and checks types.

The packages go to `.venv` in the repository, from `requirements.lock` beside this file; the pinned versions of the
claude program to `.claude-cli`, by npm. Where that is impossible the tests of the real program are skipped, which is
said twice. All tests run with loopback as their only network, where the machine permits that. Exit status: 0 all is
well, 1 something failed, 5 the packages cannot be installed, 130 interrupted.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

from orchestrator import bootstrap, environment

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ("hatchling", "hypothesis", "mypy", "pytest", "ruff", "xdist")
CHECKED_FOLDERS = ("scripts", "tests", "bench", "evals")


def main() -> int:
    """Runs every step, whatever the ones before said, and sums up."""
    bootstrap.require_python("check")
    try:
        python = prepared_python()
    except (environment.SetupError, OSError) as error:
        print(f"check: {error}", file=sys.stderr)
        return bootstrap.EXIT_ENVIRONMENT
    if not any(Path(folder, "git").is_file() for folder in os.get_exec_path()):
        print("check: no git on the PATH, tests that need it are skipped (Debian: apt-get install git)")
    skipped = unavailable_claude()
    if skipped:
        print(skipped)
    results = [(name, *run_step(name, command)) for name, command in steps(python, sys.argv[1:])]
    print(
        "\n"
        + "\n".join(
            f"{'ok' if passed else 'FAILED':6}  {name}  {taken:.1f} s" for name, passed, taken in results
        )
    )
    if skipped:
        print(skipped)
    return 0 if all(passed for _, passed, _ in results) else 1


def prepared_python() -> str:
    """The Python of `.venv`, which is made or brought up to date first.

    Raises:
        SetupError: it cannot be made, or `.venv` is somebody else's.
    """
    from orchestrator import installer

    lock = ROOT / "tests" / "requirements.lock"
    venv = environment.Environment(str(ROOT / ".venv"), str(lock), (*bootstrap.PACKAGES, *TOOLS))
    folder = Path(venv.folder)
    if folder.is_dir() and any(folder.iterdir()) and not Path(venv.state).exists():
        raise environment.SetupError(f"{folder} was not made by this program; move it out of the way")
    installer.make(venv, "check")
    return venv.python


def unavailable_claude() -> str:
    """Why the tests of the real claude program are skipped; empty where it is there."""
    import claude_program

    try:
        claude_program.make_ready()
    except claude_program.Unavailable as problem:
        return f"SKIPPED the tests of the real claude program: {problem}"
    return ""


def steps(python: str, pytest_arguments: "list[str]") -> "list[tuple[str, list[str]]]":
    """Name and command of each step."""
    folders = [name for name in CHECKED_FOLDERS if (ROOT / name).is_dir()]
    lonely = [python, str(ROOT / "tests" / "lonely.py")]
    pytest = [python, "-m", "pytest", *(pytest_arguments or ["-n", "4", "--dist", "loadgroup"])]
    return [
        ("pytest", [*lonely, *pytest]),
        ("ruff check", [python, "-m", "ruff", "check", "."]),
        ("ruff format", [python, "-m", "ruff", "format", "--check", "."]),
        ("mypy", [python, "-m", "mypy", *folders]),
    ]


def run_step(name: str, command: "list[str]") -> "tuple[bool, float]":
    """Whether it passed, and how many seconds it took."""
    print(f"\n== {name}", flush=True)
    begin = time.monotonic()
    passed = subprocess.call(command, cwd=ROOT) == 0
    return passed, time.monotonic() - begin


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(bootstrap.EXIT_INTERRUPTED)
