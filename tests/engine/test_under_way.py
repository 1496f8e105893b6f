"""Tests of which handlers are under way, and of the word when one returns."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest

from jarvis_trio.engine.under_way import UnderWay
from jarvis_trio.models import HandlerContext, ScheduledTask
from tests.support.core_fakes import START, a_task

CONTEXT = HandlerContext(None, START, 1, START, timedelta(minutes=1), logging.getLogger("a.task"))


def test_whoever_returns_tells_of_all_that_are_under_way() -> None:
    under_way, told = UnderWay(), []
    under_way.on_return = lambda: told.append([task.name for task in under_way.tasks()])

    def outer(task: ScheduledTask, context: HandlerContext) -> None:
        under_way.around(lambda task, context: None)(a_task("inner"), context)

    under_way.around(outer)(a_task("outer"), CONTEXT)
    assert told == [["outer", "inner"], ["outer"]]


def test_a_handler_that_raises_has_returned_too() -> None:
    under_way, told = UnderWay(), []
    under_way.on_return = lambda: told.append(len(under_way.tasks()))

    def fail(task: ScheduledTask, context: HandlerContext) -> None:
        raise ValueError("as usual")

    for _ in range(2):
        with pytest.raises(ValueError, match="as usual"):
            under_way.around(fail)(a_task(), CONTEXT)
    assert told == [1, 1]


@pytest.mark.law(3)
def test_what_is_told_of_a_return_and_raises_costs_neither_the_result_nor_the_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    under_way = UnderWay()

    def told() -> None:
        raise OSError("no descriptor is free")

    def fail(task: ScheduledTask, context: HandlerContext) -> None:
        raise ValueError("as usual")

    under_way.on_return = told
    assert under_way.around(lambda task, context: "done")(a_task(), CONTEXT) == "done"
    with pytest.raises(ValueError, match="as usual"):
        under_way.around(fail)(a_task(), CONTEXT)
    assert under_way.tasks() == []
    assert caplog.messages == ["What looks after each handler has failed"] * 2
    assert caplog.text.count("OSError: no descriptor is free") == 2


def test_a_return_that_nobody_looks_after_is_not_worth_a_word(caplog: pytest.LogCaptureFixture) -> None:
    UnderWay().around(lambda task, context: None)(a_task(), CONTEXT)
    assert caplog.messages == []


def test_a_handler_keeps_its_grace() -> None:
    class Patient:
        grace = timedelta(seconds=3)

        def __call__(self, task: ScheduledTask, context: HandlerContext) -> None: ...

    assert getattr(UnderWay().around(Patient()), "grace", None) == Patient.grace
    assert getattr(UnderWay().around(lambda task, context: None), "grace", None) is None
