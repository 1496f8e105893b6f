"""Text at the edges: instants, durations and zones, to and from what people write.

Inside the program a time is an aware UTC `datetime` (law 5) and a duration a
`timedelta`; the functions here are where local text comes in and goes out. Pure.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from jarvis_trio.errors import ScheduleError

YEARS = range(2, 9999)
"""The years whose times are taken: one less at either end, so that no zone's offset leads out of the calendar."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DURATION_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")


def to_microseconds(instant: datetime) -> int:
    """Microseconds since 1970-01-01 UTC, exactly: what the database indexes."""
    return (instant - _EPOCH) // _MICROSECOND


def from_microseconds(microseconds: int) -> datetime:
    """The aware UTC instant that `to_microseconds` was given."""
    return _EPOCH + microseconds * _MICROSECOND


def as_utc(instant: datetime, zone: tzinfo) -> datetime:
    """`instant` in UTC; a naive one is local time in `zone`.

    A naive time in the repeated hour is its first reading, and one in the gap is
    moved on by the gap, as `fold=0` says (PEP 495).

    Raises ScheduleError for a year outside `YEARS`.
    """
    aware = instant if instant.tzinfo is not None else instant.replace(tzinfo=zone)
    if instant.year not in YEARS or (utc := aware.astimezone(UTC)).year not in YEARS:
        raise ScheduleError(f"time out of range: {instant.isoformat()}; use a year from 2 to 9998")
    return utc


def parse_instant(text: str, zone: tzinfo = UTC) -> datetime:
    """The UTC instant that ISO 8601 `text` means; text without offset is local to `zone`.

    Raises ScheduleError for anything else.
    """
    try:
        parsed = datetime.fromisoformat(text.strip())
    except (ValueError, AttributeError, TypeError):
        raise ScheduleError(f"not a time: {text!r}; write it like 2026-12-01T09:00") from None
    return as_utc(parsed, zone)


def local_text(instant: datetime, zone: tzinfo) -> str:
    """ISO 8601 in `zone` with the UTC offset, so that the repeated hour is unambiguous."""
    return instant.astimezone(zone).isoformat()


def utc_text(instant: datetime) -> str:
    """ISO 8601 in UTC: one text for one instant, whatever the machine's zone is."""
    return instant.astimezone(UTC).isoformat()


def parse_zone(name: str) -> ZoneInfo:
    """The zone that the IANA database knows by `name`.

    Raises ScheduleError for a name that it does not know.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError, TypeError, AttributeError):
        raise ScheduleError(f"unknown time zone: {name!r}; use a name like Europe/Berlin or America/Denver") from None


def parse_duration(text: str) -> timedelta:
    """The duration that text such as `90s`, `5m`, `1h30m` or `2d` means.

    Raises ScheduleError where it is not written so, or is not greater than zero.
    """
    found = _DURATION.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        raise ScheduleError(f"not a duration: {text!r}; write it like 90s, 5m, 1h30m or 2d")
    parts = {unit: float(part) for unit, part in zip(_DURATION_UNITS.values(), found.groups(), strict=True) if part}
    try:
        duration = timedelta(**parts)
    except OverflowError:
        raise ScheduleError(f"duration too long: {text!r}") from None
    if not duration:
        raise ScheduleError(f"duration must be greater than zero: {text!r}")
    return duration


def duration_text(duration: timedelta) -> str:
    """`duration` as `parse_duration` reads it: `1h30m`, `2d`, `0.5s`; `0s` for none."""
    seconds, fraction = duration // timedelta(seconds=1), f".{duration.microseconds:06}".rstrip(".0")
    days, seconds = divmod(seconds, 86_400)
    hours, seconds = divmod(seconds, 3_600)
    minutes, seconds = divmod(seconds, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "m")]
    text = "".join(f"{count}{unit}" for count, unit in parts if count)
    return text + (f"{seconds}{fraction}s" if seconds or fraction or not text else "")
