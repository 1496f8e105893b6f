"""Unit tests of what runs in a process: how it is told, and until when."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest

from jarvis_trio.engine.running import Running
from jarvis_trio.models import Claim, HandlerContext, Outcome, RunStatus, require_id
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.requests import RequestKind
from tests.support.core_fakes import START, a_task

DONE = Outcome(RunStatus.EXECUTED, "fine")
FAILED = Outcome(RunStatus.ERROR, reason="no net")


@pytest.fixture
def running(store: MemoryStore) -> Running:
    return Running(store)


def begun(running: Running, number: int, timeout: timedelta = timedelta(minutes=1)) -> tuple[Claim, HandlerContext]:
    """A run of that number, which began as many minutes after START and is under way."""
    at = START + timedelta(minutes=number)
    claim = Claim(number, a_task(f"job {number}"), at, 1, at)
    context = HandlerContext(None, at, 1, at, timeout, logging.getLogger("a.task"))
    running.begin(claim, context)
    return claim, context


def test_it_tells_what_runs_and_since_when(running: Running) -> None:
    first, _ = begun(running, 1)
    begun(running, 2)
    running.end(first, DONE)
    assert running.names() == [("job 2", START + timedelta(minutes=2))]


def test_it_is_busy_until_the_last_time_limit_is_over(running: Running) -> None:
    assert running.until() is None
    begun(running, 1, timedelta(minutes=10))
    begun(running, 2, timedelta(minutes=5))
    assert running.until() == START + timedelta(minutes=11)


def test_it_is_busy_without_an_end_if_a_run_has_no_limit(running: Running) -> None:
    begun(running, 1, timedelta.max)
    begun(running, 2)
    assert running.until() is None


def test_who_stops_a_run_stands_in_its_outcome_and_its_handler_is_told(running: Running) -> None:
    claim, context = begun(running, 1)
    other, undisturbed = begun(running, 2)
    assert running.stop(1, "alex")
    assert (context.cancelled.is_set(), undisturbed.cancelled.is_set()) == (True, False)
    assert running.end(claim, DONE) == Outcome(RunStatus.INTERRUPTED, "fine", "stopped by alex")
    assert running.end(other, DONE) == DONE
    assert not running.stop(1, "alex")


def test_a_stopped_run_whose_handler_goes_on_says_so(running: Running) -> None:
    claim, _ = begun(running, 1)
    running.stop(1, "alex")
    assert running.end(claim, Outcome(RunStatus.TIMEOUT, lingers=True)).reason == (
        "stopped by alex; its handler goes on, and the task starts again when it is over"
    )


def test_a_run_that_was_ended_from_another_process_says_who_asked_for_that(
    running: Running, store: MemoryStore
) -> None:
    task = store.store_scheduled_task(a_task())
    store.requests.ask(RequestKind.STOP, require_id(task), run_id=1, asked_by="alex", asker="12:34", at=START)
    claim, _ = begun(running, 1)
    other, _ = begun(running, 2)
    assert running.end(claim, FAILED).reason == "stopped by alex"
    assert running.end(other, FAILED) == FAILED


def test_a_database_that_cannot_be_asked_who_stopped_a_run_leaves_its_outcome(
    running: Running, store: MemoryStore
) -> None:
    claim, _ = begun(running, 1)
    store.close()
    assert running.end(claim, FAILED) == FAILED
