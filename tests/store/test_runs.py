"""Tests of the run history: the unique constraints that keep law 2, and what is told of runs."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg
import pytest

from jarvis_trio.errors import ConflictError
from jarvis_trio.models import Claim, Outcome, RunStatus, ScheduledTask, Trigger, require_id
from jarvis_trio.notation.jsontext import json_value
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.runs import Late
from tests.support.core_fakes import START, FakeClock, a_task

HOUR = timedelta(hours=1)
DONE = Outcome(RunStatus.EXECUTED, result='{"n": 1}')


@pytest.fixture
def task(store: MemoryStore) -> ScheduledTask:
    return store.store_scheduled_task(a_task())


def claim(
    store: MemoryStore, task: ScheduledTask, slot: datetime = START, attempt: int = 1, owner: str = "me"
) -> Claim:
    claimed = store.runs.claim_run(task, slot, attempt, started_at=slot, owner=owner)
    assert claimed is not None
    return claimed


def run(store: MemoryStore, task: ScheduledTask, slot: datetime, outcome: Outcome = DONE) -> int:
    claimed = claim(store, task, slot)
    store.runs.finish_run(claimed, outcome, slot)
    return claimed.run_id


def test_a_claim_is_a_running_row(store: MemoryStore, task: ScheduledTask) -> None:
    claimed = claim(store, task)
    stored = store.runs.get_run(claimed.run_id)
    assert stored is not None
    assert (stored.task_id, stored.task_name, stored.scheduled_for, stored.attempt) == (task.id, "job", START, 1)
    assert (stored.status, stored.finished_at, stored.trigger) == (RunStatus.RUNNING, None, Trigger.SCHEDULE)


def test_the_numbers_of_the_runs_are_those_of_every_row(store: MemoryStore, task: ScheduledTask) -> None:
    assert store.runs.run_numbers() == set()
    ended, alive = run(store, task, START), claim(store, task, START + HOUR).run_id
    assert store.runs.run_numbers() == {ended, alive}


@pytest.mark.law(2)
def test_an_attempt_at_a_slot_is_claimed_once(store: MemoryStore, task: ScheduledTask) -> None:
    store.runs.finish_run(claim(store, task), DONE, START)
    assert store.runs.claim_run(task, START, 1, started_at=START, owner="other") is None
    assert store.runs.claim_run(task, START, 2, started_at=START, owner="other") is not None


@pytest.mark.law(2)
def test_a_slot_is_the_same_in_every_zone(store: MemoryStore, task: ScheduledTask) -> None:
    store.runs.finish_run(claim(store, task), DONE, START)
    assert store.runs.claim_run(task, START.astimezone(ZoneInfo("Asia/Tokyo")), 1, started_at=START, owner="x") is None


@pytest.mark.law(2)
def test_a_task_has_one_live_run(store: MemoryStore, task: ScheduledTask) -> None:
    claim(store, task)
    with pytest.raises(ConflictError):
        store.runs.claim_run(task, START + HOUR, 1, started_at=START, owner="other")
    assert len(store.runs.list_runs()) == 1


@pytest.mark.law(2)
def test_the_database_itself_refuses_a_second_row_for_an_attempt(
    store: MemoryStore, task: ScheduledTask, other: sqlite3.Connection
) -> None:
    run(store, task, START)
    with pytest.raises((sqlite3.IntegrityError, psycopg.IntegrityError), match=r"(?i)unique"):
        other.execute(
            "INSERT INTO task_runs (task_id, task_name, scheduled_for, attempt, started_at, status)"
            " SELECT task_id, task_name, scheduled_for, attempt, started_at, status FROM task_runs"
        )


@pytest.mark.law(3)
def test_an_end_is_told_in_the_run_and_in_the_task(store: MemoryStore, task: ScheduledTask, clock: FakeClock) -> None:
    clock.machine_zone = ZoneInfo("America/Denver")
    assert store.runs.finish_run(claim(store, task), DONE, START + HOUR)
    stored, told = store.runs.list_runs()[0], store.get_scheduled_task(require_id(task))
    assert (stored.status, stored.result, stored.finished_at) == (RunStatus.EXECUTED, '{"n": 1}', START + HOUR)
    assert told is not None
    assert (told.last_run_at, told.last_result) == ("2026-03-02T02:00:00-07:00", '{"n": 1}')


@pytest.mark.law(8)
def test_an_end_does_not_have_the_row_read_anew(store: MemoryStore, task: ScheduledTask) -> None:
    store.queue.settle(task, START)
    run(store, task, START)
    due = store.queue.head(START)
    assert due is not None
    assert not due.changed


@pytest.mark.law(3)
def test_a_failure_is_told_with_its_reason(store: MemoryStore, task: ScheduledTask) -> None:
    run(store, task, START, Outcome(RunStatus.ERROR, reason="no net"))
    told = store.get_scheduled_task(require_id(task))
    assert store.runs.list_runs()[0].reason == "no net"
    assert told is not None
    assert json.loads(told.last_result or "") == {"status": "error", "error": "no net"}


@pytest.mark.law(2)
def test_a_run_that_was_recovered_meanwhile_is_not_ours_to_end(store: MemoryStore, task: ScheduledTask) -> None:
    claimed = claim(store, task)
    stored = store.runs.get_run(claimed.run_id)
    assert stored is not None
    assert store.runs.interrupt_run(stored, "gone", START)
    assert not store.runs.finish_run(claimed, DONE, START)
    told = store.get_scheduled_task(require_id(task))
    assert store.runs.list_runs()[0].status is RunStatus.INTERRUPTED
    assert told is not None
    assert told.last_result is None


@pytest.mark.law(3)
def test_an_end_is_never_written_into_another_run_with_that_number(
    store: MemoryStore, task: ScheduledTask, other: sqlite3.Connection
) -> None:
    """As when the file was replaced by another one while a run was on."""
    claimed = claim(store, task)
    other.execute("UPDATE task_runs SET scheduled_for = '2026-01-01T00:00:00+00:00', owner = 'another'")
    assert not store.runs.finish_run(claimed, DONE, START)
    assert store.runs.list_runs()[0].status is RunStatus.RUNNING


@pytest.fixture
def taken_for_dead(store: MemoryStore, task: ScheduledTask) -> Claim:
    """A claim whose run was interrupted, and whose process lives."""
    claimed = claim(store, task)
    stored = store.runs.get_run(claimed.run_id)
    assert stored is not None
    assert store.runs.interrupt_run(stored, "its process is gone", START)
    return claimed


def finish_late(store: MemoryStore, claimed: Claim, outcome: Outcome = DONE) -> Late:
    with store.transaction():
        return store.runs.finish_late(claimed, outcome, START + HOUR)


@pytest.mark.law(3)
@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (DONE, "it was taken for dead before it ended"),
        (Outcome(RunStatus.ERROR, reason="no net"), "no net; it was taken for dead before it ended"),
    ],
)
def test_what_was_taken_for_dead_has_its_outcome_if_its_slot_has_not_begun_again(
    store: MemoryStore, taken_for_dead: Claim, outcome: Outcome, reason: str
) -> None:
    assert finish_late(store, taken_for_dead, outcome) is Late.COUNTS
    (found,) = store.runs.list_runs()
    assert (found.status, found.reason, found.result) == (outcome.status, reason, outcome.result)
    assert found.finished_at == START + HOUR
    told = store.get_scheduled_task(require_id(taken_for_dead.task))
    assert told is not None
    assert told.last_result == outcome.last_result


@pytest.mark.law(3)
@pytest.mark.parametrize(
    ("outcome", "says"),
    [(DONE, "executed"), (Outcome(RunStatus.ERROR, reason="no net"), "error no net")],
)
def test_what_was_taken_for_dead_stays_interrupted_and_says_more_if_its_slot_has_begun_again(
    store: MemoryStore, task: ScheduledTask, taken_for_dead: Claim, outcome: Outcome, says: str
) -> None:
    claim(store, task, attempt=2)
    assert finish_late(store, taken_for_dead, outcome) is Late.ADDED
    found, told = store.runs.get_run(taken_for_dead.run_id), store.get_scheduled_task(require_id(task))
    assert found is not None
    assert (found.status, found.result) == (RunStatus.INTERRUPTED, outcome.result)
    assert found.reason == f"its process is gone; it ended after all: {says}"
    assert found.finished_at == START + HOUR
    assert told is not None
    assert told.last_result is None


@pytest.mark.law(3)
def test_there_is_nothing_to_add_to_a_run_that_was_cut_off(store: MemoryStore, taken_for_dead: Claim) -> None:
    assert finish_late(store, taken_for_dead, replace(DONE, cut_off=True)) is Late.NOTHING
    assert [found.reason for found in store.runs.list_runs()] == ["its process is gone"]


@pytest.mark.law(3)
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE task_runs SET scheduled_for = '2026-01-01T00:00:00+00:00'",
        "UPDATE task_runs SET started_at = '2026-01-01T00:00:00+00:00'",
        "UPDATE task_runs SET status = 'error'",
        "DELETE FROM task_runs",
    ],
)
def test_a_late_outcome_is_not_written_into_another_run(
    store: MemoryStore, taken_for_dead: Claim, other: sqlite3.Connection, change: str
) -> None:
    other.execute(change)
    before = store.runs.list_runs()
    assert finish_late(store, taken_for_dead) is Late.UNKNOWN
    assert store.runs.list_runs() == before


@pytest.mark.law(2)
def test_what_lingers_blocks_its_task_until_it_is_released(store: MemoryStore, task: ScheduledTask) -> None:
    claimed = claim(store, task)
    store.runs.finish_run(claimed, Outcome(RunStatus.TIMEOUT, reason="hangs", lingers=True), START)
    with pytest.raises(ConflictError):
        store.runs.claim_run(task, START + HOUR, 1, started_at=START, owner="me")
    store.runs.release_run(claimed.run_id)
    claim(store, task, START + HOUR)
    assert [str(found.status) for found in store.runs.list_runs(limit=5)] == ["running", "timeout"]


@pytest.mark.law(2)
def test_what_runs_is_never_released_by_the_number_of_another_run(store: MemoryStore, task: ScheduledTask) -> None:
    """As when the file was replaced by another one while a thread was still at work."""
    running = claim(store, task)
    store.runs.release_run(running.run_id)
    with pytest.raises(ConflictError):
        store.runs.claim_run(task, START + HOUR, 1, started_at=START, owner="me")


def test_live_runs_of_others_are_told_with_their_owner(store: MemoryStore, task: ScheduledTask) -> None:
    claim(store, task, owner="other")
    run(store, store.store_scheduled_task(a_task("b")), START)
    claim(store, store.store_scheduled_task(a_task("c")), owner="me")
    assert [(run.task_name, run.owner) for run in store.runs.live_runs_of_others("me")] == [("job", "other")]
    assert [run.task_name for run in store.runs.live_runs()] == ["job", "c"]


@pytest.mark.law(3)
def test_an_interrupted_run_says_why(store: MemoryStore, task: ScheduledTask) -> None:
    stored = store.runs.get_run(claim(store, task).run_id)
    assert stored is not None
    assert store.runs.interrupt_run(stored, "its process is gone", START + HOUR)
    found = store.runs.list_runs()[0]
    assert (found.status, found.reason, found.finished_at) == (
        RunStatus.INTERRUPTED,
        "its process is gone",
        START + HOUR,
    )
    assert not store.runs.interrupt_run(stored, "once more", START)


@pytest.mark.law(3)
def test_what_lingered_in_a_process_that_is_gone_keeps_its_outcome(store: MemoryStore, task: ScheduledTask) -> None:
    claimed = claim(store, task)
    store.runs.finish_run(claimed, Outcome(RunStatus.TIMEOUT, reason="hangs", lingers=True), START)
    stored = store.runs.get_run(claimed.run_id)
    assert stored is not None
    assert store.runs.interrupt_run(stored, "its process is gone", START + HOUR)
    found = store.runs.list_runs()[0]
    assert (found.status, found.reason, found.finished_at) == (RunStatus.TIMEOUT, "hangs", START)
    claim(store, task, START + HOUR)


@pytest.mark.law(3)
def test_what_was_released_meanwhile_is_not_interrupted(store: MemoryStore, task: ScheduledTask) -> None:
    claimed = claim(store, task)
    store.runs.finish_run(claimed, Outcome(RunStatus.TIMEOUT, reason="hangs", lingers=True), START)
    lingering = store.runs.get_run(claimed.run_id)
    assert lingering is not None
    store.runs.release_run(claimed.run_id)
    assert not store.runs.interrupt_run(lingering, "its process is gone", START + HOUR)


def write_as_another(other: sqlite3.Connection, **columns: object) -> None:
    """A row that says no more than that it runs, as a program that knows nothing of us may write one."""
    row = {
        "task_id": 1,
        "task_name": "job",
        "scheduled_for": START.isoformat(),
        "attempt": 1,
        "started_at": START.isoformat(),
        "status": "running",
    } | columns
    other.execute(f"INSERT INTO task_runs ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", [*row.values()])


@pytest.mark.law(3)
def test_what_another_program_left_running_is_recovered_like_ours(
    store: MemoryStore, task: ScheduledTask, other: sqlite3.Connection
) -> None:
    write_as_another(other)
    assert store.runs.live_runs_of_others("me") == []
    store.runs.adopt_running()
    assert [(run.task_name, run.owner) for run in store.runs.live_runs_of_others("me")] == [("job", None)]


@pytest.mark.law(4)
def test_what_another_program_left_running_and_unreadable_blocks_nothing(
    store: MemoryStore, task: ScheduledTask, other: sqlite3.Connection
) -> None:
    write_as_another(other, started_at="some day")
    store.runs.adopt_running()
    claim(store, task, START + HOUR)


@pytest.mark.law(2)
def test_a_run_of_ours_is_not_given_up_for_one_of_another_program(
    store: MemoryStore, task: ScheduledTask, other: sqlite3.Connection
) -> None:
    ours = claim(store, task, START + HOUR)
    write_as_another(other)
    store.runs.adopt_running()
    assert [live.id for live in store.runs.live_runs_of_others("another")] == [ours.run_id]


def test_only_what_runs_is_adopted(store: MemoryStore, task: ScheduledTask) -> None:
    run(store, task, START)
    store.runs.adopt_running()
    assert store.runs.live_runs_of_others("another") == []


@pytest.mark.sqlite
@pytest.mark.law(4)
def test_bytes_where_text_should_be_are_read_as_text(
    store: MemoryStore, task: ScheduledTask, other: sqlite3.Connection
) -> None:
    columns = {name: b"a\xff" for name in ("reason", "result", "delivery", "owner")}
    write_as_another(other, live=1, **columns)
    live = store.runs.live_runs_of_others("me")[0]
    assert {live.owner, live.reason, live.result, live.delivery} == {"a\ufffd"}


@pytest.mark.law(3)
def test_a_slot_that_is_not_run_is_recorded_once(store: MemoryStore, task: ScheduledTask) -> None:
    assert store.runs.record_unrun(task, START, RunStatus.MISSED, "too late", at=START + HOUR, collapsed=3)
    assert not store.runs.record_unrun(task, START, RunStatus.SKIPPED, "again", at=START + HOUR)
    [found] = store.runs.list_runs()
    assert (found.status, found.reason, found.collapsed) == (RunStatus.MISSED, "too late", 3)
    assert (found.task_id, found.task_name, found.scheduled_for, found.attempt) == (task.id, "job", START, 1)
    assert (found.started_at, found.finished_at) == (START + HOUR, START + HOUR)
    assert store.runs.slot_has_run(require_id(task), START)
    assert not store.runs.slot_has_run(require_id(task), START + HOUR)


@pytest.mark.sqlite
@pytest.mark.law(4)
def test_a_row_that_another_programs_trigger_drops_in_silence_is_told(
    store: MemoryStore, task: ScheduledTask, other: sqlite3.Connection
) -> None:
    other.execute("CREATE TRIGGER theirs BEFORE INSERT ON task_runs BEGIN SELECT RAISE(IGNORE); END")
    for record in (
        lambda: claim(store, task),
        lambda: store.runs.record_unrun(task, START, RunStatus.MISSED, "too late", at=START),
    ):
        with pytest.raises(ConflictError) as refused:
            record()
        assert str(refused.value) == "a row of task_runs vanished as it was written; look for a trigger on it"


def test_a_slot_stands_for_itself_alone_unless_it_is_told(store: MemoryStore, task: ScheduledTask) -> None:
    run(store, task, START)
    store.runs.record_unrun(task, START + HOUR, RunStatus.MISSED, "too late", at=START + HOUR)
    assert [found.collapsed for found in store.runs.list_runs()] == [0, 0]


@pytest.mark.sqlite
@pytest.mark.law(4)
def test_a_row_of_a_task_that_takes_no_result_keeps_none_from_the_history(
    store: MemoryStore, task: ScheduledTask, other: sqlite3.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    other.execute(
        "CREATE TRIGGER theirs BEFORE UPDATE OF last_result ON scheduled_tasks BEGIN SELECT RAISE(ABORT, 'mine'); END"
    )
    run(store, task, START)
    assert store.runs.list_runs()[0].status is RunStatus.EXECUTED
    assert store.tasks.require_task("job").last_result is None
    assert caplog.messages[-1].startswith("The row of task 'job' does not take its result: ")
    assert "mine" in caplog.messages[-1]


@pytest.fixture
def once(store: MemoryStore) -> ScheduledTask:
    """A task whose single slot is START; it is older than that."""
    task = store.store_scheduled_task(a_task("once", at="2026-03-02T09:00"))
    return replace(task, created_at="2026-03-01 09:00:00")


@pytest.mark.law(2)
def test_a_single_slot_is_over_once_it_was_claimed_and_not_if_its_task_has_another_now(
    store: MemoryStore, once: ScheduledTask
) -> None:
    assert not store.runs.is_slot_over(once, START)
    store.runs.note_done(once)
    assert store.runs.is_slot_over(once, START)
    for changed in (
        replace(once, schedule_config='{"run_at": "2026-03-02T10:00"}'),
        replace(once, policy='{"timezone": "Asia/Tokyo"}'),
        replace(once, name="another"),
    ):
        assert not store.runs.is_slot_over(changed, START + HOUR)


@pytest.mark.law(2)
def test_a_single_slot_that_has_a_row_is_over(store: MemoryStore, once: ScheduledTask) -> None:
    store.runs.record_unrun(once, START, RunStatus.MISSED, "too late", at=START)
    assert store.runs.is_slot_over(once, START)
    assert not store.runs.is_slot_over(once, START + HOUR)


@pytest.mark.law(2)
@pytest.mark.parametrize(
    ("columns", "over"),
    [
        ({"last_run_at": "2026-03-02T02:00:00"}, True),
        ({"last_run_at": "2026-03-02T01:59:59"}, False),
        ({"last_run_at": "some day"}, False),
        ({"last_run_at": "2026-03-02T02:00:00", "next_run_at": "2026-03-02T02:00:00"}, False),
        ({"created_at": "2026-03-02 09:01:00"}, True),
        ({"created_at": "2026-03-02 09:00:59"}, False),
    ],
)
def test_the_single_slot_of_a_row_of_the_assistants_is_over_if_it_ran_since_or_was_made_later(
    store: MemoryStore, once: ScheduledTask, clock: FakeClock, columns: dict[str, str], over: bool
) -> None:
    clock.machine_zone = ZoneInfo("America/Denver")
    assert store.runs.is_slot_over(replace(once, **columns), START) is over


def test_a_slot_that_is_not_run_does_not_look_alive(store: MemoryStore, task: ScheduledTask) -> None:
    claim(store, task)
    assert store.runs.record_unrun(task, START + HOUR, RunStatus.SKIPPED, "still running", at=START + HOUR)
    assert store.runs.list_runs()[0].collapsed == 0
    assert len(store.runs.live_runs_of_others("another")) == 1


@pytest.fixture
def past(store: MemoryStore, task: ScheduledTask) -> ScheduledTask:
    """Six runs of `job`, hour by hour, every other one an error; and one of `b`."""
    for hour in range(6):
        outcome = DONE if hour % 2 else Outcome(RunStatus.ERROR, reason="odd")
        run(store, task, START + hour * HOUR, outcome)
    run(store, store.store_scheduled_task(a_task("b")), START)
    return task


def test_runs_are_listed_the_newest_first(store: MemoryStore, past: ScheduledTask) -> None:
    assert [found.scheduled_for for found in store.runs.list_runs(task="job")] == [
        START + n * HOUR for n in (5, 4, 3, 2, 1, 0)
    ]


def test_of_runs_that_started_together_the_last_one_is_the_newest(store: MemoryStore, task: ScheduledTask) -> None:
    for hour in (1, 2):
        store.runs.record_unrun(task, START + hour * HOUR, RunStatus.MISSED, "too late", at=START)
    assert [found.scheduled_for for found in store.runs.list_runs()] == [START + 2 * HOUR, START + HOUR]


def test_runs_are_filtered(store: MemoryStore, past: ScheduledTask) -> None:
    assert len(store.runs.list_runs()) == 7
    assert len(store.runs.list_runs(limit=2)) == 2
    assert len(store.runs.list_runs(status=RunStatus.ERROR)) == 3
    assert len(store.runs.list_runs(since=START + 4 * HOUR)) == 2
    assert len(store.runs.list_runs(task="job", status=RunStatus.ERROR, since=START + HOUR, limit=1)) == 1
    assert store.runs.list_runs(task="b", status=RunStatus.ERROR) == []
    assert store.runs.list_runs(task="nobody") == []
    assert store.runs.get_run(999) is None


def test_the_last_run_of_each_task(store: MemoryStore, past: ScheduledTask) -> None:
    last = store.runs.last_runs()
    assert {found.task_name: found.scheduled_for for found in last.values()} == {"job": START + 5 * HOUR, "b": START}
    assert store.runs.last_started_at() == START


def test_the_last_runs_may_be_asked_of_some_tasks_alone(store: MemoryStore, past: ScheduledTask) -> None:
    third = store.store_scheduled_task(a_task("c"))
    run(store, third, START)
    asked = [require_id(past), require_id(third)]
    assert {found.task_name: found.scheduled_for for found in store.runs.last_runs(asked).values()} == {
        "job": START + 5 * HOUR,
        "c": START,
    }


def test_a_task_takes_its_history_along_to_its_new_name(store: MemoryStore, past: ScheduledTask) -> None:
    store.runs.rename_runs(require_id(past), "renamed")
    assert [len(store.runs.list_runs(task=name)) for name in ("job", "renamed", "b")] == [0, 6, 1]


def test_without_history_nothing_started(store: MemoryStore) -> None:
    assert store.runs.last_started_at() is None


@pytest.mark.law(3)
def test_history_is_pruned_by_age_and_never_the_last_run_of_a_task(store: MemoryStore, past: ScheduledTask) -> None:
    assert store.runs.prune_old_runs(START + 4 * HOUR, 100) == 4
    assert len(store.runs.list_runs(task="job")) == 2
    assert store.runs.prune_old_runs(START + 100 * HOUR, 100) == 1
    assert [found.task_name for found in store.runs.list_runs()] == ["job", "b"]


def test_history_is_pruned_by_count(store: MemoryStore, past: ScheduledTask) -> None:
    assert store.runs.tasks_with_more_runs(2) == [past.id]
    assert store.runs.prune_surplus_runs(require_id(past), 2, 100) == 4
    assert [found.scheduled_for for found in store.runs.list_runs(task="job")] == [START + 5 * HOUR, START + 4 * HOUR]
    assert len(store.runs.list_runs(task="b")) == 1
    assert store.runs.tasks_with_more_runs(2) == []


@pytest.mark.law(2)
def test_a_run_that_lives_is_not_pruned(store: MemoryStore, task: ScheduledTask) -> None:
    claimed = claim(store, task)
    for hour in (1, 2, 3):
        store.runs.record_unrun(task, START + hour * HOUR, RunStatus.SKIPPED, "still running", at=START + hour * HOUR)
    store.runs.prune_old_runs(START + 100 * HOUR, 1)
    store.runs.prune_surplus_runs(require_id(task), 1, 100)
    assert {found.id for found in store.runs.list_runs()} == {claimed.run_id, claimed.run_id + 3}


def test_pruning_takes_the_oldest_first_and_a_part_at_a_time(store: MemoryStore, past: ScheduledTask) -> None:
    assert store.runs.prune_old_runs(START + 100 * HOUR, 2) == 2
    assert store.runs.prune_surplus_runs(require_id(past), 1, 1) == 1
    assert [found.scheduled_for for found in store.runs.list_runs(task="job")] == [START + n * HOUR for n in (5, 4, 3)]


def test_the_oldest_run_is_pruned_first_also_where_the_clock_was_set_back(
    store: MemoryStore, task: ScheduledTask
) -> None:
    for hour in (2, 1, 3):
        run(store, task, START + hour * HOUR)
    assert store.runs.prune_old_runs(START + 100 * HOUR, 1) == 1
    assert [found.scheduled_for for found in store.runs.list_runs()] == [START + 3 * HOUR, START + 2 * HOUR]


def test_an_account_of_the_delivery_is_kept(store: MemoryStore, task: ScheduledTask) -> None:
    run_id = run(store, task, START)
    store.runs.record_delivery(run_id, '{"status": "sent"}')
    assert store.runs.list_runs()[0].delivery == '{"status": "sent"}'


@pytest.mark.parametrize(
    ("outcome", "later", "told"),
    [
        (DONE, [], {"n": 1, "delivery": {"status": "sent"}}),
        (
            Outcome(RunStatus.ERROR, reason="no net"),
            [],
            {"status": "error", "error": "no net", "delivery": {"status": "sent"}},
        ),
        (Outcome(RunStatus.EXECUTED, result="plain"), [], "plain"),
        (Outcome(RunStatus.EXECUTED, result="[1]"), [], [1]),
        (DONE, [DONE], {"n": 1}),
        (DONE, [None], {"n": 1, "delivery": {"status": "sent"}}),
    ],
    ids=["executed", "error", "text", "list", "another ran since", "another was missed since"],
)
def test_an_account_of_the_delivery_is_in_the_last_result_if_that_is_the_runs_and_an_object(
    store: MemoryStore, task: ScheduledTask, outcome: Outcome, later: list[Outcome | None], told: object
) -> None:
    another = store.store_scheduled_task(a_task("another"))
    run(store, another, START)
    run_id = run(store, task, START, outcome)
    for end in later:
        if end is None:
            store.runs.record_unrun(task, START + HOUR, RunStatus.MISSED, "too late", at=START + HOUR)
        else:
            run(store, task, START + HOUR, end)
    store.runs.record_delivery(run_id, '{"status": "sent"}')
    assert json_value(store.tasks.require_task("job").last_result) == told
    assert store.tasks.require_task("another").last_result == '{"n": 1}'


@pytest.mark.sqlite
@pytest.mark.law(4)
@pytest.mark.parametrize(
    "change",
    [
        "started_at = 'x'",
        "scheduled_for = x'ff'",
        "status = 'odd'",
        "attempt = 'one'",
        "finished_at = '9999-12-31'",
        "collapsed = 'x'",
    ],
)
def test_a_row_that_makes_no_sense_is_passed_over_and_told(
    store: MemoryStore, task: ScheduledTask, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    sound = run(store, task, START)
    senseless = claim(store, task, START + HOUR).run_id
    store.write(f"UPDATE task_runs SET {change} WHERE id = ?", (senseless,))
    assert [found.id for found in store.runs.list_runs()] == [sound]
    assert (store.runs.get_run(senseless), store.runs.last_started_at(), store.runs.last_runs()) == (None, None, {})
    assert store.runs.live_runs_of_others("somebody") == []
    assert f"Row {senseless} of task_runs is passed over" in caplog.text


def test_the_last_runs_of_no_task_are_none(store: MemoryStore) -> None:
    """Not every database knows an empty list of numbers."""
    assert store.runs.last_runs([]) == {}
    assert store.tasks.numbered([]) == []
    assert store.tasks.task_names([]) == {}
