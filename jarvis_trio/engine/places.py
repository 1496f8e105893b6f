"""How many runs may be under way at once, in all ticks of an engine.

Guarantees:

- No more runs are under way than there are places.
- Whoever gives a place back hears whether a tick has gone away without one, and hears it once.

This code assumes that a tick gives back what it took.
"""

from __future__ import annotations

import threading


class Places:
    """The places of one engine. Several threads may call it.

    Args:
        count: how many there are. None: each tick brings one of its own.
    """

    def __init__(self, count: int | None = None) -> None:
        self._count = count
        self._free = count or 0
        self._was_missed = False
        self._guard = threading.Lock()

    def take(self) -> int:
        """Take all that are free, and return how many that are; whoever gets none goes away."""
        if self._count is None:
            return 1
        with self._guard:
            taken, self._free = self._free, 0
            self._was_missed = self._was_missed or taken == 0
        return taken

    def give_back(self, number: int) -> bool:
        """Give places back. Returns whether somebody has gone away without one since the last time.

        Whether there was none before does not count: a tick that takes all and can do nothing
        would call the next one, and that one the next.
        """
        if self._count is None or number == 0:
            return False
        with self._guard:
            was_missed, self._was_missed = self._was_missed, False
            self._free += number
        return was_missed

    @property
    def are_free(self) -> bool:
        """Whether another tick would get a place."""
        return self._count is None or self._free > 0
