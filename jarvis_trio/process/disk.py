"""The room on a disk: what cannot be recorded does not run."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

ENOUGH_BYTES = 100_000_000
"""With less than this a disk is as good as full: the log of a database alone can take that much."""


class Room(NamedTuple):
    """How much is free for ordinary users on the disk of a folder."""

    folder: Path
    free_bytes: int

    def is_short(self, enough: int = ENOUGH_BYTES) -> bool:
        """Whether people should be told."""
        return self.free_bytes < enough


def room_at(folder: Path) -> Room:
    """The room on the disk of a folder, which need not be there yet. Raises OSError."""
    import shutil  # noqa: PLC0415  # 1.5 ms, which `list` does without

    place = next(place for place in (folder, *folder.parents) if place.exists())
    return Room(folder, shutil.disk_usage(place).free)
