"""Unit tests: local times that a zone's clock skips, or reads twice.

2026 in America/Denver: on 8 March 02:00 MST becomes 03:00 MDT, on 1 November 02:00 MDT
becomes 01:00 MST. In Australia/Lord_Howe the change is half an hour, in Havana at midnight.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest

from jarvis_trio.schedules.clock_changes import ClockChange, change_at, clock_changes
from jarvis_trio.schedules.cron import CronExpression

DENVER = ZoneInfo("America/Denver")
HAVANA = ZoneInfo("America/Havana")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
local = datetime.fromisoformat
ZONES = [DENVER, HAVANA, LORD_HOWE, ZoneInfo("Europe/Berlin"), ZoneInfo("Africa/Casablanca"), ZoneInfo("Asia/Kolkata")]


def changes_of_2026(zone: tzinfo) -> tuple[ClockChange, ...]:
    return clock_changes(zone, datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


def test_the_changes_of_a_year_are_found_with_their_local_times() -> None:
    spring, autumn = changes_of_2026(DENVER)
    assert spring == ClockChange(
        datetime(2026, 3, 8, 9, tzinfo=UTC), before=local("2026-03-08T02:00"), after=local("2026-03-08T03:00")
    )
    assert autumn == ClockChange(
        datetime(2026, 11, 1, 8, tzinfo=UTC), before=local("2026-11-01T02:00"), after=local("2026-11-01T01:00")
    )
    assert (spring.skips, autumn.skips) == (True, False)
    assert spring.at.tzinfo is UTC


@pytest.mark.parametrize("zone", ZONES, ids=str)
def test_the_offset_differs_before_and_after_each_change_and_nowhere_else(zone: tzinfo) -> None:
    changes = {change.at for change in changes_of_2026(zone)}
    instant, offset = datetime(2026, 1, 1, tzinfo=UTC), None
    while instant < datetime(2027, 1, 1, tzinfo=UTC):
        offset, before = instant.astimezone(zone).utcoffset(), offset
        assert (before not in (offset, None)) == (instant in changes)
        instant += timedelta(minutes=30)


def test_the_range_includes_its_start_and_excludes_its_end() -> None:
    at = datetime(2026, 3, 8, 9, tzinfo=UTC)
    day = timedelta(days=1)
    assert [change.at for change in clock_changes(DENVER, at, at + day)] == [at]
    assert clock_changes(DENVER, at - day, at) == ()
    assert clock_changes(DENVER, at + timedelta(seconds=1), at + day) == ()


@pytest.mark.parametrize(
    ("zone", "reading", "found"),
    [
        (DENVER, local("2026-03-08T01:59"), None),
        (DENVER, local("2026-03-08T02:00"), True),
        (DENVER, local("2026-03-08T02:59:59"), True),
        (DENVER, local("2026-03-08T03:00"), None),
        (DENVER, local("2026-11-01T01:00"), False),
        (DENVER, local("2026-11-01T02:00"), None),
        (LORD_HOWE, local("2026-10-04T02:29"), True),
        (LORD_HOWE, local("2026-10-04T02:30"), None),
        (HAVANA, local("2026-03-08T00:15"), True),
    ],
)
def test_a_reading_is_told_from_those_that_are_plain(zone: tzinfo, reading: datetime, found: bool | None) -> None:
    change = change_at(reading, zone)
    assert (None if change is None else change.skips) == found


def test_the_times_of_an_expression_in_a_gap_are_listed() -> None:
    spring = changes_of_2026(DENVER)[0]
    times = [f"{time:%H:%M}" for time in spring.times_of(CronExpression("0,30 1-3 * * *"))]
    assert times == ["02:00", "02:30"]
