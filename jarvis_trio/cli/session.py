"""How a command gets its desk session, and how a shell completes names from it."""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from jarvis_trio.clock import Clock
from jarvis_trio.desk.session import Session
from jarvis_trio.errors import JarvisError
from jarvis_trio.notation.text import printable
from jarvis_trio.settings import Settings, own_settings, settings_of


class CommandSession(Session):
    """The session of one command, with our own settings, or an application's if one was named.

    A module `config` that lies about in the current folder is another program's: it is neither
    run nor read.
    """

    def __init__(self, environment: Mapping[str, str], clock: Clock | None = None) -> None:
        super().__init__(self._read_settings, environment, clock)
        self._application: Path | None = None

    def daemons_zone(self) -> str | None:
        """As in the desk; a person is told."""
        name = super().daemons_zone()
        if name is not None:
            from jarvis_trio.cli.output import note  # noqa: PLC0415  # 15 ms, which completion need not pay

            here = self.machine_clock.zone()
            note(f"the daemon's time zone is {name}, and here it is {here}; times are those of {name}")
        return name

    def use_application(self, folder: Path) -> None:
        """Take the settings of the application in `folder`: its modules come before all others."""
        sys.path.insert(0, str(folder.absolute()))
        sys.modules.pop("config", None)
        self._application = folder

    def _read_settings(self) -> Settings:
        if self._application is None or not _has_config(self._application):
            return own_settings(self.environment)
        return settings_of(_import_config(), self.environment)


def _has_config(folder: Path) -> bool:
    return (folder / "config.py").is_file() or (folder / "config").is_dir()


def _import_config() -> ModuleType:
    """The application's module `config`. Raises JarvisError, whatever its code raises."""
    try:
        return importlib.import_module("config")
    except JarvisError:
        raise
    except (Exception, SystemExit) as error:  # another program's code, which may do anything
        raise JarvisError(f"cannot import the module config: {type(error).__name__}: {error}") from error


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
