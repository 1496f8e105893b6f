"""Tests of the lookout: another program writes a real database, and the daemon sees it in real time."""

from __future__ import annotations

import itertools
import json
import math
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from jarvis_trio.clock import SystemClock
from jarvis_trio.daemon import JarvisDaemon
from jarvis_trio.daemon.lookout import COMMIT_SECONDS, PAUSE_SECONDS, Lookout
from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.store import MemoryStore
from tests.support.core_fakes import PATIENCE, Notes, a_task

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


THEIRS = '''
import sqlite3, sys
theirs = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
theirs.execute("PRAGMA synchronous=FULL")
theirs.execute("""
    INSERT INTO scheduled_tasks (name, schedule_type, schedule_config, handler_type, enabled, next_run_at)
    VALUES ('theirs', 'interval', '{"days": 365}', 'note', 1, '2026-01-01T00:00:00')
""")
'''
SLOW_DISK = "inject=fdatasync,fsync:delay_enter=300000"  # microseconds


class Overlapped(SchedulerEngine):
    """As its first run is recorded, another program's commit begins to wait for the disk."""

    theirs: subprocess.Popen[bytes] | None = None

    def evaluate_due_tasks(self, *arguments: Any, **options: Any) -> list[dict[str, Any]]:
        results = super().evaluate_due_tasks(*arguments, **options)
        if results and self.theirs is None:
            database = self.memory_store.path
            log = database.with_name(f"{database.name}-wal")
            before = log.stat().st_mtime_ns
            words = ["strace", "-f", "-qq", "-e", "trace=fsync,fdatasync", "-e", SLOW_DISK]
            self.theirs = subprocess.Popen(
                [*words, sys.executable, "-c", THEIRS, database], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            until = time.monotonic() + PATIENCE
            while log.stat().st_mtime_ns == before and time.monotonic() < until:
                time.sleep(0.001)
        return results


def can_be_slow() -> bool:
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-f", "-o", "/dev/null", "-e", SLOW_DISK, "true"], check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.law(3)
async def test_law_3_a_commit_that_waits_for_the_disk_at_the_end_of_a_tick_is_seen(
    tmp_path: Path, notes: Notes
) -> None:
    if not can_be_slow():
        pytest.skip("strace may not make the disk slow here")
    with MemoryStore(tmp_path / "memory.db", clock=SystemClock()) as store:
        engine = Overlapped(store, handlers={"note": notes})
        store.store_scheduled_task(a_task("ours", at="2026-01-01T00:00", next_run_at="2026-01-01T00:00"))
        async with trio.open_nursery() as nursery:
            daemon = JarvisDaemon(store, TICK_INTERVAL_SECONDS, engine=engine)
            await nursery.start(daemon.run)
            await outside(lambda: len(notes.calls) == 2)
            daemon.shutdown()
    assert engine.theirs is not None
    assert (engine.theirs.wait(), notes.names) == (0, ["ours", "theirs"])


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


async def test_a_look_that_somebody_who_commits_may_have_escaped_is_made_again(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    """What the file showed of that commit was forgotten before the look, and nothing follows."""
    _, looks, lookout = looked_out_for(tmp_path, 2)
    async with trio.open_nursery() as nursery:
        await nursery.start(lookout.run)
        await wait_all_tasks_blocked()
        lookout.forget()
        lookout.looked(settled=False)
        for expected in (1, 1, 1):
            await wait_all_tasks_blocked()
            mock_clock.jump(PAUSE_SECONDS)
            await wait_all_tasks_blocked()
            assert len(looks) == expected
        lookout.looked(settled=False)  # the second look is not settled either, the third one is
        for expected in (2, 3, 3):
            await wait_all_tasks_blocked()
            mock_clock.jump(PAUSE_SECONDS)
            await wait_all_tasks_blocked()
            assert len(looks) == expected
        assert seconds_to_the_next_timer() == math.inf
        nursery.cancel_scope.cancel()


async def test_a_program_that_holds_the_write_lock_for_hours_is_looked_at_ever_more_rarely(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    _, looks, lookout = looked_out_for(tmp_path, *range(1000))
    async with trio.open_nursery() as nursery:
        await nursery.start(lookout.run)
        lookout.looked(settled=False)
        await trio.sleep(2 * 3600)
        assert 10 < len(looks) < 100
        assert len([at for at in looks if at <= COMMIT_SECONDS]) == COMMIT_SECONDS // PAUSE_SECONDS
        assert all(later - at <= PAUSE_SECONDS + later / 8 for at, later in itertools.pairwise(looks))
        nursery.cancel_scope.cancel()


def looked_out_for(folder: Path, *unsettled: int) -> tuple[Path, list[float], Lookout]:
    """A file, and a lookout for it that notes when it looks; the looks of these numbers are not settled."""
    file = folder / "memory.db"
    file.touch()
    looks: list[float] = []

    async def look() -> bool:
        looks.append(trio.current_time())
        return len(looks) not in unsettled

    return file, looks, Lookout([file], look)


def seconds_to_the_next_timer() -> float:
    return trio.lowlevel.current_statistics().seconds_to_next_deadline


async def test_files_that_cannot_be_watched_are_told_once_until_they_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refused = True

    class Refusing:
        def fileno(self) -> int:
            return read

        def renew(self, paths: object) -> None:
            if refused:
                raise OSError(28, "inotify: No space left on device")

        def drain(self) -> bool:
            return False

        def close(self) -> None:
            pass

    monkeypatch.setattr("jarvis_trio.daemon.lookout.make_watch", Refusing)
    read, written = os.pipe()
    _, _, lookout = looked_out_for(tmp_path)
    with caplog.at_level("INFO"):
        async with trio.open_nursery() as nursery:
            await nursery.start(lookout.run)
            lookout.forget()
            assert caplog.messages == [
                "Changes by other programs are seen at the next tick only: inotify: No space left on device"
            ]
            refused = False
            lookout.forget()
            refused = True
            lookout.forget()
            assert len(caplog.messages) == 2
            nursery.cancel_scope.cancel()
    os.close(read)
    os.close(written)


async def test_without_a_watch_changes_are_seen_at_the_next_tick(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse() -> None:
        raise OSError(24, os.strerror(24))

    monkeypatch.setattr("jarvis_trio.daemon.lookout.make_watch", refuse)
    _, _, lookout = looked_out_for(tmp_path)
    with caplog.at_level("INFO"):
        async with trio.open_nursery() as nursery:
            await nursery.start(lookout.run)
    assert "Changes by other programs are seen at the next tick only: Too many open files" in caplog.text
