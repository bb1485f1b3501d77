"""Finds the program's packages: in this interpreter, else in a private virtual environment.

Imports nothing but the standard library, and what is slow only once something has to be installed: where
packages are missing, every command passes through here twice. Any Python from 3.6 on can read this file, so
that an old one gets a sentence: no newer syntax, and newer types in quotes.
"""

# pathlib alone takes 9 ms to import.

import os
import sys

from orchestrator.environment import CACHE_VARIABLE, Environment, SetupError, fingerprint, missing

OLDEST_PYTHON = (3, 11)
PACKAGES = ("click", "jinja2", "msgspec", "psutil", "rich", "yaml")
EXIT_ENVIRONMENT = 5  # errors.EnvironmentProblem, which an old Python could not import
EXIT_INTERRUPTED = 130


def ensure_packages() -> None:
    """Returns where the packages can be imported; else this process becomes a Python that can import them.

    `--version` needs none. Ends the process with status 5 and a few lines on stderr where neither works.
    """
    require_python("orchestrate")
    if sys.argv[1:] == ["--version"]:
        return
    absent = missing(PACKAGES)
    if not absent:
        return
    try:
        environment = private_environment()
        _make_ready(environment, ", ".join(absent))
        environment.enter()
    except (SetupError, OSError) as error:
        sys.stderr.write(f"orchestrate: {error}\n")
        sys.exit(EXIT_ENVIRONMENT)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


def require_python(program: str) -> None:
    """Ends the process with status 5 and one line on stderr where this Python is too old."""
    complaint = python_complaint(sys.version_info[:2])
    if complaint:
        sys.stderr.write(f"{program}: {complaint}\n")
        sys.exit(EXIT_ENVIRONMENT)


def python_complaint(version: "tuple[int, int]") -> str:
    """What is wrong with a Python of this version; empty where nothing is."""
    if version >= OLDEST_PYTHON:
        return ""
    oldest, found = (".".join(map(str, numbers)) for numbers in (OLDEST_PYTHON, version))
    return f"needs Python {oldest} or newer; this is {found} ({sys.executable})"


def private_environment(scripts: str = "") -> Environment:
    """The environment of this version of the program and this Python, in the user's cache folder.

    `scripts` is the folder with the lock file; default: the one that this file is in.

    Raises:
        SetupError: there is no cache folder.
        OSError: the lock file cannot be read.
    """
    scripts = scripts or os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    lock = os.path.join(scripts, "requirements.lock")
    folder = os.path.join(cache_folder(), "distributed-task-orchestrator", fingerprint(lock))
    return Environment(folder, lock, PACKAGES)


def cache_folder() -> str:
    """The user's cache folder, which need not exist yet.

    Raises:
        SetupError: it would be in a home folder that does not exist.
    """
    named = os.environ.get(CACHE_VARIABLE, "")
    # The XDG base directory specification: a relative path is to be ignored.
    if os.path.isabs(named):
        return named
    home = os.path.expanduser("~")
    if not os.path.isdir(home):
        raise SetupError(f"there is no home folder {home}. {CACHE_VARIABLE}=FOLDER names another cache.")
    inside = {"darwin": "Library/Caches", "win32": "AppData/Local"}.get(sys.platform, ".cache")
    return os.path.join(home, inside)


def blame_environment(error: ImportError) -> None:
    """Ends the process with status 5 where files have vanished from the private environment.

    The next command then makes it anew. Returns where `error` has another cause.
    """
    module = (error.name or "").partition(".")[0]
    if module in {"", "orchestrator"} or module in sys.stdlib_module_names:
        return
    try:
        environment = private_environment()
        if not environment.is_current():
            return
        with open(environment.state, "w", encoding="utf-8") as file:
            file.write("damaged\n")
    except (SetupError, OSError):
        return
    advice = "is damaged. The next command makes it anew."
    sys.stderr.write(f"orchestrate: {error}: {environment.folder} {advice}\n")
    sys.exit(EXIT_ENVIRONMENT)


def _make_ready(environment: Environment, absent: str) -> None:
    if environment.is_current():
        raise SetupError(
            f"{absent} cannot be imported by {environment.python}. Is PYTHONHOME or -S in the way?"
        )
    if environment.is_ready():
        return
    from orchestrator import installer

    if os.environ.get("ORCHESTRATE_NO_SETUP", "0") not in {"", "0"}:
        raise SetupError(
            f"{absent} missing, and ORCHESTRATE_NO_SETUP forbids to install. By hand:\n"
            f"  {installer.by_hand(environment)}"
        )
    installer.make(environment, "orchestrate")
