"""`jarvis-trio run`: the daemon in the foreground."""

from __future__ import annotations

import logging
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import click
import trio

from jarvis_trio import __version__, logs
from jarvis_trio.app import make_engine
from jarvis_trio.cli import NOTES
from jarvis_trio.cli.session import Session, import_module, require_database
from jarvis_trio.daemon import JarvisDaemon
from jarvis_trio.errors import JarvisError
from jarvis_trio.instants import duration_text
from jarvis_trio.lock import DaemonLock

_logger = logging.getLogger(__name__)


@click.command()
@click.option(
    "--app-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="An existing application's folder; its own `config` is used.",
)
@click.option("--engine", metavar="MODULE:ATTR", help="That application's engine, called with the store.")
@click.option("--store", metavar="MODULE:ATTR", help="That application's store, called with MEMORY_DB_PATH.")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", help="How a line of the log looks.")
@click.pass_obj
def run(session: Session, /, app_dir: Path | None, engine: str | None, store: str | None, log_format: str) -> None:
    """Run the daemon in the foreground, until it is stopped.

    SIGTERM or Ctrl-C stop it when what runs has finished; SIGHUP wakes it. With
    --app-dir, --engine and --store it ticks an existing application's engine.

    \b
    Example:
      jarvis-trio run
      jarvis-trio run --app-dir ~/assistant --engine scheduler.engine:SchedulerEngine --store memory.store:MemoryStore
    """
    if (engine is None) != (store is None) or (app_dir is not None and engine is None):
        raise click.UsageError("--engine and --store go together, and --app-dir goes with them")
    if app_dir is not None:
        session.use_application(app_dir)
    settings = session.settings
    require_database(settings)
    stop = _Stop()
    with DaemonLock(settings.lock_file, session.clock.now()) as lock:
        logging.getLogger().removeHandler(NOTES)
        logs.configure(
            settings.log_file, zone=session.clock.zone, stderr=sys.stderr, json_lines=log_format == "json"
        )
        try:
            memory_store, built = _parts(session, engine, store)
        except JarvisError as error:
            _logger.critical("%s", error)
            raise click.exceptions.Exit(1) from None
        daemon = JarvisDaemon(
            memory_store,
            settings.tick_interval_seconds,
            engine=built,
            clock=session.clock,
            max_concurrent_ticks=settings.max_concurrent_tasks,
            on_tick=lock.pulse,
        )
        stop.hand_over(daemon)
        trio.run(daemon.run)


class _Stop:
    """A SIGTERM or SIGINT that comes while trio's receiver is not open: it is not lost, and kills nobody.

    So a signal before the first tick means that there is none, and one after the last tick
    changes nothing. SIGHUP has nothing to wake then.
    """

    def __init__(self) -> None:
        self._daemon: JarvisDaemon | None = None
        self._reason: str | None = None
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._receive)

    def hand_over(self, daemon: JarvisDaemon) -> None:
        """Let the daemon be stopped, at once where a signal has come already."""
        self._daemon = daemon
        if self._reason is not None:
            daemon.shutdown(self._reason)

    def _receive(self, number: int, _: FrameType | None) -> None:
        self._reason = signal.Signals(number).name
        if self._daemon is not None:
            self._daemon.shutdown(self._reason)


def _parts(session: Session, engine: str | None, store: str | None) -> tuple[Any, Any]:
    """The store and the engine, ours or another application's. Raises JarvisError."""
    settings = session.settings
    head = f"Started: version {__version__}, PID {os.getpid()}, database {settings.memory_db_path}"
    every = f"ticking at least every {duration_text(timedelta(seconds=settings.tick_interval_seconds))}"
    if engine is None or store is None:
        ours = make_engine(settings, session.store, session.clock, session.environment)
        _logger.info("%s, %s, %d tasks", head, every, session.store.count_scheduled_tasks())
        return session.store, ours
    theirs = _construct(store, str(settings.memory_db_path))
    built = _construct(engine, theirs)
    _logger.info("%s, %s, engine %s", head, every, engine)
    return theirs, built


def _construct(reference: str, argument: Any) -> Any:
    """Call what `MODULE:ATTR` names. Raises JarvisError, whatever goes wrong in there."""
    name, colon, attribute = reference.partition(":")
    if not colon or not name or not attribute:
        raise JarvisError(f"not MODULE:ATTR: {reference!r}; write it like memory.store:MemoryStore")
    module = import_module(name)
    try:
        return getattr(module, attribute)(argument)
    except (Exception, SystemExit) as error:  # another program's code, which may do anything
        raise JarvisError(f"cannot make {attribute} of the module {name}: {type(error).__name__}: {error}") from error
