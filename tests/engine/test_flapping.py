"""Tests of how often a task may tell of its troubles. Minutes count from START."""

from __future__ import annotations

from datetime import UTC, timedelta
from zoneinfo import ZoneInfo

import pytest

from jarvis_trio.engine.flapping import Told
from tests.support.core_fakes import START


def minute(number: float) -> timedelta:
    return timedelta(minutes=number)


def told_at(told: Told, number: float, *, joined: bool = False) -> Told:
    """What is told after one more message."""
    at = START + minute(number)
    return (told.joined() if joined else told.alone(at)).posted(7, at)


def test_the_first_two_within_an_hour_are_told_at_once() -> None:
    told = told_at(told_at(Told(), 0), 5)
    assert (told.due_at, told.waiting) == (START + minute(5), None)


def test_the_third_waits_until_an_hour_after_the_second() -> None:
    told = told_at(told_at(told_at(Told(), 0), 5), 10)
    assert (told.due_at, told.waiting, told.changes) == (START + minute(65), 7, 1)
    again = told_at(told, 20, joined=True)
    assert (again.due_at, again.waiting, again.changes) == (START + minute(65), 7, 2)
    assert again.words("it fails", START + minute(20), UTC) == "it fails; 2 changes since Mon 2026-03-02 09:10 UTC"


def test_after_a_message_that_waited_the_next_one_waits_for_an_hour_too() -> None:
    told = told_at(told_at(told_at(told_at(Told(), 0), 5), 10), 70)
    assert told.due_at == START + minute(125)


def test_after_a_quiet_hour_all_is_as_at_the_beginning() -> None:
    told = told_at(told_at(told_at(told_at(Told(), 0), 5), 10), 126)
    assert (told.due_at, told.waiting) == (START + minute(126), None)


def test_what_was_told_an_hour_ago_counts_no_longer() -> None:
    told = told_at(told_at(told_at(Told(), 0), 30), 60)
    assert (told.due_at, told.waiting) == (START + minute(60), None)


def test_what_is_told_alone_stands_for_one_change_at_its_time_and_for_no_letter() -> None:
    at = START + minute(1)
    assert Told((START,), 7, 3, START).alone(at) == Told((START, at), None, 1, at)
    later = START + minute(61)
    assert Told((START, at), 7, 3, START).alone(at) == Told((later, later), None, 1, at)


@pytest.mark.parametrize(
    ("text", "told"), [('{"waiting": 7}', Told(waiting=7)), ('{"changes": 2}', Told(changes=2)), ("{}", Told())]
)
def test_what_is_missing_in_the_text_is_as_at_the_beginning(text: str, told: Told) -> None:
    assert Told.read(text) == told


def test_it_is_kept_as_text() -> None:
    told = told_at(told_at(told_at(Told(), 0), 5), 10)
    assert Told.read(told.text()) == told


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"times": 5}', '{"times": ["soon"]}', '{"changes": "x"}'])
def test_what_makes_no_sense_is_nothing(text: str | None) -> None:
    assert Told.read(text) == Told()


def test_a_letter_that_waits_stands_for_one_change_whatever_the_one_before_stood_for() -> None:
    told = Told(times=(START, START), changes=3).alone(START + minute(1))
    assert told.changes == 1
    says = told.words("no net", START + minute(1), ZoneInfo("America/Denver"))
    assert says == "no net; 1 change since Mon 2026-03-02 02:01 MST"
