from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.governor import CACHED_FOR, JUST_NOW, QUIET, USUAL_MEMORY, Governor, Hold, Sign

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
SPOKE, ANSWERED = Sign("spoke"), Sign("answered")
LIMITED, OVERLOADED, REFUSED = Sign("rate limited"), Sign("overloaded"), Sign("refused")


def window(status: str, until: float) -> Sign:
    return Sign("window", datetime.fromtimestamp(until, UTC), status, 0.9)


class Play:
    """A governor and a clock; launches as many workers as may be launched."""

    def __init__(self, parallelism: int = 16, cores: int = 8, same_prefix: bool = False) -> None:
        self.governor = Governor(parallelism, cores)
        self.parallelism = parallelism
        self.now = NOON
        self.same_prefix = same_prefix
        self.running: list[str] = []
        self.launched = 0

    def hold(self, prefix: str = "new", reserve: float = 0.0, **room: float | None) -> Hold | None:
        left, memory = room.get("left"), room.get("memory")
        return self.governor.hold(prefix, reserve, left, int(memory) if memory else None, self.now)

    def fill(self) -> int:
        """Launch workers until one is held; how many."""
        before = self.launched
        while len(self.running) < self.parallelism:
            prefix = "same" if self.same_prefix else f"kind {self.launched}"
            if self.hold(prefix):
                break
            self.launched += 1
            self.governor.launched(f"T-{self.launched}", prefix, 0.0)
            self.running.append(f"T-{self.launched}")
        return self.launched - before

    def tell(self, sign: Sign, *names: str) -> None:
        for name in names or self.running:
            self.governor.heard(name, sign, self.now)

    def end(self, name: str, outcome: str = "success", until: float | None = None) -> None:
        self.running.remove(name)
        self.governor.ended(name, outcome, until, self.now)


def test_the_first_worker_of_a_prefix_is_alone_until_it_was_answered() -> None:
    play = Play(same_prefix=True)
    assert play.fill() == 1
    assert play.hold("same") == Hold("the first worker of its kind has not been answered yet", whole=False)
    assert play.hold("another") is None
    play.tell(SPOKE)
    assert play.fill() == 0
    play.tell(ANSWERED)
    assert play.fill() == 4


def test_when_the_api_says_how_long_to_wait_nothing_is_launched_until_then() -> None:
    play = Play()
    play.fill()
    play.tell(ANSWERED)
    play.tell(Sign("rate limited", delay=30.0), "T-1")
    play.end("T-2")
    play.end("T-3")
    expected = Hold("the API is rate limited and says when to ask again", NOON + 30)
    assert play.hold() == expected
    play.now += 30
    assert play.hold() is None


def test_a_prefix_whose_first_worker_failed_begins_with_one_again() -> None:
    play = Play(same_prefix=True)
    play.fill()
    play.end("T-1", "error")
    assert play.fill() == 1


@pytest.mark.parametrize("outcome", ["success", "unverified", "invalid output", "denied", "ceiling"])
def test_a_worker_whose_work_was_no_good_was_answered_all_the_same(outcome: str) -> None:
    play = Play(same_prefix=True)
    play.fill()
    play.end("T-1", outcome)
    assert play.fill() > 1


def test_a_prefix_stays_warm_for_five_minutes_after_its_last_use() -> None:
    play = Play(same_prefix=True)
    play.fill()
    play.tell(ANSWERED)
    play.end("T-1")
    play.now += CACHED_FOR - 1
    assert play.fill() > 1
    for name in list(play.running):
        play.end(name, "error")
    play.now += CACHED_FOR
    assert play.fill() == 1


def test_no_more_workers_start_at_once_than_the_cores_can_start() -> None:
    play = Play(cores=1)
    assert play.fill() == 2
    assert play.hold() == Hold("as many workers are starting as this machine can start at once")
    play.tell(SPOKE, "T-1")
    assert play.fill() == 1


def test_the_number_of_workers_grows_with_each_first_answer() -> None:
    play = Play(parallelism=8)
    assert play.fill() == 4
    play.tell(ANSWERED, "T-1", "T-2")
    assert play.fill() == 2
    play.tell(ANSWERED)
    assert play.fill() == 2
    assert len(play.running) == 8


def test_after_a_rate_limit_only_as_many_run_as_were_being_served() -> None:
    play = Play()
    for _ in range(3):
        play.fill()
        play.tell(ANSWERED)
    assert len(play.running) == 12
    play.tell(LIMITED, *play.running[9:])
    play.end("T-1")
    assert play.hold() == Hold("the API limits the rate: fewer workers at once")
    for name in play.running[:2]:
        play.end(name)
    assert len(play.running) == 9
    assert play.fill() == 0
    play.end(play.running[0])
    assert play.fill() == 1


def test_a_worker_that_was_served_and_has_just_ended_does_not_lower_the_number_that_is_served() -> None:
    play = Play()
    for _ in range(3):
        play.fill()
        play.tell(ANSWERED)
    play.tell(LIMITED, *play.running[8:])
    for _ in range(3):
        play.end(play.running[0])
        play.tell(LIMITED, play.running[-1])
        play.tell(ANSWERED, play.running[7])
        play.now += 1
    for name in play.running[-2:]:
        play.end(name, "error")
    assert len(play.running) == 7
    assert play.fill() == 1


def test_a_worker_that_ended_a_while_ago_is_not_being_served() -> None:
    play = Play(parallelism=8)
    for _ in range(3):
        play.fill()
        play.tell(ANSWERED)
    for name in play.running[:2]:
        play.end(name)
    play.now += JUST_NOW
    play.tell(LIMITED, play.running[-1])
    play.end(play.running[0])
    assert play.fill() == 0


def test_a_rate_limit_of_all_halves_the_number_of_workers_once() -> None:
    play = Play(parallelism=8)
    for _ in range(2):
        play.fill()
        play.tell(ANSWERED)
    play.fill()
    play.tell(SPOKE)
    play.tell(OVERLOADED)
    play.tell(OVERLOADED)
    while len(play.running) > 3:
        play.end(play.running[0], "error")
    assert play.fill() == 1


def test_a_worker_launched_after_the_cut_cuts_again() -> None:
    play = Play(parallelism=8)
    for _ in range(3):
        play.fill()
        play.tell(ANSWERED)
    play.tell(LIMITED)
    for name in play.running[:5]:
        play.end(name)
    play.tell(ANSWERED)
    assert play.fill() == 1
    play.tell(LIMITED)
    for name in play.running[:2]:
        play.end(name)
    assert play.fill() == 0
    play.end(play.running[0])
    assert play.fill() == 1


def test_each_quiet_minute_lets_one_more_worker_run() -> None:
    play = Play(parallelism=8)
    for _ in range(3):
        play.fill()
        play.tell(ANSWERED)
    play.tell(LIMITED)
    for name in play.running[:4]:
        play.end(name)
    assert play.fill() == 0
    play.now += QUIET
    assert play.fill() == 1
    play.now += 10 * QUIET
    assert play.fill() == 3


def test_refusals_without_an_answer_are_followed_by_longer_and_longer_pauses() -> None:
    play = Play(parallelism=1)
    waits = []
    for _ in range(9):
        play.fill()
        play.end(play.running[0], "rate limited")
        pause = play.hold()
        assert pause is not None
        assert pause.until is not None
        waits.append(pause.until - play.now)
        play.now = pause.until
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    play.fill()
    play.end(play.running[0])
    play.fill()
    play.end(play.running[0], "overloaded")
    assert play.hold() == Hold("the API is overloaded", play.now + 1)


def test_an_api_that_cannot_be_reached_is_waited_for_and_leaves_the_number_of_workers_as_it_is() -> None:
    play = Play()
    most = play.fill()
    for name in list(play.running):
        play.end(name, "unreachable")
    pause = play.hold()
    assert pause == Hold("the API is unreachable", play.now + 2.0 ** (most - 1))
    play.now = pause.until or 0.0
    assert play.fill() == most


def test_a_usage_limit_parks_all_launches_until_it_resets() -> None:
    play = Play()
    play.fill()
    play.end("T-1", "usage limited", NOON + 7200)
    assert play.hold() == Hold("the usage limit is reached", NOON + 7200)
    for name in list(play.running):
        play.end(name)
    assert play.hold() is not None
    play.now = NOON + 7200
    assert play.hold() is None


@pytest.mark.parametrize("until", [None, NOON - 60, NOON + 9 * 86400, 4e9])
def test_a_usage_limit_without_a_time_that_can_be_is_asked_about_again_after_five_minutes(
    until: float | None,
) -> None:
    play = Play()
    play.fill()
    play.end("T-1", "usage limited", until)
    assert play.hold() == Hold("the usage limit is reached", NOON + 300)


def test_a_rejection_heard_from_one_worker_parks_the_others_at_once() -> None:
    play = Play()
    play.fill()
    play.tell(window("rejected", NOON + 60), "T-1")
    assert play.hold() == Hold("the usage limit is reached", NOON + 60)


def test_a_rejection_until_a_time_that_no_window_lasts_parks_nothing() -> None:
    play = Play()
    play.fill()
    play.tell(window("rejected", NOON + 9 * 86400), "T-1")
    play.tell(window("allowed_warning", 4e9), "T-2")
    play.tell(ANSWERED)
    assert play.fill() == 4


def test_the_longer_of_two_pauses_holds() -> None:
    play = Play()
    play.governor.pause("one", NOON + 60)
    play.governor.pause("two", NOON + 30)
    assert play.hold() == Hold("one", NOON + 60)


def test_near_the_usage_limit_half_as_many_workers_run() -> None:
    play = Play(parallelism=8)
    for _ in range(2):
        play.fill()
        play.tell(ANSWERED)
    play.tell(window("allowed_warning", NOON + 3600), "T-1")
    for name in play.running[:4]:
        play.end(name)
    assert play.hold() == Hold("the usage limit is near: half as many workers at once")
    play.tell(window("allowed", NOON + 3600), play.running[0])
    assert play.fill() > 0


def test_nothing_is_launched_while_a_login_is_being_refused() -> None:
    play = Play()
    play.fill()
    play.tell(REFUSED, "T-1")
    assert play.hold() == Hold("the login of a worker was refused; it is asking again")
    play.tell(ANSWERED, "T-1")
    assert play.hold() is None


def test_nothing_is_launched_where_less_memory_is_free_than_a_worker_takes() -> None:
    play = Play()
    assert play.hold(memory=1) is None, "one worker may always run"
    play.governor.launched("T-1", "kind", 0.0)
    assert play.hold(memory=USUAL_MEMORY - 1) == Hold("less than 300 MiB of memory are free")
    assert play.hold(memory=USUAL_MEMORY) is None
    assert play.hold(memory=None) is None


def test_what_running_workers_may_cost_is_set_apart() -> None:
    play = Play()
    assert play.hold(reserve=3.0, left=1.0) is None, "one worker may always run"
    play.governor.launched("T-1", "kind", 3.0)
    assert play.hold(reserve=1.0, left=3.5) == Hold(
        "what is left of the budget is set apart for the workers that run"
    )
    assert play.hold(reserve=0.5, left=3.5) is None
    assert play.hold(reserve=1.0, left=None) is None
    play.governor.ended("T-1", "success", None, NOON)
    assert play.governor.reserved == 0.0


def test_a_worker_counts_once_however_often_it_is_told_of() -> None:
    play = Play(cores=1)
    play.governor.launched("T-1", "kind", 1.0)
    play.governor.launched("T-1", "kind", 1.0)
    assert play.governor.reserved == 1.0
    play.governor.heard("T-9", LIMITED, NOON)
    play.governor.ended("T-9", "success", None, NOON)
    assert play.hold() is None


NAMES = st.sampled_from([f"T-{number}" for number in range(6)])
SIGNS = st.sampled_from(
    [
        SPOKE,
        ANSWERED,
        LIMITED,
        OVERLOADED,
        REFUSED,
        window("rejected", NOON + 60),
        window("allowed_warning", 9e9),
    ]
)
OUTCOMES = st.sampled_from(["success", "error", "rate limited", "overloaded", "usage limited", "interrupted"])
NEWS = st.one_of(
    st.tuples(st.just("launched"), NAMES, st.sampled_from("ab")),
    st.tuples(st.just("heard"), NAMES, SIGNS),
    st.tuples(st.just("ended"), NAMES, OUTCOMES),
    st.tuples(st.just("time"), NAMES, st.floats(0, 400)),
)


@given(st.lists(NEWS, max_size=60))
def test_when_all_have_ended_a_worker_may_run_at_once_or_at_a_known_time(
    news: list[tuple[str, str, object]],
) -> None:
    governor, now = Governor(4, 2), NOON
    for what, name, detail in news:
        match detail:
            case str() if what == "launched":
                governor.launched(name, detail, 0.5)
            case Sign():
                governor.heard(name, detail, now)
            case str():
                governor.ended(name, detail, None, now)
            case float():
                now += detail
    for number in range(6):
        governor.ended(f"T-{number}", "interrupted", None, now)
    hold = governor.hold("a", 1.0, 0.1, 0, now)
    assert hold is None or (hold.until is not None and now < hold.until <= now + 300)
    assert governor.hold("a", 1.0, 0.1, 0, hold.until or now if hold else now) is None
    assert governor.reserved == 0.0
    assert not governor.starting
