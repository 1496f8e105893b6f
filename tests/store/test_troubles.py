"""Tests of the troubles and deadlines of tasks: each is told when it begins and when it ends, once."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from jarvis_trio.models import ScheduledTask, TroubleKind, require_id
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.troubles import Trouble
from tests.support.core_fakes import START, a_task

MINUTE = timedelta(minutes=1)
FAILING, MISSED, STALE, SET_ASIDE, *_ = TroubleKind
HELD = TroubleKind.HELD


def add(store: MemoryStore, name: str, **columns: bool) -> int:
    return require_id(store.store_scheduled_task(a_task(name, **columns)))


def names(tasks: list[ScheduledTask]) -> list[str]:
    return sorted(task.name for task in tasks)


def test_a_trouble_begins_once_and_keeps_its_first_reason(store: MemoryStore) -> None:
    assert store.troubles.begin_trouble(1, FAILING, "no net", START.astimezone(ZoneInfo("Asia/Tokyo")))
    assert not store.troubles.begin_trouble(1, FAILING, "no disk", START + MINUTE)
    assert store.troubles.list_troubles() == [Trouble(1, FAILING, START, "no net")]


@pytest.mark.law(4)
def test_a_trouble_that_another_program_wrote_is_read_as_far_as_it_makes_sense(store: MemoryStore) -> None:
    for kind, since in (("failing", "soon"), ("tired", "2026-03-02T09:00:00+00:00")):
        store.write("INSERT INTO task_troubles VALUES (1, ?, ?, 'theirs')", (kind, since))
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert store.troubles.list_troubles() == [Trouble(1, FAILING, epoch, "theirs")]
    assert store.troubles.end_troubles(1, [FAILING])
    assert store.troubles.list_troubles() == []


def test_troubles_of_two_kinds_and_of_two_tasks_are_told_apart(store: MemoryStore) -> None:
    for task_id, kind in ((2, STALE), (1, MISSED), (2, FAILING)):
        assert store.troubles.begin_trouble(task_id, kind, "why", START)
    assert [(trouble.task_id, trouble.kind) for trouble in store.troubles.list_troubles()] == [
        (1, MISSED),
        (2, FAILING),
        (2, STALE),
    ]
    assert [trouble.kind for trouble in store.troubles.list_troubles(1)] == [MISSED]


def test_a_trouble_ends_once_and_the_others_go_on(store: MemoryStore) -> None:
    for task_id, kind in ((1, FAILING), (1, SET_ASIDE), (2, FAILING)):
        store.troubles.begin_trouble(task_id, kind, "why", START)
    assert store.troubles.end_troubles(1, iter([FAILING, STALE])) == [Trouble(1, FAILING, START, "why")]
    assert store.troubles.end_troubles(1, [FAILING, STALE]) == []
    assert [(trouble.task_id, trouble.kind) for trouble in store.troubles.list_troubles()] == [
        (1, SET_ASIDE),
        (2, FAILING),
    ]


def test_what_is_set_aside_is_told_with_its_reason(store: MemoryStore) -> None:
    store.troubles.begin_trouble(1, FAILING, "no net", START)
    store.troubles.begin_trouble(2, SET_ASIDE, "no such zone", START)
    store.troubles.begin_trouble(3, SET_ASIDE, "no such day", START)
    assert store.troubles.reasons_set_aside() == {2: "no such zone", 3: "no such day"}
    assert [store.troubles.reason_set_aside(number) for number in (1, 2, 3)] == [None, "no such zone", "no such day"]


def test_a_deadline_passes_at_its_instant(store: MemoryStore) -> None:
    store.troubles.set_deadline(add(store, "job"), START)
    assert store.troubles.passed_deadlines(START - timedelta(microseconds=1)) == []
    assert names(store.troubles.passed_deadlines(START)) == ["job"]


def test_a_task_has_one_deadline_the_last_that_was_set(store: MemoryStore) -> None:
    task_id = add(store, "job")
    store.troubles.set_deadline(task_id, START)
    store.troubles.set_deadline(task_id, START + MINUTE)
    assert store.troubles.passed_deadlines(START) == []
    assert names(store.troubles.passed_deadlines(START + MINUTE)) == ["job"]


def test_a_deadline_that_is_taken_away_is_that_tasks_alone(store: MemoryStore) -> None:
    for name in ("job", "other"):
        store.troubles.set_deadline(add(store, name), START)
    store.troubles.set_deadline(require_id(store.tasks.require_task("job")), None)
    assert names(store.troubles.passed_deadlines(START)) == ["other"]


def test_a_paused_task_has_no_deadline_to_keep(store: MemoryStore) -> None:
    store.troubles.set_deadline(add(store, "paused", enabled=False), START)
    store.troubles.set_deadline(add(store, "job"), START + MINUTE)
    assert names(store.troubles.passed_deadlines(START + MINUTE)) == ["job"]
    assert store.queue.look_ahead("me").deadline_at == START + MINUTE


def test_the_next_deadline_is_part_of_what_is_ahead(store: MemoryStore) -> None:
    for name, minutes in (("late", 2), ("early", 1)):
        task_id = add(store, name)
        store.queue.dequeue(task_id)
        store.troubles.set_deadline(task_id, START + minutes * MINUTE)
    ahead = store.queue.look_ahead("me")
    assert ahead.deadline_at == START + MINUTE


@pytest.mark.law(8)
def test_the_troubles_and_the_deadline_of_a_deleted_task_go_with_it(
    store: MemoryStore, other: sqlite3.Connection
) -> None:
    for name in ("job", "other"):
        task_id = add(store, name)
        store.troubles.begin_trouble(task_id, FAILING, name, START)
        store.troubles.set_deadline(task_id, START)
    other.execute("DELETE FROM scheduled_tasks WHERE name = 'job'")
    assert [trouble.reason for trouble in store.troubles.list_troubles()] == ["other"]
    assert store.value("SELECT count(*) FROM task_deadlines") == 1


def test_a_held_task_is_held_until_that_ends_and_counts_as_set_aside(store: MemoryStore) -> None:
    store.troubles.begin_trouble(1, HELD, "until told", START)
    assert store.troubles.held_tasks() == {1}
    assert store.troubles.reasons_set_aside() == {1: "until told"}
    assert store.troubles.reason_set_aside(1) is None, "only what cannot be scheduled comes back when it is edited"
    store.troubles.end_troubles(1, [HELD])
    assert store.troubles.held_tasks() == set()
