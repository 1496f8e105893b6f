"""How the clock on the wall runs in a zone: stretches of one UTC offset, and what lies between.

A wall minute is a whole number: minutes on the local clock since 0001-01-01 00:00,
which was a Monday. An instant is a whole number too: seconds of UTC since then.
Plain numbers, because next to the years 1 and 9999 an aware `datetime` overflows on
its way to UTC, and because two of them in one zone compare without their `fold`. Pure.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from datetime import MAXYEAR, MINYEAR, date, datetime, timedelta, tzinfo
from typing import NamedTuple

MINUTES_PER_DAY = 1_440
SECONDS_PER_DAY = 86_400
LAST_DAY = date.max.toordinal() - 1
_DAY = timedelta(days=1, minutes=1)

# `fromutc` needs room for any offset; no zone changes in the first and last days of the calendar.
_FIRST_CONVERTIBLE = 2 * SECONDS_PER_DAY
_LAST_CONVERTIBLE = (LAST_DAY - 2) * SECONDS_PER_DAY


class Stretch(NamedTuple):
    """The wall minutes `first <= minute < end` begin while `offset` (seconds) is in force."""

    first: int
    end: int
    offset: int

    def datetime_at(self, minute: int, zone: tzinfo | None) -> datetime:
        """The `datetime` in `zone` at the start of that minute, with the `fold` of this stretch."""
        moment = at_minute(minute, zone)
        return moment if _seconds(moment.utcoffset()) == self.offset else moment.replace(fold=1)


def wall_minute(moment: datetime) -> int:
    """The wall minute that `moment` reads in its own zone, seconds cut off."""
    return (moment.toordinal() - 1) * MINUTES_PER_DAY + moment.hour * 60 + moment.minute


def instant_seconds(moment: datetime) -> int:
    """The UTC second of `moment`, fractions cut off; a naive one is taken as it reads."""
    return wall_minute(moment) * 60 + moment.second - _seconds(moment.utcoffset())


def at_minute(minute: int, zone: tzinfo | None) -> datetime:
    """The `datetime` in `zone` at the start of that wall minute; of two, the first."""
    return _beginning(zone) + timedelta(0, minute * 60)


def is_plain(moment: datetime, zone: tzinfo) -> bool:
    """Whether the clock reads the minute of `moment` exactly once: neither skipped nor twice."""
    # The shortcut, a fifth of the cost: no clock was ever put forward or back by more than a day.
    if MINYEAR < moment.year < MAXYEAR and zone.utcoffset(moment - _DAY) == zone.utcoffset(moment + _DAY):
        return True
    minute = moment.replace(second=0, microsecond=0)
    return zone.utcoffset(minute.replace(fold=0)) == zone.utcoffset(minute.replace(fold=1))


def stretches(zone: tzinfo | None, start: int, end: int) -> Iterator[Stretch]:
    """The stretches of the instants `start <= second < end`, in order; each has a whole minute."""
    while start < end:
        offset = _offset_at(zone, start)
        change = _next_change(zone, start, end, offset)
        stretch = Stretch(-(-(start + offset) // 60), -(-(change + offset) // 60), offset)
        if stretch.first < stretch.end:
            yield stretch
        start = change


def _next_change(zone: tzinfo | None, start: int, end: int, offset: int) -> int:
    """The first second from `start` on that has not this offset, or `end`.

    Looking once a day finds them all: in the IANA database of 2026 no two changes of a
    zone are closer than 95 hours (Africa/Freetown, 1939).
    """
    while zone is not None and start < end:
        later = min(start + SECONDS_PER_DAY, end)
        if _offset_at(zone, later) != offset:
            return start + bisect_left(range(start, later), True, key=lambda second: _offset_at(zone, second) != offset)
        start = later
    return end


def _offset_at(zone: tzinfo | None, second: int) -> int:
    if zone is None:
        return 0
    if not _FIRST_CONVERTIBLE <= second <= _LAST_CONVERTIBLE:
        second = _FIRST_CONVERTIBLE if second < _FIRST_CONVERTIBLE else _LAST_CONVERTIBLE
    utc = _beginning(zone) + timedelta(0, second)
    return _seconds(zone.fromutc(utc) - utc)  # both have the zone, so this is the difference of what they read


def _beginning(zone: tzinfo | None) -> datetime:
    return datetime(1, 1, 1, 0, 0, 0, 0, zone)  # not `datetime.min.replace`, which takes four times as long


def _seconds(offset: timedelta | None) -> int:
    return 0 if offset is None else offset.days * SECONDS_PER_DAY + offset.seconds
