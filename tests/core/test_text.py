from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from orchestrator.core.text import (
    clean,
    code,
    dollars,
    duration,
    fenced,
    last_line,
    markdown,
    neutralised,
    neutralised_inside,
    one_line,
    quoted,
    with_code,
)

NASTY = st.text(
    st.sampled_from("\x1b[]0;31mA\x07\\\x9b\x00\r\n\t\u202e\u2066`~#>|*@/ é\U0001f600\x85\u2028")
    | st.characters()
)
HARMLESS = re.compile(r"[^\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]*")


@given(NASTY)
def test_no_control_character_survives_cleaning(text: str) -> None:
    assert HARMLESS.fullmatch(clean(text))


@given(NASTY)
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]) | st.sampled_from("\n\t")))
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPdevice\x1b\\text", "text"),
        ("\x1b]0;never ended\nthe next line", "\nthe next line"),
        ("a\r\nb\rc", "a\nb\ufffdc"),
        ("a\x00b\x9b31m", "a\ufffdb\ufffd31m"),
        ("\u202eevil", "\ufffdevil"),
        ("cut \x1b[3", "cut 3"),
    ],
)
def test_escapes_go_and_other_controls_are_shown_as_such(text: str, expected: str) -> None:
    assert clean(text) == expected


def test_many_begun_escapes_take_no_more_time_than_as_many_letters() -> None:
    for piece in ("\x1b]", "\x1b[", "\x1b[0;", "\x1bP;"):
        assert len(clean(piece * 200_000)) < 1_000_000


@given(NASTY, st.integers(1, 50))
def test_one_line_is_one_line_of_bounded_length(text: str, length: int) -> None:
    line = one_line(text, length)
    assert len(line) <= length
    assert len(line.splitlines()) <= 1
    assert HARMLESS.fullmatch(line)


@given(NASTY)
def test_words_in_markdown_have_no_structure(text: str) -> None:
    assert not re.search(r"(?<!\\)(\\\\)*[`*_\[\]<>|~#&]", markdown(text))
    assert "\n" not in markdown(text)


@given(NASTY)
def test_words_in_markdown_can_be_read_back(text: str) -> None:
    assert re.sub(r"\\(.)", r"\1", markdown(text)) == one_line(text)


@given(st.text(st.sampled_from("`~a\n ")))
def test_no_text_ends_its_own_fence(text: str) -> None:
    first, *inside, last = fenced(text, "sh").split("\n")
    fence = first.removesuffix("sh")
    assert last == fence
    assert set(fence) == {"`"}
    assert not any(line.strip().startswith(fence) for line in inside)
    assert "\n".join(inside) == text.removesuffix("\n")


@given(NASTY)
def test_every_line_of_a_quotation_is_quoted(text: str) -> None:
    # Line endings as CommonMark has them.
    assert all(line.startswith(">") for line in re.split(r"\r\n?|\n", quoted(text)))


def test_a_quotation_keeps_its_words() -> None:
    assert quoted("# a\n\n```\rb") == "> # a\n>\n> ```\n> b"


@given(NASTY)
def test_a_prompt_expands_no_file_and_no_command(text: str) -> None:
    harmless = neutralised(text)
    assert not re.search(r"(?:^|[\s\ufeff])@[^\s\u2060]", harmless)
    assert not re.match(r"[\s\ufeff]*/[^\s\u2060]", harmless)
    assert harmless.replace("\u2060", "") == text.replace("\u2060", "")


@pytest.mark.parametrize(
    "text",
    [
        "compare /etc/hosts with me@example.org and 1/2",
        "see src/a.py",
        "npm i node_modules/@scope/x",
        "a @ b",
        "/ x",
        "mail @ /etc/passwd",
    ],
)
def test_paths_and_addresses_in_a_prompt_stay_what_they_are(text: str) -> None:
    assert neutralised(text) == text


def test_a_path_beside_an_expanded_file_stays_what_it_is() -> None:
    assert neutralised("read @notes and /etc/hosts") == "read @\u2060notes and /etc/hosts"
    assert neutralised("/help me") == "/\u2060help me"


def test_a_path_that_begins_no_prompt_stays_what_it_is() -> None:
    assert neutralised_inside("/srv/data.csv and @notes") == "/srv/data.csv and @\u2060notes"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-1, "0.0s"),
        (0.44, "0.4s"),
        (9.94, "9.9s"),
        (12.3, "12s"),
        (59.7, "1m 00s"),
        (185, "3m 05s"),
        (3599.6, "1h 00m"),
        (7620, "2h 07m"),
        (360_000, "100h 00m"),
    ],
)
def test_durations_are_written_for_people(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (0.0, "$0.00"),
        (0.005, "$0.005"),
        (0.04, "$0.04"),
        (0.00004, "$0.00"),
        (0.0999, "$0.0999"),
        (0.1, "$0.10"),
        (12.345, "$12.35"),
    ],
)
def test_little_money_is_told_in_hundredths_of_a_cent(amount: float, shown: str) -> None:
    assert dollars(amount) == shown


@pytest.mark.parametrize(
    ("text", "line"), [("", ""), ("one\n two\n\n  \n", "two"), ("x" * 10_000 + "\nlast", "last")]
)
def test_the_last_line_is_the_last_that_says_anything(text: str, line: str) -> None:
    assert last_line(text) == line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("python a_b.py", "`python a_b.py`"),
        ("echo `date`", "`` echo `date` ``"),
        ("a ``b`` c", "```a ``b`` c```"),
        ("two\nlines", "`two lines`"),
    ],
)
def test_code_stands_in_a_line_as_it_is(text: str, shown: str) -> None:
    assert code(text) == shown


@pytest.mark.parametrize(
    ("text", "shown", "in_a_cell"),
    [
        ("a_b `c_d` e_f", "a\\_b `c_d` e\\_f", None),
        ("`grep x | wc -l`: 3 | 4", "`grep x | wc -l`: 3 \\| 4", "`grep x \\| wc -l`: 3 \\| 4"),
        ("`a\\|b_c`", "`a\\|b_c`", "\\`a\\\\\\|b\\_c\\`"),
        ("`open_ended", "\\`open\\_ended", None),
        ("``two_`` `x`", "\\`\\`two\\_\\`\\` `x`", None),
        ("\\`a_b`", "\\\\`a_b`", None),
    ],
)
def test_what_stands_between_backquotes_is_code(text: str, shown: str, in_a_cell: str | None) -> None:
    assert with_code(text) == shown
    assert with_code(text, in_table=True) == (in_a_cell or shown)


@given(st.text(alphabet="`|\\_*<a> [](!&#~"))
def test_no_structure_comes_of_words_with_code(text: str) -> None:
    page = (
        MarkdownIt()
        .enable("table")
        .parse(f"| a | b |\n| - | - |\n| x{with_code(text, in_table=True)} | last |\n")
    )
    assert [t.content for t in page if t.type == "inline"][-1] == "last"
    (cell,) = [t for t in page if t.type == "inline"][2:-1]
    assert {t.type for t in cell.children or []} <= {"text", "text_special", "code_inline"}
    line = MarkdownIt().parse(f"- x{with_code(text)}\n")
    assert {t.type for t in line[3].children or []} <= {"text", "text_special", "code_inline"}
