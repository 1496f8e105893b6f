"""The watcher has the engine do what people ask: run a task now, stop a run.

Guarantees:

- What is asked for never waits for a tick, and a stop never waits for a run.
- A shutdown starts no run that somebody asks for, and lets those at work finish (law 1). Stops
  are obeyed until the last run has ended, so a person can end what a shutdown waits for.

This code assumes that the engine's calls return at once if nobody asks for anything.
"""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import trio

from jarvis_trio.clock import Clock
from jarvis_trio.daemon.beat import Beat
from jarvis_trio.daemon.engines import TotalEngine
from jarvis_trio.daemon.pace import Pace
from jarvis_trio.notation.text import error_text

RUNS = 8
"""How many runs that people ask for go on at the same time, beside those of the ticks."""

_logger = logging.getLogger(__name__)


class Watcher:
    """Calls the engine's `obey_run` and `obey_stop` when woken, until nothing is left to obey.

    Args:
        engine: the engine.
        clock: the wall clock.
        run_sync: how a call is awaited; by default in a worker thread, until the call ends.
        on_run: called in the event loop after each run.
    """

    def __init__(
        self,
        engine: TotalEngine,
        clock: Clock,
        run_sync: Callable[[Callable[[], Any]], Awaitable[Any]] | None,
        on_run: Callable[[], object],
    ) -> None:
        self._on_run = on_run
        self._engine = engine
        self._clock = clock
        # Two threads more than runs: for a stop, and for the question whether more is asked for.
        limiter = trio.CapacityLimiter(RUNS + 2)
        self._run_sync = run_sync or functools.partial(trio.to_thread.run_sync, limiter=limiter)
        self._runs = self._beat(RUNS, engine.obey_run)
        self._stops = self._beat(1, engine.obey_stop)
        self._no_runs = trio.Event()

    @property
    def is_at_work(self) -> bool:
        """Whether runs that people asked for go on."""
        return bool(self._runs.pace.running_since)

    def wake(self) -> None:
        """Somebody may have asked for something."""
        self._runs.wake()
        self._stops.wake()

    def stop(self) -> None:
        """Start no other run."""
        self._runs.stop()

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Obey until `finish` is called."""
        async with trio.open_nursery() as beats:
            beats.start_soon(self._stops.run)
            task_status.started()
            await self._runs.run()
            self._no_runs.set()

    async def finish(self) -> None:
        """Wait for the runs at work; obey stops until then."""
        self._runs.stop()
        await self._no_runs.wait()
        self._stops.stop()

    def _beat(self, places: int, obey: Callable[[], bool]) -> Beat:
        async def call() -> tuple[bool, datetime | None]:
            obeyed = await self._in_thread(obey)
            self._on_run()
            return obeyed, await self._next_at()

        return Beat(Pace(math.inf, places), self._clock, call, self._next_at)

    async def _next_at(self) -> datetime | None:
        """When to obey next: now, if somebody asks for something that nobody has taken on."""
        return self._clock.now() if await self._in_thread(self._engine.look_for_requests) else None

    async def _in_thread(self, obey: Callable[[], bool]) -> bool:
        try:
            return bool(await self._run_sync(obey))
        except Exception as error:  # noqa: BLE001  # border of law 4: no thread for a moment
            _logger.error("What is asked for cannot be done at this moment: %s", error_text(error))
            return False
