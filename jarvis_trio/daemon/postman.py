"""The postman sends the engine's messages, beside the ticks and never in their places (law 4).

Guarantees:

- A delivery holds up no tick, whatever its server does: it has threads of its own.
- A delivery that lasts longer than the deadline is abandoned. Its thread cannot be killed; it
  keeps one of `THREADS` until it ends, so a server that hangs forever fills no memory.
- A stop waits for deliveries no longer than the grace. What is unsent stays in the outbox.

This code assumes that the engine sends at most one message at a time on each channel, and
notices by itself that a delivery has outlived its deadline.
"""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

import trio

from jarvis_trio.clock import Clock
from jarvis_trio.daemon.beat import Beat
from jarvis_trio.daemon.engines import TotalEngine
from jarvis_trio.daemon.pace import Pace
from jarvis_trio.notation.text import error_text

DEADLINE = timedelta(seconds=40)
"""How long one delivery may last if the engine does not say."""

GRACE_SECONDS = 3.0
"""How long a stop waits for what is being delivered."""

PLACES = 8
THREADS = 24
"""Deliveries at the same time, and threads of theirs, those counted that hang."""

_logger = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class Postman:
    """Calls the engine's `deliver_due` while it has something to send.

    Args:
        engine: the engine.
        clock: the wall clock, for letters that are due later.
        run_sync: how a call is awaited; by default in a worker thread that may be abandoned.
    """

    def __init__(
        self, engine: TotalEngine, clock: Clock, run_sync: Callable[[Callable[[], Any]], Awaitable[Any]] | None
    ) -> None:
        self._engine = engine
        self._deadline_seconds = engine.delivery_deadline(DEADLINE).total_seconds()
        self._run_sync = run_sync or functools.partial(
            trio.to_thread.run_sync, limiter=trio.CapacityLimiter(THREADS), abandon_on_cancel=True
        )
        self._beat = Beat(Pace(math.inf, PLACES, woken=False), clock, self._deliver, self._ask)
        self._scope = trio.CancelScope()
        self._ended = trio.Event()

    def due(self, at: datetime | None) -> None:
        """The engine says when it has something to send (aware UTC, or None for never)."""
        self._beat.due(at)

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Deliver until `finish` is called or everything is cancelled."""
        with self._engine.deliveries_taken_over(), self._scope:
            task_status.started()
            await self._beat.run()
        self._ended.set()

    async def finish(self) -> None:
        """Send what is due, for at most `GRACE_SECONDS`; leave the rest in the outbox."""
        self._beat.due(self._engine.delivery_at)
        self._beat.work_off()
        with trio.move_on_after(GRACE_SECONDS):
            await self._ended.wait()
        self._scope.cancel()
        await self._ended.wait()

    async def _deliver(self) -> tuple[bool, datetime | None]:
        """One delivery. It ends with its call, or at the deadline without it."""
        fruitful = True
        with trio.move_on_after(self._deadline_seconds) as patience:
            fruitful = await self._in_thread(self._engine.deliver, False)
        if patience.cancelled_caught:
            _logger.warning("A delivery had no end within %g s; its thread is left alone", self._deadline_seconds)
        return fruitful, await self._ask()

    async def _ask(self) -> datetime | None:
        """What the newest look says: another one may have come between this one and its answer."""
        with trio.move_on_after(self._deadline_seconds):
            await self._in_thread(self._engine.look_for_letters, None)
        return self._engine.delivery_at

    async def _in_thread(self, call: Callable[[], _Result], otherwise: _Result) -> _Result:
        try:
            result: _Result = await self._run_sync(call)
        except Exception as error:  # noqa: BLE001  # border of law 4: no thread for a moment
            _logger.error("No message can be sent at this moment: %s", error_text(error))
            return otherwise
        return result
