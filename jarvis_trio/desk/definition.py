"""What a request makes of a task's row: understood, checked, and not stored yet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, tzinfo
from typing import Any

from jarvis_trio.desk.requests import DEFAULT, NONE, TaskRequest
from jarvis_trio.desk.session import Session
from jarvis_trio.desk.words import schedule_words
from jarvis_trio.errors import CronError, OptionError, RequestError, ScheduleError, TaskError
from jarvis_trio.models import COMMAND_TYPE, ScheduledTask, ScheduleType, TroubleKind
from jarvis_trio.notation.instants import parse_duration
from jarvis_trio.notation.jsontext import json_object
from jarvis_trio.notation.moments import read_moment
from jarvis_trio.notation.text import nearest
from jarvis_trio.policy import POLICY_OPTIONS, Policy, PolicyKind, PolicyOption, task_policy
from jarvis_trio.schedules.cron import CronExpression
from jarvis_trio.schedules.interval import interval_config
from jarvis_trio.schedules.schedule import task_schedule, task_zone

TROUBLES_OF_RUNS = (TroubleKind.FAILING, TroubleKind.MISSED, TroubleKind.STALE)
"""The troubles that a run which goes well ends."""


def changed_columns(request: TaskRequest, task: ScheduledTask, session: Session) -> dict[str, Any]:
    """The columns of `task` that the request changes, without `next_run_at`.

    Raises ScheduleError or TaskError for what cannot be understood, RequestError for
    wishes that exclude each other.
    """
    columns: dict[str, Any] = {"policy": _policy(request.policy, task.policy)}
    columns |= _handler(request, task, session.search_path)
    columns |= _mark_of_agent(request, task, columns)
    columns |= _delivery(request, task)
    if request.description is not None:
        columns["description"] = _unless_none(request.description)

    zone = task_zone(replace(task, policy=columns["policy"]), session.zone())
    columns |= _schedule(request, session.now(), zone)
    return {name: value for name, value in columns.items() if value != getattr(task, name)}


def first_slot(task: ScheduledTask, now: datetime, machine_zone: tzinfo) -> datetime:
    """When a task that is scheduled now runs first. Raises ScheduleError if it never would."""
    slot = task_schedule(task, machine_zone).next_after(now.replace(microsecond=0))
    if slot is None:
        says = f"{schedule_words(task, machine_zone)}: that is past"
        raise ScheduleError(says, fix="give a time that is to come")
    return slot


def same_schedule(before: ScheduledTask, after: ScheduledTask, machine_zone: tzinfo) -> bool:
    """Whether both rows mean the same slots, so that what is queued stays.

    Raises ScheduleError for `after`.
    """
    wanted = task_schedule(after, machine_zone)
    try:
        return task_schedule(before, machine_zone) == wanted
    except ScheduleError:
        return False


def ended_by_change(before: ScheduledTask | None, after: ScheduledTask, machine_zone: tzinfo) -> list[TroubleKind]:
    """The troubles that end as a task is changed.

    A task that was to run once and failed has no further run that could end its trouble. If it is
    given another time, that one counts.
    """
    kinds = [TroubleKind.SET_ASIDE]
    with suppress(ScheduleError):
        was_single = before is not None and task_schedule(before, machine_zone).only is not None
        if before is not None and was_single and not same_schedule(before, after, machine_zone):
            kinds += TROUBLES_OF_RUNS
    return kinds


def check_handler(task: ScheduledTask, session: Session) -> None:
    """Raises TaskError for a handler type that nobody brings."""
    if task.handler_type not in session.handlers:
        known = sorted(session.handlers)
        fix = f"{nearest(task.handler_type, known)}the types are {', '.join(known)}"
        raise TaskError(f"no handler of type {task.handler_type!r} is installed", fix=fix)


def check_delivery(task: ScheduledTask, session: Session) -> None:
    """Raises DeliveryError for a channel that is unknown, or a configuration that cannot work."""
    if task.delivery_channel is not None:
        from jarvis_trio.delivery import read_config  # noqa: PLC0415  # as `Session.channels`

        config = read_config(task.delivery_config, "delivery_config")
        session.channels.check(task.delivery_channel, config)


def check_alerts(task: ScheduledTask, session: Session) -> None:
    """The same for the channel of a task's alerts. Raises DeliveryError, ScheduleError."""
    policy = task_policy(task.policy)
    if policy.alert_channel is not None:
        session.channels.check(policy.alert_channel, policy.alert_config or {})


def _schedule(request: TaskRequest, now: datetime, zone: tzinfo) -> dict[str, str]:
    config: dict[str, Any]
    match request.schedules:
        case []:
            return {}
        case [("every", text)]:
            kind, config = ScheduleType.INTERVAL, interval_config(parse_duration(text))
        case [("cron", text)]:
            kind, config = ScheduleType.CRON, {"expression": _expression(text)}
        case [("at", text)]:
            kind, config = ScheduleType.ONCE, {"run_at": read_moment(text, now, zone).isoformat()}
        case _:
            raise RequestError("a task has one schedule", fix="give one of `every`, `cron` and `at`")
    return {"schedule_type": str(kind), "schedule_config": json.dumps(config)}


def _expression(text: str) -> str:
    expression = CronExpression(text)
    if expression.uses_numeric_weekday:
        here, elsewhere = expression.weekday_readings()
        raise CronError(
            f"weekdays as numbers are read in two ways: in {text!r} they are {here} where 0 is Monday, as in stored "
            f"rows, and {elsewhere} where 0 is Sunday, as in crontab(5)",
            fix="write the names",
        )
    return text


def _handler(request: TaskRequest, task: ScheduledTask, search_path: str) -> dict[str, str | None]:
    if request.changes_command:
        if request.handler is not None or request.config is not None:
            fix = "give either `command`, or `handler` with `config`"
            raise RequestError("a task has one handler", fix=fix)
        from jarvis_trio.desk.commands import command_config  # noqa: PLC0415  # as `Session.handlers`

        return {"handler_type": COMMAND_TYPE, "handler_config": command_config(request, task, search_path)}

    columns: dict[str, str | None] = {}
    if request.handler is not None and request.handler != task.handler_type:
        columns = {"handler_type": request.handler, "handler_config": None}
    if request.config is not None:
        columns["handler_config"] = json.dumps(request.config)
    return columns


def _mark_of_agent(request: TaskRequest, task: ScheduledTask, columns: Mapping[str, Any]) -> dict[str, str]:
    """The mark on a command that an agent writes or changes: it needs its own approval.

    It stands beside the words of the command, so that whoever writes other words takes it off.
    """
    if not request.by_agent or columns.get("handler_type", task.handler_type) != COMMAND_TYPE:
        return {}
    from jarvis_trio.handlers.commands import BY_AGENT  # noqa: PLC0415  # as `Session.handlers`

    config = json_object(columns.get("handler_config", task.handler_config), "handler_config")
    return {"handler_config": json.dumps(config | {BY_AGENT: True})}


def _policy(given: Mapping[str, str], before: str | None) -> str | None:
    """The policy's text with the given values in it; keys of others stay."""
    values = {option.key: _given(option, given[option.name]) for option in POLICY_OPTIONS if option.name in given}
    if not values:
        return before
    merged = {key: value for key, value in (_policy_object(before) | values).items() if value is not None}
    text = json.dumps(merged) if merged else None
    Policy.from_json(text)
    return text


def _given(option: PolicyOption, text: str) -> Any:
    """The value to store; None for what holds anyway, so that a row has one way to say it."""
    value = None if _takes_back(text, option.kind) else _read(option, text)
    return None if value == getattr(Policy(), option.key) else value


def _read(option: PolicyOption, text: str) -> Any:
    """The value that the text means. Raises OptionError, which names the option."""
    try:
        value = option.kind.read(text)
    except ScheduleError as error:
        raise OptionError(f"`{option.name}`: {error.says}", fix=error.fix) from None
    try:
        option.kind.check(f"`{option.name}`", value)
    except ScheduleError as error:
        raise OptionError(error.says, fix=error.fix) from None
    return value


def _takes_back(text: str, kind: PolicyKind) -> bool:
    return text == (DEFAULT if kind.takes_none else NONE)


def _policy_object(text: str | None) -> dict[str, Any]:
    try:
        return json_object(text, "policy")
    except ScheduleError:  # what no one can read is replaced
        return {}


def _delivery(request: TaskRequest, task: ScheduledTask) -> dict[str, str | None]:
    if request.deliver == NONE:
        return {"delivery_channel": None, "delivery_config": None}

    columns: dict[str, str | None] = {}
    if request.deliver is not None and request.deliver != task.delivery_channel:
        columns = {"delivery_channel": request.deliver, "delivery_config": None}
    if request.deliver_config is not None:
        if request.deliver is None and task.delivery_channel is None:
            raise RequestError("a delivery has a channel", fix="`deliver_config` needs `deliver`")
        columns["delivery_config"] = json.dumps(request.deliver_config)
    return columns


def _unless_none(text: str) -> str | None:
    return None if text == NONE else text
