"""Makes a virtual environment from a lock file with hashes: by uv where that is there, else by venv and pip.

Imports nothing but the standard library. The environment's state file is locked while somebody works on it
and is never removed; where it does not say that all is there, the environment is half-made.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from orchestrator.environment import CACHE_VARIABLE, Environment, SetupError

HALF_MADE = "half-made"
LONGEST_REASON = 300
"""Characters: the line of an installer can hold a whole command."""

# Far behind anything written: Windows locks bytes, and keeps others from reading those.
LOCKED_BYTE = 1 << 30
TELLING = re.compile(r"(?:error:|cause:|caused by:|╰─▶)\s*(?=\S)|(?=\w*Error: )", re.IGNORECASE)
NO_CONNECTION = re.compile(
    r"connection broken|error sending request|failed to fetch|dns error", re.IGNORECASE
)


def make(environment: Environment, program: str) -> None:
    """Makes it, or makes it anew, unless it is ready; waits where another process is at it.

    Says so in one line on stderr, which begins with `program`.

    Raises:
        SetupError: the packages cannot be installed; the text says why and what to type.
        OSError: the disk is full, or the like.
    """
    if environment.is_ready():
        return
    state = _open_state(environment)
    try:
        _lock(state, program)
        if not environment.is_ready():
            sys.stderr.write(f"{program}: installing the packages it needs, once, in {environment.folder}\n")
            _make(environment, state)
    finally:
        os.close(state)


def by_hand(environment: Environment) -> str:
    """One line for a shell that does what `make` does, or that makes it possible."""
    ways = _ways(environment)
    if not ways:
        return _remedy()
    lines = [shlex.join(command) for command in next(iter(ways.values()))]
    return " && ".join([*lines, f"echo {environment.fingerprint} > {shlex.quote(environment.state)}"])


def failure_reason(output: str) -> str:
    """The line of an installer's output that says best what went wrong, at most 300 characters."""
    lines = [line.strip() for line in output.splitlines() if line.strip()] or ["it gave no reason"]
    telling = [line for line in lines if TELLING.match(line)]
    reason = TELLING.sub("", (telling or lines)[-1], count=1)[:LONGEST_REASON]
    return f"{reason} (no connection to the package index)" if NO_CONNECTION.search(output) else reason


def _open_state(environment: Environment) -> int:
    try:
        Path(environment.folder).mkdir(parents=True, exist_ok=True)
        return os.open(environment.state, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        advice = f"{CACHE_VARIABLE}=FOLDER names another cache folder."
        raise SetupError(f"nowhere to install the packages it needs: {error}. {advice}") from None


def _make(environment: Environment, state: int) -> None:
    try:
        _install(environment, state)
        _overwrite(state, environment.fingerprint)
        importlib.invalidate_caches()
        if not environment.is_ready():
            absent = ", ".join(environment.missing()) or environment.python
            raise SetupError(f"the installation ended well, but there is no {absent}")
    except BaseException:
        _clear(environment, state)
        raise


def _install(environment: Environment, state: int) -> None:
    ways = _ways(environment)
    if not ways:
        raise SetupError(f"no uv, and no venv with pip for {sys.executable}. By hand:\n  {_remedy()}")
    reasons = []
    # Where one way fails the other may work: pip and uv have settings and certificates of their own.
    for installer, commands in ways.items():
        _clear(environment, state)
        reason = _first_failure(commands, environment.folder, state)
        if not reason:
            return
        reasons.append(f"{reason} ({installer})")
    raise SetupError(
        f"could not install the packages it needs: {'; '.join(reasons)}\nBy hand:\n  {by_hand(environment)}"
    )


def _first_failure(commands: list[list[str]], folder: str, state: int) -> str:
    """Why a command of `commands` failed; empty where all went well."""
    for command in commands:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # uv would read the settings of whatever project the user stands in.
            cwd=folder,
            # An installer that outlives this process goes on holding the lock.
            pass_fds=() if os.name == "nt" else (state,),
        )
        if done.returncode:
            return failure_reason(done.stdout.decode("utf-8", "replace"))
    return ""


def _ways(environment: Environment) -> dict[str, list[list[str]]]:
    """The commands of each installer that this machine has, the fastest first."""
    ways = {}
    locked = ["--require-hashes", "-r", environment.lock]
    if uv := shutil.which("uv"):
        create = [uv, "venv", "--quiet", "--no-project", "--allow-existing", "--python", sys.executable]
        install = [uv, "pip", "install", "--quiet", "--python", environment.python]
        ways["uv"] = [[*create, environment.folder], [*install, *locked]]
    if importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip"):
        # -I: neither PYTHONPATH nor the current folder may offer modules to the installer.
        create = [sys.executable, "-I", "-m", "venv"]
        install = [environment.python, "-I", "-m", "pip", "install", "--quiet", "--no-input", "--no-user"]
        install.append("--disable-pip-version-check")
        ways["pip"] = [[*create, environment.folder], [*install, *locked]]
    return ways


def _remedy() -> str:
    if shutil.which("apt-get"):
        major, minor = sys.version_info[:2]
        return f"sudo apt-get install python{major}.{minor}-venv"
    return f"install uv (https://docs.astral.sh/uv/), or venv and pip for {sys.executable}"


def _clear(environment: Environment, state: int) -> None:
    _overwrite(state, HALF_MADE)
    for entry in Path(environment.folder).iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry != Path(environment.state):
            entry.unlink()


def _overwrite(file: int, text: str) -> None:
    os.ftruncate(file, 0)
    os.lseek(file, 0, os.SEEK_SET)
    os.write(file, f"{text}\n".encode())


def _lock(file: int, program: str) -> None:
    if _locked(file, wait=False):
        return
    sys.stderr.write(f"{program}: another process is installing the packages; waiting for it\n")
    while not _locked(file, wait=True):
        pass


def _locked(file: int, wait: bool) -> bool:
    """On Windows waiting ends after ten seconds, locked or not."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(file, LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True
