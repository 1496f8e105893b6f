"""The benchmarks are fair and fit: nobody's slot meets another's, and `make bench` ends within an hour."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.environments import Environment
from benchmarks.punctuality import Turns
from benchmarks.rows import ROWS, lateness_idle

LOCKS = sorted((Path(__file__).parents[2] / "benchmarks" / "requirements").glob("*.txt"))
LONGEST_SECONDS = 55 * 60


def requirements(lock: Path) -> Iterator[str]:
    """The requirements of a lock, each with its hashes in one line."""
    yield from lock.read_text().replace("\\\n", " ").strip().splitlines()


def test_the_whole_run_takes_less_than_an_hour() -> None:
    assert sum(row.SECONDS for row in ROWS) <= LONGEST_SECONDS


def test_each_row_says_what_it_does_and_how() -> None:
    assert all(row.DOES and row.__doc__ for row in ROWS)


def test_nobodys_slot_meets_anothers() -> None:
    turns = Turns(count=3, period_seconds=2, prepare_seconds=0)
    begins_at = turns.begin()

    slots = sorted(slot for _, eighth in lateness_idle.PHASES for slot in turns.instants(begins_at, eighth / 8))

    assert begins_at % 2 == 0
    assert {later - earlier for earlier, later in pairwise(slots)} == {0.25}


def test_tasks_that_are_due_together_have_one_instant() -> None:
    turns = Turns(count=2, period_seconds=1, prepare_seconds=0, tasks=3)

    assert turns.instants(100, phase=0.5) == [100.5] * 3 + [101.5] * 3


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_pins_versions_and_hashes_and_names_no_index(lock: Path) -> None:
    assert all(re.match(r"[\w.\[\],-]+==\S+ .*--hash=sha256:", line) for line in requirements(lock))
    assert "://" not in lock.read_text()


def test_each_environment_of_peers_has_a_lock() -> None:
    assert {lock.stem for lock in LOCKS} == set(Environment) - {Environment.OWN, Environment.FIRST}
