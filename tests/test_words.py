"""Unit tests: instants, durations and lists in plain English."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from jarvis_trio.text import counted, duration_words, joined, moment_words, nearest, shortened, time_words

DENVER = ZoneInfo("America/Denver")


def test_a_moment_bears_weekday_and_the_name_of_the_offset_in_force() -> None:
    assert moment_words(datetime(2026, 3, 8, 9, 0, tzinfo=UTC), DENVER) == "Sun 2026-03-08 03:00 MDT"
    assert moment_words(datetime(2026, 3, 8, 8, 59, tzinfo=UTC), DENVER) == "Sun 2026-03-08 01:59 MST"


def test_seconds_are_said_only_where_there_are_any() -> None:
    assert time_words(datetime(2026, 3, 8, 9, 0, 5, tzinfo=UTC), UTC) == "09:00:05"
    assert time_words(datetime(2026, 3, 8, 9, 0, 0, 400, tzinfo=UTC), UTC) == "09:00"


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (timedelta(0), "no time"),
        (timedelta(milliseconds=250), "250 milliseconds"),
        (timedelta(microseconds=9400), "9 milliseconds"),
        (timedelta(microseconds=3), "1 millisecond"),
        (timedelta(seconds=1), "1 second"),
        (timedelta(minutes=12), "12 minutes"),
        (timedelta(hours=5, minutes=3, seconds=9), "5 hours and 3 minutes"),
        (timedelta(hours=2, seconds=9), "2 hours"),
        (timedelta(days=1, hours=23, minutes=59), "1 day and 23 hours"),
        (timedelta(days=464), "1 year and 99 days"),
    ],
)
def test_a_duration_is_said_in_its_two_largest_units(duration: timedelta, words: str) -> None:
    assert duration_words(duration) == words


def test_a_list_ends_with_and_and_a_long_one_is_counted() -> None:
    assert [joined(["a"]), joined(["a", "b"]), joined(["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
    assert joined(list("abcdef")) == "a, b, c and 3 more"


def test_a_noun_follows_its_count() -> None:
    assert [counted(0, "run"), counted(1, "run"), counted(1234, "run")] == ["0 runs", "1 run", "1,234 runs"]


def test_the_nearest_name_is_suggested_where_one_is_near() -> None:
    assert nearest("bakup", ["mail", "backup"]) == "did you mean 'backup'? "
    assert nearest("weather", ["mail", "backup"]) == ""


def test_a_long_text_is_cut_with_an_ellipsis() -> None:
    assert [shortened("backup", 6), shortened("backups", 6)] == ["backup", "backu…"]
