"""Laws 2 and 3 in a real daemon whose wall clock jumps at random moments, on and back, while it works.

A small C library, preloaded, sets the clock of that one process. Where there is no C compiler, or
no preloading, the test is skipped and says so.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from jarvis_trio.models import RunStatus, Trigger
from jarvis_trio.store import MemoryStore
from tests.support.cli_world import eventually
from tests.support.core_fakes import a_task
from tests.support.jumping_clock import ClockMissingError, JumpingClock

pytestmark = [pytest.mark.slow, pytest.mark.thorough, pytest.mark.law(2), pytest.mark.law(3)]

JUMPS = [timedelta(hours=2), timedelta(0), timedelta(days=-40), timedelta(minutes=3), timedelta(days=400), timedelta(0)]
"""What the clock is ahead of the real one, one after the other."""

DAEMON = """
import sys, time
from jarvis_trio.daemon import JarvisDaemon
from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.store import MemoryStore

def note(task, context):
    with open(sys.argv[2], "a") as file:
        print(task.name, context.scheduled_for.isoformat(), time.monotonic(), file=file, flush=True)
    time.sleep(1.5 if task.name == "slow" else 0)

with MemoryStore(sys.argv[1]) as store:
    JarvisDaemon(store, 1, engine=SchedulerEngine(store, handlers={"note": note})).run_until_stopped()
"""


@pytest.fixture
def jumping_clock(tmp_path: Path) -> Iterator[JumpingClock]:
    try:
        clock = JumpingClock(tmp_path)
    except ClockMissingError as error:
        pytest.skip(str(error))
    yield clock
    clock.close()


class JumpingProcess:
    """A daemon in a process whose wall clock the test sets."""

    def __init__(self, folder: Path, clock: JumpingClock) -> None:
        self.database, self.notes = folder / "memory.db", folder / "notes"
        self.set = clock.set
        environment = {**os.environ, **clock.environment, "TZ": "UTC", "PYTHONPATH": str(Path(__file__).parents[2])}
        self._process = subprocess.Popen(
            [sys.executable, "-c", DAEMON, self.database, self.notes], env=environment, stderr=subprocess.DEVNULL
        )

    def runs(self) -> list[tuple[str, str, float]]:
        """What ran: the task, its slot, and when by the clock that nobody sets."""
        lines = self.notes.read_text().splitlines() if self.notes.exists() else []
        return [(name, slot, float(at)) for name, slot, at in map(str.split, lines)]

    def end(self) -> int:
        self._process.terminate()
        return self._process.wait(180)


@pytest.fixture
def process(tmp_path: Path, jumping_clock: JumpingClock) -> Iterator[JumpingProcess]:
    with MemoryStore(tmp_path / "memory.db") as store:
        store.store_scheduled_task(a_task("often", every={"seconds": 1}))
        store.store_scheduled_task(a_task("slow", every={"seconds": 2}))
        store.store_scheduled_task(a_task("minutely", cron="* * * * *"))
        store.store_scheduled_task(a_task("once", at=(datetime.now(UTC) + timedelta(minutes=2)).isoformat()))
    process = JumpingProcess(tmp_path, jumping_clock)
    yield process
    process.end()


@pytest.mark.parametrize("seed", [1, 2])
def test_law_3_a_busy_daemon_whose_clock_jumps_runs_each_slot_once_and_never_falls_silent(
    process: JumpingProcess, seed: int
) -> None:
    random = Random(seed)
    eventually(process.runs)
    for ahead in JUMPS:
        time.sleep(random.uniform(0.2, 1.2))
        process.set(ahead)
        if ahead == max(JUMPS):  # a busy machine may have seen none of the jumps before
            eventually(lambda: "once" in [name for name, *_ in process.runs()])
    settled = time.monotonic()
    eventually(lambda: len([at for name, _, at in process.runs() if name == "often" and at > settled]) >= 4)
    assert process.end() == 0

    runs = process.runs()
    slots = [(name, slot) for name, slot, _ in runs]
    assert len(slots) == len(set(slots))
    assert len([name for name, _ in slots if name == "once"]) == 1
    with MemoryStore(process.database) as store:
        history = [run for run in store.runs.list_runs() if run.trigger is Trigger.SCHEDULE]
    executed = [run for run in history if run.status is RunStatus.EXECUTED]
    assert sorted(slots) == sorted((run.task_name, run.scheduled_for.isoformat()) for run in executed)
    assert [run for run in history if run.started_at < run.scheduled_for] == []
