"""A tick that has nothing to do ends after one look. Whatever it has to notice must show in that look."""

from __future__ import annotations

import logging
import sqlite3
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.engine.limits import Limits
from jarvis_trio.store import MemoryStore
from tests.support.core_fakes import FakeClock, MakeEngine, Notes, a_task

SMALL_STEP = 0.02  # seconds, as ntpd corrects a clock


@pytest.fixture
def quiet(store: MemoryStore, engine: SchedulerEngine, clock: FakeClock) -> SchedulerEngine:
    """An engine whose ticks have had nothing to do for a while, with an hourly task."""
    store.store_scheduled_task(a_task("hourly", every={"hours": 1}))
    for _ in range(4):
        engine.evaluate_due_tasks()
        clock.advance(minutes=1)
    return engine


def statements_of_a_tick(engine: SchedulerEngine) -> list[str]:
    """What a tick executes; the engine has nothing to run in it."""
    seen: list[str] = []
    engine.memory_store.connection.trace = lambda sql, _: seen.append(sql)
    assert engine.evaluate_due_tasks() == []
    engine.memory_store.connection.trace = None
    return seen


def test_it_makes_one_statement(quiet: SchedulerEngine) -> None:
    assert len(statements_of_a_tick(quiet)) == 1


def test_a_row_of_another_program_is_seen_at_the_next_tick(
    quiet: SchedulerEngine, other: sqlite3.Connection, notes: Notes, clock: FakeClock
) -> None:
    other.execute("UPDATE scheduled_tasks SET next_run_at = ?", (clock.now().isoformat(),))
    quiet.evaluate_due_tasks()
    assert [name for name, *_ in notes.calls].count("hourly") == len(notes.calls) > 0


def test_what_is_due_runs(quiet: SchedulerEngine, notes: Notes, clock: FakeClock) -> None:
    before = len(notes.calls)
    clock.advance(hours=1)
    quiet.evaluate_due_tasks()
    assert len(notes.calls) == before + 1


@pytest.mark.law(5)
def test_another_zone_of_the_machine_is_noticed(quiet: SchedulerEngine, clock: FakeClock, store: MemoryStore) -> None:
    clock.machine_zone = ZoneInfo("Asia/Tokyo")
    quiet.evaluate_due_tasks()
    assert str(store.tasks.require_task("hourly").next_run_at).endswith("+09:00")


def test_a_clock_that_is_corrected_in_small_steps_was_not_set(
    quiet: SchedulerEngine, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Each step is far below the slack, all of them together are beyond it."""
    caplog.set_level(logging.WARNING)
    for _ in range(500):
        clock.seconds += SMALL_STEP
        quiet.evaluate_due_tasks()
    assert "set back" not in caplog.text


def test_a_clock_that_is_set_back_at_once_is_noticed(
    quiet: SchedulerEngine, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    clock.set(minutes=-2)
    quiet.evaluate_due_tasks()
    assert "The clock was set back by 2m" in caplog.text


def test_old_history_goes_in_a_tick_that_has_nothing_else_to_do(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock
) -> None:
    task = store.store_scheduled_task(a_task("monthly", every={"days": 30}))
    engine = make_engine(limits=Limits(history_runs=1, steady_clock=timedelta(0)))
    engine.evaluate_due_tasks()
    for _ in range(3):
        engine.run_now(task.name)
        clock.advance(minutes=1)
    engine.evaluate_due_tasks()
    assert len(store.runs.list_runs()) == 3
    clock.advance(days=1)
    engine.evaluate_due_tasks()
    assert len(store.runs.list_runs()) == 1
