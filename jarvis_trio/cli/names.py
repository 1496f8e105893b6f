"""Names of tasks on the command line: the argument, its completion, and what may be a name."""

from __future__ import annotations

import difflib
import os
from contextlib import suppress

import click

from jarvis_trio.cli.session import Session
from jarvis_trio.errors import JarvisError, TaskError, UnknownTaskError
from jarvis_trio.models import ScheduledTask
from jarvis_trio.text import printable

_LONGEST = 100


def _begin_so(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    with Session(os.environ) as session, suppress(JarvisError):
        names = [task.name for task in session.store.list_scheduled_tasks()]
        return [name for name in names if name.startswith(incomplete) and printable(name) == name]
    return []


name_argument = click.argument("name", shell_complete=_begin_so)
"""The task that a command is about; a shell completes it."""


def find_task(session: Session, name: str) -> ScheduledTask:
    """The task with that name. Raises UnknownTaskError, with the nearest name."""
    found = session.store.get_scheduled_task_by_name(name)
    if found is None:
        hint = nearest(name, [task.name for task in session.store.list_scheduled_tasks()])
        raise UnknownTaskError(f"no task is named {name!r}; {hint}`jarvis-trio list` shows the names")
    return found


def nearest(name: str, names: list[str]) -> str:
    """`did you mean 'backup'? ` where one of the names is near; else nothing."""
    found = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {found[0]!r}? " if found else ""


def check_name(name: str) -> None:
    """Raises TaskError for a name that would be a nuisance on a terminal or in a log."""
    if not name.strip() or name != name.strip() or len(name) > _LONGEST or printable(name) != name:
        raise TaskError(
            f"not a name for a task: {name[:_LONGEST]!r}; use 1 to {_LONGEST} characters on one line, "
            "without control characters, and no space at either end"
        )
