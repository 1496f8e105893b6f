"""Tests of the watcher: what people ask for is done at once, and a stop never waits for a run (laws 1 and 4)."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import trio
import trio.testing

from jarvis_trio.daemon import JarvisDaemon
from tests.support.core_fakes import PATIENCE


class Obedient:
    """An engine of which people ask for runs; each goes on until one is told to stop."""

    obeys_requests = True
    logs_runs = True

    def __init__(self) -> None:
        self.wanted_runs = 0
        self.wanted_stops = 0
        self.under_way = 0
        self.done = 0
        self._stopping = threading.Semaphore(0)
        self._guard = threading.Lock()

    def evaluate_due_tasks(self) -> list[dict[str, Any]]:
        return []

    def is_asked(self) -> bool:
        return self.wanted_runs + self.wanted_stops > 0

    def obey_run(self) -> bool:
        with self._guard:
            if not self.wanted_runs:
                return False
            self.wanted_runs -= 1
            self.under_way += 1
        assert self._stopping.acquire(timeout=PATIENCE)
        with self._guard:
            self.under_way -= 1
            self.done += 1
        return True

    def obey_stop(self) -> bool:
        with self._guard:
            if not self.wanted_stops:
                return False
            self.wanted_stops -= 1
        self._stopping.release()
        return True


async def until(condition: Any) -> None:
    with trio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110  # what it looks at is changed by a thread
            await trio.sleep(0.01)


async def test_a_wake_starts_all_runs_that_are_asked_for_side_by_side(nursery: trio.Nursery) -> None:
    engine = Obedient()
    daemon = JarvisDaemon(None, engine=engine)
    nursery.start_soon(daemon.run)
    engine.wanted_runs = 3
    daemon.wake()
    await until(lambda: engine.under_way == 3)
    engine.wanted_stops = 3
    daemon.wake()
    await until(lambda: engine.done == 3)
    daemon.shutdown()


@pytest.mark.law(1)
async def test_a_shutdown_lets_a_run_finish_starts_no_other_and_still_obeys_stops(nursery: trio.Nursery) -> None:
    engine = Obedient()
    ended = trio.Event()
    calls: list[Any] = []

    async def in_thread(call: Any) -> Any:
        calls.append(call)
        try:
            return await trio.to_thread.run_sync(call)
        finally:
            calls.remove(call)

    daemon = JarvisDaemon(None, engine=engine, run_sync=in_thread)

    async def run() -> None:
        await daemon.run()
        ended.set()

    nursery.start_soon(run)
    engine.wanted_runs = 1
    daemon.wake()
    await until(lambda: engine.under_way == 1)
    daemon.shutdown()
    await trio.testing.wait_all_tasks_blocked()
    await until(lambda: len(calls) == 1)  # a call that had begun before may take on what comes now
    engine.wanted_runs = 1
    daemon.wake()
    await trio.sleep(0.1)
    assert (engine.under_way, engine.done, ended.is_set()) == (1, 0, False)

    engine.wanted_stops = 1
    daemon.wake()
    with trio.fail_after(PATIENCE):
        await ended.wait()
    assert (engine.done, engine.wanted_runs) == (1, 1)


async def test_a_tick_notices_what_is_asked_for_without_a_wake(nursery: trio.Nursery) -> None:
    engine = Obedient()
    engine.wanted_runs = 1
    daemon = JarvisDaemon(None, engine=engine)
    nursery.start_soon(daemon.run)
    await until(lambda: engine.under_way == 1)
    engine.wanted_stops = 1
    daemon.wake()
    await until(lambda: engine.done == 1)
    daemon.shutdown()


@pytest.mark.law(4)
async def test_an_engine_that_cannot_obey_goes_on_ticking(nursery: trio.Nursery) -> None:
    class Broken(Obedient):
        ticks = 0

        def evaluate_due_tasks(self) -> list[dict[str, Any]]:
            self.ticks += 1
            return []

        def obey_run(self) -> bool:
            raise SystemExit

        obey_stop = is_asked = obey_run

    engine = Broken()
    daemon = JarvisDaemon(None, engine=engine)
    nursery.start_soon(daemon.run)
    await until(lambda: engine.ticks == 1)
    daemon.wake()
    await until(lambda: engine.ticks == 2)
    daemon.shutdown()
