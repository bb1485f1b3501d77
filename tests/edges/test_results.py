"""Outputs and result files, whatever a worker wrote."""

from __future__ import annotations

import hashlib
import tracemalloc
from pathlib import Path

import pytest

from orchestrator.core.events import SUMMARY_CHARACTERS
from orchestrator.edges import results

FRAME = ("---\ntask: A\n---\n", "")


def test_what_is_not_utf_8_is_replaced_and_escapes_are_gone(tmp_path: Path) -> None:
    path = tmp_path / "stdout"
    path.write_bytes(b"ok \xff\xfe \0 \x1b[31mred\x1b[0m \x1b]0;title\x07end\r\n\xe2\x82")
    assert "".join(results.pieces(str(path))) == "ok \ufffd\ufffd \ufffd red end\n\ufffd"


def test_a_character_across_two_pieces_stays_whole(tmp_path: Path) -> None:
    path = tmp_path / "stdout"
    path.write_bytes(b"x" * (results.PIECE - 1) + "é".encode() + b"y")
    assert "".join(results.pieces(str(path))) == "x" * (results.PIECE - 1) + "éy"


def test_an_escape_across_two_pieces_is_gone_too(tmp_path: Path) -> None:
    path = tmp_path / "stdout"
    path.write_bytes(b"x" * (results.PIECE - 2) + b"\x1b[31mred\n")
    assert "".join(results.pieces(str(path))) == "x" * (results.PIECE - 2) + "red\n"


def test_a_windows_line_end_across_two_pieces_is_one_line_end(tmp_path: Path) -> None:
    path = tmp_path / "stdout"
    path.write_bytes(b"x" * (results.PIECE - 1) + b"\r\ny")
    assert "".join(results.pieces(str(path))) == "x" * (results.PIECE - 1) + "\ny"


def test_an_endless_output_is_cut_and_says_so_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "stdout"
    path.write_bytes(b"x" * (results.LONGEST_RESULT + 1))
    tracemalloc.start()
    length = sum(map(len, results.pieces(str(path))))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert results.LONGEST_RESULT < length < results.LONGEST_RESULT + 1000
    assert peak < 20 * results.PIECE


def test_the_digest_is_the_same_in_however_many_pieces() -> None:
    text = "é" * 700
    whole, parts = results.digest([text]), results.digest(list(text))
    assert whole == parts
    assert whole == results.Digest(
        hashlib.sha256(text.encode()).hexdigest()[:32], text[:SUMMARY_CHARACTERS], False
    )


@pytest.mark.parametrize("length", [0, 1, SUMMARY_CHARACTERS, SUMMARY_CHARACTERS + 1])
def test_a_summary_is_whole_only_when_it_holds_everything(length: int) -> None:
    known = results.digest(["x" * length])
    assert (known.summary, known.whole) == (
        "x" * min(length, SUMMARY_CHARACTERS),
        length <= SUMMARY_CHARACTERS,
    )


@pytest.mark.parametrize("size", [0, 10, results.PIECE * 3])
def test_the_body_of_a_result_is_what_was_written(tmp_path: Path, size: int) -> None:
    path = tmp_path / "result.md"
    text = "---\nx\n---\n" + "y" * size
    results.write_result(path, FRAME, iter([text[:5], text[5:]]), durable=False)
    assert "".join(results.body(path)) == text
    assert [file.name for file in tmp_path.iterdir()] == ["result.md"]


@pytest.mark.parametrize("size", [results.PIECE - 10, results.PIECE, results.PIECE + 1])
@pytest.mark.parametrize("facts", [1, results.PIECE - 8, results.PIECE * 2])
def test_only_the_last_piece_of_a_body_is_short(tmp_path: Path, size: int, facts: int) -> None:
    path = tmp_path / "result.md"
    path.write_text(f"---\n{'f' * facts}\n---\n{'y' * size}")
    pieces = list(results.body(path))
    assert "".join(pieces) == "y" * size
    assert all(len(piece) >= results.PIECE for piece in pieces[:-1])


@pytest.mark.parametrize("text", ["---\n", "---\ntask: A\n", "---\ntask: A\n---"])
def test_a_file_that_is_all_front_matter_has_no_body(tmp_path: Path, text: str) -> None:
    path = tmp_path / "result.md"
    path.write_text(text)
    assert list(results.body(path)) == []


def test_a_result_that_cannot_be_read_to_its_end_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "result.md"
    results.write_result(path, FRAME, ["before"], durable=True)

    def breaks() -> object:
        yield "x" * results.PIECE * 2
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="gone"):
        results.write_result(path, FRAME, breaks(), durable=True)  # type: ignore[arg-type]
    assert "".join(results.body(path)) == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["result.md"]


def test_a_last_line_as_long_as_the_largest_result_is_whole(tmp_path: Path) -> None:
    line = b'{"result":"' + b"x" * results.LONGEST_RESULT + b'"}\n'
    (tmp_path / "stdout").write_bytes(b'{"type":"system"}\n' + line)
    assert list(results.lines(str(tmp_path / "stdout"))) == [b'{"type":"system"}\n', line]


def test_a_file_that_is_missing_has_no_lines(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    assert (list(results.lines(missing)), results.tail(missing, 10)) == ([], "")


def test_the_tail_of_a_file_is_its_end(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("é" * 5000 + "end")
    assert results.tail(str(tmp_path / "out"), 5) == "ééend"
