"""What people have done to tasks: add, change, pause, resume, remove.

Each act takes the session and what is asked, does it in one transaction or not at all,
lets a running daemon see it at once, and returns what came of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from jarvis_trio.desk.approvals import Approval, approve_command, is_approved
from jarvis_trio.desk.definition import (
    TROUBLES_OF_RUNS,
    changed_columns,
    check_alerts,
    check_delivery,
    check_handler,
    ended_by_change,
    first_slot,
    same_schedule,
)
from jarvis_trio.desk.looks import next_slots
from jarvis_trio.desk.machines import check_place, placed
from jarvis_trio.desk.names import checked_name
from jarvis_trio.desk.requests import NONE, TaskRequest
from jarvis_trio.desk.session import Session
from jarvis_trio.errors import (
    DuplicateTaskError,
    HandlerError,
    RequestError,
    TaskError,
)
from jarvis_trio.models import HELD_REASON, RunStatus, ScheduledTask, TroubleKind, require_id
from jarvis_trio.notation.instants import local_text
from jarvis_trio.notation.jsontext import json_object
from jarvis_trio.notation.text import printable, shortened, with_name
from jarvis_trio.policy import task_policy
from jarvis_trio.schedules.schedule import schedule_warnings, stored_next_run, task_schedule

REMINDER = "remind"
"""The handler type of a reminder, which does nothing but have its text delivered."""

_REMINDER_NAME_CHARACTERS = 40
_SCHEDULE = {"schedule_type", "schedule_config", "policy"}
_HANDLER = {"handler_type", "handler_config"}
_DELIVERY = {"delivery_channel", "delivery_config"}
_ALERT = {"alert", "alert_config"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A task that was added or changed.

    Attributes:
        task: as it is stored now.
        before: as it was; None if it is new.
        approval: whether its command may run.
        warnings: what may surprise a person, each in a sentence.
    """

    task: ScheduledTask
    before: ScheduledTask | None
    approval: Approval
    warnings: list[str]

    @property
    def changed(self) -> bool:
        """Whether anything is other than before."""
        return self.before != self.task


def add(session: Session, name: str, request: TaskRequest, *, by_person: bool, dry_run: bool = False) -> Saved:
    """Add a task.

    Args:
        by_person: whether a person asks who is there; that approves the command (law 9).
        dry_run: only say what would be.

    Raises DuplicateTaskError, RequestError, ScheduleError, TaskError, DeliveryError,
    HandlerError; NotApprovedError if a person asks for a command that cannot be approved.
    """
    name = checked_name(name)
    refuse_taken(session, name)
    task = placed(session, _new_task(session, name, request))
    check_handler(task, session)
    check_delivery(task, session)
    check_alerts(task, session)
    approval = approve_command(session, task, by_person=by_person and not dry_run)
    if dry_run:
        return Saved(task=task, before=None, approval=approval, warnings=_warnings(session, task))

    with session.store.transaction():
        refuse_taken(session, name)
        task = session.store.store_scheduled_task(task)
    session.changed()
    return Saved(task=task, before=None, approval=approval, warnings=_warnings(session, task))


def change(session: Session, name: str, request: TaskRequest, *, by_person: bool, dry_run: bool = False) -> Saved:
    """Change a task; what the request does not name stays as it is.

    A new schedule counts from now on, and a task that was set aside comes back. Arguments
    and errors are those of `add`; UnknownTaskError.
    """
    if request.is_empty():
        raise RequestError("nothing to change", fix="name what is to change")
    before = session.task(name)
    columns = changed_columns(request, before, session)
    check_place(session, replace(before, **columns))
    seen = by_person and not dry_run and _is_seen(session, request, before)
    if request.policy.keys() & _ALERT:
        check_alerts(replace(before, **columns), session)
    approval = _check_changed(session, replace(before, **columns), columns, by_person=seen)
    columns |= _schedule_again(session, before, columns) | _new_name(session, before, request.name)
    if not columns:
        return Saved(task=before, before=before, approval=approval, warnings=[])

    after = replace(before, **columns)
    if not dry_run:
        after = _update(session, before, **columns, ends=ended_by_change(before, after, session.zone()))
    return Saved(task=after, before=before, approval=approval, warnings=_warnings(session, after))


def pause(session: Session, name: str) -> ScheduledTask:
    """Stop scheduling a task, until it is resumed. Raises UnknownTaskError.

    A trouble of its runs ends as well: no next run could end it.
    """
    return _update(session, session.task(name), enabled=False, ends=(TroubleKind.SET_ASIDE, *TROUBLES_OF_RUNS))


def hold(session: Session, names: Iterable[str]) -> None:
    """Have tasks wait until they are resumed. Their rows stay as they are.

    Raises UnknownTaskError.
    """
    with session.store.transaction():
        for task in map(session.task, names):
            session.store.troubles.begin_trouble(require_id(task), TroubleKind.HELD, HELD_REASON, session.now())
            session.store.queue.dequeue(require_id(task))
    session.changed()


def resume(session: Session, name: str, *, skipped: str | None = None) -> ScheduledTask:
    """Schedule a task again that was paused or held.

    Slots that passed meanwhile are gone; a single time that passed runs late.

    Args:
        name: the task.
        skipped: why a person skips the slot that waited while the task was held. By default that
            slot counts as missed, because the task was held.

    Raises UnknownTaskError; TaskError if it is not paused or has run; ScheduleError if its
    schedule cannot be understood.
    """
    task = session.task(name)
    held = session.store.troubles.is_in_trouble(require_id(task), TroubleKind.HELD)
    if task.enabled and not held:
        fix = with_name("`jarvis-trio show {}` tells more", task.name)
        raise TaskError(f"task {task.name!r} is not paused", fix=fix)
    with session.store.transaction():
        session.store.troubles.end_troubles(require_id(task), [TroubleKind.SET_ASIDE])
        if held:
            _let_go(session, task, skipped)
        slot = local_text(_next_slot(session, task), session.zone())
        return _update(session, task, enabled=True, next_run_at=slot)


def remove(session: Session, name: str) -> bool:
    """Remove a task; returns whether it leaves a history. Raises UnknownTaskError."""
    task = session.task(name)
    session.store.delete_scheduled_task(require_id(task))
    session.changed()
    return bool(session.store.runs.list_runs(task=task.name, limit=1))


def remind(session: Session, text: str, request: TaskRequest) -> Saved:
    """Add a task that tells a person `text`.

    It uses the request's channel, or else the channel of alerts, or else a notification.

    The request has the schedule and may have a name. Raises as `add` does.
    """
    settings, name = session.settings, request.name or _name_for(session, text)
    channel, config = request.deliver, request.deliver_config
    if channel == NONE:
        raise RequestError("a reminder that goes nowhere reminds nobody", fix="name a channel with `deliver`")
    if channel is None and settings.alert_channel:
        channel, config = settings.alert_channel, json_object(settings.alert_config, "JARVIS_ALERT_CONFIG")
    if channel is None:
        channel, config = "notification", {"title_template": "Reminder"}
    wanted = request._replace(
        name=None, handler=REMINDER, config={"text": text}, deliver=channel, deliver_config=config
    )
    return add(session, name, wanted, by_person=False)


def refuse_taken(session: Session, name: str) -> None:
    """Raises DuplicateTaskError if a task has that name."""
    if session.find_task(name) is not None:
        fix = "choose another name, or `jarvis-trio edit` that one"
        raise DuplicateTaskError(f"a task named {name!r} exists", fix=fix)


def _name_for(session: Session, text: str) -> str:
    """A name that says what it is about, and that no task has."""
    stem = shortened(" ".join(printable(text).split()), _REMINDER_NAME_CHARACTERS)
    names = (stem if number == 1 else f"{stem} {number}" for number in itertools.count(1))
    return next(name for name in names if session.find_task(name) is None)


def _new_task(session: Session, name: str, request: TaskRequest) -> ScheduledTask:
    blank = ScheduledTask(name=name, schedule_type="", schedule_config="", handler_type="")
    task = replace(blank, **changed_columns(request, blank, session))
    if not task.schedule_type:
        raise RequestError("say when it is to run", fix="give `every`, `cron` or `at`")
    if not task.handler_type:
        raise RequestError("say what is to run", fix="give `command`, or `handler`")
    slot = first_slot(task, session.now(), session.zone())
    return replace(task, next_run_at=local_text(slot, session.zone()))


def _check_changed(session: Session, after: ScheduledTask, columns: dict[str, Any], *, by_person: bool) -> Approval:
    """Check only what changes: a task of other programs may hold what is not installed here."""
    if columns.keys() & _DELIVERY:
        check_delivery(after, session)
    if columns.keys() & _HANDLER:
        check_handler(after, session)
        return approve_command(session, after, by_person=by_person)
    return Approval()


def _is_seen(session: Session, request: TaskRequest, before: ScheduledTask) -> bool:
    """Whether a person has seen all of the command that a change makes.

    What a change keeps may have been written by another program. It was seen if it is approved,
    and so nobody approves a planted variable by giving the task another command.
    """
    if not before.runs_command or request.config is not None:
        return True
    from jarvis_trio.handlers.commands import command_of  # noqa: PLC0415  # as `Session.handlers`

    try:
        kept = command_of(before)
    except HandlerError:  # it makes no sense, so nothing of it is kept
        return True
    gives_words = bool(request.command) or request.shell is not None
    if gives_words and not kept.names and kept.folder is None:
        return True
    return is_approved(session, before)


def _schedule_again(session: Session, before: ScheduledTask, columns: dict[str, Any]) -> dict[str, Any]:
    """The next run, if the schedule is another one now or the task was set aside."""
    after, zone = replace(before, **columns), session.zone()
    set_aside = session.store.troubles.reason_set_aside(require_id(before)) is not None
    if not set_aside and (not columns.keys() & _SCHEDULE or same_schedule(before, after, zone)):
        return {}
    slot = local_text(first_slot(after, session.now(), zone), zone)
    return {"next_run_at": slot}


def _new_name(session: Session, before: ScheduledTask, name: str | None) -> dict[str, Any]:
    if name is None or checked_name(name) == before.name:
        return {}
    refuse_taken(session, name)
    return {"name": checked_name(name)}


def _update(
    session: Session,
    task: ScheduledTask,
    *,
    ends: Iterable[TroubleKind] = (TroubleKind.SET_ASIDE,),
    **columns: object,
) -> ScheduledTask:
    with session.store.transaction():
        updated = session.store.update_scheduled_task(require_id(task), **columns)
        if "name" in columns:
            session.store.runs.rename_runs(require_id(task), str(columns["name"]))
        session.store.troubles.end_troubles(require_id(task), ends)
    session.changed()
    return updated or replace(task, **columns)  # type: ignore[arg-type]  # a task that was just removed


def _let_go(session: Session, task: ScheduledTask, skipped: str | None) -> None:
    """End the hold.

    The slot that waited ends as skipped, for that reason, or else as missed. If it is the task's
    only slot, it runs late instead.
    """
    status, reason = (RunStatus.MISSED, HELD_REASON) if skipped is None else (RunStatus.SKIPPED, skipped)
    due = stored_next_run(task, session.zone())
    if due is not None and due <= session.now() and task_schedule(task, session.zone()).only is None:
        session.store.runs.record_unrun(task, due, status, reason, at=session.now())
    session.store.troubles.end_troubles(require_id(task), [TroubleKind.HELD])


def _next_slot(session: Session, task: ScheduledTask) -> datetime:
    """The slot with which a paused task goes on."""
    zone = session.zone()
    schedule = task_schedule(task, zone)
    if (only := schedule.only) is not None:
        if session.store.runs.slot_has_run(require_id(task), only):
            says = f"task {task.name!r} was to run once and has, at {local_text(only, zone)}"
            raise TaskError(says, fix=with_name("give it a new time: jarvis-trio edit {} --at TIME", task.name))
        return only
    return next_slots(session, replace(task, enabled=True), count=1)[0].at


def _warnings(session: Session, task: ScheduledTask) -> list[str]:
    runs = session.store.runs
    has_begun, is_over = partial(runs.has_slot_begun, task), partial(runs.is_slot_over, task)
    found = schedule_warnings(task, session.zone(), session.now(), has_begun, is_over)
    warnings = [warning.sentence for warning in found]
    policy = task_policy(task.policy)
    if policy.alert_after_seconds and policy.alert_channel is None and not session.settings.alert_channel:
        warnings.append(
            "nobody is told if it does not succeed in time: give an alert channel, or set JARVIS_ALERT_CHANNEL"
        )
    return warnings
