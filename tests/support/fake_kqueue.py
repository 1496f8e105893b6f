"""kqueue(2) as a Mac has it, for systems with inotify: the kernel watches real files, only the calls differ."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

KQ_FILTER_VNODE, KQ_EV_ADD, KQ_EV_CLEAR = -4, 0x1, 0x20
KQ_NOTE_DELETE, KQ_NOTE_WRITE, KQ_NOTE_EXTEND, KQ_NOTE_RENAME = 0x1, 0x2, 0x4, 0x20

# inotify(7): IN_ATTRIB stands for a removed name, as long as somebody has the file open.
_AS_INOTIFY = {KQ_NOTE_DELETE: 0x4 | 0x400, KQ_NOTE_WRITE: 0x2, KQ_NOTE_EXTEND: 0x2, KQ_NOTE_RENAME: 0x800}


class kevent(NamedTuple):  # as the module `select` names it
    """What is to be told of one open file."""

    ident: int
    filter: int
    flags: int
    fflags: int = 0


class kqueue:  # as the module `select` names it
    """Tells of open files; its own descriptor is readable while there is something to tell."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None)
        self._descriptor: int = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._watched: dict[int, tuple[int, tuple[int, int]]] = {}

    def fileno(self) -> int:
        return self._descriptor

    def control(self, changes: Sequence[kevent] | None, max_events: int, timeout: float | None = None) -> list[bytes]:
        """Add what is to be told; return what there is to tell, without waiting."""
        assert timeout == 0 or max_events == 0, "it would wait"
        for event in changes or ():
            assert (event.filter, event.flags) == (KQ_FILTER_VNODE, KQ_EV_ADD | KQ_EV_CLEAR)
            wanted = sum({bit for note, bits in _AS_INOTIFY.items() if event.fflags & note for bit in _bits(bits)})
            number = self._libc.inotify_add_watch(self._descriptor, f"/proc/self/fd/{event.ident}".encode(), wanted)
            self._watched[number] = (event.ident, _identity(event.ident))
        found: list[bytes] = []
        with suppress(BlockingIOError):
            while max_events and not found:
                found = [event for event in _events(os.read(self._descriptor, 65536)) if self._is_open(event)]
        return found

    def _is_open(self, event: bytes) -> bool:
        """Whether the descriptor that was added still is that file: its events go when it is closed."""
        (number,) = struct.unpack_from("i", event)
        ident, identity = self._watched.get(number, (-1, (0, 0)))
        with suppress(OSError):
            return _identity(ident) == identity
        return False

    def close(self) -> None:
        os.close(self._descriptor)


def _identity(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def _events(data: bytes) -> Iterator[bytes]:
    """inotify(7): number, mask, cookie, length of the name that follows."""
    while data:
        size = struct.calcsize("iIII") + struct.unpack_from("iIII", data)[3]
        yield data[:size]
        data = data[size:]


def _bits(mask: int) -> list[int]:
    return [1 << place for place in range(mask.bit_length()) if mask >> place & 1]
