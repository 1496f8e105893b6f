"""The judge of histories: first judged itself, then set upon simulated histories."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_trio.models import HandlerContext, ScheduledTask
from jarvis_trio.testing import Simulation
from tests.support.chronos import findings

START = datetime(2026, 10, 31, 12, 0, tzinfo=UTC)
"""Half a day before the clocks of Denver are set back."""

HOUR = 3600.0
MINUTE = 60.0


def test_targets_with_a_run_each_are_met() -> None:
    assert not findings(required=[0, 60, 120], starts=[0.2, 60, 129.9], tolerance=10)


@pytest.mark.parametrize(
    ("starts", "unmet"), [([], [60.0]), ([70.1], [60.0]), ([59.9], [60.0])], ids=["none", "too late", "too early"]
)
def test_a_target_without_a_run_in_its_window_is_unmet(starts: list[float], unmet: list[float]) -> None:
    found = findings(required=[60], starts=starts, tolerance=10)
    assert (found.unmet, found.surplus) == (unmet, starts)


def test_a_run_meets_one_target_only() -> None:
    assert findings(required=[0, 5], starts=[6], tolerance=10).unmet == [5]


def test_a_second_run_for_a_target_is_surplus() -> None:
    assert findings(required=[0, 60], starts=[1, 2, 60], tolerance=10).surplus == [2]


def test_a_target_too_young_to_have_ended_may_be_met_but_need_not() -> None:
    assert not findings(required=[0], starts=[1], tolerance=10, allowed=[60])
    assert not findings(required=[0], starts=[1, 61], tolerance=10, allowed=[60])


def test_a_run_goes_to_the_required_target_where_an_allowed_one_would_take_it() -> None:
    assert not findings(required=[5], starts=[6], tolerance=10, allowed=[0])


small = st.lists(st.integers(0, 12).map(float), max_size=5)


@given(required=small, allowed=small, starts=small, tolerance=st.integers(0, 4))
def test_it_finds_fault_exactly_where_every_assignment_has_one(
    required: list[float], allowed: list[float], starts: list[float], tolerance: int
) -> None:
    assert bool(findings(required, starts, tolerance, allowed=allowed)) is not _can_be_assigned(
        required, allowed, starts, tolerance
    )


def _can_be_assigned(required: list[float], allowed: list[float], starts: list[float], tolerance: int) -> bool:
    """Whether some assignment gives every run a target of its own, with none of the required ones left. By trial."""
    targets = [*required, *allowed]
    return any(
        set(range(len(required))) <= set(chosen)
        and all(0 <= start - targets[number] <= tolerance for start, number in zip(starts, chosen, strict=True))
        for chosen in permutations(range(len(targets)), len(starts))
    )


class Recorder:
    """A handler that notes when it was called, outside of the program."""

    def __init__(self) -> None:
        self.starts: list[float] = []

    def __call__(self, task: ScheduledTask, context: HandlerContext) -> None:
        self.starts.append(context.started_at.timestamp())


def every(step: timedelta, hours: float) -> list[float]:
    """The targets of an interval whose first slot is one step after START."""
    count = int(timedelta(hours=hours) / step)
    return [(START + number * step).timestamp() for number in range(1, count + 1)]


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    with Simulation(START, zone="America/Denver") as simulation:
        yield simulation


@pytest.mark.law(3)
def test_a_simulated_day_meets_every_target_of_every_task_and_runs_nothing_else(simulation: Simulation) -> None:
    targets = {"7m": every(timedelta(minutes=7), 24), "quarter": every(timedelta(minutes=15), 24)}
    ran = {name: Recorder() for name in targets}
    simulation.add("7m", every="7m", handler=ran["7m"])
    simulation.add("quarter", cron="*/15 * * * *", handler=ran["quarter"])  # a wild-card job: in the repeated hour too
    simulation.run(hours=24, seconds=1)
    for name, wanted in targets.items():
        assert not findings(wanted, ran[name].starts, tolerance=1), name


@pytest.mark.law(3)
def test_a_crash_and_a_restart_a_minute_later_delay_a_run_by_no_more_than_that(simulation: Simulation) -> None:
    ran = Recorder()
    simulation.add("5m", every="5m", handler=ran)
    simulation.run(hours=1, minutes=4, seconds=30)
    simulation.crash_after(writes=0)
    simulation.suspend(minutes=1)
    simulation.restart()
    simulation.run(hours=1)
    assert not findings(every(timedelta(minutes=5), 2.1), ran.starts, tolerance=MINUTE)
    assert findings(every(timedelta(minutes=5), 2.1), ran.starts, tolerance=29)


@pytest.mark.law(2)
def test_a_clock_set_back_makes_no_run_that_has_no_target(simulation: Simulation) -> None:
    ran = Recorder()
    simulation.add("hourly", cron="0 * * * *", handler=ran)
    simulation.run(hours=3, minutes=30)
    simulation.set_clock(START + timedelta(hours=1, minutes=30))
    simulation.run(hours=3)
    assert not findings(every(timedelta(hours=1), 4.5), ran.starts, tolerance=1)
