"""Tasks and runs in words. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from datetime import tzinfo
from typing import Any

from jarvis_trio.errors import ScheduleError
from jarvis_trio.models import Run, ScheduledTask
from jarvis_trio.notation.jsontext import json_value
from jarvis_trio.policy import POLICY_OPTIONS, Policy, task_policy
from jarvis_trio.schedules.schedule import task_schedule, task_zone

_OF_COMMANDS = {"env": "variables", "secrets": "secrets", "cwd": "folder"}


def schedule_words(task: ScheduledTask, machine_zone: tzinfo) -> str:
    """When a task runs, as in `every 5m`; the row's own text if it cannot be parsed."""
    try:
        return task_schedule(task, machine_zone).words()
    except ScheduleError:
        return f"{task.schedule_type} {task.schedule_config}"


def zone_of(task: ScheduledTask, machine_zone: tzinfo) -> tzinfo:
    """The zone that a task's times are shown in: its own if it is known, else the machine's."""
    try:
        return task_zone(task, machine_zone)
    except ScheduleError:
        return machine_zone


def definition_words(task: ScheduledTask, machine_zone: tzinfo) -> dict[str, str]:
    """What a task is defined to be, by headings that people know; only what it says itself."""
    delivery = " ".join(filter(None, (task.delivery_channel, task.delivery_config)))
    words = {
        "description": task.description,
        "schedule": schedule_words(task, machine_zone),
        **_policy_words(task.policy),
        **_handler_words(task),
        "delivery": delivery,
    }
    return {heading: text for heading, text in words.items() if text}


def _handler_words(task: ScheduledTask) -> dict[str, str]:
    config = json_value(task.handler_config)
    command = config.get("command") if isinstance(config, dict) and task.runs_command else None
    if not isinstance(command, list) or not set(config) <= {"command", "by_agent", *_OF_COMMANDS}:
        return {"handler": " ".join(filter(None, (task.handler_type, task.handler_config)))}
    by = " (written by an AI assistant)" if config.get("by_agent") is True else ""
    words = {"handler": f"custom: {shlex.join(map(str, command))}{by}"}
    return words | {heading: _setting_words(config[key]) for key, heading in _OF_COMMANDS.items() if config.get(key)}


def _setting_words(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={shlex.quote(str(text))}" for name, text in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _policy_words(text: str | None) -> dict[str, str]:
    try:
        policy = task_policy(text)
    except ScheduleError:
        return {"policy": text or ""}
    return {
        option.name.replace("_", " "): option.kind.words(value)
        for option in POLICY_OPTIONS
        if (value := getattr(policy, option.key)) != getattr(Policy(), option.key)
    }


def difference(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    """The headings whose texts differ, with both: `timeout: 1m -> none`."""
    for heading in {**before, **after}:
        old, new = before.get(heading, "none"), after.get(heading, "none")
        if old != new:
            yield f"{heading}: {old} -> {new}"


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
