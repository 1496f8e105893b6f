"""Tests of moving a database to a server and back: a real file of 1.0.0, compared row by row."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from jarvis_trio.errors import StoreError
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.moving import move
from jarvis_trio.store.opening import MOVED_TO, open_store
from jarvis_trio.store.postgres import PostgresDatabase
from tests.support.core_fakes import START, FakeClock, MakeEngine, a_task
from tests.support.postgres_server import PostgresServer

RELEASE = Path(__file__).parent.parent / "support" / "releases" / "1.sql"
KEPT = ("task_runs", "task_troubles", "task_deadlines", "outbox", "webhook_files", "alert_rules", "facts", "decisions")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file of 1.0.0 with rows of every kind, none of them running."""
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(RELEASE.read_text())
        connection.execute("UPDATE task_runs SET live = NULL, status = 'interrupted' WHERE live = 1")
        connection.commit()
    return path


def rows(store: MemoryStore, table: str) -> list[tuple[Any, ...]]:
    return sorted((tuple(row) for row in store.read(f"SELECT * FROM {table}")), key=repr)


def test_a_file_moves_to_a_file(old: Path, tmp_path: Path) -> None:
    with MemoryStore(old) as source, MemoryStore(tmp_path / "new.db") as target:
        before = {table: rows(source, table) for table in (*KEPT, "scheduled_tasks")}
        moved = {item.table: item.rows for item in move(source, target)}
        assert {table: rows(target, table) for table in before} == before
        assert moved["task_runs"] == len(before["task_runs"]) > 40
        assert source.notes.note(MOVED_TO) == str(tmp_path / "new.db")


def test_a_file_that_was_moved_refuses_to_be_used_again(old: Path, tmp_path: Path) -> None:
    with MemoryStore(old) as source, MemoryStore(tmp_path / "new.db") as target:
        move(source, target)
    with pytest.raises(StoreError, match=f"was moved to {tmp_path / 'new.db'}; name that one in JARVIS_DATABASE_URL"):
        open_store(old)
    with pytest.raises(StoreError, match="was moved to"):  # what it shows is out of date
        open_store(old, read_only=True)
    with open_store(old, read_only=True, moved=True) as store:
        assert store.tasks.count_scheduled_tasks() == 9
    open_store(tmp_path / "new.db").close()


def test_what_was_moved_away_may_come_back(old: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.db"
    with MemoryStore(old) as source, MemoryStore(new) as target:
        move(source, target)
    with MemoryStore(new) as source, MemoryStore(old) as target:
        source.store_scheduled_task(a_task("added there"))
        move(source, target)
        assert rows(target, "scheduled_tasks") == rows(source, "scheduled_tasks")
        assert rows(target, "task_runs") == rows(source, "task_runs")
    open_store(old).close()


def test_a_database_in_use_is_no_target_and_stays_as_it_was(old: Path, tmp_path: Path) -> None:
    with MemoryStore(old) as source, MemoryStore(tmp_path / "new.db") as target:
        target.store_scheduled_task(a_task())
        with pytest.raises(StoreError, match="holds scheduled_tasks already; name an empty one"):
            move(source, target)
        assert target.tasks.count_scheduled_tasks() == 1
        assert source.notes.note(MOVED_TO) is None


def test_what_runs_is_not_moved(old: Path, tmp_path: Path) -> None:
    with MemoryStore(old) as source, MemoryStore(tmp_path / "new.db") as target:
        task = source.tasks.require_task("paused")
        assert source.runs.claim_run(task, START, 1, started_at=START, owner="somebody") is not None
        with pytest.raises(StoreError, match=r"1 runs of .* are not over; move it when they are"):
            move(source, target)
        assert target.tasks.count_scheduled_tasks() == 0


def test_a_value_that_no_column_can_hold_is_named_and_nothing_is_moved(old: Path, tmp_path: Path) -> None:
    with MemoryStore(old) as source, MemoryStore(tmp_path / "new.db") as target:
        source.write("UPDATE task_runs SET attempt = 'one' WHERE id = 3")
        with pytest.raises(StoreError, match=r"task_runs.attempt holds 'one', which is not integer; repair"):
            move(source, target)
        assert target.tasks.count_scheduled_tasks() == 0


def test_a_table_that_arrives_otherwise_than_it_was_is_refused_and_nothing_is_moved(old: Path, tmp_path: Path) -> None:
    with MemoryStore(old) as source, MemoryStore(tmp_path / "new.db") as target:
        target.write("CREATE TRIGGER theirs AFTER INSERT ON task_runs BEGIN UPDATE task_runs SET reason = 'x'; END")
        with pytest.raises(StoreError) as refused:
            move(source, target)
        says = f"the table task_runs did not arrive in {tmp_path / 'new.db'} as it was; report this as a fault"
        assert str(refused.value) == says
        assert target.tasks.count_scheduled_tasks() == 0
        assert source.notes.note(MOVED_TO) is None


def test_tasks_that_name_no_machine_are_bound_to_that_of_the_target_and_the_others_wait_for_theirs(
    tmp_path: Path,
) -> None:
    policies = {
        "bare": None,
        "with one": '{"retries": 2}',
        "of another": '{"on": "attic"}',
        "anywhere": '{"on": "any"}',
        "rubbish": "rubbish",
        "list": "[]",
    }
    with MemoryStore(tmp_path / "old.db") as source, MemoryStore(tmp_path / "new.db", machine="laptop") as target:
        for name, policy in policies.items():
            task = source.store_scheduled_task(a_task(name))
            source.write("UPDATE scheduled_tasks SET policy = ? WHERE id = ?", (policy, task.id))
            source.queue.settle(task, START)
        move(source, target)
        found = target.read(
            "SELECT t.name, t.policy, q.place FROM scheduled_tasks t JOIN task_queue q ON q.task_id = t.id"
        )
        assert {row["name"]: (row["policy"], row["place"]) for row in found} == {
            "bare": ('{"on": "laptop"}', "laptop"),
            "with one": ('{"retries": 2, "on": "laptop"}', "laptop"),
            "of another": ('{"on": "attic"}', "attic"),
            "anywhere": ('{"on": "any"}', None),
            "rubbish": ("rubbish", "laptop"),
            "list": ("[]", "laptop"),
        }


@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.law(3)
def test_a_real_file_moves_to_a_server_and_back(
    postgres: PostgresServer, old: Path, tmp_path: Path, make_engine: MakeEngine
) -> None:
    address, clock = postgres.new_database(), FakeClock(START.replace(hour=12))
    with MemoryStore(old, clock=clock) as source:
        before = {table: rows(source, table) for table in KEPT}
        with MemoryStore("unused", connection=PostgresDatabase(address), machine="laptop") as target:
            move(source, target)
            assert {table: rows(target, table) for table in KEPT} == before
            assert {json.loads(task.policy or "{}").get("on") for task in target.list_scheduled_tasks()} == {"laptop"}

    with MemoryStore("unused", clock=clock, connection=PostgresDatabase(address), machine="laptop") as server:
        handlers = {"fail": lambda task, context: None}
        make_engine(handlers, store=server, clock=clock).evaluate_due_tasks()  # type: ignore[arg-type]  # a handler
        assert len(server.runs.list_runs()) > len(before["task_runs"])
        with MemoryStore(old, clock=clock) as back:
            move(server, back)
            assert {table: rows(back, table) for table in KEPT} == {table: rows(server, table) for table in KEPT}
    with open_store(old, clock=clock) as store:
        assert store.queue.head(clock.now().replace(year=2027)) is not None
    with pytest.raises(StoreError, match="was moved to"):
        open_store(tmp_path / "unused", address, machine="laptop")
