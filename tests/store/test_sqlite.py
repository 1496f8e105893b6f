"""Tests of what can happen to the file under an open connection: on real files, by other programs."""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.engine.runner import run_inline
from jarvis_trio.errors import ConflictError, StoreBusyError, StoreError, StoreFullError
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.sqlite import SqliteFile
from tests.support.core_fakes import START, FakeClock, Notes, a_task
from tests.support.examples import with_many_examples

MINUTE = timedelta(minutes=1)
HIGHEST = 2**63 - 1


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as connection:
        yield connection


@contextmanager
def a_daemon(path: Path, clock: FakeClock) -> Iterator[tuple[MemoryStore, Callable[[], None], Notes]]:
    """An engine that has ticked; its tick; and what its tasks did."""
    notes = Notes()
    with MemoryStore(path, clock=clock, busy_timeout=timedelta(seconds=5)) as store:
        engine = SchedulerEngine(store, handlers={"note": notes}, runner=run_inline)
        store.store_scheduled_task(a_task("old", every={"minutes": 5}))
        engine.evaluate_due_tasks()

        def tick() -> None:
            engine.evaluate_due_tasks()

        yield store, tick, notes


def make_again(theirs: sqlite3.Connection, table: str) -> None:
    """What sqlite.org/lang_altertable.html, 7, says that a program should do to change a table."""
    query = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?"
    if (found := theirs.execute(query, (table,)).fetchone()) is None:
        return
    text = found[0].replace(f'"{table}"', table).replace(f"TABLE {table}", "TABLE made_again", 1)
    theirs.executescript(
        f"PRAGMA legacy_alter_table=ON; BEGIN; {text}; INSERT INTO made_again SELECT * FROM {table};"
        f"DROP TABLE {table}; ALTER TABLE made_again RENAME TO {table}; COMMIT;"
    )


@pytest.mark.law(3)
def test_a_table_that_another_program_makes_again_under_the_daemon_is_noticed_at_the_next_tick(
    path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    with a_daemon(path, clock) as (store, tick, notes), opened(path) as theirs:
        make_again(theirs, "scheduled_tasks")
        theirs.execute("UPDATE scheduled_tasks SET enabled = 0 WHERE name = 'old'")
        theirs.execute(
            "INSERT INTO scheduled_tasks (name, schedule_type, schedule_config, handler_type)"
            " VALUES ('new', 'interval', '{\"minutes\": 5}', 'note')"
        )
        tick()
        clock.advance(minutes=5)
        tick()
        assert notes.names == ["new"]
        theirs.execute("UPDATE scheduled_tasks SET next_run_at = NULL, enabled = 1 WHERE name = 'old'")
        assert store.value("SELECT count(*) FROM task_queue WHERE due_at = 0") == 1
    (told,) = [record.getMessage() for record in caplog.records if "changed the tables" in record.getMessage()]
    assert "\n" not in told
    assert "trigger jarvis_task_changed" in told


STEP_BY_STEP = {
    "renames it, makes another, copies, drops": [
        "ALTER TABLE scheduled_tasks RENAME TO theirs",
        "{sql}",
        "INSERT INTO scheduled_tasks SELECT * FROM theirs",
        "DROP TABLE theirs",
    ],
    "makes another, copies, drops, renames": [
        "{sql2}",
        "INSERT INTO made_again SELECT * FROM scheduled_tasks",
        "DROP TABLE scheduled_tasks",
        "ALTER TABLE made_again RENAME TO scheduled_tasks",
    ],
    "renames it and back": [
        "ALTER TABLE scheduled_tasks RENAME TO theirs",
        "ALTER TABLE theirs RENAME TO scheduled_tasks",
    ],
}


@pytest.mark.law(3)
@pytest.mark.law(8)
@pytest.mark.parametrize("statements", STEP_BY_STEP.values(), ids=STEP_BY_STEP)
def test_a_program_that_changes_the_table_step_by_step_can_go_on_after_any_tick(
    path: Path, clock: FakeClock, statements: list[str]
) -> None:
    """Each statement is a transaction of its own, with a tick after it."""
    refused = []
    with a_daemon(path, clock) as (_, tick, notes), opened(path) as theirs:
        (sql,) = theirs.execute("SELECT sql FROM sqlite_master WHERE name = 'scheduled_tasks'").fetchone()
        for statement in statements:
            theirs.execute(statement.format(sql=sql, sql2=sql.replace("scheduled_tasks", "made_again", 1)))
            try:
                tick()
            except StoreError as error:
                refused.append(error.says)
        clock.advance(minutes=5)
        tick()
        assert notes.names == ["old"]
        theirs.execute("UPDATE scheduled_tasks SET enabled = 0")
        clock.advance(minutes=5)
        tick()
        assert notes.names == ["old"]
    assert [says.partition("; ")[2].partition(":")[0] for says in refused] in (
        ["theirs has its columns"],
        ["made_again has its columns"],
    )


FOREIGN = [
    *(f"DROP TRIGGER IF EXISTS {name}" for name in ("jarvis_task_added", "jarvis_task_changed", "jarvis_task_removed")),
    *(f"DROP INDEX IF EXISTS {name}" for name in ("task_runs_live", "task_queue_due", "task_runs_by_task")),
    *(f"DROP TABLE IF EXISTS {name}" for name in ("task_queue", "task_troubles", "task_deadlines", "outbox", "facts")),
    "DROP TABLE IF EXISTS task_runs",
    "DROP TABLE IF EXISTS jarvis_meta",
    "ALTER TABLE scheduled_tasks DROP COLUMN description",
    "ALTER TABLE scheduled_tasks RENAME COLUMN last_result TO result",
    "ALTER TABLE scheduled_tasks ADD COLUMN colour TEXT",
    "ALTER TABLE scheduled_tasks DROP COLUMN delivery_channel",
    "ALTER TABLE task_runs DROP COLUMN reason",
    "ALTER TABLE task_runs RENAME COLUMN result TO outcome",
    "ALTER TABLE task_queue DROP COLUMN collapsed",
    "ALTER TABLE outbox RENAME TO post",
    "UPDATE jarvis_meta SET value = 'soon' WHERE key = 'schema_version'",
    "ANALYZE",
    "VACUUM",
    "make scheduled_tasks again",
    "make task_runs again",
    "make scheduled_tasks bare",
    "make task_runs bare",
    "make scheduled_tasks a view",
    "ALTER TABLE scheduled_tasks RENAME TO elsewhere",
]
"""What other programs do to a database that they share with us."""


def do(theirs: sqlite3.Connection, change: str) -> None:
    match change.split():
        case ["make", table, "again"]:
            make_again(theirs, table)
        case ["make", table, "bare"]:  # a copy without key, constraint and default
            theirs.executescript(
                f"PRAGMA legacy_alter_table=ON; CREATE TABLE bare AS SELECT * FROM {table};"
                f"DROP TABLE {table}; ALTER TABLE bare RENAME TO {table};"
            )
        case ["make", table, "a", "view"]:
            theirs.executescript(
                f"ALTER TABLE {table} RENAME TO really_{table}; CREATE VIEW {table} AS SELECT * FROM really_{table};"
            )
        case _:
            theirs.execute(change)


CHANGES: dict[str, st.SearchStrategy[Any]] = {
    "changes": st.lists(st.sampled_from(FOREIGN), min_size=1, max_size=4),
}
UNHURRIED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@pytest.mark.law(3)
@pytest.mark.law(4)
@settings(max_examples=20, suppress_health_check=UNHURRIED)
@example(changes=["DROP TABLE IF EXISTS task_queue", "DROP TABLE IF EXISTS jarvis_meta"])
@given(**CHANGES)
def test_whatever_another_program_does_to_the_tables_is_put_right_or_told_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture, changes: list[str]
) -> None:
    caplog.clear()
    path, clock = tmp_path_factory.mktemp("foreign") / "memory.db", FakeClock()
    with a_daemon(path, clock) as (store, tick, notes):
        with opened(path) as theirs:
            for change in changes:
                with suppress(sqlite3.Error):  # what is to be changed may not be there any more
                    do(theirs, change)
                if theirs.in_transaction:
                    theirs.rollback()
        told = None
        try:
            tick()
            store.store_scheduled_task(a_task("new", every={"minutes": 5}))
            tick()
            clock.advance(minutes=5)
            tick()
        except StoreError as error:
            told = str(error)
        if BEYOND_REPAIR.isdisjoint(changes):
            assert (told, sorted(notes.names)) == (None, ["new", "old"])
        else:
            assert told is None or "\n" not in told


test_whatever_other_programs_do_to_the_tables_is_put_right_or_told_in_one_line = with_many_examples(
    test_whatever_another_program_does_to_the_tables_is_put_right_or_told_in_one_line,
    80,
    CHANGES,
    suppress_health_check=UNHURRIED,
)


BEYOND_REPAIR = {
    "ALTER TABLE scheduled_tasks RENAME TO elsewhere",
    "make scheduled_tasks bare",
    "make scheduled_tasks a view",
    "UPDATE jarvis_meta SET value = 'soon' WHERE key = 'schema_version'",
}
"""What is told, and is for a person to repair: the assistant's own table, and a version that is none."""


@pytest.mark.law(2)
@pytest.mark.parametrize("table", ["task_runs", "task_queue", "outbox", "task_troubles", "jarvis_meta", "requests"])
def test_law_2_a_table_of_ours_that_was_made_again_without_its_keys_gets_them_back_with_its_rows(
    path: Path, clock: FakeClock, table: str, caplog: pytest.LogCaptureFixture
) -> None:
    with a_daemon(path, clock) as (store, tick, notes):
        clock.advance(minutes=5)
        tick()
        with opened(path) as theirs:
            theirs.execute(f"ALTER TABLE {table} ADD COLUMN colour TEXT DEFAULT 'red'")
            rows = theirs.execute(f"SELECT * FROM {table}").fetchall()
            do(theirs, f"make {table} bare")
            theirs.execute(f"INSERT INTO {table} SELECT * FROM {table}")
            doubled = theirs.execute(f"SELECT count(*) FROM {table}").fetchone()
            tick()
            assert sorted(theirs.execute(f"SELECT * FROM {table}").fetchall()) == sorted(rows)
            copy = path.with_name("memory.db.before-jarvis-trio-1")
            with opened(copy) as kept:
                assert kept.execute(f"SELECT count(*) FROM {table}").fetchone() == doubled
        assert f"keys of table {table}" in caplog.text
        clock.advance(minutes=5)
        tick()
        assert notes.names == ["old", "old"]
        assert [run.status for run in store.runs.list_runs()] == ["executed", "executed"]


def test_the_assistants_table_without_its_key_is_told_with_what_to_do(path: Path, clock: FakeClock) -> None:
    with a_daemon(path, clock) as (_, tick, _):
        with opened(path) as theirs:
            do(theirs, "make scheduled_tasks bare")
        for _ in range(3):
            with pytest.raises(StoreError, match=r"scheduled_tasks .* has lost its key, id: .*; restore a backup"):
                tick()
    assert not list(path.parent.glob("*before-jarvis-trio*"))  # a copy at each tick would fill the disk


@pytest.mark.law(3)
def test_law_3_a_queue_that_another_program_has_dropped_is_filled_again(path: Path, clock: FakeClock) -> None:
    with a_daemon(path, clock) as (_, tick, notes):
        with opened(path) as theirs:
            theirs.execute("DROP TABLE task_queue")
        tick()
        clock.advance(minutes=5)
        tick()
        assert notes.names == ["old"]


@pytest.mark.law(2)
def test_a_file_with_a_second_name_is_refused(path: Path, tmp_path: Path) -> None:
    MemoryStore(path).close()
    os.link(path, tmp_path / "other.db")
    for name in (path, tmp_path / "other.db"):
        with pytest.raises(StoreError, match=r"has 2 names \(hard links\).*; find the other name with .find / -xdev"):
            MemoryStore(name)
        MemoryStore(name, read_only=True).close()
    (tmp_path / "other.db").unlink()
    MemoryStore(path).close()


@pytest.mark.law(2)
def test_a_second_name_that_comes_under_the_daemon_is_told_once(
    path: Path, clock: FakeClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with a_daemon(path, clock) as (_, tick, _):
        os.link(path, tmp_path / "other.db")
        tick()
        tick()
    assert [record.levelno for record in caplog.records if "2 names" in record.getMessage()] == [logging.ERROR]


@pytest.mark.law(2)
@pytest.mark.law(3)
def test_a_log_that_is_deleted_under_the_daemon_loses_nothing(
    path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    with a_daemon(path, clock) as (store, tick, notes):
        path.with_name("memory.db-wal").unlink()
        tick()
        assert "nothing is lost" in caplog.text
        clock.advance(minutes=5)
        tick()
        with opened(path) as theirs:
            assert theirs.execute("SELECT status FROM task_runs").fetchall() == [("executed",)]
        assert notes.names == ["old"]
        assert store.look_after()


@pytest.mark.law(2)
def test_after_the_log_was_deleted_the_marks_of_before_say_nothing(path: Path) -> None:
    with MemoryStore(path) as store:
        path.with_name("memory.db-wal").unlink()
        assert store.look_after() is None
        assert store.look_after()


@pytest.mark.law(2)
def test_a_log_that_was_exchanged_stops_the_daemon_from_writing(path: Path, clock: FakeClock) -> None:
    with a_daemon(path, clock) as (_, tick, notes):
        path.with_name("memory.db-wal").unlink()
        path.with_name("memory.db-wal").write_bytes(b"another program's")
        clock.advance(minutes=5)
        for _ in range(2):
            with pytest.raises(StoreError, match="exchanged under the open database; end every program"):
                tick()
        assert notes.names == []


@pytest.mark.law(2)
@pytest.mark.law(3)
@pytest.mark.parametrize("what", ["deleted", pytest.param("exchanged", marks=[pytest.mark.slow, pytest.mark.thorough])])
def test_an_index_of_the_log_that_is_deleted_under_the_daemon_is_opened_again(
    path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    """In it lie the locks: two programs with an index each would write at once."""
    with a_daemon(path, clock) as (_, tick, notes):
        path.with_name("memory.db-shm").unlink()
        if what == "exchanged":
            read = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('SELECT * FROM task_runs').fetchall()"
            subprocess.run([sys.executable, "-c", read, str(path)], check=True)
        tick()
        assert [record.getMessage() for record in caplog.records if f"{what} under" in record.getMessage()] != []
        with opened(path) as theirs:
            theirs.execute("BEGIN IMMEDIATE")
            clock.advance(minutes=5)
            with pytest.raises(StoreBusyError):
                tick()
        tick()
        assert notes.names == ["old"]
        with opened(path) as theirs:
            assert theirs.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_the_log_does_not_keep_the_size_that_a_long_reader_made_it_grow_to(path: Path, clock: FakeClock) -> None:
    file = SqliteFile(path, log_limit_bytes=200_000)
    with MemoryStore(path, clock=clock, connection=file) as store, opened(path) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM facts").fetchall()
        store.write("INSERT INTO facts (category, key, value) VALUES ('a', 'large', ?)", ("x" * 6_000_000,))
        log = path.with_name("memory.db-wal")
        assert log.stat().st_size > 6_000_000
        reader.execute("COMMIT")
        for number in range(3):
            store.write("INSERT INTO facts (category, key) VALUES ('a', ?)", (str(number),))
        assert log.stat().st_size <= 200_000


@pytest.mark.law(3)
@pytest.mark.parametrize("how", ["inserted", "renumbered"])
@pytest.mark.parametrize("when", ["before the start", "under the daemon"])
def test_a_row_with_the_highest_number_does_not_stop_the_history(
    path: Path, clock: FakeClock, when: str, how: str
) -> None:
    number = HIGHEST if how == "inserted" else 7
    insert = (
        "INSERT INTO task_runs (id, task_id, task_name, scheduled_for, attempt, started_at, status)"
        f" VALUES ({number}, 77, 'theirs', '2026-01-01T00:00:00+00:00', 1, '2026-01-01T00:00:00+00:00', 'executed');"
        f" UPDATE task_runs SET id = {HIGHEST} WHERE id = 7"
    )
    if when == "before the start":
        MemoryStore(path).close()
        with opened(path) as theirs:
            theirs.executescript(insert)
    with a_daemon(path, clock) as (store, tick, notes):
        if when == "under the daemon":
            with opened(path) as theirs:
                theirs.executescript(insert)
        clock.advance(minutes=5)
        tick()
        assert notes.names == ["old"]
        assert [run.id for run in store.runs.list_runs()][-1] < HIGHEST
        assert {run.task_name for run in store.runs.list_runs()} == {"old", "theirs"}


@pytest.mark.law(4)
def test_a_savepoint_undoes_its_part_alone(store: MemoryStore) -> None:
    def refused() -> None:
        with store.savepoint():
            store.notes.remember("inside", "b")
            raise ConflictError("no")

    with store.transaction():
        store.notes.remember("before", "a")
        with pytest.raises(ConflictError):
            refused()
        with store.savepoint():
            store.notes.remember("after", "c")
    assert [store.notes.note(key) for key in ("before", "inside", "after")] == ["a", None, "c"]


@pytest.mark.sqlite
def test_a_savepoint_alone_is_a_transaction(store: MemoryStore, other: sqlite3.Connection) -> None:
    with store.savepoint():
        store.notes.remember("key", "value")
        assert other.execute("SELECT count(*) FROM jarvis_meta WHERE key = 'key'").fetchone() == (0,)
    assert other.execute("SELECT count(*) FROM jarvis_meta WHERE key = 'key'").fetchone() == (1,)


@pytest.mark.sqlite
@pytest.mark.law(3)
def test_after_the_database_has_undone_a_transaction_nothing_of_it_is_written_alone(
    store: MemoryStore, other: sqlite3.Connection
) -> None:
    """RAISE(ROLLBACK) in another program's trigger ends the transaction of whoever fires it."""
    other.execute("CREATE TRIGGER theirs BEFORE INSERT ON facts BEGIN SELECT RAISE(ROLLBACK, 'no'); END")

    def go_on_regardless() -> None:
        with store.transaction():
            store.notes.remember("before", "a")
            with pytest.raises(ConflictError), store.savepoint():
                store.write("INSERT INTO facts (category, key) VALUES ('a', 'b')")
            store.notes.remember("after", "b")

    with pytest.raises(StoreError, match="undone"):
        go_on_regardless()
    assert [store.notes.note(key) for key in ("before", "after")] == [None, None]
    store.notes.remember("later", "c")
    assert store.notes.note("later") == "c"


@pytest.mark.sqlite
@pytest.mark.law(3)
def test_a_transaction_that_the_database_has_undone_is_told_at_its_end_and_the_next_one_is_written(
    store: MemoryStore, other: sqlite3.Connection
) -> None:
    other.execute("CREATE TRIGGER theirs BEFORE INSERT ON facts BEGIN SELECT RAISE(ROLLBACK, 'no'); END")

    def look_away() -> None:
        with store.transaction():
            store.notes.remember("before", "a")
            with pytest.raises(ConflictError):
                store.write("INSERT INTO facts (category, key) VALUES ('a', 'b')")

    with pytest.raises(StoreError, match="undone"):
        look_away()
    with store.transaction():
        store.notes.remember("later", "c")
    assert [store.notes.note(key) for key in ("before", "later")] == [None, "c"]


def test_the_engine_runs_on_the_clock_of_its_store(path: Path) -> None:
    clock, notes = FakeClock(), Notes()
    with MemoryStore(path, clock=clock) as store:
        engine = SchedulerEngine(store, handlers={"note": notes}, runner=run_inline)
        store.store_scheduled_task(a_task(every={"minutes": 5}))
        engine.evaluate_due_tasks()
        clock.advance(minutes=5)
        engine.evaluate_due_tasks()
    assert notes.slots == [START + 5 * MINUTE]


def test_errors_say_what_they_are(path: Path) -> None:
    with MemoryStore(path) as store:
        pages = store.value("PRAGMA page_count")
        store.read(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreFullError) as full:
            store.write("INSERT INTO facts (category, key, value) VALUES ('a', 'b', ?)", ("x" * 1_000_000,))
        assert full.value.fix == "make room; a running daemon keeps what it could not write"
        with opened(path) as theirs, MemoryStore(path, busy_timeout=timedelta(0)) as impatient:
            theirs.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreBusyError) as busy:
                impatient.notes.remember("a", "b")
        assert busy.value.says.endswith("another program keeps it locked")


def test_whether_another_program_writes_is_seen_without_waiting_for_it(store: MemoryStore, path: Path) -> None:
    before = store.value("PRAGMA busy_timeout")
    with opened(path) as theirs:
        seen = [store.others_write()]
        for statement in ("BEGIN IMMEDIATE", "DELETE FROM facts", "COMMIT"):
            theirs.execute(statement)
            seen.append(store.others_write())
    assert seen == [False, True, True, False]
    assert store.value("PRAGMA busy_timeout") == before > 0
    with store.transaction():
        assert not store.others_write()
