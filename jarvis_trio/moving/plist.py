"""A property list of launchd as tasks. Pure.

An agent that starts at times becomes a task; one that runs always, or when something happens, does
not. `launchd.plist(5)` reads a calendar like crontab(5): keys that are missing match everything,
0 and 7 are Sunday, and if `Day` and `Weekday` are both given, either may match.
"""

from __future__ import annotations

import plistlib
from collections.abc import Iterator, Mapping
from typing import Any
from xml.parsers.expat import ExpatError

from jarvis_trio.errors import CronError, ScheduleError
from jarvis_trio.models import ScheduledTask
from jarvis_trio.moving.entry import Entry, Program, cron_task, interval_task, name_of
from jarvis_trio.schedules.cron import CronExpression
from jarvis_trio.schedules.cron_fields import WEEKDAY, weekday_names

_CALENDAR = {"Minute": (0, 59), "Hour": (0, 23), "Day": (1, 31), "Month": (1, 12), "Weekday": (0, 7)}
_EVENTS = ("WatchPaths", "QueueDirectories", "StartOnMount", "Sockets", "MachServices", "LaunchEvents")
_NOT_TAKEN = ("Nice", "LowPriorityIO", "ProcessType", "Umask", "SoftResourceLimits", "HardResourceLimits")
_LONGEST_INTERVAL = 10 * 366 * 86_400
_MOST_TIMES = 50

Times = tuple[tuple[str, frozenset[int]], ...]
"""The values of each calendar key that is given, in the order of `_CALENDAR`."""


def read_plist(data: bytes, place: str, protected: frozenset[str] = frozenset()) -> Entry:
    """What the agent in a property list becomes.

    Args:
        data: the file, in XML or in Apple's binary form.
        place: the name of the file, to speak of it.
        protected: labels of agents that are to stay where they are.
    """
    try:
        agent = plistlib.loads(data)
    except (plistlib.InvalidFileException, ExpatError, ValueError, OverflowError, RecursionError, TypeError):
        return Entry(place, place, why="this is not a property list")
    if not isinstance(agent, dict):
        return Entry(place, place, why="this is not a property list of launchd")

    label = str(agent.get("Label", ""))
    try:
        if label in protected:
            raise ScheduleError(f"{label} stays where it is")
        tasks = tuple(_tasks(agent, label))
        return Entry(place, label or place, tasks, notes=tuple(_notes(agent, len(tasks))))
    except ScheduleError as error:
        return Entry(place, label or place, why=str(error))


def _tasks(agent: Mapping[str, Any], label: str) -> Iterator[ScheduledTask]:
    program = _program(agent)
    interval, calendar = agent.get("StartInterval"), agent.get("StartCalendarInterval")
    if interval is None and calendar is None:
        raise ScheduleError(_why_no_time(agent))

    name = name_of([label.rpartition(".")[2]] if label else program.command)
    columns = {"enabled": agent.get("Disabled") is not True}
    if interval is not None:
        yield interval_task(name, _seconds(interval), program, **columns)
    for expression in _expressions(calendar):
        yield cron_task(name, expression, program, **columns)


def _program(agent: Mapping[str, Any]) -> Program:
    arguments = agent.get("ProgramArguments", [])
    if not isinstance(arguments, list) or not all(isinstance(word, str) and "\0" not in word for word in arguments):
        raise ScheduleError("its ProgramArguments are not a list of texts")
    if isinstance(agent.get("Program"), str):  # then the first argument is only a name
        arguments = [agent["Program"], *arguments[1:]]
    if not arguments or not arguments[0]:
        raise ScheduleError("it names no program")
    if agent.get("UserName"):
        raise ScheduleError(f"it runs as {agent['UserName']}, and tasks run as you")

    variables = agent.get("EnvironmentVariables", {})
    environment = {
        name: value
        for name, value in (variables.items() if isinstance(variables, dict) else ())
        if isinstance(name, str) and isinstance(value, str)  # launchd drops the others too
    }
    folder = agent.get("WorkingDirectory")
    return Program(
        command=tuple(arguments), environment=environment, folder=folder if isinstance(folder, str) else None
    )


def _why_no_time(agent: Mapping[str, Any]) -> str:
    if agent.get("KeepAlive") not in (None, False):
        return "it runs always (KeepAlive): leave it to launchd"
    events = [key for key in _EVENTS if agent.get(key)]
    if events:
        return f"it starts when something happens ({', '.join(events)}): leave it to launchd"
    return "it starts at no time: it has neither StartInterval nor StartCalendarInterval"


def _seconds(interval: object) -> int:
    if isinstance(interval, bool) or not isinstance(interval, int) or not 0 < interval <= _LONGEST_INTERVAL:
        raise ScheduleError(f"its StartInterval is not a number of seconds: {interval!r}")
    return interval


def _expressions(calendar: object) -> list[str]:
    if calendar is None:
        return []
    entries = calendar if isinstance(calendar, list) else [calendar]
    if not entries:
        raise CronError("its StartCalendarInterval is empty")
    if len(entries) > _MOST_TIMES:
        raise CronError(f"its StartCalendarInterval has {len(entries)} entries, more than {_MOST_TIMES}")
    merged = _merged([part for entry in entries for part in _either(_times(entry))])
    expressions = [_expression(dict(times)) for times in merged]
    firing = [expression for expression in expressions if CronExpression(expression).can_fire]
    if not firing:
        times = " ".join(f"{key}={_field(numbers)}" for key, numbers in merged[0])
        raise CronError(f"no date matches {times}: it never starts, there neither")
    return firing


def _times(entry: object) -> Times:
    if not isinstance(entry, dict):
        raise CronError("its StartCalendarInterval is neither a dictionary nor a list of them")
    if unknown := set(entry) - set(_CALENDAR):
        raise CronError(f"its StartCalendarInterval has the unknown key {min(map(str, unknown))!r}")
    return tuple((key, frozenset([_value(key, entry[key])])) for key in _CALENDAR if key in entry)


def _value(key: str, value: object) -> int:
    low, high = _CALENDAR[key]
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise CronError(f"its {key} is not a number from {low} to {high}: {value!r}")
    return value % 7 if key == "Weekday" else value


def _either(times: Times) -> list[Times]:
    """Two of them if `Day` and `Weekday` are both given, since either may match."""
    keys = dict(times)
    if "Day" not in keys or "Weekday" not in keys:
        return [times]
    return [tuple(pair for pair in times if pair[0] != left_out) for left_out in ("Weekday", "Day")]


def _merged(times: list[Times]) -> list[Times]:
    """The same times in fewer entries: two that differ in one key become one with both values."""
    merged = list(dict.fromkeys(times))
    for key in reversed(_CALENDAR):
        groups: dict[Times, set[int]] = {}
        for entry in merged:
            rest = tuple(pair if pair[0] != key else (key, frozenset[int]()) for pair in entry)
            groups.setdefault(rest, set()).update(dict(entry).get(key, ()))
        merged = [
            tuple(pair if pair[0] != key else (key, frozenset(values)) for pair in rest)
            for rest, values in groups.items()
        ]
    return merged


def _expression(values: Mapping[str, frozenset[int]]) -> str:
    fields = [_field(values.get(key)) for key in ("Minute", "Hour", "Day", "Month")]
    weekdays = sum(1 << (day - 1) % len(WEEKDAY.labels) for day in values.get("Weekday", ()))
    return " ".join([*fields, weekday_names(weekdays) if weekdays else "*"])


def _field(values: frozenset[int] | None) -> str:
    return "*" if values is None else ",".join(map(str, sorted(values)))


def _notes(agent: Mapping[str, Any], tasks: int) -> Iterator[str]:
    calendar = agent.get("StartCalendarInterval")
    entries = calendar if isinstance(calendar, list) else [calendar]
    if tasks > 1 and any(isinstance(entry, dict) and {"Day", "Weekday"} <= entry.keys() for entry in entries):
        yield "launchd starts it if the day or the weekday matches: two tasks, which both run if both match"
    if agent.get("RunAtLoad") is True:
        yield "launchd also starts it at login (RunAtLoad); the task runs at its times only"
    if agent.get("KeepAlive") not in (None, False):
        yield "launchd also starts it again when it ends (KeepAlive); the task runs at its times only"
    if events := [key for key in _EVENTS if agent.get(key)]:
        yield f"launchd also starts it by {', '.join(events)}; the task runs at its times only"
    if files := sorted({str(agent[key]) for key in ("StandardOutPath", "StandardErrorPath") if agent.get(key)}):
        yield f"its output goes into the history, no longer into {' and '.join(files)}"
    if left := [key for key in _NOT_TAKEN if key in agent]:
        yield f"not taken over: {', '.join(left)}"
