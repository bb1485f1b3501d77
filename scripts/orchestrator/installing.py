"""`install` and `uninstall`: the skill where Claude Code finds it, its packages, and the command on the PATH."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from orchestrator import __version__, bootstrap, installer, pathcommand, skillfiles
from orchestrator.core.text import listed
from orchestrator.edges import folderswap
from orchestrator.environment import SetupError
from orchestrator.errors import EnvironmentProblem, UsageError
from orchestrator.skillfiles import Differences, Manifest, Source

NOTHING = Differences([], [], [])
AGAIN = "`install` from a clone or a package"


class Places(NamedTuple):
    """Where things go for this user, or for one project of theirs."""

    skill: Path
    settings: Path
    command: Path
    search: str
    """The PATH."""
    project: bool


class Installed(NamedTuple):
    """What `install` came to; `notes` are for the user too, but not the answer."""

    lines: list[str]
    notes: list[str]


def places(variables: Mapping[str, str], project: Path | None) -> Places:
    """The places of the user of `variables`, or of the project in the folder `project`.

    Raises:
        EnvironmentProblem: there is no home folder.
    """
    home = Path(os.path.expanduser("~"))
    if not home.is_dir():
        raise EnvironmentProblem(f"there is no home folder {home}; HOME=FOLDER names another")
    config = project / ".claude" if project else Path(variables.get("CLAUDE_CONFIG_DIR") or home / ".claude")
    return Places(
        skill=config.absolute() / "skills" / skillfiles.NAME,
        settings=config.absolute() / "settings.json",
        command=home / ".local" / "bin" / pathcommand.NAME,
        search=variables.get("PATH", ""),
        project=project is not None,
    )


def rule(where: Places) -> str:
    """The permission rule under which a session runs every command of the skill without a question."""
    found = pathcommand.first(where.search)
    by_name = found is not None and pathcommand.is_ours(found)
    return f"Bash({pathcommand.NAME if by_name else f'python3 {where.skill / skillfiles.ENTRY}'} *)"


def install(source: Source, where: Places, *, link: bool, packages: bool = True) -> Installed:
    """Put the skill there, as a copy or as a link to the clone, with its packages and its command.

    Raises:
        UsageError: a link to something that is not a clone.
        EnvironmentProblem: something stands in the way; what was there before is as it was.
    """
    if link and source.packed:
        raise UsageError("--link is for a clone of the repository: this program came as a package")
    notes = [] if packages else ["the packages were not set up: ORCHESTRATE_NO_SETUP"]
    if packages:
        _set_up(source)
    with _explained(f"cannot install at {where.skill}; what was there is as it was"):
        if where.skill.exists() and where.skill.resolve() == source.root.resolve():
            how = "this very folder"
            notes += _not_renewed(where.skill)
        elif link:
            how = _link(source, where.skill)
        else:
            how = _copy(source, where, notes)
    notes += _command(where)
    return Installed([f"skill: {where.skill} ({__version__}, {how})", *_advice(where)], notes)


def _advice(where: Places) -> Iterator[str]:
    command = pathcommand.first(where.search) or where.command
    yield f"command: {command if pathcommand.is_ours(command) else 'none'}"
    yield f'permission rule, for "permissions": {{"allow": […]}} in {where.settings}:'
    yield f'  "{rule(where)}"'


def _set_up(source: Source) -> None:
    try:
        environment = bootstrap.private_environment(str((source.root / skillfiles.LOCK).parent))
        installer.make(environment, "orchestrate")
    except SetupError as error:
        raise EnvironmentProblem(f"{error}; nothing was installed") from error


def _link(source: Source, skill: Path) -> str:
    with folderswap.held(skill) as aside:
        _expect_ours(skill)
        old = _manifest(skill)
        if old and (theirs := skillfiles.differences(skill, old).theirs):
            raise EnvironmentProblem(f"{skill} holds files of yours: {listed(theirs)}; move them away first")
        new = aside / "new"
        new.symlink_to(source.root.resolve(), target_is_directory=True)
        folderswap.swap(new, skill, aside)
    return f"a link to {source.root}"


def _copy(source: Source, where: Places, notes: list[str]) -> str:
    skill = where.skill
    made = [*_missing_folders(skill.parent), *_missing_folders(where.command.parent)]
    with folderswap.held(skill) as aside:
        _expect_ours(skill)
        old = _manifest(skill)
        found = skillfiles.differences(skill, old) if old else NOTHING
        if old and not found.changed and not found.missing and old.files == skillfiles.hashes(source.files):
            return "as it was"
        new = aside / "new"
        files = skillfiles.copy(source.files, new)
        notes += _carry_over(skill, new, found)
        skillfiles.write_manifest(new, files, old.made if old else made)
        folderswap.swap(new, skill, aside)
    return f"{len(files)} files" + (f", in place of {old.version}" if old else "")


def _not_renewed(skill: Path) -> Iterator[str]:
    """What a copy cannot put right of itself: it holds nothing to copy from."""
    old = _manifest(skill)
    found = skillfiles.differences(skill, old) if old else NOTHING
    if wrong := [*found.missing, *found.changed]:
        yield f"not as they were installed: {listed(wrong)}; {AGAIN} renews them"


def _manifest(skill: Path) -> Manifest | None:
    return None if skill.is_symlink() else skillfiles.read_manifest(skill)


def _expect_ours(skill: Path) -> None:
    if os.path.lexists(skill) and not _is_ours(skill):
        clone = " and is a clone, which git pull renews" if (skill / ".git").exists() else ""
        raise EnvironmentProblem(
            f"{skill} was not put there by `orchestrate install`{clone}; move it away first"
        )


def _is_ours(skill: Path) -> bool:
    """Whether `install` may have put it there; a link that leads nowhere is nobody's, and may go."""
    if skill.is_symlink():
        return not skill.exists() or skillfiles.is_skill(skill)
    return skillfiles.read_manifest(skill) is not None


def _carry_over(skill: Path, new: Path, found: Differences) -> Iterator[str]:
    """Copy what is the user's into the new copy; says under which names what they changed is now."""
    for name in found.theirs:
        kept = name
        while os.path.lexists(new / kept):
            kept += ".yours"
        (new / kept).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(skill / name, new / kept, follow_symlinks=False)
        if kept != name:
            yield f"{name} is not as it was installed: your version is now {kept}"


def _missing_folders(folder: Path) -> list[str]:
    return [str(path) for path in (folder, *folder.parents) if not path.exists()]


def _command(where: Places) -> list[str]:
    """Put the command there, unless what is there is somebody else's; what the user should know of it."""
    path, script = where.command, where.skill / skillfiles.ENTRY
    there = pathcommand.leads_to(path)
    if there is None and os.path.lexists(path):
        whose = "is that of a package" if pathcommand.is_of_a_package(path) else "is none of ours"
        return [f"{path} {whose}: it was left alone"]
    if where.project and there not in (None, script) and os.path.exists(there or ""):
        return [f"{path} still leads to {there}"]
    try:
        pathcommand.write(path, script)
    except OSError as error:
        return [f"no command at {path}: {error.strerror}; python3 {script} does the same"]
    found = pathcommand.first(where.search)
    if found is None:
        return [f"{path.parent} is not on the PATH: add it, or type python3 {script}"]
    return [] if pathcommand.is_ours(found) else [f"{found} is another program, and comes first on the PATH"]


def uninstall(where: Places) -> list[str]:
    """Remove what `install` put there and nothing else; says what was removed and what was kept.

    Raises:
        EnvironmentProblem: something cannot be removed.
    """
    with _explained(f"cannot remove all of {where.skill}: type the command again"):
        lines, made = _remove(where.skill)
        lines += _remove_command(where)
        for folder in map(Path, made):
            around = folder in (*where.skill.parents, *where.command.parents)
            if around and folder.is_dir() and not os.listdir(folder):
                folder.rmdir()
    return [*lines, *_packages_left()]


def _packages_left() -> list[str]:
    with suppress(SetupError):
        cache = Path(bootstrap.cache_folder()) / skillfiles.NAME
        if cache.exists():
            return [f"kept the packages in {cache}: a cache, which other copies may use"]
    return []


def _remove(skill: Path) -> tuple[list[str], list[str]]:
    """What to say, and the folders that had been made."""
    if not os.path.lexists(skill):
        return [f"nothing is installed at {skill}"], []
    if not _is_ours(skill):
        return [f"kept {skill}, which `orchestrate install` did not put there"], []
    with folderswap.held(skill) as aside:
        old = _manifest(skill)
        theirs = skillfiles.differences(skill, old).theirs if old else []
        if old and theirs:
            _remove_ours(skill, old, theirs)
        else:
            folderswap.take_away(skill, aside)
    kept = (
        f", but not what is yours: {listed(theirs)}; move that away before you install again"
        if theirs
        else ""
    )
    return [f"removed {skill}{kept}"], old.made if old else []


def _remove_ours(skill: Path, old: Manifest, theirs: list[str]) -> None:
    for name in old.files.keys() - set(theirs):
        (skill / name).unlink(missing_ok=True)
    for folder, _, _ in os.walk(skill, topdown=False):
        if os.path.basename(folder) == skillfiles.GENERATED:
            shutil.rmtree(folder)
        elif not os.listdir(folder):
            os.rmdir(folder)
    (skill / skillfiles.MANIFEST).unlink()


def _remove_command(where: Places) -> list[str]:
    if not os.path.lexists(where.command):
        return []
    there = pathcommand.leads_to(where.command)
    if there == where.skill / skillfiles.ENTRY:
        where.command.unlink()
        return [f"removed {where.command}"]
    changed = (
        "is that of a package"
        if pathcommand.is_of_a_package(where.command)
        else "is not as `install` writes it"
    )
    what = f"leads to {there}" if there else changed
    return [f"kept {where.command}, which {what}"]


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        raise EnvironmentProblem(f"{what}: {place}{error.strerror or error}") from error
