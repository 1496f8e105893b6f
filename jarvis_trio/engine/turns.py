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

import math
import time
from collections.abc import Callable
from datetime import timedelta

MOMENT = timedelta(milliseconds=1)
"""How long a handler runs before another tick claims. To claim and record takes a third of it."""


class Turns:
    """The ticks of one engine that claim or run something. Several threads may call it.

    Args:
        is_over: whether the engine claims nothing further; then nobody waits.
        moment: how long a handler runs before another tick claims. By the steady clock and not by
            an injected one, since threads are waited for.
    """

    def __init__(self, is_over: Callable[[], bool], moment: timedelta = MOMENT) -> None:
        self.is_over = is_over
        self.moment = moment.total_seconds()
        self.ticks: list[Turn] = []

    def join(self) -> Turn:
        """A tick begins. Its `leave` is called at its end."""
        turn = Turn(self)
        self.ticks.append(turn)
        return turn


class Turn:
    """One tick among the others; its thread calls it."""

    __slots__ = ("_claims_until", "_turns")

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._claims_until = -math.inf  # by the steady clock: until then the others wait for it

    def is_free(self) -> bool:
        """Whether this tick may claim at once."""
        return len(self._turns.ticks) == 1 or self._seconds_left() <= 0

    def take_if_free(self) -> bool:
        """Take this tick's turn if it is its turn already; never waits."""
        if not self.is_free():
            return False
        self._claims_until = math.inf
        return True

    def take(self) -> None:
        """Wait for this tick's turn, and take it: it claims now."""
        while not self.take_if_free() and not self._turns.is_over():
            self._claims_until = -math.inf
            time.sleep(max(0.0, min(self._seconds_left(), self._turns.moment)))
        self._claims_until = math.inf

    def lend(self) -> None:
        """This tick is done with its claim, and waits for a handler now."""
        self._claims_until = time.monotonic() + self._turns.moment

    def leave(self) -> None:
        """This tick has ended."""
        self._turns.ticks.remove(self)

    def _seconds_left(self) -> float:
        """How long this tick has to wait at least."""
        others = [turn._claims_until for turn in list(self._turns.ticks) if turn is not self]
        return max(others, default=-math.inf) - time.monotonic()
