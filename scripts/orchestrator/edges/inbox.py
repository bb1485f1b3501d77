"""Orders from other terminals: small files, written aside and renamed, that a dispatcher takes in."""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from orchestrator.core.revision import Revision
from orchestrator.edges.workspace import write_whole_bytes

ABOUT_THE_PLAN = frozenset(("revise", "approve", "reject"))

_counter = itertools.count()


class Order(Struct, frozen=True, omit_defaults=True):
    """What somebody wants of a run; `name` is its file's and makes it unique."""

    order: Literal["stop", "retry", "cancel", "answer", "revise", "approve", "reject", "start", "finish"]
    task: str = ""
    after_running: bool = False
    allow: tuple[str, ...] = ()
    text: str = ""
    revision: Revision | None = None
    about: int = 0
    """The number of the event that is approved or rejected; 0: whatever waits."""
    attempt: int = 0
    report: str = ""
    failed: str = ""
    name: str = ""


def hand_in(inbox: Path, order: Order) -> Path:
    """Put an order where the dispatcher looks; its file is gone once it was taken."""
    # A copy of the workspace, or somebody who tidies up, may have left out the folder that is mostly empty.
    inbox.mkdir(mode=0o700, exist_ok=True)
    name = f"{time.time_ns():020d}-{os.getpid()}-{next(_counter)}.json"
    write_whole_bytes(str(inbox / name), msgspec.json.encode(order))
    return inbox / name


def orders(inbox: Path) -> list[Order]:
    """The orders that wait, oldest first. A file that is not an order is set aside as `.refused`."""
    try:
        names = sorted(name for name in os.listdir(inbox) if name.endswith(".json"))
    except FileNotFoundError:
        return []
    found = []
    for name in names:
        try:
            order = msgspec.json.decode((inbox / name).read_bytes(), type=Order)
        except (msgspec.DecodeError, UnicodeDecodeError, IsADirectoryError):
            os.replace(inbox / name, inbox / f"{name}.refused")
        else:
            found.append(msgspec.structs.replace(order, name=name))
    return found


def is_waited_for(inbox: Path) -> bool:
    """Whether somebody waits for a run, if only to obey: who gave an order may have been killed before it was."""
    return any(order.order != "stop" for order in orders(inbox))


def handed_in_at(inbox: Path, order: Order) -> int:
    """When an order was handed in, by the clock of its file system in nanoseconds; 0 if it has gone."""
    try:
        return (inbox / order.name).stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def taken(inbox: Path, order: Order) -> None:
    """The order is in the journal: its file can go."""
    (inbox / order.name).unlink(missing_ok=True)
