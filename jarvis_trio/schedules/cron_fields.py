"""The dialect: what the five fields of a cron expression may say. Pure.

A field becomes a bit mask: bit v is set if the value v matches. Two fields have further values for
what only the calendar of a month can tell:

- day of month: `FROM_END + k` is the day k days before the last (`L`, `L-3`), and `LAST_WORKDAY` is
  the last day from Monday to Friday (`LW`);
- weekday: `nth_weekday(n, day)` is the nth Friday (`FRI#2`), and `nth_weekday(LAST, day)` the last
  one (`FRIL`).
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from jarvis_trio.errors import CronError

_VALUE = "([0-9]+|[A-Za-z]{3})"
_TERM = re.compile(rf"(?:\*|{_VALUE}(?:-{_VALUE})?)(?:/([0-9]+))?")
_FROM_END = re.compile("[Ll](?:-([0-9]{1,2}))?")
_NTH = re.compile(rf"{_VALUE}(?:#([1-5])|[Ll])")
_LONGEST_TEXT = 1_000
_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * SUN",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One of the five: the values it takes, and their full names from `low` on, if any."""

    name: str
    low: int
    high: int
    labels: tuple[str, ...] = ()

    def label(self, value: int) -> str:
        """What a person calls the value: `Monday`, `March`, `09`."""
        return self.labels[value - self.low] if self.labels else f"{value:02}"

    def short_name(self, value: int) -> str:
        """What an expression calls it, if it has names: `MON`, `MAR`."""
        return self.labels[value - self.low][:3].upper()


MINUTE = Field("minute", 0, 59)
HOUR = Field("hour", 0, 23)
DAY = Field("day of month", 1, 31)
_MONTHS = "January February March April May June July August September October November December"
MONTH = Field("month", 1, 12, tuple(_MONTHS.split()))
WEEKDAY = Field("weekday", 0, 6, ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"))
FIELDS = (MINUTE, HOUR, DAY, MONTH, WEEKDAY)
SUNDAY_FIRST = -1

FROM_END = 32
LAST_WORKDAY = 63
LAST = 6
"""In the place of the fifth, the last one."""


def split_expression(text: str) -> tuple[str, ...]:
    """The texts of the five fields, an `@` name written out, without the empty parts of lists.

    Existing rows hold `0,,30`, which the assistant reads as `0,30`. Raises CronError if there are
    not five fields.
    """
    if len(text) > _LONGEST_TEXT:
        raise CronError(f"cron expression too long: {len(text)} characters, at most {_LONGEST_TEXT}: {text[:40]!r}...")
    parts = text.split()
    if len(parts) == 1 and parts[0].startswith("@"):
        if parts[0].lower() not in _ALIASES:
            raise CronError(f"unknown cron name {parts[0][:40]!r}", fix=f"the names are {', '.join(_ALIASES)}")
        parts = _ALIASES[parts[0].lower()].split()
    if len(parts) != len(FIELDS):
        five = ", ".join(field.name for field in FIELDS)
        raise CronError(f"a cron expression has five fields ({five}), not {len(parts)}: {text[:80]!r}")
    return tuple(_without_empty_parts(part) for part in parts)


def _without_empty_parts(text: str) -> str:
    return ",".join(filter(None, text.split(","))) or text  # of `,` nothing would be left to name


@lru_cache(maxsize=1024)
def parse_field(field: Field, text: str, first_number: int = 0) -> int:
    """The mask of the values that a field's text means.

    `first_number` is the weekday that the number 0 means: 0, Monday, for what is
    stored, and -1, the Sunday before, for what crontab(5) would read.

    Raises CronError, naming field, value and what is allowed.
    """
    mask = 0
    for term in text.split(","):
        if (special := _special(field, term, first_number)) is not None:
            mask |= 1 << special
            continue
        for value in _values(field, term, first_number):
            mask |= 1 << (value % 7 if field is WEEKDAY else value)
    return mask


def nth_weekday(nth: int, weekday: int) -> int:
    """The value of the nth such weekday of a month; `LAST` is the last one, whichever that is."""
    return 7 * nth + weekday


def is_special(days: int, weekdays: int) -> bool:
    """Whether the masks of these two fields need the calendar of a month."""
    return days >> FROM_END != 0 or weekdays >> len(WEEKDAY.labels) != 0


def day_values(day: date) -> tuple[int, int]:
    """The masks of all values that a date has as a day of the month, and as a weekday."""
    weekday, length = day.weekday(), monthrange(day.year, day.month)[1]
    left = length - day.day
    days = 1 << day.day | 1 << FROM_END + left
    if weekday < 5 and left < (3 if weekday == 4 else 1):
        days |= 1 << LAST_WORKDAY
    weekdays = 1 << weekday | 1 << nth_weekday((day.day - 1) // 7 + 1, weekday)
    if left < 7:
        weekdays |= 1 << nth_weekday(LAST, weekday)
    return days, weekdays


def values(mask: int) -> tuple[int, ...]:
    """The values whose bits are set, ascending."""
    return tuple(value for value in range(mask.bit_length()) if mask >> value & 1)


def weekday_names(mask: int) -> str:
    """The weekdays of the mask as an expression would name them: `TUE-SAT`, `MON,WED,FRI#2`."""
    found = [value for value in values(mask) if value < 7]
    if len(found) == 7:
        return "*"
    names = list(map(WEEKDAY.short_name, found))
    if len(found) > 2 and found == list(range(found[0], found[-1] + 1)):
        names = [f"{names[0]}-{names[-1]}"]
    for nth, weekday in (divmod(value, 7) for value in values(mask) if value >= 7):
        names.append(WEEKDAY.short_name(weekday) + ("L" if nth == LAST else f"#{nth}"))
    return ",".join(names)


def _values(field: Field, term: str, first_number: int) -> range:
    found = _TERM.fullmatch(term)
    if found is None:
        raise _refusal(field, term, "is not understood")
    first, last, step = found.groups()
    if step is not None and int(step) == 0:
        raise _refusal(field, term, "has a step of 0")
    if first is None:
        return range(field.low + first_number, field.high + first_number + 1, int(step or 1))
    low = _value(field, term, first, first_number)
    if first.upper() == "SUN" and (last or "").upper() != "SUN":
        low -= 7  # Sunday begins a week as well as ending it: SUN-THU and FRI-SUN are both in order
    # One value with a step goes on to the end of the field, as cronsim and cronie have it.
    high = _value(field, term, last, first_number) if last else field.high if step else low
    if low > high:
        raise _refusal(field, term, "runs backwards")
    return range(low, high + 1, int(step or 1))


def _special(field: Field, term: str, first_number: int) -> int | None:
    """The value of a term that needs the calendar of a month; None if it is another one."""
    if field is DAY and term.upper() == "LW":
        return LAST_WORKDAY
    if field is DAY and (found := _FROM_END.fullmatch(term)):
        back = int(found[1] or 0)
        if back >= field.high:
            raise _refusal(field, term, "is out of range")
        return FROM_END + back
    if field is WEEKDAY and (found := _NTH.fullmatch(term)):
        return nth_weekday(int(found[2] or LAST), _value(field, term, found[1], first_number) % 7)
    return None


def _value(field: Field, term: str, text: str, first_number: int) -> int:
    if text.isdecimal() and field.low <= int(text) <= field.high:
        return int(text) + first_number
    for value in range(field.low, field.high + 1):
        if field.labels and field.short_name(value) == text.upper():
            return value
    raise _refusal(field, term, "is out of range" if text.isdecimal() else "is not understood")


def _refusal(field: Field, term: str, why: str) -> CronError:
    # By name if it has names: programs differ on which weekday is 0, and a new row should say it.
    spelt = field.short_name if field.labels else str
    first, third, last = map(spelt, (field.low, field.low + 2, field.high))
    besides = {DAY: "; or L, L-3 or LW", WEEKDAY: "; or FRI#2 or FRIL"}.get(field, "")
    return CronError(
        f"cron {field.name} {term[:40]!r} {why}: use * or {first} to {last}, "
        f"in lists ({first},{third}), ranges ({first}-{third}) and steps (*/3){besides}"
    )
