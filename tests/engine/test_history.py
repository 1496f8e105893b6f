"""What of the history goes, when it is looked at again, and what becomes of the files of its runs."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from jarvis_trio.engine.history import History
from jarvis_trio.engine.limits import Limits
from jarvis_trio.handlers.outputs import Outputs
from jarvis_trio.models import RunStatus
from jarvis_trio.store import MemoryStore
from tests.support.core_fakes import START, a_task

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
STEADY = timedelta(hours=1)
"""How long the clock has not been set if everything may go; the default of `Limits`."""


def record_runs(store: MemoryStore, *ages: timedelta) -> list[int]:
    """Runs of one task that began this long before `START`; returns their numbers in this order."""
    task = store.store_scheduled_task(a_task(enabled=False))
    before = store.runs.run_numbers()
    for age in ages:
        store.runs.record_unrun(task, START - age, RunStatus.MISSED, "too late", at=START - age)
    return sorted(store.runs.run_numbers() - before)


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    return Outputs(tmp_path / "runs")


def test_what_is_older_than_the_limit_goes_and_what_is_as_old_stays(store: MemoryStore) -> None:
    numbers = record_runs(store, 3 * DAY + SECOND, 3 * DAY, DAY, 0 * DAY)
    History(store, Limits(history_days=3), None).prune(START, STEADY)
    assert sorted(store.runs.run_numbers()) == numbers[1:]


@pytest.mark.parametrize(
    ("steady_clock", "steady_for", "pause"),
    [
        (STEADY, STEADY, DAY),
        (STEADY, 2 * STEADY, DAY),
        (STEADY, timedelta(minutes=20), timedelta(minutes=40)),
        (STEADY, STEADY - SECOND, SECOND),
        (3 * DAY, timedelta(0), DAY),
    ],
    ids=str,
)
def test_it_is_wanted_a_day_later_or_as_soon_as_the_clock_is_steady(
    store: MemoryStore, steady_clock: timedelta, steady_for: timedelta, pause: timedelta
) -> None:
    kept = History(store, Limits(steady_clock=steady_clock), None)
    assert kept.is_wanted(START)
    kept.prune(START, steady_for)
    assert not kept.is_wanted(START + pause - SECOND)
    assert kept.is_wanted(START + pause)
    kept.look_again(START + SECOND)
    assert kept.is_wanted(START + SECOND)


@pytest.mark.parametrize("limits", [{"history_days": 1}, {"history_runs": 1}], ids=str)
def test_what_is_too_much_for_one_tick_is_wanted_at_once_and_goes_with_its_files(
    store: MemoryStore, outputs: Outputs, limits: dict[str, int]
) -> None:
    numbers = record_runs(store, 4 * DAY, 3 * DAY, 2 * DAY, 0 * DAY)
    for number in numbers:
        outputs.create(number).write(b"x")
    kept = History(store, Limits(pruned_at_once=2, **limits), outputs)

    for left in (numbers[2:], numbers[3:]):
        assert kept.is_wanted(START)
        kept.prune(START, STEADY)
        assert sorted(store.runs.run_numbers()) == left
        assert [number for number in numbers if outputs.path(number).exists()] == left
    assert not kept.is_wanted(START)


def test_two_tasks_with_too_many_runs_lose_no_more_than_one_tick_may_delete(store: MemoryStore) -> None:
    for name in ("one", "two"):
        task = store.store_scheduled_task(a_task(name, enabled=False))
        for days in range(4, 0, -1):
            at = START - days * DAY
            store.runs.record_unrun(task, at, RunStatus.MISSED, "too late", at=at)
    kept = History(store, Limits(history_runs=1, pruned_at_once=4), None)
    counts = []
    for _ in range(3):
        kept.prune(START, STEADY)
        counts.append(len(store.runs.run_numbers()))
    assert counts == [4, 2, 2]


@pytest.mark.parametrize("limits", [{"history_days": 1}, {"history_runs": 1}, {}], ids=str)
@pytest.mark.parametrize(
    ("later", "goes"), [(DAY, True), (DAY - SECOND, False), (-DAY, True), (SECOND - DAY, False)], ids=str
)
def test_what_is_too_much_goes_once_a_day_also_if_the_clock_is_set_back_and_so_do_files_without_a_run(
    store: MemoryStore, outputs: Outputs, later: timedelta, goes: bool, limits: dict[str, int]
) -> None:
    kept = History(store, Limits(**limits), outputs)
    kept.prune(START, STEADY)
    numbers = record_runs(store, 9 * DAY, 0 * DAY)
    outputs.create(999).write(b"of no run")
    kept.prune(START + later, STEADY)
    assert sorted(store.runs.run_numbers()) == (numbers[1:] if goes and limits else numbers)
    assert outputs.path(999).exists() is not goes


def test_a_clock_that_was_set_deletes_by_number_alone_until_it_is_steady(store: MemoryStore) -> None:
    numbers = record_runs(store, 9 * DAY, 8 * DAY, 7 * DAY, 0 * DAY)
    kept = History(store, Limits(history_days=1, history_runs=3), None)
    kept.prune(START, STEADY - SECOND)
    assert sorted(store.runs.run_numbers()) == numbers[1:]
    kept.prune(START, STEADY)
    assert sorted(store.runs.run_numbers()) == numbers[3:]


@pytest.mark.law(4)
def test_law_4_a_task_that_runs_all_the_time_does_not_fill_the_disk_in_a_day(store: MemoryStore) -> None:
    task = store.store_scheduled_task(a_task())
    kept, most = History(store, Limits(history_runs=5, pruned_at_once=2), None), 0
    kept.prune(START, STEADY)
    for number in range(100):
        at = START + number * timedelta(milliseconds=10)
        store.runs.record_unrun(task, at, RunStatus.SKIPPED, "it still runs", at=at)
        if kept.is_wanted(at):
            kept.prune(at, STEADY)
        most = max(most, len(store.runs.run_numbers()))
    assert most < 2 * 5
