"""`CronExpression` against three oracles that share nothing with it: a scan of every minute, cronsim, the calendar.

The expressions come out of a seeded generator that makes each field's text and its set
of values side by side, so that the oracles never read a text.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import permutations, product
from random import Random
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim, CronSimError
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from jarvis_trio.errors import CronError
from jarvis_trio.schedules.cron import CronExpression
from tests.support.examples import with_many_examples

MINUTE = timedelta(minutes=1)
NAMES = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")

# The instants (UTC) at which the clocks of these zones change: an hour, half an hour, two hours, a quarter,
# a day, 44 minutes 30 seconds; at midnight and across it; forward and back.
CHANGES = [
    ("America/Denver", "2026-03-08T09:00"),
    ("America/Denver", "2026-11-01T08:00"),
    ("Europe/Dublin", "2026-03-29T01:00"),
    ("Europe/Dublin", "2026-10-25T01:00"),
    ("Africa/Casablanca", "2026-02-15T02:00"),
    ("Africa/Casablanca", "2026-03-22T02:00"),
    ("America/Havana", "2026-03-08T05:00"),
    ("America/Havana", "2026-11-01T05:00"),
    ("Asia/Beirut", "2025-03-29T22:00"),
    ("Asia/Beirut", "2025-10-25T21:00"),
    ("Australia/Lord_Howe", "2026-04-04T15:00"),
    ("Australia/Lord_Howe", "2026-10-03T15:30"),
    ("America/St_Johns", "2006-04-02T03:31"),
    ("America/St_Johns", "2006-10-29T02:31"),
    ("Antarctica/Troll", "2026-03-29T01:00"),
    ("Antarctica/Troll", "2026-10-25T01:00"),
    ("Antarctica/Casey", "2018-03-10T17:00"),
    ("Asia/Kathmandu", "1985-12-31T18:30"),
    ("Pacific/Apia", "2011-12-30T10:00"),
    ("Pacific/Kwajalein", "1969-09-30T13:00"),
    ("Africa/Monrovia", "1972-01-07T00:44:30"),
]
# Where every change is a whole hour, on the hour. With others cronsim 2.8 misses minutes of wild-card jobs (Lord Howe)
# or never returns (`4 */5 * * *` on the eve of the change in St. John's).
CRONSIM_ZONES = (
    "America/Denver",
    "Europe/Dublin",
    "Europe/Berlin",
    "Africa/Casablanca",
    "Australia/Sydney",
    "America/Santiago",
    "Asia/Tehran",
    "UTC",
)


@dataclass(frozen=True)
class Sample:
    """An expression, and what it means according to the generator."""

    text: str
    values: tuple[frozenset[int], ...]  # minutes, hours, days, months, weekdays (0 = Monday)

    @property
    def follows_clock(self) -> bool:
        minute, hour, *_ = self.text.split()
        return minute[0] == "*" or hour[0] == "*"

    def matches(self, reading: datetime) -> bool:
        minutes, hours, days, months, weekdays = self.values
        return (
            reading.minute in minutes
            and reading.hour in hours
            and reading.day in days
            and reading.month in months
            and reading.weekday() in weekdays
        )


def make_field(random: Random, low: int, high: int, near: int) -> tuple[str, frozenset[int]]:
    """A field's text and values; one of three is about the value `near`."""
    start = near if random.random() < 0.34 else random.randint(low, high)
    end = random.randint(start, high)
    step = random.randint(2, 20)
    everything = range(low, high + 1)
    listed = random.sample(everything, min(4, len(everything)))
    return random.choice(
        [
            ("*", frozenset(everything)),
            (f"*/{step}", frozenset(everything[::step])),
            (str(start), frozenset([start])),
            (f"{start}-{end}", frozenset(range(start, end + 1))),
            (f"{start}-{end}/{step}", frozenset(range(start, end + 1, step))),
            (f"{start}/{step}", frozenset(range(start, high + 1, step))),
            (",".join(map(str, listed)), frozenset(listed)),
            (f"{start},{end}", frozenset([start, end])),
        ]
    )


def make_sample(random: Random, near: datetime, *, one_day_field: bool = False) -> Sample:
    any_day, any_month, any_weekday = (("*", frozenset(values)) for values in (range(1, 32), range(1, 13), range(7)))
    fields = [make_field(random, 0, 59, near.minute), make_field(random, 0, 23, near.hour)]
    fields += [any_day, any_month, any_weekday]
    if random.random() < 0.4:
        fields[2] = make_field(random, 1, 31, near.day)
    if random.random() < 0.2:
        fields[3] = make_field(random, 1, 12, near.month)
    if random.random() < 0.4 and not (one_day_field and fields[2] != any_day):
        fields[4] = make_field(random, 0, 6, near.weekday())
    return Sample(" ".join(text for text, _ in fields), tuple(values for _, values in fields))


def reads(moment: datetime) -> tuple[datetime, int]:
    return moment.replace(tzinfo=None), moment.fold


# A scan of every minute


@cache
def whole_minutes(zone: str, change: str) -> list[tuple[datetime, datetime]]:
    """Each instant (UTC) within three days of the change at which the clock's second is 0, and what it reads then."""
    start = datetime.fromisoformat(change).replace(tzinfo=UTC) - timedelta(days=3)
    instants = (start + timedelta(seconds=30 * step) for step in range(6 * 2880))
    readings = ((instant, instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)) for instant in instants)
    return [(instant, reading) for instant, reading in readings if reading.second == 0]


def scan(sample: Sample, clock: list[tuple[datetime, datetime]]) -> list[datetime]:
    """Debian's law, as its cron(8) tells it: a virtual clock that fixed-time jobs go by never runs back."""
    if sample.follows_clock:
        return [instant for instant, reading in clock if sample.matches(reading)]
    fires, virtual = [], clock[0][1]
    for instant, reading in clock[1:]:
        due = False
        while virtual < reading:
            virtual += MINUTE
            due = due or sample.matches(virtual)
        if due:
            fires.append(instant)
    return fires


def scanned_samples(zone: str, change: str, count: int) -> Iterator[tuple[Random, CronExpression, list[datetime]]]:
    random = Random(f"{zone} {change}")
    clock = whole_minutes(zone, change)
    for _ in range(count):
        sample = make_sample(random, random.choice(clock[len(clock) * 2 // 5 : len(clock) * 3 // 5])[1])
        yield random, CronExpression(sample.text), scan(sample, clock)


def some_instant(random: Random, change: str) -> datetime:
    """An instant that the scan can judge: half of them within three hours of the change."""
    reach = random.choice([3, 60]) * 3600
    moment = datetime.fromisoformat(change).replace(tzinfo=UTC) + timedelta(seconds=random.randint(-reach, reach))
    return moment.replace(second=0) if random.random() < 0.5 else moment


@pytest.mark.law(5)
@pytest.mark.parametrize(("zone", "change"), CHANGES)
def test_next_time_is_what_a_scan_of_every_minute_finds(zone: str, change: str) -> None:
    end = whole_minutes(zone, change)[-1][0]
    for random, cron, fires in scanned_samples(zone, change, 40):
        for _ in range(12):
            after = some_instant(random, change)
            index = bisect_right(fires, after)
            found = cron.next_time(after.astimezone(ZoneInfo(zone)))
            instant = found.astimezone(UTC)
            assert instant == fires[index] if index < len(fires) else instant > end, (cron, after, found)
            assert found.tzinfo is ZoneInfo(zone)
            assert reads(found) == reads(instant.astimezone(found.tzinfo)), (cron, after, found)


@pytest.mark.law(5)
@pytest.mark.thorough
@pytest.mark.parametrize(("zone", "change"), CHANGES)
def test_latest_is_what_a_scan_of_every_minute_counts(zone: str, change: str) -> None:
    for random, cron, fires in scanned_samples(zone, change, 25):
        for _ in range(6):
            after, until = sorted([some_instant(random, change), some_instant(random, change)])
            expected = fires[bisect_right(fires, after) : bisect_right(fires, until)]
            last, count = cron.latest(after.astimezone(ZoneInfo(zone)), until)
            assert count == len(expected), (cron, after, until)
            assert (last and last.astimezone(UTC)) == (expected[-1] if expected else None), (cron, after, until)


# cronsim


def for_cronsim(sample: Sample) -> str:
    """The same for cronsim: the values one by one, weekdays by name; the stars, which decide the law, as they are."""
    *fields, weekdays = (
        text if text[0] == "*" else ",".join(map(str, values))
        for text, values in zip(sample.text.split(), sample.values, strict=True)
    )
    if weekdays != "*":
        weekdays = ",".join(NAMES[value] for value in sample.values[4])
    return " ".join([*fields, weekdays])


def cronsim_fires(expression: str, after: datetime, count: int) -> list[datetime]:
    """The next fires (UTC) by cronsim, which gives two fixed times in one gap as the same instant twice."""
    fires = [after.astimezone(UTC)]
    for fire in CronSim(expression, after):
        if fire.astimezone(UTC) != fires[-1]:
            fires.append(fire.astimezone(UTC))
        if len(fires) > count:
            break
    return fires[1:]


@pytest.mark.parametrize("zone", CRONSIM_ZONES)
def test_agrees_with_cronsim(zone: str) -> None:
    random = Random(zone)
    for _ in range(120):
        month = random.choice([2, 3, 4, 9, 10, 11, random.randint(1, 12)])
        near = datetime(2026, month, random.randint(1, 28), random.randint(0, 4), tzinfo=UTC)
        after = (near + timedelta(seconds=random.randint(-86_400, 86_400))).astimezone(ZoneInfo(zone))
        sample = make_sample(random, after, one_day_field=True)  # cronsim takes either where both are restricted
        cron = CronExpression(sample.text)
        if after.fold or not cron.can_fire:
            continue  # in the second pass cronsim would begin with the first
        ours = after
        for theirs in cronsim_fires(for_cronsim(sample), after, 4):
            ours = cron.next_time(ours)
            assert ours.astimezone(UTC) == theirs, (cron, after, ours)


def test_reads_a_minute_as_cronsim_does_or_refuses_it_too() -> None:
    random = Random(1)
    for _ in range(2000):
        text = "".join(random.choices("0159*/,-", k=random.randint(1, 6)))
        if any(int(low) == int(high) for low, high in re.findall(r"(\d+)-(\d+)/", text)):
            continue  # cronsim takes 5-5/10 for 5/10
        if not all(text.split(",")):
            continue  # cronsim refuses the empty parts of lists that existing rows have
        try:
            theirs = CronSim(f"{text} * * * *", datetime(2026, 1, 1, tzinfo=UTC)).minutes
        except CronSimError:
            with pytest.raises(CronError):
                CronExpression(f"{text} * * * *")
        else:
            assert minutes_of(f"{text} * * * *") == theirs, text


def minutes_of(expression: str) -> set[int]:
    cron, hour = CronExpression(expression), datetime(2026, 1, 1, tzinfo=UTC)
    return {minute for minute in range(60) if cron.describe(hour.replace(minute=minute))[0].matches}


@pytest.mark.parametrize("step", [1, 2, 3])
def test_reads_ranges_of_weekday_names_as_cronsim_does_and_those_to_sunday_as_well(step: int) -> None:
    for first, last in permutations(NAMES, 2):
        expression = f"0 0 * * {first}-{last}/{step}"
        try:
            found = CronSim(expression, datetime(2026, 1, 1, tzinfo=UTC)).weekdays
        except CronSimError:
            if last != "SUN":
                with pytest.raises(CronError):
                    CronExpression(expression)
        else:
            assert weekdays_of(expression) == {(day - 1) % 7 for day in found if isinstance(day, int)}, expression


def weekdays_of(expression: str) -> set[int]:
    cron, monday = CronExpression(expression), datetime(2026, 3, 2, tzinfo=UTC)
    return {day for day in range(7) if cron.describe(monday + timedelta(days=day))[4].matches}


# The calendar


@cache
def four_centuries() -> list[date]:
    """After them the Gregorian calendar repeats, weekdays too: 146,097 days are whole weeks."""
    return [date(2000, 1, 1) + timedelta(days=day) for day in range(146_097)]


IN_THOROUGH = [pytest.mark.slow, pytest.mark.thorough]


@pytest.mark.parametrize(
    ("fields", "days", "months", "weekdays"),
    [
        ("29 2 MON", {29}, {2}, {0}),
        ("29 2 *", {29}, {2}, set(range(7))),
        ("13 * FRI", {13}, set(range(1, 13)), {4}),
        pytest.param("31 * SUN,SAT", {31}, set(range(1, 13)), {5, 6}, marks=IN_THOROUGH),
        pytest.param("30,31 2,4 SAT", {30, 31}, {2, 4}, {5}, marks=IN_THOROUGH),
        pytest.param("1-7 JAN WED", set(range(1, 8)), {1}, {2}, marks=IN_THOROUGH),
        pytest.param("28-31 2-3 *", {28, 29, 30, 31}, {2, 3}, set(range(7)), marks=IN_THOROUGH),
    ],
)
def test_finds_the_days_of_four_centuries(fields: str, days: set[int], months: set[int], weekdays: set[int]) -> None:
    matching = [d for d in four_centuries() if d.day in days and d.month in months and d.weekday() in weekdays]
    cron, random = CronExpression(f"0 0 {fields}"), Random(fields)
    for after in random.sample(four_centuries()[:-15_000], 40):  # the rest is the longest wait, forty years
        expected = matching[bisect_right(matching, after)]
        assert cron.next_time(datetime(after.year, after.month, after.day, tzinfo=UTC)).date() == expected
        start, end = (datetime(day.year, day.month, day.day, tzinfo=UTC) for day in (after, expected))
        assert cron.latest(start, end) == (end, 1)
    start, end = datetime.combine(date(1999, 12, 31), time()), datetime.combine(date(2399, 12, 31), time())
    assert cron.latest(start, end)[1] == len(matching)


def test_can_fire_is_what_four_centuries_show() -> None:
    weekdays_of_date: dict[tuple[int, int], set[int]] = defaultdict(set)
    for day in four_centuries():
        weekdays_of_date[day.month, day.day].add(day.weekday())
    random = Random(2)
    for _ in range(500):
        days, months, weekdays = (
            random.sample(range(low, high + 1), random.randint(1, 2)) for low, high in ((28, 31), (1, 12), (0, 6))
        )
        cron = CronExpression("0 0 " + " ".join(",".join(map(str, values)) for values in (days, months, weekdays)))
        shown = any(weekdays_of_date[date] & set(weekdays) for date in product(months, days))
        assert cron.can_fire == shown, cron


# Properties, in any zone and year


ZONES = sorted({zone for zone, _ in CHANGES} | {"Europe/London", "America/Sitka", "Asia/Manila", "Asia/Tokyo"})


@st.composite
def expressions_and_times(draw: st.DrawFn) -> tuple[CronExpression, datetime]:
    zone = ZoneInfo(draw(st.sampled_from(ZONES)))
    after = draw(st.datetimes(datetime(1840, 1, 1), datetime(2150, 1, 1), timezones=st.just(UTC))).astimezone(zone)  # noqa: DTZ001  Hypothesis wants naive bounds
    sample = make_sample(Random(draw(st.integers(0, 2**32))), after)
    cron = CronExpression(sample.text)
    assume(cron.can_fire)
    return cron, after


@pytest.mark.law(5)
@settings(max_examples=60)
@given(**(INSTANTS := {"case": expressions_and_times(), "share": st.floats(0, 1)}))
def test_every_instant_between_two_fires_has_the_same_next_fire(
    case: tuple[CronExpression, datetime], share: float
) -> None:
    cron, after = case
    first = cron.next_time(after)
    second = cron.next_time(first)
    start, end = first.astimezone(UTC), second.astimezone(UTC)
    assert after.astimezone(UTC) < start < end
    for between in (start + (end - start) * share * 0.999999, end - timedelta(microseconds=1)):
        assert reads(cron.next_time(between.astimezone(after.tzinfo))) == reads(second)


test_every_instant_between_two_of_many_fires_has_the_same_next_fire = with_many_examples(
    test_every_instant_between_two_fires_has_the_same_next_fire, 300, INSTANTS
)


@pytest.mark.law(5)
@settings(max_examples=40)
@given(**(COUNTS := {"case": expressions_and_times(), "count": st.integers(0, 40)}))
def test_latest_is_what_repeating_next_time_counts(case: tuple[CronExpression, datetime], count: int) -> None:
    cron, after = case
    last = after
    for _ in range(count):
        last = cron.next_time(last)
    following = cron.next_time(last).astimezone(UTC)
    expected = reads(last) if count else None
    for until in (last.astimezone(UTC), following - timedelta(microseconds=1)):
        found, counted = cron.latest(after, until)
        assert (found and reads(found), counted) == (expected, count)


test_latest_is_what_repeating_next_time_counts_in_many_cases = with_many_examples(
    test_latest_is_what_repeating_next_time_counts, 200, COUNTS
)
