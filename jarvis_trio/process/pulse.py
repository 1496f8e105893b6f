"""When a daemon ticked last, told to others without a write to the disk.

On Linux the instant is where a record lock of fcntl(2) begins, in microseconds since 1970,
in the daemon's lock file: the kernel keeps it, shows it to everybody who asks (F_GETLK), and
forgets it with the process. A text in the file was the first way, and still is elsewhere. It
makes the kernel write the file every minute, which keeps a disk from sleeping.

This code assumes that the process closes no other descriptor of the lock file, since that
would take its record locks away (not its flock, which is the lock proper). Nothing but this
information would be lost.

BSD and macOS do not get it: there a record lock and a flock of one process exclude each other.
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys
from contextlib import suppress
from datetime import datetime

from jarvis_trio.errors import ScheduleError
from jarvis_trio.notation.instants import from_microseconds, parse_instant, to_microseconds, utc_text

_IN_THE_KERNEL = sys.platform == "linux"
_FLOCK = struct.Struct("@hhqqi4x")  # struct flock of Linux, where off_t has 64 bits
TEXT_WIDTH = len("2026-11-21T19:31:05.123456+00:00")


class Pulse:
    """Tells others when the last tick was.

    Args:
        descriptor: the lock file, open for writing.
        offset: where its text stands, `TEXT_WIDTH` characters and a line end.
        in_the_kernel: whether a record lock tells it.
    """

    def __init__(self, descriptor: int, offset: int, *, in_the_kernel: bool = _IN_THE_KERNEL) -> None:
        self._descriptor = descriptor
        self._offset = offset
        self._in_the_kernel = in_the_kernel
        self._told: int | None = None

    def tell(self, instant: datetime) -> None:
        """The last tick ended at `instant` (aware UTC). Raises nothing: no tick ends for that."""
        with suppress(OSError):
            if self._in_the_kernel:
                self._lock(to_microseconds(instant))
            else:
                os.pwrite(self._descriptor, f"{utc_text(instant):<{TEXT_WIDTH}}\n".encode(), self._offset)

    def _lock(self, microseconds: int) -> None:
        if microseconds == self._told:
            return
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, microseconds)
        if self._told is not None:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, self._told)
        self._told = microseconds


def last_pulse(descriptor: int, text: str) -> datetime | None:
    """When the holder of the lock file ticked last (aware UTC); None if it has not told.

    `text` is what stands in the file for that.
    """
    with suppress(OSError, struct.error):
        if _IN_THE_KERNEL:
            question = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, start, length, _ = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, question))
            if kind == fcntl.F_WRLCK and length == 1:
                return from_microseconds(start)
    with suppress(ScheduleError):
        return parse_instant(text)
    return None
