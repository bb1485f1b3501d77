from __future__ import annotations

from typing import Any

from fakes import task
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.plan import Task
from orchestrator.core.spending import LEAST_CEILING, shares


def worker(name: str, needs: str = "", **fields: Any) -> Task:
    return task(name, needs, cli="claude", run="", **fields)


def test_those_that_start_first_share_what_is_left_and_the_others_may_have_what_these_leave() -> None:
    tasks = [worker("a"), worker("b"), worker("c"), worker("d", "a")]
    assert shares(tasks, 4.0, 2) == {"a": 2.0, "b": 2.0, "c": 4.0, "d": 4.0}


def test_without_a_budget_there_is_nothing_to_share() -> None:
    assert shares([worker("a")], None, 4) == {}


@given(
    st.floats(0.5, 50), st.lists(st.none() | st.floats(0.05, 9), min_size=1, max_size=6), st.integers(1, 8)
)
def test_what_starts_together_may_never_cost_more_than_is_left(
    left: float, own: list[float | None], places: int
) -> None:
    tasks = [worker(f"t{n}", budget_usd=usd) for n, usd in enumerate(own)]
    first = list(shares(tasks, left, places).values())[:places]
    assert sum(first) <= left + len(first) * LEAST_CEILING + 1e-9
