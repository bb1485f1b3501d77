"""Guesses at what was meant, and foreign text made readable."""

from __future__ import annotations

import pytest

from orchestrator.core.hints import MOST_NAMES, Hints, shown


@pytest.mark.parametrize(
    ("word", "meant"),
    [("T-1", "T-01"), ("t_001", "T-01"), ("T-02x", "T-02"), ("bulid", "build"), ("zzz", "")],
)
def test_a_near_name_is_what_was_meant(word: str, meant: str) -> None:
    assert Hints(("T-01", "T-02", "build")).closest(word) == meant


def test_a_question_never_asks_for_the_impossible() -> None:
    assert Hints(("T-01",)).question("T-1") == "; did you mean 'T-01'?"
    assert Hints(("T-01",)).question("T-1", never="T-01") == ""


def test_among_very_many_names_only_the_same_in_another_spelling_is_guessed() -> None:
    hints = Hints([f"T-{number:05d}" for number in range(MOST_NAMES + 1)])
    assert hints.closest("t17") == "T-00017"
    assert hints.closest("T-00017x") == ""


def test_guesses_are_bounded() -> None:
    hints = Hints(("alpha", "beta"))
    guesses = [hints.closest(f"alpa{number}") for number in range(101)]
    assert guesses[:100] == ["alpha"] * 100
    assert guesses[100] == ""
    assert hints.closest("alpa99") == "alpha"


def test_foreign_text_is_cut_and_escaped() -> None:
    assert shown("a\x1b\n") == r"'a\x1b\n'"
    assert len(shown("a" * 1000)) < 70
