"""`jarvis-trio move`."""

from __future__ import annotations

import click

from jarvis_trio.cli.output import Cell, Column, json_option, print_json, print_table, say
from jarvis_trio.desk.move import move_to
from jarvis_trio.desk.session import Session

_COLUMNS = (Column("TABLE"), Column("ROWS"), Column("DIGEST"))


@click.command()
@click.argument("place", metavar="URL|PATH")
@json_option
@click.pass_obj
def move(session: Session, place: str, as_json: bool) -> None:
    """Move the database to a server that machines share, or back to a file.

    All tasks, runs and waiting messages are copied, and compared on the other side. The
    database that was used until now stays as it is, and refuses to be used again. Stop the
    daemons first. Tasks are bound to this machine, where their programs are.

    \b
    Example:
      jarvis-trio move postgresql://jarvis@homeserver/jarvis
      jarvis-trio move ~/jarvis/memory.db
    """
    moved = move_to(session, place)
    setting = "JARVIS_DATABASE_URL" if "://" in place else "MEMORY_DB_PATH"
    if as_json:
        tables = [{"table": item.table, "rows": item.rows, "digest": item.digest} for item in moved]
        print_json({"moved_to": place, "setting": setting, "tables": tables})
        return

    print_table(_COLUMNS, [[Cell(item.table), Cell(str(item.rows)), Cell(item.digest)] for item in moved])
    also = "" if "://" in place else " (and take JARVIS_DATABASE_URL away)"
    say(f"Moved, and compared. Name {place} in {setting}{also} now.")
