"""Bounds what a user's own template may take while it is rendered: a slip in it must not hang a run.

Jinja's sandbox bounds neither loops nor sizes. Steps are counted by Python itself, so that loops, macros and calls of
every kind count; memory is bounded by the system.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

MOST_STEPS = 2_000_000
"""Lines of a template and calls: a hundred times what our largest view takes, and less than a second."""

MOST_MEMORY = 256 << 20
"""Bytes beyond what the program has when the rendering begins: no view has more than a few millions."""

ENDLESS = f"takes more than {MOST_STEPS:,} steps; is there a loop in it that hardly ends?"
HUGE = f"takes more than {MOST_MEMORY >> 20} MB of memory; does something in it double again and again?"


class Endless(Exception):
    """A template took more steps than it may."""


@contextmanager
def bounded(folder: Path) -> Iterator[None]:
    """Render templates of `folder` in here.

    Raises:
        Endless: after MOST_STEPS.
        MemoryError: beyond MOST_MEMORY, where the system can tell.
    """
    before = sys.gettrace()
    with _memory_bounded():
        sys.settrace(_Steps(str(folder)))
        try:
            yield
        finally:
            sys.settrace(before)


class _Steps:
    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._left = MOST_STEPS

    def __call__(self, frame: FrameType, _event: str, _argument: Any) -> _Steps | None:
        self._left -= 1
        if self._left < 0:
            raise Endless(ENDLESS)
        # Of Jinja's own code only the calls: to load a template that is included takes many lines.
        return self if frame.f_code.co_filename.startswith(self._folder) else None


@contextmanager
def _memory_bounded() -> Iterator[None]:
    try:
        pages = int(Path("/proc/self/statm").read_bytes().split()[0])
    except OSError:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = pages * resource.getpagesize() + MOST_MEMORY
    if soft != resource.RLIM_INFINITY:
        most = min(most, soft)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
