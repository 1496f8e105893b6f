"""Instants as people type them: `tomorrow 9:00`, `friday 18:30`, `in 20m`, or ISO 8601. Pure.

The libraries that read such text were left. dateparser takes 0.3 s and five packages to
import, knows 200 languages, and reads `10/11` as a day of its own choice; parsedatetime
has no release since 2020. A scheduler must not guess, so there are few forms and no doubt.
"""

from __future__ import annotations

import re
from calendar import day_name
from datetime import date, datetime, time, timedelta, tzinfo

from jarvis_trio.errors import ScheduleError
from jarvis_trio.instants import as_utc, parse_duration

_DAYS = {"today": 0, "tomorrow": 1, "yesterday": -1}
_TIME = re.compile(r"(\d{1,2}):(\d{2})")


def read_moment(text: str, now: datetime, zone: tzinfo) -> datetime:
    """What `text` means: aware where it names an instant, naive where it names a local time.

    A weekday is the next day of that name, today's included while its time is to come.
    `now` is aware; days are counted in `zone`. Raises ScheduleError.
    """
    local = now.astimezone(zone).replace(tzinfo=None)
    match text.lower().split():
        case ["now"]:
            return now
        case ["in", duration]:
            return (now + parse_duration(duration)).replace(microsecond=0)
        case [day] if day in _DAYS:
            return datetime.combine(local.date() + timedelta(days=_DAYS[day]), time())
        case [day, at] if day in _DAYS:
            return datetime.combine(local.date() + timedelta(days=_DAYS[day]), _time(at, text))
        case [day, at] if (weekday := _weekday(day)) is not None:
            return _next_weekday(local, weekday, _time(at, text))
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        raise _unreadable(text) from None


def read_past(text: str, now: datetime, zone: tzinfo) -> datetime:
    """The instant that `text` means, where a duration such as `2h` means so long ago. Raises ScheduleError."""
    if re.fullmatch(r"[\d.]+[dhms].*", text):
        return now - parse_duration(text)
    return as_utc(read_moment(text, now, zone), zone)


def _time(text: str, whole: str) -> time:
    found = _TIME.fullmatch(text)
    if found is None or int(found[1]) > 23 or int(found[2]) > 59:
        raise _unreadable(whole)
    return time(int(found[1]), int(found[2]))


def _weekday(text: str) -> int | None:
    names = [name.lower() for name in day_name]
    return next((number for number, name in enumerate(names) if text in (name, name[:3])), None)


def _next_weekday(local: datetime, weekday: int, at: time) -> datetime:
    day: date = local.date() + timedelta(days=(weekday - local.weekday()) % 7)
    found = datetime.combine(day, at)
    return found if found > local else found + timedelta(days=7)


def _unreadable(text: str) -> ScheduleError:
    return ScheduleError(f"not a time: {text!r}; write it like 2026-12-01T09:00, tomorrow 9:00, friday 9:00 or in 20m")
