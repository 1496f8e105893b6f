"""Prints where `make test` has its files: in memory, if this machine has a folder for that.

A disk is waited for at each commit, and to write what is thrown away costs the processor as well.
What a test proves does not lie in the disk: no test cuts the power. `make thorough` and `make
coverage` have theirs where all programs have them.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

IN_MEMORY = Path("/dev/shm")
NEEDED = 2 << 30
"""Bytes; containers often have 64 MB there."""

_NOEXEC = getattr(os, "ST_NOEXEC", 0)
"""Set for a file system that runs no programs, as tests want to; only Linux tells."""


def folder(wanted: Path = IN_MEMORY, needed: int = NEEDED) -> str:
    """The folder for the files of all tests; what TMPDIR says goes first.

    Args:
        needed: how many bytes `wanted` must have free to be taken.
    """
    if "TMPDIR" not in os.environ and os.access(wanted, os.W_OK | os.X_OK):
        seen = os.statvfs(wanted)
        if seen.f_bavail * seen.f_frsize >= needed and not seen.f_flag & _NOEXEC:
            return str(wanted)
    return tempfile.gettempdir()


if __name__ == "__main__":
    print(folder())
