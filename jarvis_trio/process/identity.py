"""Who runs a task: a text that tells one process from all others, and whether it still lives.

A PID alone is not enough, because it is used again. The kernel's start time of the process makes
it unique on this boot, the boot's own id over all boots, and the PID and time namespaces over all
containers of one kernel.

Guarantees: a process that lives is never taken for dead. It is dead only if the kernel says so:
no such process, another start time for its PID, a zombie, or another boot. What cannot be read
(no descriptor is free, the disk fails, there is no /proc) leaves that open, and then the lock that
each process holds decides (`owners`). If that cannot be read either, the process counts as alive.

The races, each with what decides it:

1. The process ends while it is looked at. It still counts as alive; the next look finds it gone.
2. Its PID is used again. The start time is another one.
3. Its PID exists in our namespace too, and it ran in another one. The namespaces differ, so the
   PID is not asked; its lock is.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple

from jarvis_trio.process.owners import OwnerLocks

_UNKNOWN = "?"


class _Owner(NamedTuple):
    pid: int
    start: str
    boot: str = ""
    spaces: str = ""


class Processes:
    """The processes of this machine, as the kernel shows them.

    Args:
        locks: what proves the life of a process that cannot be seen from here.
        proc: where Linux shows its processes.
        linux: whether to look there; by default on Linux.
    """

    def __init__(
        self, locks: OwnerLocks | None = None, *, proc: Path = Path("/proc"), linux: bool = sys.platform == "linux"
    ) -> None:
        self._locks = locks
        self._proc = proc
        self._linux = linux

    def owner(self, pid: int | None = None) -> str:
        """The text for a process, by default this one.

        It is `PID:START@BOOT/NAMESPACES`, or `PID:START` on a Mac.
        """
        number = os.getpid() if pid is None else pid
        try:
            start = self._start(number)
        except OSError:
            start = None
        owner = f"{number}:{start or _UNKNOWN}"
        return f"{owner}@{self._boot()}/{self._spaces()}" if self._linux else owner

    def is_alive(self, owner: str | None) -> bool:
        """Whether the process of an owner's text may still be there; a zombie is not.

        A text that no process of ours wrote is nobody's.
        """
        found = _parse(owner)
        if found is None or owner is None:
            return False
        seen = self._seen(found)
        if seen is None and self._locks is not None:
            seen = self._locks.is_held(owner)
        return seen is not False

    def is_seen(self, owner: str | None) -> bool:
        """Whether the process of an owner's text certainly lives; its PID then means no other."""
        found = _parse(owner)
        return found is not None and self._seen(found) is True

    def _seen(self, owner: _Owner) -> bool | None:
        """Whether the kernel says that the process lives; None if it cannot be seen from here."""
        if owner.boot and (boot := self._boot()) and owner.boot != boot:
            return False
        if owner.spaces and owner.spaces != self._spaces():
            return None
        if not _has_pid(owner.pid):
            return False
        try:
            start = self._start(owner.pid)
        except OSError:
            return None
        if start is None:
            return False
        return None if _UNKNOWN in (start, owner.start) else start == owner.start

    def _start(self, pid: int) -> str | None:
        """When the process started, in the kernel's words; None for a zombie. Raises OSError."""
        return self._start_linux(pid) if self._linux else _start_elsewhere(pid)

    def _start_linux(self, pid: int) -> str | None:
        # proc_pid_stat(5): field 3 is the state and 22 the start time in ticks since boot,
        # counted after the name, which may hold spaces and brackets.
        if not shows_us(self._proc):
            return _UNKNOWN
        status = (self._proc / str(pid) / "stat").read_text("utf-8", "replace")
        state, *others = status.rpartition(")")[2].split()
        return None if state in "ZX" else others[18]

    def _boot(self) -> str:
        try:
            return (self._proc / "sys/kernel/random/boot_id").read_text("ascii").strip()
        except OSError:
            return ""

    def _spaces(self) -> str:
        """The numbers of this process's PID and time namespaces (namespaces(7))."""
        return ".".join(self._space(kind) for kind in ("pid", "time"))

    def _space(self, kind: str) -> str:
        try:
            return os.readlink(self._proc / "self/ns" / kind).partition("[")[2].rstrip("]")
        except OSError:
            return ""


def shows_us(proc: Path = Path("/proc")) -> bool:
    """Whether Linux shows there the processes of our own PID namespace.

    In a chroot it may be missing. After `unshare --pid` alone it is that of the others, with other
    PIDs than ours: to signal what it shows would hit anybody.
    """
    try:
        return os.readlink(proc / "self") == str(os.getpid())
    except OSError:
        return False


def current_owner() -> str:
    """The text that tells this process from all others."""
    return Processes().owner()


def owner_pid(owner: str | None) -> str:
    """The PID in it, for messages."""
    return (owner or "").partition(":")[0].rpartition("/")[2] or "unknown"


def owner_machine(owner: str | None) -> str | None:
    """The machine in it; None if the database is one machine's alone."""
    return (owner or "").partition(":")[0].rpartition("/")[0] or None


def owner_process(owner: str | None) -> str:
    """It without the machine: as the process itself says (`current_owner`)."""
    machine = owner_machine(owner)
    return (owner or "") if machine is None else (owner or "").removeprefix(f"{machine}/")


def _parse(owner: str | None) -> _Owner | None:
    pid, _, rest = (owner or "").partition(":")
    start, _, place = rest.partition("@")
    boot, _, spaces = place.partition("/")
    return _Owner(int(pid), start, boot, spaces) if pid.isdecimal() else None


def _has_pid(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is another user's
        return True
    return pid > 0  # 0 would be our own group


def _start_elsewhere(pid: int) -> str | None:
    # psutil on Linux adds the boot time as the wall clock has it now, so its answer
    # moves when the clock is set; on macOS it is the kernel's own record.
    import psutil  # noqa: PLC0415  # 40 ms of import that Linux does not need

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.6f}"
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return None
    except psutil.Error:
        return _UNKNOWN
