"""What an attempt used and paid, by the `result` lines of the claude program; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.clis.claude_lines import Line, mapping, number, whole
from orchestrator.core.text import one_line

LONGEST_NAME = 200
"""Characters of a model's name: those of the clouds are some 100 long."""


class Usage:
    """What an attempt used, from its `result` lines.

    The totals of a resumed session hold what it used before; `model_usage_since_last_result`, which older
    versions do not have, holds what came after the `result` line before it.
    """

    def __init__(self) -> None:
        self.own_cost: float | None = None
        self.models: dict[str, float] = {}
        self.own_models: dict[str, float] = {}
        self._own = self._total = self._loose = (0, 0)

    def take(self, line: Line) -> None:
        """Add one `result` line."""
        total, usage = mapping(line.modelUsage), mapping(line.usage)
        self.models = {}
        _add(self.models, total)
        self._total = _sum((0, 0), *map(_tokens, total.values()))
        self._loose = _sum(self._loose, _loose_tokens(usage))
        if isinstance(line.model_usage_since_last_result, dict):
            own = line.model_usage_since_last_result
            self.own_cost = (self.own_cost or 0.0) + sum(map(_dollars, own.values()))
            self._own = _sum(self._own, *map(_tokens, own.values()))
            _add(self.own_models, own)

    @property
    def tokens(self) -> tuple[int, int]:
        """Read, those from the cache included, and written; of the attempt alone."""
        counted = self._total if self.own_cost is None else self._own
        return counted if any(counted) else self._loose

    @property
    def model(self) -> str:
        """The one that most was paid for, by the attempt alone."""
        paid = self.own_models or self.models
        return max(paid, key=paid.__getitem__, default="")


def _add(models: dict[str, float], usage: Mapping[str, Any]) -> None:
    for name, used in usage.items():
        known = one_line(name, LONGEST_NAME)
        models[known] = models.get(known, 0.0) + _dollars(used)


def _dollars(used: object) -> float:
    return number(mapping(used).get("costUSD")) or 0.0


def _tokens(used: object) -> tuple[int, int]:
    counts = mapping(used)
    names = ("inputTokens", "cacheReadInputTokens", "cacheCreationInputTokens")
    return sum(whole(counts.get(name)) or 0 for name in names), whole(counts.get("outputTokens")) or 0


def _loose_tokens(usage: dict[str, Any]) -> tuple[int, int]:
    names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    return sum(whole(usage.get(name)) or 0 for name in names), whole(usage.get("output_tokens")) or 0


def _sum(*counts: tuple[int, int]) -> tuple[int, int]:
    return sum(read for read, _ in counts), sum(written for _, written in counts)
