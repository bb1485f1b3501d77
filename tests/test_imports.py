"""Imports run downhill: commands -> dynamic -> dispatcher -> (clis, edges) -> core."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from importlib.util import resolve_name
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"

# Each room of the package, lowest first, and the rooms it may import from. `errors` and the names of the
# package itself are free to all. A room is a folder or a module of scripts/orchestrator/.
ROOMS: dict[str, set[str]] = {
    "errors": set(),
    "exits": set(),
    "environment": set(),
    "installer": {"environment"},
    "bootstrap": {"environment", "installer"},
    "demo": set(),
    "core": {"core"},
    "clis": {"clis", "core"},
    "edges": {"edges", "core"},
    "options": {"edges"},
    "claudeprogram": {"clis", "edges", "core"},
    "attempt": {"clis", "edges", "core"},
    "resultfiles": {"clis", "edges", "core"},
    "assignments": {"clis", "edges", "core"},
    "testimony": {"attempt", "clis", "edges", "core"},
    "attempts": {"attempt", "testimony", "assignments", "resultfiles", "clis", "edges", "core"},
    "refreshing": {"core"},
    "recording": {"core"},
    "landing": {"recording", "attempts", "attempt", "resultfiles", "edges", "core"},
    "sessions": {"recording", "attempts", "attempt", "edges", "core"},
    "planchecks": {"attempts", "edges", "core"},
    "orders": {"recording", "sessions", "planchecks", "attempts", "attempt", "edges", "core"},
    "dispatcher": {
        *("orders", "sessions", "landing", "recording", "refreshing", "planchecks"),
        *("attempts", "attempt", "resultfiles", "clis", "edges", "core"),
    },
    "runs": {"dispatcher", "refreshing", "attempts", "assignments", "resultfiles", "clis", "edges", "core"},
    "detaching": set(),
    "dynamic": {"dispatcher", "resultfiles", "edges", "core"},
    "pathcommand": {"edges"},
    "progress": {"pathcommand", "edges", "core"},
    "live": {"progress", "clis", "edges", "core"},
    "following": {"progress", "clis", "edges", "core"},
    "planning": {"options", "claudeprogram", "runs", "progress", "edges", "core"},
    "health": {"claudeprogram", "runs", "progress", "edges", "core"},
    "running": {
        *("claudeprogram", "detaching", "dynamic", "runs", "progress", "live", "following"),
        *("clis", "edges", "core"),
    },
    "steering": {"running", "runs", "progress", "edges", "core"},
    "aggregating": {"options", "claudeprogram", "running", "runs", "progress", "edges", "core"},
    "demonstration": {"running", "runs", "edges"},
    "offering": {"runs", "progress", "assignments", "resultfiles", "edges", "core"},
    "insession": {"offering", "runs", "progress", "edges", "core"},
    "sessioncommands": {"options", "insession", "offering"},
    "automatic": {"claudeprogram", "running", "runs", "progress", "edges", "core"},
    "revisions": {"options", "steering", "runs", "progress", "edges", "core"},
    "rollback": {"options", "runs", "progress", "edges", "core"},
    "skillfiles": {"edges"},
    "installing": {"bootstrap", "installer", "environment", "skillfiles", "pathcommand", "edges", "core"},
    "skillcheck": {"installing", "skillfiles", "pathcommand", "core"},
    "installcommands": {"options", "installing", "skillcheck", "skillfiles"},
    "steeringcommands": {"options", "steering", "edges", "core"},
    "plancommands": {"options", "automatic", "revisions", "rollback", "running"},
    "commands": {
        *("options", "plancommands", "steeringcommands"),
        *("aggregating", "sessioncommands", "demonstration", "running", "health", "planning"),
        *("installcommands", "following", "progress", "runs", "edges", "core"),
    },
    "__main__": {"commands"},
}
FREE_TO_ALL = {"", "errors", "exits"}
NAMES_OF_THE_PACKAGE = {"__version__"}

# Rooms that work without, or before, the packages of the program; and what they may import none the less.
STANDARD_LIBRARY_AND: dict[str, set[str]] = {
    "errors": set(),
    "exits": set(),
    "environment": set(),
    "installer": set(),
    "bootstrap": set(),
    "core": {"msgspec"},
}

# A clock, a file, a process or randomness in the core.
FORBIDDEN_IN_CORE = {
    *("asyncio", "io", "os", "pathlib", "random", "secrets", "shutil", "socket", "subprocess", "tempfile"),
    *("threading", "time", "uuid"),
}

MODULES = sorted(path.relative_to(SCRIPTS) for path in SCRIPTS.rglob("*.py"))
MODULES_OF_THE_PACKAGE = [path for path in MODULES if path.parts[0] == "orchestrator"]


def complaints(path: Path, source: str) -> list[str]:
    """What is wrong with the imports of the file at `path`, relative to scripts/."""
    room = room_of(path)
    if room and room not in ROOMS:
        return [f"{path}: what may it import? give {room!r} a row in ROOMS of tests/test_imports.py"]
    return [f"{path}: may not import {name}" for name in imported(path, source) if not may_import(room, name)]


def room_of(path: Path) -> str:
    """The room of a file; empty for the package's own `__init__.py`."""
    name = path.parts[1].removesuffix(".py")
    return "" if name == "__init__" else name


def imported(path: Path, source: str) -> Iterator[str]:
    """The dotted name of every module, or name of the package, that a file imports anywhere."""
    package = ".".join(path.parts[:-1])
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = resolve_name("." * node.level + (node.module or ""), package)
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def may_import(room: str, name: str) -> bool:
    """Whether a file of `room` may import what has the dotted name `name`."""
    top, _, rest = name.partition(".")
    if top == "orchestrator":
        target = rest.partition(".")[0]
        return target in FREE_TO_ALL | NAMES_OF_THE_PACKAGE | ROOMS.get(room, set())
    if room == "core" and top in FORBIDDEN_IN_CORE:
        return False
    others = STANDARD_LIBRARY_AND.get(room)
    return others is None or top in sys.stdlib_module_names or top in others


@pytest.mark.parametrize("path", MODULES_OF_THE_PACKAGE, ids=str)
def test_imports_run_downhill(path: Path) -> None:
    assert complaints(path, (SCRIPTS / path).read_text(encoding="utf-8")) == []


def test_no_file_has_the_name_of_a_standard_library_module() -> None:
    """`sys.path[0]` is scripts/ for the entry, and any folder of it for what a task runs."""
    names = {part.removesuffix(".py") for path in MODULES for part in path.parts}

    assert names & set(sys.stdlib_module_names) == set()


def test_a_room_imports_only_from_itself_and_from_rooms_below_it() -> None:
    below: set[str] = set()
    for room, allowed in ROOMS.items():
        below.add(room)
        assert allowed <= below, room


def test_no_room_is_allowed_what_it_does_not_import() -> None:
    taken: dict[str, set[str]] = {room: set() for room in ROOMS}
    for path in MODULES_OF_THE_PACKAGE:
        for name in imported(path, (SCRIPTS / path).read_text(encoding="utf-8")):
            top, _, rest = name.partition(".")
            if top == "orchestrator" and room_of(path):
                taken[room_of(path)].add(rest.partition(".")[0])
    assert {room: allowed - taken[room] for room, allowed in ROOMS.items() if allowed - taken[room]} == {}


def test_clis_and_edges_do_not_know_each_other() -> None:
    assert "edges" not in ROOMS["clis"]
    assert "clis" not in ROOMS["edges"]


@pytest.mark.parametrize(
    ("path", "source", "bad"),
    [
        ("core/bad.py", "import time", "time"),
        ("core/bad.py", "from pathlib import Path", "pathlib.Path"),
        ("core/bad.py", "def now():\n    import os.path", "os.path"),
        ("core/bad.py", "from orchestrator.edges import journal", "orchestrator.edges.journal"),
        ("core/bad.py", "import yaml", "yaml"),
        ("core/bad.py", "from ..clis import shell", "orchestrator.clis.shell"),
        ("clis/bad.py", "import orchestrator.edges.journal", "orchestrator.edges.journal"),
        ("edges/bad.py", "from orchestrator import dispatcher", "orchestrator.dispatcher"),
        ("dispatcher.py", "from orchestrator import commands", "orchestrator.commands"),
        ("installer.py", "from orchestrator.bootstrap import main", "orchestrator.bootstrap.main"),
        ("installer.py", "import click", "click"),
    ],
)
def test_an_import_uphill_is_found(path: str, source: str, bad: str) -> None:
    path = f"orchestrator/{path}"

    assert complaints(Path(path), source) == [f"{path}: may not import {bad}"]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("core/good.py", "import re\nfrom msgspec import Struct\nfrom orchestrator.errors import PlanError"),
        ("edges/good.py", "from . import journal\nfrom ..core.plan import Plan\nimport yaml, os"),
        ("commands.py", "from orchestrator import __version__, progress\nimport click"),
    ],
)
def test_an_import_downhill_is_not_complained_about(path: str, source: str) -> None:
    assert complaints(Path("orchestrator", path), source) == []


def test_a_module_without_a_row_is_told_where_to_get_one() -> None:
    (complaint,) = complaints(Path("orchestrator/novelty.py"), "")

    assert "give 'novelty' a row in ROOMS of tests/test_imports.py" in complaint
