"""What proves that an artifact was made."""

from __future__ import annotations

import os
from glob import glob
from pathlib import Path

import pytest

from orchestrator.edges import artifacts


def problems(project: Path, *patterns: str, before: artifacts.Seen | None = None) -> tuple[str, ...]:
    return artifacts.problems(str(project), patterns, before or {})


def test_a_file_that_was_made_proves_the_work(tmp_path: Path) -> None:
    (tmp_path / "out.txt").write_text("x")
    assert problems(tmp_path, "out.txt") == ()


@pytest.mark.parametrize("pattern", ["out.txt", "out/*.txt", "**/*.txt"])
def test_a_missing_artifact_is_a_problem(tmp_path: Path, pattern: str) -> None:
    assert problems(tmp_path, pattern) == (f"artifact {pattern} is missing",)


def test_an_empty_artifact_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "out.txt").touch()
    assert problems(tmp_path, "out.txt") == ("artifact out.txt is empty",)


def test_an_artifact_as_it_was_before_is_a_problem_even_when_touched(tmp_path: Path) -> None:
    (tmp_path / "out.txt").write_text("x")
    before = artifacts.look(str(tmp_path), ["out.txt"])
    os.utime(tmp_path / "out.txt", (0, 0))
    assert problems(tmp_path, "out.txt", before=before) == (
        "artifact out.txt is as it was before the first attempt",
    )
    (tmp_path / "out.txt").write_text("y")
    assert problems(tmp_path, "out.txt", before=before) == ()


def test_one_new_file_among_old_ones_proves_the_work(tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_text("x")
    before = artifacts.look(str(tmp_path), ["*.txt"])
    (tmp_path / "new.txt").write_text("x")
    assert problems(tmp_path, "*.txt", before=before) == ()


def test_each_pattern_must_be_met(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    assert problems(tmp_path, "a", "b") == ("artifact b is missing",)


def test_what_lies_outside_the_project_proves_nothing(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "secret").write_text("x")
    (project / "link").symlink_to(tmp_path / "secret")
    assert problems(project, "link") == ("artifact link is no file inside the project folder",)
    assert problems(project, str(tmp_path / "secret")) != ()


def test_a_folder_or_a_pipe_is_no_artifact(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    assert problems(tmp_path, "folder", "pipe") == (
        "artifact folder is no file inside the project folder",
        "artifact pipe is no file inside the project folder",
    )


def test_files_of_the_workspace_and_of_git_prove_nothing(tmp_path: Path) -> None:
    for name in (".orchestrator/results", ".git"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "x.md").write_text("x")
    assert problems(tmp_path, "**/*.md") == ("artifact **/*.md is missing",)
    assert artifacts.matching(str(tmp_path), ["**/*"]) == ()


def test_a_link_to_nothing_is_missing(tmp_path: Path) -> None:
    (tmp_path / "gone").symlink_to(tmp_path / "nothing")
    assert problems(tmp_path, "gone") == ("artifact gone is missing",)


def test_a_file_that_cannot_be_read_proves_nothing() -> None:
    assert artifacts.look("/proc/self", ["mem"]) == {"mem": (0, "")}
    assert problems(Path("/proc/self"), "mem") == ("artifact mem is empty",)


def test_the_names_of_artifacts_are_sorted_and_told_once(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt"):
        (tmp_path / name).write_text(name)
    assert artifacts.matching(str(tmp_path), ["*.txt", "a*"]) == ("a.txt", "b.txt")


def test_what_was_seen_is_kept_for_the_same_patterns_only(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    seen = artifacts.look(str(tmp_path), ["a"])
    data = artifacts.dump(["a"], seen)
    assert artifacts.load(data, ["a"]) == seen
    assert artifacts.load(data, ["b"]) is None


def test_links_that_lead_upwards_are_not_followed_for_ever(tmp_path: Path) -> None:
    for name in ("a/b", "c"):
        (tmp_path / name).mkdir(parents=True)
        for link in range(3):
            (tmp_path / name / f"link-{link}").symlink_to(tmp_path)
    (tmp_path / "a" / "b" / "out.txt").write_text("x")
    assert artifacts.matching(str(tmp_path), ("**/out.txt", "**/**/*.txt", "a/**", "**/")) == ("a/b/out.txt",)
    assert artifacts.matching(str(tmp_path), ("c/link-0/a/b/*.txt",)) == ("c/link-0/a/b/out.txt",)


@pytest.mark.parametrize(
    "pattern", ["**", "**/*", "a/**/*.txt", "**/b/**", "*/**/out.txt", "**/b/*", "./a/b/**"]
)
def test_two_stars_stand_for_any_folders_and_none(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "a" / "b" / ".c").mkdir(parents=True)
    for place in ("a/out.txt", "a/b/out.txt", "a/b/.c/out.txt"):
        (tmp_path / place).write_text("x")
    found = glob(pattern, root_dir=tmp_path, recursive=True, include_hidden=True)
    expected = sorted({os.path.normpath(name) for name in found if (tmp_path / name).is_file()})
    assert artifacts.matching(str(tmp_path), (pattern,)) == tuple(expected)
