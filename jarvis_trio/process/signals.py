"""The signals of a process that runs tasks: before, during and after its work.

Guarantees:

- Before: a signal that asks for the end is kept, and handed over as soon as somebody can obey.
- During: it lets what runs finish. A daemon's event loop has a receiver of its own meanwhile,
  which puts these handlers back at its end. In a command a second signal interrupts.
- After: in a daemon such a signal changes nothing, so the exit code stays that of the work.
- SIGHUP never kills a daemon. Others send it to the holder of the lock at any moment.
- What a parent had ignored or blocked is put right at the start (`undo_inherited`).

This code assumes that it is entered in the main thread: Python hands signals to no other.

The races that it closes:

1. SIGTERM between the lock and trio's receiver. The default action would kill a daemon that
   holds the lock; here the daemon starts no tick and exits with 0.
2. SIGTERM after the receiver is closed, while the database is being closed. The same.
3. SIGHUP from an `add` that saw the lock being held, before the receiver is armed.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self

ENDING = (signal.SIGTERM, signal.SIGINT)
"""They ask a daemon to finish what runs and to end."""

ENDING_A_COMMAND = (*ENDING, signal.SIGHUP)
"""The same for a command, whose terminal may be closed."""

Stop = Callable[[str], object]
"""Called with the name of the signal that asks for the end."""


def undo_inherited() -> None:
    """Give this process the signals that it needs, whatever its parent ignored or blocked.

    With SIGCHLD ignored the kernel forgets how children ended, and each would count as a
    success. A blocked SIGTERM would never arrive.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


class HeldSignals:
    """Keeps signals from killing the daemon, while the context lasts and afterwards."""

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


@contextmanager
def finishing(stop: Stop) -> Iterator[None]:
    """Within the block, in a command, a first signal calls `stop`.

    A second signal raises KeyboardInterrupt.
    """
    asked: list[str] = []

    def receive(number: int, _: FrameType | None) -> None:
        asked.append(signal.Signals(number).name)
        if len(asked) > 1:
            raise KeyboardInterrupt
        stop(asked[0])

    before = {number: signal.signal(number, receive) for number in ENDING_A_COMMAND}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
