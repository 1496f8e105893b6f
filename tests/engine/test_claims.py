"""Tests of which slot is run next and by whom (laws 2 and 3), through the engine, on a clock that tests set.

Some use threads, one real processes.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from operator import attrgetter
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from jarvis_trio.clock import SystemClock
from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.engine.limits import Limits
from jarvis_trio.engine.peers import Survivor
from jarvis_trio.engine.runner import run_in_thread
from jarvis_trio.errors import ScheduleError, StoreFullError, StoreUnsureError, TaskRunningError
from jarvis_trio.models import RunStatus, Trigger, require_id
from jarvis_trio.process.identity import current_owner
from jarvis_trio.store import MemoryStore
from tests.support.core_fakes import (
    PATIENCE,
    START,
    Due,
    FakeClock,
    Gate,
    MakeEngine,
    Notes,
    a_task,
    answer_lost,
    ends_refused,
    finish,
    history,
    in_thread,
    tick,
    wait_until,
)

MINUTE = timedelta(minutes=1)


@pytest.mark.law(3)
def test_an_interval_starts_one_interval_after_it_was_added(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock, notes: Notes
) -> None:
    store.store_scheduled_task(a_task(every={"minutes": 5}))
    assert tick(engine) == []
    clock.advance(minutes=5)
    assert tick(engine) == [("job", "executed")]
    assert notes.slots == [START + 5 * MINUTE]


@pytest.mark.law(3)
def test_interval_slots_are_anchored_however_late_the_ticks_are(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock, notes: Notes
) -> None:
    store.store_scheduled_task(a_task(every={"minutes": 5}))
    engine.evaluate_due_tasks()
    for _ in range(10):
        clock.advance(minutes=5, seconds=17)
        engine.evaluate_due_tasks()
    assert notes.slots[:3] == [START + 5 * MINUTE, START + 10 * MINUTE, START + 15 * MINUTE]
    assert {(slot - START) % (5 * MINUTE) for slot in notes.slots} == {timedelta(0)}


@pytest.mark.law(3)
def test_missed_slots_collapse_into_one_late_run_with_the_count_of_the_others(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock
) -> None:
    store.store_scheduled_task(a_task(every={"minutes": 5}))
    engine.evaluate_due_tasks()
    clock.set(minutes=33)
    assert tick(engine) == [("job", "executed")]
    run = store.runs.list_runs()[0]
    assert (run.scheduled_for, run.collapsed, run.started_at) == (START + 30 * MINUTE, 5, START + 33 * MINUTE)
    clock.advance(minutes=2)
    assert tick(engine) == [("job", "executed")]
    assert [(run.scheduled_for, run.collapsed) for run in store.runs.list_runs()[:1]] == [(START + 35 * MINUTE, 0)]


@pytest.mark.law(3)
def test_what_is_not_run_is_told_also_where_it_takes_several_transactions(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock
) -> None:
    engine = make_engine(limits=Limits(decided_at_once=2))
    for name in "abcde":
        store.store_scheduled_task(a_task(name, handler="unknown"))
    engine.evaluate_due_tasks()
    clock.advance(minutes=5)
    assert sorted(tick(engine)) == [(name, "skipped") for name in "abcde"]


@pytest.mark.law(3)
def test_slots_that_are_missed_while_a_late_run_waits_for_its_turn_are_counted_too(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock
) -> None:
    gate = Gate()
    engine = make_engine({"slow": gate})
    store.store_scheduled_task(a_task(every={"minutes": 5}))
    store.store_scheduled_task(a_task("before it", at="2026-03-02T09:20", handler="slow"))
    engine.evaluate_due_tasks()
    clock.set(minutes=31)
    with gate.holding(engine.evaluate_due_tasks):
        clock.advance(minutes=10)
        assert tick(engine) == [("job", "executed")]
    run = store.runs.list_runs(task="job")[0]
    assert (run.scheduled_for, run.collapsed) == (START + 40 * MINUTE, 7)


@pytest.mark.law(3)
def test_after_a_long_sleep_what_is_overdue_runs_in_the_order_of_its_nominal_times(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock, notes: Notes
) -> None:
    store.store_scheduled_task(a_task("hourly", cron="0 * * * *"))
    store.store_scheduled_task(a_task("daily", cron="30 4 * * *"))
    store.store_scheduled_task(a_task("often", every={"minutes": 7}))
    store.store_scheduled_task(a_task("once", at="2026-03-03T11:00"))
    engine.evaluate_due_tasks()
    clock.set(days=1, hours=3, minutes=10)  # Tuesday, 12:10
    engine.evaluate_due_tasks()
    assert notes.names == ["daily", "once", "hourly", "often"]
    assert notes.slots == sorted(notes.slots)


@pytest.mark.law(3)
def test_late_is_useless_beyond_the_misfire_grace(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock, notes: Notes
) -> None:
    store.store_scheduled_task(a_task(cron="0 10 * * *", policy={"misfire_grace_seconds": 600}))
    engine.evaluate_due_tasks()
    clock.set(hours=1, minutes=10)
    assert tick(engine) == [("job", "executed")]
    clock.set(days=2, seconds=0.2)
    assert tick(engine) == [("job", "missed")]
    run = store.runs.list_runs()[0]
    assert (run.status, run.collapsed) == (RunStatus.MISSED, 1)
    assert run.reason == "10m1s late, beyond its grace of 10m"
    assert [(trouble.kind, trouble.reason) for trouble in store.troubles.list_troubles()] == [("missed", run.reason)]
    assert len(notes.calls) == 1


@pytest.mark.law(3)
def test_a_once_that_came_due_while_nothing_ran_runs_late_and_once(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock, notes: Notes
) -> None:
    task = store.store_scheduled_task(a_task(at="2026-03-02T08:00", next_run_at="2026-03-02T08:00"))
    for _ in range(3):
        engine.evaluate_due_tasks()
        clock.advance(hours=1)
    assert notes.slots == [START - 60 * MINUTE]
    after = store.get_scheduled_task(require_id(task))
    assert after is not None
    assert after.next_run_at is None


@pytest.mark.law(2)
def test_two_engines_share_a_slot_and_one_runs_it(make_engine: MakeEngine, due: Due) -> None:
    due()
    ours, theirs = make_engine(), make_engine(owner="theirs", is_alive=lambda owner: True)
    assert len(tick(ours) + tick(theirs)) == 1


@pytest.mark.law(2)
def test_engines_in_many_threads_and_connections_never_run_a_slot_twice(path: Path, make_engine: MakeEngine) -> None:
    clock, notes = FakeClock(), Notes()
    stores = [MemoryStore(path, clock=clock) for _ in range(3)]
    engines = [
        make_engine({"note": notes}, store=store, clock=clock, owner=f"{number}", is_alive=lambda owner: True)
        for number, store in enumerate(stores)
    ]
    for number in range(25):
        stores[0].store_scheduled_task(a_task(f"t{number}", every={"minutes": 1}))
    engines[0].evaluate_due_tasks()
    clock.advance(minutes=1)
    together = threading.Barrier(6)

    def work(engine: SchedulerEngine) -> None:
        together.wait(PATIENCE)
        engine.evaluate_due_tasks()

    finish(*[in_thread(lambda engine=engine: work(engine)) for engine in engines * 2])  # type: ignore[misc]  # bound
    assert Counter(notes.names) == Counter(f"t{number}" for number in range(25))
    assert {run.status for run in stores[0].runs.list_runs()} == {RunStatus.EXECUTED}
    for store in stores:
        store.close()


WORKER = """
import os, sys, time
from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.store import MemoryStore

trace = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND)

def note(task, context):
    os.write(trace, f"{task.name} {context.scheduled_for.isoformat()}\\n".encode())

with MemoryStore(sys.argv[1]) as store:
    engine = SchedulerEngine(store, handlers={"note": note})
    print("ready", flush=True)
    sys.stdin.readline()
    end = time.monotonic() + 0.8
    while time.monotonic() < end or len({run.task_name for run in store.runs.list_runs()}) < int(sys.argv[3]):
        engine.evaluate_due_tasks()
"""
STEP = timedelta(milliseconds=50)


@pytest.mark.law(2)
@pytest.mark.law(3)
@pytest.mark.slow
def test_processes_that_share_a_database_run_each_slot_once_or_say_why_not(path: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    trace.touch()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", WORKER, str(path), str(trace), "35"]
    pipe = subprocess.PIPE
    with MemoryStore(path) as store:
        for number in range(30):
            past = "2026-01-01T00:00"
            store.store_scheduled_task(a_task(f"once {number}", at=past, next_run_at=past))
        for number in range(5):
            store.store_scheduled_task(a_task(f"interval {number}", every={"seconds": STEP.total_seconds()}))
        workers = [subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) for _ in range(3)]
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        for worker in workers:
            worker.communicate(timeout=180)
            assert worker.returncode == 0
        runs = store.runs.list_runs()
    ran = trace.read_text().splitlines()
    assert len(ran) == len(set(ran))
    executed = [f"{run.task_name} {run.scheduled_for.isoformat()}" for run in runs if run.status is RunStatus.EXECUTED]
    assert sorted(ran) == sorted(executed)
    assert sum(line.startswith("once") for line in ran) == 30
    assert all(run.reason for run in runs if run.status is not RunStatus.EXECUTED)
    for number in range(5):
        of_task = [run for run in runs if run.task_name == f"interval {number}"]
        slots = [run.scheduled_for for run in of_task]
        earliest = min(of_task, key=attrgetter("scheduled_for"))  # a slot may be skipped before an earlier one begins
        first = earliest.scheduled_for - earliest.collapsed * STEP
        assert sum(1 + run.collapsed for run in of_task) == (max(slots) - first) / STEP + 1


@pytest.mark.law(2)
def test_a_slot_that_comes_due_while_its_task_runs_is_skipped_with_the_reason(
    store: MemoryStore, make_engine: MakeEngine, due: Due, clock: FakeClock
) -> None:
    clock.machine_zone = ZoneInfo("America/Denver")
    gate = Gate()
    due()
    engine = make_engine({"note": gate})
    with gate.holding(engine.evaluate_due_tasks):
        clock.advance(minutes=5)
        assert tick(engine) == [("job", "skipped")]
        assert (
            store.runs.list_runs(status=RunStatus.SKIPPED)[0].reason == "still running since Mon 2026-03-02 02:05 MST"
        )
    clock.advance(minutes=5)
    engine.evaluate_due_tasks()
    assert [status for _, _, status in history(store)] == ["executed", "skipped", "executed"]
    assert gate.most_inside == 1


@pytest.mark.law(2)
def test_a_manual_run_does_not_overlap_the_scheduled_one(make_engine: MakeEngine, due: Due) -> None:
    gate = Gate()
    due()
    by_hand = make_engine(owner="by hand", is_alive=lambda owner: True)
    with gate.holding(make_engine({"note": gate}).evaluate_due_tasks), pytest.raises(TaskRunningError) as refusal:
        by_hand.run_now("job")
    assert str(refusal.value) == "task 'job' runs already; try again when that run is over"


@pytest.mark.law(2)
def test_a_scheduled_run_does_not_overlap_the_manual_one(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock
) -> None:
    gate = Gate()
    store.store_scheduled_task(a_task(every={"minutes": 5}))
    engine = make_engine(is_alive=lambda owner: owner == "by hand")
    engine.evaluate_due_tasks()
    by_hand = make_engine({"note": gate}, owner="by hand", is_alive=lambda owner: True)
    with gate.holding(lambda: by_hand.run_now("job")):
        clock.advance(minutes=5)
        assert tick(engine) == [("job", "skipped")]


@pytest.mark.law(3)
def test_a_manual_run_moves_no_slot_and_takes_none_of_the_places_of_slots(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock, notes: Notes
) -> None:
    store.store_scheduled_task(a_task(every={"minutes": 5}))
    engine.evaluate_due_tasks()
    clock.advance(minutes=2)
    assert engine.run_now("job")["status"] == "executed"
    clock.advance(minutes=3)
    engine.evaluate_due_tasks()
    assert notes.slots == [START + 2 * MINUTE + timedelta(microseconds=1), START + 5 * MINUTE]


def test_a_paused_task_can_be_run_by_hand(
    store: MemoryStore, engine: SchedulerEngine, due: Due, other: sqlite3.Connection
) -> None:
    due()
    other.execute("UPDATE scheduled_tasks SET enabled = 0")
    assert tick(engine) == []
    assert engine.run_now("job")["status"] == "executed"


def test_a_task_whose_schedule_makes_no_sense_can_be_run_by_hand(
    store: MemoryStore, engine: SchedulerEngine, other: sqlite3.Connection
) -> None:
    store.store_scheduled_task(a_task())
    other.execute("UPDATE scheduled_tasks SET schedule_config = '{}'")
    assert engine.run_now("job")["status"] == "executed"


@pytest.mark.law(3)
def test_a_run_by_hand_first_ends_what_a_dead_process_left_behind(
    store: MemoryStore, engine: SchedulerEngine, interrupted: Callable[..., None], clock: FakeClock
) -> None:
    interrupted()
    clock.advance(minutes=1)
    assert engine.run_now("job")["status"] == "executed"
    assert [status for _, _, status in history(store)] == ["interrupted", "executed"]
    assert store.runs.list_runs(status=RunStatus.INTERRUPTED)[0].finished_at == clock.now()


@pytest.mark.law(3)
def test_a_manual_run_at_the_instant_of_a_slot_takes_nothing_from_it(
    engine: SchedulerEngine, due: Due, notes: Notes
) -> None:
    due()
    assert engine.run_now("job")["status"] == "executed"  # before the slot's own run
    assert tick(engine) == [("job", "executed")]
    assert engine.run_now("job")["status"] == "executed"  # and after it
    assert len(notes.calls) == 3
    assert notes.slots.count(START + 5 * MINUTE) == 1


@pytest.mark.law(3)
@pytest.mark.parametrize("schedule", [{"every": {"minutes": 5}}, {"cron": "*/5 2 * * *"}], ids=["interval", "cron"])
def test_a_manual_run_at_the_latest_of_many_missed_slots_takes_nothing_from_it(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock, schedule: dict[str, Any]
) -> None:
    clock.machine_zone = ZoneInfo("America/Denver")  # where it is 02:00
    engine = make_engine()
    store.store_scheduled_task(a_task(**schedule))
    engine.evaluate_due_tasks()
    clock.set(minutes=50)
    engine.run_now("job")
    assert tick(engine) == [("job", "executed")]
    late = [(run.scheduled_for, run.collapsed) for run in store.runs.list_runs() if run.trigger is Trigger.SCHEDULE]
    assert late == [(START + 50 * MINUTE, 9)]


@pytest.mark.law(3)
@pytest.mark.parametrize(("now", "slot", "nominal"), [(0, 1, 2), (0, 9, 1), (5, 9, 5), (5, 5, 6)])
def test_law_3_a_manual_run_has_the_first_instant_that_is_no_slot_and_no_whole_second(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock, now: int, slot: int, nominal: int
) -> None:
    """In microseconds after 09:00, where a slot can be after the clock was set back."""
    clock.machine_zone = ZoneInfo("America/Denver")  # where it is 02:00
    engine = make_engine()
    store.store_scheduled_task(a_task(at=f"2026-03-02T02:00:00.{slot:06}"))
    clock.set(minutes=-1)
    engine.evaluate_due_tasks()
    clock.set(minutes=1, microseconds=now)
    engine.run_now("job")
    assert store.runs.list_runs()[0].scheduled_for - START == timedelta(microseconds=nominal)


@pytest.mark.law(4)
@pytest.mark.parametrize("columns", [{"handler": "morning_brief"}, {"policy": {"timezone": "Mars/Olympus"}}])
def test_a_manual_run_that_cannot_be_made_leaves_nothing_behind(
    store: MemoryStore, engine: SchedulerEngine, columns: dict[str, object]
) -> None:
    store.store_scheduled_task(a_task(**columns))  # type: ignore[arg-type]  # of two kinds
    try:
        outcome = engine.run_now("job")
    except ScheduleError as refused:
        outcome = {"status": "error", "error": str(refused)}
    assert outcome["status"] == "error"
    assert any(word in outcome["error"] for word in ("morning_brief", "Mars/Olympus"))
    assert engine.running() == []
    assert not store.runs.list_runs(status=RunStatus.RUNNING)


@pytest.mark.law(2)
def test_a_thread_beyond_its_time_limit_blocks_its_task_until_it_ends(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock, notes: Notes
) -> None:
    gate = Gate()
    engine = make_engine({"hang": gate}, runner=run_in_thread)
    store.store_scheduled_task(a_task(handler="hang", policy={"timeout_seconds": 0.4, "retries": 1}))
    store.store_scheduled_task(a_task("good"))
    engine.evaluate_due_tasks()
    clock.advance(minutes=5)
    assert sorted(tick(engine)) == [("good", "executed"), ("job", "timeout")]
    clock.advance(minutes=5)  # the retry is due as well, and waits
    assert sorted(tick(engine)) == [("good", "executed"), ("job", "skipped")]
    with pytest.raises(TaskRunningError):
        engine.run_now("job")
    gate.opened.set()
    wait_until(lambda: not store.value("SELECT count(*) FROM task_runs WHERE live = 1"))
    clock.advance(minutes=5)
    assert sorted(tick(engine)) == [("good", "executed"), ("job", "executed"), ("job", "executed")]
    assert [(attempt, status) for _, attempt, status in history(store)] == [
        (1, "timeout"),
        (1, "skipped"),
        (2, "executed"),
        (1, "executed"),
    ]
    assert gate.most_inside == 1


@pytest.fixture
def interrupted(make_engine: MakeEngine, due: Due) -> Callable[..., None]:
    """Has a task's slot at 09:05 claimed by a process that then dies."""

    def die(attempts: int = 1, name: str = "job", **policy: object) -> None:
        class Killed(BaseException):
            pass

        def killed(*_: object) -> None:
            raise Killed

        due(name, policy=policy or None)
        for number in range(attempts):
            dying = make_engine(owner=f"dead {number}", runner=killed)
            with pytest.raises(Killed):
                dying.evaluate_due_tasks()

    return die


@pytest.mark.law(3)
def test_a_row_of_another_program_that_only_says_it_runs_is_interrupted_and_its_slot_runs_again(
    store: MemoryStore, engine: SchedulerEngine
) -> None:
    task = store.store_scheduled_task(a_task(every={"minutes": 5}))
    store.write(
        "INSERT INTO task_runs (task_id, task_name, scheduled_for, attempt, started_at, status)"
        " VALUES (?, 'job', ?, 1, ?, 'running')",
        (task.id, START.isoformat(), START.isoformat()),
    )
    engine.evaluate_due_tasks()
    assert history(store) == [(START, 1, "interrupted"), (START, 2, "executed")]


@pytest.mark.law(3)
def test_a_run_whose_process_died_is_interrupted_and_its_slot_runs_again(
    store: MemoryStore, engine: SchedulerEngine, interrupted: Callable[..., None], clock: FakeClock
) -> None:
    interrupted()
    clock.advance(seconds=10)
    assert tick(engine) == [("job", "executed")]
    assert history(store) == [(START + 5 * MINUTE, 1, "interrupted"), (START + 5 * MINUTE, 2, "executed")]
    first = store.runs.list_runs()[-1]
    assert first.reason == "process dead 0, which ran it, ended before it was done"
    assert first.finished_at == START + 5 * MINUTE + timedelta(seconds=10)


@pytest.mark.law(3)
@pytest.mark.parametrize(
    ("sql", "statuses", "troubles"),
    [
        ("UPDATE scheduled_tasks SET enabled = 0", ["interrupted"], set()),
        ("DELETE FROM scheduled_tasks", ["interrupted"], set()),
        ("UPDATE scheduled_tasks SET policy = 'rubbish'", ["interrupted", "skipped"], {"failing", "set aside"}),
    ],
    ids=["paused", "removed", "made rubbish"],
)
def test_an_interrupted_slot_is_left_where_its_task_is_not_to_run_any_more(
    store: MemoryStore,
    engine: SchedulerEngine,
    interrupted: Callable[..., None],
    clock: FakeClock,
    sql: str,
    statuses: list[str],
    troubles: set[str],
) -> None:
    interrupted()
    clock.advance(minutes=5)
    store.write(sql)
    engine.evaluate_due_tasks()
    assert [status for _, _, status in history(store)] == statuses
    assert {trouble.kind for trouble in store.troubles.list_troubles()} == troubles


@pytest.mark.law(3)
def test_the_log_tells_whose_process_died_and_that_the_slot_runs_again(
    engine: SchedulerEngine, interrupted: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    interrupted()
    engine.evaluate_due_tasks()
    told = [record for record in caplog.records if record.name == "jarvis_trio.engine.recovery"]
    assert [(record.getMessage(), vars(record)["task"]) for record in told] == [
        (
            "Task 'job' was interrupted: process dead 0, which ran it, ended before it was done; its slot runs again",
            "job",
        )
    ]


@pytest.mark.law(3)
def test_a_retry_whose_process_died_is_interrupted_too(
    store: MemoryStore, engine: SchedulerEngine, interrupted: Callable[..., None]
) -> None:
    interrupted(attempts=2)
    assert tick(engine) == [("job", "executed")]
    assert [run.reason for run in reversed(store.runs.list_runs())] == [
        "process dead 0, which ran it, ended before it was done",
        "process dead 1, which ran it, ended before it was done",
        None,
    ]
    assert {run.collapsed for run in store.runs.list_runs()} == {0}


@pytest.mark.law(3)
def test_a_slot_that_kills_its_process_is_tried_three_times(
    store: MemoryStore, engine: SchedulerEngine, interrupted: Callable[..., None]
) -> None:
    interrupted(attempts=3)
    assert tick(engine) == []
    assert [trouble.kind for trouble in store.troubles.list_troubles()] == ["failing"]
    assert [(attempt, status) for _, attempt, status in history(store)] == [(n, "interrupted") for n in (1, 2, 3)]


@pytest.mark.law(2)
def test_law_2_what_a_dead_process_left_of_its_commands_is_ended_before_its_slots_run_again(
    store: MemoryStore, make_engine: MakeEngine, interrupted: Callable[..., None]
) -> None:
    deeds: list[str] = []
    store.store_scheduled_task(a_task("other"))
    interrupted(attempts=2)  # of the one owner each of the two tasks
    store.write("UPDATE task_runs SET owner = 'dead'")

    def end_orphans(owner: str) -> list[Survivor]:
        deeds.append(owner)
        return []

    tick(make_engine({"note": lambda task, context: deeds.append(task.name)}, end_orphans=end_orphans))
    assert deeds == ["dead", "other", "job"]


@pytest.mark.law(2)
@pytest.mark.parametrize("is_known", [True, False], ids=["whose run is known", "whose run cannot be seen"])
def test_law_2_what_a_dead_process_left_and_cannot_be_ended_holds_its_task_until_it_is_gone(
    store: MemoryStore, make_engine: MakeEngine, interrupted: Callable[..., None], clock: FakeClock, is_known: bool
) -> None:
    interrupted()
    [run] = store.runs.list_runs()
    alive, hunts = [True], []

    def end_orphans(owner: str) -> list[Survivor]:
        hunts.append(owner)
        return [Survivor(17, run.id if is_known else None, lambda: alive[0])] if alive[0] else []

    engine = make_engine(end_orphans=end_orphans)
    for _ in range(3):
        clock.advance(minutes=1)
        assert [status for _, status in tick(engine)] in ([], ["skipped"])
    assert len(hunts) == 1
    assert store.runs.list_runs(status=RunStatus.EXECUTED) == []
    alive[0] = False
    clock.advance(minutes=1)
    assert ("job", "executed") in tick(engine)


@pytest.mark.law(4)
def test_law_4_what_cannot_be_ended_holds_no_other_run_of_its_dead_process(
    store: MemoryStore, make_engine: MakeEngine, interrupted: Callable[..., None]
) -> None:
    store.store_scheduled_task(a_task("other"))
    interrupted(attempts=2)
    store.write("UPDATE task_runs SET owner = 'dead'")
    stuck = next(run.id for run in store.runs.list_runs() if run.task_name == "other")
    tick(make_engine(end_orphans=lambda owner: [Survivor(17, stuck, lambda: True)]))
    assert [run.id for run in store.runs.live_runs_of_others("nobody")] == [stuck]


@pytest.mark.law(4)
def test_law_4_a_tick_does_not_wait_long_for_another_one_that_ends_what_a_dead_process_left(
    store: MemoryStore, make_engine: MakeEngine, interrupted: Callable[..., None]
) -> None:
    gate = Gate()
    interrupted()
    store.store_scheduled_task(a_task("good", at="2026-03-02T09:00", next_run_at="2026-03-02T09:00"))
    engine = make_engine(
        end_orphans=lambda owner: gate(owner) or (), limits=Limits(recovery_patience=timedelta(milliseconds=20))
    )
    with gate.holding(engine.evaluate_due_tasks):
        assert tick(engine) == [("good", "executed")]
    assert history(store) == [(START + 5 * MINUTE, 1, "interrupted"), (START + 5 * MINUTE, 2, "executed")]


@pytest.mark.law(4)
def test_law_4_a_tick_does_not_wait_at_all_for_one_that_has_been_at_that_for_long(
    store: MemoryStore, make_engine: MakeEngine, interrupted: Callable[..., None], clock: FakeClock
) -> None:
    gate, ran = Gate(), threading.Event()
    interrupted()
    store.store_scheduled_task(a_task("good", handler="good", at="2026-03-02T09:00", next_run_at="2026-03-02T09:00"))
    patient = Limits(recovery_patience=timedelta(hours=1))
    engine = make_engine(
        {"good": lambda task, context: ran.set()}, end_orphans=lambda owner: gate(owner) or (), limits=patient
    )
    with gate.holding(engine.evaluate_due_tasks):
        clock.advance(hours=1)
        beside = in_thread(engine.evaluate_due_tasks)
        assert ran.wait(PATIENCE)
    finish(beside)


@pytest.mark.law(3)
def test_an_interrupted_slot_is_left_where_its_task_says_skip(
    store: MemoryStore, engine: SchedulerEngine, interrupted: Callable[..., None]
) -> None:
    interrupted(on_interrupt="skip")
    assert tick(engine) == []
    assert history(store) == [(START + 5 * MINUTE, 1, "interrupted")]
    assert "ended before it was done" in store.troubles.list_troubles()[0].reason


@pytest.mark.law(3)
def test_a_stale_row_never_blocks_a_task(
    store: MemoryStore, engine: SchedulerEngine, interrupted: Callable[..., None], clock: FakeClock
) -> None:
    interrupted(on_interrupt="skip")
    clock.advance(minutes=5)
    assert tick(engine) == [("job", "executed")]


@pytest.mark.law(2)
def test_the_runs_of_a_living_process_are_not_touched(
    store: MemoryStore, make_engine: MakeEngine, interrupted: Callable[..., None], clock: FakeClock
) -> None:
    interrupted()
    clock.advance(minutes=1)
    assert tick(make_engine(is_alive=lambda owner: True)) == []
    assert history(store) == [(START + 5 * MINUTE, 1, "running")]


@pytest.mark.law(2)
def test_a_process_that_ends_its_run_just_before_it_goes_is_not_interrupted(
    store: MemoryStore, make_engine: MakeEngine, due: Due, notes: Notes
) -> None:
    gate = Gate()
    due()
    theirs = make_engine({"note": gate}, owner="theirs")
    running = in_thread(theirs.evaluate_due_tasks)
    gate.wait()

    def goes_while_we_look(owner: str) -> bool:
        gate.opened.set()
        finish(running)
        return False

    assert tick(make_engine(is_alive=goes_while_we_look)) == []
    assert history(store) == [(START + 5 * MINUTE, 1, "executed")]
    assert notes.calls == []


@pytest.mark.law(3)
def test_a_manual_run_whose_process_died_is_not_run_again(
    store: MemoryStore, engine: SchedulerEngine, make_engine: MakeEngine, notes: Notes
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    store.store_scheduled_task(a_task())
    with pytest.raises(KeyboardInterrupt):
        make_engine(owner="dead", runner=killed).run_now("job")
    assert tick(engine) == []
    assert [status for _, _, status in history(store)] == ["interrupted"]
    assert notes.calls == []


KILLED = """
import os, sys
from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.store import MemoryStore
with MemoryStore(sys.argv[1]) as store:
    SchedulerEngine(store, handlers={"note": lambda task, context: os._exit(9)}).evaluate_due_tasks()
"""


@pytest.mark.law(3)
def test_a_real_process_that_dies_in_a_handler_is_recovered(path: Path, tmp_path: Path) -> None:
    with MemoryStore(path) as store:
        store.store_scheduled_task(a_task(at="2026-03-02T08:00", next_run_at="2026-03-02T08:00"))
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        died = subprocess.run([sys.executable, "-c", KILLED, path], env=environment, timeout=30, check=False)
        assert died.returncode == 9
        notes = Notes()
        engine = SchedulerEngine(store, clock=SystemClock(), handlers={"note": notes})
        assert tick(engine) == [("job", "executed")]
        assert [(attempt, status) for _, attempt, status in history(store)] == [(1, "interrupted"), (2, "executed")]
        assert current_owner().partition(":")[0] not in str(store.runs.list_runs()[-1].reason)


@pytest.mark.law(4)
def test_a_run_by_hand_of_a_task_whose_policy_makes_no_sense_is_refused_before_it_has_a_row(
    store: MemoryStore, engine: SchedulerEngine
) -> None:
    store.store_scheduled_task(a_task(policy={"timezone": "Mars/Olympus"}))
    with pytest.raises(ScheduleError, match="Mars/Olympus"):
        engine.claim_now("job")
    assert store.runs.list_runs() == []


@pytest.mark.law(2)
def test_a_slot_that_has_a_row_already_is_not_told_to_be_missed(
    store: MemoryStore, engine: SchedulerEngine, due: Due, clock: FakeClock
) -> None:
    task = due(policy={"misfire_grace_seconds": 60})
    store.runs.record_unrun(task, START + 5 * MINUTE, RunStatus.SKIPPED, "by another process", at=clock.now())
    clock.advance(minutes=3)
    assert tick(engine) == []
    assert history(store) == [(START + 5 * MINUTE, 1, "skipped")]
    assert store.troubles.list_troubles() == []


@pytest.mark.law(2)
def test_a_single_slot_that_has_a_row_already_leaves_the_queue(
    store: MemoryStore, engine: SchedulerEngine, due: Due, clock: FakeClock
) -> None:
    task = due(at="2026-03-02T09:05")
    store.runs.record_unrun(task, START + 5 * MINUTE, RunStatus.SKIPPED, "by another process", at=clock.now())
    assert tick(engine) == []
    assert engine.next_due_at() is None


@pytest.mark.law(2)
def test_the_log_tells_once_what_a_dead_process_left_and_cannot_be_ended(
    make_engine: MakeEngine, interrupted: Callable[..., None], clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    interrupted()
    engine = make_engine(end_orphans=lambda owner: [Survivor(17, None, lambda: True)])
    for _ in range(2):
        engine.evaluate_due_tasks()
        clock.advance(seconds=1)
    assert [said for said in caplog.messages if "cannot be ended" in said] == [
        "PID 17, which process dead 0 left, cannot be ended; until it is gone its task does not start again"
    ]


@pytest.mark.law(4)
@pytest.mark.sqlite
def test_the_log_tells_once_that_another_programs_trigger_keeps_a_run_from_its_end(
    store: MemoryStore,
    engine: SchedulerEngine,
    interrupted: Callable[..., None],
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    interrupted()
    store.write("CREATE TRIGGER theirs BEFORE UPDATE OF live ON task_runs BEGIN SELECT RAISE(ABORT, 'mine'); END")
    for _ in range(2):
        engine.evaluate_due_tasks()
        clock.advance(seconds=1)
    (told,) = (said for said in caplog.messages if "cannot be ended" in said)
    assert told.startswith("Run 1 of task 'job' cannot be ended: ")
    assert "mine" in told


@pytest.mark.law(3)
def test_a_claim_whose_commit_is_not_confirmed_blocks_no_task_and_its_slot_runs(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock, notes: Notes, due: Due
) -> None:
    store.store_scheduled_task(a_task("other"))
    due("job")
    with answer_lost(store), pytest.raises(StoreUnsureError):
        engine.evaluate_due_tasks()
    assert engine.next_due_at() == clock.now()
    assert sorted(tick(engine)) == [("job", "executed"), ("other", "executed")]
    assert sorted(notes.names) == ["job", "other"]
    clock.advance(minutes=5)
    assert sorted(tick(engine)) == [("job", "executed"), ("other", "executed")]
    assert history(store)[-1] == (START + 10 * MINUTE, 1, "executed")


@pytest.mark.law(3)
def test_a_claim_whose_commit_was_lost_leaves_no_trace(
    store: MemoryStore, engine: SchedulerEngine, notes: Notes, due: Due, monkeypatch: pytest.MonkeyPatch
) -> None:
    due("job")

    def lost() -> None:
        raise StoreUnsureError("the server is gone", fix="wait")

    with monkeypatch.context() as patched:
        patched.setattr(store.connection, "commit", lost)
        with pytest.raises(StoreUnsureError):
            engine.evaluate_due_tasks()
    assert tick(engine) == [("job", "executed")]
    assert history(store) == [(START + 5 * MINUTE, 1, "executed")]
    assert len(notes.calls) == 1


@pytest.mark.law(3)
def test_law_3_an_unconfirmed_claim_whose_end_was_refused_is_ended_later_and_its_slot_runs(
    store: MemoryStore, engine: SchedulerEngine, due: Due, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    due("job", at="2026-03-02T09:05", policy={"on_interrupt": "retry"})
    with ends_refused(store):
        with answer_lost(store), pytest.raises(StoreUnsureError):
            engine.evaluate_due_tasks()
        assert tick(engine) == []
        later = engine.next_due_at()
        assert later is not None
        assert timedelta(0) < later - clock.now() <= Limits().refused_pause
        clock.advance(minutes=1)
        assert tick(engine) == []
        assert sum("cannot be ended" in said for said in caplog.messages) == 1
    clock.advance(minutes=1)
    assert tick(engine) == [("job", "executed")]


@pytest.mark.law(4)
@pytest.mark.sqlite
def test_law_4_a_trigger_that_undoes_the_end_of_an_unconfirmed_claim_stops_no_other_task(
    store: MemoryStore, engine: SchedulerEngine, due: Due
) -> None:
    due("job")
    with answer_lost(store), pytest.raises(StoreUnsureError):
        engine.evaluate_due_tasks()
    store.write(
        "CREATE TRIGGER theirs BEFORE UPDATE OF live ON task_runs WHEN old.task_name = 'job'"
        " BEGIN SELECT RAISE(ROLLBACK, 'mine'); END"
    )
    due("other")
    assert ("other", "executed") in tick(engine)


def test_the_loop_is_not_told_again_in_each_tick_whose_recovery_fails(
    store: MemoryStore, engine: SchedulerEngine, interrupted: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each would have it start another one at once."""
    interrupted()
    told: list[datetime | None] = []
    engine.tell_due = told.append

    def refuse(*_: object) -> bool:
        raise StoreFullError("the disk is full", fix="make room")

    def fail_to_recover() -> None:
        told.clear()
        with monkeypatch.context() as patched:
            patched.setattr(store.runs, "interrupt_run", refuse)
            for _ in range(3):
                with pytest.raises(StoreFullError):
                    engine.evaluate_due_tasks()

    fail_to_recover()
    assert len(told) == 1
    engine.evaluate_due_tasks()
    assert history(store)[0][2] == "interrupted"

    interrupted(name="another")
    fail_to_recover()
    assert len(told) == 1, "the recovery before this one worked"
