"""Laws 1 to 4 in the gap between a claim ahead of its time and that time.

The lead here is 200 ms, ten times that of the daemon, so that a test can act in the gap.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import trio

from jarvis_trio.clock import SystemClock
from jarvis_trio.daemon import JarvisDaemon
from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.engine.runner import run_in_thread
from jarvis_trio.models import HandlerContext, RunStatus, ScheduledTask, require_id
from jarvis_trio.store import MemoryStore
from tests.support.core_fakes import (
    PATIENCE,
    START,
    FakeClock,
    MakeEngine,
    Notes,
    a_task,
    finish,
    history,
    in_thread,
    tick,
    wait_until,
)

LEAD = timedelta(milliseconds=200)
SLOT = START + timedelta(minutes=5)


@pytest.fixture
def ahead(store: MemoryStore, make_engine: MakeEngine, clock: FakeClock) -> Callable[..., SchedulerEngine]:
    """An engine that has come within the lead of the slot of `job`."""

    def make(
        handler: Callable[..., object] | None = None, lead: timedelta = LEAD, **options: object
    ) -> SchedulerEngine:
        handlers = {} if handler is None else {"note": handler}
        engine = make_engine(handlers, lead=lead, **options)
        store.store_scheduled_task(a_task())
        engine.evaluate_due_tasks()
        clock.advance(minutes=5)
        clock.advance(seconds=-lead.total_seconds() / 2)
        return engine

    return make


@pytest.mark.law(2)
def test_law_2_a_slot_is_claimed_within_the_lead_and_its_run_says_the_instant(
    ahead: Callable[..., SchedulerEngine], store: MemoryStore
) -> None:
    engine = ahead()
    assert engine.next_due_at() == SLOT - LEAD
    assert tick(engine) == [("job", "executed")]
    run = store.runs.list_runs()[0]
    assert (run.scheduled_for, run.started_at) == (SLOT, SLOT)
    assert tick(engine) == []


def test_before_the_lead_nothing_is_claimed(ahead: Callable[..., SchedulerEngine], clock: FakeClock) -> None:
    engine = ahead()
    clock.advance(seconds=-0.2)
    assert tick(engine) == []
    assert engine.next_due_at() == SLOT - LEAD


def test_an_instant_that_is_given_knows_no_lead(ahead: Callable[..., SchedulerEngine], clock: FakeClock) -> None:
    assert ahead().evaluate_due_tasks(clock.now()) == []


@pytest.mark.law(3)
def test_law_3_a_claim_whose_process_is_killed_in_the_gap_is_interrupted_and_runs_again(
    ahead: Callable[..., SchedulerEngine],
    make_engine: MakeEngine,
    store: MemoryStore,
    clock: FakeClock,
    notes: Notes,
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ahead(runner=killed, owner="dead").evaluate_due_tasks()
    assert history(store) == [(SLOT, 1, "running")]
    assert tick(make_engine()) == []  # it does not run again before its time
    clock.advance(seconds=0.1)
    make_engine().evaluate_due_tasks()
    assert history(store) == [(SLOT, 1, "interrupted"), (SLOT, 2, "executed")]
    assert notes.slots == [SLOT]


@pytest.mark.law(2)
@pytest.mark.parametrize("jump", [timedelta(hours=-2), timedelta(hours=2)])
def test_law_2_a_clock_that_is_set_in_the_gap_neither_repeats_the_slot_nor_delays_it(
    ahead: Callable[..., SchedulerEngine], clock: FakeClock, notes: Notes, jump: timedelta
) -> None:
    engine = ahead(runner=run_in_thread)

    def set_the_clock() -> None:
        wait_until(lambda: engine.running() or notes.calls)
        clock.instant += jump

    setter = in_thread(set_the_clock)
    ticking = in_thread(engine.evaluate_due_tasks)
    finish(setter, ticking)
    for _ in range(4):
        engine.evaluate_due_tasks()
        clock.advance(minutes=5)
    assert notes.slots.count(SLOT) == 1


@pytest.mark.law(3)
@pytest.mark.parametrize("change", [{"enabled": False}, {"next_run_at": "2026-03-02T12:00:00+00:00"}])
def test_law_3_what_is_edited_in_the_gap_counts_from_the_next_slot_on(
    ahead: Callable[..., SchedulerEngine], store: MemoryStore, clock: FakeClock, change: dict[str, object]
) -> None:
    def edit(task: ScheduledTask, context: HandlerContext) -> None:
        store.update_scheduled_task(require_id(task), **change)

    engine = ahead(edit)
    for _ in range(3):
        engine.evaluate_due_tasks()
        clock.advance(minutes=5)
    assert history(store)[0] == (SLOT, 1, "executed")
    assert [entry for entry in history(store)[1:] if entry[2] != "skipped"] == []


@pytest.mark.law(4)
def test_law_4_a_run_that_is_stopped_in_the_gap_never_calls_its_handler(
    ahead: Callable[..., SchedulerEngine], store: MemoryStore, notes: Notes
) -> None:
    engine = ahead(runner=run_in_thread, lead=timedelta(minutes=2))
    thread = in_thread(engine.evaluate_due_tasks)
    wait_until(engine.running)
    assert engine.stop(store.runs.list_runs()[0].id, "alex")
    finish(thread)
    assert [(run.status, run.reason) for run in store.runs.list_runs()] == [(RunStatus.INTERRUPTED, "stopped by alex")]
    assert notes.calls == []


@pytest.mark.law(1)
def test_law_1_a_claim_ahead_is_in_flight_and_finishes(
    ahead: Callable[..., SchedulerEngine], store: MemoryStore, notes: Notes
) -> None:
    engine = ahead(runner=run_in_thread)
    thread = in_thread(engine.evaluate_due_tasks)
    wait_until(lambda: engine.running() or notes.calls)
    finish(thread)
    assert notes.slots == [SLOT]
    assert history(store) == [(SLOT, 1, "executed")]


@pytest.mark.law(3)
def test_law_3_a_task_that_still_runs_is_looked_at_when_its_slot_is_due_and_not_before(
    ahead: Callable[..., SchedulerEngine], store: MemoryStore, clock: FakeClock
) -> None:
    engine = ahead(is_alive=lambda owner: True)
    running = store.runs.claim_run(store.tasks.require_task("job"), START, 1, started_at=START, owner="another")
    assert running is not None
    assert tick(engine) == []
    assert engine.next_due_at() == SLOT  # the early look was in vain: at its time, not at once again

    store.write("UPDATE task_runs SET live = NULL, status = 'executed'")
    clock.advance(seconds=0.1)
    assert tick(engine) == [("job", "executed")]


def test_a_look_ahead_in_vain_writes_nothing(
    ahead: Callable[..., SchedulerEngine], store: MemoryStore, other: sqlite3.Connection
) -> None:
    """A write would have every other process look at the queue, too."""
    engine = ahead(is_alive=lambda owner: True)
    store.runs.claim_run(store.tasks.require_task("job"), START, 1, started_at=START, owner="another")
    before = other.execute("PRAGMA data_version").fetchone()
    assert tick(engine) == []
    assert other.execute("PRAGMA data_version").fetchone() == before


def test_the_engine_tells_what_is_due_next_once_its_first_claim_is_committed(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock
) -> None:
    told: list[tuple[datetime | None, int]] = []
    engine = make_engine()
    engine.tell_due = lambda at: told.append((at, len(store.runs.list_runs())))
    for name in ("one", "two"):
        store.store_scheduled_task(a_task(name))
    engine.evaluate_due_tasks()
    clock.advance(minutes=5)
    engine.evaluate_due_tasks()
    assert told == [(SLOT, 1)]


@pytest.mark.law(4)
def test_law_4_whatever_the_loop_does_when_it_is_told_the_claim_is_run(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock
) -> None:
    def refuse(at: datetime | None) -> None:
        raise RuntimeError("the loop is gone")

    engine = make_engine()
    engine.tell_due = refuse
    store.store_scheduled_task(a_task())
    engine.evaluate_due_tasks()
    clock.advance(minutes=5)
    assert tick(engine) == [("job", "executed")]


@pytest.mark.slow
async def test_one_slot_is_one_tick_and_one_thread(store: MemoryStore) -> None:
    """In a real daemon with four places, whose engine claims ahead and tells."""
    for spacing_seconds in (0.3, 1, 4):  # a busy machine may be late by more than the first
        ticks = await ticks_for_four_slots(store, spacing_seconds)
        if (len(ticks), len(set(ticks)) <= 2) == (1 + 4, True):  # the first reads the new rows
            return
    pytest.fail(f"{len(ticks)} ticks in {len(set(ticks))} threads")


async def ticks_for_four_slots(store: MemoryStore, spacing_seconds: float) -> list[int]:
    """The threads of the ticks, each as often as it had one."""
    store.clock = SystemClock()
    ticks: list[int] = []
    first = datetime.now(UTC) + timedelta(seconds=0.5)
    names = [f"job {number} at {spacing_seconds}" for number in range(4)]
    for number, name in enumerate(names):
        at = (first + timedelta(seconds=spacing_seconds * number)).isoformat()
        store.store_scheduled_task(a_task(name, at=at, next_run_at=at))
    engine = SchedulerEngine(store, handlers={"note": lambda task, context: None}, lead=LEAD / 10)
    evaluate = engine.evaluate_due_tasks
    engine.evaluate_due_tasks = lambda: ticks.append(threading.get_ident()) or evaluate()  # type: ignore[method-assign, assignment, misc, func-returns-value]
    daemon = JarvisDaemon(store, 60, engine=engine)
    async with trio.open_nursery() as nursery:
        await nursery.start(daemon.run)
        with trio.fail_after(PATIENCE):
            while not all(ended(store, name) for name in names):  # noqa: ASYNC110  # nobody tells us
                await trio.sleep(0.05)
            await trio.sleep(0.1)  # for a tick too many
        daemon.shutdown()
    return ticks


def ended(store: MemoryStore, name: str) -> bool:
    return [run.status for run in store.runs.list_runs(task=name)] == [RunStatus.EXECUTED]


@pytest.mark.slow
def test_a_handler_starts_within_a_few_milliseconds_of_its_instant(store: MemoryStore) -> None:
    clock = store.clock = SystemClock()
    late: list[float] = []

    def note(task: ScheduledTask, context: HandlerContext) -> None:
        late.append((clock.now() - context.scheduled_for).total_seconds())

    engine = SchedulerEngine(store, handlers={"note": note}, lead=LEAD)
    for number in range(50):  # a busy machine may keep a thread waiting for longer, now and then
        at = (clock.now() + LEAD).isoformat()
        store.store_scheduled_task(a_task(f"job {number}", at=at, next_run_at=at))
        wait_until(lambda number=number: engine.evaluate_due_tasks() and len(late) > number)
        if late[-1] < 0.02:
            break
    assert 0 <= min(late) < 0.02
