"""Tests of the lookout: another program writes a real database, and the daemon sees it in real time."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from jarvis_trio.clock import SystemClock
from jarvis_trio.daemon import JarvisDaemon
from jarvis_trio.daemon.lookout import Lookout
from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.store import MemoryStore
from tests.support.core_fakes import PATIENCE, Notes

SEEN_SECONDS = 20.0
"""On a busy machine; the next tick would come after an hour."""


class Counting(SchedulerEngine):
    ticks = 0

    def evaluate_due_tasks(self, *arguments: Any, **options: Any) -> list[dict[str, Any]]:
        self.ticks += 1
        return super().evaluate_due_tasks(*arguments, **options)


async def outside(condition: Callable[[], object]) -> None:
    with trio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110  # nobody tells us
            await trio.sleep(0.01)


async def test_a_row_that_another_program_writes_runs_at_once(tmp_path: Path, notes: Notes) -> None:
    path = tmp_path / "memory.db"
    with MemoryStore(path, clock=SystemClock()) as store:
        engine = Counting(store, handlers={"note": notes})
        daemon = JarvisDaemon(store, 3600, engine=engine)
        async with trio.open_nursery() as nursery:
            await nursery.start(daemon.run)
            await outside(lambda: engine.ticks)
            await trio.sleep(0.7)  # what the first tick wrote is forgotten
            ticks, began = engine.ticks, time.monotonic()
            with sqlite3.connect(path) as theirs:
                theirs.execute(
                    "INSERT INTO scheduled_tasks (name, schedule_type, schedule_config, handler_type, enabled,"
                    " next_run_at) VALUES ('theirs', 'interval', ?, 'note', 1, '2026-01-01T00:00:00')",
                    (json.dumps({"hours": 1}),),
                )
            theirs.close()
            await outside(lambda: notes.calls)
            assert time.monotonic() - began < SEEN_SECONDS
            assert engine.ticks > ticks
            daemon.shutdown()


async def test_while_nobody_writes_nothing_is_looked_at(tmp_path: Path) -> None:
    file = tmp_path / "memory.db"
    file.touch()
    looks: list[float] = []

    async def look() -> None:
        looks.append(trio.current_time())

    lookout = Lookout([file], look)
    async with trio.open_nursery() as nursery:
        await nursery.start(lookout.run)
        lookout.forget()
        await trio.sleep(0.8)
        assert looks == []
        for _ in range(20):
            file.write_text("theirs")
            await trio.sleep(0.05)
        assert 1 <= len(looks) <= 2
        file.write_text("ours")
        before = len(looks)
        lookout.forget()
        await trio.sleep(0.7)
        assert len(looks) <= before + 1
        nursery.cancel_scope.cancel()


async def test_without_a_watch_changes_are_seen_at_the_next_tick(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse() -> None:
        raise OSError(24, os.strerror(24))

    monkeypatch.setattr("jarvis_trio.daemon.lookout.make_watch", refuse)
    lookout = Lookout([tmp_path], trio.lowlevel.checkpoint)
    with caplog.at_level("INFO"):
        async with trio.open_nursery() as nursery:
            await nursery.start(lookout.run)
    assert "Changes by other programs are seen at the next tick only: Too many open files" in caplog.text
