"""Holds a structured output against its task's schema, in bounded time.

The claude program has done so before; this is for what came into the output by another way. Python's regular
expressions stand in for those of JavaScript, and a clock for their want of a bound.
"""

from __future__ import annotations

import re
import signal
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import msgspec

from orchestrator.core import outputschema
from orchestrator.core.schemafit import misfit

SECONDS = 2.0
"""For one output; a thousand times what one takes. Meanwhile the dispatcher does nothing else."""

LONGEST_TEXT = 100_000
"""Characters of a text that are held against a pattern: matching can take a hundred bytes for each."""

# What means something else in Python, or nothing: empty classes, `\B` in an empty text, references back (to a
# group that took no part).
_OTHERWISE = re.compile(r"\[\^?\]|\\[1-9B]|\\k<")
# What means the same for ASCII texts only.
_ASCII_ONLY = re.compile(r"\\[sS]|\(\?[ims]*(?:-[ims]+)?:(?<!\(\?:)")
_END = re.compile(r"(\\.|\[(?:\\.|[^\]\\])*\])|\$", re.DOTALL)


class _TooLong(Exception):
    pass


def problem(schema: Mapping[str, Any], instance_json: str) -> str:
    """What is wrong with a structured output, JSON text, by its schema, with its place; empty where nothing is.

    A pattern that Python cannot say, or that nothing here could stop (another thread, Windows), is left to
    the claude program.
    """
    if wrong := outputschema.problems(schema):
        return f"the schema itself {wrong[0]}"
    try:
        value = msgspec.json.decode(instance_json)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return "is no JSON"
    if not _has_alarm():
        return misfit(schema, value, lambda pattern, text: None)
    try:
        with _alarm(SECONDS):
            return misfit(schema, value, _matches)
    except _TooLong:
        return f"takes longer than {SECONDS:g} s to check: simplify the patterns of its schema"


def _matches(pattern: str, text: str) -> bool | None:
    """Whether `pattern` is found in `text`; None where that cannot be known here."""
    compiled = _compiled(pattern)
    if compiled is None or len(text) > LONGEST_TEXT:
        return None
    if not text.isascii() and _ASCII_ONLY.search(pattern):
        return None
    return compiled.search(text) is not None


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """A pattern of JavaScript as one of Python; None where it cannot be one."""
    if _OTHERWISE.search(pattern):
        return None
    try:
        with warnings.catch_warnings():
            # About sets inside of sets, which neither of the two has yet.
            warnings.simplefilter("ignore")
            return re.compile(_END.sub(lambda found: found[1] or r"\Z", pattern), re.ASCII)
    except (re.error, OverflowError, RecursionError):
        return None


def _has_alarm() -> bool:
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise _TooLong in the block when it takes longer; a match in progress looks for signals, too."""

    def ring(*_: object) -> None:
        raise _TooLong

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, before or signal.SIG_DFL)
