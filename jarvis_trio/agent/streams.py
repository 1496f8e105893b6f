"""Takes the standard streams for the protocol, before anything else can print into them.

Guarantees:
1. Nothing but the protocol reaches the client, whatever a handler, a library or a child prints.
2. Nothing but the protocol reads what the client sends; so no prompt can be answered by it.

This code assumes that it is called before another thread runs and before a heavy import.
"""

from __future__ import annotations

import fcntl
import os
from typing import BinaryIO


def take_streams() -> tuple[BinaryIO, BinaryIO]:
    """Take stdin and stdout away, and return them for the protocol alone.

    Descriptor 0 is the null device afterwards, and descriptor 1 is stderr. The returned files
    are not inherited by programs that this process starts. Raises OSError.
    """
    private = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 3) for number in (0, 1)]

    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)

    # closefd=False: a thread may still wait in a read when the server ends, and the number
    # must not be given to another file under it.
    return os.fdopen(private[0], "rb", closefd=False), os.fdopen(private[1], "wb", closefd=False)
