"""Instants and days as people type them: `9am`, `tomorrow 9`, `in 1 hour`, ISO 8601. Pure.

One grammar for every option that takes a time. A moment is one of

- `now`, `in DURATION`, `DURATION ago`, or a DURATION alone where only one direction makes sense;
- a DAY, a TIME, or both in either order, with `at` or `on` if you like;
- ISO 8601, with or without a UTC offset.

A DAY is `today`, `tomorrow`, `yesterday`, a weekday, `last` and a weekday, a date such as `1 dec`
or `dec 1 2027`, or an ISO date. A TIME is `9:00`, `9am`, `noon`, `midnight`, or
just `9` after a day.

The libraries that read such text were rejected. dateparser 1.5 brings four packages (11 MB), needs
0.17 s for its first text, takes `friday 9:00` for the one that is past and `10/11` for 11 October.
parsedatetime has had no release since 2020. A scheduler must not guess: each form has one meaning,
and what has two (`10/11`, `friday midnight`) is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, datetime, time, timedelta, tzinfo
from enum import Enum

from jarvis_trio.errors import ScheduleError
from jarvis_trio.notation.instants import as_utc, parse_duration


class Toward(Enum):
    """Which way a question looks; the value is the fix for a text that cannot be read."""

    COMING = "write it like 2026-12-01T09:00, tomorrow 9:00, friday 9am, noon or in 20m"
    PAST = "write it like 2h (ago), yesterday, friday 9am or 2026-12-01T09:00"
    EITHER = "write it like 2026-12-01T09:00, tomorrow 9:00, last friday, in 20m or 2h ago"


_RELATIVE_DAYS = {"today": 0, "tomorrow": 1, "yesterday": -1}
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_CLOCK = re.compile(r"(\d{1,2})(?::(\d\d))?(?::(\d\d))?\s?(am|pm)?", re.ASCII)
_NUMBER = re.compile(r"\d{1,2}(?:st|nd|rd|th)?", re.ASCII)
_YEAR = re.compile(r"\d{4}", re.ASCII)
_SPACED_HALF = re.compile(r"(\d) (am|pm)\b")
_ONE_DAY = timedelta(days=1)
_MIDNIGHT = time()
_LEAP_YEARS_APART = 8  # 29 February of 1896 was followed by that of 1904


def read_moment(text: str, now: datetime, zone: tzinfo, toward: Toward = Toward.COMING) -> datetime:
    """What `text` means: aware if it names an instant, naive if it names a local time.

    A day without a time is its beginning. A time, a weekday or a date without a year is the next
    one. Towards the past it is the last one, and a duration means that long ago.

    Args:
        text: as typed.
        now: the present, aware.
        zone: where days are counted.
        toward: the direction of the question.

    Raises ScheduleError for what has no meaning, or more than one.
    """
    try:
        return _Reader(now, zone, toward).moment(text)
    except (ValueError, OverflowError, ScheduleError):
        raise ScheduleError(f"not a time: {text!r}", fix=toward.value) from None


def read_instant(text: str, now: datetime, zone: tzinfo, toward: Toward = Toward.COMING) -> datetime:
    """The same as an instant (aware UTC). Raises ScheduleError."""
    return as_utc(read_moment(text, now, zone, toward), zone)


def read_day(text: str, now: datetime, zone: tzinfo, toward: Toward = Toward.EITHER) -> date | None:
    """The day that `text` names, if it names no time; otherwise None. Never raises."""
    with suppress(ValueError, OverflowError):
        return _Reader(now, zone, toward).day(_words(text), None)
    return None


def _words(text: str) -> list[str]:
    joined = _SPACED_HALF.sub(r"\1\2", text.lower().replace(",", " "))
    return [word for word in joined.split() if word not in ("at", "on")]


class _Reader:
    """One reading. Its methods raise ValueError or OverflowError for what is not of their form."""

    def __init__(self, now: datetime, zone: tzinfo, toward: Toward) -> None:
        self._now = now
        self._local = now.astimezone(zone).replace(tzinfo=None)
        self._toward = toward

    def moment(self, text: str) -> datetime:
        words = _words(text)
        if words == ["now"]:
            return self._now
        if (elapsed := self._elapsed(words)) is not None:
            return elapsed
        with suppress(ValueError):  # of 9:00 it takes only 09:00
            return datetime.fromisoformat(" ".join(f"{word:0>5}" for word in text.split()))

        for day_words, at in _splits(words):
            with suppress(ValueError):
                return self._combined(day_words, at)
        raise ValueError(text)

    def _elapsed(self, words: list[str]) -> datetime | None:
        """The instant that lies a duration from now; None if the words name no duration."""
        sign = -1 if self._toward is Toward.PAST else 1
        match words:
            case ["in", *rest]:
                sign = 1
            case [*rest, "ago"]:
                sign = -1
            case rest if self._toward is Toward.EITHER:
                return None

        with suppress(ScheduleError):
            instant = self._now + sign * parse_duration(" ".join(rest))
            # Up to the next whole second: cut down, `in 0.4s` would be past.
            return instant if sign < 0 else instant + timedelta(microseconds=-instant.microsecond % 1_000_000)
        return None

    def _combined(self, day_words: list[str], at: time | None) -> datetime:
        if day_words:
            return datetime.combine(self.day(day_words, at), at or _MIDNIGHT)
        if at is None:
            raise ValueError
        today = self._local.date()
        candidates = (datetime.combine(today + days * _ONE_DAY, at) for days in (0, 1, -1))
        return next(candidate for candidate in candidates if self._fits(candidate))

    def day(self, words: list[str], at: time | None) -> date:
        """The day that the words name. The time decides whether today's is still to come."""
        today = self._local.date()
        match words:
            case [word] if word in _RELATIVE_DAYS:
                return today + _RELATIVE_DAYS[word] * _ONE_DAY
            case ["last", word]:
                return today - ((today.weekday() - _index(word, _WEEKDAYS) - 1) % 7 + 1) * _ONE_DAY
            case [word] if _YEAR.match(word):
                return date.fromisoformat(word)
            case [word]:
                return self._nearest_weekday(_index(word, _WEEKDAYS), at)
        return self._date(words, at)

    def _nearest_weekday(self, weekday: int, at: time | None) -> date:
        today = self._local.date()
        ahead = (weekday - today.weekday()) % 7
        return self._first_fitting((today + days * _ONE_DAY for days in (ahead, ahead + 7, ahead - 7)), at)

    def _date(self, words: list[str], at: time | None) -> date:
        match words:
            case [number, month, *year] if _NUMBER.fullmatch(number):
                pass
            case [month, number, *year] if _NUMBER.fullmatch(number):
                pass
            case _:
                raise ValueError
        day, month_number = int(number[:2].rstrip("snrt")), _index(month, _MONTHS) + 1
        if year:
            [text] = year
            if not _YEAR.fullmatch(text):
                raise ValueError
            return date(int(text), month_number, day)
        return self._first_fitting(self._years(month_number, day), at)

    def _years(self, month: int, day: int) -> Iterator[date]:
        """That day of this year, of those to come and of those past."""
        for away in range(_LEAP_YEARS_APART + 1):
            for year in (self._local.year + away, self._local.year - away):
                with suppress(ValueError):
                    yield date(year, month, day)

    def _first_fitting(self, days: Iterator[date], at: time | None) -> date:
        fitting = (day for day in days if self._fits(datetime.combine(day, at or _MIDNIGHT), whole_day=at is None))
        if (found := next(fitting, None)) is None:
            raise ValueError
        return found

    def _fits(self, local: datetime, *, whole_day: bool = False) -> bool:
        match self._toward:
            case Toward.COMING:
                return local > self._local
            case Toward.PAST:
                return local <= self._local
        return local >= self._local or (whole_day and local.date() == self._local.date())


def _splits(words: list[str]) -> Iterator[tuple[list[str], time | None]]:
    """The ways to part the words into a day and a time."""
    if not words:
        return
    alone = len(words) == 1
    with suppress(ValueError):
        yield words[:-1], _time(words[-1], bare_hour=not alone, midnight=alone)
    if not alone:
        with suppress(ValueError):
            yield words[1:], _time(words[0], bare_hour=False, midnight=False)
    yield words, None


def _time(word: str, *, bare_hour: bool, midnight: bool) -> time:
    if word == "noon" or (word == "midnight" and midnight):
        return time(12 if word == "noon" else 0)
    found = _CLOCK.fullmatch(word)
    if found is None:
        raise ValueError
    hour, minute, second, half = found.groups()
    if half is None:
        if minute is None and not bare_hour:
            raise ValueError
        return time(int(hour), int(minute or 0), int(second or 0))
    if not 1 <= int(hour) <= 12:
        raise ValueError
    return time(int(hour) % 12 + (12 if half == "pm" else 0), int(minute or 0), int(second or 0))


def _index(word: str, names: tuple[str, ...]) -> int:
    """Which of the names the word is, or begins as in `fri`, `tues` and `sept`."""
    found = [number for number, name in enumerate(names) if len(word) >= 3 and name.startswith(word)]
    if len(found) != 1:
        raise ValueError
    return found[0]
