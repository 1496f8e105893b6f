"""Tests of the adapter that makes any engine total (law 4). What the loop does with it is in test_loop."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from jarvis_trio.daemon.engines import TotalEngine
from jarvis_trio.errors import StoreError
from tests.support.core_fakes import START, Gate, finish, in_thread
from tests.support.daemon_fakes import Bare, raising

pytestmark = pytest.mark.law(4)


def total(engine: object) -> TotalEngine:
    return TotalEngine(engine, lambda: timezone(timedelta(hours=2)))


def offering(**names: Any) -> Bare:
    engine = Bare([])
    vars(engine).update(names)
    return engine


class Explosive:
    """Nothing of it can be looked at."""

    def __getattribute__(self, name: str) -> Any:
        raise SystemExit(name)


@pytest.mark.parametrize("make", [lambda: None, object, Explosive, lambda: Bare(KeyboardInterrupt())])
def test_whatever_it_is_it_answers(make: Callable[[], object]) -> None:
    asked = total(make())
    asked.finish()
    assert (asked.evaluate(), asked.next_due_at(), asked.running(), asked.overlaps) == ([], None, [], False)


def test_a_naive_instant_is_local() -> None:
    naive = START.replace(tzinfo=None)
    assert total(offering(next_due_at=lambda: naive)).next_due_at() == datetime(2026, 3, 2, 7, tzinfo=UTC)
    assert total(offering(running=lambda: [("a", naive)])).running() == [("a", datetime(2026, 3, 2, 7, tzinfo=UTC))]


def test_what_is_due_is_asked_with_each_tick() -> None:
    asked = total(offering(next_due_at=lambda: START))
    assert asked.due_at is None
    asked.evaluate()
    assert asked.due_at == START


def test_of_two_ticks_that_end_together_the_newer_look_counts() -> None:
    gate, answers = Gate(), [START + timedelta(hours=1), START]

    def next_due_at() -> datetime:
        answer = answers.pop(0)
        if answers:
            gate()  # the older look is slow to come back
        return answer

    asked = total(offering(next_due_at=next_due_at))
    with gate.holding(asked.evaluate):
        newer = in_thread(asked.evaluate)
        newer.join(0.1)  # it would be over by now if it could pass the older one
    finish(newer)
    assert asked.due_at == START


@pytest.mark.law(3)
def test_law_3_whether_somebody_commits_is_asked_after_news_are_forgotten_and_before_the_look() -> None:
    """Later, the commit could be over by then and yet have escaped the look; earlier, it could begin between."""
    called: list[str] = []
    committing = [True, False]

    def others_write() -> bool:
        called.append("others_write")
        return committing.pop(0)

    asked = total(offering(others_write=others_write, next_due_at=lambda: called.append("look")))
    asked.before_look = lambda: called.append("forget")
    settled = []
    for _ in range(2):
        asked.evaluate()
        settled.append(asked.is_settled)
    assert called == ["forget", "others_write", "look"] * 2
    assert settled == [False, True]


@pytest.mark.law(3)
def test_law_3_a_tick_that_tells_late_hides_nothing_that_others_have_seen_since() -> None:
    """It was held up between its look and the telling; another tick has ended and looked meanwhile."""
    heard: list[datetime | None] = []
    engine = offering(next_due_at=lambda: START, known_due_at=lambda: START, tell_due=None)
    asked = total(engine)
    asked.tell(lambda: heard.append(asked.due_at))
    asked.evaluate()
    engine.tell_due(START + timedelta(hours=1))
    assert (asked.due_at, heard) == (START, [START])


def test_a_tick_that_could_not_look_tells_that_something_is_due_now() -> None:
    heard: list[datetime | None] = []
    engine = offering(known_due_at=lambda: START + timedelta(hours=1), tell_due=None)
    asked = total(engine)
    asked.tell(lambda: heard.append(asked.due_at))
    engine.tell_due(START)
    engine.known_due_at = lambda: None
    engine.tell_due(None)
    assert heard == [START, None]


def test_a_tick_that_has_no_thread_leaves_what_is_known() -> None:
    asked = total(offering(next_due_at=lambda: START))
    asked.evaluate()
    asked.log_failed_tick(RuntimeError("can't start new thread"))
    assert asked.due_at == START


def test_what_it_does_not_offer_is_not_complained_about(caplog: pytest.LogCaptureFixture) -> None:
    asked = total(offering(next_due_at="not callable", running=5, finish=None))
    asked.finish()
    assert (asked.next_due_at(), asked.running()) == (None, [])
    assert caplog.records == []


def test_what_it_cannot_answer_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    asked = total(offering(next_due_at=lambda: "soon", finish=raising(SystemExit("no"))))
    asked.next_due_at()
    asked.finish()
    assert [record.message for record in caplog.records] == [
        "The engine could not say what is due next: it answered 'soon', not a datetime",
        "The engine could not finish: no",
    ]


def test_what_a_tick_failed_of_is_not_told_again_when_it_is_asked_what_is_due(
    caplog: pytest.LogCaptureFixture,
) -> None:
    renamed, full = StoreError("the table is gone"), StoreError("the disk is full")
    answers = iter([raising(renamed), raising(full)])
    asked = total(offering(evaluate_due_tasks=raising(renamed), next_due_at=lambda: next(answers)()))
    asked.evaluate()
    asked.evaluate()
    assert [record.message for record in caplog.records] == [
        "The tick failed: StoreError: the table is gone",
        "The tick failed: StoreError: the table is gone",
        "The engine could not say what is due next: the disk is full",
    ]


def test_what_is_due_cannot_be_said_though_the_last_tick_went_well(caplog: pytest.LogCaptureFixture) -> None:
    gone = StoreError("the table is gone")
    ticks = iter([raising(gone), list])
    asked = total(offering(evaluate_due_tasks=lambda: next(ticks)(), next_due_at=raising(gone)))
    asked.evaluate()
    asked.evaluate()
    assert [record.message for record in caplog.records] == [
        "The tick failed: StoreError: the table is gone",
        "The engine could not say what is due next: the table is gone",
    ]


def test_an_error_of_ours_shows_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    total(Bare(StoreError("the disk is full", fix="make room"))).evaluate()
    (record,) = caplog.records
    assert (record.levelno, record.exc_info) == (logging.ERROR, None)
    assert record.message == "The tick failed: StoreError: the disk is full; make room"
