"""Which tick claims next: one at a time, as long as runs are short.

Two ticks that claim and record beside each other wait for each other's transactions and for the
interpreter, and together do less than one alone. A tick that is held up by a handler needs company.
So a tick claims when each of the others has been with its handler for a moment.

Guarantees:

- A tick that waits for its turn has nothing in hand: what it ran is recorded.
- While a handler takes its time, another tick claims a moment later.
- Two ticks never wait for each other: who waits does not count.

This code assumes that who claims is soon done with it: it waits for the database at most, for which
another tick would have to wait as well.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta

MOMENT = timedelta(milliseconds=1)
"""How long a handler runs before another tick claims. To claim and record takes a third of it."""


class Turns:
    """The ticks of one engine that claim or run something. Several threads may call it.

    Args:
        moment: how long a handler runs before another tick claims. By the steady clock and not by
            an injected one, since threads are waited for.
        is_over: whether the engine claims nothing further; then nobody waits.
    """

    def __init__(self, is_over: Callable[[], bool], moment: timedelta = MOMENT) -> None:
        self._is_over = is_over
        self._moment = moment.total_seconds()
        self._guard = threading.Lock()
        self._with_handler_since: dict[int, float | None] = {}

    def is_free(self) -> bool:
        """Whether this thread's tick may claim at once."""
        return self._seconds_left() <= 0

    def take(self) -> None:
        """Wait for the turn of this thread's tick, and take it: it claims now."""
        me = threading.get_ident()
        while (seconds := self._seconds_left()) > 0 and not self._is_over():
            self._set_down(me)
            time.sleep(seconds)
        with self._guard:
            self._with_handler_since[me] = None

    def lend(self) -> None:
        """This thread's tick has claimed, and now waits for a handler."""
        with self._guard:
            self._with_handler_since[threading.get_ident()] = time.monotonic()

    def leave(self) -> None:
        """This thread's tick is done with claims."""
        self._set_down(threading.get_ident())

    def _set_down(self, tick: int) -> None:
        with self._guard:
            self._with_handler_since.pop(tick, None)

    def _seconds_left(self) -> float:
        """How long this thread's tick is to wait at least."""
        me, now = threading.get_ident(), time.monotonic()
        with self._guard:
            others = [since for tick, since in self._with_handler_since.items() if tick != me]
        return max((self._moment if since is None else since + self._moment - now for since in others), default=0.0)
