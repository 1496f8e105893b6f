"""What `CronExpression` promises, one behaviour a test (unit tests; the oracles are in test_cron_oracles.py).

The clock changes that the tests use, local time:

    America/Denver       2026-03-08  02:00 -07:00 -> 03:00 -06:00    2026-11-01  02:00 -06:00 -> 01:00 -07:00
    Australia/Lord_Howe  2026-10-04  02:00 +10:30 -> 02:30 +11:00    2026-04-05  02:00 +11:00 -> 01:30 +10:30
    America/Havana       2025-03-09  00:00 -05:00 -> 01:00 -04:00    2025-11-02  01:00 -04:00 -> 00:00 -05:00
    America/St_Johns                                                 2006-10-29  00:01 -02:30 -> 23:01 -03:30
    Europe/Dublin        2026-03-29  01:00 +00:00 -> 02:00 +01:00    2026-10-25  02:00 +01:00 -> 01:00 +00:00
    Antarctica/Troll     2026-03-29  01:00 +00:00 -> 03:00 +02:00    2026-10-25  03:00 +02:00 -> 01:00 +00:00
    Africa/Casablanca    2026-03-22  02:00 +00:00 -> 03:00 +01:00    2026-02-15  03:00 +01:00 -> 02:00 +00:00
    Asia/Kathmandu       1986-01-01  00:00 +05:30 -> 00:15 +05:45
    Pacific/Apia         2011-12-30  00:00 -10:00 -> 2011-12-31 00:00 +14:00
    Africa/Monrovia      1972-01-07  00:00 -00:44:30 -> 00:44:30 +00:00
"""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from jarvis_trio.errors import CronError
from jarvis_trio.schedules.cron import CronExpression, FieldCheck


def at(text: str, zone: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)


def fires(expression: str, after: datetime, count: int) -> list[str]:
    """The next fires in local time with offset, which tells the passes of a repeated hour apart."""
    cron, found = CronExpression(expression), []
    for _ in range(count):
        after = cron.next_time(after)
        found.append(after.isoformat(timespec="minutes"))
    return found


def next_naive(expression: str, after: str) -> str:
    return CronExpression(expression).next_time(datetime.fromisoformat(after)).isoformat(" ", "minutes")


# What an expression is


def test_equal_expressions_mean_the_same() -> None:
    assert len({CronExpression(text) for text in ("0 9 * * MON-FRI", "0 9 * * 0-4", "00 9 * * 0,1,2,3,4")}) == 1


def test_expressions_that_differ_only_at_a_clock_change_are_not_equal() -> None:
    assert CronExpression("* 1 * * *") != CronExpression("0-59 1 * * *")
    assert CronExpression("* 1 * * *") != "* 1 * * *"


def test_shows_its_text() -> None:
    assert CronExpression("@daily").text == "@daily"
    assert repr(CronExpression("0 9 * * *")) == "CronExpression('0 9 * * *')"


def test_can_be_copied_to_another_process() -> None:
    cron = CronExpression("0 9 * * MON-FRI")
    assert pickle.loads(pickle.dumps(cron)) == cron


@pytest.mark.parametrize(
    ("expression", "is_fixed"),
    [
        ("30 2 * * *", True),
        ("0-59 0-23 * * *", True),
        ("@daily", True),
        ("* 2 * * *", False),
        ("*/15 2 * * *", False),
        ("30 * * * *", False),
        ("30 */2 * * *", False),
        ("*,5 2 * * *", False),
        ("@hourly", False),
    ],
)
def test_a_star_at_the_start_of_minute_or_hour_makes_a_wildcard_job(expression: str, is_fixed: bool) -> None:
    assert CronExpression(expression).is_fixed_time is is_fixed


# Days


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("0 0 29 2 *", "2026-01-01 00:00", "2028-02-29 00:00"),
        ("0 0 29 2 *", "2096-03-01 00:00", "2104-02-29 00:00"),  # 2100 is no leap year
        ("0 0 29 2 MON", "2017-01-01 00:00", "2044-02-29 00:00"),
        ("0 0 29 2 MON", "2072-03-01 00:00", "2112-02-29 00:00"),  # forty years, over 2100
        ("0 0 31 4,6,9,11,12 *", "2026-01-01 00:00", "2026-12-31 00:00"),
        ("59 23 31 12 *", "2026-12-31 23:58", "2026-12-31 23:59"),
        ("59 23 31 12 *", "2026-12-31 23:59", "2027-12-31 23:59"),
    ],
)
def test_finds_days_that_are_years_away(expression: str, after: str, expected: str) -> None:
    assert next_naive(expression, after) == expected


@pytest.mark.parametrize("days", ["30 2", "31 2", "31 4,6,9,11", "30-31 FEB"])
@pytest.mark.parametrize("weekday", ["*", "MON"])
def test_an_expression_that_can_never_fire_says_so(days: str, weekday: str) -> None:
    cron = CronExpression(f"0 0 {days} {weekday}")
    assert not cron.can_fire
    assert cron.latest(datetime(2000, 1, 1), datetime(2100, 1, 1)) == (None, 0)  # noqa: DTZ001  naive is its subject
    with pytest.raises(CronError, match="can never fire"):
        cron.next_time(datetime(2026, 1, 1, tzinfo=UTC))


# Naive and aware


def test_a_naive_time_gives_a_naive_one_without_clock_changes() -> None:
    assert next_naive("30 2 * * *", "2026-03-08 00:00") == "2026-03-08 02:30"
    assert CronExpression("* * * * *").next_time(datetime(2026, 3, 8)).tzinfo is None  # noqa: DTZ001  as above


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=-7)), ZoneInfo("Asia/Tokyo")])
def test_an_aware_time_is_read_in_its_own_zone(zone: timezone | ZoneInfo) -> None:
    fire = CronExpression("0 9 * * *").next_time(datetime(2026, 3, 4, 10, 7, tzinfo=zone))
    assert (fire.isoformat()[:16], fire.tzinfo) == ("2026-03-05T09:00", zone)


@pytest.mark.parametrize(("seconds", "minute"), [(0, 8), (0.000001, 8), (59.999999, 8)])
def test_a_fire_is_strictly_after_and_a_whole_minute(seconds: float, minute: int) -> None:
    after = datetime(2026, 3, 4, 10, 7, tzinfo=UTC) + timedelta(seconds=seconds)
    assert CronExpression("* * * * *").next_time(after) == datetime(2026, 3, 4, 10, minute, tzinfo=UTC)
    just_before = datetime(2026, 3, 4, 10, 7, 59, 999999, tzinfo=UTC)
    assert CronExpression("8 * * * *").next_time(just_before) == datetime(2026, 3, 4, 10, 8, tzinfo=UTC)


@pytest.mark.parametrize("zone", ["America/Denver", "Asia/Tokyo", "Europe/London"])
def test_goes_to_the_end_of_the_calendar_and_no_further(zone: str) -> None:
    cron = CronExpression("0 12 * * *")
    assert cron.next_time(at("9999-12-31 11:59", zone)) == at("9999-12-31 12:00", zone)
    with pytest.raises(CronError, match="ends, with the year 9999"):
        cron.next_time(at("9999-12-31 12:00", zone))
    with pytest.raises(CronError, match="ends, with the year 9999"):
        CronExpression("* * * * *").next_time(at("9999-12-31 23:59:59", zone))
    with pytest.raises(CronError, match="ends, with the year 9999"):
        CronExpression("0 0 29 2 *").next_time(at("9997-01-01 00:00", zone))
    assert cron.latest(at("9999-12-30 12:00", zone), at("9999-12-31 23:59:59", zone)) == (
        at("9999-12-31 12:00", zone),
        1,
    )


@pytest.mark.parametrize("zone", ["America/Denver", "Asia/Tokyo", "Europe/London"])
@pytest.mark.parametrize("expression", ["30 12 * * *", "*/30 12 * * *"])
def test_begins_with_the_first_day_of_the_calendar(zone: str, expression: str) -> None:
    cron, start = CronExpression(expression), at("0001-01-01 00:00", zone)
    assert cron.next_time(start).isoformat()[:10] == "0001-01-01"
    last, count = cron.latest(start, at("0001-01-03 12:30", zone))
    assert last == at("0001-01-03 12:30", zone)
    assert count == 3 * (1 if cron.is_fixed_time else 2)


# Clock changes: fixed-time jobs


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("30 2 * * *", "2026-03-07 12:00", ["2026-03-08T03:00-06:00", "2026-03-09T02:30-06:00"]),
        ("0,30 2 * * *", "2026-03-07 12:00", ["2026-03-08T03:00-06:00", "2026-03-09T02:00-06:00"]),
        ("30 2,3 * * *", "2026-03-07 12:00", ["2026-03-08T03:00-06:00", "2026-03-08T03:30-06:00"]),
        ("0 2,3 * * *", "2026-03-07 12:00", ["2026-03-08T03:00-06:00", "2026-03-09T02:00-06:00"]),
        ("0-59/20 2 8 3 *", "2026-03-07 12:00", ["2026-03-08T03:00-06:00", "2027-03-08T02:00-07:00"]),
        ("30 3 * * *", "2026-03-07 12:00", ["2026-03-08T03:30-06:00"]),
    ],
)
def test_a_fixed_time_in_the_gap_runs_once_right_after_it(expression: str, after: str, expected: list[str]) -> None:
    assert fires(expression, at(after, "America/Denver"), len(expected)) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("30 1 * * *", ["2026-11-01T01:30-06:00", "2026-11-02T01:30-07:00"]),
        ("0,30 1 * * *", ["2026-11-01T01:00-06:00", "2026-11-01T01:30-06:00", "2026-11-02T01:00-07:00"]),
        ("0 1,2 * * *", ["2026-11-01T01:00-06:00", "2026-11-01T02:00-07:00", "2026-11-02T01:00-07:00"]),
    ],
)
def test_a_fixed_time_in_the_repeated_hour_runs_the_first_time(expression: str, expected: list[str]) -> None:
    assert fires(expression, at("2026-10-31 12:00", "America/Denver"), len(expected)) == expected


def test_the_minute_that_begins_a_second_later_is_not_missed_near_a_change() -> None:
    assert fires("30 1 * * *", at("2026-11-01 01:29:59", "America/Denver"), 1) == ["2026-11-01T01:30-06:00"]


def test_a_fixed_time_does_not_run_again_when_asked_in_the_second_pass() -> None:
    second_pass = at("2026-11-01 01:10", "America/Denver", fold=1)
    assert fires("30 1 * * *", second_pass, 1) == ["2026-11-02T01:30-07:00"]
    assert fires("0-59 1,2 * * *", second_pass, 1) == ["2026-11-01T02:00-07:00"]


@pytest.mark.parametrize(
    ("zone", "expression", "after", "expected"),
    [
        ("Australia/Lord_Howe", "15 2 * * *", "2026-10-03 12:00", ["2026-10-04T02:30+11:00", "2026-10-05T02:15+11:00"]),
        ("Australia/Lord_Howe", "45 1 * * *", "2026-04-04 12:00", ["2026-04-05T01:45+11:00", "2026-04-06T01:45+10:30"]),
        ("America/Havana", "30 0 * * *", "2025-03-08 12:00", ["2025-03-09T01:00-04:00", "2025-03-10T00:30-04:00"]),
        ("America/Havana", "@daily", "2025-03-08 12:00", ["2025-03-09T01:00-04:00", "2025-03-10T00:00-04:00"]),
        ("America/Havana", "@daily", "2025-11-01 12:00", ["2025-11-02T00:00-04:00", "2025-11-03T00:00-05:00"]),
        ("America/St_Johns", "@daily", "2006-10-28 12:00", ["2006-10-29T00:00-02:30", "2006-10-30T00:00-03:30"]),
        ("America/St_Johns", "30 23 * * *", "2006-10-28 12:00", ["2006-10-28T23:30-02:30", "2006-10-29T23:30-03:30"]),
        ("Europe/Dublin", "30 1 * * *", "2026-03-28 12:00", ["2026-03-29T02:00+01:00", "2026-03-30T01:30+01:00"]),
        ("Europe/Dublin", "30 1 * * *", "2026-10-24 12:00", ["2026-10-25T01:30+01:00", "2026-10-26T01:30+00:00"]),
        ("Antarctica/Troll", "0 1-2 * * *", "2026-03-28 12:00", ["2026-03-29T03:00+02:00", "2026-03-30T01:00+02:00"]),
        ("Antarctica/Troll", "0 2 * * *", "2026-10-24 12:00", ["2026-10-25T02:00+02:00", "2026-10-26T02:00+00:00"]),
        ("Africa/Casablanca", "30 2 * * *", "2026-03-21 12:00", ["2026-03-22T03:00+01:00", "2026-03-23T02:30+01:00"]),
        ("Africa/Casablanca", "30 2 * * *", "2026-02-14 12:00", ["2026-02-15T02:30+01:00", "2026-02-16T02:30+00:00"]),
        ("Asia/Kathmandu", "10 0 * * *", "1985-12-31 12:00", ["1986-01-01T00:15+05:45", "1986-01-02T00:10+05:45"]),
    ],
)
def test_the_law_for_fixed_times_holds_in_every_zone(
    zone: str, expression: str, after: str, expected: list[str]
) -> None:
    assert fires(expression, at(after, zone), len(expected)) == expected


def test_the_times_of_a_day_that_a_zone_skipped_run_right_after_it() -> None:
    noon = at("2011-12-29 12:00", "Pacific/Apia")
    assert fires("0 9,18 30 * *", noon, 2) == ["2011-12-31T00:00+14:00", "2012-01-30T09:00+14:00"]
    assert fires("@daily", noon, 2) == ["2011-12-31T00:00+14:00", "2012-01-01T00:00+14:00"]


def test_a_gap_that_ends_within_a_minute_is_over_at_the_next_whole_one() -> None:
    eve = at("1972-01-06 12:00", "Africa/Monrovia")
    assert fires("30 0 * * *", eve, 2) == ["1972-01-07T00:45+00:00", "1972-01-08T00:30+00:00"]
    assert fires("30 0 * * *", at("1972-01-07 00:44:40", "Africa/Monrovia"), 1) == ["1972-01-07T00:45+00:00"]


# Clock changes: wild-card jobs


def test_a_wildcard_job_does_not_run_in_the_gap() -> None:
    before = at("2026-03-08 01:30", "America/Denver")
    assert fires("*/30 * * * *", before, 2) == ["2026-03-08T03:00-06:00", "2026-03-08T03:30-06:00"]
    assert fires("*/30 2 * * *", before, 1) == ["2026-03-09T02:00-06:00"]
    assert fires("30 * * * *", before, 1) == ["2026-03-08T03:30-06:00"]


def test_a_wildcard_job_runs_in_both_passes_of_the_repeated_hour() -> None:
    before = at("2026-11-01 00:45", "America/Denver")
    assert fires("*/30 * * * *", before, 5) == [
        "2026-11-01T01:00-06:00",
        "2026-11-01T01:30-06:00",
        "2026-11-01T01:00-07:00",
        "2026-11-01T01:30-07:00",
        "2026-11-01T02:00-07:00",
    ]
    assert fires("*/30 1 * * *", before, 5)[3:] == ["2026-11-01T01:30-07:00", "2026-11-02T01:00-07:00"]


@pytest.mark.parametrize(
    ("zone", "expression", "after", "expected"),
    [
        ("Australia/Lord_Howe", "*/15 2 4 * *", "2026-10-04 01:59", ["2026-10-04T02:30+11:00"]),
        ("Australia/Lord_Howe", "*/5 3 4 * *", "2026-10-04 01:59", ["2026-10-04T03:00+11:00"]),
        (
            "Australia/Lord_Howe",
            "*/20 * * * *",
            "2026-04-05 01:30",
            ["2026-04-05T01:40+11:00", "2026-04-05T01:40+10:30", "2026-04-05T02:00+10:30"],
        ),
        ("America/Havana", "* 0 * * *", "2025-03-09 01:00", ["2025-03-10T00:00-04:00"]),
        (
            "America/Havana",
            "30 */12 * * *",
            "2025-11-01 13:00",
            ["2025-11-02T00:30-04:00", "2025-11-02T00:30-05:00", "2025-11-02T12:30-05:00"],
        ),
        (
            "America/St_Johns",
            "*/30 * 28,29 10 *",
            "2006-10-28 23:30",
            ["2006-10-29T00:00-02:30", "2006-10-28T23:30-03:30", "2006-10-29T00:00-03:30", "2006-10-29T00:30-03:30"],
        ),
        ("Pacific/Apia", "0 */12 * * *", "2011-12-29 11:00", ["2011-12-29T12:00-10:00", "2011-12-31T00:00+14:00"]),
    ],
)
def test_a_wildcard_job_follows_the_clock_in_every_zone(
    zone: str, expression: str, after: str, expected: list[str]
) -> None:
    assert fires(expression, at(after, zone), len(expected)) == expected


def test_a_wildcard_job_that_only_names_the_gap_waits_for_a_year_without_one_there() -> None:
    gap_days = at("2026-03-08 00:00", "America/Denver")
    assert fires("* 2 8 3 *", gap_days, 1) == ["2027-03-08T02:00-07:00"]


def test_a_wildcard_job_whose_every_time_is_in_a_gap_can_never_fire_there() -> None:
    cron = CronExpression("*/5 2 8-14 3 SUN")  # the second Sunday of March, when the clock goes forward at two
    with pytest.raises(CronError, match=r"can never fire in America/Denver: all its times fall into gaps"):
        cron.next_time(at("2026-01-01 00:00", "America/Denver"))
    assert cron.next_time(at("2026-01-01 00:00", "Europe/Berlin")) == at("2026-03-08 02:00", "Europe/Berlin")


def test_a_wildcard_job_that_waits_out_a_gap_misses_no_minute_after_it() -> None:
    # The first time is in the gap, and the second at the instant to which the search for it came.
    assert fires("10 */24 7,10 1 *", at("1972-01-01 00:00", "Africa/Monrovia"), 1) == ["1972-01-10T00:10+00:00"]


def test_a_wildcard_job_whose_every_time_is_in_a_gap_ends_with_the_calendar() -> None:
    after = at("9990-01-01 00:00", "America/Denver")
    with pytest.raises(CronError, match=r"after 9990-01-01T00:00:00-07:00 the calendar ends, with the year 9999"):
        CronExpression("*/5 2 8-14 3 SUN").next_time(after)


def test_the_result_in_the_second_pass_has_fold_1() -> None:
    first = CronExpression("*/30 * * * *").next_time(at("2026-11-01 01:00", "America/Denver"))
    second = CronExpression("*/30 * * * *").next_time(first)
    assert (first.hour, first.minute, first.fold) == (1, 30, 0)
    assert (second.hour, second.minute, second.fold) == (1, 0, 1)


@pytest.mark.parametrize("expression", ["* * * * *", "0-59 0-23 * * *"])
def test_a_time_that_the_clock_never_read_is_the_instant_that_pep_495_gives_it(expression: str) -> None:
    in_the_gap = at("2026-03-08 02:30", "America/Denver")  # fold 0: by the offset before, so really 03:30
    assert fires(expression, in_the_gap, 1) == ["2026-03-08T03:31-06:00"]
    assert fires(expression, in_the_gap.replace(fold=1), 1) == ["2026-03-08T01:31-07:00"]


# The latest fire


def test_latest_gives_the_last_fire_and_how_many_there_were() -> None:
    start, end = at("2026-03-02 00:00", "America/Denver"), at("2026-03-06 12:00", "America/Denver")
    assert CronExpression("0 9 * * MON-FRI").latest(start, end) == (at("2026-03-06 09:00", "America/Denver"), 5)


def test_latest_leaves_out_its_start_and_takes_in_its_end() -> None:
    nine = at("2026-03-02 09:00", "America/Denver")
    cron = CronExpression("0 9 * * *")
    assert cron.latest(nine, nine + timedelta(days=1)) == (nine + timedelta(days=1), 1)
    assert cron.latest(nine, nine) == (None, 0)
    assert cron.latest(nine, nine - timedelta(days=3)) == (None, 0)


def test_latest_reads_the_expression_in_the_zone_of_its_start() -> None:
    start = at("2026-03-02 00:00", "America/Denver")
    last, count = CronExpression("0 9 * * *").latest(start, datetime(2026, 3, 3, 16, tzinfo=UTC))  # 09:00 there
    assert (last, count) == (at("2026-03-03 09:00", "America/Denver"), 2)
    assert last is not None
    assert last.tzinfo is start.tzinfo


@pytest.mark.parametrize(
    ("expression", "march", "november"),
    [
        ("* * * * *", 23 * 60, 25 * 60),
        ("0-59 0-23 * * *", 23 * 60, 24 * 60),
        ("30 2 * * *", 1, 1),
        ("0,30 1-2 * * *", 3, 4),
        ("*/30 2 * * *", 0, 2),
    ],
)
def test_latest_counts_by_the_same_law(expression: str, march: int, november: int) -> None:
    def count(day: str) -> int:
        midnight = at(f"{day} 00:00", "America/Denver") - timedelta(microseconds=1)
        return CronExpression(expression).latest(midnight, midnight + timedelta(days=1))[1]

    assert (count("2026-03-08"), count("2026-11-01")) == (march, november)


def test_latest_counts_a_year_of_minutes_without_going_through_them() -> None:
    start = at("2026-01-01 00:00", "America/Denver")
    last, count = CronExpression("* * * * *").latest(start, start.replace(year=2027))
    assert (last, count) == (start.replace(year=2027), 365 * 24 * 60)


# Why


def test_describe_says_field_by_field_why_it_does_not_fire() -> None:
    saturday = at("2026-03-07 09:05", "America/Denver")
    assert CronExpression("0,5 9 * JAN-MAR mon-fri").describe(saturday) == [
        FieldCheck("minute", "0,5", "05", True),
        FieldCheck("hour", "9", "09", True),
        FieldCheck("day of month", "*", "07", True),
        FieldCheck("month", "JAN-MAR", "March", True),
        FieldCheck("weekday", "mon-fri", "Saturday", False),
    ]
