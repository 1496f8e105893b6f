"""Tests of what the log says of a slot that was not run."""

from __future__ import annotations

import pytest

from jarvis_trio.engine.claims import Unrun
from jarvis_trio.engine.results import Results
from jarvis_trio.models import RunStatus
from jarvis_trio.store import MemoryStore
from tests.support.core_fakes import a_task


@pytest.mark.parametrize(
    ("handler", "status", "lines"),
    [("dance", RunStatus.SKIPPED, 1), ("dance", RunStatus.MISSED, 2), ("note", RunStatus.SKIPPED, 2)],
)
def test_a_handler_that_is_not_installed_is_logged_once_and_all_else_each_time(
    store: MemoryStore, caplog: pytest.LogCaptureFixture, handler: str, status: RunStatus, lines: int
) -> None:
    results = Results(store, {"note"})
    for _ in range(2):
        results.of_unrun(Unrun(a_task(handler=handler), status, "that is why"))
    assert caplog.messages == [f"Task 'job' {status}: that is why"] * lines
