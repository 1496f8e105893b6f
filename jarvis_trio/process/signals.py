"""The signals of a process that runs tasks: before, during and after its event loop.

Guarantees:

- Before the loop: a SIGTERM or SIGINT is kept, and handed over as soon as somebody can obey.
- During the loop: trio's receiver gets the signals; it puts these handlers back at its end.
- After the loop: SIGTERM and SIGINT change nothing, so the exit code stays that of the work.
- SIGHUP never kills. Others send it to the holder of the lock at any moment.

This code assumes that it is entered in the main thread: Python hands signals to no other.

The races that it closes:

1. SIGTERM between the lock and trio's receiver. The default action would kill a daemon that
   holds the lock; here the daemon starts no tick and exits with 0.
2. SIGTERM after the receiver is closed, while the database is being closed. The same.
3. SIGHUP from an `add` that saw the lock being held, before the receiver is armed.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Self

ENDING = (signal.SIGTERM, signal.SIGINT)
"""They ask a process to finish what runs and to end."""

Stop = Callable[[str], object]
"""Called with the name of the signal that asks for the end."""


class HeldSignals:
    """Keeps the signals of this process from killing it, while the context lasts and afterwards."""

    def __init__(self) -> None:
        self._stop: Stop | None = None
        self._name: str | None = None

    def __enter__(self) -> Self:
        for number in ENDING:
            signal.signal(number, self._receive)
        # SIG_IGN was rejected: commands that the daemon starts would inherit it.
        signal.signal(signal.SIGHUP, lambda *_: None)
        return self

    def __exit__(self, *_: object) -> None:
        # The interpreter's own end would put the default action back, which kills.
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)

    def hand_over(self, stop: Stop) -> None:
        """Have `stop` called at a SIGTERM or SIGINT; at once if one has come already."""
        self._stop = stop
        if self._name is not None:
            stop(self._name)

    def _receive(self, number: int, _: FrameType | None) -> None:
        self._name = signal.Signals(number).name
        if self._stop is not None:
            self._stop(self._name)
