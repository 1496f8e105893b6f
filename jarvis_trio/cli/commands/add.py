"""`jarvis-trio add`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from jarvis_trio.cli.definition import (
    Request,
    approve_command,
    changes,
    check_delivery,
    check_handler,
    definition_options,
    first_slot,
    note_warnings,
)
from jarvis_trio.cli.describe import next_slots, outlook_lines, schedule_words, task_json
from jarvis_trio.cli.names import check_name
from jarvis_trio.cli.output import json_option, print_json, say
from jarvis_trio.cli.session import Session
from jarvis_trio.errors import DuplicateTaskError
from jarvis_trio.instants import local_text
from jarvis_trio.models import ScheduledTask


@click.command()
@click.argument("name")
@definition_options
@json_option
@click.pass_obj
def add(session: Session, /, name: str, as_json: bool, **options: Any) -> None:
    """Add a task.

    It says how it understood the schedule, and the next three times. A person at
    a terminal thereby approves the program that the task is to run; elsewhere
    `allow` does. Weekdays of a cron expression are written as names, since
    programs differ on which one is 0.

    \b
    Example:
      jarvis-trio add backup --cron "30 2 * * *" --timeout 1h -- backup --all
      jarvis-trio add standup --cron "0 9 * * MON-FRI" --timezone Europe/Berlin -- say "Good morning"
      jarvis-trio add renew --at "tomorrow 9:00" --deliver notification -- ./renew.sh
      jarvis-trio add inbox --every 5m --handler webhook_poll
    """
    check_name(name)
    refuse_taken(session, name)
    task = _task(Request(**options), name, session)
    check_handler(task, session)
    check_delivery(task, session)
    approve_command(task, session)
    with session.store.transaction():
        refuse_taken(session, name)
        task = session.store.store_scheduled_task(task)
    session.changed()
    now, zone = session.now(), session.zone()
    note_warnings(task, session)
    if as_json:
        times = [local_text(slot.at, zone) for slot in next_slots(session.store, task, now)]
        print_json(task_json(task, last=None, set_aside=None) | {"next": times})
        return
    say(f"Added {name}: {schedule_words(task, zone)}")
    for line in outlook_lines(session.store, task, now):
        say(line)


def refuse_taken(session: Session, name: str) -> None:
    """Raises DuplicateTaskError where a task bears that name."""
    if session.store.get_scheduled_task_by_name(name) is not None:
        raise DuplicateTaskError(f"a task named {name!r} exists; choose another name, or `jarvis-trio edit` that one")


def _task(request: Request, name: str, session: Session) -> ScheduledTask:
    now, zone = session.now(), session.zone()
    blank = ScheduledTask(name=name, schedule_type="", schedule_config="", handler_type="")
    task = replace(blank, **changes(request, blank, now, zone))
    if not task.schedule_type:
        raise click.UsageError("say when it is to run: give --every, --cron or --at")
    if not task.handler_type:
        raise click.UsageError("say what is to run: give a command after --, or --handler TYPE")
    return replace(task, next_run_at=local_text(first_slot(task, now, zone), zone))
