"""Simulated weeks and months on a file and on a PostgreSQL server: the same history, to the last column (laws 3, 5, 6).

The engine is driven on a clock that jumps from one instant to the next; the machine sleeps through
two of these days, a handler fails at its first attempt or takes too long, tasks are paused,
changed and run by hand. In March and in November the clocks change in Denver, where the machine is.
The months are for `make thorough`; the short stretch ends after the clocks went back.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import pytest

from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.models import HandlerContext, RunStatus, ScheduledTask, require_id
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.postgres import PostgresDatabase
from tests.support.core_fakes import FakeClock, MakeEngine, a_task
from tests.support.postgres_server import PostgresServer

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

DENVER = ZoneInfo("America/Denver")
STRETCHES = [
    pytest.param(datetime(2026, 10, 19, tzinfo=DENVER), 15, id="clocks go back"),
    pytest.param(datetime(2026, 3, 1, tzinfo=DENVER), 30, id="March", marks=pytest.mark.thorough),
    pytest.param(datetime(2026, 10, 15, tzinfo=DENVER), 30, id="to November", marks=pytest.mark.thorough),
]
ASLEEP = (timedelta(days=9), timedelta(days=11, hours=2, minutes=41))
COLUMNS = "task_name, scheduled_for, attempt, started_at, finished_at, status, reason, result, trigger, collapsed, live"


Row = tuple[object, ...]


def fail_first(task: ScheduledTask, context: HandlerContext) -> dict[str, str]:
    return {"status": "error" if context.attempt == 1 else "ok", "error": "the first attempt fails"}


def add_tasks(store: MemoryStore, start: datetime) -> None:
    for task in (
        a_task("every 3 h", every={"hours": 3}),
        a_task("every 475 min", every={"minutes": 475}),
        a_task("in the gap", cron="30 2 * * *"),
        a_task("repeated", cron="30 1 * * *"),
        a_task("each half hour", cron="*/30 0-3 * * *"),
        a_task("elsewhere", cron="30 7 * * *", policy={"timezone": "Asia/Kathmandu"}),
        a_task("useless late", cron="0 */4 * * *", policy={"misfire_grace_seconds": 600}),
        a_task("flaky", cron="0 */8 * * *", handler="fail_first", policy={"retries": 1}),
        a_task("failing", cron="15 12 * * MON-FRI", handler="fail_first"),
        a_task("once", at=(start + timedelta(days=3)).isoformat()),
        a_task("nobody's", cron="0 6 * * *", handler="unknown"),
        a_task("rubbish", cron="0 6 * * *", policy={"timezone": "Mars/Olympus"}),
    ):
        store.store_scheduled_task(task)


def act(store: MemoryStore, engine: SchedulerEngine, day: int) -> None:
    """What a person does on some days."""
    if day == 5:
        store.update_scheduled_task(require_id(store.tasks.require_task("every 3 h")), enabled=0)
    elif day == 7:
        store.update_scheduled_task(require_id(store.tasks.require_task("every 3 h")), enabled=1)
    elif day == 14:
        engine.run_now("flaky")
    elif day == 12:
        changed = '{"expression": "45 */6 * * *"}'
        store.update_scheduled_task(require_id(store.tasks.require_task("repeated")), schedule_config=changed)


def live_through(
    store: MemoryStore, clock: FakeClock, engine: SchedulerEngine, start: datetime, days: int
) -> list[tuple[object, ...]]:
    """Days of ticks, each at the instant that the engine wants; returns all rows of the history."""
    add_tasks(store, start)
    engine.evaluate_due_tasks()
    day = 0
    while clock.now() < start + timedelta(days=days):
        next_day = start + timedelta(days=day + 1)
        due_at = engine.next_due_at() or next_day
        until = min(max(due_at, clock.now() + timedelta(seconds=1)), next_day)
        if start + ASLEEP[0] < until < start + ASLEEP[1]:
            until = start + ASLEEP[1]
        clock.advance(seconds=(until - clock.now()).total_seconds())
        while start + timedelta(days=day + 1) <= clock.now():
            day += 1
            act(store, engine, day)
        engine.evaluate_due_tasks()
    return [tuple(row) for row in store.read(f"SELECT {COLUMNS} FROM task_runs ORDER BY id")]


def digest(rows: list[Row]) -> str:
    return hashlib.sha256("\n".join(map(repr, rows)).encode()).hexdigest()


@pytest.mark.law(3)
@pytest.mark.law(5)
@pytest.mark.law(6)
@pytest.mark.parametrize(("start", "days"), STRETCHES)
def test_a_stretch_of_days_has_the_same_history_on_both_databases(
    postgres: PostgresServer, tmp_path: Path, make_engine: MakeEngine, start: datetime, days: int
) -> None:
    histories = []
    for connection in (None, PostgresDatabase(postgres.new_database())):
        clock = FakeClock(start.astimezone(UTC), DENVER)
        with MemoryStore(tmp_path / "month.db", clock=clock, connection=connection) as store:
            engine = make_engine({"fail_first": fail_first}, store=store, clock=clock, random=Random(1))
            histories.append(live_through(store, clock, engine, clock.now(), days))

    file, server = histories
    assert [row for row, other in zip(file, server, strict=False) if row != other] == []
    assert digest(file) == digest(server)
    statuses = Counter(row[5] for row in file)
    assert {*statuses} >= {RunStatus.EXECUTED, RunStatus.ERROR, RunStatus.MISSED, RunStatus.SKIPPED}
    assert len(file) > 26 * days
