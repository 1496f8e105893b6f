"""`jarvis-trio watch`."""

from __future__ import annotations

import sys

import click

from jarvis_trio.cli.extras import import_extra
from jarvis_trio.desk.session import Session, require_database
from jarvis_trio.foreground.session import CommandSession


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
    screen = import_extra("jarvis_trio.cli.watch.app", "the live screen", "watch", "textual>=8.2,<9")
    app = screen.WatchApp(lambda: CommandSession(environment, clock))
    app.run()
