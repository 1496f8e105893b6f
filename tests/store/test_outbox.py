"""Tests of the outbox: a message is kept until it is delivered, and nobody else sends it meanwhile."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from jarvis_trio.store import MemoryStore
from jarvis_trio.store.outbox import FirstLetter, Letter
from tests.support.core_fakes import PATIENCE, START, Gate, finish, in_thread

MINUTE = timedelta(minutes=1)
LETTER = Letter("email", '{"to": "me"}', "job", "executed", "fine", "2026-03-02T09:00:00+00:00")


def take(store: MemoryStore, now: datetime = START) -> Letter | None:
    """The next letter that is due, by whatever channel."""
    for first in sorted(store.outbox.first_letters(), key=lambda first: first.due_at):
        if (letter := store.outbox.take_letter(first, now, now + MINUTE)) is not None:
            return letter
    return None


def names(store: MemoryStore, now: datetime = START) -> list[str]:
    """Whose letters come out of the outbox, one after the other."""
    found = []
    while (letter := take(store, now)) is not None:
        found.append(letter.task_name)
    return found


def post(store: MemoryStore, name: str, due_at: datetime = START, run_id: int | None = None) -> int:
    config = None if run_id is None else LETTER.config
    return store.outbox.post(LETTER._replace(config=config, task_name=name, run_id=run_id), due_at)


def test_a_letter_comes_out_as_it_was_posted(store: MemoryStore) -> None:
    number = store.outbox.post(LETTER._replace(run_id=7), START)
    assert take(store) == LETTER._replace(run_id=7, id=number, attempt=1)


def test_a_letter_is_not_taken_before_it_is_due(store: MemoryStore) -> None:
    post(store, "job")
    assert take(store, START - timedelta(microseconds=1)) is None
    assert names(store) == ["job"]


def test_letters_are_taken_in_the_order_in_which_they_are_due(store: MemoryStore) -> None:
    for minutes in (1, 3, 2):
        post(store, f"{minutes}", START - minutes * MINUTE)
    assert names(store) == ["3", "2", "1"]


def test_after_the_clock_was_set_back_a_letter_waits_no_longer(store: MemoryStore) -> None:
    for minutes in (20, 3, -1):
        store.outbox.post(LETTER._replace(channel=f"{minutes}"), START + minutes * MINUTE)
    store.outbox.keep_waiting(START, 5 * MINUTE)
    waits = {first.channel: (first.due_at - START) / MINUTE for first in store.outbox.first_letters()}
    assert waits == {"20": 15, "3": 0, "-1": -1}


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
            assert take(theirs) is not None

    first = in_thread(take_it_first)
    inside.wait()
    store.connection.trace = lambda sql, _: asks.set() if sql.startswith("BEGIN") else None
    second = in_thread(lambda: taken.append(take(store)))
    assert asks.wait(PATIENCE)  # it has seen the letter, and waits for the write lock
    inside.opened.set()
    finish(first, second)
    assert taken == [None]


def test_each_try_is_counted(store: MemoryStore) -> None:
    post(store, "job")
    for attempt in (1, 2, 3):
        letter = take(store)
        assert letter is not None
        assert letter.attempt == attempt
        store.outbox.put_back(letter, START)


def test_a_letter_that_is_put_back_is_due_when_it_says(store: MemoryStore) -> None:
    post(store, "another", START + 9 * MINUTE)
    post(store, "job")
    letter = take(store)
    assert letter is not None
    store.outbox.put_back(letter, START + 5 * MINUTE)
    assert names(store, START + 4 * MINUTE) == []
    assert names(store, START + 5 * MINUTE) == ["job"]


def test_what_is_discarded_is_gone_and_nothing_else(store: MemoryStore) -> None:
    post(store, "job")
    post(store, "another", START + MINUTE)
    letter = take(store)
    assert letter is not None
    assert store.outbox.letters_waiting() == 2
    store.outbox.discard(letter)
    assert store.outbox.letters_waiting() == 1
    assert names(store, START + MINUTE) == ["another"]


def test_each_channel_has_its_first_letter_and_alerts_have_one_of_their_own(store: MemoryStore) -> None:
    post(store, "later", START + MINUTE, run_id=1)
    post(store, "first", run_id=2)
    post(store, "of the task", START + 2 * MINUTE)
    store.outbox.post(LETTER._replace(channel="teams", run_id=3), START + 3 * MINUTE)
    assert sorted(store.outbox.first_letters(), key=lambda first: first.due_at) == [
        FirstLetter("email", True, START),
        FirstLetter("email", False, START + 2 * MINUTE),
        FirstLetter("teams", True, START + 3 * MINUTE),
    ]


def test_only_letters_of_the_channel_that_is_asked_for_come_out(store: MemoryStore) -> None:
    post(store, "of the task")
    post(store, "of the run", run_id=1)
    letter = store.outbox.take_letter(FirstLetter("email", True, START), START, START + MINUTE)
    assert letter is not None
    assert letter.task_name == "of the run"
    assert store.outbox.take_letter(FirstLetter("teams", True, START), START, START + MINUTE) is None


def test_the_next_letter_is_part_of_what_is_ahead(store: MemoryStore) -> None:
    post(store, "late", START + 2 * MINUTE)
    post(store, "early", START + MINUTE)
    ahead = store.queue.look_ahead("me")
    assert ahead.letter_at == START + MINUTE


def test_a_letter_that_nobody_has_tried_to_send_can_be_taken_back(store: MemoryStore) -> None:
    first, second = post(store, "first"), post(store, "second", START + MINUTE)
    assert take(store) is not None
    assert not store.outbox.take_back(first)
    assert store.outbox.take_back(second)
    assert not store.outbox.take_back(second)
    assert store.outbox.letters_waiting() == 1
