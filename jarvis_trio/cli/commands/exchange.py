"""`jarvis-trio export` and `import`: tasks as a file, to be kept in git."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any, TextIO

import click

from jarvis_trio.cli.commands.edit import difference
from jarvis_trio.cli.definition import approve_command, check_delivery, first_slot, same_schedule, task_program
from jarvis_trio.cli.describe import definition_words
from jarvis_trio.cli.names import check_name
from jarvis_trio.cli.output import say
from jarvis_trio.cli.session import Session, pass_looking_session
from jarvis_trio.errors import JarvisError, ScheduleError, TaskError
from jarvis_trio.instants import local_text
from jarvis_trio.jsontext import json_object
from jarvis_trio.models import Policy, ScheduledTask, ScheduleType, TroubleKind, require_id
from jarvis_trio.text import nearest

_TEXTS = ("name", "description", "schedule_type", "handler_type", "delivery_channel")
_CONFIGURATIONS = ("schedule_config", "handler_config", "delivery_config", "policy")
_KEYS = {*_TEXTS, *_CONFIGURATIONS, "enabled"}
_REQUIRED = ("name", "schedule_type", "schedule_config", "handler_type")


@click.command()
@click.option("--format", "kind", type=click.Choice(["toml", "json"]), default="toml", help="TOML by default.")
@pass_looking_session
def export(session: Session, kind: str) -> None:
    """Print the tasks as TOML or JSON, to be kept in a file.

    Times and results are not in it: it says what is to run, not what ran. A task
    that was to run once and has no time to come is left out.

    \b
    Example:
      jarvis-trio export > tasks.toml
    """
    tasks = [task for task in session.store.list_scheduled_tasks() if not _is_done(task)]
    document = {"tasks": [_entry(task) for task in tasks]}
    if kind == "json":
        click.echo(json.dumps(document, indent=2))
    else:
        import tomli_w  # noqa: PLC0415  # only this writes TOML

        click.echo(tomli_w.dumps(document, multiline_strings=False), nl=False)


@click.command("import")
@click.argument("file", type=click.File(encoding="utf-8"))
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only show the difference.")
@click.pass_obj
def import_tasks(session: Session, file: TextIO, yes: bool, dry_run: bool) -> None:
    """Add and change tasks as a file says: all of it or nothing.

    It shows the difference first, and asks where a person is there. Tasks that the
    file does not name stay as they are.

    \b
    Example:
      jarvis-trio import tasks.toml --dry-run
      jarvis-trio import tasks.toml
    """
    wanted = [_task(entry, number) for number, entry in enumerate(_entries(file), start=1)]
    present = {task.name: task for task in session.store.list_scheduled_tasks()}
    _refuse_unknown_policy(wanted, present.values())
    changed = [checked for task in wanted if (checked := _checked(task, present.get(task.name), session)) is not None]
    if len({task.name for task in wanted}) < len(wanted):
        raise TaskError("the file names a task twice; nothing was imported")
    for task in changed:
        _say_difference(present.get(task.name), task, session)
    say(f"{len(changed)} of {len(wanted)} tasks are to be added or changed.")
    if dry_run or not changed:
        return
    if not yes and sys.stdin.isatty() and not click.confirm("Do it?"):
        raise TaskError("nothing was imported")
    for task in changed:
        approve_command(task, session)
    with session.store.transaction():
        for task in changed:
            stored = session.store.store_scheduled_task(task)
            session.store.end_troubles(require_id(stored), [TroubleKind.SET_ASIDE])
    session.changed()
    say("Done.")


def _is_done(task: ScheduledTask) -> bool:
    return task.schedule_type == ScheduleType.ONCE and task.next_run_at is None


def _entry(task: ScheduledTask) -> dict[str, Any]:
    """A task for the file. A configuration that TOML cannot hold, with a null in it, stays JSON text."""
    entry: dict[str, Any] = {key: getattr(task, key) for key in _TEXTS} | {"enabled": task.enabled}
    for key in _CONFIGURATIONS:
        text = getattr(task, key)
        try:
            value = json_object(text, key, ScheduleError)
        except ScheduleError:
            value = None
        entry[key] = text if value is None or _holds_null(value) else value
    return {key: value for key, value in entry.items() if value not in (None, {})}


def _holds_null(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_null, value.values()))
    return any(map(_holds_null, value)) if isinstance(value, list) else value is None


def _entries(file: TextIO) -> list[Any]:
    try:
        text = file.read()
        document = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also of text that is not UTF-8
        raise TaskError(f"{file.name} is neither TOML nor JSON as `export` writes it: {error}") from None
    entries = document.get("tasks")
    if not isinstance(entries, list) or len(document) != 1:
        raise TaskError(f"{file.name} must hold a list named tasks and nothing else; `export` shows what it looks like")
    return entries


def _task(entry: object, number: int) -> ScheduledTask:
    if not isinstance(entry, Mapping):
        raise TaskError(f"task {number} of the file is no table of keys and values")
    if unknown := sorted(map(str, set(entry) - _KEYS)):
        hint = f"{nearest(unknown[0], sorted(_KEYS))}there are {', '.join(sorted(_KEYS))}"
        raise TaskError(f"task {number} of the file has the unknown key {unknown[0]!r}; {hint}")
    if missing := [key for key in _REQUIRED if key not in entry]:
        raise TaskError(f"task {number} of the file has no {missing[0]}")
    values = dict(entry)
    for key in _CONFIGURATIONS:
        if isinstance(values.get(key), Mapping):
            values[key] = json.dumps(values[key])
    wrong = [key for key in values if not isinstance(values[key], bool if key == "enabled" else str)]
    if wrong:
        raise TaskError(f"task {number} of the file: {wrong[0]} has a value of the wrong kind: {values[wrong[0]]!r}")
    return ScheduledTask(**values)


def _refuse_unknown_policy(wanted: Iterable[ScheduledTask], present: Iterable[ScheduledTask]) -> None:
    """Raises TaskError for a policy with a key that means nothing here; what a row has already is another program's."""
    known = sorted(field.name for field in fields(Policy))
    foreign = set().union(*(_policy_keys(task) for task in present))
    for task in wanted:
        if unknown := sorted(_policy_keys(task) - foreign.union(known)):
            hint = f"{nearest(unknown[0], known)}there are {', '.join(known)}"
            raise TaskError(f"nothing was imported; task {task.name!r}: unknown key {unknown[0]!r} of a policy; {hint}")


def _policy_keys(task: ScheduledTask) -> set[str]:
    try:
        return set(json_object(task.policy, "policy", ScheduleError))
    except ScheduleError:  # which the check of the task tells
        return set()


def _checked(task: ScheduledTask, present: ScheduledTask | None, session: Session) -> ScheduledTask | None:
    """The task as it is to be stored, or None where it is so already. Raises JarvisError with its name."""
    if present is not None and all(_meaning(task, key) == _meaning(present, key) for key in _KEYS):
        return None
    now, zone = session.now(), session.zone()
    try:
        check_name(task.name)
        Policy.from_json(task.policy)
        json_object(task.handler_config, "handler_config", TaskError)
        task_program(task)
        check_delivery(task, session)
        if present is not None and present.enabled == task.enabled and same_schedule(present, task, zone):
            return replace(task, next_run_at=present.next_run_at)
        return replace(task, next_run_at=local_text(first_slot(task, now, zone), zone))
    except JarvisError as error:
        raise TaskError(f"nothing was imported; task {task.name!r}: {error}") from None


def _meaning(task: ScheduledTask, key: str) -> object:
    value = getattr(task, key)
    if key not in _CONFIGURATIONS:
        return value
    try:
        return json_object(value, key, ScheduleError)
    except ScheduleError:
        return value


def _say_difference(before: ScheduledTask | None, after: ScheduledTask, session: Session) -> None:
    zone = session.zone()
    say(f"{'+' if before is None else '~'} {after.name}")
    old = {} if before is None else definition_words(before, zone)
    for line in difference(old, definition_words(after, zone)):
        say(f"    {line}")
