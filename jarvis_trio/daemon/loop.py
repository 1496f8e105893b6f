"""The persistent process: a trio nursery around a synchronous engine (laws 1 and 7).

The law of cancellation: a shutdown cancels the loop's sleep and nothing else. A tick
is one engine call in a thread, and it is never abandoned; so one that is in flight
when the shutdown comes finishes, with its handlers and its writes.
"""

from __future__ import annotations

import functools
import itertools
import logging
import math
import signal
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

import trio

from jarvis_trio.clock import Clock, SystemClock
from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.errors import JarvisError
from jarvis_trio.instants import as_utc, duration_text
from jarvis_trio.text import error_text, moment_words

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_logger = logging.getLogger(__name__)

_COMPANY_AFTER = 1.0
"""Seconds after which a tick that was not expected to find work, but lasts, is no longer alone."""

_FIRST_PAUSE = 0.002
"""Seconds between the second tick and the third that found nothing where there should have been something."""

RunSync = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Awaits a synchronous call, and is not cancelled before the call has ended."""


class Engine(Protocol):
    """What the daemon asks of an engine; an existing one fits unchanged.

    It may also offer `next_due_at() -> datetime | None` (aware UTC): then the daemon
    sleeps until that instant where it comes before the interval is over. It may set
    `allows_concurrent_ticks = True`: then up to `max_concurrent_ticks` calls overlap.
    `running() -> list[tuple[str, datetime]]` names what runs, for the log. `finish()` is
    called at the end, when no tick runs any more.
    """

    def evaluate_due_tasks(self) -> list[dict[str, Any]]:
        """Run what is due now; return one mapping with a `status` for each task."""


class JarvisDaemon:
    """Ticks an engine until it is told to stop.

    Args:
        memory_store: given to `SchedulerEngine` where no engine is given.
        tick_interval: seconds, the longest sleep between two ticks.
        engine: the engine to tick.
        clock: what the time is, for the sleep until the next slot and for the log.
        max_concurrent_ticks: how many ticks of a willing engine may overlap.
        run_sync: how an engine call is awaited, by default in a worker thread.
            Simulations run it inline: trio's autojump clock does not see threads
            (trio#456).
        on_tick: called in the event loop with the instant at which a tick ended.
    """

    def __init__(
        self,
        memory_store: Any,
        tick_interval: float = 60,
        *,
        engine: Engine | None = None,
        clock: Clock | None = None,
        max_concurrent_ticks: int = 4,
        run_sync: RunSync | None = None,
        on_tick: Callable[[datetime], None] | None = None,
    ) -> None:
        self.engine: Any = SchedulerEngine(memory_store) if engine is None else engine
        self.tick_interval = tick_interval
        self._clock = clock or SystemClock()
        concurrent = getattr(self.engine, "allows_concurrent_ticks", False) is True
        self._places = max_concurrent_ticks if concurrent else 1
        # One thread more than ticks, for the question when the next slot is due.
        limiter = trio.CapacityLimiter(self._places + 1)
        self._run_sync = run_sync or functools.partial(trio.to_thread.run_sync, limiter=limiter)
        self._on_tick = on_tick
        self._ticking: dict[int, datetime] = {}
        self._numbers = itertools.count()
        self._regular_at = -math.inf
        self._tells_due = hasattr(self.engine, "next_due_at")
        self._due_at: datetime | None = None
        self._ask_at = math.inf
        self._fruitless_at: datetime | None = None
        self._fruitless_ticks = 0
        self._wake_asked = False
        self._change_seen = False
        self._last_failure: str | None = None
        self._stopped_by: str | None = None
        self._stopped_at = 0.0
        self._sleep_scope: trio.CancelScope | None = None

    def shutdown(self, reason: str = "shutdown") -> None:
        """Let what runs finish, start no other tick, and let `run` return; idempotent."""
        if self._stopped_by is None:
            self._stopped_by = reason
            self._stopped_at = self._clock.monotonic()
        self._end_sleep()

    def wake(self) -> None:
        """Tick as soon as a tick may start, instead of sleeping on."""
        self._wake_asked = True
        self._end_sleep()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Tick until `shutdown`, SIGTERM or SIGINT; SIGHUP wakes it.

        The signal receiver is armed before the first tick and stays open until the last
        one has ended. `task_status.started()` is called when it is armed.
        """
        async with trio.open_nursery() as nursery:
            await nursery.start(self._receive_signals)
            task_status.started()
            async with trio.open_nursery() as ticks:
                work_known = True
                while self._stopped_by is None:
                    await self._start_tick(ticks, work_known)
                    work_known = await self._sleep_until_wanted()
            if callable(getattr(self.engine, "finish", None)):
                await self._run_sync(self._finish)
            drained = timedelta(seconds=round(self._clock.monotonic() - self._stopped_at, 3))
            _logger.info("Stopped by %s; what ran was awaited for %s", self._stopped_by, duration_text(drained))
            nursery.cancel_scope.cancel()

    def run_until_stopped(self) -> None:
        """`run`, in an event loop that begins and ends with it."""
        trio.run(self.run)

    async def tick(self) -> list[dict[str, Any]]:
        """Call the engine once, in a thread; never raises what the engine raises.

        Returns the engine's results, or an empty list where it raised.
        """
        started = self._clock.monotonic()
        results: list[dict[str, Any]] = await self._run_sync(self._evaluate)
        if results:
            _log_tick(results, timedelta(seconds=round(self._clock.monotonic() - started, 3)))
        if self._on_tick is not None:
            self._on_tick(self._clock.now())
        return results

    def _evaluate(self) -> list[dict[str, Any]]:
        try:
            return list(self.engine.evaluate_due_tasks() or ())
        except BaseException as error:  # noqa: BLE001  # border of law 4: also SystemExit, which would end the nursery
            self._log_failure(error)
            return []
        finally:
            if self._tells_due:  # asked here, since another change of threads costs more than an idle tick
                self._due_at = self._next_due_at()

    def _finish(self) -> None:
        try:
            self.engine.finish()
        except BaseException as error:  # noqa: BLE001  # border of law 4: the exit must not fail for it
            _logger.error("The engine could not finish: %s", error_text(error))

    def _log_failure(self, error: BaseException) -> None:
        """One line for each failed tick; the traceback only where it is new, and no error of our own."""
        text = f"{type(error).__name__}: {error_text(error)}"
        unknown = not isinstance(error, JarvisError) and text != self._last_failure
        self._last_failure = text
        _logger.error("The tick failed: %s", text, exc_info=error if unknown else None)

    async def _start_tick(self, ticks: trio.Nursery, work_known: bool) -> None:
        number = next(self._numbers)
        self._ticking[number] = self._clock.now()
        if self._places == 1:
            await self._numbered_tick(number)
            return
        now = trio.current_time()
        self._regular_at = now + self.tick_interval
        if self._tells_due:
            self._ask_at = now + (0 if work_known else _COMPANY_AFTER)
        ticks.start_soon(self._numbered_tick, number)
        # The tasks of one batch run in random order; after two checkpoints it has begun.
        await trio.lowlevel.checkpoint()
        await trio.lowlevel.checkpoint()

    async def _numbered_tick(self, number: int) -> None:
        try:
            fruitful = bool(await self.tick())
            self._fruitless_at = None if fruitful else self._ticking[number]
            self._fruitless_ticks = 0 if fruitful else self._fruitless_ticks + 1
        finally:
            del self._ticking[number]
            self._ask_at = math.inf
            self._regular_at = trio.current_time() + self.tick_interval
            self._end_sleep()

    async def _sleep_until_wanted(self) -> bool:
        """Return when another tick is to start and may, or at the shutdown.

        Returns whether there is work for it: False where only the interval is over.
        """
        while self._stopped_by is None:
            self._change_seen = False
            free = len(self._ticking) < self._places
            seconds = await self._seconds_to_next_tick() if free else math.inf
            if free and (self._wake_asked or seconds <= 0):
                self._wake_asked = False
                return True
            if not self._change_seen:
                await self._sleep(seconds)
                if not self._change_seen:  # slept out
                    return trio.current_time() < self._regular_at
        return False

    async def _seconds_to_next_tick(self) -> float:
        now = trio.current_time()
        if self._ask_at <= now:
            self._ask_at = math.inf
            due_at = await self._run_sync(self._next_due_at)
            if not self._change_seen:  # a tick that ended meanwhile knows better
                self._due_at = due_at
            now = trio.current_time()
        regular = min(self._regular_at, self._ask_at) - now
        due_at = self._due_at
        if due_at is None:
            return regular
        if self._fruitless_at is not None and due_at <= self._fruitless_at:
            # A tick saw that work and could not do it (the database is locked, say): the
            # interval keeps the loop from spinning.
            return regular
        seconds = (due_at - self._clock.now()).total_seconds()
        if seconds > 1:
            self._fruitless_ticks = 0
        # The same for an engine that claims ever newer work and does none: growing pauses.
        return min(regular, max(seconds, _FIRST_PAUSE * (1 << min(self._fruitless_ticks, 30) >> 2)))

    def _next_due_at(self) -> datetime | None:
        try:
            due_at = self.engine.next_due_at()
            if due_at is None:
                return None
            if not isinstance(due_at, datetime):
                raise TypeError(f"it answered {due_at!r}, which is no datetime")
            return as_utc(due_at, self._clock.zone())
        except BaseException as error:  # noqa: BLE001  # border of law 4: it is ticked at the interval then
            _logger.error("The engine could not say what is due next: %s", error_text(error))
            return None

    async def _sleep(self, seconds: float) -> None:
        with trio.CancelScope(deadline=trio.current_time() + seconds) as self._sleep_scope:
            await trio.sleep_forever()
        self._sleep_scope = None

    def _end_sleep(self) -> None:
        self._change_seen = True
        if self._sleep_scope is not None:
            self._sleep_scope.cancel()

    async def _receive_signals(self, *, task_status: trio.TaskStatus[None]) -> None:
        if threading.current_thread() is not threading.main_thread():
            task_status.started()  # Python hands signals to the main thread alone
            return
        with trio.open_signal_receiver(*_SIGNALS) as received:
            task_status.started()
            async for number in received:
                self._obey(signal.Signals(number))

    def _obey(self, number: signal.Signals) -> None:
        if number is signal.SIGHUP:
            self.wake()
        elif self._stopped_by is None:
            self.shutdown(number.name)
            if self._ticking:
                _logger.info("%s: stopping when what runs has finished: %s", number.name, self._still_running())
        else:
            _logger.warning("%s again: still waiting for %s", number.name, self._still_running())

    def _still_running(self) -> str:
        zone = self._clock.zone()
        try:
            told = ", ".join(f"{name!r} since {moment_words(at, zone)}" for name, at in self.engine.running())
        except BaseException:  # noqa: BLE001  # border of law 4: an engine may have nothing of that name, or another thing
            told = ""
        return told or ", ".join(f"the tick since {moment_words(at, zone)}" for at in self._ticking.values())


def _log_tick(results: list[dict[str, Any]], took: timedelta) -> None:
    count = Counter(str(result.get("status")) for result in results if isinstance(result, Mapping))
    _logger.info(
        "Tick: %d evaluated, %d executed, %d errors, %d timeouts, %d skipped or missed, in %s",
        len(results),
        count["executed"],
        count["error"],
        count["timeout"],
        count["skipped"] + count["missed"],
        duration_text(took),
    )
