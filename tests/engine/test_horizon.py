"""Tests of what is known to be due next, with looks of several ticks at once."""

from __future__ import annotations

from typing import Any

import pytest

from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.store import MemoryStore
from tests.support.core_fakes import Gate, a_task, finish, in_thread


@pytest.mark.law(3)
def test_law_3_of_two_looks_at_the_same_time_the_newer_one_is_known(
    store: MemoryStore, engine: SchedulerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, look_ahead = Gate(), store.queue.look_ahead

    def slow_to_come_back(*arguments: Any, **options: Any) -> Any:
        seen = look_ahead(*arguments, **options)
        if not gate.passed:
            gate()
        return seen

    monkeypatch.setattr(store.queue, "look_ahead", slow_to_come_back)
    with gate.holding(engine.next_due_at):
        store.store_scheduled_task(a_task(at="2026-03-02T10:00", next_run_at="2026-03-02T10:00"))
        monkeypatch.setattr(store.queue, "look_ahead", look_ahead)
        newer = in_thread(engine.next_due_at)
        newer.join(0.1)  # it would be over by now if it could pass the older one
    finish(newer)
    assert engine.known_due_at() is not None
