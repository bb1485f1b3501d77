"""What workers spent, by worker type: for totals, for what to set apart, and for the estimate of a plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from orchestrator.core.plan import Task

LEAST_CEILING = 0.01
"""Dollars: a smaller ceiling would stop a worker before its first answer."""


class Spending(Struct):
    """Attempts that cost anything, with their dollars and tokens; `models` are dollars by model."""

    attempts: int = 0
    usd: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    models: dict[str, float] = {}

    @property
    def each(self) -> float:
        """Dollars of one attempt."""
        return self.usd / self.attempts if self.attempts else 0.0

    def add(self, other: Spending) -> None:
        """Count another's too."""
        self.attempts += other.attempts
        self.usd += other.usd
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        for model, usd in other.models.items():
            self.models[model] = self.models.get(model, 0.0) + usd


def together(parts: Iterable[Mapping[str, Spending]]) -> dict[str, Spending]:
    """The sums of several runs, by worker type."""
    sums: dict[str, Spending] = {}
    for part in parts:
        for worker, spending in part.items():
            sums.setdefault(worker, Spending()).add(spending)
    return sums


def share(own: float | None, usual: float, left: float, beside: int) -> float:
    """The most that a worker may cost, in dollars, so that all that run never may cost more than is left of a budget.

    Without a ceiling of its own that is what its type usually costs, or an equal part of what is left where that is
    more. What it does not use is there for the next.

    Args:
        own: its own ceiling.
        usual: what its type cost before.
        left: what is neither spent nor set apart for others.
        beside: workers that are about to be launched, this one included.
    """
    left = max(left, LEAST_CEILING)
    return min(left, max(usual, left / beside) if own is None else own)


def shares(tasks: Sequence[Task], left: float | None, places: int) -> dict[str, float]:
    """The most that each of `tasks` may cost, in dollars, as far as it is known before anything has run.

    Those that start first share what is left; what the others get depends on what these leave.

    Args:
        tasks: what is to be done.
        left: what is left of the budget; None where there is none.
        places: workers at a time.
    """
    if left is None:
        return {}
    names = {task.id for task in tasks}
    first = [task for task in tasks if task.cli == "claude" and names.isdisjoint((*task.needs, *task.after))]
    first = first[:places]
    most = dict.fromkeys((task.id for task in tasks), max(left, LEAST_CEILING))
    for place, task in enumerate(first):
        most[task.id] = share(task.budget_usd, 0.0, left, len(first) - place)
        left -= most[task.id]
    return most
