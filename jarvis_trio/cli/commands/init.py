"""`jarvis-trio init`."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import click

from jarvis_trio.cli.calling import typed_here
from jarvis_trio.cli.output import json_option, print_json, say
from jarvis_trio.desk.machines import placed
from jarvis_trio.desk.session import Session
from jarvis_trio.errors import JarvisError
from jarvis_trio.foreground.telling import note
from jarvis_trio.models import ScheduledTask, ScheduleType
from jarvis_trio.moving.survey import ADOPTED
from jarvis_trio.notation.instants import local_text, utc_text
from jarvis_trio.permission import permission_fix

_TASKS = (
    ("alert_eval", {"hours": 2}, "Tells you when one of your alert rules matches; without rules it does nothing."),
    ("webhook_poll", {"minutes": 5}, "Stores the JSON files that other programs drop into the inbox folder."),
)


@click.command()
@json_option
@click.pass_obj
def init(session: Session, as_json: bool) -> None:
    """Make the database in its folder, with the two usual tasks.

    What is there already stays as it is, so you can repeat it, and run it on an
    existing assistant's database. The tasks are for alert rules and for files
    of other programs; if you need neither, remove them.

    \b
    Example:
      jarvis-trio init
      JARVIS_DATA_DIR=~/jarvis jarvis-trio init
    """
    settings = session.settings
    for folder in dict.fromkeys((settings.data_dir, settings.memory_db_path.parent, settings.webhook_inbox_dir)):
        _make_folder(folder, silent=as_json)

    is_new = bool(settings.database_url) or not os.path.lexists(settings.memory_db_path)
    if is_new:
        with session.make_store() as store:
            store.notes.remember(ADOPTED, utc_text(session.now()))  # no assistant's: nothing in it can be a surprise
    added, present = _add_usual_tasks(session)
    session.changed()

    if as_json:
        names = [task.name for task in added]
        print_json({"database": session.store.location, "made": is_new, "added": names, "present": present})
        return
    say(f"{'Made' if is_new else 'There is already'} {session.store.location}")
    for task in added:
        say(f"Added the task {task.name}: {task.description}")
    for name in present:
        say(f"There is already the task {name}")
    if is_new:
        _say_what_to_try()


def _add_usual_tasks(session: Session) -> tuple[list[ScheduledTask], list[str]]:
    """Add the usual tasks that are missing.

    Returns them, and the names of the tasks that already do the work of the rest.
    """
    there = session.store.list_scheduled_tasks()
    added, present = [], []
    for task in _usual_tasks(session):
        same = [other.name for other in there if task.name == other.name or task.handler_type == other.handler_type]
        if same:
            present.append(same[0])
        else:
            added.append(session.store.store_scheduled_task(placed(session, task)))
    return added, present


def _say_what_to_try() -> None:
    program = typed_here()
    say(f"Run the daemon: {program} run (for good: {program} service install)")
    say(f"Then try, in another terminal: {program} add hello --every 10s -- echo hello")
    say(f"and see what it did: {program} history hello")


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


def _make_folder(folder: Path, *, silent: bool) -> None:
    try:
        if folder.is_dir():
            if stat.S_IMODE(folder.stat().st_mode) & 0o077:
                note(f"others may look into {folder}; to keep them out: chmod 700 {folder}")
            return
        folder.mkdir(mode=0o700, parents=True)
    except OSError as error:
        says = f"cannot make the folder {folder}: {error.strerror}"
        raise JarvisError(says, fix=permission_fix(folder, error, "choose another with JARVIS_DATA_DIR")) from None
    if not silent:
        say(f"Made {folder}")
