"""Laws 2, 3 and 5 when the rules of a zone change: slots follow, and nothing runs twice.

The zones are files of a test's own, as an update of the machine exchanges them:

| zone | before | after |
|---|---|---|
| Test/Moved | UTC+3 | UTC+2 |
| the machine's, a copied file | UTC+3 | UTC+2 |
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zoneinfo
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from jarvis_trio.clock import SystemClock, named_zone
from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.engine.zones import ZoneWatch
from jarvis_trio.store import MemoryStore
from tests.support.core_fakes import FakeClock, MakeEngine, Notes, a_task, tick

HOUR = timedelta(hours=1)
SEVEN, SIX = datetime(2026, 3, 2, 7, tzinfo=UTC), datetime(2026, 3, 2, 6, tzinfo=UTC)
ZONE = "Test/Moved"

Exchange = Callable[[int], None]


def write_rules(path: Path, hours: int) -> None:
    """A zone file that says one offset for ever (RFC 9636), put in place as a package manager does."""
    kind = struct.pack(">lbb", hours * 3600, 0, 0)
    header = b"TZif2" + bytes(15) + struct.pack(">6l", 0, 0, 0, 0, 1, 4)
    body = kind + b"XXX\0"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".new").write_bytes(2 * (header + body) + f"\n<XXX>{-hours}\n".encode())
    os.replace(path.with_suffix(".new"), path)


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    """Puts the rules of `Test/Moved` on the disk: the hours that its clock is ahead of UTC."""
    zoneinfo.reset_tzpath(to=[str(tmp_path / "zones"), *zoneinfo.TZPATH])
    yield lambda hours: write_rules(tmp_path / "zones" / ZONE, hours)
    zoneinfo.reset_tzpath()
    zoneinfo.ZoneInfo.clear_cache(only_keys=[ZONE])


@pytest.mark.law(5)
def test_law_5_a_running_process_reads_new_rules(exchange: Exchange) -> None:
    for hours in (3, 2, 3):
        exchange(hours)
        assert SIX.astimezone(named_zone(ZONE)).utcoffset() == hours * HOUR


@pytest.mark.law(2)
@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("schedule", [{"cron": "0 9 * * *"}, {"at": "2026-03-02T09:00"}], ids=str)
@pytest.mark.parametrize("machines", [False, True], ids=["its own zone", "the machine's zone"])
@pytest.mark.parametrize(("before", "after", "slot"), [(3, 2, SEVEN), (2, 3, SIX)])
def test_law_2_a_slot_follows_the_new_rules_of_its_zone_and_runs_once(
    exchange: Exchange,
    store: MemoryStore,
    make_engine: MakeEngine,
    clock: FakeClock,
    notes: Notes,
    restarts: bool,
    schedule: dict[str, str],
    machines: bool,
    before: int,
    after: int,
    slot: datetime,
) -> None:
    exchange(before)
    clock.instant = datetime(2026, 3, 1, 12, tzinfo=UTC)
    clock.machine_zone = named_zone(ZONE) if machines else UTC
    store.store_scheduled_task(a_task(policy={} if machines else {"timezone": ZONE}, **schedule))
    engine = make_engine()
    engine.evaluate_due_tasks()

    exchange(after)
    clock.machine_zone = named_zone(ZONE) if machines else UTC
    engine = make_engine() if restarts else engine
    for _ in range(24):
        clock.advance(hours=1)
        engine.evaluate_due_tasks()
    assert notes.slots == [slot]
    assert store.runs.list_runs()[0].started_at == slot


@pytest.mark.law(2)
@pytest.mark.parametrize("restarts", [False, True])
def test_law_2_what_runs_once_does_not_run_again_under_new_rules(
    exchange: Exchange, store: MemoryStore, make_engine: MakeEngine, clock: FakeClock, notes: Notes, restarts: bool
) -> None:
    exchange(3)
    clock.instant = SIX - HOUR
    task = store.store_scheduled_task(a_task(at="2026-03-02T09:00", policy={"timezone": ZONE}))
    engine = make_engine()
    for _ in range(2):
        engine.evaluate_due_tasks()
        clock.advance(hours=1)
    assert notes.slots == [SIX]

    exchange(2)
    clock.instant = SIX + HOUR / 2
    engine = make_engine() if restarts else engine
    for _ in range(3):
        engine.evaluate_due_tasks()
        store.queue.unsettle(task)
        clock.advance(hours=1)
    assert notes.slots == [SIX]


@pytest.mark.law(5)
@pytest.mark.parametrize("schedule", [{"cron": "0 9 * * *"}, {"at": "2026-03-02T09:00"}], ids=str)
def test_law_5_a_slot_follows_new_rules_and_those_that_take_them_back(
    exchange: Exchange,
    store: MemoryStore,
    make_engine: MakeEngine,
    clock: FakeClock,
    notes: Notes,
    schedule: dict[str, str],
) -> None:
    clock.instant = SIX - 5 * HOUR
    store.store_scheduled_task(a_task(policy={"timezone": ZONE}, **schedule))
    engine = make_engine()
    for hours in (3, 2, 3):
        exchange(hours)
        engine.evaluate_due_tasks()
        clock.advance(hours=1)
    assert engine.next_due_at() == SIX
    clock.instant = SIX
    engine.evaluate_due_tasks()
    assert notes.slots == [SIX]


@pytest.mark.law(5)
def test_law_5_a_watch_sees_that_the_rules_of_a_zone_are_others_now(exchange: Exchange, store: MemoryStore) -> None:
    exchange(3)
    watch = ZoneWatch(store)
    watch.use(ZONE)
    assert watch.changed(UTC) == []
    assert watch.are_as_seen(UTC)
    exchange(2)
    assert not watch.are_as_seen(UTC)
    assert watch.changed(UTC) == [ZONE]
    assert watch.are_as_seen(UTC)


@pytest.mark.law(3)
def test_law_3_a_slot_that_somebody_moved_by_hand_stays_under_new_rules(
    exchange: Exchange, store: MemoryStore, make_engine: MakeEngine, clock: FakeClock, notes: Notes
) -> None:
    exchange(3)
    clock.instant = SIX - 5 * HOUR
    store.store_scheduled_task(
        a_task(cron="0 9 * * *", policy={"timezone": ZONE}, next_run_at="2026-03-02T04:10:00+00:00")
    )
    engine = make_engine()
    engine.evaluate_due_tasks()
    exchange(2)
    for _ in range(5):
        engine.evaluate_due_tasks()
        clock.advance(hours=1)
    assert notes.slots == [datetime(2026, 3, 2, 4, 10, tzinfo=UTC)]


@pytest.mark.law(5)
@pytest.mark.parametrize("variable", ["{path}", ":{path}"])
def test_law_5_a_zone_file_named_by_tz_is_read_again_when_it_is_exchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    path = tmp_path / "zone"
    write_rules(path, 3)
    monkeypatch.setenv("TZ", variable.format(path=path))
    clock = SystemClock()
    assert SIX.astimezone(clock.zone()).hour == 9
    write_rules(path, 2)
    assert SIX.astimezone(clock.zone()).hour == 8


@pytest.mark.law(2)
@pytest.mark.parametrize("hours", [-2, 2])
def test_law_2_a_single_time_that_another_program_moves_counts_also_if_it_leaves_the_next_run(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock, notes: Notes, hours: int
) -> None:
    at = clock.now() + 4 * HOUR
    task = store.store_scheduled_task(a_task(at=at.isoformat(), next_run_at=at.isoformat()))
    engine.evaluate_due_tasks()
    moved = at + hours * HOUR
    store.write("UPDATE scheduled_tasks SET schedule_config = ?", (a_task(at=moved.isoformat()).schedule_config,))
    for _ in range(10):
        engine.evaluate_due_tasks()
        clock.advance(hours=1)
    assert notes.slots == [moved]
    assert store.tasks.require_task(task.name).next_run_at is None


@pytest.mark.law(2)
@pytest.mark.parametrize(
    ("columns", "runs"),
    [
        ({"created_at": "2026-03-01T10:00:00"}, 1),
        ({"created_at": "2026-03-01T10:00:00", "last_run_at": "2026-03-02T08:00:03.000001"}, 0),
        ({"created_at": "2026-03-01T10:00:00", "last_run_at": "2026-03-02T07:00:00"}, 1),
        ({"created_at": "2026-03-02T08:30:00"}, 0),
        ({"created_at": "2026-03-02T08:00:05"}, 1),
        ({"created_at": "nonsense"}, 1),
        ({"created_at": "2026-03-02T08:30:00", "next_run_at": "2026-03-02T08:00:00"}, 1),
    ],
    ids=str,
)
def test_law_2_a_single_time_of_the_assistant_runs_only_if_it_has_not_and_was_to_come(
    store: MemoryStore, engine: SchedulerEngine, notes: Notes, columns: dict[str, str], runs: int
) -> None:
    """It leaves next_run_at NULL in a row that has run, and in one whose time was past when it was made."""
    store.store_scheduled_task(a_task(at="2026-03-02T08:00:00", **columns))
    tick(engine)
    assert len(notes.calls) == runs


@pytest.mark.law(3)
@pytest.mark.parametrize(("made", "runs"), [("08:30:00", 1), ("08:50:00", 0)])
def test_law_3_a_row_that_sqlite_stamped_itself_was_made_at_that_time_in_utc(
    store: MemoryStore, engine: SchedulerEngine, clock: FakeClock, notes: Notes, made: str, runs: int
) -> None:
    """`DEFAULT CURRENT_TIMESTAMP` writes UTC, in a form of its own; all other times are local."""
    clock.machine_zone = ZoneInfo("America/Denver")
    store.store_scheduled_task(a_task(at="2026-03-02T01:45:00", created_at=f"2026-03-02 {made}"))  # 08:45 UTC
    tick(engine)
    assert len(notes.calls) == runs


DAEMON = """
import sys
from datetime import timedelta
from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.store import MemoryStore
with MemoryStore(sys.argv[1]) as store:
    engine = SchedulerEngine(store, handlers={})
    for _ in sys.stdin:
        engine.evaluate_due_tasks()
        print(store.list_scheduled_tasks()[0].next_run_at, flush=True)
"""


@pytest.mark.law(5)
def test_law_5_a_real_process_notices_new_rules_at_its_next_tick(tmp_path: Path, path: Path) -> None:
    write_rules(tmp_path / "zones" / ZONE, 3)
    with MemoryStore(path) as store:
        store.store_scheduled_task(a_task(cron="0 9 * * *", policy={"timezone": ZONE}))
    environment = {**os.environ, "PYTHONTZPATH": str(tmp_path / "zones"), "TZ": "UTC"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", DAEMON, str(path)]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        found = []
        for hours in (3, 2):
            write_rules(tmp_path / "zones" / ZONE, hours)
            process.stdin.write("\n")
            process.stdin.flush()
            found.append(datetime.fromisoformat(process.stdout.readline().strip()).hour)
        process.stdin.close()
    assert found == [6, 7]
