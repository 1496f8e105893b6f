"""Regression guard of the costs: what is counted is work, not seconds, so that no machine's load decides.

What each part costs, and why, is in docs/performance.md; `make bench` measures it.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from jarvis_trio.daemon import JarvisDaemon
from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.handlers.webhook_poll import WebhookPoll
from jarvis_trio.schedules.interval import SHORTEST
from jarvis_trio.store import MemoryStore
from jarvis_trio.testing import Simulation
from jarvis_trio.testing.machine import SimulatedClock
from tests.support.cli_world import Program
from tests.support.core_fakes import START, FakeClock, MakeEngine, Notes
from tests.support.handler_calls import NOON, a_context
from tests.support.handler_calls import a_task as an_inbox_task

HOUR = timedelta(hours=1)
NEVER_IN_A_DAEMON = {
    "rich", "humanize", "apprise", "asyncio", "smtplib", "email", "http", "psutil", "importlib.metadata",
    "urllib.request", "tomllib", "unittest", "multiprocessing", "concurrent.futures", "click", "jarvis_trio.cli",
    "uuid",
}  # fmt: skip


Statement = tuple[str, Sequence[Any]]


@contextmanager
def statements_of(store: MemoryStore) -> Iterator[list[Statement]]:
    """The statements that the store executes meanwhile, with their values; those in triggers are not among them."""
    seen: list[Statement] = []
    store.connection.trace = lambda sql, parameters: seen.append((sql, parameters))
    try:
        yield seen
    finally:
        store.connection.trace = None


def add(store: MemoryStore, count: int, first: int, *, in_hours: int) -> None:
    """Add tasks that come due in `in_hours` hours, as another program does."""
    store.write_many(
        "INSERT INTO scheduled_tasks (name, schedule_type, schedule_config, handler_type, next_run_at)"
        " VALUES (?, 'interval', '{\"days\": 1}', 'note', ?)",
        [(str(first + number), (START + in_hours * HOUR).isoformat()) for number in range(count)],
    )


def an_idle_tick_and_ten_runs(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock, stored: int
) -> tuple[list[str], Counter[str]]:
    """The statements of an idle tick, and those of ten due tasks, among `stored` tasks."""
    add(store, 10, 0, in_hours=3)
    add(store, stored - 10, 10, in_hours=1000)
    engine.evaluate_due_tasks()
    clock.advance(hours=1)
    engine.evaluate_due_tasks()  # which believes its clock now, and looks for old history
    clock.advance(minutes=1)
    with statements_of(store) as idle:
        engine.evaluate_due_tasks()
        engine.known_due_at()
        engine.next_delivery_at()
        engine.is_asked()
    clock.advance(hours=2)
    with statements_of(store) as due:
        assert len(engine.evaluate_due_tasks()) == 10
    return [sql for sql, _ in idle], Counter(sql for sql, _ in due)


def test_an_idle_tick_reads_a_counter_once_and_nothing_else(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock
) -> None:
    idle, _ = an_idle_tick_and_ten_runs(store, engine, clock, stored=10)
    assert idle == ["PRAGMA data_version"]


def test_a_run_is_one_commit_and_nine_statements(store: MemoryStore, engine: SchedulerEngine, clock: FakeClock) -> None:
    _, due = an_idle_tick_and_ten_runs(store, engine, clock, stored=10)
    assert due["COMMIT"] == 10 + 1  # the first claim, then each outcome with the next claim, the last without
    assert due.total() <= 10 * 9 + 7  # the looks at the database, at the queue and ahead


def test_the_work_is_the_same_among_10_000_tasks(
    tmp_path: Path, clock: FakeClock, make_engine: MakeEngine, notes: Notes
) -> None:
    found = []
    for stored in (10, 10_000):
        clock.instant = START
        with MemoryStore(tmp_path / f"{stored}.db", clock=clock) as store:
            found.append(an_idle_tick_and_ten_runs(store, make_engine(store=store), clock, stored))
    assert found[0] == found[1]


def test_the_queue_is_read_by_its_indexes(store: MemoryStore) -> None:
    with statements_of(store) as questions:
        store.queue.look_ahead("me")
        store.queue.head(START)
    plans = [row[3] for sql, values in questions for row in store.read(f"EXPLAIN QUERY PLAN {sql}", values)]
    for index in ("task_queue_due", "task_runs_live", "outbox_due", "task_deadlines_due"):
        assert any(index in step for step in plans), (index, plans)


class Steps(trio.abc.Instrument):
    """Counts how often the event loop has a task of the daemon go on, for each task."""

    def __init__(self) -> None:
        self.of: Counter[str] = Counter()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task.name.startswith("jarvis_trio."):
            self.of[task.name] += 1


async def test_an_idle_tick_changes_threads_once_and_has_tasks_go_on_three_times(
    store: MemoryStore, autojump_clock: trio.testing.MockClock
) -> None:
    clock = SimulatedClock(autojump_clock, START, UTC)
    calls: list[Callable[[], Any]] = []
    steps = Steps()

    async def counted(call: Callable[[], Any]) -> Any:
        calls.append(call)
        await trio.lowlevel.checkpoint()  # as a call in a thread does
        return call()

    daemon = JarvisDaemon(store, engine=SchedulerEngine(store, clock=clock, handlers={}), clock=clock, run_sync=counted)
    async with trio.open_nursery() as nursery:
        await nursery.start(daemon.run)
        await trio.sleep(30)
        calls.clear()
        trio.lowlevel.add_instrument(steps)
        await trio.sleep(600)
        trio.lowlevel.remove_instrument(steps)
        daemon.shutdown()
        assert len(calls) == 10
        assert steps.of.total() <= 10 * 3, steps.of


def test_a_simulated_day_of_runs_sleeps_nowhere_in_trio() -> None:
    steps = Steps()
    with Simulation("2026-03-02T00:00") as simulation:
        simulation.add("hourly", every="1h")
        simulation.add("counts", at="2026-03-02T00:30", handler=lambda *_: trio.lowlevel.add_instrument(steps))
        simulation.run(days=1)
        assert len(simulation.history("hourly")) == 24
    assert 0 < steps.of["jarvis_trio.daemon.loop.JarvisDaemon.run"] <= 10, steps.of  # each sleep would be two


@pytest.mark.law(4)
def test_an_interval_of_microseconds_keeps_nobody_busy() -> None:
    with Simulation(NOON) as simulation:
        simulation.add("good", every="1s")
        simulation.store.write(
            "INSERT INTO scheduled_tasks (name, schedule_type, schedule_config, handler_type)"
            " VALUES ('busy', 'interval', '{\"seconds\": 0.000001}', 'note')"
        )
        simulation.run(timedelta(seconds=10))
        assert len(simulation.history("busy")) <= 10 / SHORTEST.total_seconds()
        assert len(simulation.history("good")) == 10


def test_files_of_the_inbox_share_their_commits(store: MemoryStore, tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for number in range(1000):
        file = inbox / f"{number}.json"
        file.write_text(json.dumps({"source": "s", "event_type": "e", "payload": number}))
        os.utime(file, (NOON.timestamp() - 60,) * 2)
    with statements_of(store) as statements:
        assert WebhookPoll(inbox)(an_inbox_task(), a_context(store))["ingested"] == 1000
    assert statements.count(("COMMIT", ())) <= 3
    assert len(statements) / 1000 <= 3.1  # the event, its file's note, and that this is forgotten


def imported_by_a_daemon(program: Program) -> set[str]:
    """The modules that a daemon with the two usual tasks has imported when it ends."""
    assert program("init").code == 0
    program.environment.pop("COVERAGE_PROCESS_CONFIG", None)  # the measurement has imports of its own
    process = program.daemon(PYTHONPROFILEIMPORTTIME="1")
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=180)
    return {line.rpartition("|")[2].strip() for line in told.splitlines() if line.startswith("import time:")}


def test_a_running_daemon_has_imported_nothing_heavy_but_trio(program: Program) -> None:
    imported = imported_by_a_daemon(program)
    assert {"trio", "sqlite3", "jarvis_trio.handlers.webhook_poll"} <= imported
    assert imported & NEVER_IN_A_DAEMON == set()


@pytest.mark.thorough
def test_thousands_of_runs_leave_nothing_behind_in_memory() -> None:
    """What Python holds after six hours of runs, and a day later: caches fill, nothing else grows."""
    with Simulation("2026-03-02T00:00") as simulation:
        for name in ("one", "two"):
            simulation.add(name, every="2m")
        simulation.run(hours=6)
        gc.collect()
        tracemalloc.start()
        try:
            simulation.run(days=1)
            gc.collect()
            grown, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert len(simulation.history()) > 1500
    assert grown < 100_000  # 70 bytes a run; an object that each run left would be more
