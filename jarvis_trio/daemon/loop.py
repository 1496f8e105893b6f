"""The persistent process: a trio nursery around a synchronous engine (laws 1 and 7).

Guarantees:

- A shutdown ends the loop's sleep and nothing else. A tick is one engine call in a thread,
  and it is never abandoned; so a tick in flight finishes, with its handlers and its writes.
- The signal receiver is armed before the first tick and closed after the last one.
- Nothing that an engine does ends the loop (`daemon.engines` is the border).

This code assumes that an engine call ends at some time. The engine keeps that for handlers
by their time limits; an engine of others has to see to it itself.

The races, each decided by one place:

1. A tick ends, or somebody wakes the daemon, while the loop is awake. `Pace` keeps that, and the
   loop asks it before each sleep; a sleep that has begun is ended, or its end is moved, by `Bell`.
2. A tick ends while the engine is asked what is due. `Pace.answered` drops the older answer.
3. A signal comes before the receiver is armed or after it is closed: `process.signals`.
4. A tick tells what is due while another one ends, and whichever of them has looked first comes
   last. The loop hears that there was a look, and acts on the newest one (`TotalEngine.due_at`).
"""

from __future__ import annotations

import functools
import logging
import signal
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, TypeVar

import trio

from jarvis_trio.clock import Clock, SystemClock
from jarvis_trio.daemon.beat import Beat
from jarvis_trio.daemon.bell import Bell, Skip
from jarvis_trio.daemon.engines import Engine, Results, TotalEngine
from jarvis_trio.daemon.lookout import Lookout
from jarvis_trio.daemon.pace import Pace
from jarvis_trio.daemon.postman import Postman
from jarvis_trio.daemon.watcher import Watcher
from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.notation.instants import duration_text
from jarvis_trio.notation.jsontext import json_value
from jarvis_trio.notation.text import moment_words
from jarvis_trio.store import MemoryStore

__all__ = ["Engine", "JarvisDaemon"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_logger = logging.getLogger(__name__)
_Result = TypeVar("_Result")

RunSync = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Awaits a synchronous call, and is not cancelled before the call has ended."""


class JarvisDaemon:
    """Ticks an engine until it is told to stop.

    Args:
        memory_store: given to `SchedulerEngine` if no engine is given.
        tick_interval: seconds, the longest sleep between two ticks.
        engine: the engine to tick.
        clock: another clock than the store's, for the sleep until the next slot and for the log.
        max_concurrent_ticks: how many ticks of a willing engine may overlap, and how many runs of
            an engine that lets a tick have several may be under way.
        run_sync: how an engine call is awaited, by default in a worker thread.
            Simulations run it inline: trio's autojump clock does not see threads
            (trio#456).
        skip: leaves a sleep of the tick loop out if nothing happens meanwhile, for simulations.
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
        skip: Skip | None = None,
        on_tick: Callable[[datetime], None] | None = None,
    ) -> None:
        self.engine: Any = SchedulerEngine(memory_store) if engine is None else engine
        self.tick_interval = tick_interval
        self._clock = clock or _clock_of(memory_store)
        self._asked = TotalEngine(self.engine, self._clock.zone)
        places = max_concurrent_ticks if self._asked.overlaps else 1
        if run_sync is None:
            self._asked.let_run(places)
        # One thread more than ticks, for the question what is due next.
        limiter = trio.CapacityLimiter(places + 1)
        self._run_sync = run_sync or functools.partial(trio.to_thread.run_sync, limiter=limiter)
        # With one place no tick starts beside another one, but its messages are sent then. In a
        # simulation nothing is done beside a tick.
        self._told = self._asked.tells and (places > 1 or run_sync is None)
        pace = Pace(tick_interval, places, asks=not self._told)
        bell = None if skip is None else Bell(skip)
        self._ticks = Beat(pace, self._clock, self._one_tick, self._ask_due, bell)
        self._postman = Postman(self._asked, self._clock, run_sync) if self._asked.delivers else None
        self._watcher = Watcher(self._asked, self._clock, run_sync, self._tell_postman) if self._asked.obeys else None
        self._lookout = self._make_lookout() if run_sync is None else None  # what is simulated, nobody else writes
        self._is_simulated = run_sync is not None
        self._on_tick = on_tick
        self._first_ended = trio.Event()
        self._stopped_by: str | None = None
        self._stopped_at = 0.0

    def shutdown(self, reason: str = "shutdown") -> None:
        """Let what runs finish, start no other tick, and let `run` return; idempotent."""
        if self._stopped_by is None:
            self._stopped_by = reason
            self._stopped_at = self._clock.monotonic()
        self._ticks.stop()
        if self._watcher is not None:
            self._watcher.stop()

    @property
    def stopped_by(self) -> str | None:
        """What `shutdown` was called for, such as `SIGTERM`; None before that."""
        return self._stopped_by

    @property
    def quiet_until(self) -> datetime | None:
        """The next instant at which the engine wants a call (aware UTC); None for never.

        The engine named it after its last tick.
        """
        return min(filter(None, (self._asked.due_at, self._asked.delivery_at)), default=None)

    @property
    def only_ticks(self) -> bool:
        """Whether no message waits and nobody asks for anything, as of the engine's last tick."""
        return self._asked.delivery_at is None and not self._asked.is_asked

    def wake(self) -> None:
        """Stop sleeping: look at what people ask for, and tick as soon as a tick may start."""
        self._ticks.wake()
        if self._watcher is not None:
            self._watcher.wake()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Tick until `shutdown`, SIGTERM or SIGINT; SIGHUP wakes it.

        The signal receiver is armed before the first tick and stays open until the last
        one has ended. `task_status.started()` is called when it is armed.
        """
        async with trio.open_nursery() as concerns:
            await concerns.start(self._receive_signals)
            task_status.started()
            await self._start_beside_the_ticks(concerns)
            await self._ticks.run()
            await self._finish()

            drained = timedelta(seconds=round(self._clock.monotonic() - self._stopped_at, 3))
            _logger.info("Stopped by %s; what ran was awaited for %s", self._stopped_by, duration_text(drained))
            concerns.cancel_scope.cancel()

    def run_until_stopped(self) -> None:
        """`run`, in an event loop that begins and ends with it."""
        trio.run(self.run)

    async def tick(self) -> list[dict[str, Any]]:
        """Call the engine once, in a thread; never raises what the engine raises.

        Returns the engine's results, or an empty list if it raised.
        """
        started = self._clock.monotonic()
        results: Results = await self._in_thread(self._asked.evaluate, [])
        if results and not self._asked.logs_runs:
            _log_tick(results, timedelta(seconds=round(self._clock.monotonic() - started, 3)))
        if self._on_tick is not None:
            self._on_tick(self._clock.now())
        return results

    async def _start_beside_the_ticks(self, concerns: trio.Nursery) -> None:
        for concern in (self._postman, self._watcher, self._lookout):
            if concern is not None:
                await concerns.start(concern.run)
        if not self._is_simulated:
            concerns.start_soon(self._load_the_rest)
        if self._told:
            self._asked.tell(functools.partial(_in_loop, trio.lowlevel.current_trio_token(), self._act_on_look))

    async def _load_the_rest(self) -> None:
        """Have the engine import what later ticks may need, once a tick has ended.

        A stop does not wait for it.
        """
        await self._first_ended.wait()
        with suppress(RuntimeError):  # no thread can be had at this moment
            await trio.to_thread.run_sync(self._asked.load_the_rest, abandon_on_cancel=True)

    async def _finish(self) -> None:
        """The ticks are over: end the rest, each as it may."""
        if self._watcher is not None:
            await self._watcher.finish()
        if self._postman is not None:
            await self._postman.finish()
        # As late as can be: a full disk may have room by now.
        await self._in_thread(self._asked.finish, None)

    async def _one_tick(self) -> tuple[bool, datetime | None]:
        results = await self.tick()
        if self._lookout is not None:
            self._lookout.looked(settled=self._asked.is_settled)
        self._first_ended.set()
        self._act_beside_ticks()
        return bool(results), self._asked.due_at

    async def _look(self) -> bool:
        """Somebody else wrote: act on what is due now. Returns whether all of it was seen."""
        await self._in_thread(self._asked.look, None)
        self._act_on_look()
        return self._asked.is_settled

    def _act_on_look(self) -> None:
        """Act on the newest look of the engine, beside the ticks or in one that goes on."""
        self._ticks.due(self._asked.due_at)
        self._act_beside_ticks()

    def _act_beside_ticks(self) -> None:
        self._tell_postman()
        if self._watcher is not None and self._asked.is_asked:
            self._watcher.wake()

    def _tell_postman(self) -> None:
        if self._postman is not None:
            self._postman.due(self._asked.delivery_at)

    def _make_lookout(self) -> Lookout | None:
        files = self._asked.watched_files()
        if not files:
            return None
        lookout = Lookout(files, self._look, self._asked.make_watch)
        self._asked.before_look = lookout.forget
        return lookout

    async def _ask_due(self) -> datetime | None:
        return await self._in_thread(self._asked.next_due_at, None)

    async def _in_thread(self, call: Callable[[], _Result], otherwise: _Result) -> _Result:
        """What `call` returns, or `otherwise` if no thread can be had for it at this moment."""
        try:
            result: _Result = await self._run_sync(call)
        except Exception as error:  # noqa: BLE001  # border of law 4: EAGAIN of clone, say, is over soon
            self._asked.log_failed_tick(error)
            return otherwise
        return result

    async def _receive_signals(self, *, task_status: trio.TaskStatus[None]) -> None:
        """The receiver. It ends when `run` cancels it, after the last tick."""
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
            if self._ticks.pace.running_since or (self._watcher is not None and self._watcher.is_at_work):
                _logger.info("%s: stopping when what runs has finished: %s", number.name, self._still_running())
        elif still_running := self._still_running():
            _logger.warning("%s again: still waiting for %s%s", number.name, still_running, self._way_out())
        else:
            _logger.info("%s again: nothing runs, so it ends in a moment", number.name)

    def _way_out(self) -> str:
        """Until when the stop waits, and how a person ends it sooner."""
        until = self._asked.busy_until()
        limit = "" if until is None else f", at the latest until {moment_words(until, self._clock.zone())}"
        return limit + ("; to end a run: jarvis-trio stop NAME" if self._watcher is not None else "")

    def _still_running(self) -> str:
        zone = self._clock.zone()
        runs = [f"{name!r} since {moment_words(at, zone)}" for name, at in self._asked.running()]
        return ", ".join(runs or [f"the tick since {moment_words(at, zone)}" for at in self._ticks.pace.running_since])


def _clock_of(store: object) -> Clock:
    """The store's clock (law 6); the machine's if the store is another program's."""
    return store.clock if isinstance(store, MemoryStore) else SystemClock()


def _in_loop(token: trio.lowlevel.TrioToken, call: Callable[[], None]) -> None:
    """Have the event loop make a call, from any thread; nothing happens if the loop has ended."""
    with suppress(trio.RunFinishedError):
        token.run_sync_soon(call)


def _log_tick(results: Results, took: timedelta) -> None:
    """What the tick of another program's engine did; ours logs each of its runs."""
    count = Counter(_status(result) for result in results if isinstance(result, Mapping))
    counted = {
        "executed": count["executed"],
        "errors": count["error"],
        "timeouts": count["timeout"],
        "skipped or missed": count["skipped"] + count["missed"],
    }
    ended = "".join(f", {number} {word}" for word, number in counted.items() if number)
    _logger.info("Tick: %d evaluated%s, in %s", len(results), ended, duration_text(took))


def _status(result: Mapping[str, Any]) -> str:
    """How one task ended. What a handler reports as an error within its result counts as one."""
    status, answer = str(result.get("status")), result.get("result")
    value = json_value(answer) if isinstance(answer, str) else answer
    failed = status == "executed" and isinstance(value, Mapping) and value.get("status") == "error"
    return "error" if failed else status
