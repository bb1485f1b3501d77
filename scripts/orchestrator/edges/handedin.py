"""What a session hands in for an attempt of its own: its result, its report or why it failed; files in the folder."""

from __future__ import annotations

import os

import msgspec
from msgspec import Struct

from orchestrator.edges.workspace import write_whole_bytes

LARGEST = 10 * 1024 * 1024
"""Bytes of a result or report: as much as the claude program takes as one prompt."""


class HandedIn(Struct, frozen=True, omit_defaults=True):
    """What `finish` says: `order` is its name, `at` seconds since the epoch, `failed` why there is no result."""

    order: str
    at: float
    failed: str = ""
    report: str = ""


def note_start(folder: str, order: str) -> None:
    """Say which `start` an attempt belongs to."""
    write_whole_bytes(f"{folder}/started-by", order.encode())


def started_by(folder: str) -> str:
    """The name of the order that started an attempt; "" where none is known."""
    return _read(f"{folder}/started-by").decode()


def write(folder: str, handed: HandedIn, text: str) -> None:
    """Keep what was handed in; there as a whole once `read` finds it."""
    write_whole_bytes(f"{folder}/stdout", text.encode("utf-8", "replace"), durable=True)
    write_whole_bytes(f"{folder}/handed-in.json", msgspec.json.encode(handed), durable=True)


def read(folder: str) -> tuple[HandedIn, str] | None:
    """What was handed in, and the result's text; None as long as nothing was."""
    data = _read(f"{folder}/handed-in.json")
    if not data:
        return None
    text = _read(f"{folder}/stdout").decode("utf-8", "replace")
    return msgspec.json.decode(data, type=HandedIn), text


def _read(path: str) -> bytes:
    if not os.path.exists(path):
        return b""
    with open(path, "rb") as file:
        return file.read()
