"""A sleep that others can end, or make longer or shorter."""

from __future__ import annotations

from collections.abc import Callable

import trio

Skip = Callable[[float], bool]
"""Is told how many seconds a sleep lasts; returns whether it has let them pass by itself."""


class Bell:
    """Ends the sleep of one task. A ring while that task is awake ends its next sleep at once.

    `trio.Event` was considered and rejected: it cannot be used twice, and two tasks that
    replace it race. Call it in the event loop's thread only.

    Args:
        skip: leaves a sleep out, for simulations.
    """

    def __init__(self, skip: Skip = lambda seconds: False) -> None:
        self._skip = skip
        self._has_rung = False
        self._sleep: trio.CancelScope | None = None

    def ring(self) -> None:
        """End the sleep, now or as soon as it begins."""
        self._has_rung = True
        if self._sleep is not None:
            self._sleep.cancel()

    def ring_in(self, seconds: Callable[[], float]) -> None:
        """End the sleep after that many seconds from now, and not when it was to end.

        The sleeper does not wake for that. One who is awake decides itself how long to sleep, so
        `seconds` is not asked then.
        """
        if self._sleep is not None:
            self._sleep.deadline = trio.current_time() + seconds()

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds, or when the bell rings."""
        if not self._has_rung and not self._skip(seconds):
            with trio.CancelScope(deadline=trio.current_time() + seconds) as self._sleep:
                await trio.sleep_forever()
        self._sleep = None
        self._has_rung = False
