"""The daemon in the foreground: what `run` does, once it is known what is to be run."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from jarvis_trio import __version__
from jarvis_trio.daemon import JarvisDaemon
from jarvis_trio.desk.session import require_database
from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.engine.under_way import UnderWay
from jarvis_trio.errors import JarvisError
from jarvis_trio.foreground.application import Application, WrappedEngine
from jarvis_trio.foreground.session import CommandSession
from jarvis_trio.foreground.telling import FAILED, NOTES
from jarvis_trio.handlers.application.source import ENVIRONMENT_FILE
from jarvis_trio.models import ScheduledTask
from jarvis_trio.notation.instants import duration_text
from jarvis_trio.notation.text import counted
from jarvis_trio.process import logs
from jarvis_trio.process.descriptors import Tripwire, ensure_descriptors
from jarvis_trio.process.lock import DaemonLock
from jarvis_trio.process.signals import HeldSignals
from jarvis_trio.settings import Settings

_logger = logging.getLogger(__name__)

_DONE = 0


def run_daemon(session: CommandSession, application: Application | None = None, *, json_lines: bool = False) -> int:
    """Run the daemon until it is stopped.

    Args:
        session: the settings, the clock, and what is made of them.
        application: an existing application's engine or handlers, by default neither.
        json_lines: whether each line of the log is JSON.

    Returns the exit code: 1 if the daemon could not start, or has lost its lock. Raises
    JarvisError if there is no log yet that could say why.
    """
    ensure_descriptors()
    settings = _settings(session, application)
    opened = logs.logging_to(settings.log_file, zone=session.clock.zone, stderr=sys.stderr, json_lines=json_lines)
    with HeldSignals() as signals, opened as log, DaemonLock(settings.lock_file, session.clock.now()) as lock:
        logging.getLogger().removeHandler(NOTES)
        try:
            memory_store, built = _parts(session, application)
        except JarvisError as error:
            _logger.critical("%s", error)
            return FAILED
        daemon = JarvisDaemon(
            memory_store,
            settings.tick_interval_seconds,
            engine=built,
            clock=session.clock,
            max_concurrent_ticks=settings.max_concurrent_tasks,
            on_tick=lambda instant: _tell(daemon, lock, log, instant),
        )
        signals.hand_over(daemon.shutdown)
        with _ending_if_cut(built, log):
            daemon.run_until_stopped()
    return _DONE if lock.was_kept else FAILED


@contextmanager
def _ending_if_cut(engine: Any, log: logs.Log) -> Iterator[None]:
    """Within the block the process ends at once if code of a task has closed its descriptors.

    Without that it stood still, and wrote into whatever file got the number of the database's. To
    go on was considered and rejected: nobody knows what else was closed, or opened in its place.
    What starts daemons starts it again, and its runs become `interrupted`.
    """
    tripwire = Tripwire()
    under_way = engine.under_way if isinstance(engine, SchedulerEngine) else UnderWay()

    def look() -> None:
        if not tripwire.is_cut():
            return
        try:
            by = _suspects(under_way.tasks())
            log.last_words(f"{by} has closed descriptors that are not its own; the daemon cannot go on, and ends")
        finally:
            os._exit(FAILED)

    under_way.on_return = look
    try:
        yield
    finally:
        look()
        tripwire.close()


def _suspects(tasks: Sequence[ScheduledTask]) -> str:
    """Whose handler it was: one of those under way, and which one cannot be known."""
    handlers = [f"{task.handler_type!r} of task {task.name!r}" for task in tasks]
    if len(handlers) > 1:
        return f"One of the handlers {', '.join(handlers)}"
    return f"The handler {handlers[0]}" if handlers else "Code in this process"


def _tell(daemon: JarvisDaemon, lock: DaemonLock, log: logs.Log, instant: datetime) -> None:
    """After each tick: tell others of it, and end if another daemon has this folder now."""
    log.keep()
    lock.pulse(instant)
    if not lock.still_holds():
        _logger.critical("Another daemon has the lock of this data folder, which was removed: stopping")
        daemon.shutdown("the loss of its lock")


def _settings(session: CommandSession, application: Application | None) -> Settings:
    """The settings that count, after a look at what they need. Raises JarvisError."""
    if isinstance(application, WrappedEngine):
        if application.folder is not None:
            session.use_application(application.folder)
        require_database(session.settings, "let the application make it, or give the right MEMORY_DB_PATH")
        application.enter(session.settings.data_dir / ENVIRONMENT_FILE)
        return session.settings
    require_database(session.settings)
    session.source = application
    if session.application is not None:
        session.application.require_usable()
    return session.settings


def _parts(session: CommandSession, application: Application | None) -> tuple[Any, Any]:
    """The store and the engine, ours or another application's. Raises JarvisError."""
    settings = session.settings
    head = f"Started: version {__version__}, PID {os.getpid()}, database"
    every = f"ticking at least every {duration_text(timedelta(seconds=settings.tick_interval_seconds))}"
    if not isinstance(application, WrappedEngine):
        ours = session.engine
        beside = "" if application is None else f", handlers of {application.folder}"
        _logger.info(
            "%s %s, %s, %s%s",
            head,
            session.store.location,
            every,
            counted(session.store.tasks.count_scheduled_tasks(), "task"),
            beside,
        )
        return session.store, ours
    store, engine = application.build(settings.memory_db_path)
    _logger.info("%s %s, %s, engine %s", head, settings.memory_db_path, every, application.engine)
    return store, engine
