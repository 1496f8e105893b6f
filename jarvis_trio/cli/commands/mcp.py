"""`jarvis-trio mcp`."""

from __future__ import annotations

import sys

import click

from jarvis_trio.agent.calls import Calls
from jarvis_trio.agent.setup import client_config
from jarvis_trio.agent.streams import take_streams
from jarvis_trio.cli.calling import words_anywhere
from jarvis_trio.cli.extras import import_extra
from jarvis_trio.cli.output import say_text
from jarvis_trio.desk.session import Session, require_database
from jarvis_trio.foreground.session import CommandSession
from jarvis_trio.foreground.telling import note

_AT_A_TERMINAL = "this is an MCP server, which an AI assistant's client starts; see: jarvis-trio mcp --print-config"


@click.command()
@click.option("--read-only", is_flag=True, help="Offer only the tools that look, and never write.")
@click.option("--print-config", is_flag=True, help="Print what to paste into a client, and end.")
@click.pass_obj
def mcp(session: Session, read_only: bool, print_config: bool) -> None:
    """Let an AI assistant use the scheduler, over MCP on stdin and stdout.

    The assistant can look, add and change tasks, and run them. It can approve
    nothing: what it adds runs only if you approved that program for agents, or
    exactly that command. Start with --read-only to get to know it.

    \b
    Example:
      jarvis-trio mcp --print-config
      jarvis-trio mcp --read-only
    """
    if print_config:
        say_text(client_config(words_anywhere(), _settings(session), read_only=read_only))
        return

    require_database(session.settings)
    if sys.stdin.isatty():
        note(_AT_A_TERMINAL)

    streams = take_streams()  # before the server's libraries are imported, as those may print
    environment, clock = session.environment, session.clock
    server = import_extra("jarvis_trio.agent.server", "the MCP server", "mcp", "mcp>=2.3,<3")
    server.serve(Calls(lambda: CommandSession(environment, clock), read_only=read_only), streams)


def _settings(session: Session) -> dict[str, str]:
    """The variables by which the server finds this database, and works as this command does.

    Those about alerts are left out: they can hold secrets, and the server sends none.
    """
    settings = session.settings
    carried = settings.carried(session.environment)
    if settings.database_url:
        carried["JARVIS_DATABASE_URL"] = settings.database_url
    told = {name: value for name, value in carried.items() if not name.startswith("JARVIS_ALERT_")}
    return {"JARVIS_DATA_DIR": str(settings.data_dir), "MEMORY_DB_PATH": str(settings.memory_db_path)} | told
