from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment, FileSystemLoader, nodes

from orchestrator.edges.compiled import Compiled


class Counting(Environment):
    """Counts how often something is compiled."""

    compiled = 0

    def _generate(self, source: nodes.Template, *rest: Any, **how: Any) -> str:
        type(self).compiled += 1
        return super()._generate(source, *rest, **how)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    (tmp_path / "greeting.md.j2").write_text("Hello {{ name }}\n", encoding="utf-8")
    return tmp_path


def rendered(folder: Path, **options: Any) -> tuple[str, int]:
    """What a new process would make of the template, and how often it would compile it."""

    class Environments(Counting):
        pass

    environment = Environments(loader=FileSystemLoader(folder), bytecode_cache=Compiled(options), **options)
    return environment.get_template("greeting.md.j2").render(name="Ada"), Environments.compiled


def kept(folder: Path) -> Path:
    return next((folder / "__pycache__").iterdir())


def test_a_template_is_compiled_once(folder: Path) -> None:
    assert rendered(folder) == ("Hello Ada", 1)
    assert rendered(folder) == ("Hello Ada", 0)


def test_a_changed_template_is_compiled_again(folder: Path) -> None:
    rendered(folder)
    (folder / "greeting.md.j2").write_text("Goodbye {{ name }}\n", encoding="utf-8")
    assert rendered(folder) == ("Goodbye Ada", 1)


def test_a_template_is_compiled_again_for_other_options(folder: Path) -> None:
    rendered(folder)
    assert rendered(folder, keep_trailing_newline=True) == ("Hello Ada\n", 1)


@pytest.mark.parametrize("damage", [b"", b"garbage", b"\0" * 4096])
def test_what_is_no_compiled_template_counts_as_none(folder: Path, damage: bytes) -> None:
    rendered(folder)
    kept(folder).write_bytes(damage)
    assert rendered(folder) == ("Hello Ada", 1)
    assert rendered(folder) == ("Hello Ada", 0)


def test_a_compiled_template_that_was_cut_is_compiled_again(folder: Path) -> None:
    rendered(folder)
    whole = kept(folder).read_bytes()
    for size in range(len(whole)):
        kept(folder).write_bytes(whole[:size])
        assert rendered(folder) == ("Hello Ada", 1)


def test_where_nothing_can_be_kept_it_is_compiled_each_time(folder: Path) -> None:
    (folder / "__pycache__").write_text("in the way", encoding="utf-8")
    assert rendered(folder) == ("Hello Ada", 1)
    assert rendered(folder) == ("Hello Ada", 1)


def test_python_told_to_keep_no_compiled_files_keeps_no_templates(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    rendered(folder)
    assert not (folder / "__pycache__").exists()
