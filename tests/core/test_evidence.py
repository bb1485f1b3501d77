from __future__ import annotations

import pytest

from orchestrator.core.evidence import Check, Ending, how_it_failed, signal_name


def test_signals_have_their_names_where_they_have_one() -> None:
    assert signal_name(15) == "SIGTERM"
    assert signal_name(99) == "signal 99"


@pytest.mark.parametrize(
    ("status", "number"),
    [(None, 0), (0, 0), (1, 0), (128, 0), (-9, 9), (-64, 64), (129, 1), (130, 2), (137, 9), (143, 15)],
)
def test_a_signal_is_known_by_the_status_of_the_process_or_by_what_it_made_of_it(
    status: int | None, number: int
) -> None:
    assert Ending(status).signal == number


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (1, "exit status 1"),
        (126, "it cannot be executed (exit status 126)"),
        (127, "the command was not found (exit status 127)"),
        (-11, "killed by SIGSEGV"),
        (None, "had to be stopped at the timeout of 5m"),
    ],
)
def test_how_a_check_failed_is_said_in_words(status: int | None, words: str) -> None:
    assert how_it_failed(Check("make", status), "5m") == words


def test_a_check_that_was_stopped_names_no_timeout_that_it_did_not_have() -> None:
    assert how_it_failed(Check("make", None)) == "had to be stopped"
