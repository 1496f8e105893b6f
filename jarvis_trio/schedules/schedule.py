"""Interval, cron and once: from a row's text to slots, and what of them is due. Pure.

A slot is the nominal instant at which a task is to run. All instants here are
aware UTC unless a docstring says otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any, Protocol

from jarvis_trio.errors import CronError, ScheduleError
from jarvis_trio.models import ScheduledTask, ScheduleType, task_policy
from jarvis_trio.notation.instants import YEARS, parse_instant, parse_zone
from jarvis_trio.notation.jsontext import json_object
from jarvis_trio.schedules.cron import CronExpression

_UNITS = ("days", "hours", "minutes", "seconds")
_TICK = timedelta(microseconds=1)
_LONGEST = timedelta(days=366_000)


class Schedule(Protocol):
    """What the program asks of a schedule, whatever its kind."""

    @property
    def only(self) -> datetime | None:
        """The single slot of a schedule that has no more than one; None for all others."""

    def first(
        self, now: datetime, is_over: Callable[[datetime], bool], stored: datetime | None = None
    ) -> datetime | None:
        """The next slot of a task, as its row was just read.

        Args:
            now: the present; a recurring task whose row names no slot has none before it.
            is_over: whether a slot was dealt with already, or came before there was a task.
            stored: the next run that the row names. A single slot is where the schedule says,
                whatever that is.

        Returns None if nothing is left to run.
        """

    def next_after(self, slot: datetime) -> datetime | None:
        """The first slot after `slot`; None if there are no more."""

    def latest(self, after: datetime, until: datetime) -> tuple[datetime | None, int]:
        """The last slot in (after, until], and how many slots lie there."""

    def at_or_after(self, start: datetime, anchor: datetime | None) -> datetime | None:
        """The first slot at `start` or later. An interval counts from its slot `anchor`."""

    def moved_to_zone(self, slot: datetime, now: datetime) -> datetime | None:
        """What a queued slot after `now` becomes if this schedule's zone has just changed."""

    def reread(self, slot: datetime) -> datetime | None:
        """The slot by the zone's rules of today, which may have changed since it was queued."""

    def origin(self, slot: datetime, now: datetime) -> datetime | None:
        """The instant from which the schedule leads to `slot`; None if `slot` was moved by hand.

        An interval counts from it, so it moves if the clock is set back.
        """

    def set_back(self, slot: datetime, clock: SetBack) -> datetime:
        """What a queued slot becomes if the wall clock was set back."""


@dataclass(frozen=True, slots=True)
class SetBack:
    """The wall clock was set back by `back` and reads `now`.

    `origin` is what `Schedule.origin` said of the queued slot, before.
    `has_run` says whether the task has a run at an instant already.
    """

    now: datetime
    back: timedelta
    origin: datetime | None
    has_run: Callable[[datetime], bool]


@dataclass(frozen=True, slots=True)
class Interval:
    """Slots at `start + k * step`: elapsed time, so DST changes nothing and nothing drifts.

    It holds no start: each slot is counted from the one before it, exactly.
    """

    step: timedelta

    @property
    def only(self) -> None:
        return None

    def first(
        self, now: datetime, is_over: Callable[[datetime], bool], stored: datetime | None = None
    ) -> datetime | None:
        return stored or self.next_after(now)

    def next_after(self, slot: datetime) -> datetime | None:
        try:
            following = slot + self.step
        except OverflowError:
            return None
        return following if following.year in YEARS else None

    def latest(self, after: datetime, until: datetime) -> tuple[datetime | None, int]:
        count = max((until - after) // self.step, 0)
        return (after + count * self.step if count else None), count

    def at_or_after(self, start: datetime, anchor: datetime | None) -> datetime | None:
        if anchor is None or anchor >= start:
            return anchor
        steps = -((anchor - start) // self.step)
        return anchor + steps * self.step

    def moved_to_zone(self, slot: datetime, now: datetime) -> datetime | None:
        return slot

    def reread(self, slot: datetime) -> datetime:
        return slot

    def origin(self, slot: datetime, now: datetime) -> datetime | None:
        # A slot further off than one step was put there by hand.
        return slot - self.step if slot <= now + self.step else None

    def set_back(self, slot: datetime, clock: SetBack) -> datetime:
        """Elapsed time is what it counts, so the slot moves with the clock."""
        if clock.origin is None:
            return slot
        moved = min(clock.origin - clock.back, clock.now) + self.step
        while clock.has_run(moved):  # that very instant was a slot before
            moved -= _TICK
        return moved


@dataclass(frozen=True, slots=True)
class Cron:
    """The slots of a cron expression, read in a zone."""

    expression: CronExpression
    zone: tzinfo

    @property
    def only(self) -> None:
        return None

    def first(
        self, now: datetime, is_over: Callable[[datetime], bool], stored: datetime | None = None
    ) -> datetime | None:
        return stored or self.next_after(now)

    def next_after(self, slot: datetime) -> datetime | None:
        try:
            return self.expression.next_time(slot.astimezone(self.zone)).astimezone(UTC)
        except (CronError, OverflowError):  # nothing more before the end of the calendar
            return None

    def latest(self, after: datetime, until: datetime) -> tuple[datetime | None, int]:
        slot, count = self.expression.latest(after.astimezone(self.zone), until)
        return (slot.astimezone(UTC) if slot else None), count

    def at_or_after(self, start: datetime, anchor: datetime | None) -> datetime | None:
        return self.next_after(start - _TICK)

    def moved_to_zone(self, slot: datetime, now: datetime) -> datetime | None:
        return self.next_after(now)

    def reread(self, slot: datetime) -> datetime | None:
        """The slot itself if it is one, or the nearest one: new rules move it by hours at most."""
        following = self.next_after(slot - _TICK)
        if following is None or following == slot:
            return following
        earlier, _ = self.latest(slot - (following - slot), slot)
        return earlier or following

    def origin(self, slot: datetime, now: datetime) -> datetime | None:
        return slot if self.next_after(slot - _TICK) == slot else None

    def set_back(self, slot: datetime, clock: SetBack) -> datetime:
        """The first slot after the present that has not run, if that is before the queued one."""
        earlier = self.next_after(clock.now)
        while earlier is not None and earlier < slot:
            if not clock.has_run(earlier):
                return earlier
            earlier = self.next_after(earlier)
        return slot


@dataclass(frozen=True, slots=True)
class Once:
    """A single slot."""

    at: datetime

    @property
    def only(self) -> datetime:
        return self.at

    def first(
        self, now: datetime, is_over: Callable[[datetime], bool], stored: datetime | None = None
    ) -> datetime | None:
        return None if is_over(self.at) else self.at

    def next_after(self, slot: datetime) -> datetime | None:
        return self.at if self.at > slot else None

    def latest(self, after: datetime, until: datetime) -> tuple[datetime | None, int]:
        return (self.at, 1) if after < self.at <= until else (None, 0)

    def at_or_after(self, start: datetime, anchor: datetime | None) -> datetime | None:
        return self.at if self.at >= start else None

    def moved_to_zone(self, slot: datetime, now: datetime) -> datetime | None:
        return self.at

    def reread(self, slot: datetime) -> datetime:
        return self.at

    def origin(self, slot: datetime, now: datetime) -> datetime | None:
        return slot if slot == self.at else None

    def set_back(self, slot: datetime, clock: SetBack) -> datetime:
        return slot


@lru_cache(maxsize=4096)
def parse_schedule(schedule_type: str, config: str, zone: tzinfo) -> Schedule:
    """The schedule that a row's two columns mean; local times and fields are read in `zone`.

    Raises ScheduleError for a type, a configuration or an expression that cannot be
    understood, and CronError for an expression that can never fire.
    """
    values = json_object(config, "schedule_config", ScheduleError)
    match schedule_type:
        case ScheduleType.INTERVAL:
            return Interval(_interval_step(values))
        case ScheduleType.CRON:
            return _cron(_text(values, "expression", '{"expression": "0 9 * * *"}'), zone)
        case ScheduleType.ONCE:
            return Once(parse_instant(_text(values, "run_at", '{"run_at": "2026-12-01T09:00"}'), zone))
    raise ScheduleError(f"unknown schedule_type {schedule_type!r}; it is interval, cron or once")


def _interval_step(values: Mapping[str, Any]) -> timedelta:
    amounts = {unit: values[unit] for unit in _UNITS if unit in values}
    for unit, amount in amounts.items():
        if isinstance(amount, bool) or not isinstance(amount, int | float):
            raise ScheduleError(f"interval: {unit} must be a number, not {amount!r}")
    try:
        step = timedelta(**amounts)
    except (OverflowError, ValueError):
        step = timedelta.max
    if step > _LONGEST:
        raise ScheduleError(f"interval out of range: {amounts}; it may be up to 1000 years")
    if step < _TICK:
        raise ScheduleError(f"interval must be greater than zero in days, hours, minutes or seconds: {dict(values)}")
    return step


def _cron(text: str, zone: tzinfo) -> Cron:
    expression = CronExpression(text)
    if not expression.can_fire:
        raise CronError(f"cron expression {text!r} can never fire: no date matches its day, month and weekday")
    return Cron(expression, zone)


def _text(values: Mapping[str, Any], key: str, example: str) -> str:
    value = values.get(key)
    if not isinstance(value, str):
        raise ScheduleError(f"schedule_config needs the text {key!r}, like {example}")
    return value


def task_zone(task: ScheduledTask, machine_zone: tzinfo) -> tzinfo:
    """The zone in which the task's schedule is read. Raises ScheduleError."""
    name = task_policy(task.policy).timezone
    return machine_zone if name is None else parse_zone(name)


def task_schedule(task: ScheduledTask, machine_zone: tzinfo) -> Schedule:
    """The task's schedule, in its zone. Raises ScheduleError if the row cannot be scheduled."""
    return parse_schedule(task.schedule_type, task.schedule_config, task_zone(task, machine_zone))


def stored_next_run(task: ScheduledTask, machine_zone: tzinfo) -> datetime | None:
    """The next run that a task's row names; None if it names none, or none that can be read."""
    with suppress(ScheduleError):
        return None if task.next_run_at is None else parse_instant(task.next_run_at, machine_zone)
    return None


def calculate_next_run(
    schedule_type: str, schedule_config: str | Mapping[str, Any], from_time: datetime
) -> datetime | None:
    """When a task that starts at `from_time` runs first.

    An interval runs one interval later; cron and once at their first slot after it.

    Args:
        schedule_type: interval, cron or once.
        schedule_config: the row's JSON text, or what it means.
        from_time: aware, and the schedule is read in its zone; or naive, and the
            result is naive too: wall-clock time without DST.

    Returns the instant in `from_time`'s zone, or None if there is none left.
    Raises ScheduleError.
    """
    config = schedule_config if isinstance(schedule_config, str) else json.dumps(dict(schedule_config))
    zone = from_time.tzinfo or UTC
    slot = parse_schedule(schedule_type, config, zone).next_after(from_time.replace(tzinfo=zone).astimezone(UTC))
    return None if slot is None else slot.astimezone(zone).replace(tzinfo=from_time.tzinfo)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do about a due task: run `slot` for `collapsed` earlier ones too; then `next`."""

    slot: datetime
    collapsed: int
    next: datetime | None


def plan(schedule: Schedule, first: datetime, now: datetime) -> Plan:
    """Catch up: the slots from `first` (due, not yet dealt with) to `now` become one late run.

    Its nominal time is the latest of them, since that is the one a person waits for.
    """
    following = schedule.next_after(first)
    if following is None or following > now:  # nearly always; counting is dearer
        return Plan(first, 0, following)
    latest, count = schedule.latest(first, now)
    slot = latest or first
    return Plan(slot, count, schedule.next_after(slot))


def slots_between(schedule: Schedule, anchor: datetime | None, start: datetime, end: datetime) -> Iterator[datetime]:
    """The slots in [start, end), in order.

    `anchor` is the next slot of the task as its row has it: from there an interval
    counts, and without it an interval has none.
    """
    slot = schedule.at_or_after(start, anchor)
    while slot is not None and slot < end:
        yield slot
        slot = schedule.next_after(slot)
