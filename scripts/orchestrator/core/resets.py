"""When a usage limit resets, as the text of a message says it: the last resort where no field does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo

LONGEST_WAIT = timedelta(days=8)
"""A weekly limit resets within seven days; what is further off was misread."""

_MINUTE = timedelta(minutes=1)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_MOST_UNITS = 4
_LONGEST_MESSAGE = 10_000

_Zones = Callable[[str], tzinfo | None]

_LETTERS = re.IGNORECASE | re.ASCII
_EPOCH = re.compile(r"\|(\d{10})(?:\d{3})?(?!\d)", re.ASCII)
_LEAD = re.compile(
    r"\b(?:resets?|again|retry|wait|access)\b:? ?(?:(?:at|on|in|after|until|for|about) )*", _LETTERS
)
_SPAN = re.compile(
    r"(\d{1,6}(?:\.\d{1,6})?) ?(s(?:ec(?:ond)?)?|m(?:in(?:ute)?)?|h(?:(?:ou)?r)?|d(?:ay)?)s?(?![a-z])"
    r"(?:,? (?:and )?)?",
    _LETTERS,
)
_DAY = re.compile(
    r"(?:(?P<weekday>mon(?:day)?|tue(?:s(?:day)?)?|wed(?:nesday)?|thu(?:r(?:s(?:day)?)?)?|fri(?:day)?"
    r"|sat(?:urday)?|sun(?:day)?)(?![a-z])\.?,? ?)?"
    rf"(?:(?P<month>{'|'.join(_MONTHS)})[a-z]*\.? (?P<day>\d{{1,2}})(?:st|nd|rd|th)?"
    r"(?:,? (?P<year>\d{4}))?\b"
    r"|(?P<iso>\d{4}-\d\d-\d\d)T?)?(?:,? ?(?:at )?)",
    _LETTERS,
)
_CLOCK = re.compile(r"(\d{1,2})(?::(\d\d)(?::\d\d(?:\.\d+)?)?)?(?: ?([ap])\.?m\b\.?)?(?![\d:])", _LETTERS)
_ZONE = re.compile(
    r" ?(?:\( ?([a-z][\w+-]*(?:/[\w+-]+)*) ?\)|(utc|gmt|z|[a-z]+(?:/[a-z_]+){1,2})\b)", _LETTERS
)


def reset_time(text: str, now: datetime, zone: _Zones) -> datetime | None:
    """The next moment after `now` that a message such as `resets Nov 24, 1:45am (UTC)` names, in UTC.

    A time counts in the zone that stands behind it, if `zone` knows that one, else in the zone of `now`.
    Where the clock goes from 2:00 to 3:00, 2:30 is 3:30; a time that comes twice is the next of the two. A
    day without a time begins at midnight. None where the text names no moment, an impossible one, or one that
    is more than LONGEST_WAIT away.

    Args:
        text: `resets 3pm`, `resets Mon 12:00am`, `reset at 14:00`, `try again in 2 hours`, `|1735689600`, …
        now: when the message was written, aware, in the time zone of this machine.
        zone: the zone with a name such as `Europe/Berlin`; None for a name that is not known.
    """
    # The program writes a narrow no-break space between the hour and am.
    line = " ".join(text[:_LONGEST_MESSAGE].split())
    start = now.astimezone(UTC)
    latest = start + LONGEST_WAIT
    return next((moment for moment in _moments(line, now, zone) if start < moment <= latest), None)


def _moments(line: str, now: datetime, zone: _Zones) -> Iterator[datetime]:
    """What the line may mean, in UTC, the likeliest first; also what is past or too far away."""
    for epoch in _EPOCH.finditer(line):
        yield datetime.fromtimestamp(int(epoch[1]), UTC)
    for lead in _LEAD.finditer(line):
        if span := _span(line, lead.end()):
            yield now.astimezone(UTC) + span
        else:
            yield from _named(line, lead.end(), now, zone)


def _span(line: str, place: int) -> timedelta | None:
    """`1 hour and 30 minutes` at a place of the line, unless it is too long or not there."""
    seconds = 0.0
    for _ in range(_MOST_UNITS):
        if not (match := _SPAN.match(line, place)):
            break
        seconds += float(match[1]) * _SECONDS[match[2][0].lower()]
        place = match.end()
    return timedelta(seconds=seconds) if 0 < seconds <= LONGEST_WAIT.total_seconds() else None


def _named(line: str, place: int, now: datetime, zone: _Zones) -> Iterator[datetime]:
    """The moments around now that a day, a time of day or both at a place of the line mean, in order."""
    day = _DAY.match(line, place)
    end = day.end() if day else place
    clock = _CLOCK.match(line, end)
    if clock:
        wanted, end = _time_of_day(*clock.groups()), clock.end()
    else:
        wanted = time() if day and any(day.groups()) and not line[end : end + 1].isdigit() else None
    if not day or wanted is None:
        return
    named = _ZONE.match(line, end)
    local = now.astimezone(_found(named[1] or named[2], zone) or now.tzinfo) if named else now
    for ahead in range(-1, LONGEST_WAIT.days + 2):
        candidate = local.date() + timedelta(days=ahead)
        if _is(candidate, day):
            yield from _meant(datetime.combine(candidate, wanted, local.tzinfo))


def _time_of_day(hour: str, minute: str | None, half: str | None) -> time | None:
    """None for what is no time of a day, or a number alone."""
    hours, minutes = int(hour), int(minute or 0)
    if half:
        if not 1 <= hours <= 12:
            return None
        hours = hours % 12 + (12 if half in "pP" else 0)
    elif minute is None:
        return None
    return time(hours, minutes) if hours < 24 and minutes < 60 else None


def _is(candidate: date, day: re.Match[str]) -> bool:
    """Whether a date is the named day, as far as it is named."""
    weekday, month, of_month, year, iso = day.groups()
    return not (
        (weekday and weekday[:3].lower() != _WEEKDAYS[candidate.weekday()])
        or (month and (month.lower(), int(of_month)) != (_MONTHS[candidate.month - 1], candidate.day))
        or (year and int(year) != candidate.year)
        or (iso and iso != candidate.isoformat())
    )


def _meant(wall: datetime) -> Iterator[datetime]:
    """The moment with this time on the wall; in the night that clocks go back, the two."""
    first, second = wall.astimezone(UTC), wall.replace(fold=1).astimezone(UTC)
    for moment in (first, second) if second > first else (first,):
        yield moment
        # No seconds are written: a minute that has begun is meant to its end, and is not the one of tomorrow.
        yield moment + _MINUTE


def _found(name: str, zone: _Zones) -> tzinfo | None:
    if name.upper() in ("UTC", "GMT", "Z"):
        return UTC
    # The names are looked up as they are written; a message can be all capitals.
    return zone(name) or zone(name.title())
