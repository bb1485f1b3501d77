"""Orders from other terminals."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.edges import inbox
from orchestrator.edges.inbox import Order


def test_orders_come_in_the_order_they_were_handed_in(tmp_path: Path) -> None:
    names = [f"T-{n}" for n in range(20)]
    files = [inbox.hand_in(tmp_path, Order("retry", name)) for name in names]
    assert [order.task for order in inbox.orders(tmp_path)] == names
    assert len(set(files)) == 20


def test_an_inbox_that_is_not_there_is_made(tmp_path: Path) -> None:
    inbox.hand_in(tmp_path / "inbox", Order("retry", "A"))
    assert [order.task for order in inbox.orders(tmp_path / "inbox")] == ["A"]


def test_an_order_is_gone_once_it_was_taken(tmp_path: Path) -> None:
    file = inbox.hand_in(tmp_path, Order("stop", after_running=True))
    (order,) = inbox.orders(tmp_path)
    assert (order.order, order.after_running, order.name) == ("stop", True, file.name)
    inbox.taken(tmp_path, order)
    inbox.taken(tmp_path, order)
    assert inbox.orders(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff", b"[]", b'{"order":"explode"}', b'{"order":"stop","task":3}']
)
def test_a_file_that_is_not_an_order_is_set_aside(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "1.json").write_bytes(data)
    inbox.hand_in(tmp_path, Order("stop"))
    assert [order.order for order in inbox.orders(tmp_path)] == ["stop"]
    assert (tmp_path / "1.json.refused").read_bytes() == data


def test_a_file_still_being_written_is_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / "1.json.123~").write_text("{")
    assert inbox.orders(tmp_path) == []
    assert (tmp_path / "1.json.123~").exists()


def test_a_folder_that_looks_like_an_order_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "0.json").mkdir()
    inbox.hand_in(tmp_path, Order("stop"))
    assert [order.order for order in inbox.orders(tmp_path)] == ["stop"]


def test_without_an_inbox_there_are_no_orders(tmp_path: Path) -> None:
    assert inbox.orders(tmp_path / "missing") == []
