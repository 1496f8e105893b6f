"""A cron expression in plain English, from the values of its fields. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jarvis_trio.schedules.cron_fields import HOUR, MINUTE, MONTH, WEEKDAY

_MOST_TIMES = 6
Values = Sequence[int]


def sentence(minutes: Values, hours: Values, days: Values, months: Values, weekdays: Values) -> str:
    """When a minute matches all five: `at 09:00 on Monday to Friday`. Each holds its values, ascending."""
    time = _time(minutes, hours)
    any_day = len(days) == 31 and len(weekdays) == 7
    daily = any_day and len(hours) < 24 and not time.startswith("every")
    return " ".join(filter(None, (time, "every day" if daily else "", _days(days, months, weekdays))))


def _time(minutes: Values, hours: Values) -> str:
    if len(minutes) * len(hours) <= _MOST_TIMES:
        return "at " + _joined([f"{hour:02}:{minute:02}" for hour in hours for minute in minutes])
    if len(minutes) == 1:
        return _once_an_hour(minutes[0], hours)
    if len(hours) == 1:
        return _within_an_hour(minutes, hours[0])
    beat = _beat(minutes, 60, "minute")
    times = beat or f"at minutes {_listing(minutes, MINUTE.label)}"
    if len(hours) == 24:
        return times if beat else f"{times} of every hour"
    if beat and _is_run(hours):
        return f"{beat} from {hours[0]:02}:{minutes[0]:02} to {hours[-1]:02}:{minutes[-1]:02}"
    return f"{times} in the hours {_listing(hours, HOUR.label)}"


def _once_an_hour(minute: int, hours: Values) -> str:
    if minute == 0 and (beat := _beat(hours, 24, "hour")):
        return beat
    if len(hours) == 24:
        return f"at minute {minute:02} of every hour"
    if _is_run(hours):
        return f"every hour from {hours[0]:02}:{minute:02} to {hours[-1]:02}:{minute:02}"
    return "at " + _listing(hours, lambda hour: f"{hour:02}:{minute:02}")


def _within_an_hour(minutes: Values, hour: int) -> str:
    if _is_run(minutes):
        return f"every minute from {hour:02}:{minutes[0]:02} to {hour:02}:{minutes[-1]:02}"
    return "at " + _listing(minutes, lambda minute: f"{hour:02}:{minute:02}")


def _days(days: Values, months: Values, weekdays: Values) -> str:
    month = _listing(months, MONTH.label) if len(months) < 12 else ""
    if len(days) < 31:
        condition = f", if that is {_listing(weekdays, WEEKDAY.label, 'or')}" if len(weekdays) < 7 else ""
        return f"on {_listing(days, _ordinal)} of {month or 'the month'}{condition}"
    weekday = f"on {_listing(weekdays, WEEKDAY.label)}" if len(weekdays) < 7 else ""
    return " ".join(filter(None, (weekday, month and f"in {month}")))


def _beat(values: Values, size: int, unit: str) -> str:
    """`every 5 minutes`, where the values divide the whole evenly; else nothing."""
    step = size // len(values)
    if list(values) != list(range(0, size, step)):
        return ""
    return f"every {unit}" if step == 1 else f"every {step} {unit}s"


def _listing(values: Values, label: Callable[[int], str], last_word: str = "and") -> str:
    """The values in words, runs as `1 to 5`, and a long even progression cut short."""
    step = values[-1] - values[-2] if len(values) > 4 else 1
    if step > 1 and list(values) == list(range(values[0], values[-1] + 1, step)):
        return f"{', '.join(map(label, values[:3]))} and so on to {label(values[-1])}"
    items: list[str] = []
    for run in _runs(values):
        items += map(label, run) if len(run) < 3 else [f"{label(run[0])} to {label(run[-1])}"]
    return _joined(items, last_word)


def _runs(values: Values) -> list[list[int]]:
    runs: list[list[int]] = []
    for value in values:
        if runs and runs[-1][-1] == value - 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    return runs


def _is_run(values: Values) -> bool:
    return values[-1] - values[0] == len(values) - 1


def _joined(items: Sequence[str], last_word: str = "and") -> str:
    return f" {last_word} ".join(filter(None, (", ".join(items[:-1]), items[-1])))


def _ordinal(day: int) -> str:
    ending = "th" if day in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"the {day}{ending}"
