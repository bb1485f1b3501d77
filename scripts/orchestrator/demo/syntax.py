"""Parses Python sources, quietly and quickly."""

from __future__ import annotations

import ast
import gc
import warnings


class UnparsableError(Exception):
    """A source that is not Python; `line` counts from 1, the text is what the parser says."""

    def __init__(self, line: int, message: str) -> None:
        self.line = line
        super().__init__(message)


def parse(source: bytes) -> ast.Module:
    """The syntax tree of a source, its declared encoding respected.

    Raises:
        UnparsableError: also for nesting that is too deep for the parser.
    """
    # A tree has no reference cycles; looking for some takes a third of the time.
    gc.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except SyntaxError as problem:
        raise UnparsableError(problem.lineno or 1, problem.msg) from None
    except (ValueError, RecursionError, MemoryError) as problem:
        raise UnparsableError(1, str(problem) or type(problem).__name__) from None
