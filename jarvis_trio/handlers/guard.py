"""Ends commands whose daemon no longer can: a process of its own beside the daemon.

If machines share a database, another one takes over the runs of a daemon that is gone. What a
daemon that was killed or that hangs has left running must be over by then, and only a process
beside it can see to that.

Guarantees:

- What it was told of is ended when the daemon dies, or is silent beyond its time.
- It ends nothing else, and ends itself with the daemon.

This code assumes that the daemon tells of a run before its command starts.

The protocol is a line each on stdin: `+RUN`, `-RUN`, and `.` for a beat that the server has
confirmed. The end of stdin is the daemon's death, since nobody else holds the other end.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from jarvis_trio.clock import steady_seconds
from jarvis_trio.handlers.patience import Patience
from jarvis_trio.handlers.processes import end_run

_AT_ONCE = Patience(term=timedelta(seconds=1))
"""Little: who is silent for this long has had its chance, and others are about to start."""


class Guard:
    """The daemon's end of a guard. The process starts with the first run that it is told of.

    Args:
        owner: the text that tells the daemon from all other processes of this machine.
        silence: how long the daemon may say nothing.
    """

    def __init__(self, owner: str, silence: timedelta) -> None:
        self._owner = owner
        self._silence = silence
        self._guard = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self, run_id: int) -> None:
        """A run is about to start. Raises OSError if nobody can guard it."""
        with self._guard:
            if self._process is None or self._process.poll() is not None:
                self._process = self._start()
            self._say(f"+{run_id}")

    def end(self, run_id: int) -> None:
        """A run is over."""
        with self._guard, suppress(OSError):
            self._say(f"-{run_id}")

    def beat(self) -> None:
        """The daemon is in touch with the server."""
        with self._guard, suppress(OSError):
            self._say(".")

    def close(self) -> None:
        """Have the guard end."""
        with self._guard:
            if self._process is not None and self._process.stdin is not None:
                self._process.stdin.close()
                self._process.wait()
                self._process = None

    def _start(self) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", __name__, self._owner, str(self._silence.total_seconds())]
        return subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True, bufsize=0)

    def _say(self, line: str) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(f"{line}\n".encode())


def watch(descriptor: int, silence: timedelta, end: Callable[[str], object]) -> None:
    """Read the lines of a daemon until it is gone, and end its runs if it is silent or gone.

    `end` is called with the number of each run. The seconds of a suspended machine count, since
    the other machines do not wait for it.
    """
    runs: set[str] = set()
    heard_at, rest = steady_seconds(), b""
    while True:
        # Short, because the kernel does not count the time of a suspended machine.
        wait = min(1.0, silence.total_seconds() / 4) if runs else None
        if select.select([descriptor], [], [], wait)[0]:
            said = os.read(descriptor, 65_536)
            if not said:
                break
            *lines, rest = (rest + said).split(b"\n")
            heard_at = steady_seconds() if b"." in lines or not runs else heard_at
            for line in lines:
                _take(line.decode(), runs)
        if runs and steady_seconds() - heard_at >= silence.total_seconds():
            _end_all(runs, end)
    _end_all(runs, end)


def _take(line: str, runs: set[str]) -> None:
    if line.startswith("+"):
        runs.add(line[1:])
    elif line.startswith("-"):
        runs.discard(line[1:])


def _end_all(runs: set[str], end: Callable[[str], object]) -> None:
    for run in sorted(runs):
        end(run)
    runs.clear()


def main() -> None:
    """The guard's process: `OWNER SILENCE_SECONDS`."""
    owner, seconds = sys.argv[1:3]
    watch(0, timedelta(seconds=float(seconds)), lambda run: end_run(owner, run, _AT_ONCE))


if __name__ == "__main__":
    main()
