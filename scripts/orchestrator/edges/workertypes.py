"""The worker types of a project: the program's own, a user's subagents, and those of the workspace.

Folders are listed when a name is looked for, and a file is read whole when a plan uses its type: what is wrong
with the others is nobody's concern.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import islice
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.core.hints import Hints, shown
from orchestrator.core.plan import ID_PATTERN
from orchestrator.core.workers import BUNDLED, PLANNER, WorkerType
from orchestrator.edges import claudefiles, workerfile
from orchestrator.edges.templates import templates_folder
from orchestrator.edges.workspace import NAME, Workspace
from orchestrator.errors import UsageError

MOST_FILES = 1000
"""Files of one folder that are looked at: more than anyone has, and a tenth of a second."""


class Folder(Struct, frozen=True):
    """A folder of worker files. `trusted`: they count; `subagents`: they were written for Claude Code itself."""

    path: Path
    bundled: bool = False
    subagents: bool = False
    trusted: bool = True


class WorkerTypes(Collection[str]):
    """The names of the worker types that a plan may use, and the types behind them; the last folder wins.

    A name that is no plain word is there, so that its file can be told as wrong, but is never offered.
    """

    def __init__(self, folders: Callable[[], Iterable[Folder]]) -> None:
        self._folders = folders

    def __contains__(self, name: object) -> bool:
        return name in BUNDLED or name in self._places

    def __iter__(self) -> Iterator[str]:
        own = (name for name in sorted(self._places) if re.search(ID_PATTERN, name))
        return iter(dict.fromkeys((*BUNDLED, *own)))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def find(self, names: Iterable[str]) -> dict[str, WorkerType]:
        """The worker types of these names.

        Raises:
            UsageError: all that is wrong with their files, each `FILE:LINE: what`, and names that have none.
        """
        found: dict[str, WorkerType] = {}
        problems: list[str] = []
        for name in dict.fromkeys(names):
            try:
                path, folder = self._place(name)
                worker = workerfile.read(path, folder.path, bundled=folder.bundled)
            except workerfile.Wrong as wrong:
                problems.append(str(wrong))
                continue
            # The name by which it was found is the one that the plan says.
            found[name] = replace(worker, name=name)
        if problems:
            raise UsageError("\n".join(problems))
        return found

    def source(self, name: str) -> Path:
        """The file of a worker type.

        Raises:
            UsageError: there is none that counts.
        """
        try:
            return self._place(name)[0]
        except workerfile.Wrong as wrong:
            raise UsageError(str(wrong)) from wrong

    def _place(self, name: str) -> tuple[Path, Folder]:
        places = self._places.get(name, [])
        trusted = [place for place in places if place[1].trusted]
        if trusted:
            path, folder = trusted[-1]
            if other := next((path for path, place in trusted[:-1] if place is folder), None):
                raise workerfile.Wrong(
                    f"{path}: has the same name as {other}: {shown(name)}; rename one of the two"
                )
            return path, folder
        if not places:
            raise workerfile.Wrong(
                f"there is no worker type {shown(name)}{Hints(tuple(self)).question(name)}"
            )
        raise workerfile.Wrong(
            f"{places[-1][0]}: does not count, for the project folder is not trusted in Claude Code; start `claude` "
            f"there once, or copy the file to {NAME}/templates/workers/"
        )

    @cached_property
    def _places(self) -> dict[str, list[tuple[Path, Folder]]]:
        """The files of each name, the one that counts last."""
        found: dict[str, list[tuple[Path, Folder]]] = {}
        for folder in self._folders():
            for path in islice(_files(folder.path), MOST_FILES):
                name = path.stem if folder.bundled else workerfile.name_of(path, folder.path)
                # A subagent of Claude Code that happens to have the planner's name is another.
                if name != PLANNER or not folder.subagents:
                    found.setdefault(name, []).append((path, folder))
        return found


def load(workspace_templates: Path, project: Path, home_config: Path | None, *, trusted: bool) -> WorkerTypes:
    """The worker types for the tasks of one project; folders are looked at when a type is asked for.

    Args:
        workspace_templates: `.orchestrator/templates`, which may hold `workers/`.
        project: the folder where workers work, which may hold `.claude/agents/`.
        home_config: the user's `~/.claude`, which may hold `agents/`; see `config_folder`.
        trusted: whether the user trusts the project folder in Claude Code. Else its subagents neither add a type
            nor take the place of another: they grant tools, and may come with a repository that was cloned.
    """

    def folders() -> Iterator[Folder]:
        yield Folder(templates_folder() / "workers", bundled=True)
        if home_config is not None:
            yield Folder(home_config / "agents", subagents=True)
        yield Folder(project / ".claude" / "agents", subagents=True, trusted=trusted)
        yield Folder(workspace_templates / "workers")

    return WorkerTypes(folders)


def beside(plan: Path) -> WorkerTypes:
    """The worker types that a plan file may name: those of the workspace it lies in, else of the current folder.

    For names alone: whether the folder is trusted is not looked at.
    """

    def folders() -> Iterable[Folder]:
        here = Path.cwd()
        around = next((folder for folder in (here / plan).parents if folder.name == NAME), None)
        workspace = Workspace(around) if around else Workspace.find(None, here)
        project = workspace.project_folder(here)
        return load(workspace.templates, project, config_folder(os.environ), trusted=True)._folders()

    return WorkerTypes(folders)


def config_folder(environment: Mapping[str, str]) -> Path:
    """Where Claude Code keeps what is the user's own."""
    return claudefiles.config_folder(Path.cwd(), environment)


def _files(folder: Path) -> Iterator[Path]:
    for path, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(path, name) for name in sorted(names) if name.endswith(".md"))
