"""Tests of the simulated machine's parts: time that jumps or stands, a database in memory."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio

from jarvis_trio.testing.machine import JumpingClock, SimulatedClock, SimulatedStore

START = datetime(2026, 3, 1, tzinfo=UTC)


def test_a_year_of_sleep_ends_at_once_and_exactly() -> None:
    clock = JumpingClock()

    async def sleep() -> float:
        with clock.going():
            await trio.sleep(365 * 86_400)
        return trio.current_time()

    assert trio.run(sleep, clock=clock) == 365 * 86_400


def test_deadlines_come_in_their_order() -> None:
    clock = JumpingClock()
    woken: list[float] = []

    async def sleep(seconds: float) -> None:
        await trio.sleep(seconds)
        woken.append(trio.current_time())

    async def main() -> None:
        with clock.going():
            async with trio.open_nursery() as nursery:
                for seconds in (3, 1, 2):
                    nursery.start_soon(sleep, seconds)

    trio.run(main, clock=clock)
    assert woken == [1, 2, 3]


def test_time_stands_where_it_is_not_let_go() -> None:
    clock = JumpingClock()
    assert clock.deadline_to_sleep_time(60) == math.inf
    with clock.going():
        assert clock.deadline_to_sleep_time(60) == 0
    assert clock.deadline_to_sleep_time(120) == math.inf
    assert clock.current_time() == 60


def test_a_deadline_that_has_passed_does_not_turn_time_back() -> None:
    clock = JumpingClock()
    with clock.going():
        clock.deadline_to_sleep_time(60)
        clock.deadline_to_sleep_time(30)
    assert clock.current_time() == 60


def a_store(folder: Path, *, in_memory: bool) -> SimulatedStore:
    return SimulatedStore(folder / "memory.db", SimulatedClock(JumpingClock(), START, UTC), in_memory=in_memory)


def test_stores_in_memory_share_their_rows_and_leave_the_disk_alone(tmp_path: Path) -> None:
    with a_store(tmp_path, in_memory=True) as one, a_store(tmp_path, in_memory=True) as other:
        one.notes.remember("key", "value")
        assert other.notes.note("key") == "value"
    assert [(path.name, path.stat().st_size) for path in tmp_path.iterdir()] == [("memory.db", 0)]


def test_an_old_sqlite_keeps_the_store_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sqlite3.sqlite_version_info", (3, 35, 5))
    with a_store(tmp_path, in_memory=True) as store:
        store.notes.remember("key", "value")
    with a_store(tmp_path, in_memory=False) as again:
        assert again.notes.note("key") == "value"
