"""Tests of the tasks that are passed over because their rows are refused: for how long, and how often it is told."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from jarvis_trio.engine.notices import Notices
from jarvis_trio.engine.refusals import Refusals
from jarvis_trio.errors import ConflictError
from jarvis_trio.models import ScheduledTask
from jarvis_trio.store import MemoryStore
from tests.support.core_fakes import START, Channel, FakeClock, a_task

MINUTE = timedelta(minutes=1)


@pytest.fixture
def refusals(store: MemoryStore, clock: FakeClock) -> Refusals:
    return Refusals(store, clock, Notices(store, clock, Channel()), MINUTE)


@pytest.fixture
def task(store: MemoryStore) -> ScheduledTask:
    return store.store_scheduled_task(a_task())


@pytest.mark.law(4)
def test_a_reason_is_logged_once_while_it_stays_the_same(
    refusals: Refusals, store: MemoryStore, task: ScheduledTask, caplog: pytest.LogCaptureFixture
) -> None:
    for says in ("not this one", "not this one", "nor that one"):
        refusals.add(task, ConflictError(says))
        refusals.tell(START)
    assert caplog.messages == [
        "Task 'job' is passed over: not this one",
        "Task 'job' is passed over: nor that one",
    ]
    assert {record.__dict__["task"] for record in caplog.records} == {"job"}
    assert [trouble.reason for trouble in store.troubles.list_troubles()] == ["not this one"]


class LockWithATurnBefore:
    """A lock for which another thread is faster once."""

    def __init__(self) -> None:
        self.turn: Callable[[], object] | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        turn, self.turn = self.turn, None
        if turn is not None:
            turn()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


@pytest.mark.law(4)
def test_of_two_ticks_that_have_one_refusal_to_tell_one_tells_it(
    store: MemoryStore, clock: FakeClock, task: ScheduledTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = LockWithATurnBefore()
    with monkeypatch.context() as patched:
        patched.setattr("jarvis_trio.engine.refusals.threading.Lock", lambda: lock)
        refusals = Refusals(store, clock, Notices(store, clock, Channel()), MINUTE)
    refusals.add(task, ConflictError("not this one"))
    lock.turn = lambda: refusals.tell(START)
    refusals.tell(START + MINUTE)
    assert [trouble.since for trouble in store.troubles.list_troubles()] == [START]


@pytest.mark.law(4)
def test_a_task_that_can_be_written_again_is_passed_over_no_longer(
    refusals: Refusals, store: MemoryStore, task: ScheduledTask, caplog: pytest.LogCaptureFixture
) -> None:
    refusals.add(task, ConflictError("not this one"))
    refusals.tell(START)
    assert refusals.passed_over() == {task.id}
    assert [trouble.since for trouble in store.troubles.list_troubles()] == [START]
    with caplog.at_level(logging.INFO), store.transaction():
        refusals.end(store.store_scheduled_task(a_task("another")))
        refusals.end(task)
    assert refusals.passed_over() == frozenset()
    assert store.troubles.list_troubles() == []
    assert caplog.messages[1:] == ["Task 'job' is no longer refused"]
    assert caplog.records[-1].__dict__["task"] == "job"


@pytest.mark.law(4)
def test_each_refused_task_is_tried_again_when_its_own_pause_is_over(
    refusals: Refusals, store: MemoryStore, clock: FakeClock, task: ScheduledTask
) -> None:
    another = store.store_scheduled_task(a_task("another"))
    refusals.add(task, ConflictError("not this one"))
    clock.advance(seconds=20)
    refusals.add(another, ConflictError("nor that one"))
    refusals.tell(START)
    assert len(store.troubles.list_troubles()) == 2

    seen = []
    for _ in range(3):
        seen.append((refusals.passed_over(), refusals.next_try_at()))
        clock.advance(seconds=40)
    first, second = START + MINUTE, START + MINUTE + timedelta(seconds=20)
    assert seen == [({task.id, another.id}, first), ({another.id}, second), (frozenset(), None)]


def test_what_other_machines_run_is_passed_over_for_a_while_and_nobody_is_told(
    refusals: Refusals,
    store: MemoryStore,
    clock: FakeClock,
    task: ScheduledTask,
    caplog: pytest.LogCaptureFixture,
) -> None:
    refusals.leave(task)
    refusals.end(task)  # nothing was refused
    refusals.tell(START)
    assert (refusals.passed_over(), refusals.next_try_at()) == ({task.id}, START + MINUTE)
    clock.advance(minutes=1)
    assert (refusals.passed_over(), refusals.next_try_at()) == (frozenset(), None)
    assert (caplog.messages, store.troubles.list_troubles()) == ([], [])


@pytest.mark.law(4)
@pytest.mark.sqlite
def test_a_refusal_that_nobody_can_be_told_of_is_logged_and_the_next_one_is_told(
    refusals: Refusals, store: MemoryStore, task: ScheduledTask, caplog: pytest.LogCaptureFixture
) -> None:
    store.write("CREATE TRIGGER theirs BEFORE INSERT ON task_troubles BEGIN SELECT RAISE(ABORT, 'full'); END")
    refusals.add(task, ConflictError("not this one"))
    refusals.tell(START)
    assert caplog.messages[-1].startswith("Nobody can be told that task 'job' is refused: ")
    assert "full" in caplog.messages[-1]

    store.write("DROP TRIGGER theirs")
    refusals.add(task, ConflictError("nor that one"))
    refusals.tell(START)
    assert [trouble.reason for trouble in store.troubles.list_troubles()] == ["nor that one"]
