"""What this process starts in Python handlers ends with it, also after `kill -9`.

A command is found by its marker when its process is gone. A Python handler starts processes as it
likes, and they would run on beside the next attempt.

Guarantees:

- A process that was forked here (`os.fork`, `multiprocessing`) ends as soon as this one has ended.
- A program that was started here, or by such a fork, bears a marker. Whoever finds this process dead
  ends it by that, before its task runs again (`handlers.processes.end_orphans`).

This code assumes that a handler forks by Python's own means: a library in C that forks by itself
calls no hook. And a child that cleans its environment and starts a program is not found.

The races:

1. This process dies while a child is between the fork and its hook. The child still holds both ends
   of the pipe then. It closes its end for writing first, so it reads the end of the file at once.
2. A sibling is forked while another one holds the end for writing for that moment. The kernel tells
   the end of the file when the last of them has closed it.

`PR_SET_PDEATHSIG` was rejected: it tells of the end of the *thread* that forked (prctl(2)), and
handlers run in threads that come and go. It is also Linux's alone.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress

from jarvis_trio.process.identity import current_owner

MARKER = "JARVIS_RUN"
"""The environment variable that marks the processes of a run."""

_reading = _writing = -1
"""The ends of a pipe into which nobody writes: it ends when the last holder of `_writing` ends."""

_number = 0
"""Tells the pipe from what else may get its descriptors."""


def bind_offspring() -> None:
    """From now on, what is forked or started here ends with this process.

    A process that bears the marker of a run keeps it: it is part of that run.
    """
    global _reading, _writing, _number  # a process has one end, and so one pipe that tells of it
    if _writing < 0:
        _reading, _writing = os.pipe()
        _number = os.fstat(_reading).st_ino
        os.register_at_fork(after_in_child=_watch)
    os.environ.setdefault(MARKER, f"{current_owner()}/handlers")


def _watch() -> None:
    """In the child of a fork: have a thread wait for the parent's end."""
    global _writing  # the child's own copy; its number may soon mean another file
    if _is_ours(_writing):
        os.close(_writing)
    _writing = -1
    if _is_ours(_reading):
        with suppress(RuntimeError):  # no thread can be started at this moment
            threading.Thread(target=_end_with_parent, name="end with the parent", daemon=True).start()


def _is_ours(descriptor: int) -> bool:
    """Whether a descriptor still means the pipe: a child may close all that it does not know."""
    try:
        return descriptor >= 0 and os.fstat(descriptor).st_ino == _number
    except OSError:
        return False


def _end_with_parent() -> None:
    with suppress(OSError):
        if os.read(_reading, 1) == b"":
            os.kill(os.getpid(), signal.SIGKILL)
