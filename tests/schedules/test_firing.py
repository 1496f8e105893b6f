"""Unit tests: whether a schedule fires in a minute, and why.

2026 in America/Denver: on 8 March 02:00 MST becomes 03:00 MDT, on 1 November 02:00 MDT
becomes 01:00 MST.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_trio.errors import ScheduleError
from jarvis_trio.schedules.firing import Firing, moment_of
from jarvis_trio.schedules.interval import Interval
from jarvis_trio.schedules.once import Once
from jarvis_trio.schedules.schedule import parse_schedule

DENVER = ZoneInfo("America/Denver")
ZONES = [DENVER, ZoneInfo("Australia/Lord_Howe"), ZoneInfo("America/Havana"), ZoneInfo("Europe/Berlin")]


def fires(expression: str, asked: str, zone: ZoneInfo = DENVER) -> Firing:
    schedule = parse_schedule("cron", json.dumps({"expression": expression}), zone)
    return schedule.firing(moment_of(datetime.fromisoformat(asked), zone))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_minute_whose_fields_all_match_is_a_slot() -> None:
    found = fires("0 9 * * MON-FRI", "2026-03-02T09:00")
    assert found.slot == utc("2026-03-02T16:00")
    assert found.why == "all five fields match"
    assert [check.matches for check in found.fields] == [True] * 5
    assert found.note == ""


def test_every_second_of_the_minute_means_that_minute() -> None:
    for asked in ("09:00:00", "09:00:00.500000", "09:00:59"):
        assert fires("0 9 * * *", f"2026-03-02T{asked}").slot == utc("2026-03-02T16:00")
    for asked in ("08:59:00", "09:01:00"):
        assert fires("0 9 * * *", f"2026-03-02T{asked}").slot is None


def test_a_time_with_an_offset_is_read_in_the_schedules_zone() -> None:
    assert fires("0 9 * * *", "2026-03-02T16:00+00:00").why == "all five fields match"


def test_what_does_not_match_is_said_the_weekday_first() -> None:
    found = fires("0 9 * * MON-FRI", "2026-03-07T10:00")
    assert found.slot is None
    assert found.why == "the weekday is Saturday, not MON-FRI, and the hour is 10, not 9"
    assert [check.field for check in found.fields if not check.matches] == ["hour", "weekday"]


def test_the_nearest_slots_are_those_around_the_minute() -> None:
    around = fires("0 9 * * MON-FRI", "2026-03-07T10:00")
    assert (around.before, around.after) == (utc("2026-03-06T16:00"), utc("2026-03-09T15:00"))
    within = fires("0 9 * * *", "2026-03-05T09:00")
    assert (within.before, within.after) == (utc("2026-03-04T16:00"), utc("2026-03-06T16:00"))
    every_minute = fires("* * * * *", "2026-03-02T09:00")
    assert (every_minute.before, every_minute.after) == (utc("2026-03-02T15:59"), utc("2026-03-02T16:01"))


def test_the_slot_before_is_found_however_long_ago_it_was() -> None:
    assert fires("0 0 29 2 MON", "2026-11-21T00:00").before == utc("2016-02-29T07:00")


def test_a_fixed_time_in_the_gap_fires_right_after_it() -> None:
    found = fires("30 2 * * *", "2026-03-08T02:30")
    assert found.slot == utc("2026-03-08T09:00")
    assert found.why == "02:30 does not exist that day, so it runs right after, at 03:00"
    assert found.note == "That day the clock goes from 02:00 to 03:00 in America/Denver."
    assert found.by_clock_change


def test_the_minute_after_the_gap_says_what_it_stands_for() -> None:
    found = fires("0,30 2 * * *", "2026-03-08T03:00")
    assert found.slot == utc("2026-03-08T09:00")
    assert found.why == "02:00 and 02:30 do not exist that day, so it runs right after, at 03:00"
    assert found.by_clock_change


def test_a_time_that_follows_the_clock_is_left_out_in_the_gap() -> None:
    found = fires("*/30 2 * * *", "2026-03-08T02:30")
    assert found.slot is None
    assert found.why == "02:30 does not exist that day, and a schedule whose minute or hour starts with * leaves it out"
    assert found.by_clock_change


def test_a_slot_right_after_the_gap_is_no_answer_for_a_time_in_it() -> None:
    found = fires("0 3 * * *", "2026-03-08T02:40")
    assert found.slot is None
    assert found.why == "the hour is 02, not 3, and the minute is 40, not 0; also, 02:40 does not exist that day"
    assert not found.by_clock_change


@pytest.mark.parametrize(
    ("expression", "asked", "slot", "when"),
    [
        ("30 1 * * *", "2026-11-01T01:30", "2026-11-01T07:30", "the first time"),
        ("30 1 * * *", "2026-11-01T01:30-06:00", "2026-11-01T07:30", "the first time"),
        ("30 1 * * *", "2026-11-01T01:30-07:00", None, "the first time"),
        ("*/30 1 * * *", "2026-11-01T01:30-06:00", "2026-11-01T07:30", "both times"),
        ("*/30 1 * * *", "2026-11-01T01:30-07:00", "2026-11-01T08:30", "both times"),
    ],
)
def test_a_time_that_comes_twice_says_in_which_pass_it_runs(
    expression: str, asked: str, slot: str | None, when: str
) -> None:
    found = fires(expression, asked)
    assert found.slot == (utc(slot) if slot else None)
    assert found.why == f"01:30 comes twice that day, and such a schedule runs {when}"
    assert found.note == "That day the clock goes back from 02:00 to 01:00 in America/Denver."


def test_the_first_minute_that_comes_twice_is_told_like_the_others() -> None:
    found = fires("0 1 * * *", "2026-11-01T01:00")
    assert found.slot == utc("2026-11-01T07:00")
    assert found.why == "01:00 comes twice that day, and such a schedule runs the first time"


@pytest.mark.parametrize(("asked", "words"), [("02:30", "Sun 2026-03-08 02:30"), ("03:00", "Sun 2026-03-08 03:00 MDT")])
def test_a_moment_is_said_as_it_was_asked_for_or_by_its_offset_if_it_exists(asked: str, words: str) -> None:
    assert moment_of(datetime.fromisoformat(f"2026-03-08T{asked}"), DENVER).words() == words


@given(
    zone=st.sampled_from(ZONES),
    expression=st.sampled_from(["30 2 * * *", "*/20 1-3 * * *", "0,30 1,2,3 * * *", "15 0 * * *", "* * * * *"]),
    minutes=st.integers(0, 366 * 1440),
)
def test_a_minute_has_a_slot_exactly_where_the_schedule_says_so(zone: ZoneInfo, expression: str, minutes: int) -> None:
    instant = utc("2026-01-01T00:00") + timedelta(minutes=minutes)
    schedule = parse_schedule("cron", json.dumps({"expression": expression}), zone)
    found = schedule.firing(moment_of(instant, zone))
    assert (found.slot is not None) == (schedule.next_after(instant - timedelta(seconds=1)) == instant)
    assert found.slot in (None, instant)
    assert found.before is not None
    assert found.before < instant < (found.after or instant)


ANCHOR = utc("2026-03-02T09:30:15")
HALF_AN_HOUR = timedelta(minutes=30)
HALF_HOURS = Interval(HALF_AN_HOUR)


def test_an_interval_says_how_far_the_nearest_slots_are() -> None:
    moment = moment_of(utc("2026-03-02T08:42:15"), UTC)
    found = HALF_HOURS.firing(moment, next_run=ANCHOR, known_since=utc("2026-03-01T00:00"))
    assert found.slot is None
    assert found.why == "that is 12 minutes after its slot of 08:30:15 and 18 minutes before the next, 09:00:15"
    assert (found.before, found.after) == (utc("2026-03-02T08:30:15"), utc("2026-03-02T09:00:15"))


def test_an_interval_of_days_says_on_which_days_the_nearest_slots_are() -> None:
    found = Interval(timedelta(days=2)).firing(moment_of(utc("2026-03-03T09:30:15"), UTC), next_run=ANCHOR)
    assert found.why == (
        "that is 1 day after its slot of Mon 2026-03-02 09:30:15 UTC "
        "and 1 day before the next, Wed 2026-03-04 09:30:15 UTC"
    )


def test_an_interval_fires_in_the_minute_that_holds_a_slot() -> None:
    found = HALF_HOURS.firing(moment_of(utc("2026-03-02T10:00"), UTC), next_run=ANCHOR)
    around = Firing(utc("2026-03-02T10:00:15"), "it has a slot every 30 minutes", ANCHOR, utc("2026-03-02T10:30:15"))
    assert found == around
    assert HALF_HOURS.firing(moment_of(utc("2026-03-02T10:00:15"), UTC), next_run=ANCHOR) == around


def test_an_interval_on_the_minute_fires_in_that_minute_and_not_in_the_one_before() -> None:
    anchor = utc("2026-03-02T09:30")
    assert HALF_HOURS.firing(moment_of(utc("2026-03-02T10:00:20"), UTC), next_run=anchor).slot == anchor + HALF_AN_HOUR
    early = HALF_HOURS.firing(moment_of(utc("2026-03-02T09:59"), UTC), next_run=anchor)
    assert (early.slot, early.before, early.after) == (None, anchor, anchor + HALF_AN_HOUR)


def test_an_interval_asked_about_in_the_gap_answers_for_the_instant_right_after_it() -> None:
    asked = moment_of(datetime.fromisoformat("2026-03-08T02:30"), DENVER)
    assert HALF_HOURS.firing(asked, next_run=utc("2026-03-08T08:30")).slot == utc("2026-03-08T09:00")


def test_an_interval_tells_its_slots_in_the_zone_that_is_asked_about() -> None:
    half_days, evening = Interval(timedelta(hours=12)), utc("2026-03-03T01:30")  # Monday, 18:30 in Denver
    found = half_days.firing(moment_of(utc("2026-03-03T03:00"), DENVER), next_run=evening)
    assert found.why == (
        "that is 1 hour and 30 minutes after its slot of 18:30 "
        "and 10 hours and 30 minutes before the next, Tue 2026-03-03 06:30 MST"
    )
    early = half_days.firing(moment_of(utc("2026-03-03T01:00"), DENVER), next_run=evening)
    assert early.why == "its first slot is that of Mon 2026-03-02 18:30 MST"


def test_an_interval_of_seconds_fires_at_the_slot_up_to_the_second_asked_for() -> None:
    tens = Interval(timedelta(seconds=10))
    found = tens.firing(moment_of(utc("2026-03-02T10:00:38"), UTC), next_run=ANCHOR)
    assert found.slot == utc("2026-03-02T10:00:35")


def test_an_interval_has_no_slot_before_its_first() -> None:
    found = HALF_HOURS.firing(moment_of(utc("2026-03-02T09:00:15"), UTC), next_run=ANCHOR, known_since=ANCHOR)
    assert (found.slot, found.before, found.after) == (None, None, ANCHOR)
    assert found.why == "its first slot is that of Mon 2026-03-02 09:30:15 UTC"


def test_an_interval_has_no_slot_in_the_minute_before_its_first() -> None:
    first = utc("2026-03-02T09:30")
    found = HALF_HOURS.firing(moment_of(utc("2026-03-02T09:29"), UTC), next_run=first)
    assert found == Firing(None, "its first slot is that of Mon 2026-03-02 09:30 UTC", None, first)


def test_an_interval_that_was_moved_past_its_first_slot_has_only_the_one_after() -> None:
    asked, first = moment_of(utc("2026-03-02T09:10"), UTC), utc("2026-03-02T09:05")
    found = HALF_HOURS.firing(asked, next_run=ANCHOR, known_since=first)
    assert (found.slot, found.before, found.after) == (None, None, ANCHOR)
    assert found.why == "that is 20 minutes and 15 seconds before the next, 09:30:15"


def test_an_interval_longer_than_the_calendar_has_no_slot_around() -> None:
    found = Interval(timedelta(days=999_999_999)).firing(moment_of(utc("2026-03-02T10:00"), UTC), next_run=ANCHOR)
    assert (found.slot, found.before, found.after) == (None, ANCHOR, None)


def test_an_interval_that_nobody_has_seen_yet_has_no_slots() -> None:
    found = HALF_HOURS.firing(moment_of(ANCHOR, UTC))
    assert found.slot is None
    assert found.why == "it has a slot every 30 minutes, and the daemon has not seen it yet"


def test_a_single_time_fires_once() -> None:
    once = Once(utc("2026-03-02T12:00"))
    why = "it runs once, at Mon 2026-03-02 12:00 UTC"
    asked = [utc(f"2026-03-02T{time}") for time in ("11:59", "12:00", "12:01")]
    assert [once.firing(moment_of(time, UTC)) for time in asked] == [
        Firing(None, why, None, once.at),
        Firing(once.at, why, None, None),
        Firing(None, why, once.at, None),
    ]


def test_a_single_time_in_the_gap_answers_to_the_time_it_was_written_with() -> None:
    once = parse_schedule("once", '{"run_at": "2026-03-08T02:30"}', DENVER)
    found = once.firing(moment_of(datetime.fromisoformat("2026-03-08T02:30"), DENVER))
    assert found == Firing(
        utc("2026-03-08T09:30"),
        "02:30 does not exist that day; it runs once, at Sun 2026-03-08 03:30 MDT",
        None,
        None,
        by_clock_change=True,
        note="That day the clock goes from 02:00 to 03:00 in America/Denver.",
    )


def test_a_single_time_that_comes_twice_runs_once_and_tells_of_the_clock_change() -> None:
    once = parse_schedule("once", '{"run_at": "2026-11-01T01:30"}', DENVER)
    found = once.firing(moment_of(datetime.fromisoformat("2026-11-01T01:30"), DENVER))
    assert found.slot == utc("2026-11-01T07:30")
    assert found.note == "That day the clock goes back from 02:00 to 01:00 in America/Denver."


@pytest.mark.parametrize("asked", ["0002-01-01T00:00", "1899-12-31T00:00", "9900-01-01T00:00"])
def test_a_year_beyond_reason_is_refused(asked: str) -> None:
    with pytest.raises(ScheduleError, match=f"time out of range: {asked}:00; use a year from 1900 to 9899"):
        moment_of(datetime.fromisoformat(asked), DENVER)
