from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.excerpts import block, cell, cut, item, mermaid_label, names, quote

PARTS = [
    "<!--",
    "</div>",
    "<b",
    "`",
    "```",
    "~~~",
    "\n",
    "\n",
    "  ",
    "    ",
    "- ",
    "1. ",
    "\t",
    "> ",
    "\\",
    "x",
    "<?",
]


@pytest.mark.parametrize(
    "text", ["- a", "+ a", "1. a", "12) a", "===", "---", "# a", "> a", "* a", "[x]: http://a"]
)
def test_an_item_begins_no_structure_of_its_own(text: str) -> None:
    assert re.match(r"^(\d*\\|\\)", item(text))


def test_an_item_keeps_ordinary_words_as_they_are() -> None:
    for text in ("10 rows in 3.5 s - or less", ".orchestrator/a.md", "2025-01-01"):
        assert item(text) == text


def test_an_empty_cell_shows_a_dash() -> None:
    assert cell("") == "–"


def test_many_names_are_counted_instead_of_listed() -> None:
    assert names(f"T-{i}" for i in range(100)).endswith(", … (100 in all)")
    assert names(["A_1", "B"]) == "A\\_1, B"
    assert names([]) == "–"


def test_html_in_prose_is_text_and_in_code_stays_as_it_is() -> None:
    quoted = quote("a <b> c\n```html\n<b>\n```\n\\<!-- end < 3")
    assert quoted == "> a &lt;b> c\n> ```html\n> <b>\n> ```\n> \\&lt;!-- end < 3"


@pytest.mark.parametrize(
    "text",
    [
        "- a\n  ```\n<!--",
        "~~~\n```\n~~~\n<!--",
        " ~~~\n```\n ~~~\n<!--",
        "```\n    ```\n```\n<!--",
        "```\n\t```\n<!--",
        "``` a`b\n<!--",
    ],
)
def test_where_it_is_not_certain_what_is_code_all_html_is_text(text: str) -> None:
    assert quote(text).rstrip().endswith("&lt;!--")


@given(st.lists(st.sampled_from(PARTS)).map("".join))
def test_a_tag_stays_only_between_fences_at_the_beginning_of_a_line(text: str) -> None:
    lines = quote(text).split("\n")
    assert all(line.startswith(">") for line in lines)
    fences = [i for i, line in enumerate(lines) if re.match(r"> (```|~~~)", line)]
    for number, line in enumerate(lines):
        if re.search(r"<[A-Za-z/!?]", line):
            assert fences
            assert fences[0] <= number


def test_the_output_of_a_command_is_fenced_beyond_any_fence_in_it() -> None:
    assert block("a\n````\n# b", "shell") == "`````\na\n````\n# b\n`````"


def test_terminal_codes_and_lone_carriage_returns_do_not_get_through() -> None:
    assert block("a\x1b[31m\r# b\x07", "claude") == "> a\ufffd# b\ufffd"
    assert block("a\x1b]0;t\x07\x00", "shell") == "```\na\ufffd\n```"


def test_a_cut_is_made_at_the_end_of_a_line_where_one_is_near() -> None:
    assert cut("a" * 90 + "\n" + "b" * 50, 100) == ("a" * 90, False)
    assert cut("a" * 150, 100) == ("a" * 100, False)
    assert cut("short", 100) == ("short", True)


@given(st.text())
def test_a_mermaid_label_holds_no_sign_that_means_something_there(text: str) -> None:
    assert not re.search(r'["`%{}\[\]<>|&\n\r\\]', mermaid_label(text))


def test_a_mermaid_label_keeps_letters_and_turns_signs_into_entities() -> None:
    assert mermaid_label('Zähle "x" 100%') == "Zähle #34;x#34; 100#37;"
