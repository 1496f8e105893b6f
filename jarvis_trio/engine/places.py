"""How many runs may be under way at once, in all ticks of an engine.

Guarantees:

- No more runs are under way than there are places.
- Whoever gives back a place after all were taken hears so: a tick may have gone away without.

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
        self._guard = threading.Lock()

    def take(self) -> int:
        """Take all that are free, and return how many that are."""
        if self._count is None:
            return 1
        with self._guard:
            taken, self._free = self._free, 0
        return taken

    def give_back(self, number: int) -> bool:
        """Give places back. Returns whether there was none before, and there is one now."""
        if self._count is None or number == 0:
            return False
        with self._guard:
            was_full = self._free == 0
            self._free += number
        return was_full

    @property
    def are_free(self) -> bool:
        """Whether another tick would get a place."""
        return self._count is None or self._free > 0
