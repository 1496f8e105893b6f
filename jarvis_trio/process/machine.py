"""This machine among those that share a database: its name, and what tells namesakes apart."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from jarvis_trio.errors import StoreError

_FILE = "machine-id"


def machine_name(wanted: str) -> str:
    """The name that people gave this machine (`JARVIS_MACHINE`).

    Without one it is the host name without the domain.
    """
    return wanted or os.uname().nodename.partition(".")[0] or "localhost"


def machine_identity(data_folder: Path) -> str:
    """A text that belongs to this data folder alone; it is made once and kept in it.

    The machine's own id is the same in two containers of one image, and in a copied disk.
    Raises StoreError if it can be neither read nor made.
    """
    path = data_folder / _FILE
    try:
        with suppress(FileExistsError):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(descriptor, "w", encoding="ascii") as file:
                file.write(os.urandom(16).hex())
        return path.read_text("ascii").strip()
    except (OSError, UnicodeError) as error:
        raise StoreError(f"cannot keep this machine's identity in {path}: {error}") from None
