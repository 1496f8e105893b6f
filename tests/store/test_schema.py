"""Tests on real files: an existing assistant's database opens unchanged (law 8), a newer one not at all."""

from __future__ import annotations

import logging
import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
import pytest

from jarvis_trio.errors import StoreError
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.schema import STEPS, UNSETTLED
from jarvis_trio.store.sqlite import SqliteFile
from tests.support.core_fakes import PATIENCE, START, FakeClock, finish, in_thread

pytestmark = pytest.mark.law(8)

DELIVERY = ", delivery_channel TEXT, delivery_config TEXT"
TABLES = """
CREATE TABLE scheduled_tasks (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, description TEXT, schedule_type TEXT NOT NULL,
    schedule_config TEXT NOT NULL, handler_type TEXT NOT NULL, handler_config TEXT, enabled INTEGER DEFAULT 1,
    last_run_at TEXT, next_run_at TEXT, last_result TEXT, created_at TEXT DEFAULT CURRENT_TIMESTAMP,
    updated_at TEXT DEFAULT CURRENT_TIMESTAMP{delivery});
CREATE TABLE webhook_events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT, event_type TEXT, payload TEXT,
    status TEXT DEFAULT 'pending', received_at TEXT, processed_at TEXT);
CREATE TABLE alert_rules (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, description TEXT, alert_type TEXT, condition TEXT,
    enabled INTEGER DEFAULT 1, last_triggered_at TEXT, created_at TEXT);
CREATE TABLE facts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, category TEXT, key TEXT, value TEXT, confidence REAL, source TEXT,
    created_at TEXT, updated_at TEXT, UNIQUE (category, key));
CREATE TABLE locations (id INTEGER PRIMARY KEY, name TEXT);
CREATE INDEX theirs ON facts (category);
"""
ROWS = """
INSERT INTO scheduled_tasks (name, schedule_type, schedule_config, handler_type, enabled, next_run_at, last_result)
VALUES ('morning', 'cron', '{"expression": "0 7 * * 0"}', 'morning_brief', 1, '2026-03-02T07:00:00', '{"a": "ok"}'),
       ('backup', 'interval', '{"hours": 24}', 'custom', 0, NULL, NULL),
       ('old style', 'interval', '{"minutes": 5}', 'note', 1, '2026-03-02 08:59:59.123456', NULL),
       (CAST(x'ff00fe' AS TEXT), 'interval', x'00ff', 'note', 'yes', 12.5, x'c328');
INSERT INTO webhook_events (source, payload) VALUES ('github', '{"a":  1}'), (x'ff', NULL);
INSERT INTO facts (category, key, value, confidence) VALUES ('work', 'backup_last_success', '2026-03-01: ok', 0.75);
INSERT INTO locations (name) VALUES ('Fort Collins');
PRAGMA user_version = 17;
"""


def build(path: Path, delivery: str = DELIVERY) -> None:
    """The file of an assistant that has run for a while without us."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(TABLES.format(delivery=delivery) + ROWS)


def to_be_read_anew(store: MemoryStore) -> int:
    tasks = "task_queue q JOIN scheduled_tasks t ON t.id = q.task_id"
    return int(store.value(f"SELECT count(*) FROM {tasks} WHERE q.due_at = {UNSETTLED}"))


def contents(path: Path) -> dict[str, list[str]]:
    """Every row of the assistant's tables, each value as a literal, so that type and bytes count."""
    added = {"policy", "delivery_channel", "delivery_config"}
    with closing(sqlite3.connect(path)) as connection:
        found = {}
        for table in ("scheduled_tasks", "webhook_events", "alert_rules", "facts", "locations"):
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[1] not in added]
            literals = " || ',' || ".join(f"typeof({name}) || hex({name})" for name in columns)
            found[table] = [row[0] for row in connection.execute(f"SELECT {literals} FROM {table} ORDER BY id")]
        return found


@pytest.mark.parametrize("delivery", [DELIVERY, ""], ids=["delivery columns", "very old"])
def test_an_assistants_rows_survive_byte_for_byte(path: Path, delivery: str) -> None:
    build(path, delivery)
    before = contents(path)
    MemoryStore(path).close()
    assert contents(path) == before


def test_what_is_added_is_added_and_nothing_else_changes(path: Path) -> None:
    build(path, delivery="")
    with closing(sqlite3.connect(path)) as connection:
        before = dict(connection.execute("SELECT name, sql FROM sqlite_master").fetchall())
    MemoryStore(path).close()
    with closing(sqlite3.connect(path)) as connection:
        after = dict(connection.execute("SELECT name, sql FROM sqlite_master").fetchall())
        columns = [row[1] for row in connection.execute("PRAGMA table_info(scheduled_tasks)")]
        assert connection.execute("PRAGMA user_version").fetchone() == (17,)
    assert {name: after[name] for name in before if name != "scheduled_tasks"} == {
        name: sql for name, sql in before.items() if name != "scheduled_tasks"
    }
    assert columns[-3:] == ["delivery_channel", "delivery_config", "policy"]


def test_a_copy_as_it_was_is_made_first_and_announced(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    build(path)
    before = contents(path)
    with caplog.at_level(logging.INFO):
        MemoryStore(path).close()
    copy = path.with_name("memory.db.before-jarvis-trio-1")
    assert str(copy) in caplog.text
    assert contents(copy) == before
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with closing(sqlite3.connect(copy)) as connection:
        names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    assert "task_runs" not in names


def test_an_older_copy_is_not_overwritten(path: Path) -> None:
    path.with_name("memory.db.before-jarvis-trio-1").write_text("somebody's")
    build(path)
    MemoryStore(path).close()
    assert path.with_name("memory.db.before-jarvis-trio-1").read_text() == "somebody's"
    assert path.with_name("memory.db.before-jarvis-trio-2").exists()


def test_without_room_for_the_copy_nothing_is_changed(tmp_path: Path) -> None:
    path = tmp_path / ("m" * 240)  # the copy's name would be too long
    build(path)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="copy"):
        MemoryStore(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_copy_that_cannot_be_finished_is_not_left_behind(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    build(path)
    with path.open("r+b") as file:  # a damaged page: the copy fails half-way
        file.seek(4096 * 2)
        file.write(b"\xaa" * 4096)
    before = path.read_bytes()
    with pytest.raises(StoreError):
        MemoryStore(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_needs_no_copy(path: Path) -> None:
    with MemoryStore(path):
        assert not list(path.parent.glob("*before*"))


def test_opening_again_changes_nothing(path: Path) -> None:
    build(path)
    MemoryStore(path).close()
    before = path.read_bytes()
    MemoryStore(path).close()
    assert path.read_bytes() == before
    assert len(list(path.parent.iterdir())) == 2  # the file and one copy


def test_opening_again_has_no_task_read_anew(path: Path) -> None:
    build(path)
    with MemoryStore(path) as store:
        store.write("UPDATE task_queue SET due_at = 5")
    with MemoryStore(path) as store:
        assert to_be_read_anew(store) == 0


def test_a_restored_copy_is_in_the_right_mode_again(path: Path) -> None:
    """`VACUUM INTO` makes a file in the mode `delete`, in which a writer locks readers out."""
    other = path.with_name("other.db")
    with MemoryStore(other) as store:
        store.read("VACUUM INTO ?", (str(path),))
    with MemoryStore(path) as store:
        assert store.value("PRAGMA journal_mode") == "wal"


def test_an_assistant_that_has_it_open_works_on(path: Path) -> None:
    build(path)
    with closing(sqlite3.connect(path, timeout=0)) as theirs:
        assert theirs.execute("SELECT count(*) FROM scheduled_tasks").fetchone() == (4,)
        with MemoryStore(path) as store:
            theirs.execute("UPDATE scheduled_tasks SET description = 'theirs' WHERE name = 'backup'")
            theirs.commit()
            task = store.get_scheduled_task_by_name("backup")
            assert task is not None
            assert task.description == "theirs"


@pytest.mark.parametrize("begin", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE", "BEGIN"], ids=["write", "commit", "read"])
def test_an_assistant_in_the_middle_of_something_is_waited_for(path: Path, begin: str) -> None:
    build(path)
    opened = threading.Event()

    def open_it() -> None:
        MemoryStore(path).close()
        opened.set()

    with closing(sqlite3.connect(path, isolation_level=None)) as theirs:
        theirs.execute(begin)
        theirs.execute("SELECT count(*) FROM facts").fetchall()
        opener = in_thread(open_it)
        opener.join(0.05)
        assert not opened.is_set()
        theirs.execute("COMMIT")
    assert opened.wait(PATIENCE)
    finish(opener)


def test_processes_that_open_it_together_change_it_once(path: Path) -> None:
    build(path)
    before = contents(path)
    together = threading.Barrier(4)

    def open_it() -> None:
        together.wait()
        MemoryStore(path).close()

    errors: list[object] = []
    previous, threading.excepthook = threading.excepthook, errors.append
    try:
        finish(*[in_thread(open_it) for _ in range(4)])
    finally:
        threading.excepthook = previous
    assert errors == []
    assert contents(path) == before


def test_the_assistants_tasks_are_due_as_it_meant_them(path: Path) -> None:
    """Its naive text is local time (law 5)."""
    build(path)
    zone = ZoneInfo("America/Denver")
    with MemoryStore(path, clock=FakeClock(START, zone)) as store:
        due = [task.name for task in store.get_due_tasks("2026-03-02T09:00:00")]
        assert due == ["morning", "old style"]
        assert [task.name for task in store.get_due_tasks(START)] == []  # 02:00 in Denver


REBUILT = """
CREATE TABLE rebuilt (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, description TEXT, schedule_type TEXT, schedule_config TEXT,
    handler_type TEXT, handler_config TEXT, enabled INTEGER DEFAULT 1, last_run_at TEXT, next_run_at TEXT,
    last_result TEXT, created_at TEXT, updated_at TEXT{columns});
INSERT INTO rebuilt SELECT id, name, description, schedule_type, schedule_config, handler_type, handler_config,
    enabled, last_run_at, next_run_at, last_result, created_at, updated_at{names} FROM scheduled_tasks;
DROP TABLE scheduled_tasks;
ALTER TABLE rebuilt RENAME TO scheduled_tasks;
UPDATE scheduled_tasks SET schedule_config = '{{"minutes": 7}}' WHERE name = 'old style';
"""


@pytest.mark.law(3)
@pytest.mark.parametrize("kept", [[], ["delivery_channel", "delivery_config", "policy"]], ids=["columns", "triggers"])
def test_what_an_assistant_drops_when_it_makes_its_table_anew_is_added_again(path: Path, kept: list[str]) -> None:
    build(path)
    with MemoryStore(path) as store:
        store.queue.settle(store.tasks.require_task("old style"), START)
    columns, names = "".join(f", {name} TEXT" for name in kept), "".join(f", {name}" for name in kept)
    with closing(sqlite3.connect(path)) as theirs:
        theirs.executescript(REBUILT.format(columns=columns, names=names))
    with MemoryStore(path, read_only=True) as store:
        assert len(store.list_scheduled_tasks()) == 4
    with MemoryStore(path) as store:
        assert to_be_read_anew(store) == store.value("SELECT count(*) FROM task_queue") == 4
        store.write("UPDATE task_queue SET due_at = 5")
        store.update_scheduled_task(3, policy='{"retries": 1}')
        assert to_be_read_anew(store) == 1
    assert path.with_name("memory.db.before-jarvis-trio-2").exists()


FIXED = {
    "scheduled_tasks": "id name description schedule_type schedule_config handler_type handler_config enabled"
    " last_run_at next_run_at last_result created_at updated_at delivery_channel delivery_config policy",
    "webhook_events": "id source event_type payload status received_at processed_at",
    "alert_rules": "id name description alert_type condition enabled last_triggered_at created_at",
    "delegations": "id task description delegated_to delegated_by due_date priority status source notes"
    " created_at updated_at",
    "decisions": "id title description context alternatives_considered decided_by owner status follow_up_date tags"
    " source created_at updated_at",
    "facts": "id category key value confidence source created_at updated_at",
}


@pytest.mark.sqlite
@pytest.mark.parametrize("table", FIXED)
def test_a_new_file_has_the_tables_that_an_assistant_knows(store: MemoryStore, table: str) -> None:
    assert " ".join(row["name"] for row in store.read(f"PRAGMA table_info({table})")) == FIXED[table]


@pytest.mark.sqlite
def test_what_an_assistant_leaves_out_has_its_usual_value(store: MemoryStore, other: sqlite3.Connection) -> None:
    other.executescript(
        "INSERT INTO scheduled_tasks (name, schedule_type, schedule_config, handler_type) VALUES ('a', 'b', 'c', 'd');"
        "INSERT INTO webhook_events (source, event_type) VALUES ('a', 'b');"
        "INSERT INTO alert_rules (name, alert_type) VALUES ('a', 'b');"
        "INSERT INTO delegations (task) VALUES ('a');"
        "INSERT INTO decisions (title) VALUES ('a');"
    )
    usual = {"scheduled_tasks": 1, "alert_rules": 1} | {
        "webhook_events": "pending",
        "delegations": "active",
        "decisions": "pending_execution",
    }
    for table, value in usual.items():
        column = "enabled" if value == 1 else "status"
        assert store.value(f"SELECT {column} FROM {table}") == value


@pytest.mark.parametrize(
    "insert",
    [
        "scheduled_tasks (name, schedule_type, schedule_config, handler_type) VALUES ('a', 'b', 'c', 'd')",
        "alert_rules (name, alert_type) VALUES ('a', 'b')",
        "facts (category, key) VALUES ('a', 'b')",
    ],
    ids=["task", "rule", "fact"],
)
def test_what_must_be_unique_in_an_assistants_tables_is_so(
    store: MemoryStore, other: sqlite3.Connection, insert: str
) -> None:
    other.execute(f"INSERT INTO {insert}")
    with pytest.raises((sqlite3.IntegrityError, psycopg.IntegrityError), match=r"(?i)unique"):
        other.execute(f"INSERT INTO {insert}")


def test_an_empty_file_becomes_a_database(path: Path) -> None:
    path.touch()
    with MemoryStore(path) as store:
        assert store.list_scheduled_tasks() == []


def test_a_newer_schema_is_refused_and_stays_as_it_was(path: Path) -> None:
    MemoryStore(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE jarvis_meta SET value = '999' WHERE key = 'schema_version'")
    before = path.read_bytes()
    with pytest.raises(StoreError) as refused:
        MemoryStore(path)
    assert str(refused.value) == (
        f"the database {path} has schema 999, this program knows {len(STEPS)}; install a newer jarvis-trio"
    )
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_file_whose_schema_version_was_lost_is_completed(path: Path) -> None:
    MemoryStore(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DELETE FROM jarvis_meta WHERE key = 'schema_version'")
    with MemoryStore(path) as store:
        assert store.value("SELECT value FROM jarvis_meta WHERE key = 'schema_version'") == str(len(STEPS))


@pytest.mark.parametrize("value", ["'soon'", "NULL", "x'ff'"])
def test_a_schema_that_cannot_be_told_is_refused(path: Path, value: str) -> None:
    MemoryStore(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"UPDATE jarvis_meta SET value = {value} WHERE key = 'schema_version'")
    with pytest.raises(StoreError, match="schema"):
        MemoryStore(path)


@pytest.mark.law(3)
def test_a_change_that_fails_half_way_is_no_change(path: Path) -> None:
    build(path)
    before = contents(path)
    first, *later = STEPS
    with pytest.raises(StoreError):
        SqliteFile(path, steps=[first._replace(indexes={**first.indexes, "nonsense": "nowhere (at)"}), *later])
    assert contents(path) == before
    with closing(sqlite3.connect(path)) as connection:
        names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    assert "task_queue" not in names
    with MemoryStore(path) as store:
        assert len(store.list_scheduled_tasks()) == 4


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE scheduled_tasks SET next_run_at = '2026-03-02T09:30:00' WHERE name = 'old style'",
        "UPDATE scheduled_tasks SET schedule_type = 'cron' WHERE name = 'old style'",
        "UPDATE OR IGNORE scheduled_tasks SET enabled = 1 WHERE name = 'old style'",
        "UPDATE OR REPLACE scheduled_tasks SET schedule_config = '{}' WHERE name = 'old style'",
        "INSERT INTO scheduled_tasks (name, schedule_type, schedule_config, handler_type) VALUES ('n', 'a', 'b', 'c')",
        "INSERT OR REPLACE INTO scheduled_tasks (name, schedule_type, schedule_config, handler_type)"
        " VALUES ('old style', 'interval', '{}', 'note')",
        "REPLACE INTO scheduled_tasks (id, name, schedule_type, schedule_config, handler_type)"
        " VALUES (3, 'old style', 'interval', '{}', 'note')",
        "INSERT INTO scheduled_tasks (name, schedule_type, schedule_config, handler_type)"
        " VALUES ('old style', 'interval', '{}', 'note') ON CONFLICT (name) DO UPDATE SET enabled = 1",
    ],
)
def test_each_way_to_change_a_row_marks_it_to_be_read_anew(path: Path, change: str) -> None:
    build(path)
    with MemoryStore(path) as store, closing(sqlite3.connect(path, isolation_level=None)) as theirs:
        store.write("UPDATE task_queue SET scheduled_for = 5, due_at = 5 WHERE task_id <> 0")
        store.queue.enqueue_retry(store.tasks.require_task("old style"), START, 2, START)
        theirs.execute(change)
        assert to_be_read_anew(store) == 1
        rows = store.read("SELECT task_id, attempt, count(*) FROM task_queue GROUP BY task_id, attempt")
        assert {tuple(row) for row in rows} >= {(1, 1, 1), (2, 1, 1), (3, 1, 1), (3, 2, 1), (4, 1, 1)}


def test_a_deleted_row_leaves_nothing_to_do(path: Path) -> None:
    build(path)
    with MemoryStore(path) as store, closing(sqlite3.connect(path, isolation_level=None)) as theirs:
        theirs.execute("DELETE FROM scheduled_tasks")
        assert store.value("SELECT count(*) FROM task_queue") == 0


def test_an_edit_that_concerns_no_schedule_is_not_noticed(path: Path) -> None:
    build(path)
    with MemoryStore(path) as store, closing(sqlite3.connect(path, isolation_level=None)) as theirs:
        store.write("UPDATE task_queue SET due_at = 5 WHERE task_id <> 0")
        theirs.execute("UPDATE scheduled_tasks SET last_result = 'x', description = 'y'")
        assert to_be_read_anew(store) == 0
