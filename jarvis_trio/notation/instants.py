"""Text at the edges: instants, durations and zones, to and from what people write.

Inside the program a time is an aware UTC `datetime` (law 5) and a duration is a `timedelta`. Local
text comes in and goes out here. Pure.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from jarvis_trio.clock import named_zone
from jarvis_trio.errors import ScheduleError

YEARS = range(2, 9999)
"""The years that are accepted: with one to spare at either end for the offset of a zone."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DURATION_UNITS = {  # the names that people use for each, the largest first
    "weeks": ("w", "wk", "wks", "week", "weeks"),
    "days": ("d", "day", "days"),
    "hours": ("h", "hr", "hrs", "hour", "hours"),
    "minutes": ("m", "min", "mins", "minute", "minutes"),
    "seconds": ("s", "sec", "secs", "second", "seconds"),
}
_CURRENT_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
_AMOUNT = r"(\d+(?:\.\d+)?|\ban?\b)"
_SEPARATOR = r"(?:(?<=\S),\s*|(?<=\s)and\s+)?"
_DURATION = "".join(  # compiled when a duration is first read: 0.5 ms
    rf"(?:{_SEPARATOR}{_AMOUNT}\s*(?:{'|'.join(names)})(?![A-Za-z])\s*)?" for names in _DURATION_UNITS.values()
)


def to_microseconds(instant: datetime) -> int:
    """Microseconds since 1970-01-01 UTC, exactly: what the database indexes."""
    return (instant - _EPOCH) // _MICROSECOND


def from_microseconds(microseconds: int) -> datetime:
    """The aware UTC instant that `to_microseconds` was given."""
    return _EPOCH + microseconds * _MICROSECOND


def as_utc(instant: datetime, zone: tzinfo) -> datetime:
    """`instant` in UTC; a naive one is local time in `zone`.

    A naive time in the repeated hour is read as the first of the two, and one in the gap is moved
    on by the length of the gap, as `fold=0` says (PEP 495).

    Raises ScheduleError for a year outside `YEARS`.
    """
    aware = instant if instant.tzinfo is not None else instant.replace(tzinfo=zone)
    if instant.year not in YEARS or (utc := aware.astimezone(UTC)).year not in YEARS:
        raise ScheduleError(f"time out of range: {instant.isoformat()}", fix="use a year from 2 to 9998")
    return utc


def parse_instant(text: str, zone: tzinfo = UTC) -> datetime:
    """The UTC instant that ISO 8601 `text` means; text without an offset is local to `zone`.

    Raises ScheduleError for anything else.
    """
    try:
        parsed = datetime.fromisoformat(text.strip())
    except (ValueError, AttributeError, TypeError):
        raise ScheduleError(f"not a time: {text!r}", fix="write it like 2026-12-01T09:00") from None
    return as_utc(parsed, zone)


def parse_stamp(text: str, zone: tzinfo) -> datetime:
    """The UTC instant of a row's `created_at` or `updated_at`.

    Most programs write them as they write all times, so `parse_instant` reads them. A row that does
    not name them gets SQLite's CURRENT_TIMESTAMP, `2026-12-01 09:00:00`, which is UTC
    (sqlite.org/lang_createtable.html, 3.2): what has exactly that form is read so.

    Raises ScheduleError for anything else.
    """
    return parse_instant(text, UTC if _CURRENT_TIMESTAMP.fullmatch(text or "") else zone)


def local_text(instant: datetime, zone: tzinfo) -> str:
    """ISO 8601 in `zone` with the UTC offset, so that the repeated hour is unambiguous."""
    return instant.astimezone(zone).isoformat()


def utc_text(instant: datetime) -> str:
    """ISO 8601 in UTC: one text for one instant, whatever the machine's zone."""
    return _utc_text(instant.astimezone(UTC))


@lru_cache(maxsize=64)
def _utc_text(utc: datetime) -> str:
    """Kept, since a run's row has its slot and its start in three statements."""
    return utc.isoformat()


def parse_zone(name: str) -> ZoneInfo:
    """The zone of that name in the IANA database.

    Raises ScheduleError if there is none.
    """
    try:
        return named_zone(name)
    except (KeyError, ValueError, OSError, TypeError, AttributeError):
        fix = "use a name like Europe/Berlin or America/Denver"
        raise ScheduleError(f"unknown time zone: {name!r}", fix=fix) from None


def parse_duration(text: str) -> timedelta:
    """The duration that text such as `90s`, `1h30m`, `2w` or `5 minutes` means.

    Raises ScheduleError if it is not written so, or is not greater than zero.
    """
    found = re.fullmatch(_DURATION, text.strip())
    if found is None or not any(found.groups()):
        raise ScheduleError(f"not a duration: {text!r}", fix="write it like 90s, 5m, 1h30m, 2d, 1w or 5 minutes")
    named = zip(_DURATION_UNITS, found.groups(), strict=True)
    amounts = {unit: 1 if amount in ("a", "an") else float(amount) for unit, amount in named if amount}
    try:
        duration = timedelta(**amounts)
    except OverflowError:
        raise ScheduleError(f"duration too long: {text!r}") from None
    if not duration:
        raise ScheduleError(f"duration must be greater than zero: {text!r}", fix="write it like 90s, 5m or 2d")
    return duration


def time_between(start: datetime, end: datetime) -> timedelta | None:
    """How long it was from `start` to `end` by the clock; None if it was set back in between."""
    return None if end < start else end - start


def duration_text(duration: timedelta) -> str:
    """`duration` as `parse_duration` reads it: `1h30m`, `2d`, `0.5s`; `0s` if there is none."""
    seconds, fraction = duration // timedelta(seconds=1), f".{duration.microseconds:06}".rstrip(".0")
    days, seconds = divmod(seconds, 86_400)
    hours, seconds = divmod(seconds, 3_600)
    minutes, seconds = divmod(seconds, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "m")]
    text = "".join(f"{count}{unit}" for count, unit in parts if count)
    return text + (f"{seconds}{fraction}s" if seconds or fraction or not text else "")
