"""A lock for each process that runs tasks, so that others can see whether it lives.

A PID says nothing in another PID namespace (a container that shares the data folder), and the
kernel's start time nothing in another time namespace. The kernel's own record locks (fcntl(2))
hold across both: each process locks one byte of a common file, and the kernel frees it at its end.

Guarantees: a byte is locked exactly as long as its process lives. No child inherits it.

This code assumes that the file lies where record locks work, as SQLite needs it too, and that
nobody else in this process closes a descriptor of it: that would drop all of its locks.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

_descriptors: dict[Path, int] = {}
"""One descriptor for each file, never closed.

To close any descriptor of a file drops the process's locks on it.
"""


class OwnerLocks:
    """The locks in one file.

    Args:
        path: the file; made, with mode 0600, if it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def hold(self, owner: str) -> None:
        """Lock the byte of this process until the process ends.

        If it cannot be locked, it stays without a lock.
        """
        with suppress(OSError):
            fcntl.lockf(self._descriptor(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _byte(owner))

    def is_held(self, owner: str) -> bool | None:
        """Whether another process holds the byte of `owner`; None if that cannot be known."""
        byte = _byte(owner)
        try:
            fcntl.lockf(self._descriptor(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
        except (BlockingIOError, PermissionError):  # which of them it is depends on the system
            return True
        except OSError:
            return None
        with suppress(OSError):
            fcntl.lockf(self._descriptor(), fcntl.LOCK_UN, 1, byte)
        return False

    def _descriptor(self) -> int:
        if self._path not in _descriptors:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            _descriptors[self._path] = os.open(self._path, flags, 0o600)
        return _descriptors[self._path]


def _byte(owner: str) -> int:
    from hashlib import sha256  # noqa: PLC0415  # 2 ms, which a command that only looks need not pay

    return int.from_bytes(sha256(owner.encode()).digest()[:7])
