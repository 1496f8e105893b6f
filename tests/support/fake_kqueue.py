"""kqueue(2) as a Mac has it, for systems with inotify: the kernel watches real files, only the calls differ."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
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

    def fileno(self) -> int:
        return self._descriptor

    def control(self, changes: Sequence[kevent] | None, max_events: int, timeout: float | None = None) -> list[bytes]:
        """Add what is to be told; return what there is to tell, without waiting."""
        assert timeout == 0 or max_events == 0, "it would wait"
        for event in changes or ():
            assert (event.filter, event.flags) == (KQ_FILTER_VNODE, KQ_EV_ADD | KQ_EV_CLEAR)
            wanted = sum({bit for note, bits in _AS_INOTIFY.items() if event.fflags & note for bit in _bits(bits)})
            self._libc.inotify_add_watch(self._descriptor, f"/proc/self/fd/{event.ident}".encode(), wanted)
        with suppress(BlockingIOError):
            return [os.read(self._descriptor, 65536)] if max_events else []
        return []

    def close(self) -> None:
        os.close(self._descriptor)


def _bits(mask: int) -> list[int]:
    return [1 << place for place in range(mask.bit_length()) if mask >> place & 1]
