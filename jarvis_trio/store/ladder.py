"""Brings a file's tables up to date, and keeps them so while other programs change them.

Guarantees:

- A file is at one whole version at any instant: each step is one transaction, and a process that
  dies in between leaves the file at the step before.
- Before the first change to a file that holds somebody's tasks there is a copy of it beside it.
- What is not ours stays: only tables, columns, indexes and triggers that are missing are added.
- A file of a newer program is refused before anything is changed.

This code assumes that one program at a time writes (SQLite's lock) and that its reader may be
another version of this program, so whatever was decided before the lock is decided again inside it.

The race that it is made for: two daemons of two versions open one file. (1) Both read version 1.
(2) The newer takes the lock, climbs, and writes version 2. (3) The older one, which had seen
nothing to do, works on with tables that have grown; columns are only ever added, so its statements
stay right. (4) At its next start it reads 2 and refuses.
"""

from __future__ import annotations

import itertools
import logging
import os
import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from jarvis_trio.errors import StoreError
from jarvis_trio.store.schema import STEPS, TRIGGERS, UNSETTLE_ALL, Shape, Step, Table, shape

_NOTE_VERSION = (
    "INSERT INTO jarvis_meta VALUES ('schema_version', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
)
_logger = logging.getLogger(__name__)


def prepare(connection: sqlite3.Connection, path: Path, steps: Sequence[Step] = STEPS) -> None:
    """Take a new, an assistant's or an older file up to the last of `steps`; a complete one is only read.

    Raises StoreError for a file that a newer program made, and for tables that cannot be used.
    """
    found = _look(connection, path, steps)
    due = bool(_missing(found, steps))

    if due and "scheduled_tasks" in found.tables:
        _logger.info("Adding our tables to %s; a copy as it was is at %s", path, _back_up(connection, path))
    _use_wal(connection)  # whatever the version: a copy that VACUUM INTO made is in another mode
    if due:
        _climb(connection, path, steps)


def put_right(connection: sqlite3.Connection, path: Path, steps: Sequence[Step] = STEPS) -> list[str]:
    """Add what another program took away under a running daemon.

    Returns what was missing, in words. Raises StoreError if it cannot be added.
    """
    missing = _missing(_look(connection, path, steps), steps)
    if missing:
        _climb(connection, path, steps)
    return missing


def stand_in(connection: sqlite3.Connection, path: Path, steps: Sequence[Step] = STEPS) -> None:
    """Let a file that lacks something of ours be read as if it were complete, without a change to it.

    What is missing is made, empty, in the connection's own temporary schema, whose names are
    looked up first (sqlite.org/lang_naming.html). Raises StoreError as `prepare` does.
    """
    found = _look(connection, path, steps)
    if not _missing(found, steps):
        return

    connection.execute("PRAGMA temp_store=MEMORY")
    for name, table in shape(steps).tables.items():
        if name not in found.tables:
            connection.execute(_table_sql(name, table).replace("CREATE TABLE", "CREATE TEMP TABLE", 1))
        elif absent := found.absent(name, table):
            columns = ", ".join(f"{_default(table.columns[column])} AS {column}" for column in absent)
            connection.execute(f"CREATE TEMP VIEW {name} AS SELECT *, {columns} FROM main.{name}")


@dataclass(frozen=True, slots=True)
class _Found:
    """What a file has of the tables that this program knows: the columns of each, indexes, triggers with their text."""

    version: int
    tables: Mapping[str, set[str]]
    indexes: Set[str]
    triggers: Mapping[str, str]

    def absent(self, name: str, table: Table) -> list[str]:
        """The columns that a table of the file does not have."""
        return [column for column in table.columns if column not in self.tables[name]]

    def other_triggers(self) -> list[str]:
        """The triggers that are not in the file, or do something else there."""
        return [name for name in TRIGGERS if self.triggers.get(name) != _plain(_trigger_sql(name))]


def _look(connection: sqlite3.Connection, path: Path, steps: Sequence[Step]) -> _Found:
    """Read what the file has. Raises StoreError for a file that a newer program made."""
    made = connection.execute("SELECT type, lower(name), sql FROM main.sqlite_master").fetchall()
    names = [name for kind, name, _ in made if kind == "table" and name in shape(steps).tables]
    # By name, since to look into a table of others can need a module that only they have.
    tables = {name: _columns(connection, name) for name in names}
    indexes = {name for kind, name, _ in made if kind == "index"}
    triggers = {name: _plain(text) for kind, name, text in made if kind == "trigger"}
    version = _version(connection, path, len(steps)) if "jarvis_meta" in tables else 0
    return _Found(version, tables, indexes, triggers)


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {str(row[1]).lower() for row in connection.execute(f"PRAGMA main.table_info({table})")}


def _version(connection: sqlite3.Connection, path: Path, known: int) -> int:
    """How many steps the file has seen."""
    row = connection.execute("SELECT value FROM main.jarvis_meta WHERE key = 'schema_version'").fetchone()
    try:
        found = int(row[0]) if row else 0
    except (ValueError, TypeError):
        says = f"the database's schema version makes no sense: {row[0]!r}"
        raise StoreError(says, fix="restore a backup of it") from None
    if found > known:
        says = f"the database {path} has schema {found}, this program knows {known}"
        raise StoreError(says, fix="install a newer jarvis-trio")
    return found


def _missing(found: _Found, steps: Sequence[Step]) -> list[str]:
    """What of all steps is not in the file, in words; empty if it is complete."""
    wanted, words = shape(steps), []
    for name, table in wanted.tables.items():
        if name in found.tables:
            words += [f"column {name}.{column}" for column in found.absent(name, table)]
        else:
            words.append(f"table {name}")
    words += [f"index {name}" for name in wanted.indexes if name not in found.indexes]
    words += [f"trigger {name}" for name in found.other_triggers()]
    return words or ([] if found.version == len(steps) else [f"schema {len(steps)}"])


def _climb(connection: sqlite3.Connection, path: Path, steps: Sequence[Step]) -> None:
    """Take the steps that the file has not seen, then add what is missing of the last."""
    for number in range(_look(connection, path, steps).version + 1, len(steps)):
        _take_step(connection, path, steps, number)
    _take_step(connection, path, steps, len(steps))


def _take_step(connection: sqlite3.Connection, path: Path, steps: Sequence[Step], number: int) -> None:
    """Step `number`, in one transaction: what is missing, then what moves, then the note that it is taken."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = _look(connection, path, steps)  # another program may have been faster
        _add_missing(connection, path, found, shape(steps[:number]))
        if 0 < found.version < number:
            _execute_all(connection, steps[number - 1].then)
        if number == len(steps):
            _make_triggers(connection, found)
        if found.version < number:
            connection.execute(_NOTE_VERSION, (str(number),))
        connection.execute("COMMIT")
    except BaseException as error:
        if connection.in_transaction:  # SQLite may have rolled back by itself, on a full disk for one
            connection.execute("ROLLBACK")
        if isinstance(error, sqlite3.IntegrityError):
            says = f"the tables of {path} cannot be brought up to date: {error}"
            raise StoreError(says, fix="restore a backup of it, or repair those rows") from error
        raise


def _add_missing(connection: sqlite3.Connection, path: Path, found: _Found, wanted: Shape) -> None:
    for name, table in wanted.tables.items():
        if name not in found.tables:
            connection.execute(_table_sql(name, table))
            continue
        for column in found.absent(name, table):
            connection.execute(_column_sql(path, name, column, table.columns[column]))
    for name, index in wanted.indexes.items():
        if name not in found.indexes:
            connection.execute(_index_sql(name, index))


def _make_triggers(connection: sqlite3.Connection, found: _Found) -> None:
    others = found.other_triggers()
    for name in others:
        connection.execute(f"DROP TRIGGER IF EXISTS {name}")
        connection.execute(_trigger_sql(name))
    if others:
        _execute_all(connection, UNSETTLE_ALL)


def _execute_all(connection: sqlite3.Connection, statements: Iterable[str]) -> None:
    for statement in statements:
        connection.execute(statement)


def _column_sql(path: Path, table: str, column: str, type_: str) -> str:
    """A column for a table that stands: it can be no key, and its rows must have a value for it."""
    if "PRIMARY KEY" in type_:
        says = f"the table {table} of {path} has no column {column}: another program has changed it"
        raise StoreError(says, fix="restore a backup of the database")
    needs = r" UNIQUE" if "DEFAULT" in type_ else r" UNIQUE| NOT NULL"
    return f"ALTER TABLE {table} ADD COLUMN {column} {re.sub(needs, '', type_)}"


def _table_sql(name: str, table: Table) -> str:
    columns = [f"{column} {type_}" for column, type_ in table.columns.items()]
    body = ", ".join([*columns, table.key] if table.key else columns)
    return f"CREATE TABLE {name} ({body}){' WITHOUT ROWID' if table.by_key else ''}"


def _index_sql(name: str, index: str) -> str:
    unique = "UNIQUE " if index.startswith("UNIQUE ") else ""
    return f"CREATE {unique}INDEX {name} ON {index.removeprefix('UNIQUE ')}"


def _trigger_sql(name: str) -> str:
    when, then = TRIGGERS[name]
    return f"CREATE TRIGGER {name} {when} BEGIN{then}END"


def _plain(sql: str) -> str:
    """A statement without its line breaks, to be compared."""
    return " ".join(sql.split())


def _default(type_: str) -> str:
    """What a column holds in a row that was there before it."""
    found = re.search(r"DEFAULT (\S+)", type_)
    return found[1] if found else "NULL"


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log; the file remembers it.

    SQLite does not wait for other programs' locks here, so wait for the file to be free first.
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
