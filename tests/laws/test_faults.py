"""The store under faults (law 3): locked, full, read-only, deleted, replaced, damaged.

Each is the real thing: another connection's lock, SQLite's own limits, the files of a
real daemon. Whatever happens, what runs was claimed, an outcome that cannot be written
is kept, and all goes on when the fault is over.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from jarvis_trio.daemon import JarvisDaemon
from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.errors import StoreBusyError, StoreError, StoreFullError, StoreMissingError
from jarvis_trio.models import HandlerContext, RunStatus, ScheduledTask
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.sqlite import SqliteFile
from tests.support.cli_world import Program, eventually
from tests.support.core_fakes import START, FakeClock, MakeEngine, Notes, a_task, history

MINUTES = 10


class FaultyFile(SqliteFile):
    """The real file, of which SQLite refuses every write in a stretch of its transactions."""

    begun = 0
    refused = range(0)

    def begin(self) -> None:
        self.begun += 1
        self.execute(f"PRAGMA query_only={int(self.begun in self.refused)}")
        super().begin()


class FailsFirst(Notes):
    """Remembers its calls; the first attempt at each slot ends as an error."""

    def __call__(self, task: ScheduledTask, context: HandlerContext) -> dict[str, str]:
        super().__call__(task, context)
        return {"status": "error" if context.attempt == 1 else "ok"}


def add_tasks(store: MemoryStore) -> None:
    """Tasks of all kinds, whose first slots are fixed, as a tick that could read their rows late would move them."""

    def add(name: str, minutes: int, **options: Any) -> None:
        first = (START + timedelta(minutes=minutes)).isoformat()
        store.store_scheduled_task(a_task(name, every={"minutes": minutes}, next_run_at=first, **options))

    add("job", 2)
    add("told", 3, delivery_channel="somewhere")
    add("flaky", 4, handler="fails_first", policy={"retries": 1, "retry_delay_seconds": 10})
    store.store_scheduled_task(a_task("once", at=(START + timedelta(minutes=5)).isoformat()))
    store.store_scheduled_task(a_task("broken", every={"minutes": 0}))


def live(engine: SchedulerEngine, clock: FakeClock, minutes: int = MINUTES) -> list[StoreError]:
    """Tick once a minute; a tick that fails is over, as in the daemon. Returns how they failed."""
    failures = []
    for _ in range(minutes):
        try:
            engine.evaluate_due_tasks()
        except StoreError as error:
            failures.append(error)
        clock.advance(minutes=1)
    return failures


def nothing_is_lost_or_doubled(store: MemoryStore, calls: list[tuple[str, datetime, int]]) -> None:
    """Assert laws 2 and 3 after `MINUTES` and two more ticks without a fault."""
    runs = store.runs.list_runs()
    assert max(Counter(calls).values()) == 1
    assert set(calls) <= {(run.task_name, run.scheduled_for, run.attempt) for run in runs}
    assert not [run for run in runs if run.status is RunStatus.RUNNING]
    slots = Counter[str]()
    for run in runs:
        if run.attempt == 1:
            slots[run.task_name] += 1 + run.collapsed
    minutes = (store.clock.now() - START) // timedelta(minutes=1) - 1
    assert slots == {"job": minutes // 2, "told": minutes // 3, "flaky": minutes // 4, "once": 1, "broken": 1}
    executed = [run for run in runs if run.status is RunStatus.EXECUTED]
    assert {run.task_name for run in executed if run.attempt == 2} == {"flaky"}


@pytest.mark.law(3)
@pytest.mark.slow
@pytest.mark.parametrize("length", [pytest.param(1, marks=pytest.mark.thorough), 3])
def test_whatever_write_is_refused_nothing_is_lost_and_nothing_runs_twice(
    tmp_path: Path, make_engine: MakeEngine, length: int
) -> None:
    for first in itertools.count(1):
        clock, notes, flaky = FakeClock(), Notes(), FailsFirst()
        file = FaultyFile(tmp_path / f"{first}.db")
        with MemoryStore(file.path, clock=clock, connection=file) as store:
            store.read("PRAGMA synchronous=OFF")  # the disk is not what is tested
            add_tasks(store)
            file.begun, file.refused = 0, range(first, first + length)
            engine = make_engine({"note": notes, "fails_first": flaky}, store=store, clock=clock)
            live(engine, clock)
            over = file.begun < first
            file.refused = range(0)
            live(engine, clock, minutes=2)
            nothing_is_lost_or_doubled(store, notes.calls + flaky.calls)
        if over:
            break
    assert first > 15, "the script became trivial"


@pytest.mark.law(3)
def test_while_another_program_holds_the_lock_nothing_starts_and_then_all_goes_on(
    path: Path, clock: FakeClock, make_engine: MakeEngine, notes: Notes, other: sqlite3.Connection
) -> None:
    with MemoryStore(path, clock=clock, busy_timeout=timedelta(milliseconds=10)) as store:
        store.store_scheduled_task(a_task())
        engine = make_engine(store=store)
        engine.evaluate_due_tasks()
        clock.advance(minutes=5)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusyError, match="another program keeps it locked"):
            engine.evaluate_due_tasks()
        assert notes.calls == []
        other.execute("ROLLBACK")
        engine.evaluate_due_tasks()
        assert history(store) == [(START + timedelta(minutes=5), 1, "executed")]


@pytest.mark.law(3)
def test_an_outcome_that_the_lock_keeps_out_is_written_when_it_is_free(
    path: Path, clock: FakeClock, make_engine: MakeEngine, other: sqlite3.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    with MemoryStore(path, clock=clock, busy_timeout=timedelta(milliseconds=10)) as store:
        store.store_scheduled_task(a_task(handler="lock"))
        engine = make_engine({"lock": lambda *_: other.execute("BEGIN IMMEDIATE") and None}, store=store)
        engine.evaluate_due_tasks()
        clock.advance(minutes=5)
        with suppress(StoreBusyError):  # what is due next cannot be claimed either
            engine.evaluate_due_tasks()
        assert "The outcome of task 'job' is kept" in caplog.text
        other.execute("ROLLBACK")
        ended_at = clock.now()
        clock.advance(minutes=1)
        engine.evaluate_due_tasks()
        (run,) = store.runs.list_runs()
        assert (run.status, run.finished_at) == (RunStatus.EXECUTED, ended_at)


@pytest.mark.law(3)
async def test_an_outcome_that_was_kept_is_written_before_the_daemon_ends(
    path: Path, clock: FakeClock, make_engine: MakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    async def inline(call: Callable[[], Any]) -> Any:
        return call()

    file = FaultyFile(path)
    with MemoryStore(file.path, clock=clock, connection=file) as store:
        store.store_scheduled_task(a_task())
        engine = make_engine(store=store)
        engine.evaluate_due_tasks()
        clock.advance(minutes=5)
        file.refused = range(file.begun + 2, file.begun + 4)
        daemon = JarvisDaemon(store, engine=engine, clock=clock, run_sync=inline)
        async with trio.open_nursery() as nursery:
            await nursery.start(daemon.run)
            await trio.testing.wait_all_tasks_blocked()
            assert "The outcome of task 'job' is kept" in caplog.text
            daemon.shutdown()
        assert history(store) == [(START + timedelta(minutes=5), 1, "executed")]


@pytest.mark.law(3)
@pytest.mark.slow
def test_wherever_the_disk_is_full_nothing_is_lost_and_nothing_runs_twice(
    tmp_path: Path, make_engine: MakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    class Wordy(FailsFirst):
        def __call__(self, task: ScheduledTask, context: HandlerContext) -> dict[str, str]:
            return {**super().__call__(task, context), "status": "ok", "text": "x" * 5000}

    failures = []
    for pages_left in range(0, 40, 3):
        clock, notes, flaky = FakeClock(), Wordy(), FailsFirst()
        with MemoryStore(tmp_path / f"{pages_left}.db", clock=clock) as store:
            store.read("PRAGMA synchronous=OFF")
            add_tasks(store)
            engine = make_engine({"note": notes, "fails_first": flaky}, store=store, clock=clock)
            store.value(f"PRAGMA max_page_count={store.value('PRAGMA page_count') + pages_left}")
            failures += live(engine, clock)
            store.value("PRAGMA max_page_count=1000000")
            live(engine, clock, minutes=2)
            nothing_is_lost_or_doubled(store, notes.calls + flaky.calls)
    assert caplog.text.count("is kept, as it cannot be written now") > 5
    assert failures
    assert all(isinstance(error, StoreFullError) for error in failures)


@pytest.mark.law(3)
def test_without_its_file_nothing_starts_and_all_goes_on_when_it_is_put_back(
    store: MemoryStore, path: Path, engine: SchedulerEngine, clock: FakeClock, notes: Notes
) -> None:
    store.store_scheduled_task(a_task())
    engine.evaluate_due_tasks()
    clock.advance(minutes=6)
    path.rename(path.with_name("elsewhere"))
    with pytest.raises(StoreMissingError, match=r"Memory DB not found at .*put it back"):
        engine.evaluate_due_tasks()
    assert notes.calls == []
    path.with_name("elsewhere").rename(path)
    engine.evaluate_due_tasks()
    assert history(store) == [(START + timedelta(minutes=5), 1, "executed")]


@pytest.mark.law(3)
def test_an_outcome_is_not_written_into_another_run_of_a_file_that_took_the_place(
    path: Path, clock: FakeClock, make_engine: MakeEngine, tmp_path: Path
) -> None:
    with MemoryStore(tmp_path / "new.db", clock=clock) as new:
        theirs = new.store_scheduled_task(a_task("theirs"))
        new.runs.claim_run(theirs, START, 1, started_at=START, owner="another daemon")
    file = FaultyFile(path)
    with MemoryStore(file.path, clock=clock, connection=file) as store:
        store.store_scheduled_task(a_task())
        engine = make_engine(store=store, is_alive=lambda owner: True)
        engine.evaluate_due_tasks()
        clock.advance(minutes=5)
        file.refused = range(file.begun + 2, file.begun + 4)
        with suppress(StoreError):
            engine.evaluate_due_tasks()
        assert history(store) == [(START + timedelta(minutes=5), 1, "running")]
        (tmp_path / "new.db").rename(path)
        engine.evaluate_due_tasks()
        assert history(store, "theirs") == [(START, 1, "running")]


@pytest.mark.law(3)
def test_whatever_page_is_damaged_the_error_is_one_line_that_says_so(tmp_path: Path, make_engine: MakeEngine) -> None:
    whole, clock = tmp_path / "whole.db", FakeClock()
    with MemoryStore(whole, clock=clock) as store:
        add_tasks(store)
        live(make_engine({"fails_first": FailsFirst()}, store=store, clock=clock), clock)
        page_size = store.value("PRAGMA page_size")
    messages = set()
    for offset in range(page_size, whole.stat().st_size, page_size):
        damaged = tmp_path / "damaged.db"
        shutil.copy(whole, damaged)
        with damaged.open("r+b") as file:
            file.seek(offset)
            file.write(b"\xa5" * page_size)
        try:
            with MemoryStore(damaged, clock=clock) as store:
                make_engine({"fails_first": FailsFirst()}, store=store, clock=clock).evaluate_due_tasks()
        except StoreError as error:
            messages.add(str(error))
    assert messages
    assert all("damaged; stop the daemon and restore a backup" in text and "\n" not in text for text in messages)


@pytest.fixture
def home(program: Program) -> Program:
    """A program with a task that is due every second."""
    assert program("init").code == 0
    assert program("allow", "true").code == 0
    assert program("add", "often", "--every", "1s", "--", "true").code == 0
    return program


def log(program: Program) -> str:
    file = program.data / "jarvis-daemon.log"
    return file.read_text() if file.exists() else ""


@pytest.mark.law(1)
@pytest.mark.slow
def test_another_programs_lock_holds_up_the_tick_but_no_signal(home: Program) -> None:
    daemon = home.daemon(DAEMON_TICK_INTERVAL_SECONDS="1")
    with closing(sqlite3.connect(home.data / "memory.db", isolation_level=None, timeout=20)) as other:
        other.execute("BEGIN IMMEDIATE")
        eventually(lambda: home.status()["tasks"]["overdue"])
        daemon.send_signal(signal.SIGTERM)
        eventually(lambda: "SIGTERM: stopping when what runs has finished" in log(home))
        assert daemon.poll() is None
        other.execute("ROLLBACK")
    assert daemon.wait(180) == 0
    assert home.status()["tasks"]["failing"] == 0


@pytest.mark.law(3)
@pytest.mark.slow
def test_a_daemon_whose_file_is_away_says_so_and_goes_on_when_it_is_back(home: Program) -> None:
    database = home.data / "memory.db"
    daemon = home.daemon(DAEMON_TICK_INTERVAL_SECONDS="1")
    database.rename(home.data / "elsewhere")
    eventually(lambda: "The tick failed: StoreMissingError: Memory DB not found at" in log(home))
    (home.data / "elsewhere").rename(database)
    ticks = log(home).count("executed in")
    eventually(lambda: log(home).count("executed in") > ticks)
    daemon.terminate()
    assert daemon.wait(180) == 0


@pytest.mark.slow
def test_a_daemon_that_may_only_read_its_file_ends_with_one_line(home: Program) -> None:
    with read_only(home.data / "memory.db"):
        done = home("run")
    assert done.code == 1
    assert len(done.err.splitlines()) == 1
    assert f"cannot use the database {home.data / 'memory.db'}: Permission denied" in done.err


@contextmanager
def read_only(file: Path) -> Iterator[None]:
    """Let nobody write the file: by its mode, or for root, whom modes do not stop, by a mount."""
    file.chmod(0o400)
    mounted = os.access(file, os.W_OK)
    if mounted:
        for options in (["--bind"], ["-o", "remount,bind,ro"]):
            if subprocess.run(["mount", *options, str(file), str(file)], capture_output=True, check=False).returncode:
                pytest.skip("root may write every file, and may not mount one read-only here")
    try:
        yield
    finally:
        if mounted:
            subprocess.run(["umount", str(file)], check=True)


@pytest.mark.slow
def test_a_daemon_with_a_damaged_file_says_so_and_can_be_stopped(home: Program) -> None:
    database = home.data / "memory.db"
    with closing(sqlite3.connect(database)) as connection:
        page_size = connection.execute("PRAGMA page_size").fetchone()[0]
        root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'task_runs'").fetchone()[0]
    with database.open("r+b") as file:
        file.seek((root - 1) * page_size)
        file.write(b"\xa5" * page_size)
    daemon = home.start("run", DAEMON_TICK_INTERVAL_SECONDS="1")
    eventually(lambda: "it is damaged; stop the daemon and restore a backup of it" in log(home))
    daemon.terminate()
    assert daemon.wait(180) in (0, 1)
