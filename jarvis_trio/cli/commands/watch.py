"""`jarvis-trio watch`."""

from __future__ import annotations

import importlib
import shlex
import sys
from types import ModuleType

import click

from jarvis_trio.cli.session import CommandSession
from jarvis_trio.desk.session import Session, require_database
from jarvis_trio.errors import JarvisError


@click.command()
@click.pass_obj
def watch(session: Session) -> None:
    """Watch the tasks live, and run, pause or stop them.

    It shows when each task runs next, what runs and for how long, and how the last
    runs ended. The daemon does not need it: leave it with q.

    \b
    Example:
      jarvis-trio watch
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("watch is for a terminal; to print the state once, use status or list")
    require_database(session.settings)

    environment, clock = session.environment, session.clock
    app = _import_app().WatchApp(lambda: CommandSession(environment, clock))
    app.run()


def _import_app() -> ModuleType:
    """The screen, whose library is an extra. Raises JarvisError if it is not installed."""
    try:
        return importlib.import_module("jarvis_trio.cli.watch.app")
    except ImportError as error:
        fix = f"install it with: {shlex.quote(sys.executable)} -m pip install 'textual>=8,<9'"
        raise JarvisError(f"the live screen needs the extra `watch` ({error})", fix=fix) from None
