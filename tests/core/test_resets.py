from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.resets import LONGEST_WAIT, reset_time

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")
KNOWN: dict[str, tzinfo] = {zone.key: zone for zone in (BERLIN, NEW_YORK)}

# A Tuesday, 13:00 in Berlin, 7:00 in New York.
NOON = datetime(2025, 11, 18, 12, 0, 20, tzinfo=UTC)


def reset(text: str, now: datetime = NOON) -> datetime | None:
    return reset_time(text, now, KNOWN.get)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("You've hit your 5-hour limit · resets 2:45pm (UTC)", "2025-11-18 14:45"),
        ("You've hit your 5-hour limit · resets 2:45am (UTC)", "2025-11-19 02:45"),
        ("You've hit your weekly limit · resets Nov 24, 1:45am (UTC)", "2025-11-24 01:45"),
        ("You've hit your session limit · resets 3:45pm", "2025-11-18 15:45"),
        ("You've hit your weekly limit · resets Mon 12:00am", "2025-11-24 00:00"),
        ("resets 3pm · your Opus limit resets Nov 24, 9am", "2025-11-18 15:00"),
        ("resets 3pm (Europe/Berlin)", "2025-11-18 14:00"),
        ("resets at 14:00", "2025-11-18 14:00"),
        ("Your limit will reset at 9am (America/New_York).", "2025-11-18 14:00"),
        ("Claude AI usage limit reached|1763470800", "2025-11-18 13:00"),
        ("Claude AI usage limit reached|1763470800123", "2025-11-18 13:00"),
        ("try again in 5 minutes", "2025-11-18 12:05:20"),
        ("Please try again in 2 hours.", "2025-11-18 14:00:20"),
        ("resets in 1 hour and 30 minutes", "2025-11-18 13:30:20"),
        ("retry after 2h 30m", "2025-11-18 14:30:20"),
        ("Please wait 1.5 hrs", "2025-11-18 13:30:20"),
        ("resets in 2 days, 3 hours", "2025-11-20 15:00:20"),
        ("You will regain access on 2025-11-21 at 00:00 UTC.", "2025-11-21 00:00"),
        ("resets on 2025-11-21T06:30:00Z", "2025-11-21 06:30"),
        ("resets 3:45\u202fPM (UTC)", "2025-11-18 15:45"),
        ("resets\u00a03:45\u00a0pm", "2025-11-18 15:45"),
        ("YOU'VE HIT YOUR LIMIT · RESETS 3PM (EUROPE/BERLIN)", "2025-11-18 14:00"),
        ("RESETS NOV 24, 1:45 A.M. (utc)", "2025-11-24 01:45"),
        ("resets 12am", "2025-11-19 00:00"),
        ("resets 12pm (America/New_York)", "2025-11-18 17:00"),
        ("resets 12:30pm", "2025-11-18 12:30"),
        ("resets 3pm (somewhere)", "2025-11-18 15:00"),
        ("resets 3pm (Mars/Olympus_Mons)", "2025-11-18 15:00"),
        ("resets Tuesday, 11:00", "2025-11-25 11:00"),
        ("resets Tue 1pm", "2025-11-18 13:00"),
        ("resets Friday", "2025-11-21 00:00"),
        ("resets Nov 24", "2025-11-24 00:00"),
        ("resets November 24 at 1:45 AM", "2025-11-24 01:45"),
        ("resets Nov 24, 2025, 3am", "2025-11-24 03:00"),
        ("resets Mon Nov 24, 3am", "2025-11-24 03:00"),
        ("resets 25:99, then resets 4pm", "2025-11-18 16:00"),
    ],
)
def test_the_moment_that_a_message_names(text: str, expected: str) -> None:
    assert reset(text) == at(expected)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "You've hit your 5-hour limit",
        "resets 25:99",
        "resets 3:60pm",
        "resets 24:00",
        "resets 13pm",
        "resets 0am",
        "resets 3",
        "resets 3amp",
        "resets 123:45",
        "resets 5 times",
        "resets monthly",
        "resets soon",
        "resets Feb 30, 3am",
        "resets Nov 24, 25:99",
        "resets Nov 24, 123",
        "resets Nov 24, 2026, 3am",
        "resets Mon Nov 25, 3am",
        "resets Nov 17, 3am",
        "resets Dec 24, 3am",
        "resets 2025-13-45",
        "limit reached|1763467200",
        "limit reached|1999999999",
        "limit reached|17634708001",
        "try again in 0 minutes",
        "try again in 9 days",
        "try again in 5 months",
        "try again in " + "999999 days " * 2000,
        "the 3pm build is over",
    ],
)
def test_what_names_no_moment_to_wait_for_is_none(text: str) -> None:
    assert reset(text) is None


@pytest.mark.parametrize(
    ("now", "text", "expected"),
    [
        ("2025-11-18 23:30", "resets 12:15am", "2025-11-19 00:15"),
        ("2025-12-31 20:00", "resets 1am", "2026-01-01 01:00"),
        ("2025-12-31 20:00", "resets Jan 2, 1am", "2026-01-02 01:00"),
        ("2025-12-31 20:00", "resets Jan 2, 2026, 1am", "2026-01-02 01:00"),
        ("2028-02-28 20:00", "resets 1am", "2028-02-29 01:00"),
        ("2028-02-28 20:00", "resets Feb 29, 1am", "2028-02-29 01:00"),
        ("2028-02-29 20:00", "resets Mar 1, 1am", "2028-03-01 01:00"),
        ("2025-11-24 00:30", "resets Mon 12:00am", "2025-12-01 00:00"),
    ],
)
def test_a_time_that_is_over_is_that_of_the_next_day_week_or_year(now: str, text: str, expected: str) -> None:
    assert reset(text, at(now)) == at(expected)


@pytest.mark.parametrize(
    ("now", "text", "expected"),
    [
        # New York: 2:00 becomes 3:00 on 2026-03-08, and 2:00 becomes 1:00 on 2026-11-01.
        ("2026-03-07 23:00", "resets 1:30am", "2026-03-08 06:30"),
        ("2026-03-07 23:00", "resets 3:30am", "2026-03-08 07:30"),
        ("2026-03-07 23:00", "resets 2:30am", "2026-03-08 07:30"),
        ("2026-10-31 23:00", "resets 1:30am", "2026-11-01 05:30"),
        ("2026-10-31 23:00", "resets 3am", "2026-11-01 08:00"),
        ("2026-11-01 05:45", "resets 1:30am", "2026-11-01 06:30"),
        ("2026-11-01 06:45", "resets 1:30am", "2026-11-02 06:30"),
        ("2026-10-30 23:00", "resets Mon 12:00am", "2026-11-02 05:00"),
    ],
)
def test_the_clock_of_a_zone_is_followed_where_it_changes(now: str, text: str, expected: str) -> None:
    found = reset(f"{text} (America/New_York)", at(now))
    assert found == reset(text, at(now).astimezone(NEW_YORK)) == at(expected)


def test_a_time_without_a_zone_is_in_that_of_now() -> None:
    assert reset("resets 3pm", NOON.astimezone(BERLIN)) == at("2025-11-18 14:00")
    assert reset("resets 3pm (UTC)", NOON.astimezone(BERLIN)) == at("2025-11-18 15:00")


def test_the_day_is_that_of_the_zone_that_is_named() -> None:
    late = at("2025-11-18 23:30").astimezone(NEW_YORK)
    assert reset("resets 1am (Europe/Berlin)", late) == at("2025-11-19 00:00")


def test_a_minute_that_has_begun_is_not_the_one_of_tomorrow() -> None:
    assert reset("resets 12pm") == at("2025-11-18 12:01")
    assert reset("resets 12pm", NOON + timedelta(seconds=40)) == at("2025-11-19 12:00")


def test_a_zone_is_asked_for_by_name_and_by_nothing_else() -> None:
    asked: list[str] = []

    def zone(name: str) -> None:
        asked.append(name)

    reset_time("resets 3pm (../../etc/passwd), resets 4pm (Europe/Berlin)", NOON, zone)
    reset_time("resets 4pm (America/Argentina/Ushuaia)", NOON, zone)
    assert all(re.fullmatch(r"\w+(/\w+)*", name) for name in asked)
    assert "America/Argentina/Ushuaia" in asked


def test_a_long_text_takes_no_time() -> None:
    for text in ("resets Feb 30 ", "resets ", "reset at in on ", "again 1 ", "|12345678", "resets 1:"):
        assert reset(text * 500_000) is None


LEADS = st.sampled_from(["resets ", "again in ", "will reset at ", "|", ""])
DAYS = st.sampled_from(["Nov 24, ", "Feb 29, 2028, ", "Mon ", "Jan 1 at ", "2025-11-20 ", "1763470800", ""])
CLOCKS = st.sampled_from(
    ["3", "12am", "12:45", "9:99", "3:30 p.m.", "2 hours", "9999 minutes", "25:00pm", ""]
)
ZONES = st.sampled_from(["", " (UTC)", "\u202f(Europe/Berlin)", " America/New_York", "(", " and "])
MESSAGES = st.lists(st.tuples(LEADS, DAYS, CLOCKS, ZONES).map("".join)).map("".join)
MOMENTS = st.datetimes(
    datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.sampled_from([UTC, BERLIN, NEW_YORK])
)


@given(MESSAGES | st.text(), MOMENTS)
def test_what_is_found_is_after_now_and_near(text: str, now: datetime) -> None:
    found = reset(text, now)
    assert found is None or timedelta() < found - now.astimezone(UTC) <= LONGEST_WAIT


@given(MOMENTS, st.integers(0, 23), st.integers(0, 59))
def test_a_clock_time_is_met_within_a_day(now: datetime, hour: int, minute: int) -> None:
    found = reset(f"resets {hour % 12 or 12}:{minute:02}{'ap'[hour // 12]}m", now)
    assert found is not None
    assert found - now.astimezone(UTC) <= timedelta(hours=25)
    wall = found.astimezone(now.tzinfo)
    skipped = wall.utcoffset() != (wall - timedelta(hours=1)).utcoffset()
    begun = found - now.astimezone(UTC) <= timedelta(minutes=1)
    assert (wall.hour, wall.minute) == (hour, minute) or skipped or begun
