"""Whether a schedule fires in a given minute, and why: field by field, with clock changes. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple

from jarvis_trio.errors import ScheduleError
from jarvis_trio.notation.instants import as_utc
from jarvis_trio.notation.text import date_words, moment_words
from jarvis_trio.schedules.clock_changes import ClockChange, change_at
from jarvis_trio.schedules.cron import FieldCheck

_MINUTE = timedelta(minutes=1)
YEARS = range(1900, 9900)
"""The years that can be asked about: they leave room to look for slots before and after."""


class Moment(NamedTuple):
    """The minute that is asked about.

    Attributes:
        reading: the local time (naive) as it was asked for.
        at: the instant asked for (aware UTC); the first one after the gap if the clock skips it.
        start: the beginning of its minute (aware UTC); likewise.
        zone: where the reading is local.
        change: the clock change that skips or repeats the reading.
    """

    reading: datetime
    at: datetime
    start: datetime
    zone: tzinfo
    change: ClockChange | None

    @property
    def end(self) -> datetime:
        """The end of the minute (aware UTC), exclusive."""
        return self.start + _MINUTE

    @property
    def in_gap(self) -> bool:
        """Whether the reading does not exist."""
        return self.change is not None and self.change.skips

    def words(self) -> str:
        """As a person says it: `Sun 2026-03-08 03:00 MDT`, or the reading that does not exist."""
        if self.in_gap:
            return f"{date_words(self.reading)} {self.reading:%H:%M}"
        return moment_words(self.at, self.zone)


def moment_of(asked: datetime, zone: tzinfo) -> Moment:
    """The minute of `asked`. A naive one is local in `zone`, and the first of two that read alike.

    Raises ScheduleError outside the years 1900 to 9899.
    """
    if asked.year not in YEARS:
        fix = f"use a year from {YEARS[0]} to {YEARS[-1]}"
        raise ScheduleError(f"time out of range: {asked.isoformat()}", fix=fix)
    local = asked.astimezone(zone) if asked.tzinfo else asked
    reading = local.replace(tzinfo=None, fold=0)
    change = change_at(reading, zone)
    if change is not None and change.skips and asked.tzinfo is None:
        return Moment(reading, change.at, change.at, zone, change)
    at = as_utc(local, zone)
    return Moment(reading, at, at.replace(second=0, microsecond=0), zone, change)


class Firing(NamedTuple):
    """Whether a schedule has a slot in a minute, and why.

    Attributes:
        slot: the slot in that minute, if there is one. Instants are aware UTC.
        why: a clause that follows a colon.
        before: the nearest slot before the minute.
        after: the nearest slot after it.
        fields: of a cron expression, checked against the local time asked about.
        by_clock_change: whether a clock change decides, and not the fields alone.
        note: a sentence about a clock change nearby.
    """

    slot: datetime | None
    why: str
    before: datetime | None
    after: datetime | None
    fields: tuple[FieldCheck, ...] = ()
    by_clock_change: bool = False
    note: str = ""


def jump_words(change: ClockChange | None, zone: tzinfo) -> str:
    """The clock change of a day in a sentence; empty if there is none."""
    if change is None:
        return ""
    direction = "from" if change.skips else "back from"
    return f"That day the clock goes {direction} {change.before:%H:%M} to {change.after:%H:%M} in {zone}."


def mismatch_words(fields: Sequence[FieldCheck]) -> str:
    """The fields that do not match, the weekday first: it tells most. Empty if all match."""
    unmatched = [check for check in reversed(fields) if not check.matches]
    return ", and ".join(f"the {check.field} is {check.value}, not {check.text}" for check in unmatched)


def in_minute(slot: datetime | None, moment: Moment) -> datetime | None:
    """The slot if it lies in that minute."""
    return slot if slot is not None and moment.start <= slot < moment.end else None
