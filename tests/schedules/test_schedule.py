"""Unit tests: from a row's text to slots, and what of them is due. Cron itself is `test_cron`'s."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_trio.errors import CronError, ScheduleError
from jarvis_trio.models import ScheduledTask
from jarvis_trio.schedules.cron import CronExpression
from jarvis_trio.schedules.cron_slots import Cron
from jarvis_trio.schedules.interval import SHORTEST, Interval, interval_config
from jarvis_trio.schedules.kind import TICK, Schedule, SetBack
from jarvis_trio.schedules.once import Once
from jarvis_trio.schedules.schedule import (
    calculate_next_run,
    catch_up,
    is_of_another_zone,
    is_over,
    parse_schedule,
    slots_between,
    stored_next_run,
    task_schedule,
    task_zone,
)
from tests.support.core_fakes import START, a_task

DENVER = ZoneInfo("America/Denver")  # 2026: forward on 8 March at 02:00, back on 1 November at 02:00
TOKYO = ZoneInfo("Asia/Tokyo")
HOUR = timedelta(hours=1)
minutes = st.integers(1, 100_000).map(lambda count: timedelta(minutes=count))


def denver(year: int, month: int, day: int, hour: int) -> datetime:
    return datetime(year, month, day, hour, tzinfo=DENVER).astimezone(UTC)


@pytest.mark.parametrize(
    ("config", "step"),
    [
        ('{"minutes": 30}', timedelta(minutes=30)),
        ('{"hours": 2}', timedelta(hours=2)),
        ('{"days": 1, "hours": 1, "minutes": 1, "seconds": 1}', timedelta(days=1, hours=1, minutes=1, seconds=1)),
        ('{"minutes": 0, "seconds": 1.5}', timedelta(seconds=1.5)),
        ('{"hours": 1, "minutes": -30}', timedelta(minutes=30)),
        ('{"minutes": 5, "note of another program": []}', timedelta(minutes=5)),
        ('{"seconds": 0.05}', timedelta(seconds=0.05)),
        ('{"days": 366000}', timedelta(days=366_000)),
    ],
)
def test_an_interval_is_the_sum_of_its_parts(config: str, step: timedelta) -> None:
    assert parse_schedule("interval", config, UTC) == Interval(step)


@pytest.mark.law(4)
@pytest.mark.parametrize("config", ['{"seconds": 0.000001}', '{"hours": 1e-9}', '{"seconds": 0.00999}'])
def test_a_shorter_interval_than_the_shortest_is_the_shortest(config: str) -> None:
    schedule = parse_schedule("interval", config, UTC)
    assert schedule.next_after(START) == START + SHORTEST
    assert schedule.words() == "every 0.01s"


def test_a_shorter_interval_than_the_shortest_stays_in_an_export_as_it_is_written() -> None:
    assert parse_schedule("interval", '{"seconds": 0.005}', UTC).as_option() == ("every", timedelta(seconds=0.005))


@pytest.mark.law(4)
@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("interval", ""),
        ("interval", "{}"),
        ("interval", '{"minutes": 0}'),
        ("interval", '{"minutes": -5}'),
        ("interval", '{"minutes": "5"}'),
        ("interval", '{"minutes": true}'),
        ("interval", '{"minutes": null}'),
        ("interval", '{"minutes": NaN}'),
        ("interval", '{"minutes": Infinity}'),
        ("interval", '{"days": 1e300}'),
        ("interval", '{"days": 1' + "0" * 400 + "}"),
        ("interval", '{"seconds": 1e-9}'),
        ("interval", '{"weeks": 1}'),
        ("interval", "[5]"),
        ("interval", "{" * 50_000),
        ("cron", "{}"),
        ("cron", '{"expression": 5}'),
        ("cron", '{"expression": ""}'),
        ("cron", '{"expression": "* * * *"}'),
        ("cron", '{"expression": "0 0 30 2 *"}'),
        ("cron", '{"expression": "\\ud800 * * * *"}'),
        ("once", "{}"),
        ("once", '{"run_at": null}'),
        ("once", '{"run_at": "soon"}'),
        ("once", '{"run_at": "0001-01-01T00:00"}'),
        ("once", '{"run_at": "9999-12-31T23:59"}'),
        ("sometimes", "{}"),
        ("", "{}"),
    ],
)
def test_what_is_no_schedule_is_refused_in_one_line(kind: str, config: str) -> None:
    with pytest.raises(ScheduleError) as refused:
        parse_schedule(kind, config, DENVER)
    message = str(refused.value)
    assert message
    assert "\n" not in message
    message.encode()  # it can be stored


@pytest.mark.parametrize(
    ("kind", "config", "says"),
    [
        ("interval", "[5]", """schedule_config must be a JSON object, such as {"name": "value"}, not '[5]'"""),
        ("interval", '{"minutes": "5"}', "interval: minutes must be a number, not '5'"),
        ("interval", '{"days": 366001}', "interval out of range: {'days': 366001}; it may be up to 1000 years"),
        (
            "interval",
            '{"weeks": 1}',
            "interval must be greater than zero in days, hours, minutes or seconds: {'weeks': 1}",
        ),
        ("cron", "{}", """schedule_config needs the text 'expression', like {"expression": "0 9 * * *"}"""),
        (
            "cron",
            '{"expression": "0 0 30 2 *"}',
            "cron expression '0 0 30 2 *' can never fire: no date matches its day, month and weekday",
        ),
        ("once", "{}", """schedule_config needs the text 'run_at', like {"run_at": "2026-12-01T09:00"}"""),
        ("sometimes", "{}", "unknown schedule_type 'sometimes'; it is interval, cron or once"),
    ],
)
def test_a_refusal_names_what_is_wrong_and_the_mend(kind: str, config: str, says: str) -> None:
    with pytest.raises(ScheduleError) as refused:
        parse_schedule(kind, config, UTC)
    assert str(refused.value) == says


def test_a_cron_expression_that_can_never_fire_is_an_error_of_cron() -> None:
    with pytest.raises(CronError):
        parse_schedule("cron", '{"expression": "0 0 30 2 *"}', UTC)


@pytest.mark.law(5)
def test_an_interval_is_elapsed_time_and_notices_no_clock_change() -> None:
    slots = list(slots_between(Interval(HOUR), denver(2026, 3, 8, 0), denver(2026, 3, 8, 0), denver(2026, 3, 9, 0)))
    assert len(slots) == 23
    assert {after - before for before, after in pairwise(slots)} == {HOUR}


@pytest.mark.law(5)
def test_a_cron_schedule_is_read_in_its_zone() -> None:
    schedule = parse_schedule("cron", '{"expression": "0 9 * * *"}', DENVER)
    assert schedule.next_after(denver(2026, 3, 7, 12)) == datetime(2026, 3, 8, 15, tzinfo=UTC)  # summer time by then
    assert schedule.next_after(denver(2026, 3, 6, 12)) == datetime(2026, 3, 7, 16, tzinfo=UTC)


@pytest.mark.law(5)
def test_a_once_without_offset_is_local() -> None:
    assert parse_schedule("once", '{"run_at": "2026-12-01T09:00"}', DENVER) == Once(denver(2026, 12, 1, 9))


@pytest.mark.law(5)
def test_stored_numeric_weekdays_count_from_monday() -> None:
    schedule = parse_schedule("cron", '{"expression": "0 9 * * 0"}', UTC)
    assert schedule.next_after(START) == START + timedelta(days=7)  # START is a Monday at 09:00


def test_a_task_without_a_zone_follows_the_machines() -> None:
    assert task_zone(a_task(), DENVER) is DENVER
    assert task_zone(a_task(policy={"timezone": "Asia/Tokyo"}), DENVER) == ZoneInfo("Asia/Tokyo")


def test_a_tasks_own_zone_is_the_one_its_schedule_is_read_in() -> None:
    task = a_task(cron="0 9 * * *", policy={"timezone": "Asia/Tokyo"})
    assert task_schedule(task, DENVER).next_after(START) == datetime(2026, 3, 3, 0, tzinfo=UTC)
    assert task_schedule(a_task(cron="0 9 * * *"), DENVER).next_after(START) == denver(2026, 3, 2, 9)


NINE_IN_DENVER = parse_schedule("cron", '{"expression": "0 9 * * *"}', DENVER)


@pytest.mark.parametrize(
    ("schedule", "after", "until", "last", "count"),
    [
        (Interval(HOUR), START, START + 2.5 * HOUR, START + 2 * HOUR, 2),
        (Interval(HOUR), START, START + 2 * HOUR, START + 2 * HOUR, 2),
        (Interval(HOUR), START, START + 0.5 * HOUR, None, 0),
        (Interval(HOUR), START, START - 5 * HOUR, None, 0),
        (NINE_IN_DENVER, denver(2026, 3, 7, 12), denver(2026, 3, 9, 9), denver(2026, 3, 9, 9), 2),
        (NINE_IN_DENVER, denver(2026, 3, 7, 9), denver(2026, 3, 8, 8), None, 0),
        (Once(START), START - HOUR, START, START, 1),
        (Once(START), START - 2 * HOUR, START - HOUR, None, 0),
        (Once(START), START, START + HOUR, None, 0),
    ],
)
def test_the_last_slot_of_a_span_leaves_out_its_start_and_takes_in_its_end(
    schedule: Schedule, after: datetime, until: datetime, last: datetime | None, count: int
) -> None:
    assert schedule.latest(after, until) == (last, count)


@pytest.mark.law(5)
def test_the_slots_of_any_schedule_are_in_utc() -> None:
    assert (slot := NINE_IN_DENVER.next_after(START)) is not None
    assert slot.tzinfo is UTC
    assert (last := NINE_IN_DENVER.latest(START, slot)[0]) is not None
    assert last.tzinfo is UTC


@pytest.mark.law(3)
def test_catch_up_is_one_late_run_for_the_latest_slot_with_the_count_of_the_others() -> None:
    planned = catch_up(Interval(HOUR), START, START + timedelta(hours=5, minutes=30))
    assert (planned.slot, planned.collapsed, planned.next) == (START + 5 * HOUR, 5, START + 6 * HOUR)


@pytest.mark.law(3)
def test_a_slot_on_time_stands_for_itself_alone() -> None:
    planned = catch_up(Interval(HOUR), START, START)
    assert (planned.slot, planned.collapsed, planned.next) == (START, 0, START + HOUR)


@pytest.mark.law(3)
def test_cron_slots_collapse_too() -> None:
    schedule = parse_schedule("cron", '{"expression": "0 9 * * MON-FRI"}', UTC)
    planned = catch_up(schedule, START, START + timedelta(days=8))
    assert planned.slot == START + timedelta(days=8)
    assert planned.collapsed == 6  # Monday to Friday, and Monday again
    assert planned.next == START + timedelta(days=9)


@pytest.mark.law(3)
def test_a_once_that_came_due_long_ago_is_due_once() -> None:
    planned = catch_up(Once(START), START, START + timedelta(days=400))
    assert (planned.slot, planned.collapsed, planned.next) == (START, 0, None)


@pytest.mark.law(3)
@given(step=minutes, late=minutes)
def test_no_slot_is_lost_or_counted_twice_by_catch_up(step: timedelta, late: timedelta) -> None:
    schedule, now = Interval(step), START + late
    planned = catch_up(schedule, START, now)
    due = [slot for slot in (START + k * step for k in range(planned.collapsed + 2)) if slot <= now]
    assert planned.collapsed + 1 == len(due)
    assert planned.slot == due[-1]
    assert planned.next is not None
    assert planned.next > now


@pytest.mark.law(4)
@pytest.mark.parametrize(
    ("first", "zone"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), DENVER),
        (datetime(1970, 1, 1, tzinfo=UTC), TOKYO),
        pytest.param(datetime(2, 1, 1, tzinfo=UTC), DENVER, marks=[pytest.mark.slow, pytest.mark.thorough]),
        pytest.param(datetime(2, 1, 1, tzinfo=UTC), TOKYO, marks=[pytest.mark.slow, pytest.mark.thorough]),
    ],
)
def test_a_slot_of_ages_ago_is_caught_up_with_in_any_zone(first: datetime, zone: tzinfo) -> None:
    schedule = parse_schedule("cron", '{"expression": "0 9 * * *"}', zone)
    planned = catch_up(schedule, first, START)
    assert START - timedelta(days=1) < planned.slot <= START
    assert planned.collapsed == pytest.approx((START - first).days, abs=1)


@pytest.mark.law(4)
def test_an_interval_that_leads_out_of_the_calendar_has_no_next_slot() -> None:
    assert Interval(timedelta(days=900_000_000)).next_after(START) is None
    assert Interval(timedelta(days=2_912_300)).next_after(START) is None  # the year 9999: local text may not exist


def test_slots_between_start_at_the_anchor() -> None:
    anchor = START + timedelta(minutes=20)
    slots = slots_between(Interval(HOUR), anchor, START, START + 2 * HOUR)
    assert list(slots) == [anchor, anchor + HOUR]


def test_slots_between_count_on_from_an_anchor_in_the_past() -> None:
    anchor = START - timedelta(minutes=90)
    slots = slots_between(Interval(HOUR), anchor, START, START + 2 * HOUR)
    assert list(slots) == [START + timedelta(minutes=30), START + timedelta(minutes=90)]


def test_slots_between_count_back_from_the_anchor_to_the_time_the_task_is_known_since() -> None:
    anchor, start, end = START + 2 * HOUR, START - 5 * HOUR, START + 3 * HOUR
    slots = slots_between(Interval(HOUR), anchor, start, end, known_since=START)
    assert list(slots) == [START, START + HOUR, START + 2 * HOUR]


def test_slots_between_include_the_start_and_not_the_end() -> None:
    assert list(slots_between(Interval(HOUR), START - HOUR, START, START + 2 * HOUR)) == [START, START + HOUR]
    daily = parse_schedule("cron", '{"expression": "0 9 * * *"}', UTC)
    assert list(slots_between(daily, None, START, START + timedelta(days=1))) == [START]


def test_an_interval_without_an_anchor_has_no_slots_to_tell() -> None:
    assert list(slots_between(Interval(HOUR), None, START, START + 5 * HOUR)) == []


def test_slots_are_told_one_by_one() -> None:
    forever = slots_between(Interval(HOUR), START, START, datetime(9998, 1, 1, tzinfo=UTC))
    assert list(islice(forever, 2)) == [START, START + HOUR]


@pytest.mark.parametrize(
    ("kind", "config", "expected"),
    [
        ("interval", {"minutes": 30}, START + timedelta(minutes=30)),
        ("interval", '{"minutes": 30}', START + timedelta(minutes=30)),
        ("cron", {"expression": "0 9 * * *"}, START + timedelta(days=1)),
        ("once", {"run_at": "2026-03-02T10:00"}, START + HOUR),
        ("once", {"run_at": "2026-03-02T09:00"}, None),
    ],
)
def test_calculate_next_run(kind: str, config: str, expected: datetime | None) -> None:
    assert calculate_next_run(kind, config, START) == expected


@pytest.mark.law(5)
def test_calculate_next_run_answers_in_the_zone_it_was_asked_in() -> None:
    answer = calculate_next_run("cron", {"expression": "0 9 * * *"}, datetime(2026, 3, 7, 12, tzinfo=DENVER))
    assert answer == datetime(2026, 3, 8, 9, tzinfo=DENVER)
    assert answer.tzinfo is DENVER


@pytest.mark.law(5)
def test_calculate_next_run_adds_an_interval_to_the_instant_and_not_to_the_clock() -> None:
    before_the_gap = datetime(2026, 3, 8, 1, 30, tzinfo=DENVER)
    assert calculate_next_run("interval", {"hours": 1}, before_the_gap) == datetime(2026, 3, 8, 3, 30, tzinfo=DENVER)


def test_calculate_next_run_of_a_naive_time_is_naive() -> None:
    naive = datetime(2026, 3, 8, 1, 30)  # noqa: DTZ001  # as the existing assistant asks
    assert calculate_next_run("interval", {"hours": 1}, naive) == naive + HOUR
    assert calculate_next_run("cron", {"expression": "30 2 * * *"}, naive) == naive + HOUR
    assert calculate_next_run("once", {"run_at": "2026-03-08T02:30:00"}, naive) == naive + HOUR


def test_calculate_next_run_refuses_what_is_no_schedule() -> None:
    with pytest.raises(ScheduleError):
        calculate_next_run("interval", {"minutes": 0}, START)


def test_a_cron_schedule_has_no_slot_after_the_end_of_the_calendar() -> None:
    schedule = parse_schedule("cron", '{"expression": "0 0 1 JAN *"}', UTC)
    assert schedule.next_after(datetime(9999, 6, 1, tzinfo=UTC)) is None


def never(slot: datetime) -> bool:
    return False


@pytest.mark.parametrize(
    ("schedule", "first"),
    [
        (Interval(HOUR), START + HOUR),
        (Cron(CronExpression("30 9 * * *"), UTC), START + HOUR / 2),
        (Once(START - HOUR), START - HOUR),
    ],
)
def test_each_kind_of_schedule_knows_its_first_slot(schedule: Schedule, first: datetime) -> None:
    assert schedule.first(START, never) == first


def test_a_single_time_that_is_over_has_no_first_slot() -> None:
    assert Once(START).first(START, lambda slot: slot == START) is None


def test_a_recurring_schedule_does_not_ask_what_is_over() -> None:
    assert Interval(HOUR).first(START, lambda slot: True) == START + HOUR


def test_a_single_time_that_was_moved_by_hand_follows_from_nothing() -> None:
    assert Once(START).origin(START, START) == START
    assert Once(START).origin(START + HOUR, START) is None


def test_a_single_time_is_at_its_own_instant_or_later_and_not_after_it() -> None:
    assert Once(START).at_or_after(START, None) == START
    assert Once(START).at_or_after(START + TICK, None) is None


@pytest.mark.parametrize(
    ("schedule", "before"),
    [(Interval(HOUR), START - 3 * HOUR), (Cron(CronExpression("0 * * * *"), UTC), None), (Once(START), None)],
)
def test_only_the_slots_of_an_interval_can_be_counted_back(schedule: Schedule, before: datetime | None) -> None:
    assert schedule.back_from(START, 3) == before


@pytest.mark.parametrize(
    ("kind", "config", "words", "option"),
    [
        ("interval", '{"minutes": 90}', "every 1h30m", ("every", timedelta(minutes=90))),
        ("cron", '{"expression": "30 9 * * *"}', "at 09:30 every day", ("cron", "30 9 * * *")),
        ("once", '{"run_at": "2026-03-02T09:00"}', "once, Mon 2026-03-02 09:00 MST", ("at", "2026-03-02T09:00")),
    ],
)
def test_each_kind_of_schedule_says_when_it_runs_and_how_it_is_asked_for(
    kind: str, config: str, words: str, option: tuple[str, object]
) -> None:
    schedule = parse_schedule(kind, config, DENVER)
    assert (schedule.words(), schedule.as_option()) == (words, option)


@pytest.mark.parametrize(
    ("step", "config"),
    [
        (timedelta(days=1), {"days": 1}),
        (timedelta(days=2), {"days": 2}),
        (timedelta(hours=36), {"hours": 36}),
        (timedelta(minutes=90), {"minutes": 90}),
        (timedelta(seconds=90), {"seconds": 90}),
        (timedelta(seconds=1.5), {"seconds": 1.5}),
    ],
)
def test_an_interval_is_written_in_the_largest_unit_that_it_is_a_whole_number_of(
    step: timedelta, config: dict[str, float]
) -> None:
    assert interval_config(step) == config


def test_an_interval_of_whole_units_is_written_without_a_fraction() -> None:
    assert json.dumps(interval_config(timedelta(minutes=5))) == '{"minutes": 5}'


@pytest.mark.parametrize(
    ("text", "instant"),
    [("2026-03-02T09:00", denver(2026, 3, 2, 9)), ("2026-03-02T09:00+00:00", START), ("soon", None), (None, None)],
)
def test_the_next_run_of_a_row_is_local_to_the_machine_or_none(text: str | None, instant: datetime | None) -> None:
    assert stored_next_run(a_task(next_run_at=text), DENVER) == instant


@pytest.mark.parametrize("now", [START + HOUR, START + 2 * HOUR])
def test_a_next_run_that_is_due_counts_in_whichever_zone_it_is_a_slot(now: datetime) -> None:
    text = (START + HOUR).astimezone(TOKYO).isoformat()
    task, schedule = a_task(cron="0 19 * * *", next_run_at=text), NINE_IN_DENVER
    assert is_of_another_zone(task, schedule, START + HOUR, START)
    assert not is_of_another_zone(task, schedule, START + HOUR, now)


@pytest.mark.parametrize(
    ("at", "done", "over"), [("09:00", {"09:00"}, True), ("09:00", set(), False), ("10:00", {"09:00"}, False)]
)
def test_a_task_with_a_single_time_is_over_when_that_slot_is(at: str, done: set[str], over: bool) -> None:
    task = a_task(at=f"2026-03-02T{at}")
    assert is_over(task, UTC, lambda asked, slot: asked is task and f"{slot:%H:%M}" in done) is over


@pytest.mark.parametrize(
    "task",
    [
        a_task(at="2026-03-02T09:00", next_run_at="2026-03-02T10:00"),
        a_task(every={"minutes": 5}),
        a_task(every={"minutes": 0}),
    ],
    ids=["moved", "recurring", "without a schedule"],
)
def test_a_task_that_may_run_again_is_not_over(task: ScheduledTask) -> None:
    assert is_over(task, UTC, lambda asked, slot: True) is False


def test_a_single_time_is_over_by_the_machines_zone() -> None:
    seen: list[datetime] = []
    is_over(a_task(at="2026-03-02T09:00"), DENVER, lambda task, slot: bool(seen.append(slot)))
    assert seen == [denver(2026, 3, 2, 9)]


END_OF_CALENDAR = datetime(9999, 6, 1, tzinfo=UTC)
YEARLY = Cron(CronExpression("0 0 1 JAN *"), UTC)


def test_new_rules_of_a_zone_leave_no_slot_after_the_end_of_the_calendar() -> None:
    assert YEARLY.reread(END_OF_CALENDAR) is None


def test_a_clock_that_is_set_back_and_comes_to_no_further_slot_leaves_the_queued_one() -> None:
    clock = SetBack(END_OF_CALENDAR, HOUR, None, never)
    assert YEARLY.set_back(END_OF_CALENDAR + HOUR, clock) == END_OF_CALENDAR + HOUR
