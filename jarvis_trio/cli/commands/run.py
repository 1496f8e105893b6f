"""`jarvis-trio run`: the daemon in the foreground."""

from __future__ import annotations

import logging
import os
import sys
from datetime import datetime, timedelta
from typing import Any

import click

from jarvis_trio import __version__
from jarvis_trio.cli import NOTES
from jarvis_trio.cli.application import Application, WrappedEngine, application_options
from jarvis_trio.cli.session import CommandSession
from jarvis_trio.daemon import JarvisDaemon
from jarvis_trio.desk.session import require_database
from jarvis_trio.errors import JarvisError
from jarvis_trio.handlers.application.source import ENVIRONMENT_FILE, HandlerSource
from jarvis_trio.notation.instants import duration_text
from jarvis_trio.process import logs
from jarvis_trio.process.descriptors import ensure_descriptors
from jarvis_trio.process.lock import DaemonLock
from jarvis_trio.process.signals import HeldSignals
from jarvis_trio.settings import Settings

_logger = logging.getLogger(__name__)


@click.command()
@application_options
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", help="How a line of the log looks.")
@click.pass_obj
def run(session: CommandSession, /, application: Application | None, log_format: str) -> None:
    """Run the daemon in the foreground, until it is stopped.

    SIGTERM or Ctrl-C stop it when what runs has finished; SIGHUP wakes it. With
    --app-dir and --handlers it also runs an existing application's handlers, each
    in a process of its own. With --app-dir, --engine and --store it ticks that
    application's engine instead.

    \b
    Example:
      jarvis-trio run
      jarvis-trio run --app-dir ~/assistant --handlers scheduler.handlers:execute_handler
      jarvis-trio run --app-dir ~/app --engine app.engine:Engine --store app.store:Store
    """
    ensure_descriptors()
    settings = _settings(session, application)
    as_json = log_format == "json"
    opened = logs.logging_to(settings.log_file, zone=session.clock.zone, stderr=sys.stderr, json_lines=as_json)
    with HeldSignals() as signals, opened as log, DaemonLock(settings.lock_file, session.clock.now()) as lock:
        logging.getLogger().removeHandler(NOTES)
        try:
            memory_store, built = _parts(session, application)
        except JarvisError as error:
            _logger.critical("%s", error)
            raise click.exceptions.Exit(1) from None
        daemon = JarvisDaemon(
            memory_store,
            settings.tick_interval_seconds,
            engine=built,
            clock=session.clock,
            max_concurrent_ticks=settings.max_concurrent_tasks,
            on_tick=lambda instant: _tell(daemon, lock, log, instant),
        )
        signals.hand_over(daemon.shutdown)
        daemon.run_until_stopped()
    if not lock.was_kept:
        raise click.exceptions.Exit(1)


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
    if application is None or isinstance(application, HandlerSource):
        ours = session.engine
        beside = "" if application is None else f", handlers of {application.folder}"
        _logger.info(
            "%s %s, %s, %d tasks%s",
            head,
            session.store.place,
            every,
            session.store.tasks.count_scheduled_tasks(),
            beside,
        )
        return session.store, ours
    store, engine = application.build(settings.memory_db_path)
    _logger.info("%s %s, %s, engine %s", head, settings.memory_db_path, every, application.engine)
    return store, engine
