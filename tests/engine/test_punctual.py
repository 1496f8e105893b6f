"""Tests of a handler that was claimed ahead of its time: it is called then, unless it is stopped before."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta

import pytest

from jarvis_trio.engine.punctual import Punctual
from jarvis_trio.models import HandlerContext, HandlerResult
from tests.support.core_fakes import START, Notes, a_task

UNTIL = 10.0


class Waits(threading.Event):
    """Remembers for how long it was waited, and takes no time."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout)
        return self.is_set()


def call_at(now: float, notes: Notes, cancelled: Waits) -> HandlerResult:
    """What comes of the call if the monotonic clock reads `now`."""
    minute = timedelta(minutes=1)
    context = HandlerContext(None, START, 1, START, minute, logging.getLogger("a.task"), cancelled=cancelled)
    return Punctual(notes, lambda: now, UNTIL)(a_task(), context)


def test_it_is_called_when_the_time_that_is_left_is_over() -> None:
    notes, cancelled = Notes(), Waits()
    assert call_at(UNTIL - 0.5, notes, cancelled) == {"ok": True}
    assert cancelled.seconds == [0.5]
    assert notes.names == ["job"]


def test_it_is_not_called_if_it_is_stopped_before_its_time() -> None:
    notes, cancelled = Notes(), Waits()
    cancelled.set()
    assert call_at(UNTIL - 0.5, notes, cancelled) is None
    assert notes.calls == []


@pytest.mark.parametrize("late", [0.0, 0.5])
def test_it_is_called_without_a_wait_if_its_time_has_come(late: float) -> None:
    notes, cancelled = Notes(), Waits()
    call_at(UNTIL + late, notes, cancelled)
    assert (notes.names, cancelled.seconds) == (["job"], [])
