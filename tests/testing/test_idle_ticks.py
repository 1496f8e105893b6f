"""The simulated year leaves out trio's sleep between idle ticks; all the rest is the same, by hash."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime

import pytest

from jarvis_trio.testing import Simulation
from jarvis_trio.testing.machine import JumpingClock


class SlowClock(JumpingClock):
    """Says that it stands, so that no sleep is left out."""

    stands = True  # type: ignore[assignment]  # a property there


def witness(simulate: Callable[[Simulation], None], *, interval: float = 60) -> tuple[str, list[datetime]]:
    """A hash of the history, and the instants of all ticks."""
    ticks: list[datetime] = []
    with Simulation("2026-03-07T00:00", zone="America/Denver", tick_interval=interval) as simulation:
        evaluate = simulation.daemon.engine.evaluate_due_tasks

        def noted() -> list[dict[str, object]]:
            ticks.append(simulation.clock.now())
            found: list[dict[str, object]] = evaluate()
            return found

        simulation.daemon.engine.evaluate_due_tasks = noted
        simulate(simulation)
        rows = [(run.task_name, run.scheduled_for, run.started_at, run.status) for run in simulation.history()]
    return hashlib.sha256(repr(rows).encode()).hexdigest(), ticks


def a_week(simulation: Simulation) -> None:
    simulation.add("often", every="7m")
    simulation.add("nightly", cron="30 2 * * *")
    simulation.add("once", at="2026-03-09T12:00:30")
    simulation.run(days=2, hours=3, seconds=7)
    simulation.set_clock("2026-03-08T12:00")
    simulation.run(days=2)
    simulation.suspend(hours=5)
    simulation.add("later", every="3h")
    simulation.run(days=3)


def nothing(simulation: Simulation) -> None:
    simulation.run(days=1, seconds=61)
    simulation.wake()
    simulation.run(days=1)


@pytest.mark.law(6)
@pytest.mark.parametrize("simulate", [a_week, nothing])
@pytest.mark.parametrize(
    "interval", [60, *(pytest.param(seconds, marks=pytest.mark.thorough) for seconds in (59.3, 3600))]
)
def test_law_6_idle_ticks_in_a_row_are_the_same_ticks_with_the_same_history(
    simulate: Callable[[Simulation], None], interval: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = witness(simulate, interval=interval)
    monkeypatch.setattr("jarvis_trio.testing.simulation.JumpingClock", SlowClock)
    slow = witness(simulate, interval=interval)
    assert len(fast[1]) > 20
    assert fast == slow
