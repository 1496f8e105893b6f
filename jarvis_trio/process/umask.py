"""The mask that takes permissions from new files (umask(2)), as the process was started with."""

from __future__ import annotations

import os

_PRIVATE = 0o077


def current_umask() -> int:
    """The mask of this process; ask before code of a task can have changed it.

    It can only be read by setting it. Meanwhile it is strict, for files of other threads.
    """
    mask = os.umask(_PRIVATE)
    os.umask(mask)
    return mask
