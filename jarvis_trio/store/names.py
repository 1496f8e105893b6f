"""By which name this process uses a database: two names of one file must not be used at once.

SQLite's log lies beside the name by which the file was opened. Who opens it by another name (a hard
link, a file that was renamed while it is open, a single file that is mounted somewhere else) has
another log, and each of the two overwrites what the other one has written.

Guarantees:

- Whoever opens the file sees whether another process has it open by another name, in whatever
  folder or container that process lives, if one kernel serves both.
- Of two that open it at the same moment by two names, at most one goes on.

This code assumes that the kernel knows locks of open files (Linux 3.15, fcntl(2), F_OFD_SETLK). On
other systems, on a file system without them, and without /proc, nothing is seen here.

How: each process locks one byte of the file, far behind its end, whose number comes from the place
of the log. The locks are shared, so all that use one name get on; a lock on any other byte of that
range is somebody with another name. They lie on the descriptors that SQLite itself has open, so
that none of ours is ever closed: that would drop SQLite's own locks (sqlite.org/howtocorrupt.html,
2.2). An ordinary record lock was rejected, because SQLite unlocks all of a file at once, and
flock(2), because it has no bytes.
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_FIRST = 1 << 62
"""Where the range begins: behind all that SQLite locks (sqlite.org/fileformat2.html, 1.5)."""

_LENGTH = (1 << 62) - 1

_OPENING = _FIRST - 1
"""The byte that a process locks while it is opening the file."""

_openers = threading.Lock()
"""Held by the thread that is opening a file; the byte tells only processes apart."""

_LOOK_SECONDS = 0.02

_FLOCK = "hhqqi4x"
"""`struct flock` of 64-bit Linux: kind, whence, start, length, PID."""


@contextmanager
def one_thread_opens(patience_seconds: float = 1.0) -> Iterator[None]:
    """Open the file in this block: no other thread has one then that it has not read from yet.

    Who has waited that long for its turn goes on.
    """
    is_ours = _openers.acquire(timeout=patience_seconds)
    try:
        yield
    finally:
        if is_ours:
            _openers.release()


@contextmanager
def one_process_opens(path: Path, patience_seconds: float = 1.0) -> Iterator[None]:
    """Look at the others in this block, and read from the file, which makes the log's index.

    Two that open the file at one moment would each take the other for one whose index was deleted.
    Who has waited that long for its turn goes on.
    """
    descriptor = _lock_opening(path, time.monotonic() + patience_seconds)
    try:
        yield
    finally:
        if descriptor is not None:
            _set([descriptor], fcntl.F_UNLCK, _OPENING)


def _lock_opening(path: Path, until: float) -> int | None:
    """The descriptor that holds the lock; None if it cannot be had by then."""
    if not _has_locks():
        return None
    with suppress(OSError, IndexError):
        descriptor = _open_descriptors(path)[-1]
        while not _is_set(descriptor, fcntl.F_WRLCK, _OPENING):
            if time.monotonic() >= until:
                return None
            time.sleep(_LOOK_SECONDS)
        return descriptor
    return None


def _is_set(descriptor: int, kind: int, byte: int) -> bool:
    """Set a lock, unless another process is in its way. Raises OSError if there are none."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _lock(kind, byte, 1))
    except (BlockingIOError, PermissionError):
        return False
    return True


def used_by_another_name(path: Path) -> bool:
    """Tell other processes by which name this one has the database open, and look at theirs.

    Call it when SQLite has opened the file. Returns whether another name of it is in use.
    """
    if not _has_locks():
        return False
    try:
        byte, descriptors = _FIRST + _number(path), _open_descriptors(path)
    except OSError:  # no /proc, or no descriptor at this moment: nobody knows
        return False
    _set(descriptors, fcntl.F_RDLCK, byte)
    others = (_FIRST, byte), (byte + 1, _FIRST + _LENGTH)
    if not any(_is_locked(one, start, end - start) for one in descriptors for start, end in others):
        return False
    _set(descriptors, fcntl.F_UNLCK, byte)  # else the other name would be the one that is refused from now on
    return True


def index_was_deleted(path: Path, index: Path, patience_seconds: float = 1.0) -> bool:
    """Whether another process uses the database with an index of its log that was deleted.

    SQLite's locks lie in the index, so whoever makes another one writes at the same time. Call it
    after `used_by_another_name`, before anything is read, both in
    `one_process_opens`. Another process that is closing the file has it open for a moment longer
    than the index is there.
    """
    until = time.monotonic() + patience_seconds
    while not index.exists() and _is_used_with_log(path):
        if time.monotonic() >= until:
            return True
        time.sleep(_LOOK_SECONDS)
    return False


def _is_used_with_log(path: Path) -> bool:
    """Whether others have the file open by our name, and it is in WAL mode."""
    if not _has_locks():
        return False
    with suppress(OSError):
        byte, descriptors = _FIRST + _number(path), _open_descriptors(path)
        in_wal_mode = any(os.pread(one, 2, 18) == b"\2\2" for one in descriptors)  # sqlite.org/fileformat2.html, 1.3
        return in_wal_mode and any(_is_locked(one, byte, 1) for one in descriptors)
    return False


def _number(path: Path) -> int:
    """A number below the range's length, made from where the log lies: its folder and its name."""
    from hashlib import sha256  # noqa: PLC0415  # 2 ms, which a command that only looks need not pay

    place = path.resolve()
    status = os.stat(place.parent)
    text = f"{status.st_dev}:{status.st_ino}/{place.name}"
    return int.from_bytes(sha256(text.encode("utf-8", "surrogateescape")).digest()[:7])


def _has_locks() -> bool:
    return sys.platform == "linux" and hasattr(fcntl, "F_OFD_SETLK") and struct.calcsize("P") == 8


def _open_descriptors(path: Path) -> list[int]:
    """The descriptors of this process that mean the file: those of all its connections."""
    wanted = os.stat(path)
    found = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # one that is closed meanwhile
            status = os.fstat(int(name))
            if (status.st_dev, status.st_ino) == (wanted.st_dev, wanted.st_ino):
                found.append(int(name))
    return found


def _set(descriptors: Iterable[int], kind: int, byte: int) -> None:
    for descriptor in descriptors:
        with suppress(OSError):  # a file system without such locks, or a descriptor that is closed meanwhile
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _lock(kind, byte, 1))


def _is_locked(descriptor: int, start: int, length: int) -> bool:
    if length <= 0:
        return False
    with suppress(OSError):
        answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _lock(fcntl.F_WRLCK, start, length))
        return bool(struct.unpack(_FLOCK, answer)[0] != fcntl.F_UNLCK)
    return False


def _lock(kind: int, start: int, length: int) -> bytes:
    return struct.pack(_FLOCK, kind, os.SEEK_SET, start, length, 0)
