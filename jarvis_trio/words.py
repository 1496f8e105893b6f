"""Instants, durations, lists and names as a person says them, in plain English. Pure.

Not `strftime` names and not the package humanize: both follow the process's locale,
and the sentences around them are English.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta, tzinfo

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_UNITS = (
    ("year", timedelta(days=365)),
    ("day", timedelta(days=1)),
    ("hour", timedelta(hours=1)),
    ("minute", timedelta(minutes=1)),
    ("second", timedelta(seconds=1)),
)


def moment_words(instant: datetime, zone: tzinfo) -> str:
    """The instant in `zone`, with the zone's name in force: `Sun 2026-03-08 03:00 MDT`."""
    local = instant.astimezone(zone)
    return f"{date_words(local)} {time_words(instant, zone)} {local.tzname()}"


def date_words(day: date) -> str:
    """The date with its weekday: `Sun 2026-03-08`."""
    return f"{_DAYS[day.weekday()]} {day:%Y-%m-%d}"


def time_words(instant: datetime, zone: tzinfo) -> str:
    """The time of day in `zone`, seconds only where there are any: `03:00`, `03:00:05`."""
    local = instant.astimezone(zone)
    return f"{local:%H:%M:%S}" if local.second else f"{local:%H:%M}"


def duration_words(duration: timedelta) -> str:
    """The duration in its two largest units: `2 days and 3 hours`, `250 milliseconds`."""
    if abs(duration) < timedelta(seconds=1):
        milliseconds = max(1, round(abs(duration) / timedelta(milliseconds=1)))
        return counted(milliseconds, "millisecond") if duration else "no time"
    words = []
    for name, unit in _UNITS:
        count, duration = divmod(duration, unit)
        if count:
            words.append(counted(count, name))
        if len(words) == 2 or (words and not count):
            break
    return " and ".join(words)


def counted(count: int, noun: str) -> str:
    """`1 slot`, `3 slots`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def joined(items: Sequence[str], most: int = 4) -> str:
    """`a, b and c`; what is beyond `most` is counted: `a, b and 7 more`."""
    if len(items) > most:
        items = [*items[: most - 1], f"{len(items) - most + 1} more"]
    return " and ".join(filter(None, (", ".join(items[:-1]), *items[-1:])))


def nearest(name: str, names: Sequence[str]) -> str:
    """`did you mean 'backup'? ` where one of the names is near; else nothing."""
    import difflib  # noqa: PLC0415  # 3 ms, which only a mistake need pay

    found = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {found[0]!r}? " if found else ""


def shortened(text: str, width: int) -> str:
    """The text, cut to `width` characters with an ellipsis where it is longer."""
    return text if len(text) <= width else text[: width - 1] + "…"
