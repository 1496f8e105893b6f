"""The options that define a task, which `add` and `edit` share, and what they make of its row."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import available_timezones

import click

from jarvis_trio.cli.describe import schedule_words
from jarvis_trio.cli.moments import read_moment
from jarvis_trio.cli.output import note, say
from jarvis_trio.cli.session import Session, completing
from jarvis_trio.delivery import CHANNEL_NAMES, read_config
from jarvis_trio.errors import CronError, NotApprovedError, ScheduleError, TaskError
from jarvis_trio.handlers.approvals import Approvals, find_executable
from jarvis_trio.handlers.custom import command_words
from jarvis_trio.handlers.making import make_channels, make_handlers
from jarvis_trio.insight.warnings import lint
from jarvis_trio.instants import parse_duration, parse_zone
from jarvis_trio.jsontext import json_object
from jarvis_trio.models import Policy, ScheduledTask, ScheduleType
from jarvis_trio.schedules.cron import CronExpression
from jarvis_trio.schedules.schedule import task_schedule, task_zone
from jarvis_trio.text import nearest

NONE = "none"
"""What an option is given to take back what it said."""

_UNITS = (("days", 86_400), ("hours", 3_600), ("minutes", 60), ("seconds", 1))
_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the options say; None where they say nothing."""

    every: str | None
    cron: str | None
    at: str | None
    handler: str | None
    config: str | None
    command: tuple[str, ...]
    timezone: str | None
    timeout: str | None
    retries: int | None
    retry_delay: str | None
    grace: str | None
    on_interrupt: str | None
    alert_after: str | None
    deliver: str | None
    deliver_config: str | None
    description: str | None

    def is_empty(self) -> bool:
        """Whether nothing is asked for."""
        return all(getattr(self, field.name) in (None, ()) for field in fields(self))


def _option(
    name: str,
    metavar: str | None,
    help: str,
    kind: click.ParamType[Any] | None = None,
    complete: Callable[..., list[str]] | None = None,
) -> Any:
    return click.option(name, metavar=metavar, type=kind, help=help, shell_complete=complete)


def _handler_types(session: Session) -> list[str]:
    return sorted(make_handlers(session.settings, make_channels(session.settings, session.environment)))


_TYPE = completing(_handler_types)
_ZONE = completing(lambda _: sorted(available_timezones()))
_CHANNEL = completing(lambda _: (NONE, *CHANNEL_NAMES))
_OPTIONS = (
    _option("--every", "DURATION", "Run at this interval, from now on: 90s, 5m, 1h30m, 2d."),
    _option("--cron", "EXPRESSION", 'Run by a cron expression: "0 9 * * MON-FRI", @daily.'),
    _option("--at", "TIME", 'Run once: 2026-12-01T09:00, "tomorrow 9:00", "friday 9:00", "in 20m".'),
    _option("--handler", "TYPE", "What runs: alert_eval, webhook_poll, custom, or an installed type.", None, _TYPE),
    _option("--config", "JSON", "The handler's configuration, a JSON object."),
    _option("--timezone", "ZONE", "Where its local times are meant, such as Europe/Berlin.", None, _ZONE),
    _option("--timeout", "DURATION", "How long a run may take."),
    _option("--retries", "N", "How often a run that failed is tried again.", click.INT),
    _option("--retry-delay", "DURATION", "The pause before the first retry; it doubles with each further one."),
    _option("--grace", "DURATION", "How late a run may start; what is later still is not run."),
    _option("--on-interrupt", None, "What follows where the process died in a run.", click.Choice(["retry", "skip"])),
    _option("--alert-after", "DURATION", "Say so when it has not succeeded for so long."),
    _option("--deliver", "CHANNEL", f"Where results go: {', '.join(CHANNEL_NAMES)}.", None, _CHANNEL),
    _option("--deliver-config", "JSON", "The channel's configuration, a JSON object."),
    _option("--description", "TEXT", "What it is for."),
    click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND ARG...]"),
)


def definition_options(command: _Command) -> _Command:
    """Give a command the options that make a `Request`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def changes(request: Request, task: ScheduledTask, now: datetime, machine_zone: tzinfo) -> dict[str, Any]:
    """The columns of `task` that change, without `next_run_at`.

    Raises ScheduleError for what cannot be understood, and click.UsageError for
    options that exclude each other.
    """
    columns: dict[str, Any] = {"policy": _policy(request, task.policy)}
    columns |= _handler(request, task)
    columns |= _delivery(request, task)
    if request.description is not None:
        columns["description"] = _unless_none(request.description)
    zone = task_zone(replace(task, policy=columns["policy"]), machine_zone)
    columns |= _schedule(request, now, zone)
    return {name: value for name, value in columns.items() if value != getattr(task, name)}


def _schedule(request: Request, now: datetime, zone: tzinfo) -> dict[str, str]:
    config: dict[str, Any]
    match [(name, text) for name in ("every", "cron", "at") if (text := getattr(request, name)) is not None]:
        case []:
            return {}
        case [("every", text)]:
            kind, config = ScheduleType.INTERVAL, _interval(parse_duration(text))
        case [("cron", text)]:
            kind, config = ScheduleType.CRON, {"expression": _expression(text)}
        case [("at", text)]:
            kind, config = ScheduleType.ONCE, {"run_at": read_moment(text, now, zone).isoformat()}
        case _:
            raise click.UsageError("give one of --every, --cron and --at")
    return {"schedule_type": str(kind), "schedule_config": json.dumps(config)}


def _seconds(duration: timedelta) -> float:
    """A duration in seconds, as a whole number where it is one, since people read the row."""
    seconds = duration.total_seconds()
    return int(seconds) if seconds.is_integer() else seconds


def _interval(step: timedelta) -> dict[str, float]:
    """The step in the largest unit that it is a whole number of, as existing rows have it."""
    for unit, seconds in _UNITS:
        if not step % timedelta(seconds=seconds):
            return {unit: step // timedelta(seconds=seconds)}
    return {"seconds": _seconds(step)}


def _expression(text: str) -> str:
    expression = CronExpression(text)
    if expression.uses_numeric_weekday:
        here, elsewhere = expression.weekday_readings()
        raise CronError(
            f"weekdays as numbers are read in two ways: in {text!r} they are {here} where 0 is Monday, as in stored "
            f"rows, and {elsewhere} where 0 is Sunday, as in crontab(5); write the names"
        )
    return text


def _handler(request: Request, task: ScheduledTask) -> dict[str, str | None]:
    if request.command:
        if request.handler is not None or request.config is not None:
            raise click.UsageError("give either a command after --, or --handler with --config")
        program, *arguments = request.command
        return {"handler_type": "custom", "handler_config": json.dumps({"command": [_program(program), *arguments]})}
    columns: dict[str, str | None] = {}
    if request.handler is not None and request.handler != task.handler_type:
        columns = {"handler_type": request.handler, "handler_config": None}
    if request.config is not None:
        columns["handler_config"] = _json_text(request.config, "--config")
    return columns


def _program(name: str) -> str:
    """The absolute path of a program: the daemon has another PATH, and another folder."""
    path = str(Path(name).absolute()) if os.sep in name else name
    found = find_executable(path, os.environ.get("PATH", os.defpath))
    if found is None or not found.exists():
        searched = "" if os.sep in name else " on PATH"
        raise TaskError(f"there is no program {name!r}{searched}; give the path of an executable")
    return str(found)


def _policy(request: Request, before: str | None) -> str | None:
    """The policy's text with the options' values in it; keys of others stay."""
    seconds = {
        "timeout_seconds": request.timeout,
        "retry_delay_seconds": request.retry_delay,
        "misfire_grace_seconds": request.grace,
        "alert_after_seconds": request.alert_after,
    }
    given: dict[str, Any] = {
        key: None if text == NONE else _seconds(parse_duration(text))
        for key, text in seconds.items()
        if text is not None
    }
    if request.timezone is not None:
        given["timezone"] = _zone_name(request.timezone)
    others = {"retries": request.retries, "on_interrupt": request.on_interrupt}
    given |= {key: value for key, value in others.items() if value is not None}
    if not given:
        return before
    merged = {key: value for key, value in (_policy_object(before) | given).items() if value is not None}
    text = json.dumps(merged) if merged else None
    Policy.from_json(text)
    return text


def _policy_object(text: str | None) -> dict[str, Any]:
    try:
        return json_object(text, "policy", ScheduleError)
    except ScheduleError:  # what no one can read is replaced
        return {}


def _delivery(request: Request, task: ScheduledTask) -> dict[str, str | None]:
    if request.deliver == NONE:
        return {"delivery_channel": None, "delivery_config": None}
    columns: dict[str, str | None] = {}
    if request.deliver is not None and request.deliver != task.delivery_channel:
        columns = {"delivery_channel": request.deliver, "delivery_config": None}
    if request.deliver_config is not None:
        if request.deliver is None and task.delivery_channel is None:
            raise click.UsageError("--deliver-config needs --deliver")
        columns["delivery_config"] = _json_text(request.deliver_config, "--deliver-config")
    return columns


def _json_text(text: str, option: str) -> str:
    return json.dumps(json_object(text, option, TaskError))


def _unless_none(text: str) -> str | None:
    return None if text == NONE else text


def _zone_name(text: str) -> str | None:
    name = _unless_none(text)
    try:
        return None if name is None else parse_zone(name).key
    except ScheduleError:
        hint = f"{nearest(text, sorted(available_timezones()))}use a name like Europe/Berlin or America/Denver"
        raise ScheduleError(f"unknown time zone: {text!r}; {hint}") from None


def first_slot(task: ScheduledTask, now: datetime, machine_zone: tzinfo) -> datetime:
    """When a task that is scheduled now runs first. Raises ScheduleError where it never would."""
    slot = task_schedule(task, machine_zone).next_after(now.replace(microsecond=0))
    if slot is None:
        raise ScheduleError(f"{schedule_words(task, machine_zone)}: that is past; give a time that is to come")
    return slot


def same_schedule(before: ScheduledTask, after: ScheduledTask, machine_zone: tzinfo) -> bool:
    """Whether both rows mean the same slots, so that what is queued stays. Raises ScheduleError for `after`."""
    wanted = task_schedule(after, machine_zone)
    try:
        return task_schedule(before, machine_zone) == wanted
    except ScheduleError:
        return False


def check_handler(task: ScheduledTask, session: Session) -> None:
    """Raises TaskError for a handler type that nobody brings."""
    known = _handler_types(session)
    if task.handler_type not in known:
        hint = f"{nearest(task.handler_type, known)}the types are {', '.join(known)}"
        raise TaskError(f"no handler of type {task.handler_type!r} is installed; {hint}")


def check_delivery(task: ScheduledTask, session: Session) -> None:
    """Raises DeliveryError for a channel that is unknown, or a configuration that cannot work."""
    if task.delivery_channel is not None:
        config = read_config(task.delivery_config, "delivery_config")
        make_channels(session.settings, session.environment).check(task.delivery_channel, config)


def task_program(task: ScheduledTask) -> str | None:
    """The path of the program that a task runs; None where it runs none.

    Raises HandlerError where its row names none, TaskError where that is not there.
    """
    return _program(command_words(task)[0]) if task.handler_type == "custom" else None


def approve_command(task: ScheduledTask, session: Session) -> None:
    """Approve what a task runs, where a person at a terminal asks for it; else say what is to be done.

    Raises as `task_program`, and NotApprovedError where the program cannot be approved.
    """
    program = task_program(task)
    if program is None:
        return
    approvals = Approvals(session.settings.approvals_file)
    try:
        approvals.check(Path(program))
    except NotApprovedError as error:
        if sys.stdin.isatty():
            say(f"Approved: {approvals.allow(program)}")
        else:
            note(str(error))


def note_warnings(task: ScheduledTask, session: Session) -> None:
    """Say what may surprise a person in a task's schedule: clock changes, and that it is far away."""
    for warning in lint(task, session.zone(), session.now()):
        note(warning.sentence)
