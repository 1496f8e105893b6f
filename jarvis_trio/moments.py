"""Instants as people type them: `tomorrow 9:00`, `friday 18:30`, `in 20m`, or ISO 8601. Pure.

The libraries that read such text were left. dateparser 1.5 brings four packages (11 MB),
needs 0.17 s for its first text, and takes `friday 9:00` for the one that is past and
`10/11` for 11 October; parsedatetime has had no release since 2020. A scheduler must not
guess, so there are few forms, and each has one meaning.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import date, datetime, time, timedelta, tzinfo

from jarvis_trio.errors import ScheduleError
from jarvis_trio.instants import as_utc, parse_duration

_COMING = "2026-12-01T09:00, tomorrow 9:00, friday 9:00 or in 20m"
_PAST = "2h (ago), yesterday, yesterday 9:00 or 2026-12-01T09:00"
_DAYS = {"today": 0, "tomorrow": 1, "yesterday": -1}
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def read_moment(text: str, now: datetime, zone: tzinfo, examples: str = _COMING) -> datetime:
    """What `text` means: aware where it names an instant, naive where it names a local time.

    A weekday is the next day of that name, today's included while its time is to come.
    `now` is aware; days are counted in `zone`. Raises ScheduleError, with the `examples`.
    """
    try:
        return _read(text, now, zone)
    except (ValueError, OverflowError):
        raise ScheduleError(f"not a time: {text!r}; write it like {examples}") from None


def _read(text: str, now: datetime, zone: tzinfo) -> datetime:
    local = now.astimezone(zone).replace(tzinfo=None)
    match text.lower().split():
        case ["now"]:
            return now
        case ["in", duration]:
            return (now + parse_duration(duration)).replace(microsecond=0)
        case [day] if day in _DAYS:
            return datetime.combine(local.date() + timedelta(days=_DAYS[day]), time())
        case [day, at] if day in _DAYS:
            return datetime.combine(local.date() + timedelta(days=_DAYS[day]), _time(at))
        case [day, at] if (weekday := _weekday(day)) is not None:
            return _next_weekday(local, weekday, _time(at))
    return datetime.fromisoformat(" ".join(f"{word:0>5}" for word in text.split()))  # 9:00 is 09:00


def read_past(text: str, now: datetime, zone: tzinfo) -> datetime:
    """The instant that `text` means, where a duration such as `2h` means so long ago. Raises ScheduleError."""
    with suppress(ScheduleError, OverflowError):
        return now - parse_duration(text)
    return as_utc(read_moment(text, now, zone, _PAST), zone)


def _time(text: str) -> time:
    hour, minute = map(int, text.split(":"))
    return time(hour, minute)


def _weekday(text: str) -> int | None:
    return next((number for number, name in enumerate(_WEEKDAYS) if text in (name, name[:3])), None)


def _next_weekday(local: datetime, weekday: int, at: time) -> datetime:
    day: date = local.date() + timedelta(days=(weekday - local.weekday()) % 7)
    found = datetime.combine(day, at)
    return found if found > local else found + timedelta(days=7)
