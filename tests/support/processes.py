"""Whether a process is there, whoever reaps it."""

from __future__ import annotations

import psutil


def lives(pid: int) -> bool:
    """Whether it still does something. A zombie does not: PID 1 of a container may reap nobody."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
