"""Laws 2 and 3 in a real daemon whose wall clock jumps at random moments, on and back, while it works.

A small C library, preloaded, sets the clock of that one process. Where there is no C compiler, or
no preloading, the test is skipped and says so.
"""

from __future__ import annotations

import mmap
import os
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from jarvis_trio.models import RunStatus, Trigger
from jarvis_trio.store import MemoryStore
from tests.support.cli_world import eventually
from tests.support.core_fakes import a_task

pytestmark = [pytest.mark.slow, pytest.mark.thorough, pytest.mark.law(2), pytest.mark.law(3)]

SOURCE = Path(__file__).parents[1] / "support" / "jumping_clock.c"
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


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None or sys.platform != "linux":
        pytest.skip("no C compiler, or no LD_PRELOAD: the clock of a process cannot be set here")
    built = tmp_path_factory.mktemp("clock") / "jumping_clock.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", built, SOURCE, "-ldl"], check=True)
    return built


class JumpingProcess:
    """A daemon in a process whose wall clock the test sets."""

    def __init__(self, folder: Path, library: Path) -> None:
        self.database, self.notes = folder / "memory.db", folder / "notes"
        jumps = folder / "jumps"
        jumps.write_bytes(bytes(8))
        self._file = jumps.open("r+b")
        self._ahead = mmap.mmap(self._file.fileno(), 8)
        environment = {**os.environ, "LD_PRELOAD": str(library), "JUMPS": str(jumps), "TZ": "UTC"}
        environment["PYTHONPATH"] = str(SOURCE.parents[2])
        self._process = subprocess.Popen(
            [sys.executable, "-c", DAEMON, self.database, self.notes], env=environment, stderr=subprocess.DEVNULL
        )

    def set(self, ahead: timedelta) -> None:
        self._ahead[:] = struct.pack("=q", ahead // timedelta(microseconds=1) * 1000)

    def runs(self) -> list[tuple[str, str, float]]:
        """What ran: the task, its slot, and when by the clock that nobody sets."""
        lines = self.notes.read_text().splitlines() if self.notes.exists() else []
        return [(name, slot, float(at)) for name, slot, at in map(str.split, lines)]

    def end(self) -> int:
        self._process.terminate()
        code = self._process.wait(20)
        self._ahead.close()
        self._file.close()
        return code


@pytest.fixture
def process(tmp_path: Path, library: Path) -> Iterator[JumpingProcess]:
    with MemoryStore(tmp_path / "memory.db") as store:
        store.store_scheduled_task(a_task("often", every={"seconds": 1}))
        store.store_scheduled_task(a_task("slow", every={"seconds": 2}))
        store.store_scheduled_task(a_task("minutely", cron="* * * * *"))
        store.store_scheduled_task(a_task("once", at=(datetime.now(UTC) + timedelta(minutes=2)).isoformat()))
    process = JumpingProcess(tmp_path, library)
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
    settled = time.monotonic()
    eventually(lambda: len([at for name, _, at in process.runs() if name == "often" and at > settled]) >= 4)
    assert process.end() == 0

    runs = process.runs()
    slots = [(name, slot) for name, slot, _ in runs]
    assert len(slots) == len(set(slots))
    assert len([name for name, _ in slots if name == "once"]) == 1
    often = [at for name, _, at in runs if name == "often"]
    assert max(later - earlier for earlier, later in pairwise(often)) < 4
    with MemoryStore(process.database) as store:
        history = [run for run in store.runs.list_runs() if run.trigger is Trigger.SCHEDULE]
    executed = [run for run in history if run.status is RunStatus.EXECUTED]
    assert sorted(slots) == sorted((run.task_name, run.scheduled_for.isoformat()) for run in executed)
    assert [run for run in history if run.started_at < run.scheduled_for] == []
