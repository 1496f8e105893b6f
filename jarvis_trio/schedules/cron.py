"""Cron expressions: when they fire next, how often in a span, and why at a minute. Pure.

The dialect is that of crontab(5), with two differences that existing rows need:
stored weekday numbers count 0 = Monday to 6 = Sunday, and day of month and weekday
must both match (crontab(5): either, if both are restricted). It also knows what crontab(5)
cannot say: `L` (the last day of the month), `L-3` (three days before it), `LW` (the last day
from Monday to Friday), `FRI#2` and `FRIL` (the second and the last Friday), as cronsim does.

The clock changes follow the notes of Debian's cron(8). A job whose minute or hour
field starts with `*` follows the clock: it runs in each whole minute that the clock
reads and that matches, so in both passes of a repeated hour, and not in a gap. Any
other job is fixed-time: each of its times runs in the first minute in which the clock
reads that time or a later one. So a time in a gap runs in the first whole minute after
it, and a time in a repeated hour runs in the first pass. Where this differs from others:

- Two times in one gap are one fire, since they are one instant. Debian runs the job
  twice; cronsim gives the same instant twice.
- Debian takes a change of more than three hours for a correction of the clock and
  drops the times between. A zone's rules correct nothing, so here the day that
  Pacific/Apia skipped in 2011 is a gap like any other (as in cronsim).
- If cronsim 2.8 is asked in the second pass, it begins again with the first. It misses
  minutes of wild-card jobs, or never returns, if the clock does not change by a
  whole hour on the hour.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from calendar import isleap
from collections.abc import Iterator
from datetime import MAXYEAR, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import NamedTuple

from jarvis_trio.errors import CronError
from jarvis_trio.schedules.cron_fields import (
    FIELDS,
    HOUR,
    MINUTE,
    MONTH,
    SUNDAY_FIRST,
    WEEKDAY,
    day_values,
    is_special,
    parse_field,
    split_expression,
    values,
    weekday_names,
)
from jarvis_trio.schedules.cron_words import day_words, sentence, weekday_words
from jarvis_trio.schedules.walltime import (
    LAST_DAY,
    MINUTES_PER_DAY,
    SECONDS_PER_DAY,
    Stretch,
    at_minute,
    instant_seconds,
    is_plain,
    stretches,
    wall_minute,
)

_MONTH_LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_LEAP_DAY = 59  # 29 February, counted from 1 January as 0
_DAY = timedelta(days=1)
# A year of each of the 14 layouts of the calendar: common ones from Monday on, then leap ones.
_LAYOUTS = (2018, 2019, 2014, 2015, 2010, 2011, 2017, 2024, 2008, 2020, 2004, 2016, 2000, 2012)
_EACH_WEEK = sum(1 << 7 * week for week in range(54))
# Twice the 400 years after which the calendar repeats: the last rule of a zone holds forever,
# so a wild-card job that met a gap each time until then will always do so.
_LONGEST_SEARCH = 800 * 366 * SECONDS_PER_DAY


class FieldCheck(NamedTuple):
    """Whether one field of an expression matches at a local time.

    `value` is what the local time has there, as a person says it: `Monday`, `09`.
    """

    field: str
    text: str
    value: str
    matches: bool


class CronExpression:
    """A cron expression: five fields, or a name such as `@daily`. Immutable.

    Two are equal if they match the same minutes under the same law of clock changes.

    Args:
        text: as in crontab(5); see the module for the differences.

    Attributes:
        text: as it was given.
        can_fire: False if no date matches, as for `0 0 30 2 *`.
        is_fixed_time: which of the two laws of clock changes it obeys; see the module.

    Raises CronError, in one line, if it cannot be understood.
    """

    __slots__ = ("_calendar", "_masks", "_texts", "can_fire", "is_fixed_time", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._texts = split_expression(text)
        self._masks = tuple(map(parse_field, FIELDS, self._texts))
        self._calendar = _Calendar(*self._masks)
        self.can_fire = self._calendar.has_a_day
        self.is_fixed_time = not (self._texts[0].startswith("*") or self._texts[1].startswith("*"))

    def __repr__(self) -> str:
        return f"CronExpression({self.text!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CronExpression):
            return NotImplemented
        return self._masks == other._masks and self.is_fixed_time == other.is_fixed_time

    def __hash__(self) -> int:
        return hash((self._masks, self.is_fixed_time))

    def next_time(self, after: datetime) -> datetime:
        """The first fire strictly after `after`.

        Args:
            after: aware: the expression is read in its zone, and the result has that
                zone, with the `fold` that tells the passes of a repeated hour apart.
                Naive: plain wall-clock arithmetic, without clock changes; so is the result.

        Raises CronError if it can never fire, or not before the year 10000.
        """
        zone = after.tzinfo
        fire = at_minute(self._first_match(wall_minute(after) + 1, after), zone)
        # If the clock reads both ends exactly once, changes between them do not matter:
        # what they skip or repeat lies between these two readings, and nothing there matches.
        if zone is None or (is_plain(after, zone) and is_plain(fire, zone)):
            return fire
        return self._next_near_change(after, zone)

    def latest(self, after: datetime, until: datetime) -> tuple[datetime | None, int]:
        """The last fire in (after, until], and how many fires lie there.

        The same as to repeat `next_time`, at a cost that grows with the days, not with
        the fires. The expression is read in the zone of `after`; both are aware, or both naive.
        """
        zone, count, last = after.tzinfo, 0, None
        for unseen, stretch in self._walk(instant_seconds(after) + 1, instant_seconds(until) + 1, zone):
            if matches := self._calendar.count(unseen, stretch.end):
                count += matches - max(self._calendar.count(unseen, stretch.first + 1) - 1, 0)
                last = unseen, stretch
        if last is None:
            return None, 0
        unseen, stretch = last
        minute = max(self._calendar.last(unseen, stretch.end), stretch.first)
        return stretch.datetime_at(minute, zone), count

    def describe(self, local: datetime) -> list[FieldCheck]:
        """Field by field, whether the expression matches the minute that `local` reads."""
        days, weekdays = day_values(local)
        readings = (1 << local.minute, 1 << local.hour, days, 1 << local.month, weekdays)
        labels = (
            MINUTE.label(local.minute),
            HOUR.label(local.hour),
            day_words(local, self._masks[2]),
            MONTH.label(local.month),
            weekday_words(local, self._masks[4]),
        )
        matches = [bool(mask & reading) for mask, reading in zip(self._masks, readings, strict=True)]
        return list(map(FieldCheck, (field.name for field in FIELDS), self._texts, labels, matches))

    def words(self) -> str:
        """What it means in plain English: `at 09:00 on Monday to Friday`."""
        return sentence(*map(values, self._masks)) + ("" if self.can_fire else ", which never comes")

    @property
    def uses_numeric_weekday(self) -> bool:
        """Whether its weekdays depend on which one is 0: by a number, or by a step as in `*/2`."""
        here, elsewhere = self.weekday_readings()
        return here != elsewhere or re.search(r"(?:^|[,-])[0-9]", self._texts[4]) is not None

    def weekday_readings(self) -> tuple[str, str]:
        """Its weekdays in names, ready to type: if 0 is Monday, as here, and if 0 is Sunday."""
        text = self._texts[4]
        here, elsewhere = parse_field(WEEKDAY, text), parse_field(WEEKDAY, text, SUNDAY_FIRST)
        return weekday_names(here), weekday_names(elsewhere)

    def _first_match(self, minute: int, after: datetime) -> int:
        if not self.can_fire:
            raise CronError(f"cron expression {self.text!r} can never fire: none of its months has such a day")
        match = self._calendar.first(minute)
        if match is None:
            end = f"after {after.isoformat()} the calendar ends, with the year 9999"
            raise CronError(f"cron expression {self.text!r} does not fire again: {end}")
        return match

    def _next_near_change(self, after: datetime, zone: tzinfo) -> datetime:
        start = instant_seconds(after)
        horizon = start + _LONGEST_SEARCH
        while start < horizon:
            # Nothing earlier can still be due: no clock is a day off UTC, no gap longer than that.
            match = self._first_match(max(start // 60 - 2 * MINUTES_PER_DAY, 0), after)
            start = max(start, match * 60 - 2 * SECONDS_PER_DAY)
            end = start + 5 * SECONDS_PER_DAY
            for unseen, stretch in self._walk(start + 1, end, zone):
                minute = max(self._first_match(unseen, after), stretch.first)
                if minute < stretch.end:
                    return stretch.datetime_at(minute, zone)
            start = end - 1
        raise CronError(f"cron expression {self.text!r} can never fire in {zone}: all its times fall into gaps")

    def _walk(self, start: int, end: int, zone: tzinfo | None) -> Iterator[tuple[int, Stretch]]:
        """The law: each stretch of the instants [start, end), and the first minute that counts.

        A match from that minute to the stretch's end fires when it is read; one before
        the stretch's first minute was in a gap and fires in that first minute.
        """
        seen = 0
        if self.is_fixed_time:  # how far the clock has come, also when it was put back since
            seen = max(before.end for before in stretches(zone, start - 2 * SECONDS_PER_DAY, start))
        for stretch in stretches(zone, start, end):
            yield (seen if self.is_fixed_time else stretch.first), stretch
            seen = max(seen, stretch.end)


class _Calendar:
    """The wall minutes that match, by the calendar alone: as if no clock ever changed."""

    __slots__ = ("_days_of_year", "_earliest", "_hours", "_minutes", "_special", "_weekdays", "has_a_day")

    def __init__(self, minutes: int, hours: int, days: int, months: int, weekdays: int) -> None:
        self._minutes = minutes
        self._hours = hours
        self._earliest = _lowest_bit(hours) * 60 + _lowest_bit(minutes)
        self._days_of_year = _days_of_year(days, months)
        self._weekdays = weekdays * _EACH_WEEK  # bit n: the nth day after a Monday
        self._special = (days, months, weekdays) if is_special(days, weekdays) else None
        if self._special:
            self.has_a_day = any(_days_of_layout(*self._special, year) for year in _LAYOUTS)
        else:
            # The weekday decides nothing: in the 400 years of the calendar each date,
            # 29 February too, falls on each weekday.
            self.has_a_day = self._days_of_year[True] != 0

    def first(self, minute: int) -> int | None:
        """The first match at `minute` or later; None after the year 9999."""
        day, minute_of_day = divmod(minute, MINUTES_PER_DAY)
        time = self._first_time(minute_of_day)
        on = self._first_day(day + 1 if time is None else day)
        if on is None:
            return None
        return on * MINUTES_PER_DAY + (self._earliest if time is None or on > day else time)

    def last(self, start: int, end: int) -> int:
        """The last match in `start <= minute < end`; there must be one."""
        total = self.count(start, end)
        return bisect_left(range(end), total, start, key=lambda minute: self.count(start, minute + 1))

    def count(self, start: int, end: int) -> int:
        """How many minutes match in `start <= minute < end`."""
        if start >= end:
            return 0
        first_day, first_minute = divmod(start, MINUTES_PER_DAY)
        last_day, last_minute = divmod(end, MINUTES_PER_DAY)
        whole_days = self._count_days(first_day, last_day) * self._count_times(MINUTES_PER_DAY)
        before = self._count_days(first_day, first_day + 1) * self._count_times(first_minute)
        return whole_days - before + self._count_days(last_day, last_day + 1) * self._count_times(last_minute)

    def _first_time(self, minute_of_day: int) -> int | None:
        hour, minute = divmod(minute_of_day, 60)
        if self._hours >> hour & 1 and (rest := self._minutes >> minute):
            return minute_of_day + _lowest_bit(rest)
        if later := self._hours >> hour + 1:
            return (hour + 1 + _lowest_bit(later)) * 60 + _lowest_bit(self._minutes)
        return None

    def _count_times(self, end: int) -> int:
        hour, minute = divmod(end, 60)
        whole_hours = (self._hours & (1 << hour) - 1).bit_count() * self._minutes.bit_count()
        return whole_hours + (self._hours >> hour & 1) * (self._minutes & (1 << minute) - 1).bit_count()

    def _first_day(self, day: int) -> int | None:
        if day > LAST_DAY:
            return None
        for year in range(date.fromordinal(day + 1).year, MAXYEAR + 1):
            first, days = self._year(year)
            start = day if day > first else first
            if rest := days >> start - first:
                return start + _lowest_bit(rest)
        return None

    def _count_days(self, start: int, end: int) -> int:
        count = 0
        for year in range(_year_of(start), _year_of(end) + 1):
            first, days = self._year(year)
            count += ((days & (1 << min(end - first, 366)) - 1) >> max(start - first, 0)).bit_count()
        return count

    def _year(self, year: int) -> tuple[int, int]:
        """The first day of that year, and the mask of its matching days; bit 0 is that day."""
        first = date(year, 1, 1).toordinal() - 1
        if self._special:
            return first, _days_of_layout(*self._special, _LAYOUTS[7 * isleap(year) + first % 7])
        return first, self._days_of_year[isleap(year)] & self._weekdays >> first % 7


@lru_cache(maxsize=1024)
def _days_of_layout(days: int, months: int, weekdays: int, year: int) -> int:
    """The days that match in all years that begin and go on as `year` does; bit 0 is 1 January."""
    mask = 0
    for number in range(365 + isleap(year)):
        day = date(year, 1, 1) + number * _DAY
        as_day, as_weekday = day_values(day)
        if months >> day.month & 1 and days & as_day and weekdays & as_weekday:
            mask |= 1 << number
    return mask


@lru_cache(maxsize=1024)
def _days_of_year(days: int, months: int) -> tuple[int, int]:
    """The masks of these days of these months, in a common and a leap year; bit 0 is 1 January."""
    leap_year = first = 0
    for month, length in enumerate(_MONTH_LENGTHS, 1):
        if months >> month & 1:
            leap_year |= (days >> 1 & (1 << length) - 1) << first
        first += length
    common_year = leap_year & (1 << _LEAP_DAY) - 1 | leap_year >> _LEAP_DAY + 1 << _LEAP_DAY
    return common_year, leap_year


def _year_of(day: int) -> int:
    return date.fromordinal(min(day, LAST_DAY) + 1).year


def _lowest_bit(mask: int) -> int:
    return (mask & -mask).bit_length() - 1
