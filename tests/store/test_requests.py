"""Tests of the requests of people: each is asked once, and answered once or withdrawn."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from jarvis_trio.models import require_id
from jarvis_trio.policy import ANYWHERE
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.places import Here
from jarvis_trio.store.requests import KEPT, RequestKind
from tests.support.core_fakes import START, a_task

RUN, STOP = RequestKind.RUN, RequestKind.STOP


def ask(store: MemoryStore, kind: RequestKind = RUN, at: timedelta = timedelta(0), run_id: int | None = None) -> int:
    return store.requests.ask(kind, 7, run_id=run_id, asked_by="alex", asker="12:34", at=START + at)


def test_a_request_is_open_until_it_is_answered(store: MemoryStore) -> None:
    number = ask(store)
    (asked,) = store.requests.open_requests()
    assert (asked.id, asked.kind, asked.task_id, asked.asked_by, asked.asker) == (number, RUN, 7, "alex", "12:34")
    assert (asked.asked_at, asked.answered_at) == (START, None)
    assert store.requests.answer(number, START, run_id=3)
    assert store.requests.open_requests() == []
    answered = store.requests.request(number)
    assert answered is not None
    assert (answered.run_id, answered.answered_at, answered.refusal) == (3, START, None)


def test_only_the_first_answer_counts(store: MemoryStore) -> None:
    number = ask(store)
    assert store.requests.answer(number, START, refusal="it runs already")
    assert not store.requests.answer(number, START, run_id=3)
    answered = store.requests.request(number)
    assert answered is not None
    assert (answered.run_id, answered.refusal) == (None, "it runs already")


def test_what_was_withdrawn_cannot_be_answered_and_what_was_answered_cannot_be_withdrawn(store: MemoryStore) -> None:
    first, second = ask(store), ask(store)
    assert store.requests.withdraw(first)
    assert not store.requests.answer(first, START, run_id=1)
    assert store.requests.request(first) is None
    store.requests.answer(second, START, run_id=1)
    assert not store.requests.withdraw(second)


def test_requests_are_told_the_oldest_first(store: MemoryStore) -> None:
    numbers = [ask(store), ask(store, STOP, run_id=2), ask(store)]
    assert [request.id for request in store.requests.open_requests()] == numbers


def test_who_stopped_a_run_is_known_by_its_number(store: MemoryStore) -> None:
    ask(store, STOP, run_id=2)
    answered = ask(store, RUN)
    store.requests.answer(answered, START, run_id=3)
    assert store.requests.stopped_by(2) == "alex"
    assert store.requests.stopped_by(3) is None


@pytest.mark.parametrize(
    ("policy", "is_open"),
    [
        ('{"on": "desk"}', True),
        ('{"on": "office"}', True),
        ('{"on": "attic"}', False),
        (f'{{"on": "{ANYWHERE}"}}', True),
        ("rubbish", True),
    ],
)
def test_a_run_is_asked_of_the_machines_that_may_make_it_and_a_stop_of_all(
    path: Path, policy: str, is_open: bool
) -> None:
    with MemoryStore(path, machine=Here("desk", ("office",))) as store:
        number = require_id(store.store_scheduled_task(a_task()))
        store.write("UPDATE scheduled_tasks SET policy = ?", (policy,))
        for kind in (RUN, STOP):
            store.requests.ask(kind, number, run_id=1, asked_by="alex", asker="12:34", at=START)
        assert [request.kind for request in store.requests.open_requests()] == ([RUN] if is_open else []) + [STOP]


def test_old_requests_go_with_the_next_one(store: MemoryStore) -> None:
    old = ask(store)
    young = ask(store, at=timedelta(seconds=1))
    ask(store, at=KEPT + timedelta(seconds=1))
    assert store.requests.request(old) is None
    assert store.requests.request(young) is not None


@pytest.mark.law(8)
def test_a_row_of_another_program_that_makes_no_sense_is_passed_over(store: MemoryStore) -> None:
    store.write(
        "INSERT INTO requests (kind, task_id, asked_by, asker, asked_at) VALUES ('dance', 1, '', '', ''),"
        " ('run', 1, 'alex', '', 'yesterday')"
    )
    number = ask(store)
    assert [request.id for request in store.requests.open_requests()] == [number]


def test_the_outlook_tells_that_somebody_asks(store: MemoryStore) -> None:
    assert not store.queue.look_ahead("here").asked
    ask(store)
    assert store.queue.look_ahead("here").asked
