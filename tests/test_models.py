"""Unit tests: what a run says to other programs at its end, and what a handler is told."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta

import pytest

from jarvis_trio.models import Claim, HandlerContext, Outcome, RunStatus, require_id
from tests.support.core_fakes import START, a_task


def test_last_result_is_the_handlers_own() -> None:
    assert Outcome(RunStatus.EXECUTED, result='{"n": 1}').last_result == '{"n": 1}'
    assert Outcome(RunStatus.EXECUTED).last_result is None


def test_last_result_of_a_failure_is_json_with_its_reason() -> None:
    text = Outcome(RunStatus.TIMEOUT, reason='it "hung"').last_result
    assert text is not None
    assert json.loads(text) == {"status": "timeout", "error": 'it "hung"'}


def test_a_deadline_is_the_start_and_the_time_limit() -> None:
    context = HandlerContext(None, START, 1, START, timedelta(minutes=2), logging.getLogger())
    assert context.deadline == datetime(2026, 3, 2, 9, 2, tzinfo=UTC)
    assert not context.cancelled.is_set()


def test_models_are_frozen() -> None:
    with pytest.raises(AttributeError):
        a_task().name = "other"  # type: ignore[misc]  # the point
    with pytest.raises(AttributeError):
        Claim(1, a_task(), START, 1, START).attempt = 2  # type: ignore[misc]  # the point


def test_a_stored_task_has_its_number() -> None:
    assert require_id(a_task(id=7)) == 7
