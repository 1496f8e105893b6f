"""Tasks and runs in words, and as what `--json` prints."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice
from typing import Any

from jarvis_trio.cli.output import relative
from jarvis_trio.errors import ScheduleError
from jarvis_trio.insight.forecast import Upcoming, forecast
from jarvis_trio.instants import duration_text, local_text
from jarvis_trio.jsontext import json_value
from jarvis_trio.models import Policy, Run, ScheduledTask, task_policy
from jarvis_trio.schedules.schedule import Cron, Interval, Once, task_schedule, task_zone
from jarvis_trio.store import MemoryStore
from jarvis_trio.text import moment_words

_LATEST = datetime.max.replace(tzinfo=UTC)
_DURATIONS = {
    "timeout": "timeout_seconds",
    "retry delay": "retry_delay_seconds",
    "grace": "misfire_grace_seconds",
    "alert after": "alert_after_seconds",
}


def schedule_words(task: ScheduledTask, machine_zone: tzinfo) -> str:
    """When a task runs: `every 5m`, `at 09:00 on Monday`; as the row has it where that makes no sense."""
    try:
        schedule = task_schedule(task, machine_zone)
    except ScheduleError:
        return f"{task.schedule_type} {task.schedule_config}"
    match schedule:
        case Interval(step):
            return f"every {duration_text(step)}"
        case Once(at):
            return f"once, {moment_words(at, task_zone(task, machine_zone))}"
        case Cron(expression):
            return expression.words()
    raise AssertionError(schedule)


def zone_of(task: ScheduledTask, machine_zone: tzinfo) -> tzinfo:
    """The zone in which a task's times are told: its own; the machine's where it has none, or none that is known."""
    try:
        return task_zone(task, machine_zone)
    except ScheduleError:
        return machine_zone


def next_slots(store: MemoryStore, task: ScheduledTask, now: datetime, count: int = 3) -> list[Upcoming]:
    """The next slots of a task; none where it is not enabled or cannot be scheduled."""
    return list(islice(forecast(store, [task], now, _LATEST, now).slots, count))


def outlook_lines(store: MemoryStore, task: ScheduledTask, now: datetime) -> Iterator[str]:
    """The next three times of a task, in its zone."""
    for number, slot in enumerate(next_slots(store, task, now)):
        label = "      " if number else "Next: "
        yield f"{label}{moment_words(slot.at, slot.zone)} ({relative(slot.at, now)})"


def definition_words(task: ScheduledTask, machine_zone: tzinfo) -> dict[str, str]:
    """What a task is defined to be, by headings a person knows; only what it says."""
    delivery = " ".join(filter(None, (task.delivery_channel, task.delivery_config)))
    words = {
        "description": task.description,
        "schedule": schedule_words(task, machine_zone),
        **_policy_words(task.policy),
        "handler": _handler_words(task),
        "delivery": delivery,
    }
    return {heading: text for heading, text in words.items() if text}


def _handler_words(task: ScheduledTask) -> str:
    config = json_value(task.handler_config)
    command = config.get("command") if isinstance(config, dict) and task.handler_type == "custom" else None
    if isinstance(command, list) and len(config) == 1:
        return f"custom: {shlex.join(map(str, command))}"
    return " ".join(filter(None, (task.handler_type, task.handler_config)))


def _policy_words(text: str | None) -> dict[str, str]:
    try:
        policy = task_policy(text)
    except ScheduleError:
        return {"policy": text or ""}
    given = {key: value for key, value in asdict(policy).items() if value != getattr(Policy(), key)}
    durations = {
        heading: duration_text(timedelta(seconds=given[key])) for heading, key in _DURATIONS.items() if key in given
    }
    others = {"timezone": "timezone", "retries": "retries", "on interrupt": "on_interrupt"}
    return {heading: str(given[key]) for heading, key in others.items() if key in given} | durations


def task_json(task: ScheduledTask, last: Run | None, set_aside: str | None) -> dict[str, Any]:
    """A task as `--json` shows it: the table's columns as they are, `last_status`, and why it was set aside."""
    columns = {"id": task.id, **asdict(task)}
    return columns | {"last_status": last and str(last.status), "set_aside": set_aside}


def run_json(run: Run, zone: tzinfo) -> dict[str, Any]:
    """A run as `--json` shows it: times are local with their offset, results are what their JSON means."""
    return {
        "id": run.id,
        "task": run.task_name,
        "scheduled_for": local_text(run.scheduled_for, zone),
        "attempt": run.attempt,
        "started_at": local_text(run.started_at, zone),
        "finished_at": run.finished_at and local_text(run.finished_at, zone),
        "status": str(run.status),
        "reason": run.reason,
        "result": json_value(run.result),
        "trigger": str(run.trigger),
        "collapsed": run.collapsed,
        "delivery": json_value(run.delivery),
    }


def run_summary(run: Run) -> str:
    """The most telling line of a run: why it failed, why nobody was told, or what came of it."""
    delivery = json_value(run.delivery)
    error = delivery.get("error") if isinstance(delivery, Mapping) else None
    undelivered = f"not delivered: {error}" if error else None
    return "; ".join(filter(None, (run.reason, undelivered))) or result_summary(json_value(run.result))


def result_summary(value: Any) -> str:
    """A result in a line: of a command the last line of its output, of others their values."""
    if isinstance(value, Mapping):
        if "stdout" in value:
            return (str(value["stdout"]).strip().splitlines() or [""])[-1]
        return ", ".join(f"{key} {_brief(item)}" for key, item in value.items() if item not in ([], {}, None))
    return "" if value is None else _brief(value)


def _brief(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
