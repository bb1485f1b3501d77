"""Forty real workers at an API that refuses whatever comes above four requests at once.

Our run may use eight workers at once and has to find out how many are served; it is compared with a run that was
told four. Every answer takes two seconds, so that the API sets the pace and not the start of the workers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import realwork
from api_answers import text
from claude_program import NEWEST
from figures import Figure
from lab import Lab, middle, rounds
from messages_api import MessagesApi

TASKS, TASKS_QUICK = 40, 6
SERVED_AT_ONCE = 4
UNAWARE = (8, 16)
"""Parallelism of a person who does not know what the API serves."""

ANSWERS_IN, ANSWERS_IN_QUICK = 2.0, 0.3
"""Seconds from a request to its answer."""

REQUESTS, TIME = 1.3, 1.25
"""Multiples: of one request a task; of the time of the run that was told (a throughput of four fifths)."""


@dataclass(frozen=True)
class Storm:
    """What came of one: seconds, requests, refused ones, and the outcomes of attempts that were no success."""

    seconds: float
    requests: int
    refused: int
    setbacks: tuple[str, ...]

    @property
    def used_up(self) -> int:
        """The attempts that count."""
        return sum(outcome not in ("rate limited", "overloaded") for outcome in self.setbacks)


def measure(lab: Lab) -> Iterator[Figure]:
    """Requests, attempts used up, and time against the run with a fixed parallelism."""
    count = TASKS_QUICK if lab.quick else TASKS
    versions = realwork.installed()
    if not versions:
        yield realwork.left_out()
    for version in versions[:1] if lab.quick else versions:
        aimed = version == NEWEST and not lab.quick
        most = UNAWARE[:1] if lab.quick else UNAWARE
        contenders = {str(n): partial(_storm, lab, version, count, n) for n in (SERVED_AT_ONCE, *most)}
        found = rounds(contenders, lab.repeats)
        fixed = found.pop(str(SERVED_AT_ONCE))
        head = f"{realwork.cli_version(version)}, {count} tasks"
        yield Figure(
            f"{head}, told {SERVED_AT_ONCE}: time",
            middle([one.seconds for one in fixed]), "s", samples=tuple(one.seconds for one in fixed),
        )  # fmt: skip
        for parallelism, storms in found.items():
            yield from _figures(f"{head}, up to {parallelism}", count, storms, fixed, aimed=aimed)


def _figures(
    head: str, count: int, storms: list[Storm], fixed: list[Storm], *, aimed: bool
) -> Iterator[Figure]:
    requests = tuple(one.requests / count for one in storms)
    times = tuple(one.seconds / other.seconds for one, other in zip(storms, fixed, strict=True))
    refused = f"{max(one.refused for one in storms)} refused at most"
    yield Figure(f"{head}: attempts used up", max(one.used_up for one in storms), "", 0.0)
    yield Figure(
        f"{head}: requests a task", middle(requests), "x", REQUESTS if aimed else None, requests, refused
    )
    yield Figure(f"{head}: time against told", middle(times), "x", TIME if aimed else None, times)


def _storm(lab: Lab, version: str, count: int, parallelism: int) -> Storm:
    tasks = [realwork.a_task(f"T-{number:02}") for number in range(1, count + 1)]
    delay = ANSWERS_IN_QUICK if lab.quick else ANSWERS_IN
    with MessagesApi(text("Done.").but(delay=delay), most_at_once=SERVED_AT_ONCE) as api:
        with realwork.project(lab, api, tasks, version, limits={"parallelism": parallelism}) as run:
            seconds = realwork.completed(run)
            setbacks = realwork.outcomes(run)
        refused = sum(not request.admitted for request in api.requests)
        return Storm(seconds, len(api.requests), refused, tuple(setbacks))
