"""Worker files: what is read from them, and what is said about those that cannot be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator.core.workers import WorkerType
from orchestrator.edges.workerfile import LARGEST_FILE, Wrong, name_of, read

WHOLE = """\
---
name: reviewer
description: Reviews: what was changed, and why   # as people write it
tools:
  - Read
  - Bash(git log *, git diff *)
disallowedTools: WebFetch
model: inherit
permissionMode: dontAsk
color: blue
hooks: {PreToolUse: [{matcher: Bash}]}
---

# Role

Review it.
"""


def written(folder: Path, text: str | bytes, name: str = "reviewer.md") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def complaint(folder: Path, text: str | bytes) -> str:
    """What is said about such a file, without its folder."""
    with pytest.raises(Wrong) as caught:
        read(written(folder, text), folder)
    return str(caught.value).replace(f"{folder}/", "")


def test_a_subagent_of_claude_code_is_a_worker_type(tmp_path: Path) -> None:
    assert read(written(tmp_path, WHOLE), tmp_path) == WorkerType(
        name="reviewer",
        description="Reviews: what was changed, and why   # as people write it",
        tools=("Read", "Bash(git log *, git diff *)"),
        denied=("WebFetch",),
        permission_mode="dontAsk",
        prompt="# Role\n\nReview it.",
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("---\n", "---  \n"),
    ],
    ids=["byte order mark", "windows line ends", "blanks behind the marks"],
)
def test_a_file_of_another_editor_reads_the_same(tmp_path: Path, change: object) -> None:
    assert callable(change)
    assert read(written(tmp_path, change(WHOLE)), tmp_path) == read(written(tmp_path, WHOLE), tmp_path)


@pytest.mark.parametrize(
    ("line", "description"),
    [
        ("description: Use it when: always", "Use it when: always"),
        ("description: *important* work", "*important* work"),
        ('description: @all, `x` & "y" \\n', '@all, `x` & "y" \\n'),
        ("description: 'quoted: it''s'", "quoted: it's"),
        ("description: >\n  two\n  lines", "two lines\n"),
        ("description:", ""),
    ],
)
def test_descriptions_are_taken_as_people_write_them(tmp_path: Path, line: str, description: str) -> None:
    found = read(written(tmp_path, f"---\n{line}\n---\nGo.\n"), tmp_path)
    assert (found.name, found.description, found.prompt) == ("reviewer", description, "Go.")


def test_nothing_below_the_front_matter_is_front_matter(tmp_path: Path) -> None:
    found = read(written(tmp_path, "---\nname: a\n---\n---\ntools: Bash\n---\nx"), tmp_path)
    assert (found.tools, found.prompt) == (None, "---\ntools: Bash\n---\nx")
    assert read(written(tmp_path, "---\nname: a\n---"), tmp_path).prompt == ""


def test_what_a_terminal_would_obey_is_taken_out(tmp_path: Path) -> None:
    assert (
        read(written(tmp_path, "---\nname: a\n---\nred \x1b[31mred\x00\n"), tmp_path).prompt
        == "red red\ufffd"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "reviewer.md:1: no front matter"),
        ("# Just a text\n", "reviewer.md:1: no front matter"),
        ("---\nname: a\n", "reviewer.md:1: no front matter"),
        ("\n---\nname: a\n---\n", "reviewer.md:1: no front matter"),
        ("---\n---\n", "reviewer.md:2: front matter is a map"),
        ("---\n- a\n---\n", "reviewer.md:2: front matter is a map"),
        ("---\nname: a\ntools: [Read\n---\n", "reviewer.md:4: not valid YAML"),
        ("---\nname: a\ntools: [*all]\n---\n", "reviewer.md:3: the alias '*all' is not supported"),
        ("---\nname: a\nmodel: x\nname: b\n---\n", "reviewer.md:4: the key 'name' stands here twice"),
        ("---\nname: Code Reviewer\n---\n", "reviewer.md:2: name: 'Code Reviewer' cannot be one"),
        ("---\nname: a\npermissionMode: all\n---\n", "reviewer.md:3: permissionMode: 'all' is not one of"),
        (b"---\nname: a\nmodel: \xff\n---\n", "reviewer.md:3: byte 19 is not UTF-8"),
        ("---\nname: a\n---\n" + "x" * LARGEST_FILE, "reviewer.md: the file is larger than 64 KB"),
    ],
)
def test_a_bad_file_is_told_with_its_line(tmp_path: Path, text: str | bytes, said: str) -> None:
    assert complaint(tmp_path, text).startswith(said)
    assert "\n" not in complaint(tmp_path, text)


def test_all_that_is_wrong_with_a_file_is_told_at_once(tmp_path: Path) -> None:
    found = complaint(tmp_path, "---\nname: a b\ntools: --x\nmodel: -y\n---\n")
    assert [line[:14] for line in found.split("\n")] == ["reviewer.md:2:", "reviewer.md:3:", "reviewer.md:4:"]


def test_a_bomb_costs_no_more_than_its_bytes(tmp_path: Path) -> None:
    assert "inside each other" in complaint(tmp_path, "---\na: " + "[" * 30_000 + "\n---\n")
    aliases = "".join(f"k{number}: [*a, *a, *a]\n" for number in range(2000))
    assert "not supported" in complaint(tmp_path, f"---\na: &a [x]\n{aliases}---\n")


def test_what_is_no_ordinary_file_is_told_and_nobody_waits_for_it(tmp_path: Path) -> None:
    (tmp_path / "folder.md").mkdir()
    os.mkfifo(tmp_path / "pipe.md")
    (tmp_path / "gone.md").symlink_to(tmp_path / "nothing")
    for name, said in (("folder", "directory"), ("pipe", "not an ordinary file"), ("gone", "No such file")):
        assert name_of(tmp_path / f"{name}.md", tmp_path) == name
        with pytest.raises(Wrong, match=said):
            read(tmp_path / f"{name}.md", tmp_path)


def test_a_link_out_of_the_folder_is_refused_and_one_within_is_followed(tmp_path: Path) -> None:
    folder = tmp_path / "agents"
    (folder / "more").mkdir(parents=True)
    written(tmp_path, WHOLE, "secret.md")
    (folder / "reviewer.md").symlink_to("../secret.md")
    with pytest.raises(Wrong, match=r"reviewer\.md: leads out of its folder; put a copy there"):
        read(folder / "reviewer.md", folder)
    assert name_of(folder / "reviewer.md", folder) == "reviewer"
    written(folder / "more", WHOLE)
    (folder / "same.md").symlink_to("more/reviewer.md")
    assert read(folder / "same.md", folder).name == "reviewer"
    (tmp_path / "linked").symlink_to(folder)
    assert read(tmp_path / "linked" / "same.md", tmp_path / "linked").name == "reviewer"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (WHOLE, "reviewer"),
        ("---\nname: other\n---\n", "other"),
        ("---\r\nname: 'other'  # mine\r\n---\r\n", "other"),
        ("---\ndescription: x\n---\nname: not-me\n", "file"),
        ("# No front matter\nname: not-me\n", "file"),
        ("---\nname:\n---\n", "file"),
        (b"\xff\xfe\x00", "file"),
        ("---\ndescription: " + "x" * 9000 + "\nname: far\n---\n", "far"),
        ("---\ndescription: " + "x" * LARGEST_FILE + "\nname: too-far\n---\n", "file"),
    ],
)
def test_the_name_is_what_the_file_says_else_that_of_the_file(
    tmp_path: Path, text: str | bytes, name: str
) -> None:
    assert name_of(written(tmp_path, text, "file.md"), tmp_path) == name
