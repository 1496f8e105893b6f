"""A number that all processes of a run carry, whatever they do to their environment (Linux).

It is the soft limit RLIMIT_RTTIME. A process inherits its limits at its birth and keeps them when
it starts a program, makes a session, clears its environment or becomes root; and everybody may
read those of all processes (proc_pid_limits(5)). This limit bounds only what the real-time
scheduler runs, and the number stands for 146,000 years or more, so it bounds nothing.

Guarantees:

- What is started in `stamped` carries the stamp from its birth, and so does all that comes of it.
- This process keeps the stamp that it was bound to.

This code assumes that no program of a run sets this limit itself: those that want to be scheduled
in real time do. They are then found as on a Mac, which has no such limit.

The race: a limit is the whole process's. What another thread starts while a run's command starts
carries that run's stamp as well. A fork waits for that; a program names its own run in its
environment, which counts more than a stamp. Only a program that was given an empty environment in
that millisecond is taken for a part of the run.

Rejected: `prctl(PR_SET_CHILD_SUBREAPER)` (an orphan comes to us, but does not tell of which
command it is, and it goes elsewhere when we are dead) and a limit that is set in the child
(`preexec_fn` may deadlock; after the start it is too late, above all for what became root).
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple, Self

_BITS = 31
_MASK = (1 << _BITS) - 1
_FLAG = 1 << (2 * _BITS)
_LIMIT = b"Max realtime timeout"

_guard = threading.Lock()
"""Held while the limit is that of a run, and by whoever forks."""


class Stamp(NamedTuple):
    """What the number says: whose run it is, and which of them.

    Attributes:
        owner: a hash of the text that tells the owner from all other processes.
        run: the number of the run; 0 for what belongs to none of them, or to any.
    """

    owner: int
    run: int = 0

    @classmethod
    def of(cls, owner: str, mark: str = "") -> Self:
        """The stamp of an owner's run; of the owner if `mark` is not the number of a run."""
        from hashlib import sha256  # noqa: PLC0415  # 2 ms, which a command that only looks need not pay

        run = int(mark) if mark.isdecimal() and int(mark) <= _MASK else 0
        return cls(int.from_bytes(sha256(owner.encode()).digest()[:4]) & _MASK, run)

    @classmethod
    def at(cls, pid: int) -> Self | None:
        """The stamp of a process; None if it has none, or if that cannot be seen."""
        with suppress(OSError, ValueError), open(f"/proc/{pid}/limits", "rb") as file:
            for line in file.read().splitlines():
                if line.startswith(_LIMIT):
                    return cls.read(int(line.removeprefix(_LIMIT).split()[0]))
        return None

    @classmethod
    def read(cls, number: int) -> Self | None:
        """What a limit says; None if it is not a stamp."""
        whole, run = number >> _BITS, number & _MASK
        return cls(whole & _MASK, run) if whole >> _BITS == 1 else None

    @property
    def number(self) -> int:
        return _FLAG | self.owner << _BITS | self.run

    def covers(self, other: Stamp) -> bool:
        """Whether the other one is of this run, or of any run of this owner if this names none."""
        return self == other or (not self.run and self.owner == other.owner)


def bind_stamp(owner: str) -> None:
    """From now on, what this process starts carries its owner's stamp.

    A process that has a stamp keeps it: it is part of a run.
    """
    before = _set(Stamp.of(owner).number)
    if before is not None and Stamp.read(before) is not None:
        _set(before)
    os.register_at_fork(before=_guard.acquire, after_in_parent=_guard.release, after_in_child=_guard.release)


@contextmanager
def stamped(stamp: Stamp | None) -> Iterator[None]:
    """What is started meanwhile, by the same thread, carries that stamp.

    Where there is no such limit, or one that is lower, nothing carries one.
    """
    if stamp is None:
        yield
        return
    with _guard:
        before = _set(stamp.number)
        try:
            yield
        finally:
            if before is not None:
                _set(before)


def _set(number: int) -> int | None:
    """Set the soft limit. Returns what it was; None if it cannot be set."""
    if sys.platform != "linux":
        return None
    import resource  # noqa: PLC0415  # only if something is started

    with suppress(OSError, ValueError):
        before, most = resource.getrlimit(resource.RLIMIT_RTTIME)
        resource.setrlimit(resource.RLIMIT_RTTIME, (number, most))
        return before
    return None
