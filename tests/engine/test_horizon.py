"""Tests of what an engine knows of the time to come, with looks of several ticks at once too."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from typing import Any

import pytest

from jarvis_trio.delivery import Message
from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.engine.notices import Notices
from jarvis_trio.errors import DeliveryError
from jarvis_trio.store import MemoryStore
from tests.support.core_fakes import START, FakeClock, Gate, MakeEngine, a_task, finish, in_thread

HOUR = timedelta(hours=1)


def test_what_is_known_is_as_of_the_last_look_and_asks_the_database_nothing(
    store: MemoryStore, make_engine: MakeEngine, other: sqlite3.Connection
) -> None:
    store.store_scheduled_task(a_task(every={"hours": 1}))
    engine = make_engine()
    engine.evaluate_due_tasks()
    other.execute("UPDATE scheduled_tasks SET next_run_at = ?", (START.isoformat(),))
    asked: list[str] = []
    store.connection.trace = lambda sql, _: asked.append(sql)
    assert (engine.known_due_at(), asked) == (START + HOUR, [])
    assert (engine.next_due_at() or START) < START, "the row is to be read again, before all that is due"
    assert asked


def test_a_look_costs_one_statement_while_nobody_has_written(store: MemoryStore, engine: SchedulerEngine) -> None:
    store.store_scheduled_task(a_task())
    engine.evaluate_due_tasks()
    asked: list[str] = []
    store.connection.trace = lambda sql, _: asked.append(sql)
    assert engine.next_due_at() == START + timedelta(minutes=5)
    assert len(asked) == 1


def test_an_engine_that_has_not_looked_yet_looks(store: MemoryStore, make_engine: MakeEngine) -> None:
    store.queue.settle(store.store_scheduled_task(a_task()), START + HOUR)
    assert make_engine().known_due_at() == START + HOUR


def test_a_message_that_waits_calls_only_an_engine_that_sends(
    store: MemoryStore, make_engine: MakeEngine, clock: FakeClock
) -> None:
    def refuse(channel: str, config: object, message: Message) -> str:
        raise DeliveryError("no net")

    engine = make_engine(notices=Notices(store, clock, refuse))
    store.store_scheduled_task(a_task(every={"hours": 1}, delivery_channel="email"))
    engine.evaluate_due_tasks()
    clock.advance(hours=1)
    engine.evaluate_due_tasks()
    again_at = engine.next_due_at()
    assert again_at is not None
    assert clock.now() < again_at < clock.now() + HOUR
    assert engine.known_due_at() == again_at
    engine.delivers_itself = False
    assert (engine.next_due_at(), engine.known_due_at()) == (clock.now() + HOUR, clock.now() + HOUR)
    assert engine.next_delivery_at() == again_at


@pytest.mark.sqlite
def test_the_files_to_be_watched_are_those_of_its_database(store: MemoryStore, make_engine: MakeEngine) -> None:
    assert store.path in make_engine().watched_files()


@pytest.mark.law(3)
def test_law_3_of_two_looks_at_the_same_time_the_newer_one_is_known(
    store: MemoryStore, engine: SchedulerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, look_ahead = Gate(), store.queue.look_ahead

    def slow_to_come_back(*arguments: Any, **options: Any) -> Any:
        seen = look_ahead(*arguments, **options)
        if not gate.passed:
            gate()
        return seen

    monkeypatch.setattr(store.queue, "look_ahead", slow_to_come_back)
    with gate.holding(engine.next_due_at):
        store.store_scheduled_task(a_task(at="2026-03-02T10:00", next_run_at="2026-03-02T10:00"))
        monkeypatch.setattr(store.queue, "look_ahead", look_ahead)
        newer = in_thread(engine.next_due_at)
        newer.join(0.1)  # it would be over by now if it could pass the older one
    finish(newer)
    assert engine.known_due_at() is not None
