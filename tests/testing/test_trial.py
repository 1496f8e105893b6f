"""Tests of trying a handler: it is called as the daemon calls it."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from jarvis_trio.errors import HandlerError
from jarvis_trio.models import HandlerContext, Outcome, RunStatus, ScheduledTask
from jarvis_trio.store import MemoryStore
from jarvis_trio.trial import try_handler
from tests.support.core_fakes import PATIENCE


class Remembered:
    """A handler that keeps what it was told."""

    def __call__(self, task: ScheduledTask, context: HandlerContext) -> str:
        self.task, self.context = task, context
        return "done"


@pytest.fixture
def told() -> Remembered:
    return Remembered()


def test_it_returns_the_result_as_a_row_keeps_it(told: Remembered) -> None:
    assert try_handler(told) == Outcome(RunStatus.EXECUTED, result='"done"')


def test_the_handler_is_told_its_configuration(told: Remembered) -> None:
    try_handler(told, {"path": "/", "most": [1, 2]})
    assert told.task.handler_config == '{"path": "/", "most": [1, 2]}'


def test_without_a_configuration_the_task_has_none(told: Remembered) -> None:
    try_handler(told)
    assert told.task.handler_config is None


@pytest.mark.law(5)
def test_the_slot_is_the_one_that_is_given_in_utc(told: Remembered) -> None:
    try_handler(told, scheduled_for=datetime(2026, 3, 7, 2, 30, tzinfo=ZoneInfo("America/Denver")), attempt=2)
    assert told.context.scheduled_for == datetime(2026, 3, 7, 9, 30, tzinfo=UTC)
    assert told.context.scheduled_for.tzinfo is UTC
    assert told.context.attempt == 2


def test_the_slot_is_now_where_none_is_given(told: Remembered) -> None:
    try_handler(told, timeout=timedelta(minutes=1))
    assert told.context.scheduled_for == told.context.started_at
    assert told.context.deadline == told.context.started_at + timedelta(minutes=1)


def test_the_handler_has_an_empty_store_which_is_gone_afterwards() -> None:
    found: list[object] = []

    def look(task: ScheduledTask, context: HandlerContext) -> None:
        found.extend([context.store.path, context.store.list_scheduled_tasks()])
        assert isinstance(context.store, MemoryStore)

    assert try_handler(look).reason is None
    path, tasks = found
    assert tasks == []
    assert not path.exists()  # type: ignore[attr-defined]  # a Path


@pytest.mark.law(4)
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (HandlerError("no disk"), "no disk"),
        (SystemExit(3), "SystemExit: 3"),
        (ZeroDivisionError(), "ZeroDivisionError"),
    ],
)
def test_law_4_whatever_it_raises_is_an_error_with_a_reason(error: BaseException, reason: str) -> None:
    def fail(task: ScheduledTask, context: HandlerContext) -> None:
        raise error

    assert try_handler(fail) == Outcome(RunStatus.ERROR, reason=reason)


def test_an_unexpected_error_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    def fail(task: ScheduledTask, context: HandlerContext) -> None:
        raise ZeroDivisionError

    with caplog.at_level(logging.ERROR):
        try_handler(fail)
    [record] = caplog.records
    assert record.exc_info is not None


def test_a_handler_that_does_not_end_is_cancelled_at_its_limit() -> None:
    ended = threading.Event()

    def hang(task: ScheduledTask, context: HandlerContext) -> None:
        if context.cancelled.wait(PATIENCE):
            ended.set()

    outcome = try_handler(hang, timeout=timedelta(milliseconds=20))
    assert outcome.status is RunStatus.TIMEOUT
    assert outcome.lingers
    assert ended.wait(PATIENCE)
