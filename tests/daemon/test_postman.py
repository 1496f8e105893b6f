"""Tests of the postman (laws 1 and 4): on trio's mock clock, and in real threads that hang."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from jarvis_trio.daemon import JarvisDaemon
from jarvis_trio.daemon.postman import GRACE_SECONDS
from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.engine.notices import Notices
from jarvis_trio.store import MemoryStore
from jarvis_trio.testing.machine import SimulatedClock
from tests.support.core_fakes import PATIENCE, START, Gate, a_task
from tests.support.daemon_fakes import Bare, run_for

MockClock = trio.testing.MockClock


class Writing(Bare):
    """An engine with messages to send, as instants in seconds from START. Notes when each was sent."""

    delivers_itself = True

    def __init__(self, *letters: float) -> None:
        super().__init__([])
        self.letters = [START + timedelta(seconds=seconds) for seconds in letters]
        self.sent: list[float] = []
        self.took_over: list[bool] = []

    def evaluate_due_tasks(self) -> Any:
        self.took_over.append(self.delivers_itself)
        return super().evaluate_due_tasks()

    def next_delivery_at(self) -> datetime | None:
        return min(self.letters, default=None)

    def deliver_due(self) -> Any:
        self.letters.remove(min(self.letters))
        self.sent.append(trio.current_time())
        return True


@pytest.fixture
def world(autojump_clock: MockClock) -> SimulatedClock:
    return SimulatedClock(autojump_clock, START, UTC)


async def inline(call: Callable[[], Any]) -> Any:
    return call()


def daemon_of(engine: Any, world: SimulatedClock, run_sync: Any = inline) -> JarvisDaemon:
    return JarvisDaemon(None, 60, engine=engine, clock=world, run_sync=run_sync)


async def test_a_message_is_sent_when_it_is_due_beside_the_ticks(
    autojump_clock: MockClock, world: SimulatedClock
) -> None:
    engine = Writing(0, 7.5, 61)
    await run_for(daemon_of(engine, world), 100)
    assert engine.sent == [0, 7.5, 61]
    assert engine.times == [0, 60]


async def test_the_engine_leaves_its_messages_to_the_postman_while_the_daemon_runs(
    autojump_clock: MockClock, world: SimulatedClock
) -> None:
    engine = Writing()
    await run_for(daemon_of(engine, world), 10)
    assert engine.took_over == [False]
    assert engine.delivers_itself


@pytest.mark.law(4)
async def test_an_engine_that_delivers_nothing_gets_the_loop_alone(
    autojump_clock: MockClock, world: SimulatedClock
) -> None:
    engine = Bare([])
    await run_for(daemon_of(engine, world), 10)
    assert not hasattr(engine, "delivers_itself")


@pytest.mark.law(4)
@pytest.mark.parametrize("answer", [SystemExit(3), ValueError("no luck"), MemoryError()])
async def test_a_postman_whose_call_raises_is_called_again_with_the_next_tick(
    autojump_clock: MockClock, world: SimulatedClock, answer: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    engine = Writing(0)

    def deliver() -> bool:
        engine.sent.append(trio.current_time())
        raise answer

    engine.deliver_due = deliver  # type: ignore[method-assign]  # the point
    await run_for(daemon_of(engine, world), 130)
    assert engine.sent == [0, 60, 120, 130]
    assert "A message could not be dealt with" in caplog.text


@pytest.mark.law(1)
async def test_a_stop_while_nothing_is_due_waits_for_no_message(
    autojump_clock: MockClock, world: SimulatedClock
) -> None:
    engine = Writing(1000)
    await run_for(daemon_of(engine, world), 10)
    assert (trio.current_time(), engine.sent) == (10, [])


async def test_what_was_kept_back_is_written_last_since_a_full_disk_may_have_room_by_then(
    autojump_clock: MockClock, world: SimulatedClock
) -> None:
    class Keeping(Writing):
        def finish(self) -> None:
            self.sent.append(-1)

    engine = Keeping(10)
    await run_for(daemon_of(engine, world), 10)
    assert engine.sent == [10, -1]


class Hanging:
    """An engine whose deliveries hang in real threads until the test lets them go."""

    delivers_itself = True
    delivery_deadline = timedelta(seconds=0.1)

    def __init__(self, letters: int = 1) -> None:
        self.letters = letters
        self.entered = threading.Semaphore(0)
        self.let_go = threading.Event()
        self.ticks = 0

    def evaluate_due_tasks(self) -> list[dict[str, Any]]:
        self.ticks += 1
        return []

    def next_delivery_at(self) -> datetime | None:
        return START if self.letters else None

    def deliver_due(self) -> bool:
        if not self.letters:
            return False
        self.letters -= 1
        self.entered.release()
        return self.let_go.wait(PATIENCE)


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    engine = Hanging(2)
    yield engine
    engine.let_go.set()


async def wait_until_one_hangs(engine: Hanging) -> None:
    assert await trio.to_thread.run_sync(lambda: engine.entered.acquire(timeout=PATIENCE))


@pytest.mark.law(4)
async def test_a_delivery_that_hangs_is_abandoned_and_the_next_one_sent(
    hanging: Hanging, caplog: pytest.LogCaptureFixture
) -> None:
    daemon = JarvisDaemon(None, 60, engine=hanging)
    async with trio.open_nursery() as nursery:
        await nursery.start(daemon.run)
        await wait_until_one_hangs(hanging)
        await wait_until_one_hangs(hanging)
        while caplog.text.count("A delivery had no end within 0.1 s") < 2:  # noqa: ASYNC110  # nobody tells us
            await trio.sleep(0.005)
        daemon.shutdown()


@pytest.mark.law(1)
async def test_a_stop_waits_for_a_delivery_no_longer_than_the_grace(hanging: Hanging, mock_clock: MockClock) -> None:
    hanging.delivery_deadline = timedelta(days=1)
    daemon = JarvisDaemon(None, 60, engine=hanging)
    async with trio.open_nursery() as nursery:
        await nursery.start(daemon.run)
        await wait_until_one_hangs(hanging)
        daemon.shutdown()
        await trio.testing.wait_all_tasks_blocked(0.02)
        mock_clock.jump(GRACE_SECONDS)
    assert mock_clock.current_time() == GRACE_SECONDS


@pytest.mark.law(1)
async def test_what_the_last_tick_wrote_is_sent_within_the_grace(
    autojump_clock: MockClock, world: SimulatedClock
) -> None:
    engine = Writing()
    daemon = daemon_of(engine, world)

    def last_tick() -> list[dict[str, Any]]:
        engine.letters.append(world.now())
        daemon.shutdown()
        return [{"status": "executed"}]

    engine.evaluate_due_tasks = last_tick  # type: ignore[method-assign]  # the point
    await daemon.run()
    assert (engine.sent, engine.letters) == ([0], [])


@pytest.mark.law(4)
async def test_law_4_a_message_does_not_wait_for_the_end_of_a_tick_that_goes_on(
    autojump_clock: MockClock, world: SimulatedClock
) -> None:
    """Its tick has a longer run as well, and no file shows what this process writes."""

    class Telling(Writing):
        allows_concurrent_ticks = True
        tell_due: Callable[[datetime | None], object] | None = None

    async def long(call: Callable[[], Any]) -> Any:
        result = call()
        if call.__name__ == "evaluate" and trio.current_time() == 0:
            with trio.CancelScope(shield=True):
                await trio.sleep(5)
                engine.letters.append(START + timedelta(seconds=5))
                assert engine.tell_due is not None
                engine.tell_due(None)
                await trio.sleep(1000)
        return result

    engine = Telling()
    await run_for(daemon_of(engine, world, long), 30)
    assert engine.sent == [5]


@pytest.mark.law(4)
async def test_law_4_with_one_place_a_message_does_not_wait_for_the_next_run(tmp_path: Path) -> None:
    """A tick works off one task after the other; each may be a long one. No file shows it on a server."""
    gate, sent = Gate(), threading.Event()

    def send(channel: str, config: object, message: object) -> str:
        sent.set()
        return channel

    with MemoryStore(tmp_path / "memory.db") as store:
        for name, minute in (("quick", 1), ("long", 2)):
            at = f"2026-03-02T08:0{minute}"
            channel = {"quick": "notification"}.get(name)
            store.store_scheduled_task(a_task(name, at=at, next_run_at=at, handler=name, delivery_channel=channel))
        handlers = {"quick": lambda task, context: "done", "long": gate}
        engine = SchedulerEngine(store, handlers=handlers, notices=Notices(store, store.clock, send))
        engine.watched_files = lambda: ()  # type: ignore[method-assign]  # as on a system without a watch
        daemon = JarvisDaemon(store, 3600, engine=engine, max_concurrent_ticks=1)
        async with trio.open_nursery() as nursery:
            await nursery.start(daemon.run)
            try:
                await trio.to_thread.run_sync(gate.wait)
                assert await trio.to_thread.run_sync(sent.wait, PATIENCE)
            finally:
                gate.opened.set()
                daemon.shutdown()
