"""End-to-end proof in simulated time: a year in Denver, every slot exactly once (laws 2, 3, 5, 6).

The year is simulated as two halves, each with all the tasks, so that two processors can
work at it; in the second the intervals go on with the grid of the first. They are for
`make year`; the short ones are the days about the two changes of the clocks.

In 2026 the clocks go on at 2026-03-08 02:00 -07:00 (09:00 UTC) and back at
2026-11-01 02:00 -06:00 (08:00 UTC). The expected slots come from `wall_slots`
below, which walks through the year minute by minute and shares nothing with
`jarvis_trio.schedules.cron`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from jarvis_trio.models import Run, RunStatus
from jarvis_trio.testing import Simulation

DENVER = ZoneInfo("America/Denver")
START = datetime(2026, 1, 1, tzinfo=DENVER).astimezone(UTC)
MIDDLE = datetime(2026, 7, 1, tzinfo=DENVER).astimezone(UTC)
END = datetime(2027, 1, 1, tzinfo=DENVER).astimezone(UTC)
SPRING = datetime(2026, 3, 7, tzinfo=DENVER).astimezone(UTC)
AUTUMN = datetime(2026, 10, 31, tzinfo=DENVER).astimezone(UTC)
DAYS = timedelta(days=2)
SPANS = [
    pytest.param(SPRING, SPRING + DAYS, id="clocks go on"),
    pytest.param(AUTUMN, AUTUMN + DAYS, id="clocks go back"),
    pytest.param(START, MIDDLE, id="January to June", marks=pytest.mark.long),
    pytest.param(MIDDLE, END, id="July to December", marks=pytest.mark.long),
]
MINUTE = timedelta(minutes=1)

INTERVALS = {f"every {minutes}m": timedelta(minutes=minutes) for minutes in (4, 8, 12, 60, 90, 121, 475)}
INTERVALS |= {"every 8h": timedelta(hours=8), "every 26h": timedelta(hours=26), "every 5d": timedelta(days=5)}
INTERVALS |= {"every 36h": timedelta(hours=36), "every 10d": timedelta(days=10)}

Matches = Callable[[datetime], bool]
WILD: dict[str, tuple[str, Matches]] = {
    "quarters": ("*/15 * * * *", lambda t: t.minute % 15 == 0),
    "on the half hour": ("30 * * * *", lambda t: t.minute == 30),
    "hourly": ("@hourly", lambda t: t.minute == 0),
    "past the hour": ("7 * * * *", lambda t: t.minute == 7),
    "in the first hours": ("*/20 0-3 * * *", lambda t: t.minute % 20 == 0 and t.hour <= 3),
    "at night in March": ("*/10 2 * 3 *", lambda t: t.minute % 10 == 0 and t.hour == 2 and t.month == 3),
    "workdays": ("5 */6 * * MON-FRI", lambda t: t.minute == 5 and t.hour % 6 == 0 and t.weekday() < 5),
}
FIXED: dict[str, tuple[str, Matches]] = {
    "in the gap": ("30 2 * * *", lambda t: (t.hour, t.minute) == (2, 30)),
    "twice in the gap": ("10,50 2 * * *", lambda t: t.hour == 2 and t.minute in (10, 50)),
    "repeated": ("30 1 * * *", lambda t: (t.hour, t.minute) == (1, 30)),
    "midnight": ("@daily", lambda t: (t.hour, t.minute) == (0, 0)),
    "Sundays": ("0 2 * * SUN", lambda t: (t.hour, t.minute) == (2, 0) and t.weekday() == 6),
    "Mondays by number": ("15 9 * * 0", lambda t: (t.hour, t.minute) == (9, 15) and t.weekday() == 0),
    "first Fridays": ("0 17 1-7 * FRI", lambda t: (t.hour, t.minute) == (17, 0) and t.day <= 7 and t.weekday() == 4),
    "quarterly": ("0 6 1 1,4,7,10 *", lambda t: (t.hour, t.minute, t.day) == (6, 0, 1) and t.month in (1, 4, 7, 10)),
    "last day of some": ("59 23 31 * *", lambda t: (t.hour, t.minute, t.day) == (23, 59, 31)),
}
ONCE = {
    "in the repeated hour": "2026-11-01T01:30",
    "at noon": "2026-07-04T12:00",
    "in the lost hour": "2026-03-08T02:15",
}


def grid(step: timedelta, start: datetime, end: datetime) -> list[datetime]:
    """The slots in [start, end) of an interval that began with the year."""
    first = max(1, -((START - start) // step))
    return [START + k * step for k in range(first, -((START - end) // step))]


def wall_minutes(start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Each minute in UTC, with what Denver's clocks show."""
    while start < end:
        yield start, start.astimezone(DENVER)
        start += MINUTE


def wall_slots(minutes: list[tuple[datetime, datetime]], matches: Matches, fixed: bool) -> list[datetime]:
    """Debian's law, by looking at every minute: see cron(8)."""
    slots = [at for at, local in minutes if matches(local) and not (fixed and local.fold)]
    lost = datetime(2026, 3, 8, 2, tzinfo=UTC)  # as wall time, for its fields alone
    after_gap = datetime(2026, 3, 8, 9, tzinfo=UTC)
    if fixed and minutes[0][0] <= after_gap < minutes[-1][0] and any(matches(lost + k * MINUTE) for k in range(60)):
        slots = sorted({*slots, after_gap})
    return slots


def expected_slots(start: datetime, end: datetime) -> dict[str, list[datetime]]:
    minutes = list(wall_minutes(start, end))
    expected = {name: grid(step, start, end) for name, step in INTERVALS.items()}
    expected |= {name: wall_slots(minutes, matches, fixed=False) for name, (_, matches) in WILD.items()}
    expected |= {name: wall_slots(minutes, matches, fixed=True) for name, (_, matches) in FIXED.items()}
    once = {name: datetime.fromisoformat(at).replace(tzinfo=DENVER).astimezone(UTC) for name, at in ONCE.items()}
    expected |= {name: [at] for name, at in once.items()}
    return {name: [slot for slot in slots if start <= slot < end] for name, slots in expected.items()}


def simulated(start: datetime, end: datetime) -> list[Run]:
    with Simulation(start - MINUTE, zone="America/Denver") as simulation:
        for name, step in INTERVALS.items():
            simulation.add(name, every=step)
            first = grid(step, start, end + step)[0].isoformat()
            simulation.store.update_scheduled_task(simulation.store.tasks.require_task(name).id or 0, next_run_at=first)
        for name, (expression, _) in (WILD | FIXED).items():
            simulation.add(name, cron=expression)
        for name, at in ONCE.items():
            simulation.add(name, at=at)
            if not expected_in(at, start, end):
                simulation.store.delete_scheduled_task(simulation.store.tasks.require_task(name).id or 0)
        simulation.run(end - start + MINUTE - timedelta(microseconds=1))
        return simulation.history()


def expected_in(at: str, start: datetime, end: datetime) -> bool:
    return start <= datetime.fromisoformat(at).replace(tzinfo=DENVER) < end


@pytest.mark.law(2)
@pytest.mark.law(3)
@pytest.mark.parametrize(("start", "end"), SPANS)
def test_law_2_and_3_every_slot_runs_exactly_once(start: datetime, end: datetime) -> None:
    runs = simulated(start, end)
    expected = expected_slots(start, end)
    ran: dict[str, list[datetime]] = {name: [] for name in expected}
    for run in runs:
        ran[run.task_name].append(run.scheduled_for)

    assert len(expected) >= 30
    assert sum(map(len, expected.values())) > 800 * (end - start).days
    assert {name: len(slots) for name, slots in ran.items()} == {name: len(slots) for name, slots in expected.items()}
    assert ran == expected
    assert Counter(run.status for run in runs) == {RunStatus.EXECUTED: len(runs)}
    assert max(run.started_at - run.scheduled_for for run in runs) == timedelta(0)
    assert not any(run.collapsed for run in runs)
