"""Who runs a task: a text that tells one process from all others, and whether it still lives.

A PID alone does not do, since it is used again. The kernel's start time of the
process makes it unique on this boot, and the boot's own id over all boots. An
advisory lock was the alternative: a child that inherits its descriptor keeps it
after the process is gone, and the task would be blocked for ever.
"""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")


def current_owner() -> str:
    """The text for this process: `PID:START`."""
    return f"{os.getpid()}:{_start(os.getpid())}"


def owner_alive(owner: str | None) -> bool:
    """Whether the process that `current_owner` named is still there; a zombie is not."""
    pid, _, start = (owner or "").partition(":")
    return pid.isdecimal() and _start(int(pid)) == start


def owner_pid(owner: str | None) -> str:
    """The PID in it, for messages."""
    return (owner or "").partition(":")[0] or "unknown"


def _start(pid: int) -> str | None:
    if _PROC.joinpath("self/stat").exists():
        return _start_linux(pid)
    return _start_elsewhere(pid)


def _start_linux(pid: int) -> str | None:
    # proc_pid_stat(5): field 3 is the state and 22 the start time in ticks since boot,
    # counted after the name, which may hold spaces and brackets.
    try:
        status = (_PROC / str(pid) / "stat").read_text("utf-8", "replace")
        boot = (_PROC / "sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return None
    state, *others = status.rpartition(")")[2].split()
    return None if state in "ZX" else f"{others[18]}@{boot}"


def _start_elsewhere(pid: int) -> str | None:
    # psutil on Linux adds the boot time as the wall clock has it now, so its answer
    # moves when the clock is set; on macOS it is the kernel's own record.
    import psutil  # noqa: PLC0415  # 40 ms of import that Linux does not need

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.6f}"
    except psutil.Error:
        return None
