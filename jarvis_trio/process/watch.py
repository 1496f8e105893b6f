"""Tells by a readable descriptor that files were written: inotify on Linux, kqueue on a Mac.

It costs nothing while nobody writes. Reading the files' times every second was considered and
rejected: it would wake the processor 86,400 times a day.

inotify is called by ctypes: the packages for it bring an event loop, a thread or a compiler.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import struct
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from jarvis_trio.process.descriptors import close_unawaited


class Watch(Protocol):
    """Watches files. Its descriptor is readable when one was written, replaced or removed."""

    def fileno(self) -> int:
        """The descriptor to wait for."""

    def renew(self, paths: Sequence[Path]) -> None:
        """Watch what these names lead to now, and nothing else; skip a name that leads nowhere.

        Raises OSError if the system lets no more files be watched; those that it lets are.
        """

    def drain(self) -> bool:
        """Forget what happened so far, without waiting. Returns whether anything did."""

    def close(self) -> None:
        """Watch nothing more."""


def make_watch(platform: str = sys.platform, calls: Any = select) -> Watch:
    """A watch of this system. Raises OSError if it cannot be had.

    Args:
        platform: as `sys.platform` names it.
        calls: has `kqueue` and its constants on a Mac, where alone they are typed.
    """
    if platform == "linux":
        return _Inotify()
    if hasattr(calls, "kqueue"):
        return _Kqueue(calls)
    raise OSError("this system has neither inotify nor kqueue")


def why_no_watch() -> str | None:
    """Why other programs' changes are seen at the next tick only; None if they are seen at once."""
    try:
        watch = make_watch()
        try:
            watch.renew([Path(__file__)])  # any file: the limit is of all that one user watches
        finally:
            watch.close()
    except OSError as error:
        return error.strerror or str(error)
    return None


# inotify(7): IN_MODIFY, IN_ATTRIB, IN_MOVE_SELF, IN_DELETE_SELF; IN_IGNORED comes by itself.
_ATTRIBUTES = 0x4
_EVENTS = 0x2 | _ATTRIBUTES | 0x800 | 0x400
_NOT_ASKED_FOR = 0x8000
_EVENT = struct.Struct("@iIII")  # the watch's number, what happened, a cookie, the length of a name: 0 for a file
_READ_BYTES = 64 * 1024
_NO_SUCH_FILE = {errno.ENOENT, errno.ENOTDIR}


class _Inotify:
    """A removed name shows in a file's attributes, and so does an owner that is set.

    SQLite sets the owner of the log whenever root opens a database, if only to read it. That is
    no news, so attributes count only if a name leads to another file now.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._watched: dict[Path, int] = {}
        self._descriptor: int = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise _refused(ctypes.get_errno())

    def fileno(self) -> int:
        return self._descriptor

    def renew(self, paths: Sequence[Path]) -> None:
        before, self._watched = self._watched, self._numbers(paths)
        for number in set(before.values()) - set(self._watched.values()):
            if number >= 0:
                self._libc.inotify_rm_watch(self._descriptor, number)
        refused = {-number for number in self._watched.values() if number < 0} - _NO_SUCH_FILE
        if refused:
            raise _refused(min(refused))

    def drain(self) -> bool:
        seen = 0
        with suppress(BlockingIOError):
            while events := os.read(self._descriptor, _READ_BYTES):
                for _, mask, _, _ in _EVENT.iter_unpack(events):
                    seen |= mask
        if seen & ~_NOT_ASKED_FOR == _ATTRIBUTES:
            return self._numbers(self._watched) != self._watched
        return bool(seen & ~_NOT_ASKED_FOR)

    def close(self) -> None:
        close_unawaited(self._descriptor)  # the kernel takes 15 to 25 ms to forget what was watched

    def _numbers(self, paths: Iterable[Path]) -> dict[Path, int]:
        """Watch each file; the number of its watch is the same as before for the same file.

        A file that is not watched has the number of the error, below zero.
        """
        return {path: self._number(path) for path in paths}

    def _number(self, path: Path) -> int:
        number: int = self._libc.inotify_add_watch(self._descriptor, os.fsencode(path), _EVENTS)
        return number if number >= 0 else -ctypes.get_errno()


_LIMITS = {errno.EMFILE: "; see fs.inotify.max_user_instances", errno.ENOSPC: "; see fs.inotify.max_user_watches"}


def _refused(number: int) -> OSError:
    return OSError(number, f"inotify: {os.strerror(number)}{_LIMITS.get(number, '')}")


class _Kqueue:
    """The queue's own descriptor is readable while events wait in it (kqueue(2))."""

    def __init__(self, calls: Any) -> None:
        self._calls = calls
        self._queue = calls.kqueue()
        self._files: dict[Path, tuple[int, tuple[int, int]]] = {}

    def fileno(self) -> int:
        number: int = self._queue.fileno()
        return number

    def renew(self, paths: Sequence[Path]) -> None:
        for path in self._files.keys() - set(paths):
            os.close(self._files.pop(path)[0])
        refused: OSError | None = None
        for path in paths:
            try:
                self._renew_one(path)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                refused = error
        if refused is not None:
            raise refused

    def _renew_one(self, path: Path) -> None:
        status = path.stat()
        identity = (status.st_dev, status.st_ino)
        known = self._files.get(path)
        if known is not None and known[1] == identity:
            return
        descriptor = os.open(path, getattr(os, "O_EVTONLY", os.O_RDONLY) | os.O_CLOEXEC | os.O_NONBLOCK)
        calls = self._calls
        notes = calls.KQ_NOTE_WRITE | calls.KQ_NOTE_EXTEND | calls.KQ_NOTE_DELETE | calls.KQ_NOTE_RENAME
        event = calls.kevent(descriptor, calls.KQ_FILTER_VNODE, calls.KQ_EV_ADD | calls.KQ_EV_CLEAR, fflags=notes)
        self._queue.control([event], 0)
        if known is not None:
            os.close(known[0])
        self._files[path] = (descriptor, identity)

    def drain(self) -> bool:
        happened = False
        while self._queue.control(None, 64, 0):
            happened = True
        return happened

    def close(self) -> None:
        self._queue.close()
        for descriptor, _ in self._files.values():
            os.close(descriptor)


def database_files(path: Path) -> Iterable[Path]:
    """The files in which a write to a SQLite database shows: itself, and its write-ahead log.

    The log lies beside the file to which links lead. On Linux its index is watched as well, so that
    its deletion shows; kqueue would need a descriptor of it, and to close that would drop the locks
    that SQLite has on it.
    """
    real = os.path.realpath(path)
    index = [Path(f"{real}-shm")] if sys.platform == "linux" else []
    return (path, Path(f"{real}-wal"), *index)
