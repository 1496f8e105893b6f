"""Tests of one tick: what it returns, keeps, retries and survives (laws 2, 3, 4), on a clock that tests set."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from jarvis_trio.delivery import Message
from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.engine.limits import Limits
from jarvis_trio.engine.notices import Notices
from jarvis_trio.engine.peers import Peers
from jarvis_trio.engine.runner import run_in_thread, run_inline
from jarvis_trio.errors import (
    DeliveryError,
    HandlerError,
    StoreError,
    StoreMissingError,
    UnknownTaskError,
)
from jarvis_trio.handlers.approvals import Approvals
from jarvis_trio.handlers.outputs import Outputs
from jarvis_trio.models import HandlerContext, RunStatus, ScheduledTask, Trigger, require_id
from jarvis_trio.notation.instants import local_text
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.requests import RequestKind
from jarvis_trio.store.sqlite import SqliteFile
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
    fail,
    finish,
    history,
    in_thread,
    tick,
)

MINUTE = timedelta(minutes=1)
NOW = timedelta(0)
"""For a clock that is believed at once."""
INSERT = (
    "INSERT INTO scheduled_tasks (name, schedule_type, schedule_config, handler_type, next_run_at, policy)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)


def test_a_result_tells_what_was_done(engine: SchedulerEngine, due: Due) -> None:
    task = due()
    assert engine.evaluate_due_tasks() == [
        {
            "task_id": task.id,
            "name": "job",
            "handler_type": "note",
            "status": "executed",
            "next_run_at": "2026-03-02T09:10:00+00:00",
            "result": '{"ok": true}',
        }
    ]


def test_an_error_is_told_with_its_reason(make_engine: MakeEngine, due: Due) -> None:
    due(handler="fail")
    result = make_engine({"fail": fail}).evaluate_due_tasks()[0]
    assert (result["status"], result["error"], "result" in result) == ("error", "ValueError: no net", False)


def test_nothing_due_is_an_empty_list(store: MemoryStore, engine: SchedulerEngine) -> None:
    assert engine.evaluate_due_tasks() == []
    store.store_scheduled_task(a_task())
    assert engine.evaluate_due_tasks() == []


def test_a_handler_is_told_its_circumstances(
    make_engine: MakeEngine, due: Due, store: MemoryStore, clock: FakeClock
) -> None:
    seen: list[HandlerContext] = []
    due(handler="look", policy={"timeout_seconds": 7, "timezone": "Asia/Tokyo"})
    clock.advance(seconds=3)
    make_engine({"look": lambda task, context: seen.append(context)}).evaluate_due_tasks()
    context = seen[0]
    assert (context.scheduled_for, context.attempt) == (START + 5 * MINUTE, 1)
    assert context.started_at == START + 5 * MINUTE + timedelta(seconds=3)
    assert context.timeout == timedelta(seconds=7)
    assert context.deadline == START + 5 * MINUTE + timedelta(seconds=10)
    assert str(context.zone) == "Asia/Tokyo"
    assert context.store.tasks.require_task("job") == store.tasks.require_task("job")


@pytest.mark.law(4)
def test_law_4_a_handler_that_closes_the_store_hurts_nobody(
    store: MemoryStore, make_engine: MakeEngine, due: Due, clock: FakeClock, notes: Notes
) -> None:
    """`with context.store:` is an easy slip, as a store is a context manager."""

    def close(task: ScheduledTask, context: HandlerContext) -> None:
        with context.store as at_hand:
            at_hand.notes.remember("seen", "by the handler")
        context.store.close()

    store.store_scheduled_task(a_task("rude", handler="close"))
    due("good")
    engine = make_engine({"close": close})
    for _ in range(2):
        assert sorted(tick(engine)) == [("good", "executed"), ("rude", "executed")]
        clock.advance(minutes=5)
    assert store.notes.note("seen") == "by the handler"


@pytest.mark.law(5)
def test_the_instant_to_evaluate_at_may_be_given(store: MemoryStore, engine: SchedulerEngine, notes: Notes) -> None:
    now = START + 5 * MINUTE
    store.store_scheduled_task(a_task())
    engine.evaluate_due_tasks()
    assert engine.evaluate_due_tasks(now - MINUTE) == []
    assert len(engine.evaluate_due_tasks(now)) == 1
    assert notes.slots == [START + 5 * MINUTE]
    assert store.runs.list_runs()[0].started_at == START + 5 * MINUTE


@pytest.mark.law(6)
def test_law_6_at_a_given_instant_time_stands_still(tmp_path: Path) -> None:
    """With the machine's own clock, so that time would pass if it could."""
    with MemoryStore(tmp_path / "theirs.db") as store:
        store.store_scheduled_task(a_task("job", next_run_at="2026-02-20T09:00:00+00:00"))
        engine = SchedulerEngine(store, handlers={"note": lambda task, context: None})
        engine.evaluate_due_tasks(datetime(2026, 2, 20, 10, tzinfo=UTC))
        (run,) = store.runs.list_runs()
        assert run.started_at == run.finished_at == datetime(2026, 2, 20, 10, tzinfo=UTC)


@pytest.mark.law(1)
def test_what_comes_due_during_a_tick_is_the_next_ones(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock
) -> None:
    def slow(*_: object) -> None:
        clock.advance(minutes=5)

    engine = make_engine({"note": slow})
    store.store_scheduled_task(a_task())
    engine.evaluate_due_tasks()
    clock.advance(minutes=5)
    assert len(engine.evaluate_due_tasks()) == 1
    assert len(engine.evaluate_due_tasks()) == 1


def test_the_next_instant_is_the_first_of_all(store: MemoryStore, engine: SchedulerEngine) -> None:
    assert engine.next_due_at() is None
    store.store_scheduled_task(a_task("a", every={"minutes": 5}))
    store.store_scheduled_task(a_task("b", every={"minutes": 3}))
    engine.evaluate_due_tasks()
    assert engine.next_due_at() == START + 3 * MINUTE


@pytest.mark.law(8)
def test_an_unknown_type_is_skipped_and_said_so_once(
    engine: SchedulerEngine,
    due: Due,
    clock: FakeClock,
    store: MemoryStore,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store.store_scheduled_task(a_task("another", handler="skill_analysis"))
    due(handler="morning_brief")
    next_runs = [task.next_run_at for task in store.list_scheduled_tasks()]
    results = []
    for _ in range(3):
        results += engine.evaluate_due_tasks()
        clock.advance(minutes=5)
    assert [result["status"] for result in results] == ["skipped", "skipped"]
    assert all(result["handler_type"] in result["error"] for result in results)
    assert [(record.__dict__["task"], record.message) for record in caplog.records] == [
        ("another", "Task 'another' skipped: no handler of type 'skill_analysis' is installed"),
        ("job", "Task 'job' skipped: no handler of type 'morning_brief' is installed"),
    ]
    task = store.get_scheduled_task_by_name("job")
    assert task is not None
    assert (task.enabled, task.last_result) == (True, None)
    assert [str(trouble.kind) for trouble in store.troubles.list_troubles()] == ["no handler", "no handler"]
    assert [len(store.runs.list_runs(task=name)) for name in ("another", "job")] == [1, 1]
    assert [task.next_run_at for task in store.list_scheduled_tasks()][1:] == next_runs[1:]


@pytest.mark.law(3)
def test_law_3_a_task_that_waited_for_its_handler_runs_late_once_that_is_there(
    make_engine: MakeEngine, clock: FakeClock, store: MemoryStore, notes: Notes
) -> None:
    store.store_scheduled_task(a_task(handler="later"))
    engine = make_engine()
    for _ in range(10):
        engine.evaluate_due_tasks()
        clock.advance(minutes=5)
    restarted = make_engine({"later": notes})
    assert tick(restarted) == [("job", "executed")]
    assert history(store) == [
        (START + timedelta(minutes=5), 1, "skipped"),
        (START + timedelta(minutes=50), 1, "executed"),
    ]
    assert store.runs.list_runs()[0].collapsed == 8
    assert store.troubles.list_troubles() == []


@pytest.mark.parametrize("columns", [{"handler_type": "note"}, {"handler_type": "note", "enabled": True}])
def test_a_task_that_waits_for_its_handler_goes_on_when_it_is_given_another(
    engine: SchedulerEngine, clock: FakeClock, store: MemoryStore, columns: dict[str, Any]
) -> None:
    task = store.store_scheduled_task(a_task(handler="later"))
    for _ in range(3):
        engine.evaluate_due_tasks()
        clock.advance(minutes=5)
    store.update_scheduled_task(require_id(task), **columns)
    assert tick(engine) == [("job", "executed")]


@pytest.mark.law(4)
@pytest.mark.parametrize(
    "error", [ValueError("no net"), SystemExit(0), KeyboardInterrupt(), GeneratorExit(), OSError("\ud800 \n \x1b")]
)
@pytest.mark.parametrize("threads", [False, True], ids=["inline", "thread"])
def test_whatever_a_handler_raises_the_others_run(
    make_engine: MakeEngine,
    due: Due,
    store: MemoryStore,
    notes: Notes,
    error: BaseException,
    threads: bool,
) -> None:
    def bad(*_: object) -> None:
        raise error

    store.store_scheduled_task(a_task("a bad one", handler="bad"))
    due("good")
    engine = make_engine({"bad": bad}, **({"runner": run_in_thread} if threads else {}))
    assert [result["status"] for result in engine.evaluate_due_tasks()] == ["error", "executed"]
    assert notes.names == ["good"]
    told = store.get_scheduled_task_by_name("a bad one")
    assert told is not None
    assert json.loads(told.last_result or "")["status"] == "error"


@pytest.mark.law(4)
def test_what_a_handler_does_to_the_process_is_its_own_matter(
    make_engine: MakeEngine, due: Due, notes: Notes, store: MemoryStore, tmp_path: Path
) -> None:
    def rude(*_: object) -> str:
        os.chdir("/")
        os.environ["RUDE"] = "1"
        sys.setrecursionlimit(sys.getrecursionlimit())
        return "x" * 2_000_000

    before = os.getcwd()
    try:
        store.store_scheduled_task(a_task("a rude one", handler="rude"))
        due("good")
        results = make_engine({"rude": rude}).evaluate_due_tasks()
    finally:
        os.chdir(before)
        os.environ.pop("RUDE", None)
    assert [result["status"] for result in results] == ["executed", "executed"]
    assert len(str(results[0]["result"])) < 200_000


@pytest.mark.sqlite
@pytest.mark.law(3)
def test_a_full_disk_starts_nothing(
    store: MemoryStore,
    due: Due,
    notes: Notes,
    engine: SchedulerEngine,
    other: sqlite3.Connection,
) -> None:
    due()
    other.execute("BEGIN IMMEDIATE")
    store.read("PRAGMA busy_timeout = 1")
    with pytest.raises(StoreError):
        engine.evaluate_due_tasks()
    assert notes.calls == []


@pytest.mark.law(3)
def test_a_deleted_file_fails_the_tick_until_it_is_back(
    store: MemoryStore, engine: SchedulerEngine, due: Due, path: Path, notes: Notes
) -> None:
    due()
    path.rename(path.with_name("aside"))
    with pytest.raises(StoreMissingError, match="not found"):
        engine.evaluate_due_tasks()
    assert notes.calls == []
    path.with_name("aside").rename(path)
    assert len(engine.evaluate_due_tasks()) == 1


@pytest.mark.law(3)
def test_a_replaced_file_is_gone_on_with(
    store: MemoryStore,
    engine: SchedulerEngine,
    due: Due,
    path: Path,
    tmp_path: Path,
    clock: FakeClock,
    notes: Notes,
    caplog: pytest.LogCaptureFixture,
) -> None:
    due("old")
    with MemoryStore(tmp_path / "new.db", clock=clock) as new:
        new.store_scheduled_task(a_task("new", at="2026-03-02T09:00", next_run_at="2026-03-02T09:00"))
    os.replace(tmp_path / "new.db", path)
    engine.evaluate_due_tasks()
    assert notes.names == ["new"]
    assert f"The database {path} was replaced; the new one is used" in caplog.messages


@pytest.mark.law(3)
def test_a_file_that_could_not_be_opened_for_a_while_is_not_called_replaced(
    engine: SchedulerEngine, due: Due, path: Path, notes: Notes, caplog: pytest.LogCaptureFixture
) -> None:
    engine.evaluate_due_tasks()
    second, index = path.with_name("second.db"), Path(f"{path}-shm")
    os.link(path, second)
    index.unlink()
    for _ in range(2):
        with pytest.raises(StoreError, match="has 2 names"):
            engine.evaluate_due_tasks()
    second.unlink()
    assert engine.evaluate_due_tasks() == []
    due("kept")
    engine.evaluate_due_tasks()
    assert notes.names == ["kept"]
    assert "was replaced" not in caplog.text


@pytest.mark.law(4)
def test_a_delivery_that_takes_long_holds_up_no_other_task(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock, notes: Notes
) -> None:
    gate = Gate()

    def send(*_: object) -> str:
        gate()
        return "sent"

    engine = make_engine(notices=Notices(store, clock, send))
    store.store_scheduled_task(a_task("a", delivery_channel="email"))
    store.store_scheduled_task(a_task("b"))
    engine.evaluate_due_tasks()
    clock.advance(minutes=5)
    with gate.holding(engine.evaluate_due_tasks):
        assert notes.names == ["a", "b"]
        assert store.runs.list_runs(status=RunStatus.RUNNING) == []
        assert tick(engine) == []


@pytest.mark.law(4)
def test_an_engine_whose_deliveries_are_taken_over_sends_nothing_in_a_tick(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock, due: Due
) -> None:
    channel = Channel()
    due(delivery_channel="email")
    engine = make_engine(notices=Notices(store, clock, channel))
    engine.delivers_itself = False
    assert "delivery" not in engine.evaluate_due_tasks()[0]
    assert engine.next_delivery_at() == clock.now()
    assert (engine.next_due_at() or clock.now()) > clock.now()
    assert engine.deliver_due()
    assert not engine.deliver_due()
    assert (len(channel.sent), engine.next_delivery_at()) == (1, None)


@pytest.mark.law(4)
def test_a_delivery_that_fails_never_fails_the_run(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock
) -> None:
    def send(channel: str, config: object, message: Message) -> str:
        raise DeliveryError("no net")

    engine = make_engine(notices=Notices(store, clock, send))
    store.store_scheduled_task(a_task(delivery_channel="email"))
    engine.evaluate_due_tasks()
    clock.advance(minutes=5)
    result = engine.evaluate_due_tasks()[0]
    assert (result["status"], result["delivery"]["status"], result["delivery"]["error"]) == (
        "executed",
        "failed",
        "no net",
    )


def test_what_runs_is_told_while_it_runs(make_engine: MakeEngine, due: Due) -> None:
    gate = Gate()
    due()
    engine = make_engine({"note": gate})
    with gate.holding(engine.evaluate_due_tasks):
        assert engine.running() == [("job", START + 5 * MINUTE)]
    assert engine.running() == []


@pytest.mark.sqlite
@pytest.mark.law(3)
def test_a_run_starts_when_the_write_lock_was_had_and_not_when_it_was_asked_for(
    store: MemoryStore,
    engine: SchedulerEngine,
    due: Due,
    clock: FakeClock,
    other: sqlite3.Connection,
) -> None:
    due()
    other.execute("BEGIN IMMEDIATE")
    waiting = in_thread(engine.evaluate_due_tasks)
    waiting.join(0.05)
    clock.advance(seconds=50)
    other.execute("COMMIT")
    finish(waiting)
    assert store.runs.list_runs()[0].started_at == START + 5 * MINUTE + timedelta(seconds=50)


def test_running_by_hand_tells_the_result(store: MemoryStore, engine: SchedulerEngine) -> None:
    task = store.store_scheduled_task(a_task(enabled=False))
    result = engine.run_now("job")
    assert (result["task_id"], result["status"], result["result"]) == (task.id, "executed", '{"ok": true}')
    run = store.runs.list_runs()[0]
    assert (run.trigger, run.attempt) == (Trigger.MANUAL, 1)
    with pytest.raises(UnknownTaskError):
        engine.run_now("nobody")


def test_without_notices_results_go_to_the_channels_with_secrets_from_beside_the_database(
    store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JARVIS_SMTP_HOST", raising=False)
    engine = SchedulerEngine(store, handlers={"note": lambda task, context: None})
    store.store_scheduled_task(a_task(delivery_channel="email", delivery_config='{"to": "a@example.com"}'))
    delivery = engine.run_now("job")["delivery"]
    assert delivery["status"] == "failed"
    assert str(tmp_path / "secrets.env") in delivery["error"]


@pytest.fixture
def ran_hourly(store: MemoryStore, engine: SchedulerEngine, clock: FakeClock) -> None:
    """A task has run thirty times, once an hour."""
    store.store_scheduled_task(a_task(every={"hours": 1}))
    engine.evaluate_due_tasks()
    for _ in range(30):
        clock.advance(hours=1)
        engine.evaluate_due_tasks()


@pytest.mark.usefixtures("ran_hourly")
@pytest.mark.parametrize(("keep", "kept"), [({"history_days": 1}, 25), ({"history_runs": 5}, 5), ({}, 30)], ids=str)
def test_history_is_pruned_by_its_age_and_by_its_length(
    store: MemoryStore, make_engine: MakeEngine, keep: dict[str, int], kept: int
) -> None:
    make_engine(limits=Limits(steady_clock=NOW, **keep)).evaluate_due_tasks()
    assert len(store.runs.list_runs()) == kept


@pytest.mark.usefixtures("ran_hourly")
def test_the_output_of_a_run_goes_with_its_row(store: MemoryStore, make_engine: MakeEngine, tmp_path: Path) -> None:
    outputs = Outputs(tmp_path / "runs")
    for run in store.runs.list_runs():
        outputs.create(run.id).write(b"x")
    make_engine(limits=Limits(steady_clock=NOW, history_runs=5), outputs=outputs).evaluate_due_tasks()
    left = {run.id for run in store.runs.list_runs()}
    assert {int(path.stem) for path in (tmp_path / "runs").iterdir()} == left
    assert len(left) == 5


@pytest.mark.law(8)
def test_law_8_an_engine_that_is_given_handlers_and_notices_deletes_no_file_beside_the_database(
    store: MemoryStore, make_engine: MakeEngine
) -> None:
    theirs = Outputs(store.path.parent / "runs")
    theirs.create(7).write(b"x")
    make_engine().evaluate_due_tasks()
    assert theirs.path(7).exists()


def test_an_engine_of_its_own_handlers_deletes_the_outputs_of_runs_that_are_gone(store: MemoryStore) -> None:
    ours = Outputs(store.path.parent / "runs")
    ours.create(7).write(b"x")
    SchedulerEngine(store).evaluate_due_tasks()
    assert not ours.path(7).exists()


@pytest.mark.law(3)
@pytest.mark.usefixtures("ran_hourly")
def test_law_3_a_clock_that_is_a_year_ahead_for_a_moment_deletes_no_history(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock
) -> None:
    engine = make_engine(limits=Limits(history_days=90))
    clock.set(days=366)
    for _ in range(3):
        engine.evaluate_due_tasks()
        clock.advance(seconds=4)
    clock.set(days=-366)
    for _ in range(3):
        engine.evaluate_due_tasks()
        clock.advance(minutes=40)
    assert len(store.runs.list_runs()) >= 30


@pytest.mark.usefixtures("ran_hourly")
def test_history_is_deleted_by_its_age_once_the_clock_has_been_steady(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock
) -> None:
    engine = make_engine(limits=Limits(history_days=1))
    counts = []
    for _ in range(3):
        engine.evaluate_due_tasks()
        counts.append(len(store.runs.list_runs()))
        clock.advance(minutes=31)
    assert counts[0] >= 30
    assert counts[2] < 30


@pytest.mark.usefixtures("ran_hourly")
def test_history_is_pruned_once_a_day(store: MemoryStore, make_engine: MakeEngine, clock: FakeClock) -> None:
    engine = make_engine(limits=Limits(steady_clock=NOW, history_runs=5))
    counts = []
    for _ in range(25):
        engine.evaluate_due_tasks()
        counts.append(len(store.runs.list_runs()))
        clock.advance(hours=1)
    assert counts == [*range(5, 29), 5 + 1]  # pruned at the start of a tick, in which it runs once more


@pytest.mark.usefixtures("ran_hourly")
@pytest.mark.parametrize("keep", [{"history_days": 1}, {"history_runs": 25}], ids=str)
def test_much_history_is_pruned_in_parts_one_a_tick(
    store: MemoryStore, make_engine: MakeEngine, keep: dict[str, int]
) -> None:
    engine = make_engine(limits=Limits(steady_clock=NOW, pruned_at_once=2, **keep))
    counts = []
    for _ in range(4):
        engine.evaluate_due_tasks()
        counts.append(len(store.runs.list_runs()))
    assert counts == [28, 26, 25, 25]


def test_the_history_of_several_tasks_is_pruned_in_parts_too(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock
) -> None:
    for name in ("one", "two"):
        store.store_scheduled_task(a_task(name, every={"hours": 1}))
    engine = make_engine()
    for _ in range(5):
        engine.evaluate_due_tasks()
        clock.advance(hours=1)
    engine = make_engine(
        limits=Limits(steady_clock=NOW, history_runs=2, pruned_at_once=3)
    )  # four too many: they have four each
    clock.set(hours=-1)
    counts = []
    for _ in range(3):
        engine.evaluate_due_tasks()
        counts.append(len(store.runs.list_runs()))
    assert counts == [5, 4, 4]


class Work:
    """Counts the statements and the commits of a store, while it is inside."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.statements: list[str] = []

    def __enter__(self) -> Work:
        self.store.connection.trace = lambda sql, _: self.statements.append(sql)
        return self

    def __exit__(self, *_: object) -> None:
        self.store.connection.trace = None

    @property
    def commits(self) -> int:
        return self.statements.count("COMMIT")


@pytest.mark.parametrize("tasks", [10, 100])
def test_an_idle_tick_asks_one_question_and_writes_nothing(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock, tasks: int
) -> None:
    with store.transaction():
        for number in range(tasks):
            store.store_scheduled_task(a_task(f"t{number}", every={"hours": 1}))
    engine.evaluate_due_tasks()
    engine.evaluate_due_tasks()
    clock.advance(minutes=1)
    with Work(store) as work:
        engine.evaluate_due_tasks()
    assert work.commits == 0
    assert len(work.statements) <= 4


def test_a_claimed_run_costs_one_commit_and_few_statements(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock
) -> None:
    for number in range(50):
        store.store_scheduled_task(a_task(f"t{number}"))
    engine.evaluate_due_tasks()
    engine.evaluate_due_tasks()
    clock.advance(minutes=5)
    with Work(store) as work:
        assert len(engine.evaluate_due_tasks()) == 50
    assert work.commits <= 51 + 1
    assert len(work.statements) / 50 <= 16


@pytest.mark.sqlite
def test_what_is_not_due_is_not_read(store: MemoryStore, engine: SchedulerEngine, clock: FakeClock) -> None:
    """SQLite's own count of steps is the same with many tasks as with few."""
    steps: list[int] = []
    store.store_scheduled_task(a_task("due"))
    for tasks in (10, 2000):
        with store.transaction():
            for number in range(tasks):
                store.store_scheduled_task(a_task(f"t{number}", every={"days": 9}))
        engine.evaluate_due_tasks()
        clock.advance(minutes=5)
        count = 0

        def step() -> int:
            nonlocal count
            count += 1
            return 0

        assert isinstance(store.connection, SqliteFile)
        store.connection.sqlite.set_progress_handler(step, 10)
        assert len(engine.evaluate_due_tasks()) == 1
        store.connection.sqlite.set_progress_handler(None, 0)
        steps.append(count)
    assert steps[1] <= steps[0] * 1.5 + 5


@pytest.mark.law(6)
def test_the_engine_needs_no_other_clock_than_the_one_it_is_given(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock
) -> None:
    clock.instant = datetime(2100, 1, 1, tzinfo=UTC)
    engine = make_engine()
    store.store_scheduled_task(a_task())
    engine.evaluate_due_tasks()
    clock.advance(minutes=5)
    engine.evaluate_due_tasks()
    run = store.runs.list_runs()[0]
    assert (run.scheduled_for, run.started_at, run.finished_at) == (clock.now(), clock.now(), clock.now())
    task = store.get_scheduled_task(require_id(store.list_scheduled_tasks()[0]))
    assert task is not None
    assert str(task.last_run_at).startswith("2100-01-01")


def test_an_engine_with_no_handlers_at_all_runs_nothing(store: MemoryStore, clock: FakeClock) -> None:
    store.store_scheduled_task(a_task("inbox", handler="webhook_poll"))
    engine = SchedulerEngine(store, handlers={})
    engine.evaluate_due_tasks()
    clock.advance(minutes=5)
    assert [result["status"] for result in engine.evaluate_due_tasks()] == ["skipped"]


def test_without_handlers_it_has_those_that_come_with_the_program_with_their_files_beside_the_database(
    store: MemoryStore, tmp_path: Path
) -> None:
    Approvals(tmp_path / "approved-commands.json").allow(sys.executable)
    (tmp_path / "webhook-inbox").mkdir()
    event = tmp_path / "webhook-inbox" / "event.json"
    event.write_text('{"source": "a", "event_type": "b", "payload": {}}')
    os.utime(event, (0, 0))
    store.store_scheduled_task(a_task("inbox", handler="webhook_poll", handler_config="{}"))
    command = json.dumps({"command": [sys.executable, "-c", "print('hello')"]})
    store.store_scheduled_task(a_task("command", handler="custom", handler_config=command))
    engine = SchedulerEngine(store)
    assert engine.memory_store is store
    assert "hello" in engine.run_now("command")["result"]
    assert engine.run_now("inbox")["status"] == "executed"
    assert not event.exists()


@pytest.mark.sqlite
@pytest.mark.law(3)
def test_law_3_an_outcome_is_kept_whatever_the_next_claim_meets(
    store: MemoryStore, engine: SchedulerEngine, notes: Notes, due: Due, other: sqlite3.Connection
) -> None:
    """Another program's trigger refuses the second claim, in the transaction that records the first run."""
    store.store_scheduled_task(a_task("first"))
    due("second")
    other.execute(
        "CREATE TRIGGER theirs BEFORE UPDATE OF next_run_at ON scheduled_tasks WHEN NEW.name = 'second'"
        " BEGIN SELECT RAISE(ABORT, 'not this one'); END"
    )
    engine.evaluate_due_tasks()
    assert notes.names == ["first"]
    assert [run.status for run in store.runs.list_runs(task="first")] == [RunStatus.EXECUTED]


@pytest.mark.law(4)
def test_law_4_a_live_row_with_an_unreadable_start_holds_up_nobody(
    store: MemoryStore, engine: SchedulerEngine, notes: Notes, due: Due, other: sqlite3.Connection
) -> None:
    store.store_scheduled_task(a_task("first"))
    due("second")
    other.execute(
        "INSERT INTO task_runs (task_id, task_name, scheduled_for, attempt, started_at, status, owner, live)"
        " VALUES (1, 'first', 'some day', 1, 'some day', 'running', 'here', 1)"
    )
    engine.evaluate_due_tasks()
    assert notes.names == ["second"]


@pytest.mark.law(5)
def test_law_5_a_naive_instant_to_evaluate_at_is_local_time(
    make_engine: MakeEngine, due: Due, clock: FakeClock, notes: Notes
) -> None:
    due()  # at 09:05 UTC
    clock.machine_zone = ZoneInfo("America/Denver")
    engine = make_engine()
    for minutes in (4, 5):
        engine.evaluate_due_tasks(datetime(2026, 3, 2, 2, minutes))  # noqa: DTZ001  # what is tested
    assert len(notes.calls) == 1


@pytest.mark.law(5)
def test_a_handler_is_told_the_machines_zone_where_its_task_has_none(
    make_engine: MakeEngine, due: Due, clock: FakeClock
) -> None:
    seen: list[HandlerContext] = []
    due(handler="look")
    clock.machine_zone = ZoneInfo("America/Denver")
    make_engine({"look": lambda task, context: seen.append(context)}).evaluate_due_tasks()
    assert str(seen[0].zone) == "America/Denver"


@pytest.mark.law(4)
def test_the_log_names_the_task_and_the_run_that_failed(
    make_engine: MakeEngine, due: Due, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(task: ScheduledTask, context: HandlerContext) -> None:
        context.logger.warning("about to fail")
        raise HandlerError("out of paper")

    due(handler="fail")
    make_engine({"fail": fail}).evaluate_due_tasks()
    told = [record for record in caplog.records if record.name in ("jarvis_trio.engine.calls", "jarvis_trio.runs")]
    assert [record.getMessage() for record in told] == ["about to fail", "Task 'job': error in 0s: out of paper"]
    assert {(vars(record)["task"], vars(record)["run_id"]) for record in told} == {("job", 1)}


@pytest.mark.law(6)
def test_law_6_the_engine_runs_on_the_clock_of_its_store(store: MemoryStore, clock: FakeClock, notes: Notes) -> None:
    store.store_scheduled_task(a_task(at="2026-03-02T09:05"))
    engine = SchedulerEngine(store, handlers={"note": notes})
    assert tick(engine) == []
    clock.advance(minutes=5)
    assert tick(engine) == [("job", "executed")]
    assert store.runs.list_runs()[0].started_at == clock.now()


@pytest.mark.law(5)
@pytest.mark.sqlite
def test_an_engine_with_a_clock_of_its_own_keeps_its_zone(store: MemoryStore) -> None:
    zones: list[str] = []

    def note(task: ScheduledTask, context: HandlerContext) -> None:
        zones.append(str(context.zone))

    clock = FakeClock(zone=ZoneInfo("America/New_York"))
    engine = SchedulerEngine(store, handlers={"note": note}, clock=clock)
    store.store_scheduled_task(a_task(cron="0 9 * * *"))
    engine.evaluate_due_tasks()
    clock.advance(days=1)
    engine.evaluate_due_tasks()
    assert zones == ["America/New_York"]
    assert [run.scheduled_for.hour for run in store.runs.list_runs()] == [14]


@pytest.mark.law(6)
@pytest.mark.sqlite
def test_law_6_an_engine_with_a_clock_of_its_own_has_requests_and_messages_by_it_too(store: MemoryStore) -> None:
    clock = FakeClock(START + timedelta(days=400), ZoneInfo("America/New_York"))
    here = Peers("here", lambda owner: True)
    engine = SchedulerEngine(
        store, handlers={"note": lambda task, context: None}, clock=clock, runner=run_inline, peers=here
    )
    engine.delivers_itself = False
    task = store.store_scheduled_task(a_task(delivery_channel="notification"))
    number = store.requests.ask(RequestKind.RUN, require_id(task), asked_by="alex", asker="12:34", at=clock.now())

    assert engine.obey_run()
    engine.evaluate_due_tasks()
    request = store.requests.request(number)
    assert request is not None
    assert (request.refusal, request.answered_at) == (None, clock.now())
    assert store.value("SELECT timestamp FROM outbox") == local_text(clock.now(), clock.zone())


@pytest.mark.law(4)
def test_law_4_what_a_handler_sets_on_its_store_is_gone_for_the_next(store: MemoryStore, clock: FakeClock) -> None:
    seen: list[bool] = []

    def stub(task: ScheduledTask, context: HandlerContext) -> None:
        seen.append(hasattr(context.store, "stub"))
        context.store.stub = True  # type: ignore[attr-defined]  # as a handler's own test helper may

    engine = SchedulerEngine(store, handlers={"note": stub})
    for name in ("one", "two"):
        store.store_scheduled_task(a_task(name=name, at="2026-03-02T08:00", next_run_at="2026-03-02T08:00"))
    engine.evaluate_due_tasks()
    assert seen == [False, False]


OUTLIVED = """
import sys
from pathlib import Path
from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.models import ScheduledTask
from jarvis_trio.store import MemoryStore

NAMES = ("schedules.cron_slots", "schedules.once", "store.machines", "store.assistant")

def imported():
    return [name for name in NAMES if f"jarvis_trio.{name}" in sys.modules]

with MemoryStore(Path(sys.argv[1])) as store:
    task = ScheduledTask(name="job", schedule_type="interval", schedule_config='{"hours": 1}', handler_type="note")
    store.store_scheduled_task(task)
    engine = SchedulerEngine(store, handlers={"note": lambda task, context: None})
    engine.evaluate_due_tasks()
    print(imported())
    engine.load_the_rest()
    print(imported() == list(NAMES))
"""


@pytest.mark.slow
@pytest.mark.law(4)
def test_law_4_an_engine_that_is_to_go_on_imports_what_later_ticks_need(path: Path) -> None:
    """An upgrade exchanges the files under a daemon. The start imports what its tasks need."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", OUTLIVED, str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180, check=True)
    assert done.stdout.splitlines() == ["[]", "True"]


@pytest.mark.law(4)
def test_law_4_whoever_is_told_what_is_due_keeps_no_other_tick_from_it(path: Path) -> None:
    told, ran, released = threading.Event(), threading.Event(), threading.Event()

    def tell(at: datetime | None) -> None:
        if not told.is_set():
            told.set()
            released.wait(PATIENCE)

    def note(task: ScheduledTask, context: HandlerContext) -> None:
        ran.set()

    with MemoryStore(path, clock=FakeClock()) as store:
        engine = SchedulerEngine(store, handlers={"note": note})
        engine.tell_due = tell
        for name in ("one", "two"):
            store.store_scheduled_task(a_task(name=name, at="2026-03-02T08:00", next_run_at="2026-03-02T08:00"))
        first = in_thread(engine.evaluate_due_tasks)
        assert told.wait(PATIENCE)
        second = in_thread(engine.evaluate_due_tasks)
        assert ran.wait(PATIENCE)
        released.set()
        finish(first)
        finish(second)


def test_the_log_says_no_time_of_a_run_in_which_the_clock_was_set_back(
    store: MemoryStore, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "jarvis_trio.runs")
    engine = SchedulerEngine(store, handlers={"note": lambda task, context: clock.set(hours=-3)})
    store.store_scheduled_task(a_task(at="2026-03-02T08:00", next_run_at="2026-03-02T08:00"))
    engine.evaluate_due_tasks()
    assert [text for text in caplog.messages if "executed" in text] == ["Task 'job': executed in an unknown time"]


@pytest.mark.law(3)
@pytest.mark.sqlite
def test_what_a_tick_has_dealt_with_is_returned_although_a_later_claim_fails(store: MemoryStore) -> None:
    written: list[str] = []

    def locked_after_the_first(sql: str, _: object) -> None:
        if sql.startswith("BEGIN") and any("INSERT INTO task_runs" in before for before in written):
            raise StoreError("another program keeps it locked", fix="try again")
        written.append(sql)

    engine = SchedulerEngine(store, handlers={}, limits=Limits(decided_at_once=1))
    for name in ("one", "two"):
        task = a_task(name=name, at="2026-03-02T08:00", next_run_at="2026-03-02T08:00", handler="unknown")
        store.store_scheduled_task(task)
    store.connection.trace = locked_after_the_first
    assert [result["name"] for result in engine.evaluate_due_tasks()] == ["one"]


@pytest.mark.law(3)
@pytest.mark.law(4)
@pytest.mark.parametrize("table", ["task_runs", "task_queue", "outbox"])
def test_a_look_at_the_queue_puts_right_what_another_program_took_away(
    engine: SchedulerEngine, due: Due, other: sqlite3.Connection, table: str
) -> None:
    due()
    engine.next_due_at()
    other.execute(f"DROP TABLE {table}")
    assert (engine.next_due_at() or START) <= START + 5 * MINUTE
    assert tick(engine) == [("job", "executed")]
