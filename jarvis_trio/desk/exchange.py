"""Tasks as a document in a file: `export` writes one, `import` plans the changes from one."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import tzinfo
from pathlib import Path
from typing import Any

from jarvis_trio.desk.approvals import Approval, approve_command, is_approved
from jarvis_trio.desk.definition import (
    check_alerts,
    check_delivery,
    ended_by_change,
    first_slot,
    same_schedule,
)
from jarvis_trio.desk.entries import COLUMNS, entry_of, task_of
from jarvis_trio.desk.names import checked_name
from jarvis_trio.desk.session import Session
from jarvis_trio.desk.words import schedule_words
from jarvis_trio.errors import JarvisError, ScheduleError, TaskError
from jarvis_trio.models import ScheduledTask, require_id
from jarvis_trio.notation.instants import local_text
from jarvis_trio.notation.jsontext import json_object, json_value
from jarvis_trio.notation.text import nearest_or_all
from jarvis_trio.policy import Policy, task_policy
from jarvis_trio.schedules.schedule import task_schedule
from jarvis_trio.store.tasks import CONFIGURATIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A task as it is to be stored, and as it is now; None if it is new."""

    before: ScheduledTask | None
    after: ScheduledTask


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """What a document of `total` tasks changes.

    `left_out` names the tasks whose only time is past, `pruned` those that are to go, since the
    document does not name them.
    """

    changes: list[Change]
    left_out: list[str]
    total: int
    pruned: list[ScheduledTask] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """The tasks as TOML and JSON can hold them; `left_out` names those whose only time is past."""

    document: dict[str, Any]
    left_out: list[str]


def export_tasks(session: Session, names: Sequence[str]) -> Export:
    """The tasks of these names that have a time to come; without names, all that have.

    Raises UnknownTaskError.
    """
    tasks = [session.task(name) for name in names] or session.store.list_scheduled_tasks()
    past = {task.name for task in tasks if _is_past(task, session)}
    document = {"tasks": [entry_of(task, Path.home()) for task in tasks if task.name not in past]}
    return Export(document=document, left_out=sorted(past))


def read_document(session: Session, text: str, name: str) -> list[ScheduledTask]:
    """The tasks that the text of the file `name` tells of, not checked yet. Raises JarvisError."""
    tasks = []
    for number, entry in enumerate(_entries(text, name), start=1):
        try:
            tasks.append(task_of(entry, number, session))
        except TaskError:
            raise
        except JarvisError as error:
            raise TaskError(f"nothing was imported; task {number} of the file: {error}") from None
    return tasks


def plan_import(session: Session, wanted: list[ScheduledTask], *, prune: bool = False) -> Import:
    """Plan the changes that make the wanted tasks true.

    Other tasks stay, unless `prune` is given. Raises TaskError.
    """
    present = {task.name: task for task in session.store.list_scheduled_tasks()}
    _refuse_unknown_policy(wanted, present.values())
    if len({task.name for task in wanted}) < len(wanted):
        raise TaskError("the file names a task twice; nothing was imported")

    past = [task.name for task in wanted if _is_past(task, session)]
    checked = {task.name: _checked(task, present.get(task.name), session) for task in wanted if task.name not in past}
    changes = [Change(before=present.get(name), after=task) for name, task in checked.items() if task is not None]
    left_out = [name for name in past if name not in present]
    pruned = [task for name, task in present.items() if name not in {task.name for task in wanted}] if prune else []
    return Import(changes=changes, left_out=left_out, total=len(wanted), pruned=pruned)


def carry_out(session: Session, plan: Import, *, by_person: bool) -> list[Approval]:
    """Store all that is planned, or nothing; arguments and errors are those of `acts.add`."""
    approvals = [
        approve_command(session, change.after, by_person=by_person and _is_seen(session, change))
        for change in plan.changes
    ]
    with session.store.transaction():
        for change in plan.changes:
            stored = session.store.store_scheduled_task(change.after)
            ended = ended_by_change(change.before, stored, session.zone())
            session.store.troubles.end_troubles(require_id(stored), ended)
        for task in plan.pruned:
            session.store.delete_scheduled_task(require_id(task))
    session.changed()
    return approvals


def _is_seen(session: Session, change: Change) -> bool:
    """Whether a person has seen all of the command that a change makes.

    A person is shown what differs. What stays was seen if it is approved, and so nobody approves a
    planted command by giving its task another schedule.
    """
    before = change.before
    return before is None or not _keeps_command(before, change.after) or is_approved(session, before)


def _keeps_command(before: ScheduledTask, after: ScheduledTask) -> bool:
    """Whether any part of a command stays as it was."""
    if not (before.runs_command and after.runs_command):
        return False
    old, new = json_value(before.handler_config), json_object(after.handler_config, "handler_config")
    return isinstance(old, dict) and any(value and old.get(key) == value for key, value in new.items())


def _is_past(task: ScheduledTask, session: Session) -> bool:
    """Whether the only time of a task is past."""
    try:
        only = task_schedule(task, session.zone()).only
    except ScheduleError:  # which the check of the task tells
        return False
    return only is not None and only <= session.now()


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


def _refuse_unknown_policy(wanted: Iterable[ScheduledTask], present: Iterable[ScheduledTask]) -> None:
    """Raise TaskError for a policy with a key that means nothing here.

    If a stored row has that key already, it belongs to another program and stays.
    """
    known = sorted(field.name for field in fields(Policy))
    foreign = set().union(*(_policy_keys(task) for task in present))
    for task in wanted:
        if unknown := sorted(_policy_keys(task) - foreign.union(known)):
            fix = nearest_or_all(unknown[0], known, "the keys are")
            says = f"nothing was imported; task {task.name!r}: unknown key {unknown[0]!r} of a policy"
            raise TaskError(says, fix=fix)


def _policy_keys(task: ScheduledTask) -> set[str]:
    try:
        return set(json_object(task.policy, "policy"))
    except ScheduleError:  # which the check of the task tells
        return set()


def checked_task(task: ScheduledTask, present: ScheduledTask | None, session: Session) -> ScheduledTask | None:
    """The task as it is to be stored; None if `present` is it already. Raises JarvisError."""
    now, zone = session.now(), session.zone()
    if present is not None:
        task = _in_the_rows_own_words(task, present, zone)
        if all(_meaning(task, key) == _meaning(present, key) for key in COLUMNS):
            return None
    checked_name(task.name)
    Policy.from_json(task.policy)
    if task.runs_command:  # other handlers may take a configuration that is no JSON, or look at none
        from jarvis_trio.desk.commands import usable_command  # noqa: PLC0415  # as `Session.handlers`

        usable_command(session, task)
    check_delivery(task, session)
    check_alerts(task, session)
    if present is not None and present.enabled == task.enabled and same_schedule(present, task, zone):
        return replace(task, next_run_at=present.next_run_at)
    return replace(task, next_run_at=local_text(first_slot(task, now, zone), zone))


def _checked(task: ScheduledTask, present: ScheduledTask | None, session: Session) -> ScheduledTask | None:
    """The same, for one task of many: the error says which one, and that nothing was imported."""
    try:
        return checked_task(task, present, session)
    except JarvisError as error:
        raise TaskError(f"nothing was imported; task {task.name!r}: {error}") from None


def _in_the_rows_own_words(task: ScheduledTask, present: ScheduledTask, zone: tzinfo) -> ScheduledTask:
    """The task with the schedule as its row tells it already, if both mean the same."""
    if schedule_words(task, zone) != schedule_words(present, zone) or task.schedule_type != present.schedule_type:
        return task
    return replace(task, schedule_config=present.schedule_config)


def _meaning(task: ScheduledTask, key: str) -> object:
    value = getattr(task, key)
    if key not in CONFIGURATIONS:
        return value
    try:
        return _said(json_object(value, key), task_policy(value)) if key == "policy" else json_object(value, key)
    except ScheduleError:
        return value


def _said(policy: Mapping[str, Any], means: Policy) -> dict[str, Any]:
    """The keys of a policy that differ from the defaults, or are another program's.

    `export` writes only these, so `--retries 0` changes nothing.
    """
    known = {field.name for field in fields(Policy)}
    others = {key: value for key, value in policy.items() if key not in known}
    return others | json_object(means.to_json(), "policy")
