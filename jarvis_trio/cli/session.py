"""How a command gets what it works on, and how a shell completes names from it."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import click

from jarvis_trio.desk.session import Session
from jarvis_trio.errors import JarvisError
from jarvis_trio.foreground.session import CommandSession
from jarvis_trio.notation.text import printable


def pass_looking_session(command: Callable[..., None]) -> Callable[..., None]:
    """Pass the session as `click.pass_obj` does, to a command that only reads the database."""

    @click.pass_obj
    @functools.wraps(command)
    def looking(session: Session, /, *arguments: Any, **options: Any) -> None:
        session.only_looks = True
        command(session, *arguments, **options)

    return looking


def completing(names: Callable[[Session], Iterable[str]]) -> Callable[..., list[str]]:
    """What completes a parameter in a shell: the names that begin like what was typed.

    What would act on a terminal, or look like an option, is not offered.
    """

    def complete(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
        with CommandSession(os.environ) as session, suppress(JarvisError):
            session.only_looks = True
            found = [name for name in names(session) if name.startswith(incomplete)]
            return [name for name in found if printable(name) == name and not name.startswith("-")]
        return []

    return complete


complete_task = completing(lambda session: [task.name for task in session.store.list_scheduled_tasks()])
name_argument = click.argument("name", shell_complete=complete_task)
"""The task that a command is about."""


def names_argument(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command names of tasks, or `--all`; it gets the tasks as `tasks`, without doubles."""

    @functools.wraps(command)
    def with_tasks(*arguments: Any, names: tuple[str, ...], every: bool, **options: Any) -> None:
        session: Session = click.get_current_context().obj
        if bool(names) == every:
            raise click.UsageError("give the names of tasks, or --all")
        tasks = session.store.list_scheduled_tasks() if every else [session.task(name) for name in names]
        unique = list({task.id: task for task in tasks}.values())
        command(*arguments, tasks=unique, **options)

    option = click.option("--all", "every", is_flag=True, help="All tasks.")
    argument = click.argument("names", nargs=-1, metavar="NAME...", shell_complete=complete_task)
    return argument(option(with_tasks))
