"""Names and files under .orchestrator/."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

import pytest

from orchestrator.edges import workspace as edge
from orchestrator.edges.workspace import Workspace, explained, write_whole
from orchestrator.errors import EnvironmentProblem, UsageError


def files(folder: Path) -> set[str]:
    """Every file under a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_nearest_workspace_upwards_is_found(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / ".orchestrator").mkdir()
    assert Workspace.find(None, inner).root == tmp_path / ".orchestrator"


def test_without_a_workspace_one_is_made_here(tmp_path: Path) -> None:
    found = Workspace.find(None, tmp_path)
    assert found.root == tmp_path / ".orchestrator"
    assert found.project_folder(tmp_path / "elsewhere") == tmp_path


def test_a_workspace_named_otherwise_works_in_the_current_folder(tmp_path: Path) -> None:
    found = Workspace.find(Path("runs/one"), tmp_path)
    assert found.root == tmp_path / "runs" / "one"
    assert found.project_folder(tmp_path) == tmp_path


@pytest.mark.parametrize("name", [".claude/x", ".git/x", ".claude/.orchestrator"])
def test_a_workspace_is_never_in_a_protected_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="protects"):
        Workspace.find(Path(name), tmp_path)


def test_a_new_workspace_is_private_and_ignored_by_git(tmp_path: Path) -> None:
    found = Workspace.find(None, tmp_path)
    found.create()
    found.create()
    assert files(found.root) == {".gitignore"}
    assert (found.root / ".gitignore").read_text() == "*\n"
    assert {path.stat().st_mode & 0o777 for path in (found.root, found.inbox)} == {0o700}


def test_an_archived_run_leaves_an_empty_workspace_and_the_plan(tmp_path: Path) -> None:
    found = Workspace.find(None, tmp_path)
    found.create()
    for path in (found.plan_file, found.journal, found.result(1), found.agent_task(1), found.final_output):
        path.write_text(path.name)
    target = found.archive_run("R-1")
    assert files(target) == {
        "plan.yaml", "journal.jsonl", "results/agent-01-result.md", "agent_tasks/agent-01.md", "final_output.md",
    }  # fmt: skip
    assert files(found.root) - {f"archive/R-1/{name}" for name in files(target)} == {
        ".gitignore",
        "plan.yaml",
    }
    assert found.archived_journals() == [target / "journal.jsonl"]


def test_two_archived_runs_never_share_a_folder(tmp_path: Path) -> None:
    found = Workspace.find(None, tmp_path)
    found.create()
    found.journal.write_text("one")
    first = found.archive_run("R-1")
    found.journal.write_text("two")
    second = found.archive_run("R-1")
    assert [(path / "journal.jsonl").read_text() for path in (first, second)] == ["one", "two"]


@pytest.mark.parametrize("moved", range(7))
def test_an_archiving_that_was_cut_off_is_taken_back_while_the_journal_is_there(
    tmp_path: Path, moved: int
) -> None:
    found = Workspace.find(None, tmp_path)
    found.create()
    for path in (found.plan_file, found.journal, found.result(1), found.agent_task(1), found.final_output):
        path.write_text(path.name)
    before = files(found.root)
    aside = found.archive / "R-1~"
    aside.mkdir(parents=True)
    for name in ("agent_tasks", "results", "attempts", "inbox", "final_output.md")[:moved]:
        os.replace(found.root / name, aside / name)
    if moved == 6:
        (aside / "plan.yaml").write_text("plan.yaml")
    found.create()
    (found.inbox / "order.json").write_text("handed in meanwhile")
    found.finish_archiving()
    assert files(found.root) == before | {"inbox/order.json"}
    assert not aside.exists()
    assert found.plan_file.read_text() == "plan.yaml"


def test_an_archiving_that_was_cut_off_is_ended_once_the_journal_has_gone(tmp_path: Path) -> None:
    found = Workspace.find(None, tmp_path)
    aside = found.archive / "R-1~"
    aside.mkdir(parents=True)
    (aside / "journal.jsonl").write_text("x")
    found.finish_archiving()
    assert found.archived_journals() == [found.archive / "R-1" / "journal.jsonl"]


def test_a_file_is_swapped_in_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "view.md"
    write_whole(path, "before")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="large"):
            write_whole(path, "x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_text() == "before"
    assert files(tmp_path) == {"view.md"}
    assert path.stat().st_mode & 0o777 == 0o600


def test_all_is_written_however_little_each_call_takes(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reader)
        edge.write_all(writer, b"x" * 1_000_000)
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as file:
        assert len(file.read()) == 1_000_000
    os.waitpid(pid, 0)


@pytest.mark.parametrize(
    ("number", "hint"),
    [(errno.ENOSPC, "free some space"), (errno.EROFS, "--workspace"), (errno.EACCES, "owner")],
)
def test_an_error_of_the_disk_says_what_to_do(number: int, hint: str) -> None:
    with (
        pytest.raises(EnvironmentProblem, match=f"cannot write to X: .*{hint}") as raised,
        explained("cannot write to X"),
    ):
        raise OSError(number, os.strerror(number))
    assert raised.value.exit_code == 5
