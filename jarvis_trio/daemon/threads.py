"""The threads of engine calls: one that stays, and trio's own for calls that overlap with it.

trio ends a thread that has had no work for 10 s. A daemon that ticks once a minute would start
one for each tick, and the processor would wake once more just to end it.

Guarantees:

- A call is never abandoned: whoever awaits it goes on when it has ended, even if cancelled (law 1).
- What a call raises, up to `SystemExit`, is raised where it is awaited.

This code assumes that it is entered, used and left in one event loop.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

import trio


class Threads:
    """Awaits synchronous calls. Within the context one thread stays; outside all are trio's.

    Args:
        others: how many of trio's threads may be at work at the same time.
    """

    def __init__(self, others: int) -> None:
        self._limiter = trio.CapacityLimiter(others)
        self._calls: queue.SimpleQueue[_Call | None] | None = None
        self._has_thread = False
        self._is_busy = False

    def __enter__(self) -> Self:
        self._calls = queue.SimpleQueue()
        return self

    def __exit__(self, *_: object) -> None:
        if self._calls is not None:
            self._calls.put(None)
        self._calls = None
        self._has_thread = False

    async def run_sync(self, call: Callable[[], Any]) -> Any:
        """What `call` returns. Raises what it raises, and RuntimeError if no thread can be had."""
        if self._calls is None or self._is_busy:
            return await trio.to_thread.run_sync(call, limiter=self._limiter)
        await trio.lowlevel.checkpoint_if_cancelled()
        self._is_busy = True
        try:
            return await self._in_the_one_that_stays(self._calls, call)
        finally:
            self._is_busy = False

    async def _in_the_one_that_stays(self, calls: queue.SimpleQueue[_Call | None], call: Callable[[], Any]) -> Any:
        if not self._has_thread:
            threading.Thread(target=_serve, args=(calls,), name="engine", daemon=True).start()
            self._has_thread = True
        made = _Call(call)
        calls.put(made)
        await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.FAILED)
        return made.result()


class _Call:
    """A call that one task of the event loop awaits."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self._task = trio.lowlevel.current_task()
        self._loop = trio.lowlevel.current_trio_token()
        self._result: Any = None
        self._error: BaseException | None = None

    def make(self) -> None:
        """Make it, in any thread, and have the task go on."""
        try:
            self._result = self._call()
        except BaseException as error:  # noqa: BLE001  # it is raised in the event loop
            self._error = error
        with suppress(trio.RunFinishedError):  # the event loop has failed meanwhile
            self._loop.run_sync_soon(trio.lowlevel.reschedule, self._task)

    def result(self) -> Any:
        """What it returned. Raises what it raised."""
        if self._error is not None:
            raise self._error
        return self._result


def _serve(calls: queue.SimpleQueue[_Call | None]) -> None:
    while (call := calls.get()) is not None:
        call.make()
        del call  # or it would live until the next one
