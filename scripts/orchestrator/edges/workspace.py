"""The only place that knows names under `.orchestrator/`, and how its files are written.

Files are 0600 and folders 0700: prompts and results may hold what the user would not publish.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from orchestrator.core.agents import result_file, task_file
from orchestrator.errors import EnvironmentProblem, UsageError

NAME = ".orchestrator"
PROTECTED = (".claude", ".git")

_ASIDE = "~"
"""Ends the name of an archive that is not complete."""


class Workspace:
    """`.orchestrator/` and all in it; `root` is absolute."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.plan_file = root / "plan.yaml"
        self.journal = root / "journal.jsonl"
        self.lock_file = root / "dispatcher.lock"
        self.dispatcher_log = root / "dispatcher.log"
        self.master_plan = root / "master_plan.md"
        self.final_output = root / "final_output.md"
        self.inbox = root / "inbox"
        self.archive = root / "archive"
        self.rollback_note = root / "rollback.json"
        self.templates = root / "templates"
        # Text for what is named at every launch: joining paths part by part is slow.
        self._root = str(root)
        self._attempts = f"{root}/attempts"

    @classmethod
    def find(cls, named: Path | None, here: Path) -> Workspace:
        """The workspace named on the command line, else the nearest one upwards from `here`, else one to be made.

        Raises:
            UsageError: the place is one that Claude Code protects, or no folder, or its name is no text.
        """
        root = Path(os.path.realpath(here / named)) if named else _nearest(here.resolve())
        refuse_unwritable(root)
        if any(part in PROTECTED for part in root.parts):
            raise UsageError(
                f"{root}: a workspace cannot be under .claude/ or .git/ (Claude Code protects both)"
            )
        there = next(folder for folder in (root, *root.parents) if os.path.lexists(folder))
        if not there.is_dir():
            raise UsageError(f"{there} is not a folder; a workspace is one, name another")
        return cls(root)

    def create(self) -> None:
        """Make the folder and what it always holds; harmless where it exists."""
        for folder in (
            self.root,
            self.root / "agent_tasks",
            self.root / "results",
            self.root / "roles",
            self.root / "attempts",
            self.inbox,
        ):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        ignore = self.root / ".gitignore"
        if not ignore.exists():
            write_whole(ignore, "*\n")

    def project_folder(self, here: Path) -> Path:
        """Where workers work: the folder that holds `.orchestrator/`, or, for a workspace named otherwise, `here`."""
        return self.root.parent if self.root.name == NAME else here

    def project_now(self, recorded: str) -> str:
        """Where the project folder of a run is: whoever moves or copies it takes the workspace in it along."""
        moved = recorded and self.root.name == NAME and self.elsewhere(recorded)
        return str(self.root.parent) if moved else recorded

    def elsewhere(self, project: str) -> str:
        """The real path of a workspace that is not in the project folder, where it goes by its name; else nothing."""
        root = os.path.realpath(self.root)
        return "" if root == os.path.realpath(os.path.join(project, NAME)) else root

    def agent_task(self, agent: int) -> Path:
        """The prompt of an agent, for people."""
        return Path(self.agent_task_name(agent))

    def agent_task_name(self, agent: int) -> str:
        """The same as text."""
        return f"{self._root}/agent_tasks/{task_file(agent)}"

    def role(self, worker: str) -> str:
        """What all workers of a type are told, as text."""
        return f"{self._root}/roles/{worker}.md"

    def result(self, agent: int) -> Path:
        """The result of an agent's task."""
        return Path(self.result_name(agent))

    def result_name(self, agent: int) -> str:
        """The same as text."""
        return f"{self._root}/results/{result_file(agent)}"

    def attempt(self, task: str, number: int) -> str:
        """The folder of one attempt, as text: it is used for every file of every launch."""
        return f"{self._attempts}/{task}.{number}"

    @property
    def pids(self) -> str:
        """Where it is noted which process each attempt is: one file, for a new one takes longer than all else of it."""
        return f"{self._attempts}/pids"

    def plan_check_output(self, number: int) -> str:
        """What one of the plan's own `verify` commands printed, numbered from 1, as text."""
        return f"{self._attempts}/plan-verify-{number}.out"

    def has_attempts(self) -> bool:
        """Whether any attempt was ever made here since the last archiving."""
        return os.path.isdir(self._attempts) and any(entry.is_dir() for entry in os.scandir(self._attempts))

    def attempt_names(self) -> list[str]:
        """The names of all that lies where attempts have their folders."""
        return os.listdir(self._attempts) if os.path.isdir(self._attempts) else []

    def set_aside(self, attempt: str) -> None:
        """Give the folder of an attempt that is not this plan's another name."""
        number = next(number for number in count(1) if not os.path.exists(f"{attempt}.old-{number}"))
        os.rename(attempt, f"{attempt}.old-{number}")

    def note_run(self, run: str) -> None:
        """Keep the run's id beside its attempts, in case the journal loses it."""
        write_whole_bytes(f"{self._attempts}/run-id", f"{run}\n".encode(), durable=True)

    def lost_run(self) -> str:
        """The run whose attempts are here while the journal was cut off before its first event; else nothing.

        A journal that is not there at all was removed by somebody, who wants no more of it.
        """
        path = Path(f"{self._attempts}/run-id")
        return path.read_text(encoding="ascii").strip() if self.journal.exists() and path.exists() else ""

    def archive_run(self, run: str) -> Path:
        """Move all that belongs to `run` to `archive/RUN-ID/`, the plan as a copy; returns that folder."""
        aside = self.archive / f"{run or 'unstarted'}{_ASIDE}"
        self.archive.mkdir(mode=0o700, exist_ok=True)
        aside.mkdir(mode=0o700)
        moved = (
            "agent_tasks",
            "results",
            "attempts",
            "inbox",
            "master_plan.md",
            "final_output.md",
        )
        for name in moved:
            if (self.root / name).exists():
                os.replace(self.root / name, aside / name)
        if self.plan_file.exists():
            write_whole_bytes(str(aside / self.plan_file.name), self.plan_file.read_bytes())
        if self.journal.exists():
            # Last: with the journal goes the run, and until then it can still be resumed.
            os.replace(self.journal, aside / self.journal.name)
        target = self._archived(aside)
        self.create()
        return target

    def finish_archiving(self) -> None:
        """End an archiving that was cut off, or take it back where the journal has not gone yet."""
        for aside in self.archive.glob(f"*{_ASIDE}") if self.archive.is_dir() else ():
            if (aside / self.journal.name).exists() or not self.journal.exists():
                self._archived(aside)
                continue
            (aside / self.plan_file.name).unlink(missing_ok=True)
            for path in list(aside.iterdir()):
                _move_into(path, self.root / path.name)
            aside.rmdir()

    def _archived(self, aside: Path) -> Path:
        target = aside.with_name(aside.name.removesuffix(_ASIDE))
        while target.exists():
            target = target.with_name(target.name + "-again")
        os.replace(aside, target)
        return target

    def archived_journals(self) -> list[Path]:
        """Journals of earlier runs, the newest first."""
        found = self.archive.glob("*/journal.jsonl") if self.archive.is_dir() else iter(())
        return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)


def refuse_unwritable(folder: Path) -> None:
    """Raises UsageError for a folder whose path no journal, prompt or view could name."""
    try:
        os.fspath(folder).encode()
    except UnicodeEncodeError:
        named = os.fsencode(folder).decode("utf-8", "backslashreplace")
        raise UsageError(
            f"the path {named} is not text in UTF-8; give the folder another name, or work in another"
        ) from None


def _nearest(here: Path) -> Path:
    for folder in (here, *here.parents):
        if (folder / NAME).is_dir():
            return folder / NAME
    return here / NAME


def _move_into(path: Path, target: Path) -> None:
    """Move a file or folder; what a folder of that name has meanwhile stays in it."""
    if not target.is_dir():
        os.replace(path, target)
        return
    for inner in list(path.iterdir()):
        os.replace(inner, target / inner.name)
    path.rmdir()


_FULL_SYNC: int = getattr(fcntl, "F_FULLFSYNC", -1)


def write_whole(path: Path, text: str, *, durable: bool = False) -> None:
    """Write a file aside and swap it in, so that nobody ever reads half of it; `durable`: synced to disk first."""
    write_whole_bytes(os.fspath(path), text.encode("utf-8", "replace"), durable=durable)


def write_whole_bytes(path: str, data: bytes, *, durable: bool = False) -> None:
    """`write_whole` for bytes."""
    aside = f"{path}.{os.getpid()}~"
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        write_all(descriptor, data)
        if durable:
            sync(descriptor)
    except OSError:
        os.close(descriptor)
        os.unlink(aside)
        raise
    os.close(descriptor)
    os.replace(aside, path)


def show_same(path: str, shown: str) -> None:
    """Let `shown` be the file at `path` too; a copy, where the file system knows no second name for a file."""
    aside = f"{shown}.{os.getpid()}~"
    try:
        with suppress(FileExistsError):
            os.link(path, shown)
            return
        os.link(path, aside)
    except OSError:
        with open(path, "rb") as file:
            write_whole_bytes(shown, file.read())
        return
    os.replace(aside, shown)


def write_all(descriptor: int, data: bytes) -> None:
    """os.write until all is written: on a disk that fills up the first call writes a part and says nothing."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def sync(descriptor: int) -> None:
    """Have what was written to a file on disk when this returns, as far as the machine can promise it.

    macOS has no fdatasync, and its fsync leaves the data in the drive's own memory; the full sync is for that.
    """
    if hasattr(os, "fdatasync"):
        os.fdatasync(descriptor)
        return
    try:
        fcntl.fcntl(descriptor, _FULL_SYNC)
    except OSError:
        os.fsync(descriptor)


def sync_folder(path: Path) -> None:
    """Make the names in a folder survive a power loss."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn an OSError into an error that says what could not be done and what to do about it."""
    try:
        yield
    except OSError as error:
        hint = _HINTS.get(error.errno or 0, "")
        named = isinstance(error.filename, str) and error.filename not in what
        where = f"{error.filename}: " if named else ""
        raise EnvironmentProblem(f"{what}: {where}{error.strerror or error}{hint}") from error


_HINTS = {
    errno.ENOSPC: "; free some space and type the command again: nothing that was recorded is lost",
    errno.EDQUOT: "; free some space and type the command again: nothing that was recorded is lost",
    errno.EROFS: "; choose a writable place with --workspace DIR",
    errno.EACCES: "; check the owner and the permissions, or choose another place with --workspace DIR",
    errno.EPERM: "; check the owner and the permissions, or choose another place with --workspace DIR",
}
