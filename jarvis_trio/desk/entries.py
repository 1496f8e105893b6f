"""A task as an entry of a file: in the words of the command line, or in the table's columns.

The columns are the older form. The words are those of `add`: `every`, `cron`, `at`; `command`, or
`handler` with `config`; the policy options; `deliver`. Paths below the home folder begin with `~`,
so a file serves another machine. A value that has no words, such as a configuration with a null
in it, stays JSON text.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

from jarvis_trio.desk.definition import changed_columns
from jarvis_trio.desk.names import composed
from jarvis_trio.desk.requests import TaskRequest
from jarvis_trio.desk.session import Session
from jarvis_trio.errors import ScheduleError, TaskError
from jarvis_trio.models import COMMAND_TYPE, ScheduledTask
from jarvis_trio.notation.instants import duration_text
from jarvis_trio.notation.jsontext import json_object, json_value
from jarvis_trio.notation.text import NOT_UTF8, nearest_or_all
from jarvis_trio.policy import POLICY_OPTIONS, Policy, task_policy
from jarvis_trio.schedules.cron import CronExpression
from jarvis_trio.schedules.schedule import task_schedule
from jarvis_trio.store.tasks import CONFIGURATIONS

_COMMAND: Mapping[str, type] = {"command": list, "env": dict, "secrets": list, "cwd": str}
"""The keys of a command's configuration, and their types. An entry holds them at its top level."""

_HOME = "~/"
"""What a path below the home folder begins with in an entry."""

_TEXTS = ("name", "description", "schedule_type", "handler_type", "delivery_channel")
COLUMNS = {*_TEXTS, *CONFIGURATIONS, "enabled"}
"""The keys of the older form."""

_OPTIONS = {option.name: option for option in POLICY_OPTIONS}
_SCHEDULES = ("every", "cron", "at")
_WORDS = {
    *("name", "description", "handler", "config", "deliver", "deliver_config", "policy", "paused"),
    *_SCHEDULES,
    *_COMMAND,
    *_OPTIONS,
}
_KINDS: Mapping[str, tuple[type, ...]] = {
    "config": (dict, str),
    "deliver_config": (dict, str),
    "command": (list, str),
    "env": (dict,),
    "secrets": (list,),
    "policy": (dict,),
    "paused": (bool,),
    "retries": (int, str),
}


def entry_of(task: ScheduledTask, home: Path) -> dict[str, Any]:
    """The entry for a task.

    It is in columns if nobody can read its schedule or a configuration, or if TOML cannot hold
    what another program wrote into its policy.

    Args:
        home: the folder that `~` stands for.
    """
    try:
        schedule = _schedule_words(task)
        for key in ("handler_config", "delivery_config"):
            json_object(getattr(task, key), key)
    except ScheduleError:
        return _columns(task)
    if not _fits_toml(json_value(task.policy) or {}):
        return _columns(task)
    words = {
        "name": task.name,
        "description": task.description,
        **schedule,
        **_handler_words(task, home),
        **_policy_words(task.policy),
        "deliver": task.delivery_channel,
        "deliver_config": _plain(task.delivery_config),
        "paused": not task.enabled,
    }
    return {key: value for key, value in words.items() if value not in (None, {}, False)}


def task_of(entry: object, number: int, session: Session) -> ScheduledTask:
    """The task that entry `number` of a file describes, not checked yet.

    Raises TaskError with the number.
    """
    if not isinstance(entry, Mapping):
        raise TaskError(f"task {number} of the file is not a table of keys and values")
    form = COLUMNS if "schedule_type" in entry or "handler_type" in entry else _WORDS
    if unknown := sorted(map(str, set(entry) - form)):
        fix = nearest_or_all(unknown[0], sorted(form), "the keys are")
        raise TaskError(f"task {number} of the file has the unknown key {unknown[0]!r}", fix=fix)

    task = _of_columns(entry, number) if form is COLUMNS else _of_words(entry, number, session)
    return replace(task, name=composed(task.name))


def _columns(task: ScheduledTask) -> dict[str, Any]:
    values = {key: getattr(task, key) for key in (*_TEXTS, *CONFIGURATIONS)}
    plain = {key: _plain(value) if key in CONFIGURATIONS else value for key, value in values.items()}
    return {key: value for key, value in plain.items() if value not in (None, {})} | {"enabled": task.enabled}


def _schedule_words(task: ScheduledTask) -> dict[str, Any]:
    option, value = task_schedule(task, UTC).as_option()
    if isinstance(value, timedelta):
        return {option: duration_text(value)}
    return {option: _with_names(value) if option == "cron" else value}


def _with_names(text: str) -> str:
    """The expression with its weekdays by name, as `cron` takes them."""
    expression = CronExpression(text)
    if not expression.uses_numeric_weekday:
        return text
    return " ".join([*text.split()[:4], expression.weekday_readings()[0]])


def _handler_words(task: ScheduledTask, home: Path) -> dict[str, Any]:
    config = _plain(task.handler_config)
    if not task.runs_command or not isinstance(config, dict) or not _is_command(config):
        return {"handler": task.handler_type, "config": config}
    words: dict[str, Any] = config | {"command": [_portable(word, home) for word in config["command"]]}
    return words | ({"cwd": _portable(config["cwd"], home)} if "cwd" in config else {})


def _is_command(config: Mapping[str, Any]) -> bool:
    """Whether a configuration says of a command what an entry has words for, and nothing else.

    A word that begins with `~/` itself is none that an entry can hold: it would be read as a path
    below the home folder.
    """
    kinds = all(isinstance(value, _COMMAND.get(key, ())) for key, value in config.items())
    words = config.get("command", [None])
    return kinds and all(isinstance(word, str) and not word.startswith(_HOME) for word in words)


def _portable(word: str, home: Path) -> str:
    """A path below the home folder begins with `~`."""
    return f"~{word[len(str(home)) :]}" if word.startswith(f"{home}{os.sep}") else word


def _policy_words(text: str | None) -> dict[str, Any]:
    try:
        policy, values = task_policy(text), json_object(text, "policy")
    except ScheduleError:
        return {"policy": {}}
    words: dict[str, Any] = {
        option.name: value if isinstance(value, int) and option.key == option.name else option.kind.words(value)
        for option in POLICY_OPTIONS
        if (value := getattr(policy, option.key)) != getattr(Policy(), option.key)
    }
    others = {key: value for key, value in values.items() if key not in {option.key for option in POLICY_OPTIONS}}
    return words | ({"policy": others} if others else {})


def _plain(text: str | None) -> Any:
    """What a configuration's JSON means; text if TOML cannot hold it."""
    try:
        value = json_object(text, "configuration")
    except ScheduleError:
        return text
    return value if _fits_toml(value) else text


def _fits_toml(value: object) -> bool:
    """Whether TOML can hold what JSON can: it has no null, and no text with a lone surrogate."""
    if isinstance(value, dict):
        return all(map(_fits_toml, value)) and all(map(_fits_toml, value.values()))
    if isinstance(value, list):
        return all(map(_fits_toml, value))
    return value is not None and not (isinstance(value, str) and NOT_UTF8.search(value))


def _of_columns(entry: Mapping[str, Any], number: int) -> ScheduledTask:
    _require(number, lambda key: key in entry, ("name", "schedule_type", "schedule_config", "handler_type"))
    values: dict[str, Any] = {
        key: json.dumps(value) if key in CONFIGURATIONS and isinstance(value, Mapping) else value
        for key, value in entry.items()
    }
    wrong = [key for key, value in values.items() if not isinstance(value, bool if key == "enabled" else str)]
    if wrong:
        raise TaskError(f"task {number} of the file: {wrong[0]} has a value of the wrong kind: {values[wrong[0]]!r}")
    return ScheduledTask(**values)


def _of_words(entry: Mapping[str, Any], number: int, session: Session) -> ScheduledTask:
    _check_words(entry, number)
    blank = ScheduledTask(
        name=entry["name"],
        schedule_type="",
        schedule_config="",
        handler_type="",
        enabled=not entry.get("paused", False),
        policy=json.dumps(entry["policy"]) if entry.get("policy") else None,
    )

    task = replace(blank, **changed_columns(_request_of(entry, session), blank, session))
    if not task.handler_type:
        raise TaskError(f"task {number} of the file has nothing to run", fix="give command, or handler")
    return task


def _check_words(entry: Mapping[str, Any], number: int) -> None:
    _require(number, lambda key: key in entry, ("name",))
    for key, value in entry.items():
        if not isinstance(value, _KINDS.get(key, (str,))) or (isinstance(value, bool) and key != "paused"):
            raise TaskError(f"task {number} of the file: {key} has a value of the wrong kind: {value!r}")
    if not any(key in entry for key in _SCHEDULES):
        raise TaskError(f"task {number} of the file has no schedule", fix="give every, cron or at")


def _request_of(entry: Mapping[str, Any], session: Session) -> TaskRequest:
    return TaskRequest(
        every=entry.get("every"),
        cron=entry.get("cron"),
        at=entry.get("at"),
        description=entry.get("description"),
        deliver=entry.get("deliver"),
        handler=COMMAND_TYPE if "command" in entry else entry.get("handler"),
        config=_command_config(entry, session) if "command" in entry else _config(entry, "config"),
        deliver_config=_config(entry, "deliver_config"),
        policy={name: str(entry[name]) for name in _OPTIONS if name in entry},
    )


def _require(number: int, has: Callable[[str], bool], keys: tuple[str, ...]) -> None:
    if missing := [key for key in keys if not has(key)]:
        raise TaskError(f"task {number} of the file has no {missing[0]}")


def _config(entry: Mapping[str, Any], key: str) -> Mapping[str, Any] | None:
    value = entry.get(key)
    return json_object(value, key, TaskError) if isinstance(value, str) else value


def _command_config(entry: Mapping[str, Any], session: Session) -> dict[str, Any]:
    from jarvis_trio.handlers.approvals import find_executable  # noqa: PLC0415  # as `Session.handlers`
    from jarvis_trio.handlers.commands import words_of  # noqa: PLC0415  # as above

    words = [os.path.expanduser(word) if word.startswith(_HOME) else word for word in words_of(entry["command"])]
    if not os.path.isabs(words[0]):
        found = find_executable(words[0], session.search_path)
        words[0] = words[0] if found is None else str(found)
    config = {key: entry[key] for key in _COMMAND if key in entry} | {"command": words}
    return config | ({"cwd": os.path.expanduser(config["cwd"])} if "cwd" in config else {})
