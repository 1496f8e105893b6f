"""A copy of a SQLite database, made while others write to it. Made twice for a slot, it is the same file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from jarvis_trio.errors import HandlerError, HandlerTimeoutError
from jarvis_trio.models import HandlerContext, ScheduledTask, json_object

PAGES = 1000
"""Pages that are copied between two looks at `context.cancelled`."""


def sqlite_backup(task: ScheduledTask, context: HandlerContext) -> dict[str, Any]:
    """Copy `database` into `folder`, and keep the newest `keep` copies (7 unless told otherwise).

    `{"database": "/home/you/notes.db", "folder": "/home/you/backups"}`.
    """
    config = {"keep": 7} | json_object(task.handler_config, "handler_config")
    source, folder = Path(config["database"]), Path(config["folder"])
    if not source.is_file():
        raise HandlerError(f"there is no database {source}; give the task another")  # sqlite3 would make one
    folder.mkdir(parents=True, exist_ok=True)
    # The slot is in the name: an attempt after a crash writes the same file again, and no
    # second one. Only a whole copy gets that name.
    copy = folder / f"{source.stem}-{context.scheduled_for:%Y%m%dT%H%M%SZ}.db"
    part = copy.with_suffix(".part")
    part.unlink(missing_ok=True)
    with closing(sqlite3.connect(source)) as database, closing(sqlite3.connect(part)) as target:
        database.backup(target, pages=PAGES, progress=lambda *_: _stop_if_late(context))
    part.replace(copy)
    copies = sorted(folder.glob(f"{source.stem}-*Z.db"))
    for old in copies[: -config["keep"]]:
        old.unlink()
    return {"copy": str(copy), "bytes": copy.stat().st_size, "kept": min(len(copies), config["keep"])}


def _stop_if_late(context: HandlerContext) -> None:
    # As in `checksums`: the run is over, and this ends the thread too.
    if context.cancelled.is_set():
        raise HandlerTimeoutError("stopped in the midst of the copy")
