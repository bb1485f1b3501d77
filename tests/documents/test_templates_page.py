"""templates.md is compared with the templates and with what the program makes of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pages import TEMPLATES, blocks, rows, section, uses, with_samples
from samples import samples

from orchestrator.edges import workerfile
from orchestrator.edges.templates import templates_folder

TEXT = TEMPLATES.read_text(encoding="utf-8")
NAMES = sorted(path.name for path in templates_folder().iterdir() if path.suffix == ".j2")


def test_every_template_is_there_and_no_other() -> None:
    assert re.findall(r"^## `(.+\.j2)`$", TEXT, re.M) == NAMES == list(samples())
    table = rows(TEXT[: TEXT.index("## Worker types")])
    assert sorted(name for row in table for name in re.findall(r"`([^`]+)`", row[0])) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_variables_of_a_template_are_those_that_it_uses(name: str) -> None:
    assert uses(name) in section(TEXT, f"## `{name}`"), "run python3 tests/regenerate.py"


@pytest.mark.parametrize("name", NAMES)
def test_the_sample_of_a_template_is_what_the_program_makes(name: str) -> None:
    shown = blocks(section(TEXT, f"## `{name}`"))
    assert [block.body for block in shown] == [samples()[name]], "run python3 tests/regenerate.py"


@pytest.mark.parametrize("name", NAMES)
def test_every_template_says_what_it_is_for(name: str) -> None:
    before = section(TEXT, f"## `{name}`").split("Uses:")[0]
    assert len(before.split()) >= 6


@pytest.mark.parametrize("name", NAMES)
def test_the_comment_of_a_template_names_what_it_uses(name: str) -> None:
    comment = (templates_folder() / name).read_text(encoding="utf-8").split("-#}")[0]
    others = re.search(r"those of (\w+\.md\.j2)", comment)
    if others:
        comment += (templates_folder() / others[1]).read_text(encoding="utf-8").split("-#}")[0]
    known = set(re.findall(r"\w+", comment))
    assert set(re.findall(r"`(\w+)`", uses(name))) - known == set()


def test_writing_it_anew_changes_nothing() -> None:
    assert with_samples(TEXT, samples()) == TEXT, "run python3 tests/regenerate.py"


def test_the_worker_file_that_is_shown_is_one(tmp_path: Path) -> None:
    (shown,) = blocks(section(TEXT, "## Worker types"))
    (tmp_path / "translator.md").write_text(shown.body, encoding="utf-8")
    found = workerfile.read(tmp_path / "translator.md", tmp_path)
    assert found.name == "translator"
    assert found.tools == ("Read", "Grep", "Glob", "Write")
