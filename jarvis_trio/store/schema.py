"""The tables: the assistant's as they are, and ours added beside them (law 8).

Every change is additive, made in one transaction, announced in the log, and a
copy of the file is made first where it holds somebody's rows.
"""

from __future__ import annotations

import itertools
import logging
import os
import re
import sqlite3
from pathlib import Path

from jarvis_trio.errors import StoreError

VERSION = 1
"""The version of our additions, kept in `jarvis_meta`. `PRAGMA user_version` is left to the assistant."""

UNSETTLED = 0
"""`task_queue.due_at` of a row whose task somebody changed: the engine has yet to read it and settle its slot.

Older programs and their triggers use the same value, so it cannot change.
"""

_logger = logging.getLogger(__name__)

_ASSISTANT_TABLES = """
CREATE TABLE IF NOT EXISTS scheduled_tasks (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, description TEXT,
    schedule_type TEXT NOT NULL, schedule_config TEXT NOT NULL, handler_type TEXT NOT NULL, handler_config TEXT,
    enabled INTEGER NOT NULL DEFAULT 1, last_run_at TEXT, next_run_at TEXT, last_result TEXT,
    created_at TEXT, updated_at TEXT, delivery_channel TEXT, delivery_config TEXT);
CREATE TABLE IF NOT EXISTS webhook_events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, event_type TEXT NOT NULL, payload TEXT,
    status TEXT NOT NULL DEFAULT 'pending', received_at TEXT, processed_at TEXT);
CREATE TABLE IF NOT EXISTS alert_rules (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, description TEXT, alert_type TEXT NOT NULL,
    condition TEXT, enabled INTEGER NOT NULL DEFAULT 1, last_triggered_at TEXT, created_at TEXT);
CREATE TABLE IF NOT EXISTS delegations (
    id INTEGER PRIMARY KEY AUTOINCREMENT, task TEXT NOT NULL, description TEXT, delegated_to TEXT, delegated_by TEXT,
    due_date TEXT, priority TEXT, status TEXT NOT NULL DEFAULT 'active', source TEXT, notes TEXT,
    created_at TEXT, updated_at TEXT);
CREATE TABLE IF NOT EXISTS decisions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL, description TEXT, context TEXT,
    alternatives_considered TEXT, decided_by TEXT, owner TEXT, status TEXT NOT NULL DEFAULT 'pending_execution',
    follow_up_date TEXT, tags TEXT, source TEXT, created_at TEXT, updated_at TEXT);
CREATE TABLE IF NOT EXISTS facts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, category TEXT NOT NULL, key TEXT NOT NULL, value TEXT,
    confidence REAL, source TEXT, created_at TEXT, updated_at TEXT, UNIQUE (category, key));
"""

# `task_runs` holds instants as UTC text, so that one instant has one text whatever
# the machine's zone is, and the unique constraint on the slot is exact.
#
# `live` is 1 while an attempt can still do something: it runs, or it ran into its
# time limit and its thread is alive. The unique index on it is law 2's second half,
# a task never overlaps itself, kept by the database for all processes together.
# `task_runs_foreign` holds what other programs wrote as running, so none of our rows.
#
# `task_queue` is what is to be done: one row with attempt 1 for a task's next slot,
# one for each retry. Its times are microseconds since 1970 UTC. `waits_from` is the instant an
# interval counts from. It cannot be told from the slot: by how much the clock was set back while
# no daemon ran is only known to be "at least", and a slot that looks too far off then was either
# moved there by a person, and stays, or was not, and moves with the clock.
#
# `webhook_files` says that a file's event is in `webhook_events` although the file is
# not yet in `processed/`: what a process that dies in between leaves for the next one.
# Names of folders and files are bytes, and need not be UTF-8.
_OUR_TABLES = """
CREATE TABLE IF NOT EXISTS jarvis_meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS task_runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, task_id INTEGER NOT NULL, task_name TEXT NOT NULL,
    scheduled_for TEXT NOT NULL, attempt INTEGER NOT NULL, started_at TEXT NOT NULL, finished_at TEXT,
    status TEXT NOT NULL, reason TEXT, result TEXT, trigger TEXT NOT NULL DEFAULT 'schedule',
    collapsed INTEGER NOT NULL DEFAULT 0, delivery TEXT, owner TEXT, live INTEGER,
    UNIQUE (task_id, scheduled_for, attempt));
CREATE UNIQUE INDEX IF NOT EXISTS task_runs_live ON task_runs (task_id) WHERE live = 1;
CREATE INDEX IF NOT EXISTS task_runs_foreign ON task_runs (task_id) WHERE status = 'running' AND live IS NULL;
CREATE INDEX IF NOT EXISTS task_runs_by_task ON task_runs (task_id);
CREATE INDEX IF NOT EXISTS task_runs_by_start ON task_runs (started_at);
CREATE TABLE IF NOT EXISTS task_queue (
    task_id INTEGER NOT NULL, attempt INTEGER NOT NULL, scheduled_for INTEGER NOT NULL, due_at INTEGER NOT NULL,
    collapsed INTEGER NOT NULL DEFAULT 0, waits_from INTEGER, PRIMARY KEY (task_id, attempt, scheduled_for)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS task_queue_due ON task_queue (due_at);
CREATE TABLE IF NOT EXISTS task_troubles (
    task_id INTEGER NOT NULL, kind TEXT NOT NULL, since TEXT NOT NULL, reason TEXT NOT NULL,
    PRIMARY KEY (task_id, kind)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS task_deadlines (task_id INTEGER PRIMARY KEY, due_at INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS task_deadlines_due ON task_deadlines (due_at);
CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, run_id INTEGER, channel TEXT NOT NULL, config TEXT,
    task_name TEXT NOT NULL, status TEXT NOT NULL, result TEXT, timestamp TEXT NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0, due_at INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS outbox_due ON outbox (due_at);
CREATE TABLE IF NOT EXISTS webhook_files (
    inbox BLOB NOT NULL, file BLOB NOT NULL, PRIMARY KEY (inbox, file)
) WITHOUT ROWID;
"""

# Two statements and not INSERT OR REPLACE: the conflict clause of the statement that
# fires a trigger overrides those inside (sqlite.org/lang_createtrigger.html), so an
# UPDATE OR IGNORE by another program would leave the queue as it was.
_TRIGGERS = f"""
CREATE TRIGGER IF NOT EXISTS jarvis_task_added AFTER INSERT ON scheduled_tasks BEGIN
    DELETE FROM task_queue WHERE task_id = NEW.id AND attempt = 1;
    INSERT INTO task_queue (task_id, attempt, scheduled_for, due_at) VALUES (NEW.id, 1, {UNSETTLED}, {UNSETTLED});
END;
CREATE TRIGGER IF NOT EXISTS jarvis_task_changed
AFTER UPDATE OF enabled, next_run_at, schedule_type, schedule_config, policy ON scheduled_tasks BEGIN
    DELETE FROM task_queue WHERE task_id = NEW.id AND attempt = 1;
    INSERT INTO task_queue (task_id, attempt, scheduled_for, due_at) VALUES (NEW.id, 1, {UNSETTLED}, {UNSETTLED});
END;
CREATE TRIGGER IF NOT EXISTS jarvis_task_removed AFTER DELETE ON scheduled_tasks BEGIN
    DELETE FROM task_queue WHERE task_id = OLD.id;
    DELETE FROM task_troubles WHERE task_id = OLD.id;
    DELETE FROM task_deadlines WHERE task_id = OLD.id;
END;
"""

_TRIGGER_NAMES = re.findall(r"CREATE TRIGGER IF NOT EXISTS (\w+)", _TRIGGERS)
_LATER_COLUMNS = ("delivery_channel", "delivery_config", "policy")


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Add what is missing of ours to a new, an assistant's or an older file; a complete one is only read.

    Raises StoreError for a file that a newer program made, before anything is changed.
    """
    complete = _is_complete(connection, path)
    if not complete and _has_table(connection, "scheduled_tasks"):
        copy = _back_up(connection, path)
        _logger.info("Adding our tables to %s; a copy as it was is at %s", path, copy)
    _use_wal(connection)  # whatever the version: a copy that VACUUM INTO made is in another mode
    if not complete:
        _migrate(connection)


def stand_in(connection: sqlite3.Connection, path: Path) -> None:
    """Let a file that lacks something of ours be read as if it were complete, without a change to it.

    What is missing is made, empty, in the connection's own temporary schema, where names
    are looked up first (sqlite.org/lang_naming.html). Raises StoreError as `prepare` does.
    """
    if _is_complete(connection, path):
        return
    connection.execute("PRAGMA temp_store=MEMORY")
    for statement in _statements(_ASSISTANT_TABLES + _OUR_TABLES):
        table = re.match(r"\s*CREATE TABLE IF NOT EXISTS (\w+)", statement)
        if table is not None and not _has_table(connection, table[1]):
            connection.execute(statement.replace("CREATE TABLE", "CREATE TEMP TABLE", 1))
    missing = _missing_columns(connection)
    if _has_table(connection, "scheduled_tasks"):
        columns = ", ".join(["*", *(f"NULL AS {column}" for column in missing)])
        connection.execute(f"CREATE TEMP VIEW scheduled_tasks AS SELECT {columns} FROM main.scheduled_tasks")
    else:
        _add_columns(connection, missing)


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log, which stays so.

    SQLite does not wait for other programs' locks here; so wait for the file to be free first.
    """
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("ROLLBACK")


def _migrate(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in _statements(_ASSISTANT_TABLES):
            connection.execute(statement)
        _add_columns(connection, _missing_columns(connection))
        for statement in _statements(_OUR_TABLES + _TRIGGERS):
            connection.execute(statement)
        connection.execute("DELETE FROM task_queue WHERE attempt = 1")
        connection.execute(
            "INSERT INTO task_queue (task_id, attempt, scheduled_for, due_at)"
            f" SELECT id, 1, {UNSETTLED}, {UNSETTLED} FROM scheduled_tasks"
        )
        connection.execute("INSERT OR REPLACE INTO jarvis_meta VALUES ('schema_version', ?)", (str(VERSION),))
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> list[str]:
    """The script's statements one by one: `executescript` would commit the open transaction."""
    statements, pending = [], ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            statements.append(pending)
            pending = ""
    return statements


def _missing_columns(connection: sqlite3.Connection) -> list[str]:
    present = {row[1] for row in connection.execute("PRAGMA table_info(scheduled_tasks)")}
    return [column for column in _LATER_COLUMNS if column not in present]


def _add_columns(connection: sqlite3.Connection, columns: list[str]) -> None:
    for column in columns:
        connection.execute(f"ALTER TABLE scheduled_tasks ADD COLUMN {column} TEXT")


def _is_complete(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether nothing of ours is missing.

    Who changes a table in SQLite often makes it anew (sqlite.org/lang_altertable.html, 7):
    our triggers on `scheduled_tasks` go with the old one, and `policy` may.
    """
    found = _version(connection)
    if found > VERSION:
        raise StoreError(
            f"the database {path} has schema {found}, this program knows {VERSION}: install a newer jarvis-trio"
        )
    triggers = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")}
    return found == VERSION and not _missing_columns(connection) and triggers.issuperset(_TRIGGER_NAMES)


def _version(connection: sqlite3.Connection) -> int:
    if not _has_table(connection, "jarvis_meta"):
        return 0
    row = connection.execute("SELECT value FROM jarvis_meta WHERE key = 'schema_version'").fetchone()
    try:
        return int(row[0]) if row else 0
    except (ValueError, TypeError):
        raise StoreError(f"the database's schema version makes no sense: {row[0]!r}; restore a backup of it") from None


def _has_table(connection: sqlite3.Connection, name: str) -> bool:
    query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    return connection.execute(query, (name,)).fetchone() is not None


def _back_up(connection: sqlite3.Connection, path: Path) -> Path:
    """A consistent copy of the file beside it, mode 0600, while others may have it open."""
    copy = _new_file_beside(path)
    try:
        connection.execute("VACUUM INTO ?", (str(copy),))
    except sqlite3.DatabaseError:
        copy.unlink()
        raise
    return copy


def _new_file_beside(path: Path) -> Path:
    for number in itertools.count(1):
        copy = path.with_name(f"{path.name}.before-jarvis-trio-{number}")
        try:
            os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            continue
        except OSError as error:
            raise StoreError(f"cannot make a copy of the database, {copy}: {error.strerror}") from None
        return copy
    raise AssertionError("numbers do not end")
