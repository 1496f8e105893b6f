"""Unit tests of instants and days as people type them."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_trio.errors import ScheduleError
from jarvis_trio.notation.moments import Toward, read_day, read_instant, read_moment
from tests.support.core_fakes import START

DENVER = ZoneInfo("America/Denver")  # START, Monday 2 March 2026, 09:00 UTC, is 02:00 there


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("2026-12-01T09:00", "2026-12-01T09:00"),
        ("2026-12-01 09:00:30", "2026-12-01T09:00:30"),
        ("2026-12-01 9:00", "2026-12-01T09:00"),
        ("2026-12-01 at 9pm", "2026-12-01T21:00"),
        ("2026-12-01", "2026-12-01T00:00"),
        ("today 23:15", "2026-03-02T23:15"),
        ("tomorrow 9:00", "2026-03-03T09:00"),
        ("tomorrow 9", "2026-03-03T09:00"),
        ("tomorrow at 9 am", "2026-03-03T09:00"),
        ("9am tomorrow", "2026-03-03T09:00"),
        ("Tomorrow", "2026-03-03T00:00"),
        ("tomorrow noon", "2026-03-03T12:00"),
        ("yesterday", "2026-03-01T00:00"),
        ("friday", "2026-03-06T00:00"),
        ("friday 18:30", "2026-03-06T18:30"),
        ("fri 18:30", "2026-03-06T18:30"),
        ("on friday at 6:30pm", "2026-03-06T18:30"),
        ("monday 03:00", "2026-03-02T03:00"),
        ("monday 01:00", "2026-03-09T01:00"),
        ("last friday 18:30", "2026-02-27T18:30"),
        ("last monday", "2026-02-23T00:00"),
        ("9am", "2026-03-02T09:00"),
        ("9 am", "2026-03-02T09:00"),
        ("1:30", "2026-03-03T01:30"),
        ("1:30:15", "2026-03-03T01:30:15"),
        ("12am", "2026-03-03T00:00"),
        ("12:15 pm", "2026-03-02T12:15"),
        ("noon", "2026-03-02T12:00"),
        ("midnight", "2026-03-03T00:00"),
        ("1 dec", "2026-12-01T00:00"),
        ("Dec 1st, 9:00", "2026-12-01T09:00"),
        ("dec 1 9", "2026-12-01T09:00"),
        ("1 march", "2027-03-01T00:00"),
        ("29 february", "2028-02-29T00:00"),
        ("1 december 2028 9am", "2028-12-01T09:00"),
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
        ("in 1 hour", START + timedelta(hours=1)),
        ("in an hour and 5 minutes", START + timedelta(minutes=65)),
        ("5 minutes", START + timedelta(minutes=5)),
        ("1w", START + timedelta(days=7)),
        ("2h ago", START - timedelta(hours=2)),
        ("2026-12-01T09:00+01:00", datetime(2026, 12, 1, 8, tzinfo=UTC)),
    ],
)
def test_an_instant_stays_an_instant(text: str, instant: datetime) -> None:
    assert read_moment(text, START, DENVER) == instant


@pytest.mark.parametrize(
    "text",
    [
        *("", "soon", "10/11", "9", "at", "in", "in 5", "in 99999999d", "noday 9:00", "2026-13-01"),
        *("tomorrow 25:00", "13pm", "0am", "9:60", "friday midnight", "friday friday", "9am 9am", "ma 3", "last"),
        *("1 december 26", "31 june", "30 february", "next friday", "99999999d ago", "2026-12-01 2026-12-02"),
    ],
)
@pytest.mark.parametrize("toward", Toward)
def test_what_has_no_single_meaning_is_refused_with_the_forms_that_have(text: str, toward: Toward) -> None:
    with pytest.raises(ScheduleError, match=r"^not a time: ") as caught:
        read_moment(text, START, DENVER, toward)
    assert caught.value.fix == toward.value


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("2h", "2026-03-02T00:00"),
        ("1 week", "2026-02-23T02:00"),
        ("yesterday", "2026-03-01T00:00"),
        ("9am", "2026-03-01T09:00"),
        ("1:30", "2026-03-02T01:30"),
        ("monday", "2026-03-02T00:00"),
        ("friday 18:30", "2026-02-27T18:30"),
        ("1 dec", "2025-12-01T00:00"),
        ("29 feb", "2024-02-29T00:00"),
    ],
)
def test_a_question_about_the_past_takes_the_last_one(text: str, local: str) -> None:
    expected = datetime.fromisoformat(local).replace(tzinfo=DENVER)
    assert read_instant(text, START, DENVER, Toward.PAST) == expected


def test_a_duration_alone_is_refused_where_it_could_go_either_way() -> None:
    with pytest.raises(ScheduleError, match="in 20m or 2h ago"):
        read_moment("2h", START, DENVER, Toward.EITHER)


def test_a_moment_to_come_is_rounded_up_to_the_second() -> None:
    now = START + timedelta(microseconds=250)
    assert read_moment("in 0.4s", now, DENVER) == START + timedelta(seconds=1)
    assert read_moment("in 1s", now, DENVER) == START + timedelta(seconds=2)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("today", date(2026, 3, 2)),
        ("friday", date(2026, 3, 6)),
        ("monday", date(2026, 3, 2)),
        ("last monday", date(2026, 2, 23)),
        ("2026-03-14", date(2026, 3, 14)),
        ("on march 14", date(2026, 3, 14)),
        ("march 14 2027", date(2027, 3, 14)),
        ("friday 9:00", None),
        ("9am", None),
        ("2026-03-14T02:30", None),
        ("in 2d", None),
        ("nonsense", None),
    ],
)
def test_a_day_is_told_from_a_time(text: str, day: date | None) -> None:
    assert read_day(text, START, DENVER) == day


NOWS = st.datetimes(*map(datetime.fromisoformat, ("1990-01-01", "2090-01-01")), timezones=st.just(UTC))
LOCAL = st.datetimes(*map(datetime.fromisoformat, ("1970-01-01", "2100-01-01"))).map(
    lambda at: at.replace(microsecond=0)
)
FORMS = st.sampled_from(["%Y-%m-%d %H:%M:%S", "%d %B %Y %H:%M:%S", "%b %d, %Y at %I:%M:%S %p", "%T on %d %b %Y"])
WORDS = "in ago last next today friday fri dec 29 feb 9 9am 12:30 noon midnight 5m 1 hour 2026 at"
TEXTS = st.one_of(st.text(max_size=30), st.lists(st.sampled_from(WORDS.split(" ")), max_size=5).map(" ".join))


@given(TEXTS, NOWS, st.sampled_from(Toward))
def test_any_text_is_read_or_refused(text: str, now: datetime, toward: Toward) -> None:
    read_day(text, now, DENVER, toward)
    with suppress(ScheduleError):
        read_moment(text, now, DENVER, toward)


@given(NOWS, LOCAL, FORMS)
def test_a_date_and_a_time_mean_the_same_however_they_are_typed(now: datetime, at: datetime, form: str) -> None:
    assert read_moment(at.strftime(form), now, DENVER) == at


@given(NOWS, st.times().map(lambda at: at.replace(microsecond=0)), st.sampled_from(["", "friday", "1 dec", "29 feb"]))
def test_the_next_one_is_to_come_and_the_last_one_is_not(now: datetime, at: object, day: str) -> None:
    local = now.astimezone(DENVER).replace(tzinfo=None)
    assert read_moment(f"{day} {at}", now, DENVER) > local
    assert read_moment(f"{day} {at}", now, DENVER, Toward.PAST) <= local


@given(NOWS, st.timedeltas(timedelta(microseconds=1), timedelta(days=1000)))
def test_in_a_while_is_never_past_and_at_most_a_second_late(now: datetime, away: timedelta) -> None:
    seconds = f"{away // timedelta(seconds=1)}.{away.microseconds:06}"
    found = read_instant(f"in {seconds} seconds", now, DENVER)
    assert timedelta() <= found - (now + away) < timedelta(seconds=1)
