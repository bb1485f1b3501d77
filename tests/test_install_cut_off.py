"""`install` in the way of others, cut off, and without room: a whole copy is left."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from installation import User, tree, version_of

from orchestrator import __version__, skillfiles
from orchestrator.edges import folderswap
from orchestrator.installing import install, places
from orchestrator.skillfiles import ENTRY, MANIFEST

ROOT = Path(__file__).resolve().parent.parent


def test_where_a_file_finds_no_room_the_older_copy_stays_whole(user: User, older: Path) -> None:
    user.orchestrate("install", root=older)
    # Python would keep compiled files that the limit cuts off, and every later command would stumble over them.
    command = shlex.join([sys.executable, str(ROOT / ENTRY), "install"])
    limited = f"export PYTHONDONTWRITEBYTECODE=1; ulimit -f 8; exec {command}"

    done = user.type("/bin/sh", "-c", limited)

    assert done.status == 5
    assert "what was there is as it was" in done.err
    assert version_of(user.skill) == "0.0.9"
    assert os.listdir(user.skill.parent) == [skillfiles.NAME]


def test_two_at_once_leave_one_whole_copy(user: User, older: Path) -> None:
    roots = [ROOT, older] * 3

    started = [user.start(sys.executable, root / ENTRY, "install") for root in roots]
    ends = [(process.communicate(timeout=120), process.returncode) for process in started]

    assert [status for _, status in ends] == [0] * len(roots), ends
    assert version_of(user.skill) in (__version__, "0.0.9")
    assert os.listdir(user.skill.parent) == [skillfiles.NAME]
    assert user.installed("--version").status == 0


Upgrade = Callable[[], None]


@pytest.fixture
def upgrade(user: User, older: Path, monkeypatch: pytest.MonkeyPatch) -> Upgrade:
    """Replaces 0.0.9 by this version in this very process."""
    user.orchestrate("install", root=older)
    for name, value in user.variables.items():
        monkeypatch.setenv(name, value)

    def upgraded() -> None:
        install(skillfiles.source(), places(user.variables, None), link=False, packages=False)

    return upgraded


def dies_before(event: str, number: int, what: Upgrade) -> bool:
    """Whether `what` comes to a certain event of Python's audit, and there its process ends without a word."""
    if not (pid := os.fork()):
        left = number

        def count(name: str, _: object) -> None:
            nonlocal left
            left -= name == event
            if left < 0:
                os._exit(9)

        sys.addaudithook(count)
        what()
        os._exit(0)
    return os.waitpid(pid, 0)[1] != 0


BEFORE_THE_SWAP = [("open", 0), ("os.mkdir", 0), ("open", 300), ("os.mkdir", 5), ("ctypes.dlsym", 0)]


AFTER_THE_SWAP = [("shutil.rmtree", 0), ("os.remove", 90), ("os.rmdir", 0)]


def test_a_crash_before_the_swap_leaves_the_old_copy_whole(user: User, upgrade: Upgrade) -> None:
    for event, number in BEFORE_THE_SWAP:
        assert dies_before(event, number, upgrade), (event, number)
        assert version_of(user.skill) == "0.0.9"

    upgrade()
    assert version_of(user.skill) == __version__
    assert os.listdir(user.skill.parent) == [skillfiles.NAME]


@pytest.mark.parametrize(("event", "number"), AFTER_THE_SWAP)
def test_a_crash_after_the_swap_leaves_the_new_copy_whole(
    user: User, upgrade: Upgrade, event: str, number: int
) -> None:
    assert dies_before(event, number, upgrade)
    assert version_of(user.skill) == __version__

    upgrade()
    assert os.listdir(user.skill.parent) == [skillfiles.NAME]


def test_where_names_cannot_be_exchanged_a_crash_in_between_is_put_right_by_the_next(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "old").touch()

    def dies(one: Path, other: Path) -> bool:
        shutil.rmtree(one)
        return False

    def replaced() -> None:
        with folderswap.held(target) as aside:
            (aside / "new").mkdir()
            folderswap.swap(aside / "new", target, aside, exchange=dies)

    with pytest.raises(FileNotFoundError):
        replaced()

    assert os.listdir(target) == ["old"]
    assert os.listdir(tmp_path) == ["target"]


def test_where_names_cannot_be_exchanged_the_folder_is_replaced_all_the_same(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "old").touch()

    with folderswap.held(target) as aside:
        (aside / "new").mkdir()
        folderswap.swap(aside / "new", target, aside, exchange=lambda one, other: False)

    assert os.listdir(target) == []
    assert os.listdir(tmp_path) == ["target"]


def test_a_process_that_died_between_the_two_names_is_put_right(tmp_path: Path) -> None:
    aside = tmp_path / ".target.setup"
    (aside / folderswap.OLD).mkdir(parents=True)

    with folderswap.held(tmp_path / "target"):
        assert (tmp_path / "target").is_dir()


@pytest.mark.parametrize(
    ("change", "status"),
    [({"format": 2}, 5), ({"files": {"../../../elsewhere": "0"}}, 5), ({"files": {"/etc/passwd": "0"}}, 5)],
)
def test_a_manifest_that_is_newer_or_names_what_lies_elsewhere_is_not_followed(
    user: User, change: dict[str, object], status: int
) -> None:
    user.orchestrate("install")
    path = user.skill / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    before = tree(user.skill)

    done = user.orchestrate("install")
    user.orchestrate("uninstall")

    assert done.status == status
    assert tree(user.skill) == before
