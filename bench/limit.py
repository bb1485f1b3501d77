"""A subscription at its usage limit, which resets after some seconds: all launches wait, and the run goes on alone."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

import realwork
from api_answers import Answer, error, text, window
from api_requests import Request
from figures import Figure
from lab import CommandFailed, Lab, middle
from messages_api import MessagesApi

TASKS, TASKS_QUICK = 10, 4
SECONDS, SECONDS_QUICK = 20, 3
"""From the first request to the reset: longer than a worker's start."""

WINDOW = 18_000
"""Seconds of a subscription's window."""


class Subscription:
    """Answers the first request; then a usage limit is reached, until it resets `seconds` after the second one."""

    def __init__(self, seconds: float) -> None:
        self.resets: float | None = None
        self._seconds = seconds

    def __call__(self, request: Request) -> Answer:
        if request.number == 1:
            return text("Done.").but(headers=window("allowed", resets=request.time + WINDOW, used=0.99))
        if self.resets is None:
            # The headers tell whole seconds.
            self.resets = ceil(request.time + self._seconds)
        if request.time < self.resets:
            return error(429, "limit", headers=window("rejected", resets=self.resets))
        return text("Done.").but(headers=window("allowed", resets=self.resets + WINDOW, used=0.01))


def measure(lab: Lab) -> Iterator[Figure]:
    """Attempts used up, requests before the reset, and how soon after it the next request comes."""
    count, seconds = (TASKS_QUICK, SECONDS_QUICK) if lab.quick else (TASKS, SECONDS)
    versions = realwork.installed()
    if not versions:
        yield realwork.left_out()
    for version in versions[:1] if lab.quick else versions:
        looks = [_limited(lab, version, count, seconds) for _ in range(lab.repeats)]
        head = f"{realwork.cli_version(version)}, {count} tasks, limit of {seconds} s"
        yield Figure(f"{head}: attempts used up", max(used for used, _, _ in looks), "", 0.0)
        early = tuple(float(count) for _, count, _ in looks)
        yield Figure(f"{head}: requests before the reset", middle(early), "", samples=early)
        after = tuple(late for _, _, late in looks)
        yield Figure(f"{head}: from the reset to the next request", middle(after), "s", samples=after)


def _limited(lab: Lab, version: str, count: int, seconds: float) -> tuple[int, int, float]:
    """Attempts used up, requests before the reset, and seconds from it to the first request after it."""
    limit = Subscription(seconds)
    tasks = [realwork.a_task(f"T-{number:02}") for number in range(1, count + 1)]
    with MessagesApi(limit) as api:
        with realwork.project(lab, api, tasks, version, login="token", limits={"parallelism": count}) as run:
            realwork.completed(run)
            used = sum(outcome != "usage limited" for outcome in realwork.outcomes(run))
        resets = limit.resets
        if resets is None:
            raise CommandFailed("the usage limit was never reached")
        late = [request.time - resets for request in api.requests if request.time >= resets]
        return used, len(api.requests) - len(late), min(late)
