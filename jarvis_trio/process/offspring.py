"""What this process starts in Python handlers ends with it, also after `kill -9`.

A command is found by its marker when its process is gone. A Python handler starts processes as it
likes, and they would run on beside the next attempt.

Guarantees:

- A process that was forked here (`os.fork`, `multiprocessing`) ends as soon as this one has ended.
- A program that was started here, or by such a fork, has a marker and, on Linux, a stamp. A process
  that finds this one dead ends it by that, before its task runs again
  (`handlers.processes.end_orphans`).

This code assumes that a handler forks by Python's own means: a library in C that forks by itself
calls no hook. On Linux, what it forked is ended as such a program is.

The races:

1. This process dies while a child is between the fork and its hook. The child still holds both ends
   of the pipe then. It closes its end for writing first, so it reads the end of the file at once.
2. A sibling is forked meanwhile, and holds the end for writing for a moment. The kernel tells the
   end of the file when the last of them has closed it.
3. A child closes all descriptors, as a program does that goes into the background. Its thread then
   looks once a second whether this process lives. So the end of the file alone kills nobody: by
   then the descriptor may mean another file.

`PR_SET_PDEATHSIG` was rejected: it tells of the end of the *thread* that forked (prctl(2)), and
handlers run in threads that come and go. It is also Linux's alone.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress

from jarvis_trio.process.identity import Processes, current_owner
from jarvis_trio.process.stamp import bind_stamp

MARKER = "JARVIS_RUN"
"""The environment variable that marks the processes of a run."""

_SHORTEST_LOOK_SECONDS = 0.01
_LONGEST_LOOK_SECONDS = 1.0

_reading = _writing = -1
"""The ends of a pipe into which nobody writes: it ends when the last holder of `_writing` ends."""

_number = 0
"""Tells the pipe from what else may get its descriptors."""

_owner = ""
"""The process with which the others end."""


def bind_offspring() -> None:
    """From now on, what is forked or started here ends with this process.

    A process that has the marker of a run keeps it: it is part of that run.
    """
    global _reading, _writing, _number, _owner  # a process has one end, which one pipe tells
    if not _owner:
        _owner = current_owner()
        _reading, _writing = os.pipe()
        _number = os.fstat(_reading).st_ino
        os.register_at_fork(after_in_child=_watch)
        bind_stamp(_owner)
    os.environ.setdefault(MARKER, f"{_owner}/handlers")


def _watch() -> None:
    """In the child of a fork: have a thread wait for the owner's end."""
    global _writing  # the child's own copy; its number may soon mean another file
    if _is_ours(_writing):
        os.close(_writing)
    _writing = -1
    with suppress(RuntimeError):  # no thread can be started at this moment
        threading.Thread(target=_end_with_owner, name="end with the daemon", daemon=True).start()


def _is_ours(descriptor: int) -> bool:
    """Whether a descriptor still means the pipe: a child may close all that it does not know."""
    try:
        return descriptor >= 0 and os.fstat(descriptor).st_ino == _number
    except OSError:
        return False


def _end_with_owner() -> None:
    if _is_ours(_reading):
        with suppress(OSError):
            os.read(_reading, 1)
    look = _SHORTEST_LOOK_SECONDS
    while Processes().is_alive(_owner):
        time.sleep(look)
        look = min(look * 2, _LONGEST_LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)
