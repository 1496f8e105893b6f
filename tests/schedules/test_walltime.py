"""The clock on the wall as whole numbers (unit tests).

America/Denver: 2026-03-08 02:00 -07:00 -> 03:00 -06:00; 2026-11-01 02:00 -06:00 -> 01:00 -07:00.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest

from jarvis_trio.schedules.walltime import Stretch, at_minute, instant_seconds, is_plain, stretches, wall_minute

DENVER = ZoneInfo("America/Denver")
HOUR = 3600


def denver(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=DENVER, fold=fold)


def test_wall_minutes_count_from_the_first_monday() -> None:
    assert wall_minute(denver("0001-01-01 00:00:59")) == 0
    assert wall_minute(denver("0001-01-02 00:01:59")) == 1441


def test_at_minute_is_the_way_back() -> None:
    assert at_minute(wall_minute(denver("2026-03-04 10:07:30")), DENVER) == denver("2026-03-04 10:07")


def test_instants_tell_the_passes_of_a_repeated_hour_apart() -> None:
    first, second = denver("2026-11-01 01:30"), denver("2026-11-01 01:30", fold=1)
    assert instant_seconds(second) - instant_seconds(first) == HOUR


def test_instants_of_one_moment_are_equal_in_all_zones() -> None:
    moment = datetime(2026, 7, 1, 12, 0, 5, 999_999, tzinfo=UTC)
    assert instant_seconds(moment.astimezone(DENVER)) == instant_seconds(moment)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("2026-03-08 01:59", True),
        ("2026-03-08 02:00", False),
        ("2026-03-08 02:59", False),
        ("2026-03-08 03:00", True),
        ("2026-11-01 00:59", True),
        ("2026-11-01 01:00", False),
        ("2026-11-01 01:59", False),
        ("2026-11-01 02:00", True),
        ("2026-07-01 12:00", True),
        ("0001-01-01 00:00", True),
        ("9999-12-31 23:59", True),
    ],
)
@pytest.mark.parametrize("fold", [0, 1])
def test_plain_is_what_the_clock_reads_exactly_once(text: str, plain: bool, fold: int) -> None:
    assert is_plain(denver(text, fold), DENVER) is plain


@pytest.mark.parametrize(("change", "before", "after"), [("2026-03-08T09:00", -7, -6), ("2026-11-01T08:00", -6, -7)])
def test_stretches_meet_at_the_second_of_a_change(change: str, before: int, after: int) -> None:
    moment = datetime.fromisoformat(change).replace(tzinfo=UTC)
    start, at, end = (instant_seconds(moment + timedelta(hours=hours)) for hours in (-30, 0, 50))
    assert list(stretches(DENVER, start, end)) == [
        Stretch(start // 60 + before * 60, at // 60 + before * 60, before * HOUR),
        Stretch(at // 60 + after * 60, end // 60 + after * 60, after * HOUR),
    ]


@pytest.mark.parametrize("zone", [None, UTC, timezone(timedelta(0))])
def test_a_zone_without_changes_is_one_stretch(zone: tzinfo | None) -> None:
    assert list(stretches(zone, 61, 1_000_000_000)) == [Stretch(2, 16_666_667, 0)]


def test_a_stretch_without_a_whole_minute_is_left_out() -> None:
    assert list(stretches(UTC, 61, 120)) == []
    assert list(stretches(UTC, 61, 121)) == [Stretch(2, 3, 0)]
