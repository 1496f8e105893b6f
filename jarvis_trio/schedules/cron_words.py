"""A cron expression in plain English, from the values of its fields. Pure."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Sequence
from datetime import date

from jarvis_trio.schedules.cron_fields import DAY, FROM_END, HOUR, LAST_WORKDAY, MINUTE, MONTH, WEEKDAY

_MOST_TIMES = 6
_NTH = ("", "first", "second", "third", "fourth", "fifth", "last")
Values = Sequence[int]


def sentence(minutes: Values, hours: Values, days: Values, months: Values, weekdays: Values) -> str:
    """When a minute matches all five, each in ascending order: `at 09:00 on Monday to Friday`."""
    time = _time(minutes, hours)
    any_day = _is_any(days, DAY.high) and _is_any(weekdays, 7)
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
    any_weekday = _is_any(weekdays, 7)
    if not _is_any(days, DAY.high):
        condition = "" if any_weekday else f", if that is {_mixed(weekdays, 7, _weekday, 'or')}"
        return f"on {_mixed(days, FROM_END, _ordinal)} of {month or 'the month'}{condition}"
    if any_weekday:
        return month and f"in {month}"
    within = f"of {month or 'the month'}" if weekdays[-1] >= 7 else month and f"in {month}"
    return " ".join(filter(None, (f"on {_mixed(weekdays, 7, _weekday)}", within)))


def day_words(day: date, mask: int) -> str:
    """The day of the month, with the month's length if the mask asks for it: `29`, `29 of 31`."""
    length = monthrange(day.year, day.month)[1]
    return f"{day.day:02} of {length}" if mask >> FROM_END else DAY.label(day.day)


def weekday_words(day: date, mask: int) -> str:
    """The weekday, with its place in the month if the mask asks: `the fourth and last Friday`."""
    name = WEEKDAY.label(day.weekday())
    if not mask >> 7:
        return name
    last = day.day + 7 > monthrange(day.year, day.month)[1]
    return f"the {_NTH[(day.day - 1) // 7 + 1]}{' and last' if last else ''} {name}"


def _is_any(values: Values, count: int) -> bool:
    """Whether the field restricts nothing: all plain values are there."""
    return len(values) >= count and values[count - 1] - values[0] == count - 1


def _weekday(value: int) -> str:
    nth, weekday = divmod(value, 7)
    return f"the {_NTH[nth]} {WEEKDAY.label(weekday)}" if nth else WEEKDAY.label(weekday)


def _beat(values: Values, size: int, unit: str) -> str:
    """`every 5 minutes`, if the values divide the whole evenly; otherwise nothing."""
    step = size // len(values)
    if list(values) != list(range(0, size, step)):
        return ""
    return f"every {unit}" if step == 1 else f"every {step} {unit}s"


def _listing(values: Values, label: Callable[[int], str]) -> str:
    """The values in words, runs as `1 to 5`, and a long even progression cut short."""
    return _joined(_items(values, label))


def _mixed(values: Values, count: int, label: Callable[[int], str], last_word: str = "and") -> str:
    """The same for a field whose values from `count` on name days of a month, and make no runs."""
    plain = [value for value in values if value < count]
    return _joined([*_items(plain, label), *map(label, values[len(plain) :])], last_word)


def _items(values: Values, label: Callable[[int], str]) -> list[str]:
    step = values[-1] - values[-2] if len(values) > 4 else 1
    if step > 1 and list(values) == list(range(values[0], values[-1] + 1, step)):
        return [f"{', '.join(map(label, values[:3]))} and so on to {label(values[-1])}"]

    items: list[str] = []
    for run in _runs(values):
        items += map(label, run) if len(run) < 3 else [f"{label(run[0])} to {label(run[-1])}"]
    return items


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
    if day == LAST_WORKDAY:
        return "the last working day"
    if day == FROM_END:
        return "the last day"
    if day > FROM_END:
        return f"{_ordinal(day - FROM_END + 1)}-last day"
    ending = "th" if day in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"the {day}{ending}"
