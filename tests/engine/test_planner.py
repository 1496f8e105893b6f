"""Tests of how the queue keeps in step: with rows that anybody writes, with the zone, with the clock.

Through the engine, on a clock that tests set.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.errors import HandlerError
from jarvis_trio.models import HandlerContext, RunStatus, ScheduledTask, TroubleKind, require_id
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.outbox import Letter
from tests.support.core_fakes import START, FakeClock, MakeEngine, Notes, a_task, finish, history, in_thread, tick

MINUTE = timedelta(minutes=1)
DENVER, TOKYO = ZoneInfo("America/Denver"), ZoneInfo("Asia/Tokyo")
INSERT = (
    "INSERT INTO scheduled_tasks (name, schedule_type, schedule_config, handler_type, next_run_at, policy)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)


@pytest.mark.law(2)
def test_a_once_that_has_run_does_not_run_again_when_its_row_is_touched(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock, notes: Notes, other: sqlite3.Connection
) -> None:
    store.store_scheduled_task(a_task(at="2026-03-02T10:00"))
    engine.evaluate_due_tasks()
    clock.advance(hours=1)
    engine.evaluate_due_tasks()
    other.execute("UPDATE scheduled_tasks SET enabled = 0")
    engine.evaluate_due_tasks()
    other.execute("UPDATE scheduled_tasks SET enabled = 1")
    engine.evaluate_due_tasks()
    assert len(notes.calls) == 1
    assert store.list_scheduled_tasks()[0].next_run_at is None
    other.execute('UPDATE scheduled_tasks SET schedule_config = \'{"run_at": "2026-03-02T10:30"}\'')
    clock.advance(hours=1)
    engine.evaluate_due_tasks()
    assert notes.slots == [START + 60 * MINUTE, START + 90 * MINUTE]


@pytest.mark.law(3)
def test_a_paused_task_does_not_run(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock, notes: Notes, other: sqlite3.Connection
) -> None:
    store.store_scheduled_task(a_task())
    engine.evaluate_due_tasks()
    other.execute("UPDATE scheduled_tasks SET enabled = 0")
    clock.advance(hours=1)
    assert tick(engine) == []
    assert engine.next_due_at() is None
    other.execute("UPDATE scheduled_tasks SET enabled = 1, next_run_at = NULL")
    engine.evaluate_due_tasks()
    clock.advance(minutes=5)
    engine.evaluate_due_tasks()
    assert notes.slots == [START + 65 * MINUTE]


@pytest.mark.law(5)
def test_a_naive_next_run_of_another_program_is_local_time(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock, notes: Notes, other: sqlite3.Connection
) -> None:
    clock.machine_zone = DENVER
    engine = make_engine()
    task = store.store_scheduled_task(a_task(cron="0 9 * * *"))
    engine.evaluate_due_tasks()
    other.execute("UPDATE scheduled_tasks SET next_run_at = '2026-03-02T02:05:00'")
    assert engine.next_due_at() == datetime(1970, 1, 1, tzinfo=UTC)  # to be read at once
    engine.evaluate_due_tasks()
    assert engine.next_due_at() == START + 5 * MINUTE
    clock.advance(minutes=5)
    engine.evaluate_due_tasks()
    assert notes.slots == [START + 5 * MINUTE]
    after = store.get_scheduled_task(require_id(task))
    assert after is not None
    assert after.next_run_at == "2026-03-02T09:00:00-07:00"


@pytest.mark.sqlite
@pytest.mark.law(8)
@pytest.mark.parametrize(
    ("sql", "slots"),
    [
        ("UPDATE OR IGNORE scheduled_tasks SET next_run_at = '2026-03-02T09:01:00'", [1]),
        ("UPDATE OR REPLACE scheduled_tasks SET next_run_at = '2026-03-02T09:01:00'", [1]),
        (
            "INSERT OR REPLACE INTO scheduled_tasks (name, schedule_type, schedule_config, handler_type, enabled)"
            " VALUES ('job', 'interval', '{\"minutes\": 2}', 'note', 1)",
            [2],
        ),
        (
            "REPLACE INTO scheduled_tasks (id, name, schedule_type, schedule_config, handler_type, enabled)"
            " VALUES (1, 'job', 'interval', '{\"minutes\": 2}', 'note', 1)",
            [2],
        ),
        ("DELETE FROM scheduled_tasks", []),
        ('UPDATE scheduled_tasks SET policy = \'{"timezone": "Asia/Tokyo"}\'', [5]),
    ],
)
def test_what_another_program_writes_is_noticed_at_the_next_tick(
    store: MemoryStore,
    engine: SchedulerEngine,
    clock: FakeClock,
    notes: Notes,
    other: sqlite3.Connection,
    sql: str,
    slots: list[int],
) -> None:
    store.store_scheduled_task(a_task(every={"minutes": 5}))
    engine.evaluate_due_tasks()
    other.execute(sql)
    engine.evaluate_due_tasks()
    for _ in range(5):
        if len(notes.calls) < 1:
            clock.advance(minutes=1)
            engine.evaluate_due_tasks()
    assert notes.slots == [START + minute * MINUTE for minute in slots]


@pytest.mark.law(3)
def test_a_queue_that_survives_a_restart_keeps_its_anchor(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock, notes: Notes
) -> None:
    store.store_scheduled_task(a_task(every={"minutes": 5}))
    make_engine().evaluate_due_tasks()
    clock.advance(minutes=12)
    make_engine().evaluate_due_tasks()
    assert notes.slots == [START + 10 * MINUTE]
    assert json.loads(str(store.list_scheduled_tasks()[0].last_result)) == {"ok": True}


@pytest.mark.law(5)
def test_tasks_without_a_zone_follow_the_machines(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock, notes: Notes
) -> None:
    clock.machine_zone = DENVER  # 02:00 there
    engine = make_engine()
    store.store_scheduled_task(a_task("local", cron="0 9 * * *"))
    store.store_scheduled_task(a_task("fixed", cron="0 9 * * *", policy={"timezone": "Europe/Berlin"}))
    store.store_scheduled_task(a_task("interval", every={"hours": 3}))
    store.store_scheduled_task(a_task("once", at="2026-03-03T09:00"))
    engine.evaluate_due_tasks()
    clock.advance(hours=1)
    clock.machine_zone = TOKYO  # 19:00 there
    engine.evaluate_due_tasks()
    slots = {task.name: task.next_run_at for task in store.list_scheduled_tasks()}
    assert slots == {
        "local": "2026-03-03T09:00:00+09:00",
        "fixed": "2026-03-03T17:00:00+09:00",
        "interval": "2026-03-02T21:00:00+09:00",
        "once": "2026-03-03T09:00:00+09:00",
    }


@pytest.mark.law(3)
def test_a_once_that_is_past_in_the_new_zone_runs_at_once(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock, notes: Notes
) -> None:
    clock.machine_zone = DENVER
    engine = make_engine()
    store.store_scheduled_task(a_task(at="2026-03-02T12:00"))
    engine.evaluate_due_tasks()
    clock.machine_zone = TOKYO  # 18:00 there
    engine.evaluate_due_tasks()
    assert notes.slots == [datetime(2026, 3, 2, 3, tzinfo=UTC)]


@pytest.mark.law(3)
def test_a_run_that_a_person_put_off_stays_where_its_task_has_a_zone_of_its_own(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock
) -> None:
    engine = make_engine()
    put_off = "2026-04-01T09:00:00+00:00"
    store.store_scheduled_task(a_task(cron="0 9 * * *", policy={"timezone": "Europe/Berlin"}, next_run_at=put_off))
    engine.evaluate_due_tasks()
    clock.machine_zone = TOKYO
    engine.evaluate_due_tasks()
    assert engine.next_due_at() == datetime(2026, 4, 1, 9, tzinfo=UTC)


@pytest.mark.law(3)
def test_an_interval_is_moved_by_the_clock_after_the_zone_changed_too(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock
) -> None:
    engine = make_engine()
    store.store_scheduled_task(a_task(every={"minutes": 10}))
    engine.evaluate_due_tasks()
    clock.machine_zone = TOKYO
    engine.evaluate_due_tasks()
    clock.set(days=-3)
    engine.evaluate_due_tasks()
    assert engine.next_due_at() == clock.now() + 10 * MINUTE


@pytest.mark.law(3)
@pytest.mark.parametrize("minutes", [30, 60])
def test_what_is_due_when_the_zone_changes_stays_due(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock, notes: Notes, minutes: int
) -> None:
    clock.machine_zone = DENVER
    engine = make_engine()
    store.store_scheduled_task(a_task(cron="30 2 * * *"))
    engine.evaluate_due_tasks()
    clock.set(minutes=minutes)
    clock.machine_zone = TOKYO
    engine.evaluate_due_tasks()
    assert len(notes.calls) == 1


@pytest.mark.law(5)
def test_a_zone_that_changed_while_nothing_ran_is_noticed_at_the_start(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock
) -> None:
    clock.machine_zone = DENVER
    store.store_scheduled_task(a_task(cron="0 9 * * *"))
    make_engine().evaluate_due_tasks()
    clock.machine_zone = TOKYO
    restarted = make_engine()
    restarted.evaluate_due_tasks()
    assert restarted.next_due_at() == datetime(2026, 3, 3, 0, tzinfo=UTC)


@pytest.mark.law(2)
@pytest.mark.parametrize("back", [{"minutes": -3}, {"hours": -1}, {"days": -40}])
def test_a_clock_that_is_set_back_runs_no_slot_twice(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock, notes: Notes, back: dict[str, float]
) -> None:
    store.store_scheduled_task(a_task("interval", every={"minutes": 5}))
    store.store_scheduled_task(a_task("cron", cron="*/10 * * * *"))
    engine.evaluate_due_tasks()
    for minute in range(90):
        if minute == 31:
            clock.set(**back)
        clock.advance(minutes=1)
        engine.evaluate_due_tasks()
    assert len(set(notes.calls)) == len(notes.calls)
    assert {status for _, _, status in history(store, "interval") + history(store, "cron")} == {"executed"}


@pytest.mark.law(2)
def test_after_the_clock_was_set_back_the_next_slot_is_the_first_that_has_not_run(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock
) -> None:
    store.store_scheduled_task(a_task(cron="*/10 * * * *"))
    engine.evaluate_due_tasks()
    clock.advance(minutes=10)
    engine.evaluate_due_tasks()
    clock.advance(minutes=45)
    engine.evaluate_due_tasks()  # 09:50's run, which stands for 09:20 to 09:40 too
    clock.set(minutes=-50)  # it is 09:05 again
    engine.evaluate_due_tasks()
    assert engine.next_due_at() == START + 20 * MINUTE


@pytest.mark.law(3)
def test_law_3_a_slot_that_ran_before_the_clock_was_set_back_hands_on_the_count_of_those_it_stood_for(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock
) -> None:
    store.store_scheduled_task(a_task())
    engine.evaluate_due_tasks()
    clock.advance(minutes=10)
    engine.evaluate_due_tasks()  # 09:10's run, which stands for 09:05 too
    clock.advance(minutes=2)
    clock.set(minutes=-10)  # it is 09:02 again
    for minutes in (0, 10, 5):  # 09:02, 09:12: due are 09:05 and again 09:10; then 09:15
        clock.advance(minutes=minutes)
        engine.evaluate_due_tasks()
    assert [(run.scheduled_for - START, run.collapsed) for run in reversed(store.runs.list_runs())] == [
        (10 * MINUTE, 1),
        (15 * MINUTE, 1),
    ]


@pytest.mark.law(3)
def test_law_3_an_interval_after_a_slot_that_had_run_follows_the_clock_back_once_more(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock
) -> None:
    store.store_scheduled_task(a_task())
    engine.evaluate_due_tasks()
    clock.advance(minutes=10)
    engine.evaluate_due_tasks()  # 09:10's run
    clock.advance(minutes=2)
    clock.set(minutes=-10)  # it is 09:02 again
    engine.evaluate_due_tasks()
    clock.advance(minutes=10)
    engine.evaluate_due_tasks()  # due is again 09:10, which has run; then 09:15
    clock.set(minutes=-10)
    engine.evaluate_due_tasks()
    assert engine.next_due_at() == START + 5 * MINUTE


@pytest.mark.law(8)
@pytest.mark.parametrize(
    ("written", "kept"),
    [(None, "2026-03-02T02:05:00-07:00"), ("2026-03-02T02:30", "2026-03-02T02:30")],
    ids=["nothing", "a naive text"],
)
def test_the_next_run_is_written_into_a_row_that_names_none_and_left_in_one_that_does(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock, written: str | None, kept: str
) -> None:
    clock.machine_zone = DENVER  # where it is 02:00
    store.store_scheduled_task(a_task(next_run_at=written))
    make_engine().evaluate_due_tasks()
    assert store.list_scheduled_tasks()[0].next_run_at == kept


@pytest.mark.law(3)
def test_law_3_a_late_run_does_not_count_slots_that_ran_before_the_clock_was_set_back(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock
) -> None:
    store.store_scheduled_task(a_task(cron="*/10 * * * *"))
    engine.evaluate_due_tasks()
    for _ in range(2):  # 09:10's run and 09:20's
        clock.advance(minutes=10)
        engine.evaluate_due_tasks()
    clock.set(minutes=-20)  # it is 09:00 again
    engine.evaluate_due_tasks()
    clock.advance(minutes=45)
    engine.evaluate_due_tasks()
    rows = [(run.scheduled_for - START, run.collapsed) for run in reversed(store.runs.list_runs())]
    assert sorted(rows) == [(10 * MINUTE, 0), (20 * MINUTE, 0), (40 * MINUTE, 1)]  # the one that it counts is 09:30's


@pytest.mark.law(3)
def test_law_3_a_late_run_after_the_clock_was_set_back_counts_only_slots_without_a_row(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock
) -> None:
    store.store_scheduled_task(a_task(cron="*/10 * * * *"))
    engine.evaluate_due_tasks()
    for minutes in (10, 20):  # 09:10's run, and 09:30's, which stands for 09:20 too
        clock.advance(minutes=minutes)
        engine.evaluate_due_tasks()
    clock.set(minutes=-15)  # it is 09:15 again
    engine.evaluate_due_tasks()
    clock.advance(minutes=30)
    engine.evaluate_due_tasks()
    run = store.runs.list_runs()[0]
    assert (run.scheduled_for - START, run.collapsed) == (40 * MINUTE, 1)  # the one that it counts is 09:20's


@pytest.mark.law(3)
def test_law_3_a_late_run_does_not_count_the_slot_that_another_program_asked_for_twice(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock, other: sqlite3.Connection
) -> None:
    store.store_scheduled_task(a_task(cron="*/10 * * * *"))
    for minutes in (13, 12):
        other.execute("UPDATE scheduled_tasks SET next_run_at = '2026-03-02T09:13:00+00:00'")
        clock.advance(minutes=minutes)
        engine.evaluate_due_tasks()
    rows = [(run.scheduled_for - START, run.collapsed) for run in reversed(store.runs.list_runs())]
    assert rows == [(13 * MINUTE, 0), (20 * MINUTE, 0)]


@pytest.mark.law(3)
def test_a_cron_task_follows_the_clock_back_to_an_earlier_day(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock
) -> None:
    store.store_scheduled_task(a_task(cron="0 9 * * *"))
    engine.evaluate_due_tasks()
    clock.set(days=-40)
    engine.evaluate_due_tasks()
    assert engine.next_due_at() == clock.now() + timedelta(days=1)


@pytest.mark.law(3)
@pytest.mark.parametrize("back", [{"seconds": -40}, {"minutes": -3}, {"hours": -1}, {"days": -40}])
@pytest.mark.parametrize("at", [1, 17, 29, 30, 31])
def test_a_clock_that_is_set_back_makes_no_interval_wait_longer_than_its_interval(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock, back: dict[str, float], at: int
) -> None:
    """By the monotonic clock; a tick a minute, and the clock's slack, are allowed for."""
    started: list[float] = [clock.monotonic()]
    engine = make_engine({"note": lambda task, context: started.append(clock.monotonic())})
    store.store_scheduled_task(a_task(every={"minutes": 10}))
    engine.evaluate_due_tasks()
    for minute in range(70):
        clock.advance(seconds=30)
        if minute == at:
            clock.set(**back)
        clock.advance(seconds=30)
        engine.evaluate_due_tasks()
    waits = [after - before for before, after in pairwise(started)]
    assert len(waits) >= 6
    assert max(waits) <= 600 + 60 + 5


@pytest.mark.law(3)
def test_a_clock_that_is_set_back_twice_makes_no_interval_wait_longer(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock
) -> None:
    store.store_scheduled_task(a_task(every={"minutes": 10}))
    engine.evaluate_due_tasks()
    for _ in range(2):
        clock.advance(minutes=2)
        clock.set(hours=-1)
        engine.evaluate_due_tasks()
    assert engine.next_due_at() == clock.now() + 6 * MINUTE


@pytest.mark.law(3)
def test_law_3_an_interval_whose_next_slot_has_run_is_moved_by_the_least_and_not_put_off(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock, notes: Notes
) -> None:
    """Where the clock is set back by whole intervals, the slots to come are those that have been."""
    store.store_scheduled_task(a_task("other", every={"minutes": 30}))
    store.store_scheduled_task(a_task(every={"minutes": 10}))
    engine.evaluate_due_tasks()
    for _ in range(3):  # 09:10, 09:20, 09:30
        clock.advance(minutes=10)
        engine.evaluate_due_tasks()
    for number in (1, 2):
        clock.set(minutes=-20)  # it is 09:10 again
        engine.evaluate_due_tasks()
        assert engine.next_due_at() == START + 20 * MINUTE - timedelta(microseconds=number)
        for _ in range(2):
            clock.advance(minutes=10)
            engine.evaluate_due_tasks()
    runs = [slot - START for name, slot, _ in notes.calls if name == "job"]
    assert runs[3:] == [minute * MINUTE - timedelta(microseconds=number) for number in (1, 2) for minute in (20, 30)]


@pytest.mark.law(3)
@pytest.mark.parametrize(("seconds", "moved"), [(5, 0), (5.001, 5.001)])
def test_a_correction_of_the_clock_by_up_to_five_seconds_moves_nothing(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock, seconds: float, moved: float
) -> None:
    store.store_scheduled_task(a_task())
    engine.evaluate_due_tasks()
    clock.set(seconds=-seconds)
    engine.evaluate_due_tasks()
    assert engine.next_due_at() == START + 5 * MINUTE - timedelta(seconds=moved)


@pytest.mark.law(3)
@pytest.mark.parametrize("written", [True, False], ids=["by add", "by the engine"])
def test_a_clock_set_back_right_after_a_task_was_added_does_not_put_its_first_run_off(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock, notes: Notes, written: bool
) -> None:
    first = (START + 10 * MINUTE).isoformat() if written else None
    store.store_scheduled_task(a_task(every={"minutes": 10}, next_run_at=first))
    engine.evaluate_due_tasks()
    clock.advance(minutes=1)
    clock.set(days=-3)
    engine.evaluate_due_tasks()
    clock.advance(minutes=9)
    engine.evaluate_due_tasks()
    assert len(notes.calls) == 1


@pytest.mark.law(3)
def test_a_first_run_that_a_person_put_off_is_not_moved_by_the_clock(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock
) -> None:
    store.store_scheduled_task(a_task(every={"minutes": 10}, next_run_at="2026-04-01T00:00:00+00:00"))
    engine.evaluate_due_tasks()
    clock.set(days=-3)
    engine.evaluate_due_tasks()
    assert engine.next_due_at() == datetime(2026, 4, 1, tzinfo=UTC)


@pytest.mark.law(3)
def test_a_clock_that_is_set_forward_runs_each_task_once_and_late(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock
) -> None:
    store.store_scheduled_task(a_task("interval", every={"minutes": 5}))
    store.store_scheduled_task(a_task("cron", cron="*/10 * * * *"))
    engine.evaluate_due_tasks()
    clock.set(days=3)
    assert sorted(tick(engine)) == [("cron", "executed"), ("interval", "executed")]
    assert tick(engine) == []
    assert [run.collapsed for run in store.runs.list_runs(task="interval")] == [3 * 24 * 12 - 1]


@pytest.mark.law(3)
def test_a_clock_set_back_while_nothing_ran_is_noticed_at_the_start(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock, notes: Notes
) -> None:
    engine = make_engine()
    store.store_scheduled_task(a_task(every={"minutes": 5}))
    engine.evaluate_due_tasks()
    clock.advance(minutes=5)
    engine.evaluate_due_tasks()
    clock.set(days=-10)
    restarted = make_engine()
    restarted.evaluate_due_tasks()
    due_at = restarted.next_due_at()
    assert due_at is not None
    assert due_at - clock.now() <= 5 * MINUTE


@pytest.mark.law(3)
def test_a_clock_set_back_while_nothing_ran_does_not_put_off_a_task_added_after_the_last_run(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock, notes: Notes
) -> None:
    """By how much the clock was set back is a guess then: the time of the last run says no more than "at least"."""
    engine = make_engine()
    store.store_scheduled_task(a_task("other", every={"hours": 5}))
    engine.evaluate_due_tasks()
    clock.advance(hours=5)
    engine.evaluate_due_tasks()
    clock.advance(hours=3)
    store.store_scheduled_task(a_task("late", every={"hours": 1}))
    engine.evaluate_due_tasks()
    clock.set(hours=-6)
    make_engine().evaluate_due_tasks()
    clock.advance(hours=1)
    make_engine().evaluate_due_tasks()
    assert [name for name, *_ in notes.calls] == ["other", "late"]


@pytest.mark.law(3)
def test_a_cron_task_that_was_planned_by_a_clock_far_ahead_is_planned_again_at_the_start(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock, notes: Notes
) -> None:
    """The process was killed before it ran anything, so no run says what the clock had read."""
    clock.set(days=400)
    store.store_scheduled_task(a_task(cron="*/10 * * * *"))
    make_engine().evaluate_due_tasks()
    clock.set(days=-400)
    make_engine().evaluate_due_tasks()
    clock.advance(minutes=10)
    make_engine().evaluate_due_tasks()
    assert notes.slots == [START + 10 * MINUTE]


@pytest.mark.law(3)
def test_a_clock_that_was_put_right_is_put_right_once(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock
) -> None:
    clock.set(days=400)
    store.store_scheduled_task(a_task(cron="*/10 * * * *"))
    make_engine().evaluate_due_tasks()
    clock.set(days=-400)
    make_engine().evaluate_due_tasks()
    by_hand = START + timedelta(days=2)
    store.update_scheduled_task(1, next_run_at=by_hand.isoformat())
    make_engine().evaluate_due_tasks()
    make_engine().evaluate_due_tasks()
    assert store.queue.queued_slot(1) == by_hand


BAD_ROWS: list[Any] = [
    ("interval", "nonsense", "note", None, None),
    ("interval", '{"minutes": 0}', "note", None, None),
    ("interval", '{"minutes": 1e308}', "note", None, None),
    ("interval", '{"days": 2912300}', "note", None, None),
    ("interval", b"\xff\xfe", "note", None, None),
    ("interval", 5, "note", None, None),
    ("cron", '{"expression": "0 0 30 2 *"}', "note", None, None),
    ("cron", '{"expression": "* * * * *"}', "note", "1930-01-01T00:00:00", None),
    pytest.param(
        ("cron", '{"expression": "* * * * *"}', "note", "0002-01-01T00:00:00", None), marks=pytest.mark.thorough
    ),
    ("cron", '{"expression": "* * * * *"}', "note", "0001-01-01T00:00:00", None),
    ("cron", '{"expression": "* * * * *"}', "note", "9999-12-31T23:59:59+00:00", None),
    ("once", '{"run_at": "9999-12-31T23:59:59"}', "note", None, None),
    ("once", '{"run_at": "0001-01-01T00:00:00+14:00"}', "note", None, None),
    ("once", '{"run_at": "\\ud800"}', "note", None, None),
    ("often", "{}", "note", None, None),
    (b"\xff", b"\xff", b"\xff", b"\xff", b"\xff"),
    (1, 2.5, 3, 4, 5),
    ("interval", '{"minutes": 5}', "note", "soon", None),
    ("interval", '{"minutes": 5}', "note", "", None),
    ("interval", '{"minutes": 5}', "note", 1764000000, None),
    ("interval", '{"minutes": 5}', "note", None, "rubbish"),
    ("interval", '{"minutes": 5}', "note", None, '{"timezone": "Mars/Olympus"}'),
    ("interval", '{"minutes": 5}', "note", None, '{"timeout_seconds": 1' + "0" * 400 + "}"),
    ("interval", '{"minutes": 5}', "note", None, '{"retries": "many"}'),
    ("interval", "[" * 100_000, "note", None, None),
    ("interval", '{"minutes": "' + "x" * 1_000_000 + '"}', "note", None, None),
]


@pytest.mark.law(4)
@pytest.mark.parametrize("zone", ["America/Denver", "Asia/Tokyo"])
@pytest.mark.parametrize("row", BAD_ROWS, ids=lambda row: repr(row)[:60].replace("\\", ""))
def test_whatever_a_row_holds_the_good_task_beside_it_is_on_time(
    store: MemoryStore,
    make_engine: MakeEngine,
    clock: FakeClock,
    notes: Notes,
    other: sqlite3.Connection,
    row: tuple[Any, ...],
    zone: str,
) -> None:
    clock.machine_zone = ZoneInfo(zone)
    engine = make_engine()
    other.execute(INSERT, ("a bad one", *row))
    store.store_scheduled_task(a_task("good"))
    for _ in range(3):
        engine.evaluate_due_tasks()
        clock.advance(minutes=5)
    assert [slot for name, slot, _ in notes.calls if name == "good"] == [START + 5 * MINUTE, START + 10 * MINUTE]
    for run in store.runs.list_runs():
        assert run.status is RunStatus.EXECUTED or run.reason
        assert len(run.reason or "") < 2000
    assert len(store.list_scheduled_tasks()) == 2


@pytest.mark.law(4)
def test_a_row_that_cannot_be_scheduled_is_set_aside_once_with_its_reason(
    store: MemoryStore,
    engine: SchedulerEngine,
    clock: FakeClock,
    other: sqlite3.Connection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    other.execute(INSERT, ("job", "interval", "{}", "note", None, None))
    for _ in range(4):
        engine.evaluate_due_tasks()
        clock.advance(minutes=5)
    run = store.runs.list_runs()[0]
    assert [status for _, _, status in history(store)] == ["skipped"]
    assert str(run.reason).startswith("set aside: interval")
    assert store.troubles.reasons_set_aside() == {1: str(run.reason).removeprefix("set aside: ")}
    assert other.execute("SELECT enabled, schedule_config FROM scheduled_tasks").fetchone() == (1, "{}")
    assert len([record for record in caplog.records if "set aside" in record.message]) == 1
    assert engine.next_due_at() is None


def make_rubbish_unnoticed(other: sqlite3.Connection, name: str) -> None:
    """Change a row so that our triggers see nothing of it, as some program may manage to."""
    other.execute("CREATE TEMP TABLE queue AS SELECT * FROM task_queue")
    other.execute("UPDATE scheduled_tasks SET schedule_config = '{}' WHERE name = ?", (name,))
    other.execute("DELETE FROM task_queue")
    other.execute("INSERT INTO task_queue SELECT * FROM temp.queue")


@pytest.mark.sqlite
@pytest.mark.law(4)
def test_law_4_a_row_that_became_rubbish_unnoticed_is_set_aside_when_it_comes_due(
    store: MemoryStore,
    engine: SchedulerEngine,
    clock: FakeClock,
    notes: Notes,
    other: sqlite3.Connection,
) -> None:
    store.store_scheduled_task(a_task())
    store.store_scheduled_task(a_task("good"))
    engine.evaluate_due_tasks()
    make_rubbish_unnoticed(other, "job")
    clock.advance(minutes=5)
    told = {report["name"]: report for report in engine.evaluate_due_tasks()}
    assert {name: report["status"] for name, report in told.items()} == {"job": "skipped", "good": "executed"}
    run = store.runs.list_runs(task="job")[0]
    assert (run.status, run.scheduled_for) == (RunStatus.SKIPPED, clock.now())
    assert run.reason == told["job"]["error"] == f"set aside: {store.troubles.reasons_set_aside()[1]}"
    assert "interval must be greater than zero" in run.reason


@pytest.mark.law(4)
def test_what_was_set_aside_comes_back_when_another_program_mends_it(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock, other: sqlite3.Connection, notes: Notes
) -> None:
    other.execute(INSERT, ("job", "interval", "{}", "note", None, None))
    engine.evaluate_due_tasks()
    other.execute("UPDATE scheduled_tasks SET schedule_config = '{\"minutes\": 0}'")
    engine.evaluate_due_tasks()
    assert "interval must be greater" in store.troubles.reasons_set_aside()[1]
    other.execute("UPDATE scheduled_tasks SET schedule_config = '{\"minutes\": 1}'")
    engine.evaluate_due_tasks()
    assert store.troubles.reasons_set_aside() == {}
    assert other.execute("SELECT enabled FROM scheduled_tasks").fetchone() == (1,)
    clock.advance(minutes=1)
    engine.evaluate_due_tasks()
    assert notes.slots == [START + MINUTE]


def test_what_was_set_aside_and_is_fixed_has_to_succeed_within_its_time_again(
    store: MemoryStore, engine: SchedulerEngine, other: sqlite3.Connection
) -> None:
    other.execute(INSERT, ("job", "interval", "{}", "note", None, '{"alert_after_seconds": 3600}'))
    engine.evaluate_due_tasks()
    other.execute("UPDATE scheduled_tasks SET schedule_config = '{\"days\": 1}'")
    engine.evaluate_due_tasks()
    assert engine.next_due_at() == START + timedelta(hours=1)  # by when it has to succeed


@pytest.mark.law(3)
def test_a_task_that_is_held_leaves_the_queue_with_its_retries_until_it_is_held_no_longer(
    store: MemoryStore, engine: SchedulerEngine
) -> None:
    task = store.store_scheduled_task(a_task())
    store.troubles.begin_trouble(require_id(task), TroubleKind.HELD, "somebody moved it", START)
    store.queue.enqueue_retry(task, START, 2, START + MINUTE)
    engine.evaluate_due_tasks()
    assert engine.next_due_at() is None

    store.troubles.end_troubles(require_id(task), [TroubleKind.HELD])
    store.queue.unsettle(task)
    engine.evaluate_due_tasks()
    assert engine.next_due_at() == START + 5 * MINUTE


@pytest.mark.law(3)
def test_a_task_that_waits_for_its_handler_keeps_its_next_run_and_its_retries_when_its_row_is_touched(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock, notes: Notes
) -> None:
    task = store.store_scheduled_task(a_task(handler="brief", next_run_at=START.isoformat()))
    engine = make_engine()
    engine.evaluate_due_tasks()
    store.queue.enqueue_retry(task, START - MINUTE, 2, START + 3 * MINUTE)
    store.update_scheduled_task(require_id(task), description="by another program")
    clock.advance(minutes=1)
    engine.evaluate_due_tasks()
    assert engine.next_due_at() == START + 3 * MINUTE, "of the slot nothing is left in the queue"

    clock.advance(minutes=5)
    make_engine({"brief": notes}).evaluate_due_tasks()
    assert set(notes.slots) == {START - MINUTE, START + 5 * MINUTE}


def test_what_is_set_aside_has_no_time_to_succeed_in(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock, other: sqlite3.Connection
) -> None:
    store.store_scheduled_task(a_task(every={"days": 1}, policy={"alert_after_seconds": 60}))
    engine.evaluate_due_tasks()
    other.execute("UPDATE scheduled_tasks SET schedule_config = '{}'")
    engine.evaluate_due_tasks()
    clock.advance(minutes=2)
    engine.evaluate_due_tasks()
    assert [trouble.kind for trouble in store.troubles.list_troubles()] == [TroubleKind.SET_ASIDE]
    assert engine.next_due_at() is None


@pytest.mark.law(4)
def test_what_is_set_aside_is_not_told_again_when_its_row_is_written_as_bad_as_it_was(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock, other: sqlite3.Connection
) -> None:
    other.execute(INSERT, ("job", "interval", '{"minutes": 0}', "note", None, None))
    engine.evaluate_due_tasks()
    clock.advance(minutes=1)
    other.execute("UPDATE scheduled_tasks SET schedule_config = '{\"minutes\":0}'")
    engine.evaluate_due_tasks()
    assert len(store.runs.list_runs()) == 1
    assert engine.next_due_at() is None


@pytest.mark.sqlite
@pytest.mark.law(4)
def test_law_4_a_row_that_became_rubbish_unnoticed_keeps_no_other_from_following_the_zone(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock, other: sqlite3.Connection
) -> None:
    store.store_scheduled_task(a_task(every={"minutes": 5}))
    store.store_scheduled_task(a_task("good", cron="0 10 * * *"))
    engine.evaluate_due_tasks()
    make_rubbish_unnoticed(other, "job")
    clock.machine_zone = TOKYO  # 18:00 there
    engine.evaluate_due_tasks()
    assert store.tasks.require_task("good").next_run_at == "2026-03-03T10:00:00+09:00"


@pytest.mark.law(5)
def test_a_tick_that_waited_long_does_not_take_the_clock_for_set_back(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    store.store_scheduled_task(a_task())
    engine.evaluate_due_tasks()
    with store.transaction():  # as while another thread of this process writes
        waiting = in_thread(engine.evaluate_due_tasks)
        waiting.join(0.05)
        clock.advance(minutes=1)
        engine.evaluate_due_tasks()
    finish(waiting)
    assert "set back" not in caplog.text


def test_the_log_tells_when_a_task_is_set_aside_and_when_it_is_fixed(
    store: MemoryStore, engine: SchedulerEngine, caplog: pytest.LogCaptureFixture
) -> None:
    task = store.store_scheduled_task(a_task("odd", every={"minutes": 0}))
    with caplog.at_level(logging.INFO, "jarvis_trio.engine.planner"):
        engine.evaluate_due_tasks()
        store.update_scheduled_task(require_id(task), schedule_config='{"minutes": 5}')
        engine.evaluate_due_tasks()
    told = [record for record in caplog.records if record.name == "jarvis_trio.engine.planner"]
    assert [record.getMessage() for record in told] == [
        "Task 'odd' is set aside until it is fixed: interval must be greater than zero in days, hours, minutes or "
        "seconds: {'minutes': 0}",
        "Task 'odd' was fixed and is scheduled again",
    ]
    assert {vars(record)["task"] for record in told} == {"odd"}


@pytest.mark.law(3)
def test_law_3_slots_that_were_caught_up_by_a_wrong_clock_come_back_with_it(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock, notes: Notes
) -> None:
    def put_it_right(*_: object) -> None:
        clock.set(minutes=-30)

    engine = make_engine({"right": put_it_right})
    store.store_scheduled_task(a_task("setter", handler="right", every={"hours": 1}, next_run_at=START.isoformat()))
    earlier = START - timedelta(minutes=1)
    store.store_scheduled_task(a_task("often", every={"minutes": 1}, next_run_at=earlier.isoformat()))
    clock.set(minutes=30)
    engine.evaluate_due_tasks()  # it catches `often` up first; when the setter has run, that is ahead of the clock
    assert notes.calls == []
    engine.evaluate_due_tasks()
    clock.advance(minutes=1)
    engine.evaluate_due_tasks()
    assert notes.slots == [START, START + timedelta(minutes=1)]


@pytest.mark.law(3)
def test_law_3_slots_that_a_dead_process_planned_by_a_wrong_clock_come_back_with_it(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock, notes: Notes
) -> None:
    task = store.store_scheduled_task(a_task(every={"minutes": 1}, next_run_at=START.isoformat()))
    later = START + timedelta(hours=7)
    store.queue.settle(task, later, collapsed=420, origin=later - timedelta(minutes=1))  # and then it was killed
    engine = make_engine()
    engine.evaluate_due_tasks()
    clock.advance(minutes=1)
    engine.evaluate_due_tasks()
    assert len(notes.calls) == 1


@pytest.mark.law(5)
def test_law_5_a_slot_that_todays_rules_of_the_zone_no_longer_name_is_moved_and_not_run(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock, notes: Notes
) -> None:
    planned = START + 7 * MINUTE  # a slot of 09:00 by the rules of before
    task = store.store_scheduled_task(a_task(cron="0 * * * *", next_run_at=planned.isoformat()))
    store.queue.settle(task, planned, origin=planned)
    clock.advance(minutes=7)
    engine.evaluate_due_tasks()
    assert notes.slots == [START]


@pytest.mark.law(5)
def test_law_5_a_slot_that_todays_rules_move_on_keeps_its_count_and_follows_further_rules(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock
) -> None:
    planned, ten = START + 40 * MINUTE, START + 60 * MINUTE
    task = store.store_scheduled_task(a_task(cron="0 * * * *", next_run_at=planned.isoformat()))
    store.queue.settle(task, planned, collapsed=3, origin=planned)
    clock.advance(minutes=40)
    engine.evaluate_due_tasks()
    assert [(slot, origin) for _, slot, origin in store.queue.queued_slots()] == [(ten, ten)]
    clock.advance(minutes=20)
    engine.evaluate_due_tasks()
    assert [(run.scheduled_for, run.collapsed) for run in store.runs.list_runs()] == [(ten, 3)]


@pytest.mark.law(4)
@pytest.mark.sqlite
def test_law_4_a_row_that_refuses_to_follow_the_clock_keeps_no_other_from_it(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("bad", "good"):
        store.store_scheduled_task(a_task(name, every={"minutes": 10}))
    engine.evaluate_due_tasks()
    store.write(
        "CREATE TRIGGER theirs BEFORE UPDATE OF next_run_at ON scheduled_tasks WHEN NEW.name = 'bad'"
        " BEGIN SELECT RAISE(ABORT, 'mine'); END"
    )
    clock.set(hours=-1)
    engine.evaluate_due_tasks()
    assert engine.next_due_at() == clock.now() + 10 * MINUTE
    (kept,) = caplog.records[1:]  # after that of the clock
    assert kept.getMessage().startswith("Task 'bad' keeps its next run: ")
    assert (kept.getMessage().count("mine"), kept.__dict__["task"]) == (1, "bad")


@pytest.mark.law(3)
def test_law_3_a_retry_waits_no_longer_because_the_clock_was_set_back(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock
) -> None:
    calls: list[int] = []

    def flaky(task: ScheduledTask, context: HandlerContext) -> None:
        calls.append(context.attempt)
        if context.attempt == 1:
            raise HandlerError("not yet")

    engine = make_engine({"note": flaky})
    policy = {"retries": 1, "retry_delay_seconds": 60}
    store.store_scheduled_task(a_task(every={"days": 7}, next_run_at=START.isoformat(), policy=policy))
    clock.set(hours=2)
    engine.evaluate_due_tasks()
    clock.set(hours=-2)
    engine.evaluate_due_tasks()
    clock.advance(seconds=50)
    engine.evaluate_due_tasks()
    assert calls == [1]
    clock.advance(seconds=20)
    engine.evaluate_due_tasks()
    assert calls == [1, 2]


@pytest.mark.law(3)
def test_law_3_a_message_waits_no_longer_because_the_clock_was_set_back(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock
) -> None:
    clock.set(hours=2)
    engine = make_engine()
    engine.evaluate_due_tasks()
    store.outbox.post(Letter("email", None, "job", "executed", "fine", "now", 1), clock.now())
    clock.set(hours=-2)
    engine.evaluate_due_tasks()
    assert store.outbox.letters_waiting() == 0


@pytest.mark.law(3)
def test_law_3_who_claims_by_a_clock_that_is_ahead_for_a_moment_silences_no_other_process(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A `tick` beside a daemon, which looks before the clock is set on and after it is set back."""
    for task in (a_task("often", every={"minutes": 1}), a_task("hourly", cron="0 * * * *")):
        store.store_scheduled_task(task)
    engine = make_engine()
    engine.evaluate_due_tasks()
    ahead = FakeClock(clock.now() + timedelta(hours=2, minutes=30))
    with MemoryStore(path, clock=ahead) as theirs:
        assert len(make_engine(store=theirs, clock=ahead, owner="there").evaluate_due_tasks()) == 2

    clock.advance(seconds=1)
    engine.evaluate_due_tasks()
    assert [message for message in caplog.messages if "by a clock that is" in message] != []
    due = [task.next_run_at for task in store.list_scheduled_tasks()]
    assert due == ["2026-03-02T10:00:00+00:00", "2026-03-02T09:01:01+00:00"]

    caplog.clear()
    with MemoryStore(path, clock=clock) as theirs:
        theirs.store_scheduled_task(a_task("new"))
    engine.evaluate_due_tasks()
    assert caplog.messages == []


def test_the_log_tells_when_the_zone_is_another_and_when_the_clock_was_set_back(
    make_engine: MakeEngine, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "jarvis_trio")
    engine = make_engine()
    engine.evaluate_due_tasks()
    make_engine().evaluate_due_tasks()  # a restart in the same zone
    assert caplog.messages == []
    clock.machine_zone = TOKYO
    engine.evaluate_due_tasks()
    clock.set(minutes=-10, microseconds=2)  # no clock is set to the microsecond
    engine.evaluate_due_tasks()
    assert caplog.messages == [
        "The machine's zone is Asia/Tokyo now; tasks without a zone of their own follow",
        "The clock was set back by 10m; schedules are read again",
    ]


@pytest.mark.law(5)
@pytest.mark.parametrize(
    ("next_run_at", "planned"),
    [
        ("2026-03-03T09:00:00+09:00", "2026-03-03T09:00:00+00:00"),  # a slot there, and none here
        ("2026-03-03T09:30:00+09:00", "2026-03-03T09:30:00+09:00"),  # a slot nowhere: set by hand
        ("2026-03-03T11:15:00", "2026-03-03T11:15:00"),  # as other programs write it: by hand
        ("2026-03-01T09:00:00+09:00", "2026-03-03T09:00:00+00:00"),  # was due, and has run
    ],
)
def test_law_5_a_next_run_that_was_computed_in_another_zone_follows_the_daemons(
    store: MemoryStore, make_engine: MakeEngine, next_run_at: str, planned: str
) -> None:
    task = store.store_scheduled_task(a_task(cron="0 9 * * *", next_run_at=next_run_at))
    make_engine().evaluate_due_tasks()
    found = store.get_scheduled_task(require_id(task))
    assert found is not None
    assert found.next_run_at == planned


def test_a_zone_of_the_tasks_own_keeps_its_slot_however_that_is_written(
    store: MemoryStore, make_engine: MakeEngine
) -> None:
    policy = {"timezone": "Asia/Tokyo"}
    task = store.store_scheduled_task(a_task(cron="0 9 * * *", policy=policy, next_run_at="2026-03-03T00:00:00+00:00"))
    make_engine().evaluate_due_tasks()
    found = store.get_scheduled_task(require_id(task))
    assert found is not None
    assert found.next_run_at == "2026-03-03T00:00:00+00:00"
