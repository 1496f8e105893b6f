"""What the commands of one invocation share: settings, clock, store, and the daemon to wake.

Each part is made when it is first asked for, so that `completion` needs no database and
`run` can name another application's `config` first.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta, tzinfo
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from jarvis_trio.clock import Clock, SystemClock
from jarvis_trio.errors import JarvisError, ScheduleError, StoreMissingError, UnknownTaskError
from jarvis_trio.models import ScheduledTask, task_policy
from jarvis_trio.process.lock import wake
from jarvis_trio.settings import Settings, settings_of
from jarvis_trio.store import MemoryStore
from jarvis_trio.text import nearest, printable

_LOOKING_TIMEOUT = timedelta(seconds=5)
"""How long to wait for a program that locks out even readers: long for a transaction, short for a person."""


class Session:
    """One invocation of the command line; a context manager that closes what it opened.

    Args:
        environment: the environment variables.
        clock: what the time is; by default the machine's.

    Attributes:
        only_looks: whether `store` is to be read only, and left as it is in everything.
    """

    only_looks = False

    def __init__(self, environment: Mapping[str, str], clock: Clock | None = None) -> None:
        self.environment = environment
        self.clock: Clock = clock or SystemClock()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        if "store" in vars(self):
            self.store.close()

    def use_application(self, folder: Path) -> None:
        """Take the settings of the application in `folder`: its modules come before all others."""
        sys.path.insert(0, str(folder.absolute()))
        sys.modules.pop("config", None)

    @cached_property
    def settings(self) -> Settings:
        """The settings that `config` holds. Raises JarvisError."""
        return settings_of(_import_config(), self.environment)

    @cached_property
    def store(self) -> MemoryStore:
        """The database. Raises StoreMissingError where there is none: only `init` makes one; StoreError."""
        if self.only_looks:
            return self.look()
        require_database(self.settings)
        return MemoryStore(self.settings.memory_db_path, clock=self.clock)

    def look(self) -> MemoryStore:
        """The database as it is, to be read without any change to it. Raises as `store` does."""
        return MemoryStore(
            self.settings.memory_db_path, clock=self.clock, busy_timeout=_LOOKING_TIMEOUT, read_only=True
        )

    def now(self) -> datetime:
        """The present instant, aware and in UTC."""
        return self.clock.now()

    def zone(self) -> tzinfo:
        """The machine's zone."""
        return self.clock.zone()

    def task(self, name: str) -> ScheduledTask:
        """The task with that name. Raises UnknownTaskError, with the nearest name."""
        found = self.store.get_scheduled_task_by_name(name)
        if found is None:
            hint = nearest(name, [task.name for task in self.store.list_scheduled_tasks()])
            raise UnknownTaskError(f"no task is named {name!r}; {hint}`jarvis-trio list` shows the names")
        return found

    def changed(self) -> None:
        """Let a running daemon see a change at once."""
        wake(self.settings.lock_file)

    def longest_timeout_seconds(self) -> float:
        """The longest time limit that a task has of its own; 0 where none has or there is no database.

        The database is only looked at: who asks has not decided to let us change it.
        """
        longest = 0.0
        with suppress(StoreMissingError), self.look() as store:
            for task in store.list_scheduled_tasks():
                with suppress(ScheduleError):
                    longest = max(longest, task_policy(task.policy).timeout_seconds or 0.0)
        return longest


def require_database(settings: Settings, mend: str = "make it with: jarvis-trio init") -> None:
    """Raises StoreMissingError where there is no database."""
    if not os.path.lexists(settings.memory_db_path):
        raise StoreMissingError(f"Memory DB not found at {settings.memory_db_path}; {mend}")


def _import_config() -> ModuleType:
    """The module `config`, which need not be ours. Raises JarvisError, whatever its code raises."""
    try:
        return importlib.import_module("config")
    except JarvisError:
        raise
    except (Exception, SystemExit) as error:  # another program's code, which may do anything
        raise JarvisError(f"cannot import the module config: {type(error).__name__}: {error}") from error


def pass_looking_session(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the session as `click.pass_obj` does, for one that shows the database and changes nothing."""

    @click.pass_obj
    @functools.wraps(command)
    def looking(session: Session, /, *arguments: Any, **options: Any) -> None:
        session.only_looks = True
        command(session, *arguments, **options)

    return looking


def completing(names: Callable[[Session], Iterable[str]]) -> Callable[..., list[str]]:
    """What completes a parameter in a shell: those of the names that begin as what was typed."""

    def complete(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
        with Session(os.environ) as session, suppress(JarvisError):
            session.only_looks = True
            return [name for name in names(session) if name.startswith(incomplete) and printable(name) == name]
        return []

    return complete


complete_task = completing(lambda session: [task.name for task in session.store.list_scheduled_tasks()])
name_argument = click.argument("name", shell_complete=complete_task)
"""The task that a command is about."""
