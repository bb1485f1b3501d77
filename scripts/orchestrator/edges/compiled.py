"""The program's own templates as Jinja compiled them: kept where Python keeps compiled modules.

To compile those of one run takes 60 ms, a third of what the run of a single task takes beside its worker.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import cache_from_source

import jinja2
from jinja2.bccache import Bucket, BytecodeCache

from orchestrator.edges.workspace import write_whole_bytes


class Compiled(BytecodeCache):
    """Compiled templates beside their sources, or wherever Python was told to keep such files.

    Args:
        options: of the environment; what was compiled with others is compiled again.
    """

    def __init__(self, options: Mapping[str, object]) -> None:
        self._compiler = f"{jinja2.__version__} {sorted(options.items(), key=repr)!r}"

    def get_cache_key(self, name: str, filename: str | None = None) -> str:
        """The path of the compiled template."""
        return cache_from_source(filename or name)

    def get_source_checksum(self, source: str) -> str:
        """Tells this source, compiled by this Jinja in this way, from all others."""
        return hashlib.sha256(f"{self._compiler}\n{source}".encode()).hexdigest()

    def load_bytecode(self, bucket: Bucket) -> None:
        """Take what was compiled before; a file of anything else counts as none."""
        try:
            with open(bucket.key, "rb") as file:
                bucket.load_bytecode(file)
        except Exception:  # pickle raises anything where a file was cut
            bucket.reset()

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what was compiled; where nothing can be kept it is compiled each time."""
        if sys.dont_write_bytecode:
            return
        with suppress(OSError):
            os.makedirs(os.path.dirname(bucket.key), exist_ok=True)
            write_whole_bytes(bucket.key, bucket.bytecode_to_string())
