"""The processes that came of a command, wherever they went, and how they are ended.

Guarantees:
    - After `Family.end`, every process of the command that could be found is gone, or its PID is
      among those returned.
    - No other process is ever signalled, even if the kernel reuses a PID: processes are
      compared by PID and start time.

This code assumes:
    - A command starts in a session of its own, with `MARKER` in its environment.
    - A process older than the command did not come of it.

How a process tries to get away, and what finds it:
    1. Its parent dies: it is still in the command's session.
    2. It makes a session of its own: it still has the marker, or a living member of
       the family is its parent.
    3. It clears its environment as well: its session is the family's, because the process that made
       the session was found once, or a living parent of the family leads to it.
    4. It forks and exits over and over, so that a list of PIDs is out of date at once. Each
       look goes only through what is new, and only two empty looks in a row end the hunt.
    5. It does 2, 3 and 4 all before the first look, or it becomes root, so that nobody else may
       read its environment: it still has the command's stamp (`process.stamp`). On a Mac there
       is none, and nobody can find it. Control groups could, but an ordinary user has none to
       give away. A subreaper for each command could too, but it costs each command one more
       process.

Without a list of processes (no `/proc`, or that of another PID namespace) a command's process group
is ended, which is what has not made a group or a session of its own. Nobody can see then whether
that was all.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import psutil

from jarvis_trio.handlers.patience import Patience
from jarvis_trio.process.identity import shows_us
from jarvis_trio.process.offspring import MARKER
from jarvis_trio.process.stamp import Stamp

_POLL_SECONDS = 0.05

_EMPTY_LOOKS = 2

_ANYBODYS = 0
"""The session of the kernel's own threads, and of all that was started outside of our container.

It tells nothing of where a process came from.
"""

_DOUBT = timedelta(seconds=1)
_DOUBT_AFTER_A_NORMAL_END = timedelta(seconds=0.1)
"""How long a look is doubtful if a listed process vanished during it: it may have forked.

Other programs' processes come and go as well, so a command that ended by itself waits for a short
time only.
"""


class Family:
    """The processes of one command, or of all commands of a process that is gone.

    Args:
        marker: how the value of `MARKER` begins in their environment; nothing if they have none.
        stamp: covers the stamps of those whose environment says nothing or cannot be read.
    """

    def __init__(self, marker: str, stamp: Stamp | None = None) -> None:
        self.ended: set[psutil.Process | int] = set()
        """Those that had to be told to end; the command's PID stands for its group."""
        self._marker = marker
        self._stamp = stamp
        self._leader: int | None = None
        self._ancestor: int | None = None
        self._oldest = 0.0
        self._members: set[psutil.Process] = set()
        self._sessions: set[int] = set()
        self._dismissed: set[int] = set()
        self._vanished = False
        self._doubt = _DOUBT

    def begin(self, pid: int) -> None:
        """Take in the command itself, which leads its session and is not reaped yet."""
        self._leader = pid
        self._sessions.add(pid)
        if not _are_shown():
            return
        with suppress(psutil.Error):
            leader = psutil.Process(pid)
            self._members.add(leader)
            self._oldest = leader.create_time()

    def begin_here(self) -> None:
        """Take in all that descends from this process."""
        self._ancestor = os.getpid()
        if _are_shown():
            self._oldest = psutil.Process().create_time()

    def end(
        self, pause: Callable[[float], object], patience: Patience, *, ended_by_itself: bool = False
    ) -> tuple[psutil.Process, ...]:
        """SIGTERM, a time of grace, then SIGKILL. Returns those that live on.

        Args:
            pause: is called with the seconds for which there is nothing to do.
            patience: how long they have.
            ended_by_itself: whether the command has; then fewer looks have to do.
        """
        self._doubt = _DOUBT_AFTER_A_NORMAL_END if ended_by_itself else _DOUBT
        if not _are_shown():
            self._end_group(pause, patience)
            return ()
        for number, grace in ((signal.SIGTERM, patience.term), (signal.SIGKILL, patience.kill)):
            if self._signal_until_gone(number, time.monotonic() + grace.total_seconds(), pause):
                return ()
        return tuple(sorted(self.living(), key=lambda process: process.pid))

    def _signal_until_gone(self, number: int, deadline: float, pause: Callable[[float], object]) -> bool:
        told: set[psutil.Process] = set()
        empty_looks, last_seen = 0, time.monotonic()
        while empty_looks < _EMPTY_LOOKS:
            if (now := time.monotonic()) >= deadline:
                return False

            living = self.living()
            fresh = [process for process in living if process not in told]
            for process in fresh:
                _send(process, number)
            told.update(fresh)
            self.ended.update(fresh)

            last_seen = now if living else last_seen
            doubtful = self._vanished and now - last_seen < self._doubt.total_seconds()
            empty_looks = 0 if living or doubtful else empty_looks + 1
            if living and not fresh:
                pause(_POLL_SECONDS)
        return True

    def _end_group(self, pause: Callable[[float], object], patience: Patience) -> None:
        """End the command's process group.

        Its number is ours for as long as nobody has reaped the command.
        """
        for number, grace in ((signal.SIGTERM, patience.term), (signal.SIGKILL, patience.kill)):
            deadline = time.monotonic() + grace.total_seconds()
            if self._leader is None or (has_ended := _has_ended(self._leader)) is None:
                return
            if not has_ended:
                self.ended.add(self._leader)
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._leader, number)
            while _has_ended(self._leader) is False and time.monotonic() < deadline:
                pause(_POLL_SECONDS)

    def living(self) -> list[psutil.Process]:
        """The members that are alive, parents first.

        A shell goes on to its next command when a child ends, so the shell is signalled first. All
        are found before that. The death of a parent would take with it the only way to a child that
        has cleared its environment and left the session.
        """
        self._vanished = False
        living: list[psutil.Process] = []
        if not _are_shown():
            return living
        parents = {process.pid for process in self._members if is_alive(process)}
        if self._ancestor is not None:
            parents.add(self._ancestor)
        for pid in psutil.pids():
            process = None if pid in self._dismissed else self._member(pid, parents)
            if process is not None and is_alive(process):
                parents.add(pid)
                living.append(process)
            elif process is not None:
                self._reap(process)
        return living

    def _member(self, pid: int, parents: set[int]) -> psutil.Process | None:
        """The process if it is one of ours. Notes if it vanished before that could be seen."""
        try:
            process = psutil.Process(pid)
        except (psutil.Error, OSError):
            self._vanished = True
            return None
        try:
            return process if self._takes_in(process, parents) else None
        except (psutil.NoSuchProcess, ProcessLookupError):
            self._vanish(pid, is_there=process.is_running())
        except (psutil.Error, OSError):  # another user's, or a zombie: the kernel shows it to root alone
            if _is_zombie(process):
                self._vanish(pid, is_there=True)
        return None

    def _vanish(self, pid: int, *, is_there: bool) -> None:
        """Note it, since it may have forked before that.

        What has no environment and is there is a zombie, or a thread of the kernel. Neither can
        fork, so it counts once and is not looked at again.
        """
        self._vanished = True
        if is_there:
            self._dismissed.add(pid)

    def _takes_in(self, process: psutil.Process, parents: set[int]) -> bool:
        if process in self._members:
            return True
        if process.pid == os.getpid() or process.create_time() < self._oldest:
            self._dismissed.add(process.pid)
            return False
        session = os.getsid(process.pid)
        if session not in self._sessions and process.ppid() not in parents and not self._is_marked(process):
            return False
        self._members.add(process)
        if session not in (_ANYBODYS, os.getsid(0)):  # a person may have started a marked process in ours
            self._sessions.add(session)
        return True

    def _is_marked(self, process: psutil.Process) -> bool:
        if not self._marker:
            return False
        try:
            if found := process.environ().get(MARKER, ""):
                return found.startswith(self._marker)
        except psutil.AccessDenied:
            if not self._is_stamped(process):
                raise
            return True
        return self._is_stamped(process)

    def _is_stamped(self, process: psutil.Process) -> bool:
        if self._stamp is None:
            return False
        found = Stamp.at(process.pid)
        return found is not None and self._stamp.covers(found)

    def _reap(self, process: psutil.Process) -> None:
        """Reap an orphan that the kernel handed to us.

        The kernel does so if we are PID 1 of a container.
        """
        with suppress(psutil.Error, OSError):
            if process.ppid() == os.getpid() and process.pid != self._leader:
                os.waitpid(process.pid, os.WNOHANG)


def is_alive(process: psutil.Process) -> bool:
    """Whether the process can still do something; a zombie cannot.

    A later process with the same PID does not count.
    """
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _are_shown() -> bool:
    """Whether there is a list of the processes among which ours are."""
    return sys.platform != "linux" or shows_us()


def _has_ended(child: int) -> bool | None:
    """Whether a child that nobody has reaped has ended; None if somebody has."""
    try:
        return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return None


def _send(process: psutil.Process, number: int) -> None:
    with suppress(psutil.Error):
        process.send_signal(number)


def _is_zombie(process: psutil.Process) -> bool:
    with suppress(psutil.Error, OSError):
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    return False
