"""Tests of the simulation kit: what a user's test does with it, and that it is exact, every time."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jarvis_trio.errors import ScheduleError, UnknownTaskError
from jarvis_trio.models import HandlerContext, RunStatus, ScheduledTask, Trigger, require_id
from jarvis_trio.policy import Policy
from jarvis_trio.store import MemoryStore
from jarvis_trio.testing import Simulation
from tests.support.core_fakes import told

pytest_plugins = ["jarvis_trio.pytest_plugin"]

START = datetime(2026, 3, 7, 0, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_time_passes_only_in_run() -> None:
    with Simulation("2026-03-07T00:00") as simulation:
        assert simulation.clock.now() == START
        simulation.run(hours=1, minutes=30)
        assert simulation.clock.now() == START + 1.5 * HOUR
        simulation.run(timedelta(days=2))
        assert simulation.clock.now() == START + 49.5 * HOUR


@pytest.mark.law(5)
def test_a_naive_start_is_local_time() -> None:
    with Simulation("2026-03-07T00:00", zone="America/Denver") as simulation:
        assert simulation.clock.now() == START + 7 * HOUR
    with Simulation(datetime(2026, 3, 7, tzinfo=UTC), zone="America/Denver") as simulation:
        assert simulation.clock.now() == START


@pytest.mark.law(3)
@pytest.mark.parametrize("again", range(10))
def test_what_is_due_at_the_last_instant_of_a_run_belongs_to_it(again: int) -> None:
    with Simulation(START) as simulation:
        simulation.add("job", every="1h")
        for _ in range(3):
            simulation.run(hours=1)
        assert [run.scheduled_for for run in simulation.history("job")] == [START + n * HOUR for n in (1, 2, 3)]


@pytest.mark.law(5)
def test_the_three_schedules_and_the_change_of_the_clocks() -> None:
    with Simulation("2026-03-07T00:00", zone="America/Denver") as simulation:
        simulation.add("cron", cron="30 2 * * *")
        simulation.add("interval", every=timedelta(hours=6))
        simulation.add("once", at="2026-03-08T09:00")
        simulation.run(days=2)
        local = [
            run.scheduled_for.astimezone(simulation.clock.zone()).isoformat() for run in simulation.history("cron")
        ]
        assert local == ["2026-03-07T02:30:00-07:00", "2026-03-08T03:00:00-06:00"]
        assert len(simulation.history("interval")) == 8
        assert [run.started_at for run in simulation.history("once")] == [datetime(2026, 3, 8, 15, tzinfo=UTC)]
        assert {run.started_at - run.scheduled_for for run in simulation.history()} == {timedelta(0)}


def test_a_handler_is_a_function_and_is_told_its_slot() -> None:
    calls: list[tuple[str, datetime]] = []

    def handler(task: ScheduledTask, context: HandlerContext) -> dict[str, int]:
        calls.append((task.name, context.scheduled_for))
        return {"n": len(calls)}

    with Simulation(START) as simulation:
        simulation.add("job", every="1h", handler=handler)
        simulation.run(hours=2)
        assert calls == [("job", START + HOUR), ("job", START + 2 * HOUR)]
        assert [run.result for run in simulation.history("job")] == ['{"n": 1}', '{"n": 2}']


@pytest.mark.law(4)
def test_a_handler_that_fails_is_retried_and_told() -> None:
    def handler(task: ScheduledTask, context: HandlerContext) -> None:
        if context.attempt < 3:
            raise SystemExit("no net")

    with Simulation(START) as simulation:
        simulation.add("job", at="2026-03-07T01:00", handler=handler, policy=Policy(retries=2, retry_delay_seconds=60))
        simulation.run(hours=2)
        runs = simulation.history("job")
    assert [(run.attempt, str(run.status)) for run in runs] == [(1, "error"), (2, "error"), (3, "executed")]
    assert runs[1].started_at - runs[0].started_at >= timedelta(seconds=60)


@pytest.mark.parametrize("schedule", [{}, {"every": "soon"}, {"cron": "* * *"}, {"at": "soon"}, {"cron": "0 0 30 2 *"}])
def test_a_task_that_cannot_be_scheduled_is_refused_and_not_added(schedule: dict[str, Any]) -> None:
    with Simulation(START) as simulation:
        with pytest.raises(ScheduleError):
            simulation.add("job", **schedule)
        assert simulation.store.list_scheduled_tasks() == []


@pytest.mark.law(3)
def test_after_a_suspend_what_is_overdue_runs_late_and_within_a_tick() -> None:
    with Simulation(START, tick_interval=60) as simulation:
        simulation.add("hourly", every="1h")
        simulation.add("daily", cron="0 4 * * *")
        simulation.run(minutes=90)
        simulation.suspend(hours=8)
        simulation.run(minutes=1)
        late = simulation.history()[-2:]
        assert [(run.task_name, run.scheduled_for, run.collapsed) for run in late] == [
            ("daily", START + 4 * HOUR, 0),
            ("hourly", START + 9 * HOUR, 7),
        ]
        assert all(run.started_at <= START + 9.5 * HOUR + timedelta(minutes=1) for run in late)


@pytest.mark.law(2)
def test_setting_the_clock_back_runs_no_slot_twice_and_stops_no_interval() -> None:
    with Simulation(START) as simulation:
        simulation.add("interval", every="10m")
        simulation.add("cron", cron="*/30 * * * *")
        simulation.run(hours=5)
        simulation.set_clock(START + 2 * HOUR)
        assert simulation.clock.now() == START + 2 * HOUR
        simulation.run(hours=5)
        slots = [(run.task_name, run.scheduled_for) for run in simulation.history()]
        assert len(slots) == len(set(slots))
        assert len(simulation.history("interval")) == 60
        assert len(simulation.history("cron")) == 14


def test_setting_the_clock_on_runs_each_task_once() -> None:
    with Simulation(START) as simulation:
        simulation.add("job", every="10m")
        simulation.run(minutes=5)
        simulation.set_clock("2026-03-09T00:00")
        simulation.run(minutes=1)
        assert told(simulation.history("job")[::-1]) == [(START + 48 * HOUR, 1, "executed")]


@pytest.mark.law(5)
def test_changing_the_zone_moves_the_local_times() -> None:
    with Simulation(START, zone="America/Denver") as simulation:
        simulation.add("job", cron="0 9 * * *")
        simulation.run(minutes=1)
        simulation.set_zone("Asia/Tokyo")
        simulation.run(days=1, hours=1)
        assert [run.scheduled_for for run in simulation.history("job")] == [START + 24 * HOUR]


@pytest.mark.law(3)
@pytest.mark.parametrize("writes", range(9))
def test_a_crash_between_any_two_writes_loses_and_doubles_nothing(writes: int) -> None:
    ran: list[tuple[str, datetime, int]] = []

    def handler(task: ScheduledTask, context: HandlerContext) -> None:
        ran.append((task.name, context.scheduled_for, context.attempt))

    with Simulation(START) as simulation:
        for name in ("a", "b", "c"):
            simulation.add(name, every="1h", handler=handler)
        simulation.run(minutes=30)
        simulation.crash_after(writes)
        simulation.run(hours=3)
        if simulation.crashed:
            simulation.restart()
        simulation.run(hours=2)
        assert not simulation.crashed
        runs = simulation.history()
    assert len(ran) == len(set(ran))
    assert not [run for run in runs if run.status is RunStatus.RUNNING]
    for name in ("a", "b", "c"):
        mine = [run for run in runs if run.task_name == name]
        first = {run.scheduled_for for run in mine if run.attempt == 1}
        assert sum(run.collapsed for run in mine if run.attempt == 1) + len(first) == (max(first) - START) // HOUR
        for run in mine:
            retried = (name, run.scheduled_for, run.attempt + 1) in ran
            assert retried == (run.status is RunStatus.INTERRUPTED)


def test_a_crash_ends_the_run_early() -> None:
    with Simulation(START) as simulation:
        simulation.add("job", every="1h")
        simulation.run(minutes=30)
        simulation.crash_after(1)
        simulation.run(hours=5)
        assert simulation.crashed
        assert simulation.clock.now() < START + 2 * HOUR


@pytest.mark.law(3)
def test_a_handler_may_crash_the_process() -> None:
    with Simulation(START) as simulation:

        def handler(task: ScheduledTask, context: HandlerContext) -> None:
            if context.attempt == 1:
                simulation.crash_after()

        simulation.add("job", every="1h", handler=handler)
        simulation.run(hours=1)
        assert simulation.crashed
        simulation.restart()
        simulation.run(minutes=1)
        assert told(simulation.history("job")[::-1]) == [
            (START + HOUR, 1, "interrupted"),
            (START + HOUR, 2, "executed"),
        ]


@pytest.mark.law(3)
def test_a_clean_restart_goes_on_where_it_was() -> None:
    with Simulation(START) as simulation:
        simulation.add("job", every="1h")
        for _ in range(4):
            simulation.run(minutes=45)
            simulation.restart()
        simulation.run(minutes=1)
        assert [run.scheduled_for for run in simulation.history("job")] == [START + n * HOUR for n in (1, 2, 3)]


@pytest.mark.law(3)
def test_a_manual_run_moves_no_slot() -> None:
    with Simulation(START) as simulation:
        simulation.add("job", every="1h")
        simulation.run(hours=1)
        assert simulation.run_now("job")["status"] == "executed"
        simulation.run(hours=1)
        runs = simulation.history("job")
        assert [run.trigger for run in runs] == [Trigger.SCHEDULE, Trigger.MANUAL, Trigger.SCHEDULE]
        assert [runs[0].scheduled_for, runs[2].scheduled_for] == [START + HOUR, START + 2 * HOUR]
        with pytest.raises(UnknownTaskError):
            simulation.run_now("nobody")


def test_troubles_are_told_in_the_simulation() -> None:
    def fail(task: ScheduledTask, context: HandlerContext) -> None:
        raise ValueError("no net")

    with Simulation(START) as simulation:
        simulation.add("job", every="1h", handler=fail)
        simulation.run(hours=5)
        assert len(simulation.delivered) == 1
        channel, message = simulation.delivered[0]
        assert channel == "simulated"
        assert "no net" in str(message)


def test_a_recovery_is_told_once_with_its_beginning_in_words() -> None:
    failures = iter([ValueError("no net"), ValueError("no net")])

    def fail_twice(task: ScheduledTask, context: HandlerContext) -> None:
        if (error := next(failures, None)) is not None:
            raise error

    with Simulation("2026-03-02T00:00", zone="America/Denver") as simulation:
        simulation.add("job", every="1h", handler=fail_twice)
        simulation.run(hours=5)
        told = [(message.status, message.result) for _, message in simulation.delivered]
    assert told == [("failing", "ValueError: no net"), ("well again", "in trouble since Mon 2026-03-02 01:00 MST")]


def test_a_task_that_was_set_aside_and_fixed_is_told_with_both_moments() -> None:
    with Simulation("2026-03-02T00:00") as simulation:
        number = require_id(simulation.add("job", cron="0 * * * *"))
        simulation.store.update_scheduled_task(number, schedule_config='{"expression": "oops"}')
        simulation.run(hours=2)
        simulation.store.update_scheduled_task(number, schedule_config='{"expression": "0 * * * *"}', enabled=True)
        simulation.run(hours=1)
        told = [(message.status, message.result) for _, message in simulation.delivered]
    assert told[1] == ("scheduled again", "set aside since Mon 2026-03-02 00:00 UTC")
    assert [status for status, _ in told] == ["set aside", "scheduled again"]


def test_time_passes_without_a_daemon_after_a_crash() -> None:
    with Simulation("2026-03-02T00:00") as simulation:
        simulation.add("letter", at="2026-03-02T09:00")
        simulation.run(hours=1)
        simulation.crash_after()
        simulation.run(hours=23)
        assert simulation.clock.now() == datetime(2026, 3, 3, tzinfo=UTC)
        assert simulation.history() == []
        simulation.restart()
        simulation.run(minutes=1)
        [run] = simulation.history()
    assert (run.scheduled_for.hour, run.started_at) == (9, datetime(2026, 3, 3, tzinfo=UTC))


def test_the_database_may_be_kept(tmp_path: Path) -> None:
    with Simulation(START, folder=tmp_path) as simulation:
        simulation.add("job", every="1h")
        simulation.run(hours=1)
    with MemoryStore(tmp_path / "memory.db") as store:
        assert len(store.runs.list_runs()) == 1


def test_leaving_it_ends_its_thread_and_removes_its_folder() -> None:
    before = threading.active_count()
    with Simulation(START) as simulation:
        simulation.run(hours=1)
        folder = simulation.store.path.parent
    assert threading.active_count() == before
    assert not folder.exists()


def test_two_simulations_of_the_same_are_the_same() -> None:
    def history() -> list[Any]:
        with Simulation(START) as simulation:
            simulation.add("a", every="7m", policy=Policy(retries=2))
            simulation.add("b", cron="*/13 * * * *")
            simulation.run(hours=12)
            return [(run.task_name, run.scheduled_for, run.started_at, run.status) for run in simulation.history()]

    assert history() == history()


@pytest.mark.law(6)
def test_days_pass_in_a_moment() -> None:
    with Simulation(START) as simulation:
        simulation.add("job", cron="0 * * * *")
        simulation.run(days=3)
        assert len(simulation.history("job")) == 72


def test_the_fixture_makes_simulations(simulation: Any) -> None:
    world = simulation("2026-03-07T00:00")
    world.add("job", every="1h")
    world.run(hours=1)
    assert len(world.history("job")) == 1


def test_an_error_in_the_simulated_world_is_raised_where_it_was_asked_for() -> None:
    with Simulation(START) as simulation, pytest.raises(ScheduleError):
        simulation.set_zone("Mars/Olympus")


def test_a_task_with_two_schedules_is_refused() -> None:
    with Simulation("2026-03-07T00:00") as simulation, pytest.raises(ScheduleError, match="has one schedule; give one"):
        simulation.add("backup", every="1h", cron="0 9 * * *")
