"""Tests of how ends are recorded: at once, or as soon as that can be done; and of what follows of them (law 3).

Through the engine, on a clock that tests set.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from core_fakes import START, FakeClock, Gate, MakeEngine, Notes, a_task, fail, finish, history, in_thread, wait_until

from jarvis_trio.errors import StoreError
from jarvis_trio.models import HandlerContext, ScheduledTask
from jarvis_trio.runner import run_in_thread
from jarvis_trio.store import MemoryStore

MINUTE = timedelta(minutes=1)
DENVER, TOKYO = ZoneInfo("America/Denver"), ZoneInfo("Asia/Tokyo")


@pytest.mark.law(3)
def test_a_failure_is_retried_with_growing_pauses_that_are_recorded_as_attempts(
    make_engine: MakeEngine, due: Callable[..., ScheduledTask], store: MemoryStore, clock: FakeClock
) -> None:
    due(handler="fail", every={"minutes": 5, "days": 0}, policy={"retries": 3, "retry_delay_seconds": 10})
    store.update_scheduled_task(1, schedule_config='{"days": 1}', next_run_at="2026-03-02T09:05:00+00:00")
    engine = make_engine({"fail": fail})
    engine.evaluate_due_tasks()
    pauses = []
    while (due_at := engine.next_due_at()) is not None and due_at < START + timedelta(hours=1):
        pauses.append((due_at - clock.now()).total_seconds())
        clock.instant = due_at
        engine.evaluate_due_tasks()
    assert [attempt for _, attempt, _ in history(store)] == [1, 2, 3, 4]
    assert len(pauses) == 3
    for pause, base in zip(pauses, [10, 20, 40], strict=True):
        assert base <= pause <= base * 1.1


@pytest.mark.law(3)
def test_a_pause_is_at_most_an_hour(
    make_engine: MakeEngine, due: Callable[..., ScheduledTask], clock: FakeClock
) -> None:
    due(handler="fail", policy={"retries": 1, "retry_delay_seconds": 86_400 * 3660})
    engine = make_engine({"fail": fail})
    engine.evaluate_due_tasks()
    clock.advance(minutes=66)
    assert [result["status"] for result in engine.evaluate_due_tasks()] == ["error", "error"]


@pytest.mark.law(3)
def test_a_pending_retry_survives_a_restart(
    make_engine: MakeEngine, due: Callable[..., ScheduledTask], store: MemoryStore, clock: FakeClock, notes: Notes
) -> None:
    due(policy={"retries": 1, "retry_delay_seconds": 10})
    make_engine({"note": fail}).evaluate_due_tasks()
    clock.advance(seconds=12)
    make_engine(owner="restarted").evaluate_due_tasks()
    assert notes.calls == [("job", START + 5 * MINUTE, 2)]
    assert history(store) == [(START + 5 * MINUTE, 1, "error"), (START + 5 * MINUTE, 2, "executed")]


@pytest.mark.law(4)
def test_a_retry_whose_handler_is_gone_is_an_error_and_blocks_nothing(
    make_engine: MakeEngine,
    due: Callable[..., ScheduledTask],
    store: MemoryStore,
    clock: FakeClock,
    other: sqlite3.Connection,
) -> None:
    due(handler="fail", policy={"retries": 1, "retry_delay_seconds": 10})
    store.store_scheduled_task(a_task("good", at="2026-03-02T09:05:20"))
    engine = make_engine({"fail": fail})
    engine.evaluate_due_tasks()
    other.execute("UPDATE scheduled_tasks SET handler_type = 'gone' WHERE name = 'job'")
    clock.advance(seconds=30)
    assert [result["status"] for result in engine.evaluate_due_tasks()] == ["error", "executed"]
    assert engine.running() == []
    assert "'gone'" in str(store.list_runs(task="job")[0].reason)


@pytest.mark.law(4)
def test_a_retry_whose_policy_became_rubbish_blocks_nothing(
    make_engine: MakeEngine, due: Callable[..., ScheduledTask], clock: FakeClock, other: sqlite3.Connection
) -> None:
    due(handler="fail", policy={"retries": 1, "retry_delay_seconds": 10})
    engine = make_engine({"fail": fail})
    engine.evaluate_due_tasks()
    other.execute("UPDATE scheduled_tasks SET policy = 'rubbish'")
    clock.advance(seconds=30)
    engine.evaluate_due_tasks()
    assert (engine.running(), engine.next_due_at()) == ([], None)


@pytest.mark.law(3)
def test_a_run_by_hand_that_fails_is_not_retried(store: MemoryStore, make_engine: MakeEngine, clock: FakeClock) -> None:
    store.store_scheduled_task(a_task(policy={"retries": 5}))
    engine = make_engine({"note": fail})
    assert engine.run_now("job")["error"] == "ValueError: no net"
    engine.evaluate_due_tasks()
    assert engine.next_due_at() == START + 5 * MINUTE


@pytest.mark.law(3)
def test_an_outcome_that_cannot_be_written_is_kept_and_written_later(
    path: Path, clock: FakeClock, make_engine: MakeEngine, other: sqlite3.Connection, notes: Notes
) -> None:
    """Another program takes the write lock while the handler runs, and keeps it."""
    store = MemoryStore(path, clock=clock, busy_timeout=timedelta(milliseconds=20))

    def lock(task: ScheduledTask, context: HandlerContext) -> dict[str, bool]:
        if not other.in_transaction:
            other.execute("BEGIN IMMEDIATE")
        return {"ran": True}

    with store:
        engine = make_engine({"lock": lock}, store=store)
        store.store_scheduled_task(a_task(handler="lock"))
        engine.evaluate_due_tasks()
        clock.advance(minutes=5)
        assert [result["status"] for result in engine.evaluate_due_tasks()] == ["executed"]
        assert history(store) == [(START + 5 * MINUTE, 1, "running")]
        clock.advance(minutes=5)
        with pytest.raises(StoreError):
            engine.evaluate_due_tasks()  # nothing is started that cannot be claimed
        other.execute("COMMIT")
        engine.evaluate_due_tasks()
        assert history(store)[0] == (START + 5 * MINUTE, 1, "executed")
        run = store.list_runs()[-1]
        assert (run.result, run.finished_at) == ('{"ran": true}', START + 5 * MINUTE)


@pytest.mark.law(3)
def test_an_outcome_that_finds_the_disk_full_is_kept_until_there_is_room(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock
) -> None:
    def fill(*_: object) -> str:
        store.read(f"PRAGMA max_page_count = {store.value('PRAGMA page_count')}")
        return "x" * 60_000

    engine = make_engine({"note": fill})
    store.store_scheduled_task(a_task(at="2026-03-02T09:05"))
    engine.evaluate_due_tasks()
    clock.advance(minutes=5)
    engine.evaluate_due_tasks()
    assert [status for _, _, status in history(store)] == ["running"]
    store.read("PRAGMA max_page_count = 1000000")
    engine.evaluate_due_tasks()
    assert [status for _, _, status in history(store)] == ["executed"]


@pytest.mark.law(3)
def test_what_is_kept_at_the_end_is_written_by_finish(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock
) -> None:
    def fill(*_: object) -> str:
        store.read(f"PRAGMA max_page_count = {store.value('PRAGMA page_count')}")
        return "x" * 60_000

    engine = make_engine({"note": fill})
    store.store_scheduled_task(a_task(at="2026-03-02T09:05"))
    clock.advance(minutes=5)
    engine.evaluate_due_tasks()
    store.read("PRAGMA max_page_count = 1000000")
    engine.finish()
    assert [status for _, _, status in history(store)] == ["executed"]


@pytest.mark.law(2)
def test_a_thread_that_ends_while_nothing_can_be_written_releases_its_task_later(
    path: Path,
    clock: FakeClock,
    make_engine: MakeEngine,
    other: sqlite3.Connection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    gate = Gate()
    with MemoryStore(path, clock=clock, busy_timeout=timedelta(milliseconds=20)) as store:
        engine = make_engine({"note": gate}, store=store, runner=run_in_thread)
        store.store_scheduled_task(a_task(policy={"timeout_seconds": 0.02}))
        engine.evaluate_due_tasks()
        clock.advance(minutes=5)
        engine.evaluate_due_tasks()
        assert [status for _, _, status in history(store)] == ["timeout"]
        other.execute("BEGIN IMMEDIATE")
        gate.opened.set()
        wait_until(lambda: "stays blocked" in caplog.text)
        other.execute("COMMIT")
        clock.advance(minutes=5)
        engine.evaluate_due_tasks()
        assert [status for _, _, status in history(store)] == ["timeout", "executed"]


@pytest.mark.law(3)
def test_an_outcome_is_not_written_into_a_file_that_does_not_know_its_run(
    store: MemoryStore,
    make_engine: MakeEngine,
    due: Callable[..., ScheduledTask],
    path: Path,
    tmp_path: Path,
    clock: FakeClock,
) -> None:
    gate = Gate()
    due("old")
    engine = make_engine({"note": gate})
    slow = in_thread(engine.evaluate_due_tasks)
    gate.wait()
    with MemoryStore(tmp_path / "new.db", clock=clock) as new:
        other = new.store_scheduled_task(a_task("new"))
        new.claim_run(other, START, 1, started_at=START, owner="another")
    os.replace(tmp_path / "new.db", path)
    store.ensure_same_file()
    gate.opened.set()
    finish(slow)
    assert [(run.task_name, str(run.status)) for run in store.list_runs()] == [("new", "running")]
