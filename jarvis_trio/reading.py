"""Files that a person names are read up to a bound: a name like `/dev/zero` has no end."""

from __future__ import annotations

import errno
import os
from typing import BinaryIO

MOST_BYTES = 16 * 1024 * 1024
"""Far more than a person writes, and read in a moment."""


def read_file(path: str | os.PathLike[str]) -> bytes:
    """The content of a file. Raises OSError, also if it is larger than `MOST_BYTES`."""
    with open(path, "rb") as file:
        return read_whole(file)


def read_whole(file: BinaryIO) -> bytes:
    """What an open file or a pipe holds. Raises OSError, also if it is more than `MOST_BYTES`."""
    content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise OSError(errno.EFBIG, f"it is larger than {MOST_BYTES // 1024**2} MiB")
    return content
