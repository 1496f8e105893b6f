"""Unit tests of instants as people type them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from jarvis_trio.errors import ScheduleError
from jarvis_trio.moments import read_moment, read_past
from tests.support.core_fakes import START

DENVER = ZoneInfo("America/Denver")  # START, Monday 09:00 UTC, is 02:00 there


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("2026-12-01T09:00", "2026-12-01T09:00"),
        ("2026-12-01 09:00:30", "2026-12-01T09:00:30"),
        ("2026-12-01 9:00", "2026-12-01T09:00"),
        ("2026-12-01", "2026-12-01T00:00"),
        ("today 23:15", "2026-03-02T23:15"),
        ("tomorrow 9:00", "2026-03-03T09:00"),
        ("Tomorrow", "2026-03-03T00:00"),
        ("yesterday", "2026-03-01T00:00"),
        ("friday 18:30", "2026-03-06T18:30"),
        ("fri 18:30", "2026-03-06T18:30"),
        ("monday 03:00", "2026-03-02T03:00"),
        ("monday 01:00", "2026-03-09T01:00"),
    ],
)
def test_a_local_time_is_read_in_the_zone_and_stays_local(text: str, local: str) -> None:
    assert read_moment(text, START, DENVER) == datetime.fromisoformat(local)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("now", START),
        ("in 20m", START + timedelta(minutes=20)),
        ("in 1h30m", START + timedelta(minutes=90)),
        ("2026-12-01T09:00+01:00", datetime(2026, 12, 1, 8, tzinfo=UTC)),
    ],
)
def test_an_instant_stays_an_instant(text: str, instant: datetime) -> None:
    assert read_moment(text, START, DENVER) == instant


@pytest.mark.parametrize(
    "text", ["", "soon", "10/11", "tomorrow 25:00", "tomorrow 9", "friday", "in", "in 5", "in 99999999d", "noday 9:00"]
)
def test_what_has_no_single_meaning_is_refused_with_the_forms_that_have(text: str) -> None:
    with pytest.raises(ScheduleError, match=r"not a time: .*; write it like 2026-12-01T09:00, tomorrow 9:00"):
        read_moment(text, START, DENVER)


def test_a_duration_in_the_past_means_so_long_ago() -> None:
    assert read_past("2h", START, DENVER) == START - timedelta(hours=2)


def test_a_local_time_in_the_past_is_an_instant() -> None:
    assert read_past("yesterday", START, DENVER) == datetime(2026, 3, 1, 7, tzinfo=UTC)


def test_a_duration_beyond_the_calendar_is_refused() -> None:
    with pytest.raises(ScheduleError, match=r"not a time: .*; write it like 2h \(ago\)"):
        read_past("99999999d", START, DENVER)
