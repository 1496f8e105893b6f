"""Tests of the queue: what is due first, and what that question costs."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from jarvis_trio.models import Outcome, RunStatus, ScheduledTask, TroubleKind, require_id
from jarvis_trio.notation.instants import from_microseconds
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.outbox import FirstLetter, Letter
from jarvis_trio.store.queue import Ahead, Backlog
from tests.support.core_fakes import START, FakeClock, MakeEngine, Notes, a_task

MINUTE = timedelta(minutes=1)


def add(store: MemoryStore, name: str, slot: datetime) -> ScheduledTask:
    """A task whose row was read already, with that slot next."""
    task = store.store_scheduled_task(a_task(name))
    store.queue.settle(task, slot)
    return task


def heads(store: MemoryStore, now: datetime) -> list[tuple[str, datetime, int]]:
    """What comes out of the queue, one after the other."""
    found = []
    while (due := store.queue.head(now)) is not None:
        found.append((due.task.name, due.scheduled_for, due.attempt))
        if due.attempt == 1:
            store.queue.dequeue_slot(require_id(due.task))
        else:
            store.queue.dequeue_retry(require_id(due.task), due.scheduled_for, due.attempt)
    return found


def test_the_backlog_is_how_many_are_overdue_and_whose_slot_comes_first(store: MemoryStore) -> None:
    assert store.queue.backlog(START) == Backlog(0, None)
    paused = add(store, "paused", START - 9 * MINUTE)
    store.update_scheduled_task(require_id(paused), enabled=False)
    late = add(store, "late", START - MINUTE)
    add(store, "on time", START)
    add(store, "later", START + MINUTE)
    assert store.queue.backlog(START) == Backlog(2, ("late", START - MINUTE))
    assert store.queue.backlog(START, [require_id(late)]) == Backlog(1, ("on time", START))


def test_a_row_that_nobody_has_read_yet_counts_for_the_backlog_with_the_slot_that_it_names(store: MemoryStore) -> None:
    add(store, "on time", START)
    at = START - MINUTE
    unread = store.store_scheduled_task(a_task("unread", next_run_at=at.isoformat()))
    store.store_scheduled_task(a_task("rubbish", next_run_at="some day"))
    store.store_scheduled_task(a_task("to come", next_run_at=(START + MINUTE).isoformat()))
    assert store.queue.backlog(START) == Backlog(2, ("unread", at))
    assert store.queue.backlog(at) == Backlog(1, ("unread", at))
    assert store.queue.backlog(START, [require_id(unread)]) == Backlog(1, ("on time", START))


RUBBISH: list[tuple[str, object]] = [
    ("attempt", 0),
    ("attempt", -1),
    ("attempt", "abc"),
    ("attempt", 2**62),
    ("scheduled_for", "abc"),
    ("scheduled_for", 2**62),
    ("scheduled_for", -(2**62)),
    ("due_at", -(2**62)),
    ("scheduled_for", 1.5),
    ("collapsed", "many"),
    ("waits_from", b"\xff"),
]


@pytest.mark.sqlite
@pytest.mark.law(4)
@pytest.mark.parametrize(("column", "value"), RUBBISH)
def test_a_row_of_the_queue_that_makes_no_sense_is_made_again(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock, notes: Notes, column: str, value: object
) -> None:
    engine = make_engine()
    for name in ("bad", "good"):
        store.store_scheduled_task(a_task(name))
    engine.evaluate_due_tasks()
    store.write(f"UPDATE task_queue SET {column} = ? WHERE task_id = 1", (value,))
    for _ in range(2):
        clock.advance(minutes=5)
        engine.evaluate_due_tasks()
    assert sorted(name for name, *_ in notes.calls) == ["bad", "bad", "good", "good"]


@pytest.mark.law(4)
def test_a_retry_that_names_no_time_is_made_again(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock, notes: Notes
) -> None:
    engine = make_engine()
    task = store.store_scheduled_task(a_task())
    engine.evaluate_due_tasks()
    store.queue.enqueue_retry(task, START, 2, datetime(1970, 1, 1, tzinfo=UTC))
    clock.advance(minutes=5)
    engine.evaluate_due_tasks()
    assert notes.slots == [START + 5 * MINUTE]


@pytest.mark.sqlite
@pytest.mark.law(4)
@pytest.mark.parametrize("value", ["abc", b"\xff", 2**62, -(2**62)])
@pytest.mark.parametrize("table", ["task_queue", "outbox", "task_deadlines"])
def test_a_time_that_makes_no_sense_holds_up_nobody_else(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock, notes: Notes, table: str, value: object
) -> None:
    engine = make_engine()
    for name in ("bad", "good"):
        store.store_scheduled_task(a_task(name, policy={"alert_after_seconds": 60}))
    engine.evaluate_due_tasks()
    store.outbox.post(Letter("nobody", None, "bad", "error", None, "today"), clock.now() + timedelta(hours=1))
    clock.advance(minutes=5)
    engine.evaluate_due_tasks()
    condition = "channel = 'nobody'" if table == "outbox" else "task_id = 1"
    assert store.write(f"UPDATE {table} SET due_at = ? WHERE {condition}", (value,)).count
    for _ in range(2):
        clock.advance(minutes=5)
        engine.evaluate_due_tasks()
        engine.next_due_at()
        engine.next_delivery_at()
    assert [name for name, *_ in notes.calls if name == "good"] == ["good"] * 3


def test_what_is_due_tells_all_that_was_queued_with_it(store: MemoryStore) -> None:
    task = store.store_scheduled_task(a_task())
    store.queue.settle(task, START, collapsed=3, origin=START - MINUTE)
    due = store.queue.head(START)
    assert due is not None
    assert (due.task.id, due.attempt, due.scheduled_for, due.due_at) == (task.id, 1, START, START)
    assert (due.changed, due.collapsed, due.origin, due.running_since) == (False, 3, START - MINUTE, None)

    store.queue.set_next_run(task, START + MINUTE)
    claim = store.runs.claim_run(task, START, 1, started_at=START + MINUTE, owner="me")
    assert claim is not None
    due = store.queue.head(START + MINUTE)
    assert due is not None
    assert (due.collapsed, due.origin, due.running_since) == (0, None, START + MINUTE)

    store.queue.dequeue_slot(require_id(task))
    store.runs.finish_run(claim, Outcome(RunStatus.ERROR, reason="no net"), START + MINUTE)
    store.queue.enqueue_retry(task, START, 2, START + 2 * MINUTE)
    due = store.queue.head(START + 2 * MINUTE)
    assert due is not None
    assert (due.attempt, due.scheduled_for, due.due_at) == (2, START, START + 2 * MINUTE)
    assert (due.collapsed, due.origin) == (0, None)


def test_a_slot_stands_for_no_other_unless_it_is_said(store: MemoryStore) -> None:
    add(store, "job", START)
    due = store.queue.head(START)
    assert due is not None
    assert (due.collapsed, due.origin) == (0, None)


@pytest.mark.law(3)
def test_after_the_clock_was_set_back_a_retry_waits_no_longer_and_a_slot_keeps_its_time(store: MemoryStore) -> None:
    task = add(store, "job", START + 20 * MINUTE)
    for attempt, minutes in ((2, 20), (3, 5), (4, 3), (5, 0), (6, -1)):
        store.queue.enqueue_retry(task, START, attempt, START + minutes * MINUTE)
    store.queue.keep_retries_waiting(START, 5 * MINUTE)
    rows = store.read("SELECT attempt, due_at FROM task_queue")
    waits = {row["attempt"]: (from_microseconds(row["due_at"]) - START) / MINUTE for row in rows}
    assert waits == {1: 20, 2: 15, 3: 0, 4: 0, 5: 0, 6: -1}


@pytest.mark.law(3)
def test_what_is_due_comes_in_the_order_of_its_instants(store: MemoryStore) -> None:
    add(store, "b", START - MINUTE)
    add(store, "later", START + MINUTE)
    add(store, "a", START - 2 * MINUTE)
    add(store, "now", START)
    assert [name for name, _, _ in heads(store, START)] == ["a", "b", "now"]


def test_a_task_that_was_changed_comes_before_all_others(store: MemoryStore) -> None:
    add(store, "old", datetime(1600, 1, 1, tzinfo=UTC))
    store.store_scheduled_task(a_task("changed"))
    due = store.queue.head(START)
    assert due is not None
    assert (due.task.name, due.changed) == ("changed", True)
    assert store.queue.look_ahead("me").slot_at == datetime(1970, 1, 1, tzinfo=UTC)


def test_nothing_is_due_before_its_instant(store: MemoryStore) -> None:
    add(store, "a", START)
    assert store.queue.head(START - timedelta(microseconds=1)) is None
    assert store.queue.look_ahead("me").slot_at == START


def test_what_is_ahead_is_the_earliest_of_each_kind(store: MemoryStore) -> None:
    for name, minutes in (("late", 3), ("early", 2)):
        task = add(store, name, START + minutes * MINUTE)
    assert store.queue.look_ahead("me").slot_at == START + 2 * MINUTE
    store.troubles.set_deadline(require_id(task), START + MINUTE)
    ahead = store.queue.look_ahead("me")
    assert (ahead.slot_at, ahead.deadline_at, ahead.letter_at) == (START + 2 * MINUTE, START + MINUTE, None)


@pytest.mark.law(2)
def test_others_run_while_a_run_of_another_process_can_do_something(store: MemoryStore) -> None:
    ours, theirs = add(store, "ours", START), add(store, "theirs", START)
    assert store.runs.claim_run(ours, START, 1, started_at=START, owner="me") is not None
    assert not store.queue.look_ahead("me").others_run
    claim = store.runs.claim_run(theirs, START, 1, started_at=START, owner="you")
    assert claim is not None
    assert store.queue.look_ahead("me").others_run
    store.runs.finish_run(claim, Outcome(RunStatus.EXECUTED), START)
    assert not store.queue.look_ahead("me").others_run


def test_an_empty_queue_has_nothing_ahead(store: MemoryStore) -> None:
    ahead = store.queue.look_ahead("me")
    assert ahead == Ahead(None, None, None, others_run=False, asked=False)


@pytest.mark.law(5)
def test_the_next_run_is_local_text_in_the_row_and_an_instant_in_the_queue(
    store: MemoryStore, clock: FakeClock, other: sqlite3.Connection
) -> None:
    clock.machine_zone = ZoneInfo("America/Denver")
    task = add(store, "a", START)
    assert store.queue.set_next_run(task, START + MINUTE) == "2026-03-02T02:01:00-07:00"
    assert other.execute("SELECT next_run_at FROM scheduled_tasks").fetchone() == ("2026-03-02T02:01:00-07:00",)
    assert store.queue.look_ahead("me").slot_at == START + MINUTE


def test_a_task_without_a_next_run_leaves_the_queue_and_keeps_its_retries(store: MemoryStore) -> None:
    task = add(store, "a", START)
    store.queue.enqueue_retry(task, START - MINUTE, 2, START)
    store.queue.set_next_run(task, None)
    assert store.value("SELECT next_run_at FROM scheduled_tasks") is None
    assert heads(store, START) == [("a", START - MINUTE, 2)]


@pytest.mark.law(3)
def test_an_edit_keeps_the_retries(store: MemoryStore) -> None:
    task = add(store, "a", START)
    store.queue.enqueue_retry(task, START - MINUTE, 2, START)
    store.update_scheduled_task(require_id(task), schedule_config='{"hours": 1}')
    store.queue.settle(task, START + MINUTE)
    assert heads(store, START) == [("a", START - MINUTE, 2)]


def test_a_task_that_is_enabled_again_is_read_anew(store: MemoryStore) -> None:
    task = add(store, "a", START)
    store.update_scheduled_task(require_id(task), enabled=False)
    store.update_scheduled_task(require_id(task), enabled=True)
    due = store.queue.head(START)
    assert due is not None
    assert (due.task.enabled, due.changed) == (True, True)


def test_a_dequeued_task_leaves_the_queue_with_its_retries(store: MemoryStore) -> None:
    task = add(store, "a", START)
    store.queue.enqueue_retry(task, START - MINUTE, 2, START)
    add(store, "b", START)
    store.queue.dequeue(require_id(task))
    assert heads(store, START) == [("b", START, 1)]


@pytest.mark.law(2)
def test_a_retry_waits_while_the_task_runs_and_a_slot_does_not(store: MemoryStore) -> None:
    task = add(store, "a", START)
    claim = store.runs.claim_run(task, START - MINUTE, 1, started_at=START, owner="me")
    assert claim is not None
    store.queue.enqueue_retry(task, START - 2 * MINUTE, 2, START - MINUTE)
    due = store.queue.head(START)
    assert due is not None
    assert (due.attempt, due.running_since) == (1, START)
    store.queue.dequeue_slot(require_id(task))
    assert store.queue.head(START) is None
    assert store.queue.look_ahead("me").slot_at is None
    store.runs.finish_run(claim, Outcome(RunStatus.EXECUTED), START)
    due = store.queue.head(START)
    assert due is not None
    assert (due.attempt, due.scheduled_for, due.running_since) == (2, START - 2 * MINUTE, None)


@pytest.mark.law(4)
def test_a_live_run_whose_start_cannot_be_read_began_long_ago(store: MemoryStore, other: sqlite3.Connection) -> None:
    task = add(store, "a", START)
    store.runs.claim_run(task, START - MINUTE, 1, started_at=START, owner="me")
    other.execute("UPDATE task_runs SET started_at = 'some day'")
    due = store.queue.head(START)
    assert due is not None
    assert due.running_since == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.law(4)
def test_a_retry_waits_for_no_other_task(store: MemoryStore) -> None:
    running, waiting = add(store, "running", START + MINUTE), add(store, "waiting", START + MINUTE)
    assert store.runs.claim_run(running, START, 1, started_at=START, owner="me") is not None
    store.queue.enqueue_retry(waiting, START - MINUTE, 2, START)
    due = store.queue.head(START)
    assert due is not None
    assert (due.task.name, due.running_since) == ("waiting", None)
    assert store.queue.look_ahead("me").slot_at == START


@pytest.mark.law(2)
def test_a_retry_that_is_asked_for_again_stands_there_once(store: MemoryStore) -> None:
    task = add(store, "a", START + 2 * MINUTE)
    for due_at in (START, START + MINUTE):
        store.queue.enqueue_retry(task, START - MINUTE, 2, due_at)
    assert store.queue.head(START) is None
    assert heads(store, START + MINUTE) == [("a", START - MINUTE, 2)]


@pytest.mark.law(3)
def test_retries_of_several_slots_stand_beside_each_other(store: MemoryStore) -> None:
    task = add(store, "a", START + MINUTE)
    for slot in (START - MINUTE, START - 2 * MINUTE):
        store.queue.enqueue_retry(task, slot, 2, START)
    assert sorted(slot for _, slot, _ in heads(store, START)) == [START - 2 * MINUTE, START - MINUTE]


@pytest.mark.sqlite
@pytest.mark.law(8)
def test_what_belongs_to_replaced_rows_is_forgotten(store: MemoryStore, other: sqlite3.Connection) -> None:
    add(store, "a", START)
    other.execute(
        "INSERT OR REPLACE INTO scheduled_tasks (name, schedule_type, schedule_config, handler_type)"
        " VALUES ('a', 'interval', '{\"hours\": 1}', 'note')"
    )
    assert store.value("SELECT count(*) FROM task_queue") == 2
    store.troubles.begin_trouble(1, TroubleKind.FAILING, "of the row before", START)
    store.troubles.begin_trouble(2, TroubleKind.FAILING, "of the row now", START)
    store.troubles.set_deadline(1, START)
    store.queue.drop_orphans()
    assert store.value("SELECT count(*) FROM task_queue") == 1
    assert [trouble.reason for trouble in store.troubles.list_troubles()] == ["of the row now"]
    assert store.value("SELECT count(*) FROM task_deadlines") == 0


def test_a_tasks_next_slot_is_told_and_not_its_retries(store: MemoryStore) -> None:
    task = add(store, "a", START + MINUTE)
    store.queue.enqueue_retry(task, START - MINUTE, 2, START)
    assert store.queue.queued_slot(require_id(task)) == START + MINUTE
    store.queue.set_next_run(task, None)
    assert store.queue.queued_slot(require_id(task)) is None


def test_the_slots_of_all_tasks_that_were_read_are_told_with_their_origin(store: MemoryStore) -> None:
    for name, origin in (("a", None), ("b", START - MINUTE)):
        task = store.store_scheduled_task(a_task(name))
        store.queue.set_next_run(task, START + MINUTE, origin=origin)
        store.queue.enqueue_retry(task, START, 2, START)
    store.store_scheduled_task(a_task("not read yet"))
    paused = store.store_scheduled_task(a_task("paused", enabled=False))
    store.queue.settle(paused, START)
    told = sorted((task.name, slot, origin) for task, slot, origin in store.queue.queued_slots())
    assert told == [("a", START + MINUTE, None), ("b", START + MINUTE, START - MINUTE)]


def test_a_note_is_remembered(store: MemoryStore) -> None:
    assert store.notes.note("zone") is None
    store.notes.remember("zone", "UTC")
    store.notes.remember("zone", "Asia/Tokyo")
    assert store.notes.note("zone") == "Asia/Tokyo"


class Plans:
    """Explains every query that a store makes, while it is inside."""

    def __init__(self, store: MemoryStore, other: sqlite3.Connection) -> None:
        self.store = store
        self.other = other
        self.queries: dict[str, Sequence[Any]] = {}

    def __enter__(self) -> Plans:
        self.store.connection.trace = self.queries.__setitem__
        return self

    def __exit__(self, *_: object) -> None:
        self.store.connection.trace = None

    def scans(self) -> list[str]:
        """The steps that read a whole table or a whole index of rows that grow with the tasks."""
        found = []
        for query, values in self.queries.items():
            if query.lstrip().startswith(("SELECT", "UPDATE", "DELETE")):
                steps = [row[3] for row in self.other.execute("EXPLAIN QUERY PLAN " + query, values)]
                found += [step for step in steps if step.startswith("SCAN") and "INDEX" not in step]
                found += [step for step in steps if "TEMP B-TREE" in step or "BLOOM FILTER" in step]
        return [step for step in found if "CONSTANT ROW" not in step]


@pytest.mark.sqlite
@pytest.mark.law(3)
@pytest.mark.parametrize("analyzed", [False, True])
def test_no_question_of_the_queue_reads_the_whole_table(
    store: MemoryStore, other: sqlite3.Connection, analyzed: bool
) -> None:
    task = add(store, "a", START)
    if analyzed:  # by another program, at a time with few tasks
        for name in ("b", "c"):
            add(store, name, START)
        other.execute("ANALYZE scheduled_tasks")
    store.queue.enqueue_retry(task, START - MINUTE, 2, START)
    with Plans(store, other) as plans:
        store.queue.look_ahead("me")
        store.queue.head(START)
        store.queue.settle(task, START)
        store.queue.dequeue_slot(require_id(task))
        store.queue.dequeue_retry(require_id(task), START - MINUTE, 2)
    assert len(plans.queries) >= 5
    assert plans.scans() == []


@pytest.mark.sqlite
@pytest.mark.law(3)
def test_no_question_of_a_tick_reads_all_the_history(store: MemoryStore, other: sqlite3.Connection) -> None:
    with Plans(store, other) as plans:
        store.runs.adopt_running()
        store.runs.live_runs_of_others("me")
        store.runs.slot_has_run(1, START)
        store.runs.prune_old_runs(START, 10)
        store.runs.prune_surplus_runs(1, 10, 10)
        store.runs.list_runs(limit=1)
        store.outbox.take_letter(FirstLetter("email", True, START), START, START)
        store.troubles.passed_deadlines(START)
    assert len(plans.queries) >= 8
    assert plans.scans() == []


@pytest.mark.sqlite
def test_the_list_of_due_tasks_is_read_by_the_index(store: MemoryStore, other: sqlite3.Connection) -> None:
    add(store, "a", START)
    with Plans(store, other) as plans:
        store.get_due_tasks(START)
    assert plans.scans() == []
