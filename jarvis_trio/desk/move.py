"""Moves the database: from a file to a server that machines share, and back."""

from __future__ import annotations

import os
from pathlib import Path

from jarvis_trio.desk.session import Session, here
from jarvis_trio.errors import StoreError, TaskError
from jarvis_trio.settings import require_address
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.moving import Moved, move
from jarvis_trio.store.opening import open_store

_SCHEMES = ("postgresql:", "postgres:")
"""An address that begins so and lacks its slashes is mistyped. No file is meant by it."""


def move_to(session: Session, place: str) -> list[Moved]:
    """Copy everything to `place`, and have the database that is used now refuse to be used again.

    Args:
        place: `postgresql://...`, or the path of a file that is made.

    Raises TaskError while a daemon runs here, SettingError if the address cannot be right, and
    StoreError if something does not fit.
    """
    if session.daemon() is not None:
        raise TaskError("the daemon is running", fix="stop it on every machine, then move")
    source = session.store
    with _open(session, place) as target:
        if target.location == source.location:
            raise StoreError(f"the database is {source.location} already", fix="name another place")
        return move(source, target)


def _open(session: Session, place: str) -> MemoryStore:
    settings = session.settings
    if "://" in place or place.startswith(_SCHEMES):
        address = require_address("the address", place)
        return open_store(settings.memory_db_path, address, machine=here(settings), moved=True)
    return open_store(Path(os.path.expanduser(place)).absolute(), moved=True)
