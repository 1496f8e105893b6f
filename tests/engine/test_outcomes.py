"""Tests of how ends are recorded: at once, or as soon as that can be done; and of what follows of them (law 3).

Through the engine, on a clock that tests set.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import psycopg
import pytest

from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.engine.deliveries import AlertChannel
from jarvis_trio.engine.notices import Notices
from jarvis_trio.engine.runner import run_in_thread
from jarvis_trio.errors import StoreError
from jarvis_trio.models import HandlerContext, ScheduledTask
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.postgres import PostgresDatabase
from tests.support.core_fakes import (
    PATIENCE,
    START,
    Channel,
    Due,
    FakeClock,
    Gate,
    MakeEngine,
    Notes,
    a_task,
    answer_lost,
    fail,
    finish,
    history,
    in_thread,
    wait_until,
)
from tests.support.postgres_server import PostgresServer

MINUTE = timedelta(minutes=1)


@pytest.mark.law(3)
def test_a_failure_is_retried_with_growing_pauses_that_are_recorded_as_attempts(
    make_engine: MakeEngine, due: Due, store: MemoryStore, clock: FakeClock
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
def test_a_pause_is_up_to_a_tenth_longer_by_chance(make_engine: MakeEngine, due: Due, clock: FakeClock) -> None:
    class Longest(Random):
        def random(self) -> float:
            return 1.0

    due(policy={"retries": 1, "retry_delay_seconds": 10})
    engine = make_engine({"note": fail}, random=Longest())
    engine.evaluate_due_tasks()
    assert engine.next_due_at() == clock.now() + timedelta(seconds=11)


@pytest.mark.law(2)
def test_what_succeeded_is_not_tried_again(engine: SchedulerEngine, due: Due, clock: FakeClock, notes: Notes) -> None:
    due(policy={"retries": 3, "retry_delay_seconds": 10})
    engine.evaluate_due_tasks()
    clock.advance(minutes=1)
    assert engine.evaluate_due_tasks() == []
    assert len(notes.calls) == 1


@pytest.mark.law(3)
def test_a_pause_is_at_most_an_hour(make_engine: MakeEngine, due: Due, clock: FakeClock) -> None:
    due(handler="fail", policy={"retries": 1, "retry_delay_seconds": 86_400 * 3660})
    engine = make_engine({"fail": fail})
    engine.evaluate_due_tasks()
    clock.advance(minutes=66)
    assert [result["status"] for result in engine.evaluate_due_tasks()] == ["error", "error"]


@pytest.mark.law(3)
def test_a_pending_retry_survives_a_restart(
    make_engine: MakeEngine, due: Due, store: MemoryStore, clock: FakeClock, notes: Notes
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
    due: Due,
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
    assert "'gone'" in str(store.runs.list_runs(task="job")[0].reason)


@pytest.mark.law(4)
def test_a_retry_whose_policy_became_rubbish_blocks_nothing(
    make_engine: MakeEngine, due: Due, clock: FakeClock, other: sqlite3.Connection
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


@pytest.mark.parametrize("change", ["UPDATE scheduled_tasks SET enabled = 0", "DELETE FROM scheduled_tasks"])
def test_a_task_that_is_paused_or_removed_while_it_runs_is_not_retried(
    store: MemoryStore,
    make_engine: MakeEngine,
    due: Due,
    clock: FakeClock,
    other: sqlite3.Connection,
    change: str,
) -> None:
    gate = Gate()

    def fail_late(*_: object) -> None:
        gate()
        fail()

    due(policy={"retries": 1})
    engine = make_engine({"note": fail_late})
    with gate.holding(engine.evaluate_due_tasks):
        other.execute(change)
        assert engine.evaluate_due_tasks() == []  # another tick reads it meanwhile
    assert [status for _, _, status in history(store)] == ["error"]
    assert store.value("SELECT count(*) FROM task_queue") == 0


@pytest.mark.law(3)
def test_an_outcome_that_cannot_be_written_is_kept_and_written_later(
    path: Path,
    clock: FakeClock,
    make_engine: MakeEngine,
    other: sqlite3.Connection,
    caplog: pytest.LogCaptureFixture,
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
        assert len(caplog.messages) == 1
        clock.advance(minutes=5)
        with pytest.raises(StoreError):
            engine.evaluate_due_tasks()  # nothing is started that cannot be claimed
        (told,) = caplog.messages
        assert told.startswith("The outcome of task 'job' is kept, as it cannot be written now: cannot use ")
        other.execute("COMMIT")
        engine.evaluate_due_tasks()
        assert history(store)[0] == (START + 5 * MINUTE, 1, "executed")
        run = store.runs.list_runs()[-1]
        assert (run.result, run.finished_at) == ('{"ran": true}', START + 5 * MINUTE)


@pytest.fixture
def on_a_full_disk(store: MemoryStore, make_engine: MakeEngine, clock: FakeClock) -> SchedulerEngine:
    """An engine whose task ran and found the disk full at its end; there is room when the test begins."""

    def fill(*_: object) -> str:
        store.read(f"PRAGMA max_page_count = {store.value('PRAGMA page_count')}")
        return "x" * 60_000

    engine = make_engine({"note": fill})
    store.store_scheduled_task(a_task(at="2026-03-02T09:05"))
    clock.advance(minutes=5)
    engine.evaluate_due_tasks()
    assert [status for _, _, status in history(store)] == ["running"]
    store.read("PRAGMA max_page_count = 1000000")
    return engine


@pytest.mark.law(3)
def test_an_outcome_that_finds_the_disk_full_is_kept_until_there_is_room(
    store: MemoryStore, on_a_full_disk: SchedulerEngine
) -> None:
    on_a_full_disk.evaluate_due_tasks()
    assert [status for _, _, status in history(store)] == ["executed"]


@pytest.mark.law(3)
def test_what_is_kept_at_the_end_is_written_by_finish(store: MemoryStore, on_a_full_disk: SchedulerEngine) -> None:
    on_a_full_disk.finish()
    assert [status for _, _, status in history(store)] == ["executed"]


@pytest.mark.law(3)
@pytest.mark.postgres
@pytest.mark.slow
def test_law_3_what_a_lost_session_kept_from_the_server_is_written_by_finish(
    path: Path, clock: FakeClock, make_engine: MakeEngine, postgres: PostgresServer
) -> None:
    """The server goes away during the last run, and is back after its tick; no other one connects again."""

    def lose(*_: object) -> None:
        session = connection._session.info.backend_pid
        with psycopg.connect(address, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 20000)", (session,))

    address = postgres.new_schema()
    connection = PostgresDatabase(address)
    with MemoryStore(path, clock=clock, connection=connection) as store:
        engine = make_engine({"note": lose}, store=store)
        store.store_scheduled_task(a_task(at="2026-03-02T09:00", next_run_at="2026-03-02T09:00"))
        engine.evaluate_due_tasks()
        lose()
        engine.finish()
        assert [status for _, _, status in history(store)] == ["executed"]


@pytest.mark.sqlite
@pytest.mark.law(3)
def test_law_3_a_stop_waits_for_room_to_write_how_a_run_ended(
    store: MemoryStore, on_a_full_disk: SchedulerEngine
) -> None:
    store.read(f"PRAGMA max_page_count = {store.value('PRAGMA page_count')}")
    tried = threading.Event()

    def note(sql: str, _: object) -> None:
        if sql.startswith("UPDATE task_runs"):
            tried.set()

    def make_room() -> None:
        tried.wait(60)
        store.read("PRAGMA max_page_count = 1000000")

    store.connection.trace = note
    other = threading.Thread(target=make_room)
    other.start()
    on_a_full_disk.finish()
    other.join()
    assert [status for _, _, status in history(store)] == ["executed"]


def test_if_all_is_written_nothing_waits(engine: SchedulerEngine) -> None:
    said: list[bool] = []
    finish(in_thread(lambda: said.append(engine.write_kept(timedelta(seconds=2 * PATIENCE)))))
    assert said == [True]


@pytest.mark.sqlite
def test_the_time_that_a_locked_database_takes_counts_as_patience(
    path: Path, clock: FakeClock, make_engine: MakeEngine, other: sqlite3.Connection
) -> None:
    def lock(*_: object) -> None:
        other.execute("BEGIN IMMEDIATE")

    with MemoryStore(path, clock=clock, busy_timeout=timedelta(seconds=1.2)) as store:
        engine = make_engine({"note": lock}, store=store)
        store.store_scheduled_task(a_task())
        engine.run_now("job")
        said: list[str] = []
        store.connection.trace = lambda sql, _: said.append(sql)
        assert not engine.write_kept(timedelta(seconds=1))
        assert said.count("BEGIN IMMEDIATE") == 1
        other.execute("COMMIT")


@pytest.mark.sqlite
@pytest.mark.law(3)
def test_law_3_an_outcome_that_another_programs_trigger_refuses_is_kept_until_that_is_gone(
    store: MemoryStore,
    engine: SchedulerEngine,
    due: Due,
    other: sqlite3.Connection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    due()
    other.execute("CREATE TRIGGER theirs BEFORE UPDATE OF status ON task_runs BEGIN SELECT RAISE(ABORT, 'no'); END")
    for _ in range(2):
        engine.evaluate_due_tasks()
    assert [status for _, _, status in history(store)] == ["running"]
    assert "The outcome of task 'job' is kept, as it cannot be written now: " in caplog.messages[-1]
    other.execute("DROP TRIGGER theirs")
    engine.evaluate_due_tasks()
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
        wait_until(lambda: "Task 'job' stays blocked, as that cannot be written now: cannot use" in caplog.text)
        other.execute("COMMIT")
        clock.advance(minutes=5)
        engine.evaluate_due_tasks()
        first, second = (status for _, _, status in history(store))
        assert first == "timeout"
        assert second != "skipped"  # it began, though on a busy machine it may reach its limit too


@pytest.mark.law(4)
def test_a_handler_that_comes_back_after_the_database_was_closed_ends_without_a_complaint(
    path: Path, clock: FakeClock, make_engine: MakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()

    def late(task: ScheduledTask, context: HandlerContext) -> None:
        gate()
        context.store.get_due_tasks(clock.now())

    with MemoryStore(path, clock=clock) as store:
        engine = make_engine({"note": late}, store=store, runner=run_in_thread)
        store.store_scheduled_task(a_task(policy={"timeout_seconds": 0.02}))
        engine.run_now("job")
    gate.opened.set()
    wait_until(lambda: "The handler has ended at last" in caplog.text)
    assert [record.levelname for record in caplog.records if record.levelno >= logging.ERROR] == []
    with MemoryStore(path, clock=clock) as store:
        assert [run.status for run in store.runs.list_runs()] == ["timeout"]


@pytest.mark.law(3)
def test_an_outcome_is_not_written_into_a_file_that_does_not_know_its_run(
    store: MemoryStore,
    make_engine: MakeEngine,
    due: Due,
    path: Path,
    tmp_path: Path,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    gate = Gate()
    due("old")
    with gate.holding(make_engine({"note": gate}).evaluate_due_tasks):
        with MemoryStore(tmp_path / "new.db", clock=clock) as new:
            other = new.store_scheduled_task(a_task("new"))
            new.runs.claim_run(other, START, 1, started_at=START, owner="another")
        os.replace(tmp_path / "new.db", path)
        store.look_after()
    assert [(run.task_name, str(run.status)) for run in store.runs.list_runs()] == [("new", "running")]
    assert "Run 1 of task 'old' is no longer in the database" in caplog.messages


@pytest.mark.law(3)
def test_a_run_that_was_taken_for_dead_counts_if_its_slot_has_not_begun_again(
    store: MemoryStore, make_engine: MakeEngine, due: Due, caplog: pytest.LogCaptureFixture
) -> None:
    gate, another = Gate(), make_engine(owner="another")
    due()
    with gate.holding(make_engine({"note": gate}).evaluate_due_tasks):
        another.recover()
        assert history(store) == [(START + 5 * MINUTE, 1, "interrupted")]
    (run,) = store.runs.list_runs()
    assert (run.status, run.reason) == ("executed", "it was taken for dead before it ended")
    assert "Run 1 of task 'job', taken for dead, has ended after all" in caplog.messages
    assert another.evaluate_due_tasks() == []


@pytest.mark.law(3)
def test_a_run_that_was_taken_for_dead_is_told_to_have_run_twice_if_its_slot_has_begun_again(
    store: MemoryStore, make_engine: MakeEngine, due: Due, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    clock.machine_zone = ZoneInfo("America/Denver")
    gate, channel, another = Gate(), Channel(), make_engine(owner="another")
    engine = make_engine({"note": gate}, notices=Notices(store, clock, channel, AlertChannel("email")))
    due()
    with gate.holding(engine.evaluate_due_tasks):
        another.evaluate_due_tasks()
    assert history(store) == [(START + 5 * MINUTE, 1, "interrupted"), (START + 5 * MINUTE, 2, "executed")]
    first = store.runs.get_run(1)
    assert first is not None
    assert (first.reason or "").endswith("; it ended after all: executed")
    assert "Run 1 of task 'job', taken for dead, ended beside another attempt" in caplog.messages
    assert [(message.status, message.result) for _, _, message in channel.sent] == [
        ("ran twice", "its run since Mon 2026-03-02 02:05 MST was taken for dead and ended after all: executed")
    ]


@pytest.mark.sqlite
@pytest.mark.law(3)
def test_law_3_an_outcome_is_written_although_another_programs_trigger_rolls_back_what_its_task_is_told(
    store: MemoryStore, engine: SchedulerEngine, due: Due, other: sqlite3.Connection
) -> None:
    due()
    other.execute(
        "CREATE TRIGGER theirs BEFORE UPDATE OF last_result ON scheduled_tasks"
        " BEGIN SELECT RAISE(ROLLBACK, 'mine'); END"
    )
    engine.evaluate_due_tasks()
    assert history(store) == [(START + 5 * MINUTE, 1, "executed")]
    assert store.tasks.require_task("job").last_result is None


@pytest.mark.law(3)
@pytest.mark.parametrize("stopped", [False, True])
def test_an_outcome_whose_commit_is_not_confirmed_stays_as_it_was_recorded(
    store: MemoryStore,
    make_engine: MakeEngine,
    due: Due,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
    stopped: bool,
) -> None:
    due()

    def handler(task: ScheduledTask, context: HandlerContext) -> None:
        if stopped:
            engine.stop(1, "alex")
        clock.advance(seconds=1)
        lost.enter_context(answer_lost(store))

    engine = make_engine({"note": handler})
    with ExitStack() as lost:
        engine.evaluate_due_tasks()
    (before,) = store.runs.list_runs()
    clock.advance(seconds=1)
    engine.evaluate_due_tasks()
    assert store.runs.list_runs() == [before]
    assert before.reason == ("stopped by alex" if stopped else None)
    assert "no longer in the database" not in caplog.text


@pytest.mark.parametrize("handler", ["note", "fail"])
def test_a_run_whose_task_is_renamed_meanwhile_is_told_by_its_new_name(
    make_engine: MakeEngine,
    due: Due,
    store: MemoryStore,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
    handler: str,
) -> None:
    caplog.set_level("INFO", "jarvis_trio.runs")
    channel = Channel()
    task = due(handler=handler, delivery_channel="notification")

    def renames(task_: ScheduledTask, _: HandlerContext) -> None:
        with store.transaction():
            store.update_scheduled_task(task.id or 0, name="new")
            store.runs.rename_runs(task.id or 0, "new")
        if handler == "fail":
            raise ValueError("no net")

    [result] = make_engine({handler: renames}, notices=Notices(store, clock, channel)).evaluate_due_tasks()
    assert result["name"] == "new"
    assert [message.task_name for _, _, message in channel.sent] == ["new"]
    assert [text for text in caplog.messages if text.startswith("Task 'new': e")] != []
    assert "'job'" not in caplog.text
    assert store.tasks.require_task("new").last_run_at is not None
