"""Tests of the tick loop (laws 1 and 7): exact times on trio's mock clock, real threads, real signals.

Simulated ticks are run inline, as the autojump clock does not see threads (trio#456).
"""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock
from zoneinfo import ZoneInfo

import pytest
import trio
import trio.testing

from jarvis_trio.daemon import JarvisDaemon
from jarvis_trio.daemon.bell import Bell
from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.store import MemoryStore
from jarvis_trio.testing.machine import SimulatedClock
from tests.support.core_fakes import PATIENCE, START, FakeClock
from tests.support.daemon_fakes import Bare, raising, run_for

MockClock = trio.testing.MockClock
wait_thread = functools.partial(trio.to_thread.run_sync, abandon_on_cancel=False)


async def inline(call: Callable[[], Any]) -> Any:
    return call()


class Planned(Bare):
    """An engine that knows when it is due: works off a list of instants, in seconds from START."""

    def __init__(self, clock: SimulatedClock, *due: float, takes: float = 0) -> None:
        super().__init__()
        self.clock = clock
        self.due = [START + timedelta(seconds=seconds) for seconds in due]
        self.takes = takes
        self.started: list[float] = []

    def evaluate_due_tasks(self) -> list[dict[str, Any]]:
        super().evaluate_due_tasks()
        if not self.due or self.due[0] > self.clock.now():
            return []
        self.due.pop(0)
        self.started.append(self.times[-1])
        return [{"status": "executed", "takes": self.takes}]

    def next_due_at(self) -> datetime | None:
        return self.due[0] if self.due else None


class Overlapping(Planned):
    allows_concurrent_ticks = True


class Taking:
    """Runs a call inline, and has it take the simulated time that its result says; counts what overlaps."""

    def __init__(self) -> None:
        self.now = self.most = 0

    async def __call__(self, call: Callable[[], Any]) -> Any:
        result = call()
        takes = result[0].get("takes", 0) if isinstance(result, list) and result else 0
        if takes:
            self.now += 1
            self.most = max(self.most, self.now)
            with trio.CancelScope(shield=True):
                await trio.sleep(takes)
            self.now -= 1
        return result


class Loading(Bare):
    """An engine that imports some of its parts when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.loaded = threading.Event()

    def evaluate_due_tasks(self) -> list[dict[str, Any]]:
        self.calls.append("tick")
        return super().evaluate_due_tasks()

    def load_the_rest(self) -> None:
        self.calls.append("load")
        self.loaded.set()


@pytest.fixture
def world(autojump_clock: MockClock) -> SimulatedClock:
    return SimulatedClock(autojump_clock, START, UTC)


@pytest.mark.law(1)
async def test_an_engine_with_one_method_is_ticked_at_once_and_then_at_the_interval(
    autojump_clock: MockClock, world: SimulatedClock
) -> None:
    engine = Bare([])
    await run_for(JarvisDaemon(None, 60, engine=engine, clock=world, run_sync=inline), 121)
    assert engine.times == [0, 60, 120]


@pytest.mark.law(6)
async def test_without_a_clock_it_sleeps_and_wakes_by_its_stores(
    autojump_clock: MockClock, world: SimulatedClock, tmp_path: Path
) -> None:
    engine = Planned(world, 90)
    with MemoryStore(tmp_path / "memory.db", clock=world) as store:
        await run_for(JarvisDaemon(store, 3600, engine=engine, run_sync=inline), 100)
    assert engine.started == [90]


@pytest.mark.parametrize("again", range(20))
async def test_an_engine_that_says_nothing_gets_one_tick_at_a_time(
    again: int, autojump_clock: MockClock, world: SimulatedClock
) -> None:
    taking = Taking()
    engine = Bare([{"status": "executed", "takes": 10}])
    await run_for(JarvisDaemon(None, 60, engine=engine, clock=world, run_sync=taking), 141)
    assert engine.times == [0, 70, 140]
    assert taking.most == 1


async def test_the_interval_may_be_a_part_of_a_second(autojump_clock: MockClock, world: SimulatedClock) -> None:
    engine = Bare([])
    await run_for(JarvisDaemon(None, 0.25, engine=engine, clock=world, run_sync=inline), 1)
    assert engine.times[:4] == [0, 0.25, 0.5, 0.75]


@pytest.mark.law(3)
async def test_the_sleep_ends_at_the_exact_instant_of_what_is_due_next(
    autojump_clock: MockClock, world: SimulatedClock
) -> None:
    engine = Planned(world, 0.5, 7.25, 61, 61.000001, 130)
    await run_for(JarvisDaemon(None, 60, engine=engine, clock=world, run_sync=inline), 140)
    assert engine.started == [0.5, 7.25, 61, pytest.approx(61.000001, abs=1e-9), 130]


@pytest.mark.law(3)
@pytest.mark.parametrize("back", [timedelta(seconds=3), timedelta(hours=2)], ids=str)
async def test_a_clock_that_is_set_back_is_ticked_as_soon_as_the_sleep_ends(
    autojump_clock: MockClock, world: SimulatedClock, back: timedelta
) -> None:
    engine = Planned(world, 10)

    async def set_back(daemon: JarvisDaemon) -> None:
        await trio.sleep(5)
        world.shift(-back)
        await trio.sleep(50)
        daemon.shutdown()

    daemon = JarvisDaemon(None, 60, engine=engine, clock=world, run_sync=inline)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(set_back, daemon)
        await daemon.run()
    assert engine.times[:2] == [0, 10]


async def test_without_work_ahead_the_ticks_are_regular(autojump_clock: MockClock, world: SimulatedClock) -> None:
    engine = Planned(world)
    await run_for(JarvisDaemon(None, 60, engine=engine, clock=world, run_sync=inline), 181)
    assert engine.times == [0, 60, 120, 180]


@pytest.mark.law(5)
async def test_a_naive_instant_of_an_engine_is_local_time(autojump_clock: MockClock, world: SimulatedClock) -> None:
    engine = Planned(world, 7)
    zone = ZoneInfo("America/Denver")
    world.move(zone)
    daemon = JarvisDaemon(None, 60, engine=engine, clock=world, run_sync=inline)
    aware = engine.next_due_at

    def naive() -> datetime | None:
        at = aware()
        return at and at.astimezone(zone).replace(tzinfo=None)

    engine.next_due_at = naive  # type: ignore[method-assign]  # the point
    await run_for(daemon, 20)
    assert engine.started == [7]


@pytest.mark.law(1)
@pytest.mark.parametrize("ahead", [timedelta(days=-9), timedelta(0), timedelta(microseconds=1)])
async def test_an_engine_that_is_always_due_and_does_nothing_does_not_spin(
    autojump_clock: MockClock, world: SimulatedClock, ahead: timedelta
) -> None:
    engine = Bare([])
    engine.next_due_at = lambda: world.now() + ahead  # type: ignore[attr-defined]  # it offers that too
    await run_for(JarvisDaemon(None, 60, engine=engine, clock=world, run_sync=inline), 600)
    assert engine.times[0] == 0
    if ahead < timedelta(0):  # it was due before the tick that did nothing about it
        assert engine.times[:10] == [60 * minute for minute in range(10)]
    else:
        assert len(engine.times) < 50


@pytest.mark.law(1)
async def test_an_engine_that_is_due_by_a_clock_that_runs_does_not_spin(
    autojump_clock: MockClock, world: SimulatedClock
) -> None:
    """The real time goes on while trio's stands."""
    engine = Bare([])
    moved = FakeClock()

    def due_now() -> datetime:
        moved.advance(microseconds=50)
        return moved.now()

    engine.next_due_at = due_now  # type: ignore[attr-defined]  # it offers that too
    moved_clock = FakeClock()
    moved_clock.now = due_now  # type: ignore[method-assign]  # each look at it takes a while
    await run_for(JarvisDaemon(None, 60, engine=engine, clock=moved_clock, run_sync=inline), 600)
    assert len(engine.times) < 60


@pytest.mark.law(3)
async def test_work_that_comes_due_right_after_an_idle_tick_is_on_time(
    autojump_clock: MockClock, world: SimulatedClock
) -> None:
    engine = Planned(world, *[60 * minute + 0.001 for minute in range(10)])
    await run_for(JarvisDaemon(None, 60, engine=engine, clock=world, run_sync=inline), 601)
    late = [at - (60 * minute + 0.001) for minute, at in enumerate(engine.started)]
    assert len(late) == 10
    assert max(late) < 0.01


@pytest.mark.law(3)
async def test_overlapping_ticks_reach_their_limit_and_never_exceed_it(
    autojump_clock: MockClock, world: SimulatedClock
) -> None:
    taking = Taking()
    engine = Overlapping(world, *[1] * 10, takes=100)
    daemon = JarvisDaemon(None, 60, engine=engine, clock=world, max_concurrent_ticks=3, run_sync=taking)
    await run_for(daemon, 500)
    assert engine.started == [1, 1, 1, 101, 101, 101, 201, 201, 201, 301]
    assert taking.most == 3


def test_an_engine_is_told_how_many_runs_it_may_have_under_way() -> None:
    engine = MagicMock()
    JarvisDaemon(None, 60, engine=engine, max_concurrent_ticks=3)
    engine.allows_concurrent_ticks = True
    JarvisDaemon(None, 60, engine=engine, max_concurrent_ticks=3)
    assert [call.args for call in engine.let_run.call_args_list] == [(1,), (3,)]


@pytest.mark.law(4)
def test_law_4_an_engine_that_fails_when_it_is_told_is_ticked_all_the_same() -> None:
    engine = MagicMock()
    engine.let_run.side_effect = SystemExit(1)
    assert JarvisDaemon(None, 60, engine=engine).engine is engine


@pytest.mark.law(4)
async def test_work_starts_at_its_instant_while_all_slots_but_one_are_busy(
    autojump_clock: MockClock, world: SimulatedClock
) -> None:
    taking = Taking()
    engine = Overlapping(world, 1, 1, 1, takes=1000)
    daemon = JarvisDaemon(None, 60, engine=engine, clock=world, max_concurrent_ticks=4, run_sync=taking)
    async with trio.open_nursery() as nursery:
        await nursery.start(daemon.run)
        await trio.sleep(5)
        engine.takes = 0
        engine.due = [START + timedelta(seconds=seconds) for seconds in (7.5, 8, 99.125)]
        daemon.wake()
        await trio.sleep(200)
        daemon.shutdown()
    assert engine.started[3:] == [7.5, 8, 99.125]


async def test_an_engine_that_does_not_allow_it_is_never_overlapped(
    autojump_clock: MockClock, world: SimulatedClock
) -> None:
    taking = Taking()
    engine = Planned(world, 1, 1, 1, takes=100)
    engine.allows_concurrent_ticks = 1  # type: ignore[attr-defined]  # true-ish is not True
    await run_for(JarvisDaemon(None, 60, engine=engine, clock=world, run_sync=taking), 400)
    assert taking.most == 1
    assert engine.started == [1, 101, 201]


class Rude(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


@pytest.mark.law(4)
@pytest.mark.parametrize(
    "answer",
    [ValueError("no net"), SystemExit(3), KeyboardInterrupt(), GeneratorExit(), MemoryError(), Rude(), StopIteration()],
    ids=lambda value: type(value).__name__,
)
async def test_whatever_the_engine_raises_is_logged_and_the_loop_goes_on(
    autojump_clock: MockClock, world: SimulatedClock, answer: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    engine = Bare(answer)
    await run_for(JarvisDaemon(None, 60, engine=engine, clock=world, run_sync=inline), 121)
    assert engine.times == [0, 60, 120]
    failures = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert len(failures) == 3
    assert all(type(answer).__name__ in failure for failure in failures)


@pytest.mark.law(4)
@pytest.mark.parametrize(
    "answer",
    [
        None,
        5,
        "text",
        object(),
        [None],
        [5, "x", []],
        {"status": "executed"},
        [{}],
        [{"status": ["a"]}],
        [{"status": object()}],
        [{"status": None}],
        iter([{"status": "executed"}]),
    ],
)
async def test_whatever_the_engine_gives_back_the_loop_goes_on(
    autojump_clock: MockClock, world: SimulatedClock, answer: Any
) -> None:
    engine = Bare(answer)
    await run_for(JarvisDaemon(None, 60, engine=engine, clock=world, run_sync=inline), 61)
    assert engine.times == [0, 60]


@pytest.mark.law(4)
@pytest.mark.parametrize(
    "next_due_at",
    [
        lambda: "soon",
        lambda: 5,
        lambda: date(2026, 3, 2),
        lambda: datetime.fromisoformat("9999-12-31T23:59:59"),
        lambda: datetime.fromisoformat("0001-01-01T00:00:00"),
        lambda: datetime.max.replace(tzinfo=UTC),
        MagicMock(),
        "not callable",
        None,
        raising(ValueError()),
        raising(SystemExit(3)),
        raising(KeyboardInterrupt()),
        raising(Rude()),
    ],
)
async def test_an_engine_that_cannot_say_when_it_is_due_is_ticked_at_the_interval(
    autojump_clock: MockClock, world: SimulatedClock, next_due_at: Any
) -> None:
    engine = Bare([])
    engine.next_due_at = next_due_at  # type: ignore[attr-defined]  # it offers that too
    await run_for(JarvisDaemon(None, 60, engine=engine, clock=world, run_sync=inline), 121)
    assert engine.times == [0, 60, 120]


@pytest.mark.law(4)
async def test_an_engine_of_mocks_is_ticked_too(autojump_clock: MockClock, world: SimulatedClock) -> None:
    engine = MagicMock()
    engine.evaluate_due_tasks.return_value = []
    await run_for(JarvisDaemon(None, 60, engine=engine, clock=world, run_sync=inline), 121)
    assert engine.evaluate_due_tasks.call_count == 3


async def test_a_tick_returns_the_engines_results_and_never_raises(
    autojump_clock: MockClock, world: SimulatedClock
) -> None:
    results = [{"status": "executed", "name": "a"}]
    assert await JarvisDaemon(None, engine=Bare(results), clock=world).tick() == results
    assert await JarvisDaemon(None, engine=Bare(SystemExit(1)), clock=world).tick() == []
    assert await JarvisDaemon(None, engine=Bare(None), clock=world).tick() == []


async def test_a_tick_that_did_something_is_logged_with_its_counts(
    autojump_clock: MockClock, world: SimulatedClock, caplog: pytest.LogCaptureFixture
) -> None:
    results = [{"status": status} for status in ("executed", "executed", "error", "timeout", "skipped", "missed")]
    with caplog.at_level(logging.INFO):
        await JarvisDaemon(None, engine=Bare(results), clock=world).tick()
        await JarvisDaemon(None, engine=Bare([]), clock=world).tick()
    assert [record.message for record in caplog.records] == [
        "Tick: 6 evaluated, 2 executed, 1 errors, 1 timeouts, 2 skipped or missed, in 0s"
    ]


async def test_the_same_failure_shows_its_traceback_once(
    autojump_clock: MockClock, world: SimulatedClock, caplog: pytest.LogCaptureFixture
) -> None:
    engine = Bare(ValueError("no net"))
    await run_for(JarvisDaemon(None, 60, engine=engine, clock=world, run_sync=inline), 121)
    assert [record.exc_info is not None for record in caplog.records if "no net" in record.message] == [
        True,
        False,
        False,
    ]


async def test_the_end_of_each_tick_is_told(autojump_clock: MockClock, world: SimulatedClock) -> None:
    ends: list[datetime] = []
    daemon = JarvisDaemon(None, 60, engine=Bare([]), clock=world, run_sync=inline, on_tick=ends.append)
    await run_for(daemon, 61)
    assert ends == [START, START + timedelta(seconds=60)]


@pytest.mark.law(7)
async def test_the_engine_is_called_in_a_thread_of_its_own() -> None:
    engine = Bare([])
    await JarvisDaemon(None, engine=engine).tick()
    assert threading.current_thread() not in engine.threads


@pytest.mark.law(4)
async def test_law_4_after_its_first_tick_the_engine_loads_what_later_ones_may_need() -> None:
    engine = Loading()
    daemon = JarvisDaemon(None, 3600, engine=engine)
    async with trio.open_nursery() as nursery:
        await nursery.start(daemon.run)
        assert await wait_thread(engine.loaded.wait, PATIENCE)
        daemon.shutdown()
    assert engine.calls[:2] == ["tick", "load"]
    assert engine.calls.count("load") == 1


async def test_a_simulated_daemon_has_nothing_loaded_ahead(autojump_clock: MockClock, world: SimulatedClock) -> None:
    engine = Loading()
    await run_for(JarvisDaemon(None, 60, engine=engine, clock=world, run_sync=inline), 121)
    assert engine.calls == ["tick"] * 3


def test_without_an_engine_it_builds_ours_on_the_store(store: MemoryStore) -> None:
    daemon = JarvisDaemon(store, 5)
    assert isinstance(daemon.engine, SchedulerEngine)
    assert daemon.engine.memory_store is store
    assert daemon.tick_interval == 5


@pytest.mark.law(1)
async def test_shutdown_ends_the_sleep_at_once_and_starts_nothing(
    autojump_clock: MockClock, world: SimulatedClock
) -> None:
    engine = Bare([])
    daemon = JarvisDaemon(None, 60, engine=engine, clock=world, run_sync=inline)
    await run_for(daemon, 10)
    assert trio.current_time() == 10
    assert engine.times == [0]


@pytest.mark.law(1)
async def test_shutdown_is_idempotent_and_may_come_first(autojump_clock: MockClock, world: SimulatedClock) -> None:
    engine = Bare([])
    daemon = JarvisDaemon(None, 60, engine=engine, clock=world, run_sync=inline)
    for _ in range(3):
        daemon.shutdown()
    await daemon.run()
    daemon.shutdown()
    assert engine.times == []


@pytest.mark.law(1)
async def test_a_tick_in_flight_finishes_and_none_follows_it(autojump_clock: MockClock, world: SimulatedClock) -> None:
    engine = Planned(world, 0, 0, 5, 8, takes=30)
    daemon = JarvisDaemon(None, 60, engine=engine, clock=world, run_sync=Taking())
    await run_for(daemon, 10)
    assert trio.current_time() == 30
    assert engine.started == [0]


@pytest.mark.law(1)
async def test_all_overlapping_ticks_finish(autojump_clock: MockClock, world: SimulatedClock) -> None:
    taking = Taking()
    engine = Overlapping(world, 0, 3, 5, 50, takes=30)
    await run_for(JarvisDaemon(None, 60, engine=engine, clock=world, run_sync=taking), 10)
    assert (trio.current_time(), taking.now, engine.started) == (35, 0, [0, 3, 5])


async def test_waking_ends_the_sleep(autojump_clock: MockClock, world: SimulatedClock) -> None:
    engine = Bare([])
    daemon = JarvisDaemon(None, 60, engine=engine, clock=world, run_sync=inline)
    async with trio.open_nursery() as nursery:
        await nursery.start(daemon.run)
        await trio.sleep(7)
        daemon.wake()
        await trio.sleep(100)
        daemon.shutdown()
    assert engine.times == [0, 7, 67]


def test_a_daemon_may_be_woken_before_its_event_loop_runs(clock: FakeClock) -> None:
    engine = Bare([])
    daemon = JarvisDaemon(None, engine=engine, clock=clock, run_sync=inline, on_tick=lambda _: daemon.shutdown())
    daemon.wake()
    trio.run(daemon.run)
    assert len(engine.times) == 1


async def test_waking_during_a_tick_has_another_one_follow(autojump_clock: MockClock, world: SimulatedClock) -> None:
    engine = Bare([{"status": "executed", "takes": 10}])
    daemon = JarvisDaemon(None, 60, engine=engine, clock=world, run_sync=Taking())
    async with trio.open_nursery() as nursery:
        await nursery.start(daemon.run)
        await trio.sleep(5)
        daemon.wake()
        daemon.wake()
        await trio.sleep(50)
        daemon.shutdown()
    assert engine.times == [0, 10]


@pytest.mark.law(4)
async def test_a_moment_without_threads_is_a_failed_tick(
    autojump_clock: MockClock, world: SimulatedClock, caplog: pytest.LogCaptureFixture
) -> None:
    """As `clone` fails at the limit of a container: at the first tick, at a question, at the end."""
    calls: list[float] = []

    async def sometimes(call: Callable[[], Any]) -> Any:
        calls.append(trio.current_time())
        if len(calls) in (1, 3):
            raise RuntimeError("can't start new thread")
        return call()

    engine = Planned(world, 70)
    daemon = JarvisDaemon(None, 60, engine=engine, clock=world, run_sync=sometimes)
    await run_for(daemon, 100)
    assert calls[:2] == [0, 60]
    assert engine.started == []
    assert caplog.text.count("The tick failed: RuntimeError: can't start new thread") == 2


async def test_the_bell_keeps_a_ring_that_comes_while_nobody_sleeps(autojump_clock: MockClock) -> None:
    bell = Bell()
    bell.ring()
    bell.ring()
    await bell.sleep(60)
    assert trio.current_time() == 0
    await bell.sleep(60)
    assert trio.current_time() == 60
