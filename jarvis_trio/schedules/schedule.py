"""Interval, cron and once: from a row's text to slots, and what of them is due. Pure.

A slot is the nominal instant at which a task is to run. All instants here are
aware UTC unless a docstring says otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Any, NamedTuple

from jarvis_trio.errors import ScheduleError
from jarvis_trio.models import ScheduledTask, ScheduleType
from jarvis_trio.notation.instants import parse_instant, parse_zone
from jarvis_trio.notation.jsontext import json_object
from jarvis_trio.policy import task_policy
from jarvis_trio.schedules.interval import interval_of
from jarvis_trio.schedules.kind import Schedule
from jarvis_trio.schedules.warnings import Code, ScheduleWarning


@lru_cache(maxsize=4096)
def parse_schedule(schedule_type: str, config: str, zone: tzinfo) -> Schedule:
    """The schedule that a row's two columns mean; local times and fields are read in `zone`.

    Raises ScheduleError for a type, a configuration or an expression that cannot be
    understood, and CronError for an expression that can never fire.
    """
    values = json_object(config, "schedule_config", ScheduleError)
    match schedule_type:
        case ScheduleType.INTERVAL:
            return interval_of(values)
        case ScheduleType.CRON:
            from jarvis_trio.schedules.cron_slots import cron_of  # noqa: PLC0415  # 5 ms, which intervals do without

            return cron_of(_text(values, "expression", '{"expression": "0 9 * * *"}'), zone)
        case ScheduleType.ONCE:
            from jarvis_trio.schedules.once import once_of  # noqa: PLC0415  # as above

            return once_of(_text(values, "run_at", '{"run_at": "2026-12-01T09:00"}'), zone)
    raise ScheduleError(f"unknown schedule_type {schedule_type!r}", fix="it is interval, cron or once")


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


def schedule_warnings(
    task: ScheduledTask,
    machine_zone: tzinfo,
    now: datetime,
    has_begun: Callable[[datetime], bool],
    is_over: Callable[[datetime], bool],
) -> list[ScheduleWarning]:
    """What to know about the task's schedule, with the clock changes of the next two years.

    Never raises for what a row can hold: a schedule that cannot be understood is a warning too.

    Args:
        task: the task.
        machine_zone: the zone in which a task without one is read.
        now: the present (aware UTC).
        has_begun: whether a run for the single slot that its schedule names has begun; the store's
            `has_slot_begun`.
        is_over: whether the task is done with the single slot that its schedule names; the store's
            `is_slot_over`, which decides whether it runs.
    """
    try:
        schedule = task_schedule(task, machine_zone)
    except ScheduleError as error:
        return [ScheduleWarning(Code.NEVER, str(error))]
    return list(schedule.warnings(now, has_begun, is_over))


def is_over(task: ScheduledTask, machine_zone: tzinfo, is_slot_over: Callable[[ScheduledTask, datetime], bool]) -> bool:
    """Whether a task was to run once and that time is over, so that it never runs again."""
    if task.next_run_at is not None:
        return False
    with suppress(ScheduleError):
        only = task_schedule(task, machine_zone).only
        return only is not None and is_slot_over(task, only)
    return False


def stored_next_run(task: ScheduledTask, machine_zone: tzinfo) -> datetime | None:
    """The next run that a task's row names; None if it names none, or none that can be read."""
    with suppress(ScheduleError):
        return None if task.next_run_at is None else parse_instant(task.next_run_at, machine_zone)
    return None


def is_of_another_zone(task: ScheduledTask, schedule: Schedule, stored: datetime | None, now: datetime) -> bool:
    """Whether a row's next run, read as `stored`, is a slot of its schedule in another zone only.

    A command writes it so in a shell with another `TZ`, while no daemon runs that it could ask.
    A time that is a slot nowhere was set by hand, and counts. So does one that is due.
    """
    if stored is None or stored <= now or task.next_run_at is None or schedule.origin(stored, now) is not None:
        return False
    there = datetime.fromisoformat(task.next_run_at.strip()).tzinfo
    if there is None or task_policy(task.policy).timezone is not None:
        return False
    read_there = parse_schedule(task.schedule_type, task.schedule_config, there)
    return read_there.only is None and read_there.origin(stored, now) is not None


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


def load_all_kinds() -> None:
    """Import what `parse_schedule` imports at need: a daemon can outlive its program's files.

    Raises ImportError.
    """
    from jarvis_trio.schedules import cron_slots, once  # noqa: F401, PLC0415  # it is for this that it is called


class CatchUp(NamedTuple):
    """What to do about a due task: run `slot` for `collapsed` earlier ones too; then `next`."""

    slot: datetime
    collapsed: int
    next: datetime | None


def catch_up(schedule: Schedule, first: datetime, now: datetime) -> CatchUp:
    """Catch up: the slots from `first` (due, not yet dealt with) to `now` become one late run.

    Its nominal time is the latest of them, since that is the one a person waits for.
    """
    following = schedule.next_after(first)
    if following is None or following > now:  # nearly always; counting is dearer
        return CatchUp(first, 0, following)
    latest, count = schedule.latest(first, now)
    slot = latest or first
    return CatchUp(slot, count, schedule.next_after(slot))


def slots_between(
    schedule: Schedule,
    next_run: datetime | None,
    start: datetime,
    end: datetime,
    known_since: datetime | None = None,
) -> Iterator[datetime]:
    """The slots in [start, end), in order.

    `next_run` is the next slot of the task as its row has it: from there an interval counts, and
    back to `known_since`. Without it an interval has none.
    """
    slot = schedule.at_or_after(start, next_run, known_since)
    while slot is not None and slot < end:
        yield slot
        slot = schedule.next_after(slot)
