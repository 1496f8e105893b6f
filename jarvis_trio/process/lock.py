"""The single-instance lock: one daemon for each data folder.

The lock is flock(2) on a file. The file tells the holder's PID, when it started, when it
last ticked and its version, a line each. That is information only. It is believed only
while the lock is held. A daemon of version 1 tells no version.

Guarantees:

- At most one process holds the lock of a file. The kernel frees it with that process, also
  after `kill -9`.
- A process that only looks (`holder`) never keeps a daemon from starting.
- A child of the daemon never holds the lock on, whether it was forked or executed.
- A daemon whose lock file was removed takes the name again, or notices that another has it.
- SIGHUP goes to the holder and to nobody else (`wake`).

The races:

1. Somebody looks while a daemon starts. The looker holds the lock for some microseconds, so
   the daemon tries several times.
2. A handler forks (multiprocessing). The child closes its copy of the descriptor at once.
3. A daemon dies while it writes its lines. Whoever reads them finds nothing of use, and the
   lock is free anyway.

4. Somebody removes the data folder, and makes it again, while a daemon runs. Until its next tick
   it does not notice, and a second daemon can start. Then it ends (`still_holds`).
5. The holder's PID means another process: it was used again, or the lock was taken in another
   PID namespace. The owner's text tells, so `wake` does nothing.

fcntl(2) locks were rejected: a process loses them as soon as it closes any descriptor of
the file.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import signal
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from jarvis_trio import __version__
from jarvis_trio.errors import AlreadyRunningError, JarvisError, ScheduleError
from jarvis_trio.notation.instants import parse_instant, utc_text
from jarvis_trio.permission import permission_fix
from jarvis_trio.process.identity import Processes, current_owner
from jarvis_trio.process.pulse import TEXT_WIDTH, Pulse, last_pulse

_ATTEMPTS = 10
_SECONDS_BETWEEN_ATTEMPTS = 0.02

_MOST_BYTES = 400


class Holder(NamedTuple):
    """The process that holds a lock, as it says itself; None for what it has not said yet.

    `started_at` and `last_tick_at` are aware UTC. `version` is the program's. `owner` tells the
    process from all others (`identity`).
    """

    pid: int | None
    started_at: datetime | None
    last_tick_at: datetime | None
    version: str | None = None
    owner: str | None = None

    @property
    def is_of_version_1(self) -> bool:
        """Whether it has said what it says, and its version is not part of that."""
        return self.started_at is not None and self.version is None


class DaemonLock:
    """The lock at `path`, held while the context lasts. Its folder is made if it is missing.

    Args:
        path: the file.
        started_at: when the daemon started (aware UTC); others are told.

    Attributes:
        was_kept: whether `still_holds` has never said no.

    Entering raises AlreadyRunningError, with the PID, if another process holds the lock, and
    JarvisError if `path` cannot be used. Enter it inside of `HeldSignals`: from then on
    others may send SIGHUP (`wake`).
    """

    def __init__(self, path: Path, started_at: datetime) -> None:
        self._path = path
        self._name = str(path)  # once: each tick looks where it leads
        self._file: tuple[int, int] | None = None
        self._head = f"{os.getpid()}\n{utc_text(started_at)}\n".encode()
        self._descriptor = -1
        self._pulse: Pulse | None = None
        self.was_kept = True

    def __enter__(self) -> Self:
        with _errors_in_one_line(self._path):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = _open(self._path, os.O_RDWR | os.O_CREAT)
            if not _acquire(self._descriptor):
                pid = _read(self._descriptor).pid or "unknown"
                self._close()
                raise AlreadyRunningError(
                    f"another daemon (PID {pid}) holds {self._path}",
                    fix=f"look at it with `jarvis-trio status`, or stop it with `kill {pid}`",
                )
        # All that inherited the descriptor share a flock. exec closes it, a mere fork does not.
        os.register_at_fork(after_in_child=self._close)
        self._write_head()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def pulse(self, instant: datetime) -> None:
        """Tell others when the last tick ended (aware UTC)."""
        if self._pulse is not None:
            self._pulse.tell(instant)

    def still_holds(self) -> bool:
        """Whether the file's name still leads to this lock.

        If the name is free again, it is taken again.
        """
        try:
            found = os.stat(self._name)
            if (found.st_dev, found.st_ino) == self._file:
                return True
        except FileNotFoundError:
            pass
        except OSError:  # nobody knows at this moment
            return True
        return self._take_again()

    def _take_again(self) -> bool:
        try:
            descriptor = _open(self._path, os.O_RDWR | os.O_CREAT)
        except OSError:  # the folder is gone, and with it what two daemons could share
            return True
        if not _try_lock(descriptor, fcntl.LOCK_EX):
            os.close(descriptor)
            self.was_kept = False
            return False
        self._close()
        self._descriptor = descriptor
        self._write_head()
        return True

    def _write_head(self) -> None:
        self._pulse = Pulse(self._descriptor, len(self._head))
        held = os.fstat(self._descriptor)
        self._file = held.st_dev, held.st_ino
        with suppress(OSError):  # a full disk: others learn then that the lock is held, but not by whom
            os.ftruncate(self._descriptor, 0)
            # The last lines come last, since older programs read three.
            lines = f"{'':<{TEXT_WIDTH}}\n{__version__}\n{current_owner()}\n"
            os.pwrite(self._descriptor, self._head + lines.encode(), 0)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def holder(path: Path) -> Holder | None:
    """Who holds the lock at `path`; None if nobody does, whatever the file says.

    Raises JarvisError if the file is there and cannot be used.
    """
    if not os.path.lexists(path):
        return None
    with _errors_in_one_line(path):
        descriptor = _open(path, os.O_RDONLY)
        try:
            return None if _try_lock(descriptor, fcntl.LOCK_SH) else _read(descriptor)
        finally:
            os.close(descriptor)


def wake(path: Path) -> bool:
    """Send SIGHUP to the daemon that holds the lock at `path`.

    Returns whether there was a daemon to wake.
    """
    try:
        found = holder(path)
        if found is None or found.pid is None or not Processes().is_seen(found.owner):
            return False
        os.kill(found.pid, signal.SIGHUP)
    except (JarvisError, ProcessLookupError, PermissionError):
        return False
    return True


@contextmanager
def _errors_in_one_line(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise JarvisError(
            f"cannot use the lock file {path}: {error.strerror}",
            fix=permission_fix(path, error, "it must be a plain file in a folder of your own"),
        ) from None


def _open(path: Path, flags: int) -> int:
    """A descriptor of the plain file at `path`, which no child keeps over exec."""
    # NONBLOCK, since opening a FIFO waits for its other end.
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "Not a plain file")
    return descriptor


def _acquire(descriptor: int) -> bool:
    for _ in range(_ATTEMPTS):
        if _try_lock(descriptor, fcntl.LOCK_EX):
            return True
        time.sleep(_SECONDS_BETWEEN_ATTEMPTS)
    return False


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(descriptor: int) -> Holder:
    lines = [*os.pread(descriptor, _MOST_BYTES, 0).decode("ascii", "replace").splitlines(), *[""] * 5]
    pid = int(lines[0]) if re.fullmatch("[1-9][0-9]{0,8}", lines[0]) else None
    return Holder(pid, _instant(lines[1]), last_pulse(descriptor, lines[2]), lines[3] or None, lines[4] or None)


def _instant(text: str) -> datetime | None:
    try:
        return parse_instant(text, UTC)
    except ScheduleError:
        return None
