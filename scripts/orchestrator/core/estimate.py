"""What the workers of a plan may cost: from earlier attempts of their types, else from an assumption that is named."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from msgspec import Struct

from orchestrator.core.plan import Plan
from orchestrator.core.spending import Spending

ASSUMED = Spending(attempts=1, usd=0.24, input_tokens=60_000, output_tokens=4_000)
"""One worker of which nothing is known: it reads some twenty files and writes a few pages. The dollars are those
tokens at 3 and 15 dollars a million (list price of Claude Sonnet, November 2025)."""


class Estimate(Struct, frozen=True):
    """`workers` attempts of model CLIs; `known` of them are of types that have worked here before."""

    workers: int
    known: int
    usd: float
    input_tokens: int
    output_tokens: int


def estimate(plan: Plan, spent: Mapping[str, Spending], done: Collection[str] = ()) -> Estimate:
    """What the tasks of `plan` that are not `done` will cost if each needs one attempt."""
    tasks = [task for task in plan.tasks if task.cli == "claude" and task.id not in done]
    each = [spent.get(task.worker) or ASSUMED for task in tasks]
    return Estimate(
        workers=len(tasks),
        known=sum(one is not ASSUMED for one in each),
        usd=sum(one.each for one in each),
        input_tokens=sum(one.input_tokens // one.attempts for one in each),
        output_tokens=sum(one.output_tokens // one.attempts for one in each),
    )
