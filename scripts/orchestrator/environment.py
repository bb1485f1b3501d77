"""A virtual environment with the packages of one lock file: whether it is there, and how to go on in it.

Only what is cheap to import, and what any Python from 3.6 on can read: see `bootstrap.py`.
"""

# pathlib alone takes 9 ms to import.

import os
import sys

CACHE_VARIABLE = "LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME"
STATE_FILE = "orchestrate-setup.txt"


class SetupError(Exception):
    """The packages cannot be made available; its text is what the user reads."""


class Environment:
    """A virtual environment with the packages of one lock file; it need not exist yet.

    Its state file holds the fingerprint once all is there, and something else before.
    """

    def __init__(self, folder: str, lock: str, packages: "tuple[str, ...]") -> None:
        self.folder = folder
        self.lock = lock
        self.packages = packages
        self.fingerprint = fingerprint(lock)
        self.state = os.path.join(folder, STATE_FILE)
        program = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
        self.python = os.path.join(folder, *program)

    def is_current(self) -> bool:
        """Whether this process runs in it; `sys.prefix` would not tell under `-S`."""
        return sys.executable == self.python

    def is_ready(self) -> bool:
        """Whether it was made to its end, from this lock file, and still has its Python and packages."""
        try:
            with open(self.state, encoding="utf-8") as file:
                made = file.read().strip() == self.fingerprint
        except OSError:
            return False
        return made and os.access(self.python, os.X_OK) and not self.missing()

    def missing(self) -> "list[str]":
        """The packages that are not in its folders."""
        if os.name == "nt":
            return missing(self.packages, [os.path.join(self.folder, "Lib", "site-packages")])
        try:
            with os.scandir(os.path.join(self.folder, "lib")) as entries:
                folders = [os.path.join(entry.path, "site-packages") for entry in entries]
        except OSError:
            folders = []
        return missing(self.packages, folders)

    def enter(self) -> None:
        """Replaces this process by the same command in the environment's Python.

        Raises:
            OSError: that Python cannot be started.
        """
        command = [self.python, *sys.orig_argv[1:]]
        if os.name == "nt":
            import subprocess

            # execv on Windows ends this process at once, and the shell would not wait for the other.
            sys.exit(subprocess.call(command))
        os.execv(self.python, command)


def missing(packages: "tuple[str, ...]", path: "list[str] | None" = None) -> "list[str]":
    """Those of `packages` that no folder of `path` (default: `sys.path`) has; imports none of them."""
    from importlib.machinery import PathFinder

    specs = [(package, PathFinder.find_spec(package, path)) for package in packages]
    # A folder that lost its files still has a spec: that of a namespace, which comes from no file.
    return [package for package, spec in specs if spec is None or spec.origin is None]


def fingerprint(lock: str) -> str:
    """Names what an environment holds: the lock file's checksum, the version of Python, the platform.

    A checksum tells versions of the file apart; whether a package is the right one is for the hashes in it.

    Raises:
        OSError: the lock file cannot be read.
    """
    from importlib.machinery import EXTENSION_SUFFIXES
    from zlib import crc32

    with open(lock, "rb") as file:
        checksum = crc32(file.read())
    # Such as .cpython-311-x86_64-linux-gnu.so: all that decides whether a compiled package fits.
    return f"{checksum:08x}-{EXTENSION_SUFFIXES[0].split('.')[1]}"
