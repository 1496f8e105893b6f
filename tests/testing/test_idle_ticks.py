"""The simulated year leaves out trio's sleep between idle ticks; all the rest is the same, by hash."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from jarvis_trio.models import HandlerContext, ScheduledTask
from jarvis_trio.policy import Policy
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
        history = simulation.history()
    rows = [(run.task_name, run.scheduled_for, run.started_at, run.status, run.result) for run in history]
    return hashlib.sha256(repr(rows).encode()).hexdigest(), ticks


def three_days(simulation: Simulation) -> None:
    """The clocks change, the clock is set back to before that, and the machine sleeps."""
    simulation.add("often", every="7m")
    simulation.add("nightly", cron="30 2 * * *")
    simulation.add("once", at="2026-03-08T20:00:30")
    simulation.run(days=1, hours=5, seconds=7)
    simulation.set_clock("2026-03-07T20:00")
    simulation.run(days=1, hours=2)
    simulation.suspend(hours=5)
    simulation.add("later", every="3h")
    simulation.run(hours=20)


def a_bad_day(simulation: Simulation) -> None:
    """Its handlers fail and are retried, set the clock, and wake the daemon; some of it is told."""

    def fails_before_noon(task: ScheduledTask, context: HandlerContext) -> None:
        if context.scheduled_for.hour < 12:
            raise ValueError("too early")

    simulation.add("early", every="50m", handler=fails_before_noon, policy=Policy(retries=2, retry_delay_seconds=30))
    simulation.add("slips", every="2h", handler=lambda task, context: simulation.clock.shift(timedelta(seconds=90)))
    simulation.add("back", every="7h", handler=lambda task, context: simulation.clock.shift(timedelta(minutes=-3)))
    simulation.add("counts messages", every="5m", handler=lambda task, context: str(len(simulation.delivered)))
    simulation.add("wakes", every="25m", handler=lambda task, context: simulation.daemon.wake())
    simulation.run(days=1)
    assert len(simulation.delivered) > 1


def nothing(simulation: Simulation) -> None:
    simulation.run(days=1, seconds=61)
    simulation.wake()
    simulation.run(days=1)


@pytest.mark.law(6)
@pytest.mark.parametrize(
    "simulate", [pytest.param(three_days, marks=[pytest.mark.slow, pytest.mark.thorough]), a_bad_day, nothing]
)
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
