"""Tests of the lookout: another program writes a real database, and the daemon sees it in real time."""

from __future__ import annotations

import json
import math
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from jarvis_trio.clock import SystemClock
from jarvis_trio.daemon import JarvisDaemon
from jarvis_trio.daemon.lookout import PAUSE_SECONDS, Lookout
from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.store import MemoryStore
from tests.support.core_fakes import PATIENCE, Notes

TICK_INTERVAL_SECONDS = 3600
"""What nobody sees would be done after an hour only."""


class Counting(SchedulerEngine):
    ended_ticks = 0

    def evaluate_due_tasks(self, *arguments: Any, **options: Any) -> list[dict[str, Any]]:
        results = super().evaluate_due_tasks(*arguments, **options)
        self.ended_ticks += 1
        return results


async def outside(condition: Callable[[], object]) -> None:
    with trio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110  # nobody tells us
            await trio.sleep(0.01)


async def test_a_row_that_another_program_writes_runs_at_once(tmp_path: Path, notes: Notes) -> None:
    path = tmp_path / "memory.db"
    with MemoryStore(path, clock=SystemClock()) as store:
        engine = Counting(store, handlers={"note": notes})
        daemon = JarvisDaemon(store, TICK_INTERVAL_SECONDS, engine=engine)
        async with trio.open_nursery() as nursery:
            await nursery.start(daemon.run)
            await outside(lambda: engine.ended_ticks)
            with sqlite3.connect(path) as theirs:
                theirs.execute(
                    "INSERT INTO scheduled_tasks (name, schedule_type, schedule_config, handler_type, enabled,"
                    " next_run_at) VALUES ('theirs', 'interval', ?, 'note', 1, '2026-01-01T00:00:00')",
                    (json.dumps({"days": 365}),),
                )
            theirs.close()
            await outside(lambda: notes.calls)
            daemon.shutdown()


LONGER_THAN_ITS_PAUSE = PAUSE_SECONDS + 0.2


async def test_while_nobody_writes_nothing_is_looked_at(tmp_path: Path) -> None:
    file, looks, lookout = looked_out_for(tmp_path)
    async with trio.open_nursery() as nursery:
        await nursery.start(lookout.run)
        lookout.forget()
        await trio.sleep(LONGER_THAN_ITS_PAUSE)
        assert looks == []
        while len(looks) < 2:
            file.write_text("theirs")
            await trio.sleep(0.05)
        assert looks[1] - looks[0] >= PAUSE_SECONDS

        file.write_text("ours")
        lookout.forget()
        before = len(looks)
        await trio.sleep(LONGER_THAN_ITS_PAUSE)
        assert len(looks) == before
        nursery.cancel_scope.cancel()


async def test_the_end_of_a_tick_that_wrote_leaves_no_timer(tmp_path: Path, mock_clock: MockClock) -> None:
    file, looks, lookout = looked_out_for(tmp_path)
    async with trio.open_nursery() as nursery:
        await nursery.start(lookout.run)
        file.write_text("ours")
        await wait_all_tasks_blocked()
        assert seconds_to_the_next_timer() == PAUSE_SECONDS

        lookout.forget()
        lookout.looked()
        await wait_all_tasks_blocked()
        assert seconds_to_the_next_timer() == math.inf

        file.write_text("theirs, which no tick has seen")
        await wait_all_tasks_blocked()
        lookout.looked()  # by a tick that began before
        await wait_all_tasks_blocked()
        mock_clock.jump(PAUSE_SECONDS)
        await wait_all_tasks_blocked()
        assert len(looks) == 1
        nursery.cancel_scope.cancel()


def looked_out_for(folder: Path) -> tuple[Path, list[float], Lookout]:
    """A file, and a lookout for it that notes when it looks."""
    file = folder / "memory.db"
    file.touch()
    looks: list[float] = []

    async def look() -> None:
        looks.append(trio.current_time())

    return file, looks, Lookout([file], look)


def seconds_to_the_next_timer() -> float:
    return trio.lowlevel.current_statistics().seconds_to_next_deadline


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
