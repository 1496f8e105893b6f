"""Tests of the places: how many runs may be under way at once, and who hears of a free one."""

from __future__ import annotations

import threading

from jarvis_trio.engine.places import Places
from tests.support.core_fakes import finish, in_thread


def test_whoever_comes_first_takes_all_that_are_free() -> None:
    places = Places(3)
    assert (places.take(), places.take(), places.are_free) == (3, 0, False)


def test_what_is_given_back_can_be_taken_again() -> None:
    places = Places(3)
    places.take()
    places.give_back(2)
    assert (places.are_free, places.take()) == (True, 2)


def test_whoever_gives_a_place_back_hears_once_that_somebody_went_away_without() -> None:
    places = Places(3)
    places.take()
    places.take()
    assert [places.give_back(number) for number in (0, 1, 1)] == [False, True, False]


def test_whoever_gives_a_place_back_that_nobody_missed_hears_nothing() -> None:
    places = Places(3)
    assert places.give_back(places.take()) is False


def test_what_is_given_back_piece_by_piece_is_free_together() -> None:
    places = Places(3)
    assert places.take() == 3
    for number in (1, 2):
        places.give_back(number)
    assert places.take() == 3


def test_without_a_number_each_tick_brings_a_place_of_its_own() -> None:
    places = Places()
    assert (places.take(), places.take(), places.give_back(1), places.are_free) == (1, 1, False, True)


def test_threads_never_take_more_than_there_are() -> None:
    places, guard, taken, most = Places(4), threading.Lock(), 0, 0

    def come_and_go() -> None:
        nonlocal taken, most
        for _ in range(2_000):
            mine = places.take()
            with guard:
                taken += mine
                most = max(most, taken)
                taken -= mine
            places.give_back(mine)

    finish(*(in_thread(come_and_go) for _ in range(4)))
    assert (most, places.take()) == (4, 4)
