"""Tests of what the log tells of runs."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest

from jarvis_trio.engine.outcomes import Ended
from jarvis_trio.engine.runlog import log_end, log_start
from jarvis_trio.models import Claim, Outcome, RunStatus
from tests.support.core_fakes import START, a_task

CLAIM = Claim(7, a_task(), START, 2, START)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level("DEBUG", "jarvis_trio.runs")
    return caplog


def test_a_start_is_told_to_whoever_debugs(log: pytest.LogCaptureFixture) -> None:
    log_start(CLAIM)
    assert log.record_tuples == [("jarvis_trio.runs", logging.DEBUG, "Task 'job' starts, run 7, attempt 2")]
    assert vars(log.records[0]).items() >= {"task": "job", "run_id": 7}.items()


@pytest.mark.parametrize(
    ("outcome", "level", "says"),
    [
        (Outcome(RunStatus.EXECUTED), logging.INFO, "executed in 1.234s"),
        (
            Outcome(RunStatus.INTERRUPTED, reason="stopped by kim"),
            logging.INFO,
            "interrupted in 1.234s: stopped by kim",
        ),
        (Outcome(RunStatus.ERROR, reason="no net"), logging.WARNING, "error in 1.234s: no net"),
    ],
)
def test_an_end_is_told_with_its_milliseconds_and_as_a_warning_if_it_is_one(
    log: pytest.LogCaptureFixture, outcome: Outcome, level: int, says: str
) -> None:
    log_end(Ended(CLAIM, outcome, START + timedelta(seconds=1.234567)))
    assert log.record_tuples == [("jarvis_trio.runs", level, f"Task 'job': {says}")]
    assert vars(log.records[0]).items() >= {"task": "job", "run_id": 7}.items()
