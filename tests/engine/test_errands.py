"""Tests of what people ask of a running engine: to run a task now, to stop a run."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest

from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.engine.errands import WAITED_FOR
from jarvis_trio.engine.runner import run_in_thread
from jarvis_trio.errors import StoreError, StoreUnsureError
from jarvis_trio.models import HandlerContext, ScheduledTask, require_id
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.requests import Request, RequestKind
from tests.support.cli_world import eventually
from tests.support.core_fakes import PATIENCE, START, FakeClock, MakeEngine, Notes, a_task, answer_lost

ASKER = "12:34"


def ask_run(store: MemoryStore, task: ScheduledTask) -> int:
    return store.requests.ask(RequestKind.RUN, require_id(task), asked_by="alex", asker=ASKER, at=store.clock.now())


def ask_stop(store: MemoryStore, task: ScheduledTask, run_id: int) -> int:
    at = store.clock.now()
    return store.requests.ask(RequestKind.STOP, require_id(task), run_id=run_id, asked_by="alex", asker=ASKER, at=at)


def answer(store: MemoryStore, number: int) -> Request:
    found = store.requests.request(number)
    assert found is not None
    return found


@pytest.fixture
def job(store: MemoryStore) -> ScheduledTask:
    return store.store_scheduled_task(a_task("job"))


def willing(make_engine: MakeEngine, **options: Any) -> SchedulerEngine:
    return make_engine(is_alive=lambda owner: owner == ASKER, **options)


def test_a_task_that_somebody_asks_for_runs_and_its_row_says_manual(
    store: MemoryStore, make_engine: MakeEngine, job: ScheduledTask, notes: Notes
) -> None:
    engine, number = willing(make_engine), ask_run(store, job)
    assert engine.is_asked()
    assert engine.obey_run()
    engine.next_due_at()
    (run,) = store.runs.list_runs()
    assert (run.trigger, run.status) == ("manual", "executed")
    assert answer(store, number).run_id == run.id
    assert not engine.is_asked()
    assert not engine.obey_run()


@pytest.mark.sqlite
@pytest.mark.law(3)
def test_law_3_the_loop_hears_when_to_try_again_to_write_the_outcome_of_a_run_that_was_asked_for(
    store: MemoryStore, make_engine: MakeEngine, job: ScheduledTask, other: sqlite3.Connection, clock: FakeClock
) -> None:
    """The tries come soon, then further and further apart; afterwards nothing is left to do."""
    engine, told = willing(make_engine), list[datetime | None]()
    engine.evaluate_due_tasks()
    idle = engine.next_due_at()
    engine.tell_due = told.append
    other.execute(
        "CREATE TRIGGER theirs BEFORE UPDATE OF status ON task_runs WHEN NEW.status = 'executed'"
        " BEGIN SELECT RAISE(ABORT, 'not now'); END"
    )
    ask_run(store, job)
    assert engine.obey_run()

    pauses = []
    for at in (told[-1], *(None for _ in range(5))):
        due_at = at or engine.next_due_at()
        assert due_at is not None
        pauses.append((due_at - clock.now()).total_seconds())
        clock.advance(seconds=pauses[-1])
        engine.evaluate_due_tasks()
    assert pauses == [1, 2, 4, 8, 16, 32]

    other.execute("DROP TRIGGER theirs")
    away = store.path.rename(store.path.with_name("away"))  # a tick that cannot even try puts it off as well
    clock.advance(minutes=1)
    with pytest.raises(StoreError):
        engine.evaluate_due_tasks()
    assert engine.next_due_at() == clock.now() + timedelta(minutes=1)
    away.rename(store.path)
    clock.advance(minutes=1)
    engine.evaluate_due_tasks()
    assert store.runs.list_runs()[0].status == "executed"
    assert engine.next_due_at() == idle


@pytest.mark.law(2)
def test_a_task_that_runs_already_is_refused(store: MemoryStore, make_engine: MakeEngine, job: ScheduledTask) -> None:
    engine = willing(make_engine)
    engine.claim_now("job")
    number = ask_run(store, job)
    assert not engine.obey_run()
    assert "runs already" in (answer(store, number).refusal or "")
    assert len(store.runs.list_runs()) == 1


def test_a_task_that_was_removed_meanwhile_is_refused(
    store: MemoryStore, make_engine: MakeEngine, job: ScheduledTask
) -> None:
    number = ask_run(store, job)
    store.delete_scheduled_task(require_id(job))
    assert not willing(make_engine).obey_run()
    assert answer(store, number).refusal == "the task was removed"


def test_the_log_tells_who_asked_for_a_run(
    store: MemoryStore, make_engine: MakeEngine, job: ScheduledTask, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    ask_run(store, job)
    assert willing(make_engine).obey_run()
    assert "Task 'job' runs now, as alex asks" in caplog.messages


def test_what_cannot_run_is_refused_and_leaves_no_row(store: MemoryStore, make_engine: MakeEngine) -> None:
    stranger = store.store_scheduled_task(a_task("stranger", handler="dance"))
    number = ask_run(store, stranger)
    assert not willing(make_engine).obey_run()
    refusal = answer(store, number).refusal or ""
    assert "no handler of type 'dance'" in refusal
    assert "restart the daemon" in refusal
    assert store.runs.list_runs() == []


def test_a_withdrawn_request_runs_nothing(store: MemoryStore, make_engine: MakeEngine, job: ScheduledTask) -> None:
    store.requests.withdraw(ask_run(store, job))
    assert not willing(make_engine).obey_run()
    assert store.runs.list_runs() == []


@pytest.mark.law(2)
@pytest.mark.sqlite
def test_a_request_that_is_withdrawn_during_its_claim_leaves_no_run(
    store: MemoryStore, make_engine: MakeEngine, job: ScheduledTask, notes: Notes
) -> None:
    ask_run(store, job)
    store.write("CREATE TRIGGER theirs AFTER INSERT ON task_runs BEGIN DELETE FROM requests; END")
    assert not willing(make_engine).obey_run()
    assert (store.runs.list_runs(), notes.names) == ([], [])


def test_a_request_does_not_outlive_its_asker(store: MemoryStore, make_engine: MakeEngine, job: ScheduledTask) -> None:
    number = ask_run(store, job)
    assert not make_engine(is_alive=lambda owner: False).obey_run()
    assert answer(store, number).refusal == "nobody waits for it now"
    assert store.runs.list_runs() == []


def test_a_request_ends_with_its_time_though_its_asker_may_live(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock, job: ScheduledTask
) -> None:
    ask_run(store, job)
    clock.advance(seconds=WAITED_FOR.total_seconds() + 1)
    assert not willing(make_engine).obey_run()
    assert store.runs.list_runs() == []
    ask_run(store, job)
    clock.advance(seconds=WAITED_FOR.total_seconds())
    assert willing(make_engine).obey_run()


class Patient:
    """A handler that runs until it is told to stop, or, if it is deaf, until it is let go."""

    def __init__(self, *, deaf: bool = False) -> None:
        self.entered = threading.Event()
        self.released = threading.Event()
        self._deaf = deaf

    def __call__(self, task: ScheduledTask, context: HandlerContext) -> str:
        self.entered.set()
        (self.released if self._deaf else context.cancelled).wait(PATIENCE)
        return "I saw it"


@contextmanager
def running(engine: SchedulerEngine, handler: Patient) -> Iterator[threading.Thread]:
    """A tick in another thread, whose handler has begun."""
    tick = threading.Thread(target=engine.evaluate_due_tasks)
    tick.start()
    assert handler.entered.wait(PATIENCE)
    yield tick
    tick.join(PATIENCE)
    assert not tick.is_alive()


def due(store: MemoryStore, **columns: Any) -> ScheduledTask:
    return store.store_scheduled_task(a_task("job", handler="patient", next_run_at=START.isoformat(), **columns))


def test_a_stopped_run_is_interrupted_and_not_retried(
    store: MemoryStore, make_engine: MakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    handler, job = Patient(), due(store, policy={"retries": 3})
    engine = willing(make_engine, handlers={"patient": handler}, runner=run_in_thread)
    with running(engine, handler):
        (run,) = store.runs.list_runs()
        number = ask_stop(store, job, run.id)
        assert engine.obey_stop()
    (run,) = store.runs.list_runs()
    assert (run.status, run.reason) == ("interrupted", "stopped by alex")
    assert f"Run {run.id} is stopped by alex" in caplog.messages
    assert answer(store, number).answered_at is not None
    assert store.troubles.list_troubles() == []
    assert store.queue.queued_slot(require_id(job)) != START


def test_a_handler_that_does_not_listen_is_left_alone_and_holds_its_task(
    store: MemoryStore, make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jarvis_trio.engine.runner.STOP_PATIENCE", timedelta(seconds=0.05))
    handler, job = Patient(deaf=True), due(store)
    engine = willing(make_engine, handlers={"patient": handler}, runner=run_in_thread)
    with running(engine, handler):
        (run,) = store.runs.list_runs()
        ask_stop(store, job, run.id)
        assert engine.obey_stop()
    (run,) = store.runs.list_runs()
    assert run.status == "interrupted"
    assert run.reason == "stopped by alex; its handler goes on, and the task starts again when it is over"
    assert [run.id for run in store.runs.live_runs_of_others("nobody")] == [run.id]
    handler.released.set()
    eventually(lambda: store.runs.live_runs_of_others("nobody") == [])


def test_a_stop_of_a_run_elsewhere_stays_open_for_whoever_has_it(
    store: MemoryStore, make_engine: MakeEngine, job: ScheduledTask
) -> None:
    claim = make_engine(owner="there").claim_now("job")
    ask_stop(store, job, claim.run_id)
    assert not willing(make_engine).obey_stop()
    assert len(store.requests.open_requests()) == 1


@pytest.mark.law(3)
def test_a_run_that_was_to_stop_and_died_is_not_run_again(
    store: MemoryStore, make_engine: MakeEngine, job: ScheduledTask
) -> None:
    store.update_scheduled_task(require_id(job), next_run_at=START.isoformat())
    dead = make_engine(owner="dead", runner=_dies)
    with pytest.raises(KeyboardInterrupt):
        dead.evaluate_due_tasks()
    (run,) = store.runs.list_runs()
    ask_stop(store, job, run.id)
    make_engine().evaluate_due_tasks()
    (run,) = store.runs.list_runs()
    assert (run.status, run.reason) == ("interrupted", "stopped by alex")


def test_a_run_that_ends_by_itself_as_it_is_stopped_from_elsewhere_keeps_its_success(
    store: MemoryStore, make_engine: MakeEngine, job: ScheduledTask
) -> None:
    engine = willing(make_engine)
    claim = engine.claim_now("job")
    ask_stop(store, job, claim.run_id)
    engine.run_claimed(claim)
    assert store.runs.list_runs()[0].status == "executed"


def _dies(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.law(3)
def test_a_run_that_is_asked_for_and_whose_claim_is_not_confirmed_ends_and_blocks_nothing(
    store: MemoryStore, make_engine: MakeEngine, job: ScheduledTask, notes: Notes
) -> None:
    engine, number = willing(make_engine), ask_run(store, job)
    told: list[datetime | None] = []
    engine.evaluate_due_tasks()
    engine.tell_due = told.append
    with answer_lost(store), pytest.raises(StoreUnsureError):
        engine.obey_run()
    assert told == [START]  # or the loop would learn of it after its next regular tick
    engine.evaluate_due_tasks()
    (run,) = store.runs.list_runs()
    assert (run.id, run.status, notes.calls) == (answer(store, number).run_id, "interrupted", [])
    assert "never began" in (run.reason or "")
    assert engine.run_now("job")["status"] == "executed"
