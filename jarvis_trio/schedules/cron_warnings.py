"""What the clock changes do to the times of a cron expression. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from jarvis_trio.notation.text import counted, joined
from jarvis_trio.schedules.clock_changes import ClockChange, clock_changes
from jarvis_trio.schedules.cron import CronExpression
from jarvis_trio.schedules.warnings import Code, ScheduleWarning

_HORIZON = timedelta(days=2 * 366)
_HOUR = timedelta(hours=1)


def cron_warnings(expression: CronExpression, zone: tzinfo, now: datetime) -> Iterator[ScheduleWarning]:
    """One warning for each effect of the next two years' clock changes, with all its dates."""
    today = datetime.combine(now.date(), time(), UTC)
    met: dict[Code, list[tuple[ClockChange, list[datetime]]]] = {}
    for change in clock_changes(zone, today, today + _HORIZON):
        times = list(change.times_of(expression))
        if change.at > now and times and not _keeps_its_rhythm(expression, change):
            met.setdefault(_effect(expression, change), []).append((change, times))
    for code, changes in met.items():
        change, times = changes[0]
        dates = tuple(change.start.date() for change, _ in changes)
        sentence = _SENTENCES[code](change, times, zone) + _also_on(dates[1:])
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
