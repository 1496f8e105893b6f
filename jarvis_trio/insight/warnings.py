"""What to know about a schedule before it surprises anybody: for `add` and `doctor`. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum

from jarvis_trio.errors import ScheduleError
from jarvis_trio.models import ScheduledTask
from jarvis_trio.notation.text import counted, duration_words, joined, moment_words, time_words
from jarvis_trio.schedules.clock_changes import ClockChange, change_at, clock_changes
from jarvis_trio.schedules.cron import CronExpression
from jarvis_trio.schedules.schedule import Cron, Once, task_schedule, task_zone

_HORIZON = timedelta(days=2 * 366)
_RARE = timedelta(days=366)
_HOUR = timedelta(hours=1)


class Code(StrEnum):
    """What a warning is about."""

    NEVER = "never"
    """The schedule cannot be understood, or no instant matches it: the task never runs."""
    PAST = "past"
    """Its only time has passed, and it runs late."""
    OVER = "over"
    """Its only time has passed, and it has not run and will not."""
    RARE = "rare"
    """Its next slot is more than a year away."""
    MOVED = "moved"
    """A time that the clock skips; the run comes right after it."""
    SKIPPED = "skipped"
    """Runs that do not take place because the clock skips their times."""
    DOUBLED = "doubled"
    """Runs that take place twice because the clock reads their times twice."""
    FIRST_PASS = "first pass"
    """A time that comes twice; the run takes place once."""


_HARMLESS = frozenset({Code.RARE, Code.FIRST_PASS})


@dataclass(frozen=True, slots=True)
class ScheduleWarning:
    """Something to know about a schedule, in a sentence, and the local dates on which it shows."""

    code: Code
    sentence: str
    dates: tuple[date, ...] = ()

    @property
    def harmless(self) -> bool:
        """Whether there is nothing to fix: it is only good to know."""
        return self.code in _HARMLESS


def schedule_warnings(
    task: ScheduledTask, machine_zone: tzinfo, now: datetime, is_over: Callable[[datetime], bool]
) -> list[ScheduleWarning]:
    """What to know about the task's schedule, with the clock changes of the next two years.

    Never raises for what a row can hold: a schedule that cannot be understood is a warning too.

    Args:
        task: the task.
        machine_zone: the zone in which a task without one is read.
        now: the present (aware UTC).
        is_over: whether the task is done with the single slot that its schedule names; the store's
            `is_slot_over`, which decides whether it runs.
    """
    try:
        schedule, zone = task_schedule(task, machine_zone), task_zone(task, machine_zone)
    except ScheduleError as error:
        return [ScheduleWarning(Code.NEVER, str(error))]
    match schedule:
        case Cron():
            return [*_rare(schedule, now), *_changes_met(schedule, now)]
        case Once():
            return [*_past(schedule, task, zone, now, is_over), *_reading_of_once(schedule, task.schedule_config, zone)]
    return []


def _rare(schedule: Cron, now: datetime) -> Iterator[ScheduleWarning]:
    slot = schedule.next_after(now)
    if slot is not None and slot - now > _RARE:
        when = moment_words(slot, schedule.zone)
        day = slot.astimezone(schedule.zone).date()
        yield ScheduleWarning(Code.RARE, f"it runs next on {when}, in {duration_words(slot - now)}", (day,))


def _past(
    schedule: Once, task: ScheduledTask, zone: tzinfo, now: datetime, is_over: Callable[[datetime], bool]
) -> Iterator[ScheduleWarning]:
    if schedule.at >= now or task.last_run_at is not None:
        return
    code, effect = Code.PAST, "it runs as soon as the daemon sees it"
    if is_over(schedule.at):
        code, effect = Code.OVER, "it has not run, and will not"
    when, ago = moment_words(schedule.at, zone), duration_words(now - schedule.at)
    sentence = f"its only time, {when}, was {ago} ago; {effect}"
    yield ScheduleWarning(code, sentence, (schedule.at.astimezone(zone).date(),))


def _reading_of_once(schedule: Once, config: str, zone: tzinfo) -> Iterator[ScheduleWarning]:
    written = datetime.fromisoformat(json.loads(config)["run_at"].strip())
    change = None if written.tzinfo else change_at(written, zone)
    if change is None:
        return
    code, effect = Code.FIRST_PASS, "comes twice in {zone}; it runs the first time, at {time}"
    if change.skips:
        code, effect = Code.MOVED, "does not exist in {zone}; it runs at {time}"
    local = schedule.at.astimezone(zone)
    effect = effect.format(zone=zone, time=f"{time_words(local, zone)} {local.tzname()}")
    yield ScheduleWarning(code, f"on {written.date()} {written:%H:%M} {effect}", (written.date(),))


def _changes_met(schedule: Cron, now: datetime) -> Iterator[ScheduleWarning]:
    """One warning for each effect of the clock changes, with all its dates."""
    today = datetime.combine(now.date(), time(), UTC)
    met: dict[Code, list[tuple[ClockChange, list[datetime]]]] = {}
    for change in clock_changes(schedule.zone, today, today + _HORIZON):
        times = list(change.times_of(schedule.expression))
        if change.at > now and times and not _keeps_its_rhythm(schedule.expression, change):
            met.setdefault(_effect(schedule.expression, change), []).append((change, times))
    for code, changes in met.items():
        change, times = changes[0]
        dates = tuple(change.start.date() for change, _ in changes)
        sentence = _SENTENCES[code](change, times, schedule.zone) + _also_on(dates[1:])
        yield ScheduleWarning(code, f"on {dates[0]} {sentence}", dates)


def _effect(expression: CronExpression, change: ClockChange) -> Code:
    if expression.is_fixed_time:
        return Code.MOVED if change.skips else Code.FIRST_PASS
    return Code.SKIPPED if change.skips else Code.DOUBLED


def _keeps_its_rhythm(expression: CronExpression, change: ClockChange) -> bool:
    """Whether its fires before and after the change are evenly spaced: `*/5 * * * *` over an hour.

    They are if the expression follows the clock, names every hour, and names the same minutes of an
    hour after the change as before it.
    """
    if expression.is_fixed_time:
        return False
    hour = datetime.combine(change.start, time(change.start.hour))
    minutes = [expression.describe(hour + timedelta(minutes=minute))[0].matches for minute in range(60)]
    shift = (change.end - change.start) % _HOUR // timedelta(minutes=1)
    every_hour = all(expression.describe(hour + _HOUR * count)[1].matches for count in range(24))
    return every_hour and minutes == minutes[shift:] + minutes[:shift]


def _also_on(dates: tuple[date, ...]) -> str:
    return f" (also on {joined([str(day) for day in dates])})" if dates else ""


def _clock_times(times: list[datetime]) -> str:
    return joined([f"{time:%H:%M}" for time in times])


def _moved(change: ClockChange, times: list[datetime], zone: tzinfo) -> str:
    missing = "does not exist" if len(times) == 1 else "do not exist"
    run = "it runs" if len(times) == 1 else "it runs once for all,"
    return f"{_clock_times(times)} {missing} in {zone}; {run} at {change.after:%H:%M}"


def _skipped(change: ClockChange, times: list[datetime], zone: tzinfo) -> str:
    runs = counted(len(times), "run")
    return (
        f"the clock goes from {change.before:%H:%M} to {change.after:%H:%M} in {zone}, "
        f"and {runs} (at {_clock_times(times)}) do{'es' * (len(times) == 1)} not take place"
    )


def _doubled(change: ClockChange, times: list[datetime], zone: tzinfo) -> str:
    runs = counted(len(times), "run")
    return (
        f"the clock goes back from {change.before:%H:%M} to {change.after:%H:%M} in {zone}, "
        f"and {runs} (at {_clock_times(times)}) take{'s' * (len(times) == 1)} place twice"
    )


def _first_pass(change: ClockChange, times: list[datetime], zone: tzinfo) -> str:
    come = "comes" if len(times) == 1 else "come"
    return f"{_clock_times(times)} {come} twice in {zone}; it runs the first time only"


_SENTENCES: dict[Code, Callable[[ClockChange, list[datetime], tzinfo], str]] = {
    Code.MOVED: _moved,
    Code.SKIPPED: _skipped,
    Code.DOUBLED: _doubled,
    Code.FIRST_PASS: _first_pass,
}
