"""A wall clock for some processes alone, which a test sets: a C library that is preloaded into them."""

from __future__ import annotations

import mmap
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

_SOURCE = Path(__file__).with_name("jumping_clock.c")


class ClockMissingError(Exception):
    """The clock of a process cannot be set here; the text says why."""


class JumpingClock:
    """The clock of the processes that start with its `environment`. It begins right.

    Args:
        folder: where the library is built. Raises ClockMissingError where that cannot be done.
    """

    def __init__(self, folder: Path) -> None:
        library, jumps = folder / "jumping_clock.so", folder / "jumps"
        if not library.exists():
            _build(library)
        jumps.write_bytes(bytes(8))
        self.environment: Mapping[str, str] = {"LD_PRELOAD": str(library), "JUMPS": str(jumps)}
        descriptor = os.open(jumps, os.O_RDWR)
        self._ahead = mmap.mmap(descriptor, 8)
        os.close(descriptor)

    def set(self, ahead: timedelta) -> None:
        """Set it that far ahead of the real clock, or behind it."""
        self._ahead[:] = struct.pack("=q", ahead // timedelta(microseconds=1) * 1000)

    def close(self) -> None:
        self._ahead.close()


def _build(library: Path) -> None:
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None or sys.platform != "linux":
        raise ClockMissingError("no C compiler, or no LD_PRELOAD: the clock of a process cannot be set here")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, _SOURCE, "-ldl"], check=True)
