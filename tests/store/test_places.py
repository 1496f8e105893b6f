"""Unit tests of places: what a machine may run, alone and as a condition in SQL."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from jarvis_trio.models import require_id
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.outbox import Letter
from jarvis_trio.store.places import Condition, Here
from tests.support.core_fakes import START, FakeClock, a_task

PLACES = (None, "desk", "office", "attic")


def chosen(condition: Condition) -> set[str | None]:
    """Which of the places a condition chooses."""
    sql, values = condition
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE things (place TEXT)")
        database.executemany("INSERT INTO things VALUES (?)", [(place,) for place in PLACES])
        return {row[0] for row in database.execute(f"SELECT place FROM things WHERE {sql}", values)}


@pytest.mark.parametrize(
    ("here", "places"),
    [
        (Here("desk"), {None, "desk"}),
        (Here("desk", ("office",)), {None, "desk", "office"}),
        (Here("desk", ("office",), takes_any=False), {"desk", "office"}),
    ],
)
def test_a_machine_takes_what_names_it_or_a_label_of_its_and_what_runs_anywhere_if_it_takes_that(
    here: Here, places: set[str | None]
) -> None:
    assert {place for place in PLACES if here.may_take(place)} == places
    assert chosen(here.takes("place")) == places
    assert chosen(here.sends()) == places | {None}
    assert chosen(here.takes("place", shared=False)) == {"desk"}


LETTER = Letter("email", None, "job", "executed", "fine", "2026-03-02T09:00:00+00:00", 1)
SOMEWHERE = ("attic", "any", "office", "desk")


@pytest.fixture
def desk(path: Path, empty_database: Path, clock: FakeClock) -> Iterator[MemoryStore]:
    """The database as the desk sees it, which is one of the machines with the label `office`."""
    shutil.copy(empty_database, path)
    with MemoryStore(path, clock=clock, machine=Here("desk", ("office",))) as desk:
        yield desk


def add_everywhere(store: MemoryStore, *, settled: bool = True) -> dict[str, int]:
    """A task at each place, by the name of the place: one is due each minute from START on."""
    numbers = {}
    for minute, place in enumerate(SOMEWHERE):
        task = store.store_scheduled_task(a_task(place, policy={"on": place}))
        numbers[place] = require_id(task)
        if settled:
            store.queue.settle(task, START + timedelta(minutes=minute))
    return numbers


def test_the_queue_of_a_machine_has_what_it_may_run(desk: MemoryStore) -> None:
    numbers, late = add_everywhere(desk), START + timedelta(hours=1)
    head = desk.queue.head(late)
    assert head is not None
    assert head.task.name == "any"
    assert desk.queue.look_ahead("me").slot_at == START + timedelta(minutes=1)
    assert desk.queue.look_ahead("me", [numbers["any"]]).slot_at == START + timedelta(minutes=2)


def test_a_machine_that_may_not_share_has_only_what_no_other_may_run(desk: MemoryStore) -> None:
    numbers, late = add_everywhere(desk), START + timedelta(hours=1)
    head = desk.queue.head(late, shared=False)
    assert head is not None
    assert head.task.name == "desk"
    assert desk.queue.head(late, [numbers["desk"]], shared=False) is None
    assert desk.queue.look_ahead("me", shared=False).slot_at == START + timedelta(minutes=3)


def test_any_machine_reads_a_task_that_was_changed(desk: MemoryStore) -> None:
    add_everywhere(desk, settled=False)
    head = desk.queue.head(START, shared=False)
    assert head is not None
    assert (head.task.name, head.changed) == ("attic", True)


def test_a_retry_waits_where_its_task_is_to_run(desk: MemoryStore) -> None:
    numbers = add_everywhere(desk)
    for place, number in numbers.items():
        task = desk.get_scheduled_task(number)
        assert task is not None
        desk.queue.dequeue(number)
        desk.queue.enqueue_retry(task, START, 2, START + timedelta(seconds=numbers[place]))
    head = desk.queue.head(START + timedelta(hours=1))
    assert head is not None
    assert (head.task.name, head.attempt) == ("any", 2)


def test_a_message_goes_from_its_place_or_from_anywhere_if_it_names_none(desk: MemoryStore) -> None:
    for minute, place in enumerate(("attic", None, "office", "desk")):
        desk.outbox.post(LETTER._replace(task_name=str(place), place=place), START + timedelta(minutes=minute))
    assert desk.queue.look_ahead("me").letter_at == START + timedelta(minutes=1)
    (first,) = desk.outbox.first_letters()
    assert first.due_at == START + timedelta(minutes=1)
    late, found = START + timedelta(hours=1), []
    while (letter := desk.outbox.take_letter(first, late, late + timedelta(hours=1))) is not None:
        found.append(letter.task_name)
    assert found == ["None", "office", "desk"]


def test_a_run_has_the_place_of_its_task(desk: MemoryStore) -> None:
    add_everywhere(desk)
    for task in desk.list_scheduled_tasks():
        desk.runs.claim_run(task, START, 1, started_at=START, owner="me")
    assert {run.task_name: run.place for run in desk.list_runs()} == {
        "attic": "attic",
        "any": None,
        "office": "office",
        "desk": "desk",
    }


def test_a_database_of_one_machine_knows_its_name_and_no_places(path: Path) -> None:
    with MemoryStore(path) as store:
        assert (store.machine, store.here) == (None, None)
    with MemoryStore(path, machine="desk") as store:
        assert (store.machine, store.here) == ("desk", Here("desk"))
