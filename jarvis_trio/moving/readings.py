"""What in an assistant's rows means something else here, or had to be guessed. Only reads."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

from jarvis_trio.delivery import read_config
from jarvis_trio.errors import DeliveryError, HandlerError, ScheduleError
from jarvis_trio.handlers.alert_eval import read_rule
from jarvis_trio.handlers.commands import command_of
from jarvis_trio.models import ScheduledTask, ScheduleType
from jarvis_trio.notation.instants import parse_instant
from jarvis_trio.notation.jsontext import json_object
from jarvis_trio.notation.text import joined, with_name
from jarvis_trio.schedules.cron_fields import FIELDS, WEEKDAY, parse_field, values, weekday_names
from jarvis_trio.schedules.schedule import task_schedule
from jarvis_trio.store import MemoryStore

CheckDelivery = Callable[[str, Mapping[str, Any]], None]
"""Whether a channel takes a configuration. Raises DeliveryError if it does not."""

_STEPPED_VALUE = re.compile(r"(\d+|[A-Za-z]{3})/\d+")


@dataclass(frozen=True, slots=True)
class Reading:
    """One row, a task or an alert rule, and how it is read here.

    `differs` says that it does something else than under the assistant; otherwise it is only to
    be known. `fix` is empty if there is nothing to do.
    """

    name: str
    says: str
    fix: str = ""
    differs: bool = True


def task_readings(tasks: Iterable[ScheduledTask], zone: tzinfo, folder: Path | None) -> Iterator[Reading]:
    """What is to be known of schedules and commands. `folder` is the assistant's own."""
    for task in tasks:
        try:
            task_schedule(task, zone)
        except ScheduleError as error:
            fix = with_name("jarvis-trio edit {}", task.name)
            yield Reading(task.name, f"its schedule cannot be read, so it is set aside: {error.says}", fix)
            continue
        if task.schedule_type == ScheduleType.CRON:
            yield from _cron_readings(task)
        if task.runs_command:
            yield from _command_readings(task, folder)


def delivery_readings(tasks: Iterable[ScheduledTask], check: CheckDelivery) -> Iterator[Reading]:
    """Which results cannot be delivered as their task says."""
    for task in tasks:
        if not task.delivery_channel:
            continue
        try:
            check(task.delivery_channel, read_config(task.delivery_config, "delivery_config"))
        except DeliveryError as error:
            says = f"its messages cannot be delivered by {task.delivery_channel}: {error.says}"
            yield Reading(task.name, says, error.fix)


def _cron_readings(task: ScheduledTask) -> Iterator[Reading]:
    expression = str(json_object(task.schedule_config, "schedule_config").get("expression", ""))
    texts = expression.split()
    for number, (field, text) in enumerate(zip(FIELDS, texts, strict=False)):
        for term in filter(_STEPPED_VALUE.fullmatch, text.split(",")):
            alone = term.partition("/")[0]
            means = joined([field.label(value) for value in values(parse_field(field, term))], most=6)
            theirs = _spelt([*texts[:number], text.replace(term, alone), *texts[number + 1 :]])
            fix = with_name(f"jarvis-trio edit {{}} --cron {shlex.quote(theirs)}", task.name)
            says = f"{field.name} {term} means {alone} alone to the assistant, and {means} here"
            yield Reading(task.name, says, fix)
    if any("" in text.split(",") for text in texts):
        says = f"cron {expression.strip()!r}: empty parts of a list are passed over, as the assistant does"
        yield Reading(task.name, says, differs=False)


def _spelt(texts: list[str]) -> str:
    """The expression as `edit --cron` takes it: weekdays by their names."""
    *others, weekday = texts
    return " ".join([*others, weekday_names(parse_field(WEEKDAY, weekday))])


def _command_readings(task: ScheduledTask, folder: Path | None) -> Iterator[Reading]:
    try:
        command = command_of(task)
    except HandlerError as error:
        yield Reading(task.name, error.says, with_name("jarvis-trio edit {} -- COMMAND ARG...", task.name))
        return
    if folder is None or command.folder is not None:
        return
    for word in command.words:
        if not os.path.isabs(word) and os.sep in word and (folder / word).exists():
            says = f"{word} is in {folder}, and a command starts in the home folder here"
            fix = with_name(f"jarvis-trio edit {{}} --cwd {shlex.quote(str(folder))}", task.name)
            yield Reading(task.name, says, fix)
            return


def rule_readings(store: MemoryStore, now: datetime) -> Iterator[Reading]:
    """What is to be known of the alert rules: guesses, and quiet times that cannot be right."""
    for rule in store.assistant.enabled_alert_rules():
        name = f"alert rule {rule.name or rule.id}"
        try:
            warnings = read_rule(rule).warnings
        except HandlerError as error:
            yield Reading(name, error.says, "put its condition right in the assistant")
            continue
        for warning in warnings:
            yield Reading(name, f"{warning}, as the assistant does", differs=False)
        yield from _quiet_time(name, rule.last_triggered_at, store.clock.zone(), now)


def _quiet_time(name: str, text: str | None, zone: tzinfo, now: datetime) -> Iterator[Reading]:
    if not text:
        return
    try:
        last = parse_instant(text, zone)
    except ScheduleError:
        yield Reading(name, f"last_triggered_at {text[:40]!r} cannot be read, so the rule is not quiet")
        return
    if last > now:
        yield Reading(name, f"last_triggered_at {text} is to come; the assistant would be quiet until then, and after")
