"""Tests of the stop (law 1): real signals, and ticks in real threads that a test holds up."""

from __future__ import annotations

import functools
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import MagicMock

import pytest
import trio
import trio.testing

from jarvis_trio.daemon import JarvisDaemon
from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.store import MemoryStore
from tests.support.core_fakes import PATIENCE, START, FakeClock, Gate, a_task
from tests.support.daemon_fakes import Bare, raising, run_for

MockClock = trio.testing.MockClock
wait_thread = functools.partial(trio.to_thread.run_sync, abandon_on_cancel=False)


class Guarded:
    """An engine whose ticks block at a gate, in real threads."""

    def __init__(self, gate: Gate, concurrent: bool = False) -> None:
        self.gate = gate
        self.allows_concurrent_ticks = concurrent

    def evaluate_due_tasks(self) -> list[dict[str, Any]]:
        self.gate()
        return []


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()


Stop = Callable[[JarvisDaemon], None]


def send(number: signal.Signals) -> Stop:
    return lambda daemon: os.kill(os.getpid(), number)


@pytest.mark.law(1)
@pytest.mark.parametrize(
    "stop", [JarvisDaemon.shutdown, send(signal.SIGTERM), send(signal.SIGINT)], ids=["shutdown", "SIGTERM", "SIGINT"]
)
async def test_a_tick_in_a_real_thread_finishes_after_the_stop(stop: Stop, gate: Gate) -> None:
    daemon = JarvisDaemon(None, 60, engine=Guarded(gate))
    ended = trio.Event()

    async def run(*, task_status: trio.TaskStatus[None]) -> None:
        await daemon.run(task_status=task_status)
        ended.set()

    async with trio.open_nursery() as nursery:
        await nursery.start(run)
        await wait_thread(gate.wait)
        stop(daemon)
        await outside(lambda: daemon.stopped_by)
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert not ended.is_set()
        assert gate.passed == 0
        gate.opened.set()
    assert (ended.is_set(), gate.passed) == (True, 1)


@pytest.mark.law(1)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_a_sleeping_daemon_at_once(number: signal.Signals, mock_clock: MockClock) -> None:
    """The mock clock stands, so not a moment of sleep goes by."""
    daemon = JarvisDaemon(None, 60, engine=Bare([]))
    before = time.monotonic()
    async with trio.open_nursery() as nursery:
        await nursery.start(daemon.run)
        await trio.testing.wait_all_tasks_blocked(0.01)
        os.kill(os.getpid(), number)
    assert mock_clock.current_time() == 0
    assert time.monotonic() - before < PATIENCE


FURTHER_SIGNALS = (
    (signal.SIGTERM, "stopping"),
    (signal.SIGINT, "SIGINT again"),
    (signal.SIGTERM, "SIGTERM again"),
)


def said_in(caplog: pytest.LogCaptureFixture, text: str) -> bool:
    return text in caplog.text


@pytest.mark.law(1)
async def test_a_further_signal_tells_what_runs_and_since_when_and_waits(
    gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    clock = FakeClock()
    engine = Guarded(gate)
    engine.running = lambda: [("backup\x1b", START)]  # type: ignore[attr-defined]  # it offers that too
    daemon = JarvisDaemon(None, 60, engine=engine, clock=clock)
    with caplog.at_level(logging.INFO):
        async with trio.open_nursery() as nursery:
            await nursery.start(daemon.run)
            await wait_thread(gate.wait)
            for number, said in FURTHER_SIGNALS:
                os.kill(os.getpid(), number)
                await outside(functools.partial(said_in, caplog, said))
            assert gate.passed == 0
            clock.advance(seconds=90)
            gate.opened.set()
    assert caplog.text.count("'backup\\x1b' since Mon 2026-03-02 09:00 UTC") == 3
    assert "Stopped by SIGTERM; what ran was awaited for 1m30s" in caplog.text


@pytest.mark.law(4)
@pytest.mark.parametrize(
    "running", [True, "yes", lambda: 5, lambda: [5], lambda: [("a", "b")], raising(SystemExit(3)), MagicMock()]
)
async def test_an_engine_with_another_idea_of_running_drains_too(gate: Gate, running: Any) -> None:
    engine = Guarded(gate)
    engine.running = running  # type: ignore[attr-defined]  # as an engine of somebody else's may have it
    daemon = JarvisDaemon(None, 60, engine=engine)
    async with trio.open_nursery() as nursery:
        await nursery.start(daemon.run)
        await wait_thread(gate.wait)
        os.kill(os.getpid(), signal.SIGTERM)
        await outside(lambda: daemon.stopped_by)
        os.kill(os.getpid(), signal.SIGTERM)
        await trio.testing.wait_all_tasks_blocked(0.02)
        gate.opened.set()
    assert gate.passed == 1


async def test_sighup_wakes_it(mock_clock: MockClock) -> None:
    engine = Bare([])
    daemon = JarvisDaemon(None, 60, engine=engine)
    async with trio.open_nursery() as nursery:
        await nursery.start(daemon.run)
        await wait_for_ticks(engine, 1)
        os.kill(os.getpid(), signal.SIGHUP)
        await wait_for_ticks(engine, 2)
        daemon.shutdown()
    assert mock_clock.current_time() == 0


async def wait_for_ticks(engine: Bare, count: int) -> None:
    """Poll on a clock that stands still."""
    end = time.monotonic() + PATIENCE
    while len(engine.times) < count:
        assert time.monotonic() < end
        await trio.testing.wait_all_tasks_blocked(0.005)


@pytest.mark.law(1)
async def test_it_is_ready_when_its_receiver_is_armed_and_before_the_first_tick(gate: Gate) -> None:
    before = signal.getsignal(signal.SIGTERM)
    armed: list[bool] = []

    class Looks:
        def evaluate_due_tasks(self) -> None:
            armed.append(signal.getsignal(signal.SIGTERM) is not before)

    daemon = JarvisDaemon(None, 60, engine=Looks())  # type: ignore[arg-type]  # gives back nothing

    class Status:
        def started(self, value: None = None) -> None:
            armed.append(signal.getsignal(signal.SIGTERM) is not before)
            if armed[0]:
                os.kill(os.getpid(), signal.SIGTERM)  # a stop at the very start is a stop
            else:
                daemon.shutdown()

    await daemon.run(task_status=Status())
    assert signal.getsignal(signal.SIGTERM) is before
    assert armed in ([True], [True, True])


@pytest.mark.law(1)
@pytest.mark.parametrize("concurrent", [False, True])
async def test_a_cancellation_from_outside_waits_for_the_tick(gate: Gate, concurrent: bool) -> None:
    daemon = JarvisDaemon(None, 60, engine=Guarded(gate, concurrent), max_concurrent_ticks=2)
    async with trio.open_nursery() as nursery:
        await nursery.start(daemon.run)
        await wait_thread(gate.wait)
        nursery.cancel_scope.cancel()
        threading.Timer(0.05, gate.opened.set).start()
    assert gate.inside == 0
    assert gate.passed == gate.most_inside


@pytest.mark.law(3)
async def test_real_threads_overlap_up_to_the_limit(gate: Gate, store: MemoryStore, clock: FakeClock) -> None:
    for number in range(6):
        store.store_scheduled_task(a_task(f"t{number}", at="2026-03-02T08:00", next_run_at="2026-03-02T08:00"))
    engine = SchedulerEngine(store, clock=clock, handlers={"note": gate})
    daemon = JarvisDaemon(store, 60, engine=engine, clock=clock, max_concurrent_ticks=3)
    async with trio.open_nursery() as nursery:
        await nursery.start(daemon.run)
        await wait_thread(functools.partial(gate.wait, 3))
        await trio.testing.wait_all_tasks_blocked(0.02)
        assert len(engine.running()) == 3
        gate.opened.set()
        await outside(lambda: gate.passed == 6)
        daemon.shutdown()
    assert gate.most_inside == 3


@pytest.mark.law(1)
@pytest.mark.law(3)
async def test_what_is_in_flight_is_written_before_the_end(gate: Gate, store: MemoryStore, clock: FakeClock) -> None:
    store.store_scheduled_task(a_task(at="2026-03-02T08:00", next_run_at="2026-03-02T08:00"))
    store.store_scheduled_task(a_task("second", at="2026-03-02T08:30", next_run_at="2026-03-02T08:30"))
    engine = SchedulerEngine(store, clock=clock, handlers={"note": gate})
    daemon = JarvisDaemon(store, 60, engine=engine, clock=clock, max_concurrent_ticks=1)
    async with trio.open_nursery() as nursery:
        await nursery.start(daemon.run)
        await wait_thread(gate.wait)
        os.kill(os.getpid(), signal.SIGTERM)
        await outside(lambda: daemon.stopped_by)
        gate.opened.set()
    assert "running" not in {str(run.status) for run in store.runs.list_runs()}
    assert store.runs.list_runs(task="job")[0].result is None


def test_it_runs_beside_the_main_thread_without_signals() -> None:
    engine = Bare([])

    async def main() -> None:
        await run_for(JarvisDaemon(None, 60, engine=engine), 0.01)

    errors: list[BaseException] = []

    def run() -> None:
        try:
            trio.run(main)
        except BaseException as error:  # noqa: BLE001  # told to the main thread
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(PATIENCE)
    assert errors == []
    assert len(engine.times) == 1


async def test_it_leaves_no_thread_of_ours_behind(gate: Gate) -> None:
    gate.opened.set()
    await run_for(JarvisDaemon(None, 60, engine=Guarded(gate)), 0.02)
    with trio.fail_after(PATIENCE):
        await trio.testing.wait_all_threads_completed()


async def outside(condition: Callable[[], object]) -> None:
    """Poll in real time for what another thread brings about."""
    with trio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110  # nobody tells us
            await trio.sleep(0.005)


@pytest.mark.law(1)
async def test_a_second_signal_tells_until_when_it_waits_and_the_way_out(
    gate: Gate, store: MemoryStore, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    store.store_scheduled_task(a_task(next_run_at="2026-03-02T08:00:00", policy={"timeout_seconds": 600}))
    engine = SchedulerEngine(store, clock=clock, handlers={"note": gate})
    daemon = JarvisDaemon(store, 60, engine=engine, clock=clock)
    async with trio.open_nursery() as nursery:
        await nursery.start(daemon.run)
        await wait_thread(gate.wait)
        os.kill(os.getpid(), signal.SIGINT)
        await outside(lambda: daemon.stopped_by)
        os.kill(os.getpid(), signal.SIGINT)
        await outside(functools.partial(said_in, caplog, "SIGINT again"))
        gate.opened.set()
    assert (
        "SIGINT again: still waiting for 'job' since Mon 2026-03-02 09:00 UTC, "
        "at the latest until Mon 2026-03-02 09:10 UTC; to end a run: jarvis-trio stop NAME"
    ) in caplog.text


class SlowToFinish:
    """An engine with nothing to run, whose `finish` waits to be let go."""

    def __init__(self) -> None:
        self.finishing, self.go_on = threading.Event(), threading.Event()

    def evaluate_due_tasks(self) -> list[dict[str, Any]]:
        return []

    def finish(self) -> None:
        self.finishing.set()
        assert self.go_on.wait(PATIENCE)


async def test_a_second_signal_while_nothing_runs_names_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    engine = SlowToFinish()
    async with trio.open_nursery() as nursery:
        await nursery.start(JarvisDaemon(None, 60, engine=engine).run)
        os.kill(os.getpid(), signal.SIGTERM)
        await outside(engine.finishing.is_set)
        os.kill(os.getpid(), signal.SIGTERM)
        await outside(functools.partial(said_in, caplog, "SIGTERM again"))
        engine.go_on.set()

    assert "SIGTERM again: nothing runs, so it ends in a moment" in caplog.text
