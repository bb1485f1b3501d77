"""Hears what a worker writes while it runs: each whole line of a growing file, once."""

from __future__ import annotations

import os
from collections.abc import Iterator

AT_A_TIME = 1 << 20
"""Bytes read at one look: a worker that writes more is heard a look later, and holds up no other."""

LONGEST_HEARD = 8 << 20
"""Bytes of one line that are kept until its end comes; a longer one is passed over."""


class Listener:
    """The lines of one file, as they are added to it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.offset = 0
        self._rest = b""
        self._passing_over = False

    def lines(self) -> Iterator[bytes]:
        """The lines that have become whole since the last time, without their ends."""
        try:
            if os.stat(self._path).st_size <= self.offset:
                return
            with open(self._path, "rb") as file:
                file.seek(self.offset)
                data = file.read(AT_A_TIME)
        except FileNotFoundError:
            return
        self.offset += len(data)
        *whole, rest = data.split(b"\n")
        if whole:
            whole[0] = self._rest + whole[0]
            self._rest = b""
            yield from whole[1:] if self._passing_over else whole
            self._passing_over = False
        if len(self._rest) + len(rest) > LONGEST_HEARD:
            self._rest, self._passing_over = b"", True
        elif not self._passing_over:
            self._rest += rest
