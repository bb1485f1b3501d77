from __future__ import annotations

from typing import Any

import pytest
from api_cache import LIFETIMES, LOOK_BACK, PromptCache, Usage

LONG = "rules " * 1000
"""About 1,500 tokens, so that it is kept."""


class Clock:
    """Stands still until it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def block(text: str, cached: bool = False, ttl: str = "5m") -> dict[str, Any]:
    control = {"cache_control": {"type": "ephemeral", "ttl": ttl}} if cached else {}
    return {"type": "text", "text": text, **control}


def body(*system: dict[str, Any], said: Any = "go", model: str = "sonnet") -> dict[str, Any]:
    return {"model": model, "system": list(system), "messages": [{"role": "user", "content": said}]}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(clock: Clock) -> PromptCache:
    return PromptCache(clock)


def answered(cache: PromptCache, asked: dict[str, Any]) -> Usage:
    usage = cache.take(asked)
    cache.begun(usage)
    return usage


def total(usage: Usage) -> int:
    return usage.input_tokens + usage.read + sum(usage.written.values())


def test_the_first_request_of_a_prefix_writes_it_and_the_next_one_reads_it(cache: PromptCache) -> None:
    first = answered(cache, body(block(LONG, cached=True), said="one"))
    second = answered(cache, body(block(LONG, cached=True), said="two"))

    assert (first.read, second.written) == (0, {})
    assert first.written == {"5m": second.read}
    assert second.read > 1500
    assert total(first) == total(second)
    assert second.counts()["cache_read_input_tokens"] == second.read


def test_nobody_reads_a_prefix_whose_writer_has_not_begun_to_be_answered(cache: PromptCache) -> None:
    slow = cache.take(body(block(LONG, cached=True)))

    assert answered(cache, body(block(LONG, cached=True), said="at once")).read == 0
    cache.begun(slow)
    assert answered(cache, body(block(LONG, cached=True), said="later")).read > 0


def test_a_prefix_is_forgotten_five_minutes_after_its_last_use(cache: PromptCache, clock: Clock) -> None:
    asked = body(block(LONG, cached=True))
    answered(cache, asked)

    clock.now += LIFETIMES["5m"] - 1
    assert answered(cache, asked).read > 0
    clock.now += LIFETIMES["5m"] - 1
    assert answered(cache, asked).read > 0
    clock.now += LIFETIMES["5m"]
    assert answered(cache, asked).read == 0


def test_a_breakpoint_can_ask_for_an_hour(cache: PromptCache, clock: Clock) -> None:
    asked = body(block(LONG, cached=True, ttl="1h"))

    assert answered(cache, asked).counts()["cache_creation"]["ephemeral_1h_input_tokens"] > 0
    clock.now += LIFETIMES["1h"] - 1
    assert answered(cache, asked).read > 0


@pytest.mark.parametrize(
    "other",
    [
        body(block("x" + LONG, cached=True)),
        body(block(LONG), block("more", cached=True)),
        body(block(LONG, cached=True), model="opus"),
        {**body(block(LONG, cached=True)), "tools": [{"name": "Read"}]},
    ],
    ids=["other text", "breakpoint behind it", "other model", "other tools"],
)
def test_what_differs_before_the_breakpoint_is_paid_in_full(
    cache: PromptCache, other: dict[str, Any]
) -> None:
    answered(cache, body(block("little", cached=True), block(LONG, cached=True)))

    assert answered(cache, other).read == 0


def test_a_conversation_reads_what_its_last_turn_wrote_although_the_breakpoint_has_moved(
    cache: PromptCache,
) -> None:
    said = [block(LONG, cached=True)]
    written = answered(cache, body(said=said)).written["5m"]

    longer = [
        block(LONG),
        *(block(f"turn {turn}") for turn in range(LOOK_BACK - 1)),
        block("now", cached=True),
    ]
    assert answered(cache, body(said=longer)).read == written


def test_a_breakpoint_more_than_twenty_blocks_ahead_does_not_find_the_last_one(cache: PromptCache) -> None:
    answered(cache, body(said=[block(LONG, cached=True)]))

    longer = [block(LONG), *(block(f"turn {turn}") for turn in range(LOOK_BACK)), block("now", cached=True)]
    assert answered(cache, body(said=longer)).read == 0


def test_what_is_shorter_than_the_shortest_prefix_is_not_kept(cache: PromptCache) -> None:
    asked = body(block("short", cached=True))

    first = answered(cache, asked)

    assert (first.written, first.offered) == ({}, ())
    assert answered(cache, asked).read == 0


def test_only_what_is_behind_the_last_breakpoint_costs_the_plain_price(cache: PromptCache) -> None:
    asked = body(block(LONG, cached=True), block(LONG, cached=True), said=LONG)
    first = answered(cache, asked)

    again = answered(cache, body(block(LONG, cached=True), block("other", cached=True), said=LONG))

    assert again.read == pytest.approx(first.written["5m"] / 2, rel=0.01)
    assert again.input_tokens == pytest.approx(first.input_tokens, abs=1)
    assert 0 < again.written["5m"] < 100
