"""Descriptors: enough at the start, one that takes long to close, and those that are ours."""

from __future__ import annotations

import os
import resource
from contextlib import suppress

from jarvis_trio.errors import SettingError

LEAST = 64
"""Database, log, lock, event loop and four commands at a time take about 40."""

WANTED = 1024


def ensure_descriptors() -> None:
    """Raise the soft limit as far as allowed, up to `WANTED`.

    Raises SettingError if the limit is then still too small.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= WANTED:
        return
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    if soft < LEAST:
        raise SettingError(f"this process may open {soft} files at most", fix=f"run: ulimit -n {WANTED}")


class Tripwire:
    """Tells whether code in this process has closed descriptors that are not its own.

    `os.closerange` does that, and libraries that make a daemon of their process. The database, the
    event loop and the lock then have numbers that the next file gets.
    """

    def __init__(self) -> None:
        self._ends = os.pipe()  # a pipe of its own is no other file, whatever gets its number
        self._is_ours = self._look()

    def is_cut(self) -> bool:
        """Whether the descriptors of this process are no longer its own. Takes a microsecond."""
        return self._look() != self._is_ours

    def _look(self) -> tuple[int, int] | None:
        try:
            status = os.fstat(self._ends[0])
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def close(self) -> None:
        """Watch nothing more."""
        for descriptor in self._ends:
            os.close(descriptor)


def close_unawaited(descriptor: int) -> None:
    """Close a descriptor here and now, and what it stands for soon, in a thread of the kernel.

    A process waits for what it closes, also when it ends. For inotify to let go of the files first
    was tried and rejected: the kernel forgets them later, and one stop in ten came meanwhile.

    So the descriptor is sent to a socket, together with that socket itself (unix(7), SCM_RIGHTS),
    and both are closed. Now it lies in the queue of a socket that nobody has. The kernel's
    collector of these starts when the sender is closed, and closes what they hold.
    """
    import socket  # noqa: PLC0415  # 6 ms, which the daemon spends for trio; who only looks need not

    try:
        sender, keeper = socket.socketpair()
    except OSError:
        os.close(descriptor)
        return
    with sender:
        with keeper, suppress(OSError):
            socket.send_fds(sender, [b"\0"], [keeper.fileno(), descriptor])
        os.close(descriptor)
