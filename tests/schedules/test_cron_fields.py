"""The dialect of cron expressions, as `CronExpression` reads it (unit tests)."""

from __future__ import annotations

from datetime import datetime

import pytest

from jarvis_trio.errors import CronError
from jarvis_trio.schedules.cron import CronExpression
from jarvis_trio.schedules.cron_fields import weekday_names

MONTHS_ARE = "use * or JAN to DEC, in lists (JAN,MAR), ranges (JAN-MAR) and steps (*/3)"
NAMES = "@hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually"


def next_naive(expression: str, after: str) -> str:
    return CronExpression(expression).next_time(datetime.fromisoformat(after)).isoformat(" ", "minutes")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("* * * * *", "2026-03-04 10:08"),
        ("30 * * * *", "2026-03-04 10:30"),
        ("5,9,7 * * * *", "2026-03-04 10:09"),
        ("*/15 * * * *", "2026-03-04 10:15"),
        ("1-30/5 * * * *", "2026-03-04 10:11"),
        ("5/10 * * * *", "2026-03-04 10:15"),
        ("0,,30 * * * *", "2026-03-04 10:30"),
        (",15, ,*/4 * * *", "2026-03-04 12:15"),
        ("5-5/10 * * * *", "2026-03-04 11:05"),
        ("*/90 * * * *", "2026-03-04 11:00"),
        ("05 007 * * *", "2026-03-05 07:05"),
        ("0 9 * * *", "2026-03-05 09:00"),
        ("0 0 1 * *", "2026-04-01 00:00"),
        ("0 0 31 * *", "2026-03-31 00:00"),
        ("0 0 * JAN *", "2027-01-01 00:00"),
        ("0 0 1 jan,Jul *", "2026-07-01 00:00"),
        ("0 0 1 OCT-DEC *", "2026-10-01 00:00"),
        ("0 9 * * FRI", "2026-03-06 09:00"),
        ("0 9 * * mon-Fri", "2026-03-05 09:00"),
        ("0 9 * * SAT,SUN", "2026-03-07 09:00"),
        ("0 9 * * FRI-SUN", "2026-03-06 09:00"),
        ("0 9 * * MON-FRI/2", "2026-03-06 09:00"),
        ("  0\t9  * * \n* ", "2026-03-05 09:00"),
    ],
)
def test_reads_the_dialect_of_crontab(expression: str, expected: str) -> None:
    assert next_naive(expression, "2026-03-04 10:07") == expected  # a Wednesday


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * SUN"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
        (" @Daily ", "0 0 * * *"),
    ],
)
def test_knows_the_names_of_crontab(name: str, fields: str) -> None:
    assert CronExpression(name) == CronExpression(fields)


def test_weekly_is_sunday_midnight_as_in_crontab() -> None:
    assert next_naive("@weekly", "2026-03-04 10:07") == "2026-03-08 00:00"  # a Sunday


@pytest.mark.parametrize("number", range(7))
def test_weekday_numbers_count_from_monday(number: int) -> None:
    assert next_naive(f"0 9 * * {number}", "2026-03-01 10:00") == f"2026-03-0{2 + number} 09:00"  # from a Monday on


@pytest.mark.parametrize(("weekdays", "expected"), [("SUN-THU", "MON,TUE,WED,THU,SUN"), ("SUN-SUN", "SUN")])
def test_sunday_may_begin_a_week_of_names(weekdays: str, expected: str) -> None:
    assert CronExpression(f"0 9 * * {weekdays}") == CronExpression(f"0 9 * * {expected}")


def test_steps_from_sunday_go_through_the_week() -> None:
    assert CronExpression("0 9 * * SUN/2") == CronExpression("0 9 * * SUN,TUE,THU,SAT")


def test_weekday_steps_begin_on_monday() -> None:
    assert CronExpression("0 9 * * */2") == CronExpression("0 9 * * MON,WED,FRI,SUN")


def test_day_of_month_and_weekday_must_both_match() -> None:
    assert next_naive("0 9 13 * FRI", "2026-03-14 00:00") == "2026-11-13 09:00"


@pytest.mark.parametrize(
    ("expression", "named"),
    [
        ("60 * * * *", "minute '60'"),
        ("* 24 * * *", "hour '24'"),
        ("* * 0 * *", "day of month '0'"),
        ("* * 32 * *", "day of month '32'"),
        ("* * * 13 *", "month '13'"),
        ("* * * FOO *", "month 'FOO'"),
        ("* * * JANUARY *", "month 'JANUARY'"),
        ("* * * * 7", "weekday '7'"),
        ("* * * * MON-8", "weekday 'MON-8'"),
        ("* MON * * *", "hour 'MON'"),
        ("5-1 * * * *", "minute '5-1'"),
        ("* * * DEC-JAN *", "month 'DEC-JAN'"),
        ("* * * * FRI-MON", "weekday 'FRI-MON'"),
        ("* * * * 5-1", "weekday '5-1'"),
        ("*/0 * * * *", "minute '*/0'"),
        ("1/ * * * *", "minute '1/'"),
        (", * * * *", "minute ''"),
        ("-5 * * * *", "minute '-5'"),
        ("*-5 * * * *", "minute '*-5'"),
        ("1-2-3 * * * *", "minute '1-2-3'"),
        ("1.5 * * * *", "minute '1.5'"),
        ("99999999 * * * *", "minute '99999999'"),
        ("* * L/2 * *", "day of month 'L/2'"),
        ("* * L-31 * *", "day of month 'L-31'"),
        ("* * * L *", "month 'L'"),
        ("* * 15W * *", "day of month '15W'"),
        ("* * * * FRI#6", "weekday 'FRI#6'"),
        ("* * * * L", "weekday 'L'"),
        ("* * * * MON-FRIL", "weekday 'MON-FRIL'"),
        ("* * ? * *", "day of month '?'"),
        ("\u0663 * * * *", "minute '\u0663'"),  # an Arabic digit
        ("* * * * fr\u0131", "weekday 'fr\u0131'"),  # its upper case is FRI
        ("\x1b[31m * * * *", r"minute '\x1b[31m'"),
    ],
)
def test_refuses_a_field_in_one_line_that_names_it(expression: str, named: str) -> None:
    with pytest.raises(CronError) as refusal:
        CronExpression(expression)
    message = str(refusal.value)
    assert named in message
    assert " use * or " in message
    assert message.isprintable()


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        (
            "61 * * * *",
            "cron minute '61' is out of range: use * or 0 to 59, in lists (0,2), ranges (0-2) and steps (*/3)",
        ),
        (
            "0 9 * * 7",
            "cron weekday '7' is out of range: use * or MON to SUN, "
            "in lists (MON,WED), ranges (MON-WED) and steps (*/3); or FRI#2 or FRIL",
        ),
        (
            "0 9 L-31 * *",
            "cron day of month 'L-31' is out of range: use * or 1 to 31, "
            "in lists (1,3), ranges (1-3) and steps (*/3); or L, L-3 or LW",
        ),
        (
            "0 9 * " + "X" * 41 + " *",
            f"cron month '{'X' * 40}' is not understood: {MONTHS_ARE}",
        ),
        ("* * * FOO *", f"cron month 'FOO' is not understood: {MONTHS_ARE}"),
        ("* * * 1-12/0 *", f"cron month '1-12/0' has a step of 0: {MONTHS_ARE}"),
        ("* * * 3-2 *", f"cron month '3-2' runs backwards: {MONTHS_ARE}"),
        ("@often", f"unknown cron name '@often'; the names are {NAMES}"),
        ("* * *", "a cron expression has five fields (minute, hour, day of month, month, weekday), not 3: '* * *'"),
        ("*" * 1001, f"cron expression too long: 1001 characters, at most 1000: '{'*' * 40}'..."),
    ],
)
def test_a_refusal_tells_all_that_is_allowed(expression: str, says: str) -> None:
    with pytest.raises(CronError) as refusal:
        CronExpression(expression)
    assert str(refusal.value) == says


@pytest.mark.parametrize("text", ["", "* * * *", "* * * * * *", "@fortnightly", "@reboot", "@daily 5", "*" * 2000])
def test_refuses_what_is_not_five_fields_or_a_name(text: str) -> None:
    with pytest.raises(CronError) as refusal:
        CronExpression(text)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize(
    ("weekdays", "numeric", "readings"),
    [
        ("*", False, ("*", "*")),
        ("MON-FRI", False, ("MON-FRI", "MON-FRI")),
        ("SUN", False, ("SUN", "SUN")),
        ("FRI/2", False, ("FRI,SUN", "FRI,SUN")),
        ("MON,TUE", False, ("MON,TUE", "MON,TUE")),
        ("TUE,WED,THU", False, ("TUE-THU", "TUE-THU")),
        ("1-5", True, ("TUE-SAT", "MON-FRI")),
        ("0", True, ("MON", "SUN")),
        ("0,3,6", True, ("MON,THU,SUN", "WED,SAT,SUN")),
        ("MON,5", True, ("MON,SAT", "MON,FRI")),
        ("0-6", True, ("*", "*")),
        ("*/2", True, ("MON,WED,FRI,SUN", "TUE,THU,SAT,SUN")),
        ("*/1", False, ("*", "*")),
        ("MON-FRI/2", False, ("MON,WED,FRI", "MON,WED,FRI")),
    ],
)
def test_tells_weekdays_that_depend_on_which_one_is_0(weekdays: str, numeric: bool, readings: tuple[str, str]) -> None:
    cron = CronExpression(f"0 9 * * {weekdays}")
    assert cron.uses_numeric_weekday is numeric
    assert cron.weekday_readings() == readings


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({0, 1, 2, 3, 4, 5, 6}, "*"),
        ({1, 2, 3, 4, 5}, "TUE-SAT"),
        ({0, 2, 18}, "MON,WED,FRI#2"),
        ({7}, "MON#1"),
        ({5, 6, 7}, "SAT,SUN,MON#1"),
    ],
)
def test_weekdays_are_named_as_an_expression_would_name_them(values: set[int], names: str) -> None:
    assert weekday_names(sum(1 << value for value in values)) == names
