"""Tasks as a document, to be kept in a file: `export` makes one, `import` plans from one what is to change."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from jarvis_trio.desk.acts import Approval, approve_command
from jarvis_trio.desk.definition import COMMAND_TYPE, check_delivery, first_slot, same_schedule
from jarvis_trio.desk.names import checked_name, composed
from jarvis_trio.desk.session import Session
from jarvis_trio.errors import JarvisError, ScheduleError, TaskError
from jarvis_trio.instants import local_text
from jarvis_trio.jsontext import json_object
from jarvis_trio.models import Policy, ScheduledTask, TroubleKind, require_id
from jarvis_trio.schedules.schedule import task_schedule
from jarvis_trio.store.tasks import CONFIGURATIONS
from jarvis_trio.text import nearest

_TEXTS = ("name", "description", "schedule_type", "handler_type", "delivery_channel")
_KEYS = {*_TEXTS, *CONFIGURATIONS, "enabled"}
_REQUIRED = ("name", "schedule_type", "schedule_config", "handler_type")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A task as it is to be stored, and as it is now; None if it is new."""

    before: ScheduledTask | None
    after: ScheduledTask


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """What a document of `total` tasks changes; `left_out` names those whose only time is past."""

    changes: list[Change]
    left_out: list[str]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """The tasks as TOML and JSON can hold them; `left_out` names those whose only time is past."""

    document: dict[str, Any]
    left_out: list[str]


def export_tasks(session: Session) -> Export:
    """All tasks that have a time to come."""
    tasks = session.store.list_scheduled_tasks()
    past = {task.name for task in tasks if _is_past(task, session)}
    document = {"tasks": [_entry(task) for task in tasks if task.name not in past]}
    return Export(document=document, left_out=sorted(past))


def read_document(text: str, name: str) -> list[ScheduledTask]:
    """The tasks that the text of the file `name` tells of, not checked yet. Raises TaskError."""
    return [_task(entry, number) for number, entry in enumerate(_entries(text, name), start=1)]


def plan_import(session: Session, wanted: list[ScheduledTask]) -> Import:
    """What changes if these tasks are to be so; what is not among them stays. Raises TaskError."""
    present = {task.name: task for task in session.store.list_scheduled_tasks()}
    _refuse_unknown_policy(wanted, present.values())
    if len({task.name for task in wanted}) < len(wanted):
        raise TaskError("the file names a task twice; nothing was imported")

    past = [task.name for task in wanted if _is_past(task, session)]
    checked = {task.name: _checked(task, present.get(task.name), session) for task in wanted if task.name not in past}
    changes = [Change(before=present.get(name), after=task) for name, task in checked.items() if task is not None]
    left_out = [name for name in past if name not in present]
    return Import(changes=changes, left_out=left_out, total=len(wanted))


def carry_out(session: Session, plan: Import, *, by_person: bool) -> list[Approval]:
    """Store all that is planned, or nothing; arguments and errors are those of `acts.add`."""
    approvals = [approve_command(session, change.after, by_person=by_person) for change in plan.changes]
    with session.store.transaction():
        for change in plan.changes:
            stored = session.store.store_scheduled_task(change.after)
            session.store.end_troubles(require_id(stored), [TroubleKind.SET_ASIDE])
    session.changed()
    return approvals


def _is_past(task: ScheduledTask, session: Session) -> bool:
    """Whether the only time of a task is past."""
    try:
        only = task_schedule(task, session.zone()).only
    except ScheduleError:  # which the check of the task tells
        return False
    return only is not None and only <= session.now()


def _entry(task: ScheduledTask) -> dict[str, Any]:
    """A task for the file. A configuration that TOML cannot hold, with a null in it, stays JSON text."""
    entry: dict[str, Any] = {key: getattr(task, key) for key in _TEXTS} | {"enabled": task.enabled}
    for key in CONFIGURATIONS:
        text = getattr(task, key)
        try:
            value = json_object(text, key)
        except ScheduleError:
            value = None
        entry[key] = text if value is None or _holds_null(value) else value
    return {key: value for key, value in entry.items() if value not in (None, {})}


def _holds_null(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_null, value.values()))
    return any(map(_holds_null, value)) if isinstance(value, list) else value is None


def _entries(text: str, name: str) -> list[Any]:
    try:
        document = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise TaskError(f"{name} is neither TOML nor JSON as `export` writes it: {error}") from None
    entries = document.get("tasks")
    if not isinstance(entries, list) or len(document) != 1:
        fix = "`export` shows what it looks like"
        raise TaskError(f"{name} must hold a list named tasks and nothing else", fix=fix)
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
    for key in CONFIGURATIONS:
        if isinstance(values.get(key), Mapping):
            values[key] = json.dumps(values[key])
    wrong = [key for key in values if not isinstance(values[key], bool if key == "enabled" else str)]
    if wrong:
        raise TaskError(f"task {number} of the file: {wrong[0]} has a value of the wrong kind: {values[wrong[0]]!r}")
    task = ScheduledTask(**values)
    return replace(task, name=composed(task.name))


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
        return set(json_object(task.policy, "policy"))
    except ScheduleError:  # which the check of the task tells
        return set()


def checked_task(task: ScheduledTask, present: ScheduledTask | None, session: Session) -> ScheduledTask | None:
    """The task as it is to be stored; None if `present` is it already. Raises JarvisError."""
    if present is not None and all(_meaning(task, key) == _meaning(present, key) for key in _KEYS):
        return None
    now, zone = session.now(), session.zone()
    checked_name(task.name)
    Policy.from_json(task.policy)
    json_object(task.handler_config, "handler_config", TaskError)
    _check_command(task, session)
    check_delivery(task, session)
    if present is not None and present.enabled == task.enabled and same_schedule(present, task, zone):
        return replace(task, next_run_at=present.next_run_at)
    return replace(task, next_run_at=local_text(first_slot(task, now, zone), zone))


def _checked(task: ScheduledTask, present: ScheduledTask | None, session: Session) -> ScheduledTask | None:
    """The same, for one task of many: the error says which one, and that nothing was imported."""
    try:
        return checked_task(task, present, session)
    except JarvisError as error:
        raise TaskError(f"nothing was imported; task {task.name!r}: {error}") from None


def _meaning(task: ScheduledTask, key: str) -> object:
    value = getattr(task, key)
    if key not in CONFIGURATIONS:
        return value
    try:
        return json_object(value, key)
    except ScheduleError:
        return value


def _check_command(task: ScheduledTask, session: Session) -> None:
    """Raises HandlerError if a task's command makes no sense, TaskError if its program is not there."""
    if task.handler_type == COMMAND_TYPE:
        from jarvis_trio.desk.commands import program_path  # noqa: PLC0415  # as `Session.handlers`
        from jarvis_trio.handlers.commands import command_of  # noqa: PLC0415  # as above

        program_path(command_of(task).words[0], session.environment)
