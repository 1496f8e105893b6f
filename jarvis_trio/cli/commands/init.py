"""`jarvis-trio init`."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import click

from jarvis_trio.cli.output import note, say
from jarvis_trio.desk.session import Session
from jarvis_trio.errors import JarvisError
from jarvis_trio.instants import local_text
from jarvis_trio.models import ScheduledTask, ScheduleType
from jarvis_trio.store import MemoryStore

_TASKS = (
    ("alert_eval", {"hours": 2}, "Evaluates the alert rules."),
    ("webhook_poll", {"minutes": 5}, "Takes in the files of the webhook inbox."),
)


@click.command()
@click.pass_obj
def init(session: Session) -> None:
    """Make the database in its folder, with the two usual tasks.

    What is there already stays as it is, so it can be repeated, and run on an
    existing assistant's database.

    \b
    Example:
      jarvis-trio init
      JARVIS_DATA_DIR=~/jarvis jarvis-trio init
    """
    settings = session.settings
    for folder in (settings.data_dir, settings.memory_db_path.parent, settings.webhook_inbox_dir):
        _make_folder(folder)
    is_new = not os.path.lexists(settings.memory_db_path)
    if is_new:
        MemoryStore(settings.memory_db_path, clock=session.clock).close()
    say(f"{'Made' if is_new else 'There is already'} {settings.memory_db_path}")
    present = session.store.list_scheduled_tasks()
    for task in _usual_tasks(session):
        same = [other.name for other in present if task.name == other.name or task.handler_type == other.handler_type]
        if same:
            say(f"There is already the task {same[0]}")
        else:
            session.store.store_scheduled_task(task)
            say(f"Added the task {task.name}: {task.description}")
    session.changed()


def _usual_tasks(session: Session) -> list[ScheduledTask]:
    # Their first slot is now, so that a newcomer sees the first tick do something.
    now = local_text(session.now().replace(microsecond=0), session.zone())
    return [
        ScheduledTask(
            name=kind,
            schedule_type=ScheduleType.INTERVAL,
            schedule_config=json.dumps(interval),
            handler_type=kind,
            description=description,
            next_run_at=now,
        )
        for kind, interval, description in _TASKS
    ]


def _make_folder(folder: Path) -> None:
    try:
        if folder.is_dir():
            if stat.S_IMODE(folder.stat().st_mode) & 0o077:
                note(f"others may look into {folder}; to keep them out: chmod 700 {folder}")
            return
        folder.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise JarvisError(
            f"cannot make the folder {folder}: {error.strerror}; choose another with JARVIS_DATA_DIR"
        ) from None
    say(f"Made {folder}")
