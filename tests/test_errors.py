"""An error keeps what is wrong apart from its fix, and says both."""

from __future__ import annotations

import pickle

from jarvis_trio.errors import ScheduleError, StoreMissingError, TaskError


def test_it_says_what_is_wrong_and_the_fix() -> None:
    error = TaskError("there is no program 'bakup'", fix="give the path of an executable")

    assert str(error) == "there is no program 'bakup'; give the path of an executable"
    assert (error.says, error.fix) == ("there is no program 'bakup'", "give the path of an executable")


def test_without_a_fix_it_says_what_is_wrong_alone() -> None:
    assert str(TaskError("nothing was removed")) == "nothing was removed"


def test_an_error_that_is_also_one_of_pythons_says_the_same() -> None:
    assert str(StoreMissingError("Memory DB not found at /x", fix="run init")) == "Memory DB not found at /x; run init"


def test_it_survives_a_change_of_process() -> None:
    error = pickle.loads(pickle.dumps(TaskError("what", fix="do this")))

    assert (type(error), str(error)) == (TaskError, "what; do this")


def test_an_endless_value_in_an_error_is_cut_and_the_fix_stays() -> None:
    error = ScheduleError(f"unknown time zone: {'x' * 300_000}", fix="use a name like Europe/Berlin")
    assert len(error.says) == 2_000
    assert error.says.endswith("x…")
    assert str(error) == f"{error.says}; use a name like Europe/Berlin"
