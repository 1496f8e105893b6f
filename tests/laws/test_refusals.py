"""Law 4 beside other programs' triggers: a task whose rows are refused is passed over, and the others run."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from typing import Any

import pytest

from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.engine.limits import Limits
from jarvis_trio.engine.peers import Peers
from jarvis_trio.engine.runner import Runner, run_in_thread, run_inline
from jarvis_trio.models import Claim, HandlerContext, Outcome, ScheduledTask, TroubleKind
from jarvis_trio.store import MemoryStore
from tests.support.core_fakes import START, FakeClock, MakeEngine, Notes, a_task, fail, history, tick

BAD = "(SELECT id FROM scheduled_tasks WHERE name = 'bad')"
TABLES = {
    "its next run": "UPDATE OF next_run_at ON scheduled_tasks WHEN NEW.name = 'bad'",
    "its result": "UPDATE OF last_result ON scheduled_tasks WHEN NEW.name = 'bad'",
    "its claim": "INSERT ON task_runs WHEN NEW.task_name = 'bad'",
    "its end": "UPDATE ON task_runs WHEN NEW.task_name = 'bad'",
    "its place in the queue": f"UPDATE ON task_queue WHEN NEW.task_id = {BAD}",
    "its troubles": "INSERT ON task_troubles",
}


def foreign_trigger(other: sqlite3.Connection, where: str, action: str) -> None:
    """Another program's trigger, made while the tasks wait for their slots."""
    other.execute(f"CREATE TRIGGER theirs BEFORE {where} BEGIN {action}; END")


@pytest.fixture
def both(store: MemoryStore, engine: SchedulerEngine, clock: FakeClock) -> SchedulerEngine:
    """Tasks whose slots are due; the one that comes first is the one whose rows are refused."""
    store.store_scheduled_task(a_task("bad", every={"minutes": 4}))
    for name in ("good", "also good"):
        store.store_scheduled_task(a_task(name))
    engine.evaluate_due_tasks()
    clock.advance(minutes=5)
    return engine


@pytest.mark.law(4)
@pytest.mark.parametrize("where", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("kind", ["ABORT", "FAIL", "ROLLBACK"])
def test_law_4_a_task_whose_row_is_refused_hurts_only_itself(
    both: SchedulerEngine, other: sqlite3.Connection, notes: Notes, where: str, kind: str, clock: FakeClock
) -> None:
    foreign_trigger(other, where, f"SELECT RAISE({kind}, 'not this one')")
    both.evaluate_due_tasks()
    clock.advance(minutes=5)
    both.evaluate_due_tasks()
    assert sorted(name for name in notes.names if name != "bad") == 2 * ["also good"] + 2 * ["good"]


@pytest.mark.law(4)
@pytest.mark.parametrize("where", list(TABLES.values())[:4], ids=list(TABLES)[:4])
def test_law_4_a_trigger_that_fails_on_one_row_is_a_refusal(
    both: SchedulerEngine, other: sqlite3.Connection, notes: Notes, where: str
) -> None:
    foreign_trigger(other, where, "SELECT json('not JSON')")
    both.evaluate_due_tasks()
    assert {"good", "also good"} <= set(notes.names)


@pytest.mark.law(4)
def test_law_4_a_refused_task_is_named_with_the_reason_and_told_once(
    both: SchedulerEngine, store: MemoryStore, other: sqlite3.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    foreign_trigger(other, TABLES["its next run"], "SELECT RAISE(ABORT, 'not this one')")
    for _ in range(3):
        both.evaluate_due_tasks()
    [told] = [message for message in caplog.messages if "passed over" in message]
    assert told.startswith("Task 'bad' is passed over")
    assert "not this one" in told
    [trouble] = store.troubles.list_troubles()
    assert (trouble.kind, "not this one" in trouble.reason) == (TroubleKind.REFUSED, True)


@pytest.mark.law(4)
def test_a_refused_task_is_tried_again_later_and_its_slot_is_not_lost(
    both: SchedulerEngine, store: MemoryStore, other: sqlite3.Connection, clock: FakeClock
) -> None:
    foreign_trigger(other, TABLES["its next run"], "SELECT RAISE(ABORT, 'not this one')")
    both.evaluate_due_tasks()
    wanted = both.next_due_at()
    assert wanted is not None
    assert clock.now() < wanted <= clock.now() + timedelta(minutes=1)

    other.execute("DROP TRIGGER theirs")
    clock.advance(minutes=1)
    assert ("bad", "executed") in tick(both)
    assert history(store, "bad") == [(START + timedelta(minutes=4), 1, "executed")]
    assert store.troubles.list_troubles() == []


@pytest.mark.law(3)
def test_law_3_a_trigger_that_ignores_our_rows_is_noticed(
    both: SchedulerEngine, other: sqlite3.Connection, notes: Notes, caplog: pytest.LogCaptureFixture
) -> None:
    foreign_trigger(other, TABLES["its claim"], "SELECT RAISE(IGNORE)")
    both.evaluate_due_tasks()
    assert set(notes.names) == {"good", "also good"}
    assert "vanished as it was written" in caplog.text


@pytest.mark.law(4)
def test_law_4_a_task_whose_row_does_not_take_its_result_goes_on_running(
    both: SchedulerEngine, store: MemoryStore, other: sqlite3.Connection, clock: FakeClock
) -> None:
    foreign_trigger(other, TABLES["its result"], "SELECT RAISE(ABORT, 'not this one')")
    for _ in range(2):
        both.evaluate_due_tasks()
        clock.advance(minutes=4)
    assert [status for _, _, status in history(store, "bad")] == ["executed", "executed"]


@pytest.mark.law(4)
def test_law_4_a_foreign_run_with_the_largest_number_stops_nobody(
    both: SchedulerEngine, store: MemoryStore, other: sqlite3.Connection
) -> None:
    other.execute(
        "INSERT INTO task_runs (id, task_id, task_name, scheduled_for, attempt, started_at, status)"
        f" VALUES ({2**63 - 1}, 77, 'theirs', '2026-01-01T00:00:00+00:00', 1, '2026-01-01T00:00:00+00:00', 'executed')"
    )
    assert sorted(tick(both)) == [("also good", "executed"), ("bad", "executed"), ("good", "executed")]
    assert sorted(run.id for run in store.runs.list_runs()) == [1, 2, 3, 4]


@pytest.mark.law(4)
def test_law_4_a_dead_run_that_cannot_be_ended_stops_nobody(
    store: MemoryStore, make_engine: MakeEngine, other: sqlite3.Connection, clock: FakeClock, notes: Notes
) -> None:
    for name in ("bad", "good"):
        store.store_scheduled_task(a_task(name))
    make_engine().evaluate_due_tasks()
    clock.advance(minutes=5)
    store.runs.claim_run(store.tasks.require_task("bad"), START, 1, started_at=START, owner="dead")
    foreign_trigger(other, TABLES["its end"], "SELECT RAISE(ABORT, 'not this one')")
    make_engine().evaluate_due_tasks()
    assert notes.names == ["good"]
    assert [(trouble.task_id, trouble.kind) for trouble in store.troubles.list_troubles()] == [(1, TroubleKind.REFUSED)]


@pytest.mark.law(3)
@pytest.mark.law(4)
@pytest.mark.parametrize("handler", ["note", "fail"])
def test_law_3_a_task_whose_outcome_is_refused_is_in_trouble_until_it_is_written(
    store: MemoryStore, make_engine: MakeEngine, other: sqlite3.Connection, clock: FakeClock, notes: Notes, handler: str
) -> None:
    store.store_scheduled_task(a_task("bad", handler=handler))
    engine = make_engine({"note": notes, "fail": fail})
    engine.evaluate_due_tasks()
    foreign_trigger(other, TABLES["its end"], "SELECT RAISE(ABORT, 'not this one')")
    clock.advance(minutes=5)
    engine.evaluate_due_tasks()
    [trouble] = store.troubles.list_troubles()
    assert (trouble.kind, "not this one" in trouble.reason) == (TroubleKind.REFUSED, True)

    other.execute("DROP TRIGGER theirs")
    engine.evaluate_due_tasks()
    assert TroubleKind.REFUSED not in {trouble.kind for trouble in store.troubles.list_troubles()}


@pytest.mark.law(4)
@pytest.mark.usefixtures("both")
def test_law_4_history_that_may_not_be_deleted_stops_nobody(
    make_engine: MakeEngine, other: sqlite3.Connection, clock: FakeClock
) -> None:
    make_engine().evaluate_due_tasks()
    foreign_trigger(other, "DELETE ON task_runs", "SELECT RAISE(ABORT, 'keep it')")
    clock.advance(days=100)
    assert len(tick(make_engine(limits=Limits(history_days=1)))) == 3


@pytest.mark.law(4)
@pytest.mark.parametrize("error", [MemoryError("no room"), RuntimeError("odd")])
def test_law_4_whatever_is_raised_outside_of_the_handler_ends_the_run_as_an_error(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock, error: Exception
) -> None:
    def runner(*_: object) -> None:
        raise error

    store.store_scheduled_task(a_task())
    engine = make_engine(runner=runner)
    for _ in range(3):
        engine.evaluate_due_tasks()
        clock.advance(minutes=5)
    [latest, first] = store.runs.list_runs()
    assert [str(latest.status), str(first.status)] == ["error", "error"]
    assert latest.reason == f"it could not be started: {type(error).__name__}: {error}"


class Failing(Peers):
    """This machine, among others of which it cannot tell how a run ended."""

    def __init__(self) -> None:
        super().__init__("here", lambda owner: False, lambda owner: ())

    def end(self, claim: Claim, outcome: Outcome) -> Outcome:
        raise MemoryError("no room")


@pytest.mark.law(4)
@pytest.mark.parametrize("runner", [run_inline, run_in_thread], ids=["inline", "in a thread"])
def test_law_4_whatever_is_raised_after_the_handler_ends_the_run_as_an_error(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock, runner: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    store.store_scheduled_task(a_task())
    engine = make_engine(runner=runner, peers=Failing())
    engine.evaluate_due_tasks()
    clock.advance(minutes=5)
    engine.evaluate_due_tasks()
    [run] = store.runs.list_runs()
    assert (run.task_name, str(run.status)) == ("job", "error")
    assert run.reason == "it could not be started: MemoryError: no room"
    [told] = [record for record in caplog.records if record.exc_info]
    assert told.getMessage() == "Task 'job' could not be started"


@pytest.mark.law(3)
@pytest.mark.parametrize("back", [timedelta(hours=2), timedelta(minutes=20)])
def test_law_3_nothing_later_than_the_present_is_claimed_if_the_clock_is_set_back_during_a_run(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock, back: timedelta
) -> None:
    """The clock is two hours ahead, and is set back while the first task runs."""
    clock.set(hours=2)
    runs: list[tuple[str, Any]] = []

    def run(task: ScheduledTask, context: HandlerContext) -> None:
        if task.name == "first":
            clock.instant -= back
        else:
            runs.append((task.name, context.scheduled_for - clock.now()))

    engine = make_engine({"note": run})
    store.store_scheduled_task(a_task("hourly", cron="0 * * * *", next_run_at="2026-03-02T10:59:30+00:00"))
    store.store_scheduled_task(a_task("often", every={"minutes": 1}, next_run_at="2026-03-02T10:59:00+00:00"))
    store.store_scheduled_task(a_task("first", at="2026-03-02T10:00"))
    engine.evaluate_due_tasks()
    for _ in range(3):
        clock.advance(minutes=1)
        engine.evaluate_due_tasks()
    assert all(late <= timedelta(0) for _, late in runs)
    assert len([name for name, _ in runs if name == "often"]) >= 3


@pytest.mark.law(2)
@pytest.mark.parametrize("value", ["0", "'no'"])
def test_to_pause_a_task_takes_its_waiting_retry_out_also_without_a_tick_in_between(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock, other: sqlite3.Connection, value: str
) -> None:
    store.store_scheduled_task(a_task(policy={"retries": 3}, handler="fail"))
    engine = make_engine({"fail": fail})
    engine.evaluate_due_tasks()
    clock.advance(minutes=5)
    engine.evaluate_due_tasks()
    other.execute(f"UPDATE scheduled_tasks SET enabled = {value}")
    other.execute("UPDATE scheduled_tasks SET enabled = 1")
    clock.advance(minutes=4)
    assert tick(engine) == []
    assert history(store) == [(START + timedelta(minutes=5), 1, "error")]
