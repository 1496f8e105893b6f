"""Whether a schedule fires in a given minute, and why: field by field, with clock changes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from jarvis_trio.errors import ScheduleError
from jarvis_trio.notation.instants import as_utc
from jarvis_trio.notation.text import date_words, duration_words, joined, moment_words, time_words
from jarvis_trio.schedules.clock_changes import ClockChange, change_at
from jarvis_trio.schedules.cron import CronExpression, FieldCheck
from jarvis_trio.schedules.schedule import Cron, Interval, Once, Schedule

_MINUTE = timedelta(minutes=1)
_TICK = timedelta(microseconds=1)
# 29 February on a given weekday comes every 28 years, or every 40 around a year like 2100.
_LOOK_BACK = tuple(timedelta(days=days) for days in (1, 32, 366, 366 * 40))
YEARS = range(1900, 9900)
"""The years that can be asked about: they leave room to look for slots before and after."""


@dataclass(frozen=True, slots=True)
class Moment:
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


@dataclass(frozen=True, slots=True)
class Firing:
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


def firing_of(
    schedule: Schedule, moment: Moment, *, next_run: datetime | None = None, first_slot: datetime | None = None
) -> Firing:
    """Whether and why `schedule` fires at `moment`.

    An interval counts its slots from `next_run`, and has none before `first_slot`, the first that
    is known; both are aware UTC. Without `next_run` an interval has no slots yet.
    """
    match schedule:
        case Cron():
            return _cron(schedule, moment)
        case Interval(step):
            return _interval(step, moment, next_run, first_slot)
        case Once(at):
            return _once(at, moment)
    raise AssertionError(f"no such kind of schedule: {schedule!r}")


def _cron(schedule: Cron, moment: Moment) -> Firing:
    expression = schedule.expression
    fields = tuple(expression.describe(moment.reading))
    matches = all(check.matches for check in fields)
    slot = _in_minute(schedule.next_after(moment.start - _TICK), moment)
    if moment.in_gap and not (matches and expression.is_fixed_time):
        slot = None  # what fires right after the gap is one of its other times
    change = moment.change
    if slot is not None and not matches:  # a fixed time does that only right after a gap
        change = change_at(moment.reading - _MINUTE, moment.zone)
    return Firing(
        slot=slot,
        why=_why_cron(expression, moment, change, fields),
        before=_last_before(schedule, moment.start),
        after=schedule.next_after(moment.end - _TICK),
        fields=fields,
        by_clock_change=change is not None and (matches or slot is not None),
        note=_jump(change, moment.zone),
    )


def _why_cron(
    expression: CronExpression, moment: Moment, change: ClockChange | None, fields: tuple[FieldCheck, ...]
) -> str:
    unmatched = [check for check in reversed(fields) if not check.matches]  # the weekday tells most
    mismatch = ", and ".join(f"the {check.field} is {check.value}, not {check.text}" for check in unmatched)
    if change is None or (mismatch and not change.skips):
        return mismatch or "all five fields match"
    if not change.skips:
        which = "the first time" if expression.is_fixed_time else "both times"
        return f"{moment.reading:%H:%M} comes twice that day, and such a schedule runs {which}"
    if mismatch and moment.in_gap:
        return f"{mismatch}; also, {moment.reading:%H:%M} does not exist that day"
    times = [moment.reading] if moment.in_gap else list(change.times_of(expression))
    missing = "does not exist" if len(times) == 1 else "do not exist"
    effect = f"so it runs right after, at {change.after:%H:%M}"
    if not expression.is_fixed_time:
        effect = "and a schedule whose minute or hour starts with * leaves it out"
    return f"{joined([f'{time:%H:%M}' for time in times])} {missing} that day, {effect}"


def _jump(change: ClockChange | None, zone: tzinfo) -> str:
    if change is None:
        return ""
    direction = "from" if change.skips else "back from"
    return f"That day the clock goes {direction} {change.before:%H:%M} to {change.after:%H:%M} in {zone}."


def _interval(step: timedelta, moment: Moment, next_run: datetime | None, first_slot: datetime | None) -> Firing:
    every = f"it has a slot every {duration_words(step)}"
    if next_run is None:
        return Firing(None, f"{every}, and the daemon has not seen it yet", None, None)
    first = first_slot or next_run
    if moment.end <= first:
        return Firing(None, f"its first slot is that of {moment_words(first, moment.zone)}", None, first)
    steps = (moment.at - next_run) // step
    one_before, before, after, one_after = (_grid(next_run, step, steps + count, first) for count in (-1, 0, 1, 2))
    if before is not None and before >= moment.start:
        return Firing(before, every, one_before, after)
    if after is not None and after < moment.end:
        return Firing(after, every, before, one_after)
    clauses = []
    if before is not None:
        clauses.append(f"{duration_words(moment.at - before)} after its slot of {_near(before, moment)}")
    if after is not None:
        clauses.append(f"{duration_words(after - moment.at)} before the next, {_near(after, moment)}")
    return Firing(None, f"that is {joined(clauses)}", before, after)


def _near(instant: datetime, moment: Moment) -> str:
    """The time alone if it is on the same day."""
    same_day = instant.astimezone(moment.zone).date() == moment.reading.date()
    return time_words(instant, moment.zone) if same_day else moment_words(instant, moment.zone)


def _grid(origin: datetime, step: timedelta, count: int, first: datetime) -> datetime | None:
    try:
        slot = origin + count * step
    except OverflowError:  # beyond the years 1 to 9999
        return None
    return slot if slot >= first else None


def _once(at: datetime, moment: Moment) -> Firing:
    before, after = (at if at < moment.start else None), (at if at >= moment.end else None)
    why = f"it runs once, at {moment_words(at, moment.zone)}"
    note = _jump(moment.change, moment.zone)
    if moment.in_gap and as_utc(moment.reading, moment.zone) == at:
        why = f"{moment.reading:%H:%M} does not exist that day; {why}"
        return Firing(at, why, None, None, by_clock_change=True, note=note)
    return Firing(_in_minute(at, moment), why, before, after, note=note)


def _in_minute(slot: datetime | None, moment: Moment) -> datetime | None:
    return slot if slot is not None and moment.start <= slot < moment.end else None


def _last_before(schedule: Cron, end: datetime) -> datetime | None:
    looks = (schedule.latest(end - span, end - _TICK)[0] for span in _LOOK_BACK)
    return next((last for last in looks if last is not None), None)
