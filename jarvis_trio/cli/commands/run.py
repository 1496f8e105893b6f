"""`jarvis-trio run`: the daemon in the foreground."""

from __future__ import annotations

import click

from jarvis_trio.cli.application import application_options
from jarvis_trio.foreground.application import Application
from jarvis_trio.foreground.daemon import run_daemon
from jarvis_trio.foreground.session import CommandSession


@click.command()
@application_options
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", help="How a line of the log looks.")
@click.pass_obj
def run(session: CommandSession, /, application: Application | None, log_format: str) -> int:
    """Run the daemon in the foreground, until it is stopped.

    SIGTERM or Ctrl-C stop it when what runs has finished; SIGHUP wakes it. With
    --app-dir and --handlers it also runs an existing application's handlers, each
    in a process of its own. With --app-dir, --engine and --store it ticks that
    application's engine instead.

    \b
    Example:
      jarvis-trio run
      jarvis-trio run --app-dir . --handlers scheduler.handlers:execute_handler
      jarvis-trio run --app-dir ~/app --engine engine:Engine --store store:Store
    """
    return run_daemon(session, application, json_lines=log_format == "json")
