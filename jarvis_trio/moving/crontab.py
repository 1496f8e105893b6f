"""A crontab, line by line, as tasks. Pure.

What crontab(5) and this program read differently is turned or refused, never guessed:

- A numeric weekday counts from 0 = Sunday there, and becomes a name.
- If day of month and weekday are both restricted, a line runs when either matches. Here both must,
  so such a line becomes two tasks.
- What follows an unescaped `%` is the command's input. Ours have none, so such a line is refused.
- `@reboot` is not a time, and is refused.

python-crontab was considered and rejected: it is under the LGPL, its concern is to write crontabs,
it knows neither `%` nor how the two day fields combine. What would remain is a dozen lines.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from typing import NamedTuple

from jarvis_trio.errors import CronError, ScheduleError
from jarvis_trio.moving.entry import Entry, Program, cron_task, name_of
from jarvis_trio.notation.instants import parse_zone
from jarvis_trio.notation.text import NOT_UTF8, shortened
from jarvis_trio.schedules.cron import CronExpression
from jarvis_trio.schedules.cron_fields import WEEKDAY, weekday_names

_ASSIGNMENT = re.compile(r"\s*(?:\"([^\"]*)\"|'([^']*)'|([A-Za-z_]\w*))\s*=\s*(.*?)\s*")
_LINE = re.compile(r"\s*(@\w+|(?:\S+\s+){4}\S+)\s+(\S.*?)\s*")
_NICKNAMES = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")
_DAY_TERM = re.compile(r"(\*|0*[0-7]|[A-Za-z]{3})(?:-(0*[0-7]|[A-Za-z]{3}))?(?:/([0-9]{1,2}))?")
_DAY_NAMES = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_PLAIN = re.compile(r"[^|&;<>()$`\\*?\[\]#~{}!\n]+")
_BUILTINS = frozenset([".", ":", "[", "cd", "eval", "exec", "export", "if", "for", "source", "test", "trap", "while"])
_FOR_CRON = frozenset(["SHELL", "MAILTO", "MAILFROM", "CRON_TZ", "HOME", "LOGNAME", "USER", "CONTENT_TYPE"])
"""Variables that tell cron something, and that no command needs to see."""
_HEADING = re.compile(r"m\s+h\s+dom|[\d*@]")
"""Comments that describe nothing: that of Debian's empty crontab, and lines switched off."""
_LONGEST_TEXT = 70


class _Line(NamedTuple):
    number: int
    times: str
    command: str
    comment: str
    variables: dict[str, str]
    user: str | None = None


def read_crontab(text: str, user: str | None = None) -> list[Entry]:
    """What each line of a crontab becomes; blank lines, comments and variables are not entries.

    Variables count for the lines below them. A comment right above a line becomes the description.
    Tasks are named after what they run, so several may have the same name.

    Args:
        text: the crontab.
        user: for a crontab of the system, whose lines name the user before the command: only the
            lines of this user are taken.
    """
    lines = _lines(text) if user is None else map(_without_user, _lines(text))
    return [_entry(line, user) for line in lines]


def _lines(text: str) -> Iterator[_Line]:
    variables: dict[str, str] = {}
    comment = ""
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if line.lstrip().startswith("#"):
            comment = line.strip().lstrip("#").strip()
            comment = "" if _HEADING.match(comment) else comment
        elif not line.strip():
            comment = ""
        elif (found := _ASSIGNMENT.fullmatch(line)) and not _looks_like_times(line):
            name = found[1] or found[2] or found[3]
            variables[name] = _unquoted(found[4])
            comment = ""
        else:
            found = _LINE.fullmatch(line)
            times, command = (found[1], found[2]) if found else ("", line.strip())
            yield _Line(number, times, command, comment, dict(variables))
            comment = ""


def _without_user(line: _Line) -> _Line:
    user, command = [*line.command.split(maxsplit=1), ""][:2]
    return line._replace(command=command, user=user)


def _looks_like_times(line: str) -> bool:
    return bool(re.match(r"\s*[\d*@]", line))


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value


def _entry(line: _Line, user: str | None) -> Entry:
    place, text = f"line {line.number}", f"{line.times} {line.command}".strip()
    short = shortened(text, _LONGEST_TEXT)
    if line.user != user:
        return Entry(place, short, why=f"it runs as {line.user}, and tasks here run as {user}")
    try:
        _require_utf8(line)
        expressions, notes = _expressions(line.times)
        program = _program(line)
        policy = _policy(line.variables)
    except ScheduleError as error:
        return Entry(place, short, why=str(error))

    name, description = name_of(_naming_words(line.command)), line.comment or None
    tasks = [cron_task(name, expression, program, policy=policy, description=description) for expression in expressions]
    return Entry(place, short, tuple(tasks), notes=(*notes, *_mail_notes(line.variables)))


def _require_utf8(line: _Line) -> None:
    """Refuse bytes that no database, and no file of tasks, can hold."""
    for text in (line.command, line.comment, *line.variables.values()):
        if NOT_UTF8.search(text):
            raise CronError(f"it is not UTF-8: {text!r}", fix="write the crontab in UTF-8")


def _expressions(times: str) -> tuple[list[str], list[str]]:
    """The expressions that mean what the line's times mean, and what to say about them."""
    if not times:
        raise CronError("this is neither five fields and a command nor a variable")
    if times.startswith("@"):
        return [_nickname(times.lower())], []

    minute, hour, day, month, weekday = times.split()
    named = _named_weekdays(weekday)
    if day.startswith("*") or weekday.startswith("*"):
        return [_checked(f"{minute} {hour} {day} {month} {named}")], []
    both = [f"{minute} {hour} {day} {month} *", f"{minute} {hour} * {month} {named}"]
    if not _can_fire(both[0]):  # such as 30 February: what remains is the weekday
        return [_checked(both[1])], []
    note = "crontab runs it if the day of the month or the weekday matches: two tasks, which both run if both match"
    return list(map(_checked, both)), [note]


def _nickname(name: str) -> str:
    if name == "@reboot":
        raise CronError(
            "@reboot is not a time", fix="start it at login by launchd or systemd, or let a task look whether it runs"
        )
    if name == "@every_minute":
        return "* * * * *"
    if name not in _NICKNAMES:
        raise CronError(f"the name {name} is not known", fix=f"use one of {', '.join(_NICKNAMES)}")
    return name


def _checked(expression: str) -> str:
    if not _can_fire(expression):
        raise CronError(f"no date matches {expression!r}: it never runs, there neither")
    return expression


def _can_fire(expression: str) -> bool:
    if "~" in expression:
        raise CronError("a random time (~) is not known here", fix="write the time")
    return CronExpression(expression).can_fire


def _named_weekdays(text: str) -> str:
    """The field as crontab(5) reads it (0 and 7 are Sunday), in names.

    A `*` begins with Sunday there, so `*/2` is Sunday, Tuesday, Thursday, Saturday.
    """
    mask = 0
    for term in text.split(","):
        found = _DAY_TERM.fullmatch(term)
        days = _days(*found.groups()) if found else range(0)
        if not days:
            raise CronError(f"weekday {term[:40]!r} is not understood")
        for day in days:
            mask |= 1 << (day - 1) % len(WEEKDAY.labels)
    return weekday_names(mask)


def _days(first: str, last: str | None, step: str | None) -> range:
    """The days of one term, counted from 0 = Sunday; none if it makes no sense."""
    every = int(step or 1)
    if every == 0 or (first == "*" and last):
        return range(0)
    if first == "*":
        return range(0, 7, every)

    low = _day_number(first)
    high = _day_number(last) if last else 6 if step else low
    if last and high == 0 < low:  # FRI-SUN
        high = 7
    return range(low, high + 1, every)


def _day_number(text: str) -> int:
    if text.isdecimal():
        return int(text)
    if text.upper() not in _DAY_NAMES:
        raise CronError(f"weekday {text!r} is not understood")
    return _DAY_NAMES.index(text.upper())


def _program(line: _Line) -> Program:
    command, has_input = _before_percent(line.command)
    if has_input:
        fix = "make it a pipe: echo ... | ..."
        raise CronError("what follows % is the command's input, and ours have none", fix=fix)
    if not command:  # a line of the system's that ends after the user
        raise CronError("it has no command")

    environment = {name: value for name, value in line.variables.items() if name not in _FOR_CRON}
    words = _words(command)
    settled = words is not None and (words[0].startswith("/") or not {"PATH", "SHELL"} & line.variables.keys())
    if words is None or not settled:
        words = [line.variables.get("SHELL", "/bin/sh"), "-c", command]
    return Program(command=tuple(words), environment=environment, folder=line.variables.get("HOME"))


def _before_percent(text: str) -> tuple[str, bool]:
    r"""The command, and whether an input follows. `\%` is a percent sign."""
    command, percent, _ = text.replace(r"\%", "\0").partition("%")
    return command.replace("\0", "%").strip(), bool(percent)


def _words(command: str) -> list[str] | None:
    """The words of a command that needs no shell; None if it does."""
    if not _PLAIN.fullmatch(command):
        return None
    try:
        words = shlex.split(command)
    except ValueError:  # a quotation without end
        return None
    return words if words and "=" not in words[0] and words[0] not in _BUILTINS else None


def _naming_words(command: str) -> list[str]:
    """The words of the first part that does something: not those of `cd /somewhere &&`."""
    parts = [part.split() for part in re.split(r"&&|\|\||[;|]", command)]
    return next((words for words in parts if words and words[0].strip("(") not in _BUILTINS), [])


def _policy(variables: dict[str, str]) -> str | None:
    zone = variables.get("CRON_TZ")
    return json.dumps({"timezone": parse_zone(zone).key}) if zone else None


def _mail_notes(variables: dict[str, str]) -> list[str]:
    address = variables.get("MAILTO", "")
    if not address:
        return []
    return [f"its output is not mailed to {address}: `jarvis-trio edit` takes --deliver email, or --alert"]
