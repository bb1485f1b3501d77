from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.edges import changes


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("keep.txt", "src/a.py", "docs/a.md", "src/__pycache__/a.pyc", ".git/index"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("before")
    return tmp_path


def found(project: Path, act: Callable[[], object]) -> tuple[str, ...]:
    before = changes.look(str(project))
    assert before is not None
    act()
    return changes.outside(before, str(project), ["docs/**"])


def test_whatever_becomes_of_a_file_is_seen(project: Path) -> None:
    keep = project / "keep.txt"
    assert found(project, lambda: None) == ()
    assert found(project, lambda: keep.write_text("after")) == ("keep.txt",)
    assert found(project, lambda: keep.chmod(0o755)) == ("keep.txt",)
    assert found(project, lambda: keep.rename(project / "moved.txt")) == ("keep.txt", "moved.txt")
    assert found(project, lambda: (project / "moved.txt").unlink()) == ("moved.txt",)
    assert found(project, lambda: (project / "link").symlink_to("src")) == ("link",)
    assert found(project, lambda: (project / "src" / "new.py").touch()) == ("src/new.py",)


def test_what_a_task_may_write_and_what_commands_leave_behind_is_passed_over(project: Path) -> None:
    def act() -> None:
        for name in ("docs/a.md", "docs/new.md", "src/__pycache__/a.pyc", ".git/index"):
            (project / name).write_text("after")

    assert found(project, act) == ()


def test_a_file_of_the_same_size_that_took_the_place_of_another_is_another(project: Path) -> None:
    keep = project / "keep.txt"
    times = (keep.stat().st_atime_ns, keep.stat().st_mtime_ns)

    def act() -> None:
        (project / "other").write_text("behind")
        os.utime(project / "other", ns=times)
        (project / "other").replace(keep)

    assert found(project, act) == ("keep.txt",)


def test_a_project_of_many_files_is_not_looked_at(project: Path) -> None:
    for number in range(changes.MOST_FILES):
        (project / "src" / str(number)).touch()
    assert changes.look(str(project)) is None


def test_a_project_that_grows_too_large_meanwhile_names_nothing(project: Path) -> None:
    def act() -> None:
        for number in range(changes.MOST_FILES):
            (project / "src" / str(number)).touch()

    assert found(project, act) == ()


def test_a_folder_that_cannot_be_read_hides_only_what_is_in_it(project: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("nothing is closed to root")
    (project / "src").chmod(0)
    try:
        assert found(project, lambda: (project / "keep.txt").unlink()) == ("keep.txt",)
    finally:
        (project / "src").chmod(0o755)


def test_a_file_a_thousand_folders_deep_is_seen(project: Path) -> None:
    folders = ["/".join(["d"] * depth) for depth in range(1, 1201)]
    for folder in folders:
        (project / folder).mkdir()
    try:
        assert found(project, (project / folders[-1] / "new").touch) == (f"{folders[-1]}/new",)
    finally:
        # What clears temporary folders away calls itself for each of them.
        subprocess.run(["rm", "-rf", str(project / "d")], check=True)
