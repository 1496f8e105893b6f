"""Unit tests of places: what a machine may run, alone and as a condition in SQL."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from jarvis_trio.store.places import Condition, Here

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
    assert chosen(here.sends("place")) == places | {None}
    assert chosen(here.takes("place", shared=False)) == {"desk"}
