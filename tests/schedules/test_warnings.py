"""Unit tests: what a person is told of a schedule before it surprises them.

Seen from 21 November 2026. The next changes: America/Denver on 14 March (02:00 becomes
03:00) and 7 November 2027 (02:00 becomes 01:00); Lord Howe on 3 October 2027, half an
hour. Havana changed on 9 March 2025, at midnight, and is to do so no longer.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from jarvis_trio.models import ScheduledTask
from jarvis_trio.schedules.schedule import schedule_warnings
from jarvis_trio.schedules.warnings import Code, ScheduleWarning

NOW = datetime(2026, 11, 21, 20, tzinfo=UTC)
EARLIER = datetime(2024, 11, 21, 20, tzinfo=UTC)


def lint_of(
    kind: str,
    config: dict[str, object],
    zone: str = "America/Denver",
    now: datetime = NOW,
    *,
    begun: bool = False,
    over: bool = False,
    **columns: str,
) -> list[ScheduleWarning]:
    task = ScheduledTask(
        name="job", schedule_type=kind, schedule_config=json.dumps(config), handler_type="custom", **columns
    )
    return schedule_warnings(task, ZoneInfo(zone), now, lambda slot: begun, lambda slot: over)


def lint_cron(expression: str, zone: str = "America/Denver", now: datetime = NOW) -> list[ScheduleWarning]:
    return lint_of("cron", {"expression": expression}, zone, now)


@pytest.mark.parametrize("expression", ["0 9 * * *", "*/5 * * * *", "0 * * * *", "@daily", "15 3 1 * *"])
def test_a_schedule_without_surprises_has_no_warning(expression: str) -> None:
    assert lint_cron(expression) == []


@pytest.mark.parametrize("expression", ["30 2 * * *", "*/30 2 * * *", "30 1 * * *"])
def test_a_zone_whose_clock_never_changes_has_no_warning(expression: str) -> None:
    assert lint_cron(expression, "Asia/Kolkata") == []


def test_an_interval_notices_no_change_of_the_clock() -> None:
    assert lint_of("interval", {"days": 1}) == []


def test_a_shorter_interval_than_the_shortest_is_told() -> None:
    [warning] = lint_of("interval", {"seconds": 0.000001})
    assert warning.code is Code.SHORT
    assert warning.sentence == "its interval of 0.000001s is shorter than the shortest, 0.01s; it runs every 0.01s"


def test_the_shortest_interval_has_no_warning() -> None:
    assert lint_of("interval", {"seconds": 0.01}) == []


def test_an_expression_that_never_fires_is_told() -> None:
    [warning] = lint_cron("0 0 30 2 *")
    assert warning.code is Code.NEVER
    assert "can never fire" in warning.sentence
    assert not warning.harmless


def test_a_schedule_that_cannot_be_understood_is_a_warning_and_no_error() -> None:
    assert [warning.code for warning in lint_of("cron", {"expression": "61 * * * *"})] == [Code.NEVER]
    assert [warning.code for warning in lint_of("weekly", {})] == [Code.NEVER]


def test_a_schedule_that_is_far_away_is_told_with_its_date() -> None:
    [warning] = lint_cron("0 12 29 2 *")
    assert warning == ScheduleWarning(
        Code.RARE, "it runs next on Tue 2028-02-29 12:00 MST, in 1 year and 99 days", (date(2028, 2, 29),)
    )
    assert warning.harmless


def test_a_schedule_that_is_far_away_is_told_with_its_date_in_its_own_zone() -> None:
    [warning] = lint_cron("0 20 29 2 *")  # in UTC it is 1 March by then
    assert warning.dates == (date(2028, 2, 29),)


def test_a_schedule_of_once_a_year_is_not_far_away_in_a_leap_year_either() -> None:
    assert lint_cron("0 12 1 3 *", "UTC", datetime(2027, 3, 1, 12, tzinfo=UTC)) == []


def test_a_fixed_time_in_the_gap_is_told_with_the_dates_and_when_it_runs() -> None:
    [warning] = lint_cron("30 2 * * *")
    assert warning == ScheduleWarning(
        Code.MOVED,
        "on 2027-03-14 02:30 does not exist in America/Denver; it runs at 03:00 (also on 2028-03-12)",
        (date(2027, 3, 14), date(2028, 3, 12)),
    )
    assert not warning.harmless


def test_a_clock_change_that_is_met_once_is_told_with_one_date() -> None:
    assert lint_cron("30 2 14 3 *") == [
        ScheduleWarning(
            Code.MOVED,
            "on 2027-03-14 02:30 does not exist in America/Denver; it runs at 03:00",
            (date(2027, 3, 14),),
        )
    ]


def test_several_times_in_one_gap_are_one_run() -> None:
    [warning] = lint_cron("0,30 2 * * *")
    assert "02:00 and 02:30 do not exist in America/Denver; it runs once for all, at 03:00" in warning.sentence


def test_a_fixed_time_that_comes_twice_is_harmless() -> None:
    [warning] = lint_cron("30 1 * * *")
    assert (warning.code, warning.harmless) == (Code.FIRST_PASS, True)
    assert warning.dates == (date(2027, 11, 7), date(2028, 11, 5))
    assert warning.sentence == (
        "on 2027-11-07 01:30 comes twice in America/Denver; it runs the first time only (also on 2028-11-05)"
    )


def test_several_fixed_times_that_come_twice_are_told_together() -> None:
    [warning] = lint_cron("0,30 1 * * *")
    assert "01:00 and 01:30 come twice in America/Denver; it runs the first time only" in warning.sentence


def test_runs_that_follow_the_clock_are_skipped_in_the_gap() -> None:
    [warning] = lint_cron("*/30 2 * * *")
    assert warning.code is Code.SKIPPED
    assert "the clock goes from 02:00 to 03:00 in America/Denver" in warning.sentence
    assert "2 runs (at 02:00 and 02:30) do not take place" in warning.sentence
    [warning] = lint_cron("30 */2 * * *")
    assert "and 1 run (at 02:30) does not take place" in warning.sentence


def test_runs_that_follow_the_clock_are_doubled_in_the_repeated_hour() -> None:
    [warning] = lint_cron("*/15 1 * * *")
    assert warning.code is Code.DOUBLED
    assert "goes back from 02:00 to 01:00 in America/Denver, and 4 runs" in warning.sentence
    assert "(at 01:00, 01:15, 01:30 and 01:45) take place twice" in warning.sentence
    assert warning.dates == (date(2027, 11, 7), date(2028, 11, 5))
    [warning] = lint_cron("*/30 1 * * *", "Australia/Lord_Howe")
    assert "goes back from 02:00 to 01:30 in Australia/Lord_Howe, and 1 run (at 01:30) takes place twice" in (
        warning.sentence
    )


def test_an_hourly_job_keeps_its_rhythm_where_the_change_is_an_hour_and_not_where_it_is_half_of_one() -> None:
    assert lint_cron("0 * * * *", "America/Denver") == []
    [warning] = lint_cron("0 * * * *", "Australia/Lord_Howe")
    assert (warning.code, warning.dates[0]) == (Code.SKIPPED, date(2027, 10, 3))
    assert lint_cron("*/30 * * * *", "Australia/Lord_Howe") == []


def test_a_change_at_midnight_is_met() -> None:
    codes = {warning.code: warning.sentence for warning in lint_cron("15 0 * * *", "America/Havana", EARLIER)}
    assert codes.keys() == {Code.MOVED, Code.FIRST_PASS}
    assert "on 2025-03-09 00:15 does not exist in America/Havana; it runs at 01:00" in codes[Code.MOVED]


def test_only_changes_of_the_next_two_years_are_told_and_none_that_is_over() -> None:
    [warning] = lint_cron("30 2 * * *")
    assert all(date(2026, 11, 21) <= day <= date(2028, 11, 22) for day in warning.dates)
    assert lint_cron("30 2 8 3 *") == []  # the clock changed on 8 March 2026, and not so soon again


def test_a_change_earlier_today_is_over() -> None:
    task = ScheduledTask(
        name="job", schedule_type="cron", schedule_config='{"expression": "30 2 14 3 *"}', handler_type="custom"
    )

    def warnings_at(now: datetime) -> list[ScheduleWarning]:
        return schedule_warnings(task, ZoneInfo("America/Denver"), now, lambda slot: False, lambda slot: False)

    before, change, after = (datetime(2027, 3, 14, hour, tzinfo=UTC) for hour in (8, 9, 10))
    assert [warning.code for warning in warnings_at(before)] == [Code.MOVED]
    assert warnings_at(change) == []
    assert warnings_at(after) == []


def test_the_tasks_own_zone_counts() -> None:
    own = lint_of("cron", {"expression": "30 2 * * *"}, policy='{"timezone": "UTC"}')
    assert own == []


def test_a_single_time_in_the_past_is_told_until_its_run_begins() -> None:
    [warning] = lint_of("once", {"run_at": "2026-11-21T12:00"})
    assert warning.code is Code.PAST
    assert "Sat 2026-11-21 12:00 MST, was 1 hour ago" in warning.sentence
    assert lint_of("once", {"run_at": "2026-11-21T12:00"}, begun=True) == []
    assert lint_of("once", {"run_at": "2026-11-21T13:00"}) == []  # that is now


def test_a_single_time_in_the_past_is_told_with_what_follows_and_its_date_in_its_own_zone() -> None:
    assert lint_of("once", {"run_at": "2026-11-20T23:00"}) == [  # in UTC it is 21 November by then
        ScheduleWarning(
            Code.PAST,
            "its only time, Fri 2026-11-20 23:00 MST, was 14 hours ago; it runs as soon as the daemon sees it",
            (date(2026, 11, 20),),
        )
    ]


def test_whether_a_single_time_is_over_is_asked_of_that_time() -> None:
    at = datetime(2026, 11, 21, 12, tzinfo=UTC)
    task = ScheduledTask(
        name="job", schedule_type="once", schedule_config=json.dumps({"run_at": at.isoformat()}), handler_type="custom"
    )
    [warning] = schedule_warnings(task, UTC, NOW, lambda slot: slot != at, lambda slot: slot == at)
    assert warning.code is Code.OVER


def test_a_single_time_that_is_over_without_a_run_is_told_to_be_so() -> None:
    [warning] = lint_of("once", {"run_at": "2026-11-21T12:00"}, over=True)
    assert warning.code is Code.OVER
    assert warning.sentence == "its only time, Sat 2026-11-21 12:00 MST, was 1 hour ago; it has not run, and will not"


def test_a_single_time_in_the_gap_is_told_with_what_it_is_read_as() -> None:
    [warning] = lint_of("once", {"run_at": "2027-03-14T02:30"})
    assert warning == ScheduleWarning(
        Code.MOVED,
        "on 2027-03-14 02:30 does not exist in America/Denver; it runs at 03:30 MDT",
        (date(2027, 3, 14),),
    )


def test_a_single_time_that_comes_twice_is_told_unless_it_bears_its_offset() -> None:
    [warning] = lint_of("once", {"run_at": "2027-11-07T01:30"})
    assert (warning.code, warning.sentence[-9:]) == (Code.FIRST_PASS, "01:30 MDT")
    assert lint_of("once", {"run_at": "2027-11-07T01:30-07:00"}) == []
