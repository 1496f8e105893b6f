"""`jarvis-trio pause`, `resume` and `remove`."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import datetime

import click

from jarvis_trio.cli.describe import next_slots, outlook_lines, schedule_words
from jarvis_trio.cli.output import say
from jarvis_trio.cli.session import Session, name_argument
from jarvis_trio.errors import ScheduleError, TaskError
from jarvis_trio.instants import local_text
from jarvis_trio.models import ScheduledTask, TroubleKind, require_id
from jarvis_trio.schedules.schedule import task_schedule


@click.command()
@name_argument
@click.pass_obj
def pause(session: Session, name: str) -> None:
    """Stop scheduling a task, until it is resumed.

    A run of it that is under way goes on to its end.

    \b
    Example:
      jarvis-trio pause backup
    """
    task = session.task(name)
    _set(session, task, enabled=False)
    say(f"Paused {name}. To schedule it again: jarvis-trio resume {name}")


@click.command()
@name_argument
@click.pass_obj
def resume(session: Session, name: str) -> None:
    """Schedule a paused task again.

    The slots that passed meanwhile are gone; an interval goes on in its old
    rhythm. A task that runs once keeps its time, and runs late where that is past.

    \b
    Example:
      jarvis-trio resume backup
    """
    task = session.task(name)
    if task.enabled:
        raise TaskError(f"task {name!r} is not paused; `jarvis-trio show` tells more")
    _set(session, task, enabled=True, next_run_at=local_text(_slot(session, task), session.zone()))
    say(f"Resumed {name}.")
    for line in outlook_lines(session.store, session.task(name), session.now()):
        say(line)


@click.command()
@name_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def remove(session: Session, name: str, yes: bool) -> None:
    """Remove a task; its history stays.

    \b
    Example:
      jarvis-trio remove backup
      jarvis-trio remove backup --yes
    """
    task = session.task(name)
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("nobody is there to be asked; give --yes to remove it")
        say(f"{name}: {schedule_words(task, session.zone())}")
        if not click.confirm("Remove it?"):
            raise TaskError("nothing was removed")
    session.store.delete_scheduled_task(require_id(task))
    session.changed()
    has_run = session.store.list_runs(task=name, limit=1)
    say(f"Removed {name}. " + (f"Its history stays: jarvis-trio history {name}" if has_run else "It has no history."))


def _set(session: Session, task: ScheduledTask, **columns: object) -> None:
    with session.store.transaction():
        session.store.update_scheduled_task(require_id(task), **columns)
        session.store.end_troubles(require_id(task), [TroubleKind.SET_ASIDE])
    session.changed()


def _slot(session: Session, task: ScheduledTask) -> datetime:
    """The slot with which a paused task goes on."""
    zone = session.zone()
    schedule = task_schedule(task, zone)
    if (only := schedule.only) is not None:
        if session.store.slot_has_run(require_id(task), only):
            at = local_text(only, zone)
            raise TaskError(f"task {task.name!r} was to run once and has, at {at}; to give it a new time: `edit --at`")
        return only
    slots = next_slots(session.store, replace(task, enabled=True), session.now(), count=1)
    if not slots:
        raise ScheduleError(f"task {task.name!r} has no time to come; give it another schedule with `edit`")
    return slots[0].at
