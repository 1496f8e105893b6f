"""A lock for each process that runs tasks, so that others can see whether it lives.

A PID says nothing in another PID namespace (a container that shares the data folder), and the
kernel's start time nothing in another time namespace. The kernel's own record locks (fcntl(2))
hold across both: each process locks one byte of a common file, and the kernel frees it at its end.

Guarantees: a byte is locked exactly as long as its process lives. No child inherits it. A process
counts as dead only if it is noted in the file that is under the name now, and its byte is free.

This code assumes that the file lies where record locks work, as SQLite needs it too, and that
nobody else in this process closes a descriptor of it: that would drop all of its locks.

The races that it is made for:

1. Somebody deletes or replaces the file while its processes live. Each of them finds out at its
   next tick (`keep`), and locks its byte in the file that is there then. Until then it is not noted
   in the new file, so nobody knows whether it lives.
2. A process cannot lock its byte at its start. It is not noted either; each tick tries again.
3. A process dies between 1 and its next tick. Then nobody ever knows, until the next boot. A person
   who does can empty the file in its place: an empty one, as older programs made it, has no notes,
   and whoever lives keeps its lock.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

_HEADER = b"1"
_SIZE = 4096
"""The file is the header, and then a byte for each hash of a process that has locked its byte.

All of it is written when the file is made, so that a full disk refuses no note. Two processes can
share a note: it says too little then, as the file of an older program does of all of them.
"""

_logger = logging.getLogger(__name__)


@dataclass
class _File:
    """The file as this process has it open, and which bytes it locks there."""

    descriptor: int = -1
    identity: tuple[int, int] | None = None
    owners: set[str] = field(default_factory=set)
    told: str = ""


_files: dict[Path, _File] = {}
"""One descriptor for each file: to close any of a file drops the process's locks on it."""

_guard = threading.RLock()


class OwnerLocks:
    """The locks in one file.

    Args:
        path: the file; made, with mode 0600, if it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._name = str(path)  # once: each tick looks where it leads

    @property
    def _file(self) -> _File:
        return _files.setdefault(self._path, _File())

    def hold(self, owner: str) -> None:
        """Lock the byte of this process until the process ends.

        If it cannot be locked, the log says so, and `keep` tries again.
        """
        with _guard:
            self._file.owners.add(owner)
            self._file.identity = None  # what is locked already stays so
            self.keep()

    def keep(self) -> None:
        """See that the bytes are locked in the file that is under the name now.

        If not, lock them there; the log says so once.
        """
        with _guard:
            file = self._file
            was_locked = file.identity is not None
            try:
                if was_locked and file.identity == self._seen():
                    return
                self._lock_again()
            except OSError as error:
                self._tell(error)
                return
            file.told = ""
            if was_locked:
                says = "%s was deleted or replaced under this process; its lock is in the new file now"
                _logger.error(says, self._name)

    def is_held(self, owner: str) -> bool | None:
        """Whether a process holds the byte of `owner`; None if that cannot be known."""
        with _guard:
            if owner in self._file.owners:  # to try our own byte would give it away
                return True
            self.keep()
            try:
                return self._is_locked(owner)
            except OSError:
                return None

    def _is_locked(self, owner: str) -> bool | None:
        descriptor, byte = self._current(), _byte(owner)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
        except (BlockingIOError, PermissionError):  # which of them it is depends on the system
            return True
        fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, byte)
        is_noted = not _has_notes(descriptor) or os.pread(descriptor, 1, _note(owner)) == _HEADER
        return False if is_noted else None

    def _lock_again(self) -> None:
        descriptor = self._current()
        self._file.identity = None
        for owner in self._file.owners:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _byte(owner))
            if _has_notes(descriptor):
                os.pwrite(descriptor, _HEADER, _note(owner))
        self._file.identity = _identity(os.fstat(descriptor))

    def _current(self) -> int:
        """A descriptor of the file that is under the name now. Raises OSError."""
        file, seen = self._file, self._seen()
        held = None if file.descriptor < 0 else _identity(os.fstat(file.descriptor))
        if held is None or seen != held:
            descriptor, old = self._opened(), file.descriptor
            file.descriptor = descriptor
            if held is not None and held != _identity(os.fstat(descriptor)):
                os.close(old)  # if it is the same file after all, that would drop the locks
        return file.descriptor

    def _opened(self) -> int:
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            return os.open(self._path, flags)
        except FileNotFoundError:
            self._make()
            return os.open(self._path, flags)

    def _make(self) -> None:
        """Make the file with its header; if another process is faster, its file stays.

        It has its name only once it is whole: an empty one would be an older program's.
        """
        unfinished = Path(f"{self._name}.{os.urandom(8).hex()}")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, _HEADER.ljust(_SIZE, b"\0"))
            _name_it(unfinished, self._path)
        finally:
            os.close(descriptor)
            unfinished.unlink(missing_ok=True)

    def _seen(self) -> tuple[int, int] | None:
        """Which file is there; None if there is none. Raises OSError if nobody knows."""
        try:
            return _identity(os.lstat(self._name))
        except FileNotFoundError:
            return None

    def _tell(self, error: OSError) -> None:
        says = f"{self._name} cannot be locked ({error.strerror})"
        if says != self._file.told:
            _logger.error("%s: from another container nobody sees whether this process lives", says)
        self._file.told = says


def _name_it(unfinished: Path, path: Path) -> None:
    with suppress(FileExistsError):
        try:
            os.link(unfinished, path)
        except PermissionError:  # a disk that knows no links, such as exFAT
            unfinished.rename(path)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _has_notes(descriptor: int) -> bool:
    return os.pread(descriptor, 1, 0) == _HEADER


def _note(owner: str) -> int:
    return 1 + _byte(owner) % (_SIZE - 1)


def _byte(owner: str) -> int:
    from hashlib import sha256  # noqa: PLC0415  # 2 ms, which a command that only looks need not pay

    return int.from_bytes(sha256(owner.encode()).digest()[:7])
