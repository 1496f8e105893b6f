"""`L`, `L-3`, `LW`, `FRI#2` and `FRIL`: beside cronsim, and beside a month counted by hand."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from jarvis_trio.errors import CronError
from jarvis_trio.schedules.cron import CronExpression
from tests.support.examples import with_many_examples

# 2026: 1 November is a Sunday, so its last day is a Monday; 31 January 2027 is a Sunday.
START = datetime.fromisoformat("2026-11-15T12:00")
NAMES = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")


def fires(text: str, count: int = 3) -> list[str]:
    found, expression = START, CronExpression(text)
    days = []
    for _ in range(count):
        found = expression.next_time(found)
        days.append(f"{found:%a %d %b}")
    return days


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("0 9 L * *", ["Mon 30 Nov", "Thu 31 Dec", "Sun 31 Jan"]),
        ("0 9 l-3 * *", ["Fri 27 Nov", "Mon 28 Dec", "Thu 28 Jan"]),
        ("0 9 L-0 * *", ["Mon 30 Nov", "Thu 31 Dec", "Sun 31 Jan"]),
        ("0 9 LW * *", ["Mon 30 Nov", "Thu 31 Dec", "Fri 29 Jan"]),
        ("0 9 * * FRI#2", ["Fri 11 Dec", "Fri 08 Jan", "Fri 12 Feb"]),
        ("0 9 * * fril", ["Fri 27 Nov", "Fri 25 Dec", "Fri 29 Jan"]),
        ("0 9 * * SUN#2", ["Sun 13 Dec", "Sun 10 Jan", "Sun 14 Feb"]),
        ("0 9 * * TUE#5", ["Tue 29 Dec", "Tue 30 Mar", "Tue 29 Jun"]),
        ("0 9 L FEB *", ["Sun 28 Feb", "Tue 29 Feb", "Wed 28 Feb"]),
        ("0 9 20,L * *", ["Fri 20 Nov", "Mon 30 Nov", "Sun 20 Dec"]),
        ("0 9 * * SUN,FRIL", ["Sun 22 Nov", "Fri 27 Nov", "Sun 29 Nov"]),
        ("0 9 L * FRI", ["Fri 30 Apr", "Fri 31 Dec", "Fri 31 Mar"]),
        ("0 9 L-30 * *", ["Tue 01 Dec", "Fri 01 Jan", "Mon 01 Mar"]),
        ("0 9 * * 4L", ["Fri 27 Nov", "Fri 25 Dec", "Fri 29 Jan"]),
    ],
)
def test_the_days_at_the_end_of_a_month_and_in_its_weeks(text: str, days: list[str]) -> None:
    assert fires(text) == days


@pytest.mark.parametrize("text", ["0 9 15 * FRI#1", "0 9 L-30 FEB *", "0 9 LW * SUN", "0 9 * FEB MON#5,TUE#5"])
def test_whether_it_can_ever_fire_is_known(text: str) -> None:
    assert CronExpression(text).can_fire == (text == "0 9 * FEB MON#5,TUE#5")
    if not CronExpression(text).can_fire:
        with pytest.raises(CronError, match="can never fire"):
            CronExpression(text).next_time(START)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0 9 L * *", "at 09:00 on the last day of the month"),
        ("0 9 L-3 JAN *", "at 09:00 on the 4th-last day of January"),
        ("0 9 LW * *", "at 09:00 on the last working day of the month"),
        ("0 9 * * FRI#2", "at 09:00 on the second Friday of the month"),
        ("0 9 * MAR FRIL", "at 09:00 on the last Friday of March"),
        ("0 9 1-30,L * *", "at 09:00 on the 1st to the 30th and the last day of the month"),
        ("0 9 * * MON-FRI,SAT#1", "at 09:00 on Monday to Friday and the first Saturday of the month"),
        ("0 9 1-31,L * *", "at 09:00 every day"),
        ("0 9 * * MON-SUN,FRIL", "at 09:00 every day"),
        ("0 9 L * FRIL", "at 09:00 on the last day of the month, if that is the last Friday"),
    ],
)
def test_they_are_said_in_words(text: str, words: str) -> None:
    assert CronExpression(text).words() == words


def test_a_date_is_described_by_its_place_in_the_month() -> None:
    checks = CronExpression("0 9 L * FRI#2").describe(datetime.fromisoformat("2026-11-27T09:00"))
    assert [(check.value, check.matches) for check in checks[2::2]] == [
        ("27 of 30", False),
        ("the fourth and last Friday", False),
    ]


@pytest.mark.parametrize(
    ("day", "weekdays", "words"),
    [
        ("2026-11-06", "FRI", "Friday"),
        ("2026-11-02", "MON#1", "the first Monday"),
        ("2026-11-07", "SATL", "the first Saturday"),
        ("2026-11-08", "SATL", "the second Sunday"),
        ("2026-11-23", "FRI#2", "the fourth Monday"),
        ("2026-11-24", "FRI#2", "the fourth and last Tuesday"),
        ("2026-11-29", "FRI#2", "the fifth and last Sunday"),
    ],
)
def test_a_weekday_is_described_by_its_place_in_the_month_if_the_expression_asks(
    day: str, weekdays: str, words: str
) -> None:
    check = CronExpression(f"0 9 * * {weekdays}").describe(datetime.fromisoformat(day))[4]
    assert check.value == words


def test_the_last_two_days_of_a_leap_year_are_found() -> None:
    assert CronExpression("0 0 L-1,L DEC *").latest(START, datetime.fromisoformat("2029-01-01")) == (
        datetime.fromisoformat("2028-12-31"),
        6,
    )


def test_a_new_years_day_belongs_to_the_new_year_alone() -> None:
    before, after = map(datetime.fromisoformat, ("2023-12-01", "2024-02-01"))
    assert CronExpression("0 0 1 JAN MON#1").latest(before, after) == (datetime.fromisoformat("2024-01-01"), 1)


@pytest.mark.parametrize(
    ("weekdays", "readings"),
    [
        ("4L,1#2", ("TUE#2,FRIL", "MON#2,THUL")),
        ("0#2", ("MON#2", "SUN#2")),
        ("0L", ("MONL", "SUNL")),
        ("6#2", ("SUN#2", "SAT#2")),
        ("SUN#2,6L", ("SUN#2,SUNL", "SUN#2,SATL")),
    ],
)
def test_a_numeric_weekday_is_still_one_with_two_readings(weekdays: str, readings: tuple[str, str]) -> None:
    expression = CronExpression(f"0 9 * * {weekdays}")
    assert expression.uses_numeric_weekday
    assert expression.weekday_readings() == readings


def matches(day: date, days: str, weekdays: str) -> bool:
    """The definition, counted on the days of the month itself."""
    length = monthrange(day.year, day.month)[1]
    month = [day.replace(day=number) for number in range(1, length + 1)]
    alike = [other for other in month if other.weekday() == day.weekday()]
    name = NAMES[day.weekday()]
    named = {name, f"{name}#{alike.index(day) + 1}", *([f"{name}L"] if alike[-1] == day else [])}
    workdays = [other for other in month if other.weekday() < 5]
    numbers = {str(day.day), f"L-{length - day.day}"} | ({"L"} if day.day == length else set())
    numbers |= {"LW"} if day == workdays[-1] else set()
    return bool({"*", *numbers} & set(days.split(","))) and bool({"*", *named} & set(weekdays.split(",")))


DAY_TERMS = st.sampled_from(["L", "LW", "1", "15", "29", "31", *(f"L-{back}" for back in range(31))])
WEEKDAY_TERMS = st.sampled_from([f"{name}{place}" for name in NAMES for place in ("", "L", "#1", "#2", "#4", "#5")])
DAYS = st.just("*") | st.lists(DAY_TERMS, min_size=1, max_size=3, unique=True).map(",".join)
WEEKDAYS = st.just("*") | st.lists(WEEKDAY_TERMS, min_size=1, max_size=3, unique=True).map(",".join)
STARTS = st.datetimes(*map(datetime.fromisoformat, ("1900-01-01", "2190-01-01")))


TERMS = {"days": DAYS, "weekdays": WEEKDAYS, "start": STARTS}


@settings(max_examples=20, deadline=None)
@given(**TERMS)
def test_they_fire_on_the_days_that_a_count_finds(days: str, weekdays: str, start: datetime) -> None:
    expression, end = CronExpression(f"0 0 {days} * {weekdays}"), start + timedelta(days=500)
    found, after = [], start
    while expression.can_fire and (after := expression.next_time(after)) <= end:
        found.append(after.date())
    candidates = (start.date() + timedelta(days=number) for number in range(1, 501))
    assert found == [day for day in candidates if matches(day, days, weekdays)]
    assert expression.latest(start, end)[1] == len(found)


test_they_fire_on_the_days_that_a_count_finds_in_many_cases = with_many_examples(
    test_they_fire_on_the_days_that_a_count_finds, 60, TERMS
)


CRONSIM_DAYS = st.sampled_from(["L", "LW"])
CRONSIM_WEEKDAYS = st.tuples(st.integers(0, 6), st.sampled_from(["L", "#1", "#2", "#3", "#4", "#5"]))


@settings(max_examples=60, deadline=None)
@given(st.one_of(CRONSIM_DAYS, CRONSIM_WEEKDAYS), STARTS, st.sampled_from(["30 2", "*/7 1-3"]))
def test_they_fire_as_in_cronsim(term: str | tuple[int, str], start: datetime, time: str) -> None:
    if isinstance(term, str):
        ours = theirs = f"{time} {term} * *"
    else:
        ours, theirs = f"{time} * * {NAMES[term[0]]}{term[1]}", f"{time} * * {(term[0] + 1) % 7}{term[1]}"
    after = start.replace(tzinfo=UTC).astimezone(ZoneInfo("Europe/Berlin"))
    expected = list(islice(CronSim(theirs, after), 5))
    found = []
    for _ in expected:
        after = CronExpression(ours).next_time(after)
        found.append(after)
    assert found == expected
