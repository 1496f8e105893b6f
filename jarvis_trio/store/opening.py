"""Opens the database that the settings name: a file, or the one that several machines share."""

from __future__ import annotations

import shlex
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from jarvis_trio.clock import Clock
from jarvis_trio.errors import StoreError
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.connection import Connection
from jarvis_trio.store.places import Here

MOVED_TO = "moved_to"
"""The note in a database that was moved: where it is now."""


def open_store(
    path: Path,
    address: str = "",
    *,
    machine: Here | str | None = None,
    clock: Clock | None = None,
    busy_timeout: timedelta = timedelta(seconds=90),
    read_only: bool = False,
    create: bool = True,
    moved: bool = False,
) -> MemoryStore:
    """The database.

    Args:
        path: the SQLite file; beside it lies what belongs to this machine.
        address: `postgresql://...` of a server that is used instead; empty for the file.
        machine: this machine among those that use the server, or its name.
        clock: what the time is; by default the machine's, and on a server the server's.
        busy_timeout: how long a write waits for another one.
        read_only: only look.
        create: whether a server's tables are made if there are none. A file is always made.
        moved: whether one is opened, too, that was moved elsewhere.

    Raises StoreError if it cannot be used, or what is needed for a server is not installed.
    """
    store = _open(path, address, machine, clock, busy_timeout=busy_timeout, read_only=read_only, create=create)
    return store if moved else _require_here(store)


def _open(
    path: Path, address: str, machine: Here | str | None, clock: Clock | None, *, create: bool, **options: Any
) -> MemoryStore:
    if not address:
        return MemoryStore(path, clock=clock, **options)
    connection, clock_of_server = _connect(address, create=create, **options)
    return MemoryStore(path, clock=clock or clock_of_server, connection=connection, machine=machine)


def _connect(address: str, **options: Any) -> tuple[Connection, Clock]:
    try:
        from jarvis_trio.store.postgres import PostgresDatabase  # noqa: PLC0415  # an extra, and 150 ms of import
    except ImportError as error:
        # Without libpq the import fails in five lines, which end with the same advice.
        says = f"a server needs psycopg, which is not installed ({str(error).partition(chr(10))[0]})"
        raise StoreError(
            says, fix=f"install it with: {shlex.quote(sys.executable)} -m pip install 'psycopg[binary]>=3.2,<4'"
        ) from None
    database = PostgresDatabase(address, **options)
    return database, database.clock


def _require_here(store: MemoryStore) -> MemoryStore:
    """The store, unless it was moved. Raises StoreError."""
    moved_to = store.notes.note(MOVED_TO)
    if moved_to is None:
        return store
    store.close()
    says = f"the database {store.location} was moved to {moved_to}"
    raise StoreError(says, fix="name that one in JARVIS_DATABASE_URL or MEMORY_DB_PATH")
