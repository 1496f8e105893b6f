"""Tests of the outbox: a message is kept until it is delivered, and nobody else sends it meanwhile."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from jarvis_trio.store import MemoryStore
from jarvis_trio.store.outbox import Letter
from tests.support.core_fakes import PATIENCE, START, Gate, finish, in_thread

MINUTE = timedelta(minutes=1)
LETTER = Letter("email", '{"to": "me"}', "job", "executed", "fine", "2026-03-02T09:00:00+00:00")


def names(store: MemoryStore, now: datetime = START) -> list[str]:
    """Whose letters come out of the outbox, one after the other."""
    found = []
    while (letter := store.take_letter(now, now + MINUTE)) is not None:
        found.append(letter.task_name)
    return found


def post(store: MemoryStore, name: str, due_at: datetime = START, run_id: int | None = None) -> int:
    return store.post(replace(LETTER, task_name=name, run_id=run_id), due_at)


def test_a_letter_comes_out_as_it_was_posted(store: MemoryStore) -> None:
    number = store.post(replace(LETTER, run_id=7), START)
    assert store.take_letter(START, START + MINUTE) == replace(LETTER, run_id=7, id=number, attempt=1)


def test_a_letter_is_not_taken_before_it_is_due(store: MemoryStore) -> None:
    post(store, "job")
    assert store.take_letter(START - timedelta(microseconds=1), START) is None
    assert names(store) == ["job"]


def test_letters_are_taken_in_the_order_in_which_they_are_due(store: MemoryStore) -> None:
    for minutes in (1, 3, 2):
        post(store, f"{minutes}", START - minutes * MINUTE)
    assert names(store) == ["3", "2", "1"]


@pytest.mark.law(2)
def test_a_letter_that_was_taken_waits_until_its_sender_must_have_died(store: MemoryStore) -> None:
    post(store, "job")
    assert names(store) == ["job"]
    assert names(store, START + MINUTE) == ["job"]


@pytest.mark.law(2)
def test_a_letter_that_another_process_takes_meanwhile_is_not_taken_twice(store: MemoryStore, path: Path) -> None:
    post(store, "job")
    inside, asks, taken = Gate(), threading.Event(), []

    def take_it_first() -> None:
        with MemoryStore(path) as theirs, theirs.transaction():
            inside()
            assert theirs.take_letter(START, START + MINUTE) is not None

    first = in_thread(take_it_first)
    inside.wait()
    store._connection.set_trace_callback(lambda sql: asks.set() if sql.startswith("BEGIN") else None)
    second = in_thread(lambda: taken.append(store.take_letter(START, START + MINUTE)))
    assert asks.wait(PATIENCE)  # it has seen the letter, and waits for the write lock
    inside.opened.set()
    finish(first, second)
    assert taken == [None]


def test_each_try_is_counted(store: MemoryStore) -> None:
    post(store, "job")
    for attempt in (1, 2, 3):
        letter = store.take_letter(START, START + MINUTE)
        assert letter is not None
        assert letter.attempt == attempt
        store.put_back(letter, START)


def test_a_letter_that_is_put_back_is_due_when_it_says(store: MemoryStore) -> None:
    post(store, "another", START + 9 * MINUTE)
    post(store, "job")
    letter = store.take_letter(START, START + MINUTE)
    assert letter is not None
    store.put_back(letter, START + 5 * MINUTE)
    assert names(store, START + 4 * MINUTE) == []
    assert names(store, START + 5 * MINUTE) == ["job"]


def test_what_is_discarded_is_gone_and_nothing_else(store: MemoryStore) -> None:
    post(store, "job")
    post(store, "another", START + MINUTE)
    letter = store.take_letter(START, START + MINUTE)
    assert letter is not None
    assert store.letters_waiting() == 2
    store.discard(letter)
    assert store.letters_waiting() == 1
    assert names(store, START + MINUTE) == ["another"]


def test_the_letter_of_one_run_can_be_asked_for(store: MemoryStore) -> None:
    post(store, "first", run_id=1)
    post(store, "of the task")
    post(store, "second", run_id=2)
    post(store, "second again, later", START + MINUTE, run_id=2)
    letter = store.take_letter(START, START + MINUTE, run_id=2)
    assert letter is not None
    assert letter.task_name == "second"
    assert store.take_letter(START, START + MINUTE, run_id=2) is None
    assert sorted(names(store)) == ["first", "of the task"]


def test_the_next_letter_is_part_of_what_is_ahead(store: MemoryStore) -> None:
    post(store, "late", START + 2 * MINUTE)
    post(store, "early", START + MINUTE)
    ahead = store.look_ahead("me")
    assert ahead.letter_at == ahead.next_at() == START + MINUTE
