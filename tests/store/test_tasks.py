"""Tests of `scheduled_tasks` as the commands and other programs see it."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.errors import DuplicateTaskError, TaskError, UnknownTaskError
from jarvis_trio.models import require_id
from jarvis_trio.store import MemoryStore
from tests.support.core_fakes import START, FakeClock, a_task

DENVER = ZoneInfo("America/Denver")
HOUR = timedelta(hours=1)
INSERT = (
    "INSERT INTO scheduled_tasks (name, schedule_type, schedule_config, handler_type, next_run_at)"
    " VALUES (?, 'interval', '{\"hours\": 1}', 'note', ?)"
)


def test_a_stored_task_is_found_by_number_and_by_name(store: MemoryStore) -> None:
    stored = store.store_scheduled_task(a_task(description="what it is for", delivery_channel="email"))
    assert stored.id is not None
    assert store.get_scheduled_task(stored.id) == stored
    assert store.get_scheduled_task_by_name("job") == stored
    assert (stored.description, stored.delivery_channel, stored.enabled) == ("what it is for", "email", True)


def test_what_is_not_there_is_none(store: MemoryStore) -> None:
    assert store.get_scheduled_task(1) is None
    assert store.get_scheduled_task_by_name("job") is None
    assert store.update_scheduled_task(1, enabled=False) is None
    assert store.delete_scheduled_task(1) is False


def test_tasks_are_told_by_their_numbers_and_in_the_order_of_their_names(store: MemoryStore) -> None:
    c, b, a = (require_id(store.store_scheduled_task(a_task(name))) for name in ("c", "b", "a"))
    assert store.tasks.numbers() == [a, b, c]
    assert [task.name for task in store.tasks.numbered([b, a])] == ["a", "b"]
    assert store.tasks.task_names([c, b, 99]) == {c: "c", b: "b"}


def test_tasks_are_found_by_a_text_in_any_case_of_letters(store: MemoryStore) -> None:
    for task in (
        a_task("Hauptstraße"),
        a_task("a", description="Copies the STRASSE"),
        a_task("b", handler="strasse_poll"),
        a_task("c", handler_config='{"from": "strasse"}'),
        a_task("d"),
    ):
        store.store_scheduled_task(task)
    assert store.tasks.with_text("strasse") == {1, 2, 3, 4}
    assert store.tasks.with_text("nowhere") == set()


def test_a_task_that_runs_once_and_has_no_time_to_come_is_told_apart(store: MemoryStore) -> None:
    over = store.store_scheduled_task(a_task("over", at="2026-03-01T09:00"))
    store.store_scheduled_task(a_task("to come", at="2026-03-03T09:00", next_run_at="2026-03-03T09:00:00+00:00"))
    store.store_scheduled_task(a_task("again and again"))
    assert store.tasks.run_once() == {over.id}


def test_enabled_tasks_are_counted_all_or_without_some(store: MemoryStore) -> None:
    for name, enabled in (("a", True), ("b", True), ("c", True), ("paused", False)):
        store.store_scheduled_task(a_task(name, enabled=enabled))
    assert [store.tasks.count_enabled_tasks(without) for without in ([], [1], [1, 3], [4])] == [3, 2, 1, 3]


def test_a_task_may_be_due_if_its_slot_is_or_if_nobody_has_read_its_row(store: MemoryStore) -> None:
    for name, slot in (("due", START), ("later", START + HOUR)):
        task = store.store_scheduled_task(a_task(name, next_run_at=slot.isoformat()))
        store.queue.settle(task, slot)
    store.store_scheduled_task(a_task("unread", next_run_at=(START + HOUR).isoformat()))
    store.store_scheduled_task(a_task("paused", enabled=False, next_run_at=START.isoformat()))
    store.store_scheduled_task(a_task("without a slot"))
    assert {task.name for task in store.tasks.maybe_due(START)} == {"due", "unread"}


def test_a_required_task_that_is_not_there_is_an_error(store: MemoryStore) -> None:
    with pytest.raises(UnknownTaskError, match="'job'"):
        store.tasks.require_task("job")


def test_configurations_may_be_mappings(store: MemoryStore) -> None:
    task = a_task()
    changed = store.store_scheduled_task(
        type(task)(name="m", schedule_type="interval", schedule_config={"hours": 1}, handler_type="note")  # type: ignore[arg-type]  # as the existing assistant does
    )
    assert json.loads(changed.schedule_config) == {"hours": 1}


@pytest.mark.law(5)
def test_its_times_are_local_with_their_offset(store: MemoryStore, clock: FakeClock) -> None:
    clock.machine_zone = DENVER
    stored = store.store_scheduled_task(a_task())
    assert stored.created_at == stored.updated_at == "2026-03-02T02:00:00-07:00"


def test_storing_a_name_again_replaces_its_definition_and_keeps_its_past(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock
) -> None:
    first = store.store_scheduled_task(a_task(every={"minutes": 5}))
    engine.evaluate_due_tasks()
    clock.advance(minutes=5)
    engine.evaluate_due_tasks()
    second = store.store_scheduled_task(a_task(every={"hours": 2}))
    assert second.id == first.id
    assert json.loads(second.schedule_config) == {"hours": 2}
    assert second.created_at == first.created_at
    assert second.last_result == '{"ok": true}'
    assert len(store.runs.list_runs(task="job")) == 1


def test_tasks_are_listed_by_name(store: MemoryStore) -> None:
    for name in ("b", "a", "c"):
        store.store_scheduled_task(a_task(name, enabled=name != "c"))
    assert [task.name for task in store.list_scheduled_tasks()] == ["a", "b", "c"]
    assert [task.name for task in store.list_scheduled_tasks(enabled_only=True)] == ["a", "b"]
    assert store.tasks.count_scheduled_tasks() == 3


@pytest.mark.parametrize("column", ["schedule_config", "handler_config", "delivery_config", "policy"])
def test_each_configuration_may_be_changed_to_a_mapping(store: MemoryStore, column: str) -> None:
    changed = store.update_scheduled_task(require_id(store.store_scheduled_task(a_task())), **{column: {"a": 1}})
    assert getattr(changed, column) == '{"a": 1}'


def test_a_task_that_says_when_it_was_made_is_believed(store: MemoryStore) -> None:
    assert store.store_scheduled_task(a_task(created_at="2020-01-01")).created_at == "2020-01-01"


def test_an_update_sets_columns_and_its_time(store: MemoryStore, clock: FakeClock) -> None:
    stored = store.store_scheduled_task(a_task())
    clock.advance(hours=1)
    changed = store.update_scheduled_task(require_id(stored), enabled=False, handler_config={"command": "true"})
    assert changed is not None
    assert (changed.enabled, changed.handler_config) == (False, '{"command": "true"}')
    assert changed.updated_at == "2026-03-02T10:00:00+00:00"
    assert changed.created_at == stored.created_at


@pytest.mark.parametrize("column", ["id", "created_at", "name = 'x' --", ""])
def test_an_update_of_what_is_no_column_is_refused(store: MemoryStore, column: str) -> None:
    stored = store.store_scheduled_task(a_task())
    with pytest.raises(TaskError, match="cannot set"):
        store.update_scheduled_task(require_id(stored), **{column: "1"})
    assert store.get_scheduled_task(require_id(stored)) == stored


def test_a_refused_column_is_told_with_those_that_can_be_set(store: MemoryStore) -> None:
    with pytest.raises(TaskError, match=r"^cannot set colour, id; the columns are delivery_channel, delivery_config"):
        store.update_scheduled_task(1, id=2, colour="red")


def test_a_taken_name_is_refused_and_nothing_is_changed(store: MemoryStore) -> None:
    store.store_scheduled_task(a_task("taken"))
    stored = store.store_scheduled_task(a_task())
    with pytest.raises(DuplicateTaskError, match="'taken'"):
        store.update_scheduled_task(require_id(stored), name="taken", enabled=False)
    assert store.get_scheduled_task(require_id(stored)) == stored


def test_a_column_that_must_hold_something_is_no_matter_of_names(store: MemoryStore) -> None:
    stored = store.store_scheduled_task(a_task())
    with pytest.raises(TaskError, match="schedule_type"):
        store.update_scheduled_task(require_id(stored), schedule_type=None)


def test_deleting_a_task_keeps_its_history(store: MemoryStore, engine: SchedulerEngine, clock: FakeClock) -> None:
    stored = store.store_scheduled_task(a_task())
    engine.evaluate_due_tasks()
    clock.advance(minutes=5)
    engine.evaluate_due_tasks()
    assert store.delete_scheduled_task(require_id(stored))
    assert store.list_scheduled_tasks() == []
    assert len(store.runs.list_runs(task="job")) == 1


@pytest.mark.law(3)
def test_a_new_task_never_has_the_number_and_so_the_history_of_a_deleted_one(store: MemoryStore) -> None:
    old = store.store_scheduled_task(a_task())
    store.delete_scheduled_task(require_id(old))
    assert store.store_scheduled_task(a_task()).id != old.id


@pytest.mark.law(5)
@pytest.mark.parametrize(
    "now",
    [
        "2026-03-02T02:00:00",
        "2026-03-02 02:00",
        "2026-03-02T09:00:00+00:00",
        START,
        START.replace(hour=2, tzinfo=None),
        None,
    ],
)
def test_due_tasks_are_told_for_instants_and_for_naive_local_text(
    store: MemoryStore, other: sqlite3.Connection, clock: FakeClock, now: datetime | str | None
) -> None:
    clock.machine_zone = DENVER
    texts = {"due": "2026-03-02T09:00:00+00:00", "naive": "2026-03-02T02:00:00", "later": "2026-03-02T17:00:00+00:00"}
    for name, text in texts.items():
        other.execute(INSERT, (name, text))
    assert {task.name for task in store.get_due_tasks(now)} == {"due", "naive"}


def test_the_longest_overdue_comes_first(store: MemoryStore) -> None:
    for name, hours in (("b", 2), ("a", 1), ("c", 3)):
        store.store_scheduled_task(a_task(name, next_run_at=(START - timedelta(hours=hours)).isoformat()))
    assert [task.name for task in store.get_due_tasks()] == ["c", "b", "a"]


def test_a_due_task_is_told_once_whatever_retries_it_has(store: MemoryStore) -> None:
    task = store.store_scheduled_task(a_task(next_run_at=START.isoformat()))
    store.queue.enqueue_retry(task, START - timedelta(hours=1), 2, START)
    assert store.get_due_tasks(START) == [task]


def test_what_is_paused_or_unreadable_is_not_due(store: MemoryStore, other: sqlite3.Connection) -> None:
    store.store_scheduled_task(a_task("paused", enabled=False, next_run_at="2020-01-01T00:00:00"))
    for name, text in (("never", None), ("soon", "soon"), ("blob", b"\xff"), ("number", 5)):
        other.execute(INSERT, (name, text))
    assert store.get_due_tasks() == []


def test_due_tasks_are_the_same_before_and_after_the_engine_has_read_them(
    store: MemoryStore, engine: SchedulerEngine, other: sqlite3.Connection
) -> None:
    other.execute(INSERT, ("later", "2026-03-02T10:00:00+00:00"))
    before = store.get_due_tasks("2026-03-02T10:00:00+00:00")
    engine.evaluate_due_tasks()
    assert store.get_due_tasks("2026-03-02T10:00:00+00:00") == before
    assert len(before) == 1


@pytest.mark.sqlite
@pytest.mark.law(4)
def test_a_row_of_the_wrong_types_is_read_as_text(store: MemoryStore, other: sqlite3.Connection) -> None:
    other.execute(
        "INSERT INTO scheduled_tasks (name, schedule_type, schedule_config, handler_type, enabled, last_result)"
        " VALUES (5, x'ff', 1.5, x'', 'yes', x'6f6b')"
    )
    task = store.list_scheduled_tasks()[0]
    assert (task.name, task.schedule_type, task.schedule_config) == ("5", "\ufffd", "1.5")
    assert (task.handler_type, task.enabled, task.last_result) == ("", False, "ok")


@pytest.mark.law(8)
def test_columns_of_other_programs_do_not_disturb(store: MemoryStore, other: sqlite3.Connection) -> None:
    other.execute("ALTER TABLE scheduled_tasks ADD COLUMN theirs TEXT DEFAULT 'x'")
    store.store_scheduled_task(a_task())
    assert [task.name for task in store.list_scheduled_tasks()] == ["job"]
    assert other.execute("SELECT theirs FROM scheduled_tasks").fetchall() == [("x",)]
