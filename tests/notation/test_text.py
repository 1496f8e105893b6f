"""Unit tests of text for people: made fit for a terminal; instants, durations and lists in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_trio.notation.text import (
    as_shown,
    cells,
    counted,
    counted_of,
    duration_words,
    fitting,
    joined,
    last_line,
    moment_words,
    nearest,
    nearest_or_all,
    printable,
    relative,
    short_duration,
    shortened,
    size_words,
    time_words,
    with_name,
    without_escapes,
)

DENVER = ZoneInfo("America/Denver")
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("line\nbreak\r\n", r"line\nbreak\r\n"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("tab\tnul\0del\x7f", r"tab\tnul\x00del\x7f"),
        ("\x9b31m\x85", r"\x9b31m\x85"),
        ("\u202egpj.exe\u202c", r"\u202egpj.exe\u202c"),
        ("\u2066\u2069\u200f\u061c", r"\u2066\u2069\u200f\u061c"),
        ("\u2028\u2029", r"\u2028\u2029"),
        ("\udcff", r"\udcff"),
        ("a\u200bb\ufeff\u2060\ufff9", r"a\u200bb\ufeff\u2060\ufff9"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_what_acts_on_a_terminal_is_escaped(raw: str, shown: str) -> None:
    assert printable(raw) == shown


@pytest.mark.parametrize("text", ["", "plain", "Grüße, 東京, العربية, עברית", "👩\u200d💻", r"C:\new", "a\u00a0b"])
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


@given(st.text())
def test_the_result_is_one_line_that_every_stream_takes(text: str) -> None:
    shown = printable(text)
    assert shown.encode("utf-8").decode("utf-8") == shown
    assert len(shown.splitlines()) <= 1
    assert printable(shown) == shown


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


def test_a_verb_follows_the_part_or_a_whole_of_one() -> None:
    told = [counted_of(part, whole, "task", "is", "are") for part, whole in ((0, 1), (1, 1), (0, 8), (1, 8), (2, 8))]
    assert told == ["0 of 1 task is", "1 of 1 task is", "0 of 8 tasks are", "1 of 8 tasks is", "2 of 8 tasks are"]


def test_the_nearest_name_is_suggested_where_one_is_near() -> None:
    assert nearest("bakup", ["mail", "backup"]) == "did you mean 'backup'? "
    assert nearest("weather", ["mail", "backup"]) == ""


def test_the_nearest_name_is_told_alone_and_all_of_them_if_none_is_near() -> None:
    assert nearest_or_all("bakup", ["mail", "backup"], "the names are") == "did you mean 'backup'?"
    assert nearest_or_all("weather", ["mail", "backup"], "the names are") == "the names are mail, backup"


def test_a_name_that_begins_with_what_was_written_is_nearest() -> None:
    names = ["DAEMON_TICK_INTERVAL_SECONDS_TOO", "DAEMON_TICK_INTERVAL_SECONDS", "DAEMON_LOG_FILE"]
    assert nearest("DAEMON_TICK", names) == "did you mean 'DAEMON_TICK_INTERVAL_SECONDS'? "


def test_one_letter_or_two_suggest_no_name() -> None:
    assert nearest("", ["backup"]) == nearest("ba", ["backup-of-all"]) == ""


def test_a_long_text_is_cut_with_an_ellipsis() -> None:
    assert [shortened("backup", 6), shortened("backups", 6)] == ["backup", "backu…"]


def test_columns_of_a_terminal_are_counted_and_kept_to() -> None:
    assert [cells("backup"), cells("日本"), cells("cafe\u0301"), cells("🎉")] == [6, 4, 4, 2]
    assert [fitting("backup", 6), fitting("backups", 6), fitting("日本語", 6)] == ["backup", "backu…", "日本語"]
    assert [fitting("日本語", 5), fitting("日本語", 4)] == ["日本…", "日…"]
    assert fitting("日" * 300_000, 6) == "日日…"  # a name that another program wrote, in one pass


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(0), "0 s"),
        (timedelta(seconds=119), "119 s"),
        (timedelta(minutes=2), "2 min"),
        (timedelta(minutes=4, seconds=59.9), "5 min"),
        (timedelta(minutes=119), "119 min"),
        (timedelta(hours=36), "36 h"),
        (timedelta(days=2), "2 d"),
        (timedelta(days=800), "800 d"),
    ],
)
def test_a_duration_is_told_in_the_largest_unit_of_which_it_has_two(duration: timedelta, text: str) -> None:
    assert short_duration(duration) == text


def test_an_instant_is_told_from_now() -> None:
    assert relative(NOON + timedelta(minutes=4), NOON) == "in 4 min"
    assert relative(NOON - timedelta(hours=2), NOON) == "2 h ago"
    assert relative(NOON, NOON) == "0 s ago"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x1b]0;title\x07x", "x"),
        ("a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\b", "alinkb"),
        ("\x1bP1$r0m\x1b\\x", "x"),
        ("\x1b(Bx", "x"),
        ("cut off \x1b[3", "cut off "),
        ("\x1b]0;cut off\nnext", "\nnext"),
        ("10%\r50%\r100%\ndone", "100%\ndone"),
        ("one\r\ntwo\r\n", "one\ntwo\n"),
        ("100%\r", "100%"),
        ("b\x08bo\x08ol\x08ld\x08d", "bold"),
        ("aaa\b\b\b\bb\n\bc", "b\nc"),
        ("50%\r100%\r\0", "100%"),
        ("50%\r100%\r\u200b\r \r", "100%"),
        ("plain\ttext [1] ]2", "plain\ttext [1] ]2"),
    ],
)
def test_a_text_is_what_a_terminal_shows_of_it_in_the_end(text: str, shown: str) -> None:
    assert as_shown(text) == shown


def test_a_text_of_backspaces_takes_one_pass() -> None:
    # With a pass for each layer this takes hours, and a run that printed it would hold its tick.
    assert as_shown("a" * 300_000 + "\b" * 300_000) == ""


@pytest.mark.parametrize(
    "text",
    [
        "a\x1b[1;31mred\x1b[0m b",
        "a\x1b]0;title\x07red b",
        "a\x1b]8;;http://x\x1b\\red b",
        "a\x1b(Bred\x9b1m b",
        "a\x90secret\x9cred b",
    ],
)
def test_an_escape_sequence_goes_whole_wherever_it_is_cut(text: str) -> None:
    for cut in range(len(text) + 1):
        shown, rest = without_escapes(text[:cut])
        more, rest = without_escapes(rest + text[cut:])
        assert (shown + more).replace("a", "", 1) + rest == "red b"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("one\ntwo\n", "two"),
        ("the reason\n\x1b[0m\n \x07\n\x00\n", "the reason"),
        ("10%\rfailed\r\n", "failed"),
        ("\n \x1b[K\n", ""),
        ("the reason\n\u200b\n\ufeff \u2060\n\U000e0041\n", "the reason"),
        ("as a program spells it:\n\\x1b\n", r"\x1b"),
        ("", ""),
    ],
)
def test_the_last_line_is_the_last_one_that_shows_anything(text: str, line: str) -> None:
    assert last_line(text) == line


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 B"), (812, "812 B"), (1234, "1.2 kB"), (98_765_432, "99 MB"), (5e15, "5000 TB")]
)
def test_sizes_are_told_in_words(count: float, words: str) -> None:
    assert size_words(count) == words


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("jarvis-trio edit {} --at TIME; or remove it", "a b", "jarvis-trio edit 'a b' --at TIME; or remove it"),
        ("jarvis-trio edit {} --at TIME; or remove it", "-x", "jarvis-trio edit --at TIME -- -x; or remove it"),
        ("`jarvis-trio resume {}` lets it run", "--all", "`jarvis-trio resume -- --all` lets it run"),
        ("jarvis-trio edit {} --cron '0 9 * * *'", "-x", "jarvis-trio edit --cron '0 9 * * *' -- -x"),
        ("jarvis-trio edit {} -- COMMAND ARG...", "-x", "jarvis-trio edit -- -x COMMAND ARG..."),
        ("jarvis-trio edit {} -- COMMAND ARG...", "x", "jarvis-trio edit x -- COMMAND ARG..."),
        (
            "run it: jarvis-trio run-now {}; jarvis-trio remove {}",
            "{}",
            "run it: jarvis-trio run-now '{}'; jarvis-trio remove '{}'",
        ),
    ],
)
def test_a_command_in_a_text_has_the_name_where_it_is_read_as_one(text: str, name: str, expected: str) -> None:
    assert with_name(text, name) == expected
