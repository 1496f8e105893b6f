"""Unit tests: text at the edges, instants inside (law 5)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_trio.errors import ScheduleError
from jarvis_trio.notation.instants import (
    as_utc,
    duration_text,
    from_microseconds,
    local_text,
    parse_duration,
    parse_instant,
    parse_stamp,
    parse_zone,
    to_microseconds,
    utc_text,
)

DENVER = ZoneInfo("America/Denver")  # 2026: forward on 8 March at 02:00, back on 1 November at 02:00
TOKYO = ZoneInfo("Asia/Tokyo")
# Not made from integers, of which Hypothesis takes nearly all close to 0, which is the year 1970.
instants = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001  Hypothesis wants naive bounds


@pytest.fixture
def machine_in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("2026-12-01 16:00:00", 16),
        ("2026-12-01T09:00:00", 16),
        ("2026-12-01 09:00:00.000001", 16),
        ("2026-12-01T09:00:00+00:00", 9),
    ],
)
def test_only_what_has_the_form_of_sqlites_own_stamp_is_read_as_utc(text: str, hour: int) -> None:
    assert parse_stamp(text, DENVER).hour == hour


@given(instants)
def test_microseconds_are_exact_both_ways(instant: datetime) -> None:
    assert from_microseconds(to_microseconds(instant)) == instant


def test_microseconds_count_from_1970() -> None:
    assert to_microseconds(datetime(1970, 1, 1, tzinfo=UTC)) == 0
    assert to_microseconds(datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC)) == -1


@pytest.mark.law(5)
@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-12-01T09:00", datetime(2026, 12, 1, 16, tzinfo=UTC)),
        ("2026-12-01 09:00:00.25", datetime(2026, 12, 1, 16, 0, 0, 250_000, UTC)),
        (" 2026-12-01T09:00:00+01:00 ", datetime(2026, 12, 1, 8, tzinfo=UTC)),
        ("2026-12-01T09:00:00Z", datetime(2026, 12, 1, 9, tzinfo=UTC)),
        ("2026-12-01", datetime(2026, 12, 1, 7, tzinfo=UTC)),
    ],
)
def test_naive_text_is_local_and_an_offset_is_obeyed(text: str, instant: datetime) -> None:
    parsed = parse_instant(text, DENVER)
    assert parsed == instant
    assert parsed.tzinfo is UTC


@pytest.mark.law(5)
def test_a_naive_time_in_the_repeated_hour_is_its_first_reading() -> None:
    assert parse_instant("2026-11-01T01:30", DENVER) == datetime(2026, 11, 1, 7, 30, tzinfo=UTC)


@pytest.mark.law(5)
def test_a_naive_time_in_the_gap_is_moved_on_by_the_gap() -> None:
    assert local_text(parse_instant("2026-03-08T02:30", DENVER), DENVER) == "2026-03-08T03:30:00-06:00"


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-13-01T00:00", "2026-02-30", "\x00", "9" * 5000, "12"])
def test_what_is_no_time_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ScheduleError, match="not a time") as refused:
        parse_instant(text)
    assert "\n" not in str(refused.value)
    assert refused.value.fix == "write it like 2026-12-01T09:00"


@pytest.mark.law(4)
@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00+14:00", "9999-12-31T23:59-12:00", "0001-01-01T00:00", "9999-01-01T00:00Z"]
)
def test_an_instant_outside_the_calendar_is_refused(text: str) -> None:
    with pytest.raises(ScheduleError, match="out of range") as refused:
        parse_instant(text, timezone(timedelta(hours=5)))
    assert refused.value.fix == "use a year from 2 to 9998"


@pytest.mark.law(4)
@pytest.mark.parametrize("zone", [DENVER, TOKYO])
@pytest.mark.parametrize("text", ["0002-01-01T00:00+00:00", "9998-12-31T23:59+00:00"])
def test_every_instant_that_is_let_in_has_a_local_text(text: str, zone: ZoneInfo) -> None:
    instant = parse_instant(text, zone)
    assert datetime.fromisoformat(local_text(instant, zone)) == instant


@pytest.mark.law(5)
def test_local_text_tells_the_two_readings_of_the_repeated_hour_apart() -> None:
    first = datetime(2026, 11, 1, 7, 30, tzinfo=UTC)
    assert local_text(first, DENVER) == "2026-11-01T01:30:00-06:00"
    assert local_text(first + timedelta(hours=1), DENVER) == "2026-11-01T01:30:00-07:00"


@pytest.mark.law(5)
@pytest.mark.usefixtures("machine_in_tokyo")
def test_utc_text_is_one_text_for_one_instant_wherever_the_machine_is() -> None:
    for moment in (datetime(2026, 11, 1, 9, tzinfo=TOKYO), datetime(2026, 11, 1, 0, tzinfo=UTC)):
        assert utc_text(moment) == "2026-11-01T00:00:00+00:00"


@pytest.mark.law(5)
@given(instants, instants)
def test_utc_texts_sort_as_their_instants_do(one: datetime, two: datetime) -> None:
    assert (utc_text(one) < utc_text(two)) == (one < two)


@pytest.mark.law(5)
def test_as_utc_reads_naive_as_local() -> None:
    assert as_utc(datetime(2026, 1, 1), TOKYO) == datetime(2025, 12, 31, 15, tzinfo=UTC)  # noqa: DTZ001  # as others write it


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../../etc/passwd", "a\0b", "\ud800", "Europe", "x" * 5000])
def test_an_unknown_zone_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(ScheduleError, match="unknown time zone") as refused:
        parse_zone(name)
    assert "\n" not in str(refused.value)
    assert refused.value.fix == "use a name like Europe/Berlin or America/Denver"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("5m", 300),
        ("5 minutes", 300),
        ("an hour and 5 min", 3900),
        ("a day", 86_400),
        ("1w", 604_800),
        ("1h30m", 5400),
        ("2d", 172_800),
        ("0.5s", 0.5),
        ("1d1h1m1s", 90_061),
        (" 5m ", 300),
    ],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "5", "m", "5 months", "-5m", "and 5m", "1h,", "30m1h", "0s", "0h0m", "1e3s", "9" * 400 + "d"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ScheduleError, match="duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("soon", "not a duration: 'soon'; write it like 90s, 5m, 1h30m, 2d, 1w or 5 minutes"),
        ("0s", "duration must be greater than zero: '0s'; write it like 90s, 5m or 2d"),
        (f"{10**12}d", f"duration too long: '{10**12}d'"),
    ],
)
def test_a_refused_duration_is_told_with_how_to_write_it(text: str, says: str) -> None:
    with pytest.raises(ScheduleError) as refused:
        parse_duration(text)
    assert str(refused.value) == says


@given(st.timedeltas(timedelta(microseconds=1), timedelta(days=4000)))
def test_duration_text_is_read_back_as_it_was(duration: timedelta) -> None:
    assert parse_duration(duration_text(duration)) == duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.5, "0.5s"),
        (1e-6, "0.000001s"),
        (20, "20s"),
        (60, "1m"),
        (5400, "1h30m"),
        (3601.25, "1h1.25s"),
        (864_000, "10d"),
        (90_061, "1d1h1m1s"),
    ],
)
def test_a_duration_is_written_as_a_person_writes_it(seconds: float, text: str) -> None:
    assert duration_text(timedelta(seconds=seconds)) == text
