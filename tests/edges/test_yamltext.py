"""Text written into a plan file."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.edges.yamltext import comment, yaml_text


@given(st.text(max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_text_written_reads_back(text: str) -> None:
    in_a_file = "".join("\ufffd" if "\ud800" <= letter <= "\udfff" else letter for letter in text)
    document = f"outer:\n  key: {yaml_text(text, 2)}\n  next: x\n"
    assert yaml.load(document, yaml.BaseLoader) == {"outer": {"key": in_a_file, "next": "x"}}


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain words", "plain words"),
        ("a: b", '"a: b"'),
        ("null", '"null"'),
        ("two\nlines", "|-\n  two\n  lines"),
        ("two\n\nlines\n", "|\n  two\n\n  lines"),
        ("\x1b[31m", '"\\u001b[31m"'),
    ],
)
def test_text_is_written_as_readably_as_is_safe(text: str, written: str) -> None:
    assert yaml_text(text) == written


def test_a_comment_is_one_line() -> None:
    assert comment("a\n# b\x1b \u2028c") == "a # b c"
