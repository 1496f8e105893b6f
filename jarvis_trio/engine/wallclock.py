"""Notices that somebody set the wall clock, by the monotonic one.

The race: two ticks look after one jump. Under the guard the first one is told of it, and the
second one compares with what the first one saw.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from jarvis_trio.clock import Clock

CLOCK_SLACK = timedelta(seconds=5)
"""A clock set by less than this is a correction, and no schedule is moved.

ntpd steps the clock by parts of a second.
"""


class Jump(NamedTuple):
    """What a look found: it was `now`, the clock was set or not, and by how much back.

    At the first look of a process `back` is a guess: it was at least that.
    """

    now: datetime
    was_set: bool
    back: timedelta
    is_guess: bool = False


class WallClock:
    """Compares the wall clock with the monotonic one. Several threads may call it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._guard = threading.Lock()
        self._zero: datetime | None = None  # what the wall clock read when the monotonic one read 0
        self._steady_since = 0.0  # by the monotonic clock: since when the wall clock was not set

    def look(self, last_sign: Callable[[], datetime | None]) -> Jump:
        """Look whether the clock was set since the last look.

        It then lost time against the monotonic clock. At the first look it has lost time if the
        `last_sign` of an earlier process is still to come. Raises StoreError if that cannot be
        read.
        """
        with self._guard:
            now = self._clock.now()  # read again: the tick may have waited long for the database
            monotonic = self._clock.monotonic()
            zero = now - timedelta(seconds=monotonic)
            was_set = self._zero is None or abs(self._zero - zero) > CLOCK_SLACK
            if was_set:
                self._steady_since = monotonic
            is_guess = self._zero is None
            back = (last_sign() or now) - now if self._zero is None else self._zero - zero
            self._zero = zero
        return Jump(now, was_set, back, is_guess)

    def is_steady(self, now: datetime) -> bool:
        """Whether it goes on as the monotonic one does, but for small corrections."""
        zero = now - timedelta(seconds=self._clock.monotonic())
        with self._guard:
            if self._zero is None or abs(self._zero - zero) > CLOCK_SLACK:
                return False
            self._zero = zero
        return True

    def steady_for(self) -> timedelta:
        """How long the wall clock has not been set."""
        return timedelta(seconds=self._clock.monotonic() - self._steady_since)
