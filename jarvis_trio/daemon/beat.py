"""Makes one kind of call again and again, at its pace: ticks are one kind, deliveries another."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

import trio

from jarvis_trio.clock import Clock
from jarvis_trio.daemon.bell import Bell
from jarvis_trio.daemon.pace import Moment, Pace


class Beat:
    """Starts calls, each as a task of its own, until it is told to stop.

    Args:
        pace: decides when the next call starts.
        clock: the wall clock, for instants that are due.
        call: makes one call; returns whether it did anything, and what is due next (aware UTC).
        ask: says what is due next, while calls are at work.
        bell: ends the sleeps between the calls.
    """

    def __init__(
        self,
        pace: Pace,
        clock: Clock,
        call: Callable[[], Awaitable[tuple[bool, datetime | None]]],
        ask: Callable[[], Awaitable[datetime | None]],
        bell: Bell | None = None,
    ) -> None:
        self.pace = pace
        self._clock = clock
        self._call = call
        self._ask = ask
        self._bell = bell or Bell()
        self._stopped = False
        self._works_off = False

    def wake(self) -> None:
        """Start a call as soon as there is a place for it."""
        self.pace.woken()
        self._sleep_on()

    def due(self, at: datetime | None) -> None:
        """Somebody knows when the next call is wanted (aware UTC, or None for never)."""
        is_news = self.pace.due(at)
        if at is not None and at <= self._clock.now():
            self.pace.woken()
            is_news = True
        if is_news:
            self._sleep_on()

    def stop(self) -> None:
        """Start no other call. `run` returns when those at work have ended."""
        self._stopped = True
        self._bell.ring()

    def work_off(self) -> None:
        """Start only what is due already. `run` returns when nothing of that is left."""
        self._works_off = True
        self._bell.ring()

    async def run(self) -> None:
        """Make the calls. Ends after `stop` or `work_off`, with the last call."""
        async with trio.open_nursery() as calls:
            while not self._stopped:
                now = self._now()
                seconds = self.pace.seconds_to_wait(now)
                if self.pace.wants_answer(now):
                    self.pace.asked()
                    self.pace.answered(await self._ask())
                elif seconds <= 0:
                    await self._start_call(calls)
                elif self._works_off and not self.pace.running_since:
                    return
                else:
                    await self._bell.sleep(seconds)

    async def _start_call(self, calls: trio.Nursery) -> None:
        number = self.pace.started(self._now())
        if self.pace.has_one_place:
            await self._one_call(number)  # nothing is to be done beside it, so it needs no task
        elif self.pace.asks:
            await calls.start(self._one_call, number)  # or the answer would be as of before the call
        else:
            calls.start_soon(self._one_call, number)  # without a nursery of its own, as `start` makes one

    async def _one_call(self, number: int, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        fruitful, due_at = False, None
        try:
            fruitful, due_at = await self._call()
        finally:
            self.pace.ended(number, self._now(), fruitful=fruitful, due_at=due_at)
            self._sleep_on()

    def _sleep_on(self) -> None:
        """Something has happened: go on with the sleep, as long as the pace says now.

        To wake the task, so that it sleeps again, would be one more step of the event loop.
        """
        if self._works_off:
            self._bell.ring()
        else:
            self._bell.ring_in(lambda: self.pace.seconds_to_wait(self._now()))

    def _now(self) -> Moment:
        return Moment(trio.current_time(), self._clock.now())
