"""Tests of the pace: no trio, no thread, no sleep. Seconds count from START on both clocks."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

import pytest

from jarvis_trio.daemon.pace import FIRST_PAUSE, LONGEST_PAUSE, QUESTION_AFTER, Moment, Pace
from tests.support.core_fakes import START


def at(seconds: float) -> Moment:
    return Moment(seconds, instant(seconds))


def instant(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def run_tick(pace: Pace, start: float, end: float, *, fruitful: bool = False, due: float | None = None) -> None:
    due_at = None if due is None else instant(due)
    pace.ended(pace.started(at(start)), at(end), fruitful=fruitful, due_at=due_at)


def test_the_first_tick_starts_at_once() -> None:
    assert Pace(60, 1).seconds_to_wait(at(0)) == 0


def test_the_interval_counts_from_the_end_of_the_last_tick() -> None:
    pace = Pace(60, 1)
    run_tick(pace, 0, 10)
    assert pace.seconds_to_wait(at(10)) == 60
    assert pace.seconds_to_wait(at(70)) == 0


def test_what_is_due_before_the_interval_is_over_shortens_the_wait() -> None:
    pace = Pace(60, 1)
    run_tick(pace, 0, 1, due=7.5)
    assert pace.seconds_to_wait(at(1)) == 6.5


def test_what_is_due_later_does_not_lengthen_it() -> None:
    pace = Pace(60, 1)
    run_tick(pace, 0, 0, due=1000)
    assert pace.seconds_to_wait(at(0)) == 60


def test_a_corrected_clock_moves_what_is_due_and_not_the_interval() -> None:
    pace = Pace(60, 1)
    run_tick(pace, 0, 0, due=60)
    assert pace.seconds_to_wait(Moment(10, instant(9))) == 50
    assert pace.seconds_to_wait(Moment(10, instant(15))) == 45
    assert pace.seconds_to_wait(Moment(10, instant(3600))) == 0


@pytest.mark.parametrize("back", [2, 9, 3600])
def test_after_a_clock_was_set_back_a_tick_follows_at_once(back: float) -> None:
    pace = Pace(60, 4)
    run_tick(pace, 0, 1, due=30)
    assert pace.seconds_to_wait(Moment(10, instant(9))) == 21, "corrected by a second, and not set"
    assert pace.seconds_to_wait(Moment(10, instant(10 - back))) == 0


def test_only_one_tick_follows_a_clock_that_was_set_back() -> None:
    pace = Pace(60, 4)
    run_tick(pace, 0, 1, due=30)
    tick = pace.started(Moment(10, instant(-3600)))
    pace.ended(tick, Moment(11, instant(-3599)), fruitful=False, due_at=instant(-3590))
    assert pace.seconds_to_wait(Moment(11, instant(-3599))) == 9


def test_waking_ends_the_wait_once() -> None:
    pace = Pace(60, 1)
    run_tick(pace, 0, 0)
    pace.woken()
    assert pace.seconds_to_wait(at(5)) == 0
    run_tick(pace, 5, 5)
    assert pace.seconds_to_wait(at(5)) == 60


def test_without_a_free_place_nothing_starts_and_nobody_is_asked() -> None:
    pace = Pace(60, 1)
    pace.started(at(0))
    pace.woken()
    assert pace.seconds_to_wait(at(1000)) == math.inf
    assert not pace.wants_answer(at(1000))


def test_waking_during_a_tick_has_another_one_follow() -> None:
    pace = Pace(60, 1)
    number = pace.started(at(0))
    pace.woken()
    pace.ended(number, at(10), fruitful=True, due_at=None)
    assert pace.seconds_to_wait(at(10)) == 0


def test_beside_a_tick_that_was_wanted_the_engine_is_asked_at_once() -> None:
    pace = Pace(60, 2)
    pace.started(at(0))
    assert pace.wants_answer(at(0))
    pace.asked()
    pace.answered(instant(0))
    assert not pace.wants_answer(at(0))
    assert pace.seconds_to_wait(at(0)) == 0


def test_beside_a_routine_tick_the_engine_is_asked_after_a_while() -> None:
    pace = Pace(60, 2)
    run_tick(pace, 0, 0)
    pace.started(at(60))
    assert pace.seconds_to_wait(at(60)) == QUESTION_AFTER
    assert not pace.wants_answer(at(60))
    assert pace.wants_answer(at(60 + QUESTION_AFTER))


def test_a_tick_that_ended_meanwhile_knows_better_than_the_older_answer() -> None:
    pace = Pace(60, 2)
    number = pace.started(at(0))
    pace.asked()
    pace.ended(number, at(1), fruitful=True, due_at=None)
    pace.answered(instant(0))
    assert pace.seconds_to_wait(at(1)) == 60


def test_work_that_a_tick_saw_and_could_not_do_waits_for_the_interval() -> None:
    pace = Pace(60, 1)
    run_tick(pace, 5, 6, due=5)
    assert pace.seconds_to_wait(at(6)) == 60
    run_tick(pace, 66, 67, fruitful=True, due=66)
    assert pace.seconds_to_wait(at(67)) == 0


@pytest.mark.parametrize(("asks", "longest"), [(True, 60), (False, LONGEST_PAUSE)])
def test_ever_newer_work_that_nobody_does_gets_growing_pauses(*, asks: bool, longest: float) -> None:
    pace, now, pauses = Pace(60, 1, asks=asks), 0.0, []
    for _ in range(20):
        run_tick(pace, now, now, due=now + 1e-6)
        pauses.append(pace.seconds_to_wait(at(now)))
        now += pauses[-1]
    assert pauses[:5] == pytest.approx([1e-6, FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE, 8 * FIRST_PAUSE])
    assert pauses[-1] == pytest.approx(longest)


@pytest.mark.law(3)
def test_law_3_work_of_ones_own_is_on_time_although_another_daemon_takes_all_other_slots() -> None:
    pace = Pace(60, 4, asks=False)
    for second in range(100):
        run_tick(pace, second, second + 0.01, due=second + 1)
    assert pace.seconds_to_wait(at(99.01)) == pytest.approx(0.99)


@pytest.mark.law(3)
def test_law_3_a_fruitless_tick_does_not_hide_what_another_one_has_left_meanwhile() -> None:
    """Both end in one turn of the loop; the fruitless one had looked before the other one wrote."""
    pace = Pace(60, 4, asks=False)
    fruitful = pace.started(at(1))
    fruitless = pace.started(at(2))
    pace.ended(fruitful, at(3), fruitful=True, due_at=instant(1.5))
    pace.ended(fruitless, at(3), fruitful=False, due_at=instant(1.5))
    assert pace.seconds_to_wait(at(3)) == 0
    run_tick(pace, 3, 4, due=1.5)
    assert pace.seconds_to_wait(at(4)) == 60


def test_one_fruitful_tick_ends_the_pauses() -> None:
    pace = Pace(60, 1)
    for _ in range(10):
        run_tick(pace, 0, 0, due=0.5)
    run_tick(pace, 0, 0, fruitful=True, due=0.001)
    assert pace.seconds_to_wait(at(0)) == pytest.approx(0.001)


def test_the_starts_of_what_is_at_work_are_told() -> None:
    pace = Pace(60, 3)
    pace.started(at(1))
    second = pace.started(at(2))
    pace.started(at(3))
    pace.ended(second, at(4), fruitful=False, due_at=None)
    assert pace.running_since == [instant(1), instant(3)]


def test_somebody_else_may_know_what_is_due() -> None:
    pace = Pace(math.inf, 1)
    run_tick(pace, 0, 0)
    assert pace.seconds_to_wait(at(0)) == math.inf
    pace.due(instant(8))
    assert pace.seconds_to_wait(at(3)) == 5


def test_beside_a_tick_of_an_engine_that_tells_nothing_starts_until_it_has_told() -> None:
    pace = Pace(60, 4, asks=False)
    run_tick(pace, 0, 1, due=5)
    pace.started(at(5))
    assert pace.seconds_to_wait(at(5)) == 60
    assert not pace.wants_answer(at(5 + QUESTION_AFTER))
    pace.due(instant(8))
    assert pace.seconds_to_wait(at(6)) == 2


@pytest.mark.law(3)
def test_law_3_what_a_tick_has_told_outlives_the_older_answer_of_another_one() -> None:
    """The second tick found no place; it had looked before the first one claimed, and ends after that."""
    pace = Pace(60, 4, asks=False)
    pace.started(at(1))
    without_place = pace.started(at(2))
    pace.due(instant(8))
    pace.ended(without_place, at(3), fruitful=False, due_at=instant(1))
    assert pace.seconds_to_wait(at(3)) == 5


def test_what_was_told_is_forgotten_as_the_next_tick_starts() -> None:
    pace = Pace(60, 4, asks=False)
    pace.started(at(1))
    pace.due(instant(8))
    run_tick(pace, 8, 8)
    assert pace.seconds_to_wait(at(8)) == 60
