"""What the acts of one person share: settings, clock, database, channels, handlers, approvals.

Each part is made when it is first asked for, and once: `completion` needs no database,
and `list` no handlers.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta, tzinfo
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from jarvis_trio.clock import Clock, ForeignZoneClock, SystemClock, same_rules
from jarvis_trio.desk.names import composed
from jarvis_trio.errors import JarvisError, ScheduleError, StoreError, StoreMissingError, UnknownTaskError
from jarvis_trio.models import Handler, ScheduledTask
from jarvis_trio.notation.text import nearest
from jarvis_trio.policy import task_policy
from jarvis_trio.process.lock import Holder, holder, wake
from jarvis_trio.process.machine import machine_name
from jarvis_trio.settings import Settings
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.files import MAKE_IT, require_file
from jarvis_trio.store.opening import open_store
from jarvis_trio.store.places import Here

if TYPE_CHECKING:
    from jarvis_trio.delivery import Channels
    from jarvis_trio.engine import SchedulerEngine
    from jarvis_trio.engine.peers import Peers
    from jarvis_trio.handlers.application.handlers import ApplicationHandler
    from jarvis_trio.handlers.application.source import HandlerSource
    from jarvis_trio.handlers.approvals import Approvals
    from jarvis_trio.handlers.outputs import Outputs

LOOKING_TIMEOUT = timedelta(seconds=5)
"""How long to wait for a program that locks out readers.

It is long for a transaction, and short for a person.
"""


class Session:
    """What one invocation of a face needs; a context manager that closes what it opened.

    Args:
        settings: makes the settings; called once, when they are first needed.
        environment: the environment variables: PATH and secrets.
        clock: what the time is; by default the machine's.
        only_looks: whether `store` is opened to be read only.
        asked_by: who asks, in words for the history; by default the name of the user.
        looking_timeout: by default `LOOKING_TIMEOUT`.

    Attributes:
        only_looks: as above; it may be set until `store` is first used.
        source: an application whose handlers run beside ours; it may be set until `handlers`
            or `engine` is first used.
    """

    source: HandlerSource | None = None

    def __init__(
        self,
        settings: Callable[[], Settings],
        environment: Mapping[str, str],
        clock: Clock | None = None,
        *,
        only_looks: bool = False,
        asked_by: str | None = None,
        looking_timeout: timedelta | None = None,
    ) -> None:
        self._make_settings = settings
        self.environment = environment
        self._given_clock = clock
        self.machine_clock: Clock = clock or SystemClock()
        self.only_looks = only_looks
        self.asked_by = asked_by or _user(environment)
        self._looking_timeout = looking_timeout or LOOKING_TIMEOUT
        self._refused: StoreError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if "store" in vars(self):
            self.store.close()

    @cached_property
    def settings(self) -> Settings:
        """The settings. Raises JarvisError."""
        return self._make_settings()

    @cached_property
    def clock(self) -> Clock:
        """The time of a shared database, or else of this machine in the daemon's zone."""
        with suppress(JarvisError):  # the caller meets it again as soon as the settings or the database are used
            if self._given_clock is None and self.settings.database_url:
                return self.store.clock
        return ForeignZoneClock(self.machine_clock, self.daemons_zone)

    @cached_property
    def store(self) -> MemoryStore:
        """The database.

        Raises StoreMissingError if there is none, since only `init` makes one, and StoreError.
        """
        if self.only_looks:
            return self.look()
        require_database(self.settings)
        return self._open(create=False)

    def look(self) -> MemoryStore:
        """Another connection to the database, which changes nothing. Raises as `store` does."""
        return self._open(busy_timeout=self._looking_timeout, read_only=True)

    def make_store(self) -> MemoryStore:
        """The database, made if it is missing. Raises StoreError."""
        return self._open()

    def _open(self, **options: Any) -> MemoryStore:
        if self.settings.database_url:
            return self._connect(**options)
        return open_store(self.settings.memory_db_path, clock=self.clock, **options)

    def _connect(self, **options: Any) -> MemoryStore:
        """The database on a server. If it cannot be used, this is found once.

        Another try can take 10 s.
        """
        if self._refused is not None:
            raise self._refused
        settings = self.settings
        try:
            return open_store(
                settings.memory_db_path,
                settings.database_url,
                machine=here(settings),
                clock=self._given_clock,
                **options,
            )
        except StoreError as error:
            self._refused = error
            raise

    # Import what is below on use: it costs 20 to 40 ms, which `list` need not pay.

    @cached_property
    def channels(self) -> Channels:
        """The delivery channels, with the secrets of the environment and of the data folder."""
        from jarvis_trio.handlers.making import make_channels  # noqa: PLC0415  # as above

        return make_channels(self.settings, self.environment)

    @cached_property
    def handlers(self) -> Mapping[str, Handler]:
        """The handlers by type: the program's own, the installed ones, and the application's."""
        from jarvis_trio.handlers.making import make_handlers  # noqa: PLC0415  # as above

        ours = make_handlers(self.settings, self.channels, self.environment)
        return ours if self.application is None else self.application.beside(ours)

    @cached_property
    def application(self) -> ApplicationHandler | None:
        """The handler that hands tasks to the application `source`; None without one."""
        from jarvis_trio.handlers.making import make_application_handler  # noqa: PLC0415  # as above

        return None if self.source is None else make_application_handler(self.settings, self.environment, self.source)

    @cached_property
    def approvals(self) -> Approvals:
        """What a person has approved to run."""
        from jarvis_trio.handlers.approvals import Approvals  # noqa: PLC0415  # as above

        return Approvals(self.settings.approvals_file)

    @cached_property
    def outputs(self) -> Outputs:
        """What the runs of commands wrote."""
        from jarvis_trio.handlers.outputs import Outputs  # noqa: PLC0415  # as above

        return Outputs(self.settings.outputs_dir)

    @cached_property
    def peers(self) -> Peers:
        """This process among all that share the database; others see that it lives."""
        from jarvis_trio.engine.peers import Peers  # noqa: PLC0415  # as above

        if self.settings.database_url:
            from jarvis_trio.engine.assembly import make_peers  # noqa: PLC0415  # as above

            return make_peers(self.settings, self.store)
        return Peers.beside(self.settings.memory_db_path)

    @cached_property
    def engine(self) -> SchedulerEngine:
        """The engine in this process. Raises SettingError, StoreError."""
        from jarvis_trio.engine.assembly import make_engine  # noqa: PLC0415  # as above

        return make_engine(self.settings, self.store, self.environment, self.source)

    @property
    def search_path(self) -> str:
        """The folders in which a program without a path is looked for."""
        return self.environment.get("PATH", os.defpath)

    def now(self) -> datetime:
        """The present instant, aware and in UTC."""
        return self.clock.now()

    def zone(self) -> tzinfo:
        """The machine's zone."""
        return self.clock.zone()

    def task(self, name: str) -> ScheduledTask:
        """The task with that name. Raises UnknownTaskError, with the nearest name."""
        found = self.find_task(name)
        if found is None:
            hint = nearest(name, [task.name for task in self.store.list_scheduled_tasks()])
            raise UnknownTaskError(f"no task is named {name!r}", fix=f"{hint}`jarvis-trio list` shows the names")
        return found

    def find_task(self, name: str) -> ScheduledTask | None:
        """The task with that name, or None. The Unicode form of its letters makes no difference."""
        found = self.store.get_scheduled_task_by_name(name)
        if found is not None or name.isascii():
            return found
        tasks = self.store.list_scheduled_tasks()
        return next((task for task in tasks if composed(task.name) == composed(name)), None)

    def daemon(self) -> Holder | None:
        """The daemon of this data folder; None if none runs. Raises JarvisError."""
        return holder(self.settings.lock_file)

    def daemons_zone(self) -> str | None:
        """The zone of a running daemon, by its name, if its rules are not those of this process's.

        While a daemon runs its zone counts: a command in a shell with another `TZ` would
        otherwise move the times of tasks that the daemon runs. None if there is nothing to heed.
        """
        try:
            found = self.daemon()
            if found is None or found.pid == os.getpid():
                return None
            with self.look() as store:
                name = store.notes.note("zone")
        except JarvisError:
            return None
        return None if name is None or same_rules(name, str(self.machine_clock.zone())) else name

    def changed(self) -> None:
        """Let a running daemon see a change at once."""
        wake(self.settings.lock_file)

    def longest_timeout_seconds(self) -> float:
        """The longest time limit that a task sets for itself; 0 if there is none, or no database.

        Read-only: this command has no permission to create tables.
        """
        longest = 0.0
        with suppress(StoreMissingError), self.look() as store:
            for task in store.list_scheduled_tasks():
                with suppress(ScheduleError):
                    longest = max(longest, task_policy(task.policy).timeout_seconds or 0.0)
        return longest


def _user(environment: Mapping[str, str]) -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's number without a name
        return environment.get("USER") or f"user {os.getuid()}"


def require_database(settings: Settings, fix: str = MAKE_IT) -> None:
    """Raises StoreMissingError if there is no database, and StoreError if nobody can tell."""
    if not settings.database_url:
        require_file(settings.memory_db_path, fix)


def here(settings: Settings) -> Here:
    """This machine among those that share a database, as its settings describe it."""
    return Here(machine_name(settings.machine), settings.label_names, settings.takes == "any")
