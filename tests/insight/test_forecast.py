"""What will run when: unit tests, and a proof against what the simulated daemon then runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest

from jarvis_trio.insight.forecast import Upcoming, forecast
from jarvis_trio.models import RunStatus, ScheduledTask
from jarvis_trio.notation.instants import parse_instant, parse_zone
from jarvis_trio.policy import Policy
from jarvis_trio.store import MemoryStore
from jarvis_trio.testing import Simulation
from tests.support.core_fakes import FakeClock

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MemoryStore]:
    with MemoryStore(tmp_path / "memory.db", clock=FakeClock(NOW)) as store:
        yield store


def add(store: MemoryStore, name: str, kind: str, config: dict[str, object], **columns: object) -> ScheduledTask:
    return store.store_scheduled_task(
        ScheduledTask(name=name, schedule_type=kind, schedule_config=json.dumps(config), handler_type="note", **columns)  # type: ignore[arg-type]  # columns of any type
    )


def slots(store: MemoryStore, start: datetime = NOW, **span: float) -> list[Upcoming]:
    end = start + timedelta(**(span or {"days": 1}))
    return list(forecast(store, store.list_scheduled_tasks(), start, end, NOW).slots)


def times(store: MemoryStore, start: datetime = NOW, **span: float) -> list[datetime]:
    return [slot.at for slot in slots(store, start, **span)]


def at(text: str) -> datetime:
    return parse_instant(text)


SCHEDULES: dict[str, dict[str, str]] = {
    "fixed": {"cron": "30 2 * * *"},
    "two": {"cron": "0,30 1-3 * * *"},
    "wild": {"cron": "*/20 2 * * *"},
    "midnight": {"cron": "15 0 * * *"},
    "hourly": {"cron": "0 */2 * * *"},
    "weekly": {"cron": "0 9 * * SUN"},
    "interval": {"every": "7h"},
    "short": {"every": "25m"},
}


@pytest.mark.parametrize(
    ("zone", "start"),
    [
        ("America/Denver", "2026-03-07T00:00"),
        ("America/Denver", "2026-10-31T00:00"),
        ("Australia/Lord_Howe", "2026-10-03T00:00"),
        ("Australia/Lord_Howe", "2026-04-04T00:00"),
        ("America/Havana", "2025-03-08T00:00"),
        ("America/Havana", "2025-11-01T00:00"),
        ("Africa/Casablanca", "2026-02-14T00:00"),
        ("Asia/Kolkata", "2026-03-07T00:00"),
    ],
)
def test_what_is_forecast_is_what_the_daemon_then_runs(zone: str, start: str) -> None:
    with Simulation(start, zone=zone, tick_interval=3600) as simulation:
        for name, schedule in SCHEDULES.items():
            simulation.add(name, **schedule)
        begin = simulation.clock.now()
        end = begin + timedelta(days=2)
        simulation.add("elsewhere", cron="30 2 * * *", policy=Policy(timezone="Europe/Berlin"))
        simulation.add("single", at=datetime.fromisoformat(start) + timedelta(days=1, hours=2, minutes=30))
        tasks = simulation.store.list_scheduled_tasks()
        expected = [(slot.at, slot.task) for slot in forecast(simulation.store, tasks, begin, end, begin).slots]
        simulation.run(days=2)
        ran = [(run.scheduled_for, run.task_name) for run in simulation.history() if run.scheduled_for < end]
    assert len(expected) > 150
    assert sorted(ran) == expected


def test_the_start_is_included_and_the_end_is_not(store: MemoryStore) -> None:
    add(store, "hourly", "cron", {"expression": "0 * * * *"})
    start = NOW + timedelta(hours=1)
    assert times(store, start, hours=2) == [start, start + timedelta(hours=1)]


def test_slots_are_in_order_of_time_and_then_of_name(store: MemoryStore) -> None:
    for name in ("b", "a", "c"):
        add(store, name, "cron", {"expression": "0 12,15 * * *"})
    assert [(f"{slot.at:%H}", slot.task) for slot in slots(store)] == [
        ("12", "a"),
        ("12", "b"),
        ("12", "c"),
        ("15", "a"),
        ("15", "b"),
        ("15", "c"),
    ]


def test_each_slot_bears_its_tasks_own_zone(store: MemoryStore) -> None:
    add(store, "there", "cron", {"expression": "0 12 * * *"}, policy='{"timezone": "Europe/Berlin"}')
    assert slots(store) == [(at("2026-03-02T11:00"), "there", parse_zone("Europe/Berlin"))]


def test_an_interval_counts_from_the_stored_next_run_also_years_ahead(store: MemoryStore) -> None:
    add(store, "beat", "interval", {"hours": 7}, next_run_at="2026-03-02T10:11:12.5+00:00")
    anchor, far = at("2026-03-02T10:11:12.5"), at("2031-07-01T00:00")
    found = times(store, far, days=2)
    assert len(found) in (6, 7)
    assert all((slot - anchor) % timedelta(hours=7) == timedelta(0) for slot in found)
    assert found[0] - far < timedelta(hours=7)


def test_an_interval_has_no_slot_before_its_next_run(store: MemoryStore) -> None:
    add(store, "beat", "interval", {"hours": 1}, next_run_at="2026-03-02T12:30:00+00:00")
    assert times(store, NOW, hours=4) == [at("2026-03-02T12:30")]
    assert times(store, at("2026-03-01T00:00"), days=1) == []


def test_an_interval_that_nobody_has_seen_yet_begins_one_interval_from_now(store: MemoryStore) -> None:
    add(store, "beat", "interval", {"hours": 10})
    assert times(store, NOW, days=1) == [NOW + timedelta(hours=10), NOW + timedelta(hours=20)]


def test_a_single_time_is_there_until_it_has_run() -> None:
    with Simulation("2026-03-02T09:00") as simulation:
        simulation.add("single", at="2026-03-02T12:00")
        assert times_of(simulation) == [at("2026-03-02T12:00")]
        simulation.run(hours=1)
        assert times_of(simulation) == [at("2026-03-02T12:00")]
        simulation.run(hours=3)
        assert times_of(simulation) == []


def times_of(simulation: Simulation) -> list[datetime]:
    store = simulation.store
    end = at("2026-03-03T00:00")
    found = forecast(store, store.list_scheduled_tasks(), at("2026-03-02T00:00"), end, simulation.clock.now())
    return [slot.at for slot in found.slots]


def test_a_next_run_that_was_put_off_by_another_program_is_believed(store: MemoryStore) -> None:
    add(store, "hourly", "cron", {"expression": "0 * * * *"}, next_run_at="2026-03-02T12:34:00")
    assert times(store, NOW, hours=5) == [at("2026-03-02T12:34"), at("2026-03-02T13:00")]


def test_a_next_run_that_was_put_off_is_what_the_daemon_runs() -> None:
    with Simulation("2026-03-02T09:00") as simulation:
        task = simulation.add("hourly", cron="0 * * * *")
        assert task.id is not None
        simulation.store.update_scheduled_task(task.id, next_run_at="2026-03-02T12:34:00")
        store, now = simulation.store, simulation.clock.now()
        found = forecast(store, [store.tasks.require_task("hourly")], now, at("2026-03-02T14:30"), now)
        expected = [slot.at for slot in found.slots]
        simulation.run(hours=5, minutes=30)
        assert [run.scheduled_for for run in simulation.history()] == expected


def test_the_past_of_a_cron_task_is_what_its_expression_names(store: MemoryStore) -> None:
    add(store, "daily", "cron", {"expression": "0 6 * * *"}, next_run_at="2026-03-03T06:00:00+00:00")
    assert times(store, at("2026-02-28T00:00"), days=4) == [
        at("2026-02-28T06:00"),
        at("2026-03-01T06:00"),
        at("2026-03-02T06:00"),
        at("2026-03-03T06:00"),
    ]


def test_paused_tasks_are_left_out_with_the_reason(store: MemoryStore) -> None:
    add(store, "paused", "cron", {"expression": "0 12 * * *"}, enabled=False)
    add(store, "broken", "cron", {"expression": "99 * * * *"})
    found = forecast(store, store.list_scheduled_tasks(), NOW, NOW + timedelta(days=1), NOW)
    assert list(found.slots) == []
    assert found.left_out["paused"] == "paused"
    assert found.left_out["broken"].startswith("cannot be scheduled: cron minute '99' is out of range")


def test_tasks_that_were_set_aside_are_left_out_with_the_reason() -> None:
    with Simulation("2026-03-02T09:00") as simulation:
        task = simulation.add("broken", cron="0 12 * * *")
        assert task.id is not None
        simulation.run(minutes=1)
        simulation.store.update_scheduled_task(task.id, schedule_config='{"expression": "0 0 30 2 *"}')
        simulation.run(minutes=2)
        simulation.store.update_scheduled_task(task.id, schedule_config='{"expression": "0 12 * * *"}')
        now = simulation.clock.now()
        [task] = simulation.store.list_scheduled_tasks()
        found = forecast(simulation.store, [task], now, now + timedelta(days=1), now)
        assert [run.status for run in simulation.history()] == [RunStatus.SKIPPED]
    assert list(found.slots) == []
    assert found.left_out["broken"].startswith("set aside: cron expression '0 0 30 2 *' can never fire")


def test_ten_thousand_years_of_seconds_are_computed_as_they_are_asked_for(store: MemoryStore) -> None:
    for number in range(50):
        add(store, f"task {number}", "interval", {"seconds": 1}, next_run_at="2026-03-02T09:00:00+00:00")
    found = forecast(store, store.list_scheduled_tasks(), NOW, datetime.max.replace(tzinfo=UTC), NOW)
    first = list(islice(found.slots, 51))
    assert {slot.at for slot in first[:50]} == {NOW}
    assert first[50].at == NOW + timedelta(seconds=1)
