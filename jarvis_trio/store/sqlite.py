"""The database as one SQLite file: opening it, looking after it, and errors in plain words.

Guarantees:

- What was committed is on the disk.
- One file is used under one name. A second name (a hard link, a file that is mounted somewhere
  else) has a log of its own, and two programs that use one name each would not see each other. What
  a name is refused for shows in the file (`files.second_name`) or in who has it open (`names`).
- A file that is replaced, or whose log is deleted, under the open connection is noticed at the
  next tick.

This code assumes that the file is on a local disk, whose locks work, and that no program closes a
descriptor of it in this process (sqlite.org/howtocorrupt.html, 2.2).

The races that it is made for:

1. Another program replaces the file. SQLite would go on writing into the old one, which nobody sees
   then. Its log is emptied into it, since a log keeps its place and SQLite would take it
   for the new file's; then the new file is opened.
2. Another program deletes the log's index (`memory.db-shm`), in which SQLite's locks lie. Whoever
   opens the database next makes an index of its own, and both would write at once. The database is
   opened again, with the index that the others have. Who comes before that is refused (`names`).
3. Another program deletes the log (`memory.db-wal`). We would write into a file without a name,
   and the next program that comes would make a log of its own. The log is emptied into the
   database, and both are opened again. If somebody has made a new log already, nothing can join
   the two: nothing more is written.
4. Another program makes the table of tasks again, as SQLite's own documentation tells it to
   (sqlite.org/lang_altertable.html, 7). Our triggers go with the old table. `schema_version`, which
   SQLite counts up with each such change, tells; what is missing is added.
5. It does so in several transactions, or dies in between. While the table has another name, nothing
   is made in its place and nothing runs; each tick says so.
"""

from __future__ import annotations

import functools
import logging
import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from jarvis_trio.errors import ConflictError, StoreBusyError, StoreError, StoreFullError, StoreMissingError
from jarvis_trio.permission import permission_fix
from jarvis_trio.store import ladder
from jarvis_trio.store.connection import Answer, Made, Row, Steps, Trace
from jarvis_trio.store.dialects import SqliteDialect, default_of, on_one_line
from jarvis_trio.store.files import (
    back_up,
    check_usable,
    create_private,
    file_uri,
    fix_of,
    identity,
    index_of,
    log_of,
    open_without_index,
    read_only_uri,
    require_file,
    second_name,
    several_names,
    used_by_two_names,
)
from jarvis_trio.store.names import index_was_deleted, one_process_opens, one_thread_opens, used_by_another_name
from jarvis_trio.store.schema import NUMBERED, STEPS, TASK_COLUMNS, shape

_LOCKED = (StoreBusyError, "another program keeps it locked", "try again, or see who has it open")
_PERMISSIONS = "check the file's and its folder's permissions"
_FULL = (StoreFullError, "the disk is full", "make room; a running daemon keeps what it could not write")
_ERRORS: dict[int, tuple[type[StoreError], str, str]] = {
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_IOERR_SHMSIZE: _FULL,  # no room for the index of the log (-shm)
    sqlite3.SQLITE_READONLY: (StoreError, "it cannot be written", _PERMISSIONS),
    sqlite3.SQLITE_CANTOPEN: (StoreError, "it cannot be opened", _PERMISSIONS),
    sqlite3.SQLITE_NOTADB: (StoreError, "it is not a SQLite database", "give the right MEMORY_DB_PATH"),
    sqlite3.SQLITE_CORRUPT: (StoreError, "it is damaged", "stop the daemon and restore a backup of it"),
}
_UNKNOWN = (StoreError, "", "run `jarvis-trio doctor` to see more")
# What another program's trigger can meet in one row: text that is not JSON, too large a number.
_ERRORS |= dict.fromkeys(
    (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG), (ConflictError, *_UNKNOWN[1:])
)
"""For each of SQLite's errors ours, what it means, and the fix."""

# Other programs' rows can hold text that is not UTF-8; by default reading one raises.
_TEXT = functools.partial(str, encoding="utf-8", errors="replace")

_HIGHEST = 2**63 - 1
"""The highest number of a row. If one has it, SQLite calls the disk full at every further row."""

_DATA_VERSION = "PRAGMA data_version"
_logger = logging.getLogger(__name__)


class SqliteFile:
    """One connection to a SQLite file.

    Args:
        path: the file; made, with mode 0600, if it is missing.
        busy_timeout: how long a write waits for another process's lock.
        read_only: only look. Nothing is made, added or changed, each write is refused with
            StoreError, and a file that lacks our tables is shown as if it had them, empty.
        log_limit_bytes: the size to which the log (`-wal`) is cut when it starts again.
        in_memory: keep it in the memory of this process, for simulations: to write the file's
            pages is a quarter of a simulated year. The connections of the process share such a
            database by its name (sqlite.org/src/file/src/memdb.c). An older SQLite uses the file.
        steps: what the tables are to be.

    Raises StoreError if the file cannot be used, and leaves it as it was; StoreMissingError if
    there is none to look at.
    """

    dialect = SqliteDialect()

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        busy_timeout: timedelta = timedelta(seconds=90),
        read_only: bool = False,
        log_limit_bytes: int = 16_000_000,
        in_memory: bool = False,
        steps: Steps = STEPS,
    ) -> None:
        self.path = Path(path).absolute()  # a handler may change the current folder
        self.location = str(self.path)
        self.trace: Trace | None = None
        self._busy_timeout = busy_timeout
        self._read_only = read_only
        self._log_limit = log_limit_bytes
        self._in_memory = in_memory and sqlite3.sqlite_version_info >= (3, 36)
        self._steps = steps
        self._file: tuple[int, int] | None = None
        self._is_open = False
        self._log_name = self._index_name = ""
        self._log: tuple[int, int] | None = None
        self._index: tuple[int, int] | None = None
        self._schema = 0
        self._others_writes = 0
        self._told_names = 0
        self.sqlite = self._open()
        """Python's own connection, for what only SQLite has. No module above this one needs it."""

    @property
    def in_transaction(self) -> bool:
        try:
            return self.sqlite.in_transaction
        except sqlite3.ProgrammingError:  # it is closed
            return False

    def begin(self) -> None:
        """Take the write lock at once: later, half-way, waiting for it would not help."""
        self.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        self.execute("COMMIT")

    def roll_back(self) -> None:
        if self.in_transaction:  # SQLite may have rolled back by itself, on a full disk for one
            self.execute("ROLLBACK")

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Answer:
        cursor, rows = self._executed(sql, parameters)
        return Answer(rows, cursor.rowcount)

    def insert(self, sql: str, parameters: Sequence[Any]) -> int | None:
        # Not by RETURNING: that takes as long again as the row with its indexes.
        cursor, _ = self._executed(sql, parameters)
        return cursor.lastrowid if cursor.rowcount else None

    def _executed(self, sql: str, parameters: Sequence[Any]) -> tuple[sqlite3.Cursor, Sequence[sqlite3.Row]]:
        if self.trace is not None:
            self.trace(sql, parameters)
        try:
            cursor = self.sqlite.execute(sql, parameters)
            return cursor, cursor.fetchall() if cursor.description else ()  # a damaged page shows when it is read
        except sqlite3.IntegrityError as error:
            raise _conflict(self.location, error) from error
        except sqlite3.DatabaseError as error:
            raise self._explained(error) from error

    def marks(self) -> tuple[int, int]:
        """Two counters: one changes with each write of others, the other with each of ours."""
        return self._data_version(), self.sqlite.total_changes

    def _data_version(self) -> int:
        # Not by `execute`: an idle tick reads no more than this, and wrapping was half its cost.
        if self.trace is not None:
            self.trace(_DATA_VERSION, ())
        try:
            found: int = self.sqlite.execute(_DATA_VERSION).fetchone()[0]
        except sqlite3.DatabaseError as error:
            raise self._explained(error) from error
        return found

    def others_write(self) -> bool:
        # Whoever has written frames to the log, and has not told yet that they are there, holds
        # the write lock. To try it takes no disk.
        if self._in_memory or self._read_only:
            return False
        self.execute("PRAGMA busy_timeout=0")
        try:
            self.sqlite.execute("BEGIN IMMEDIATE")
            self.sqlite.execute("ROLLBACK")
        except sqlite3.DatabaseError as error:
            return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
        finally:
            self.sqlite.execute(f"PRAGMA busy_timeout={self._busy_timeout // timedelta(milliseconds=1)}")
        return False

    def hold(self, owner: str, machine: str, beat: timedelta) -> None:
        """Nothing: a file belongs to one machine."""

    def is_held(self, owner: str) -> bool:
        return False

    def find_damage(self) -> str | None:
        """What SQLite's `integrity_check` finds first.

        It reads all of the file: about a second for 100 MB.
        """
        found = on_one_line(self.execute("PRAGMA integrity_check(1)").rows[0][0])
        return None if found == "ok" else found

    def beyond_repair(self) -> StoreError | None:
        """Why the tables cannot be put right, so that nothing runs; None if they can."""
        wanted = shape(self._steps)
        for row in self.execute("SELECT lower(name) FROM main.sqlite_master WHERE type = 'view' ORDER BY 1").rows:
            if row[0] in wanted.tables:
                says = f"another program has put a view in place of the table {row[0]}: nothing can run"
                return StoreError(says, fix="make it a table again, or restore a backup")
        return ladder.beyond_repair(self, ladder.look(self, self._steps), wanted)

    def renumber(self, table: str) -> None:
        """SQLite does so by itself."""

    def watch(self) -> None:
        """Others' writes show in the file and its log."""

    def made(self) -> Made:
        known = shape(self._steps).tables
        items = self.execute("SELECT type, lower(name), sql FROM main.sqlite_master").rows
        # By name, since to look into a table of others can need a module that only they have.
        infos = {row[1]: self._info(row[1]) for row in items if row[0] == "table" and row[1] in known}
        tables = {name: {str(row["name"]).lower() for row in info} for name, info in infos.items()}
        indexes = {row[1] for row in items if row[0] == "index"}
        triggers = {row[1]: on_one_line(row[2]) for row in items if row[0] == "trigger"}
        keys = {name: self._keys(name, info) for name, info in infos.items()}
        is_there = any(name == "scheduled_tasks" for _, name, _ in items)  # as a view too
        return Made(tables, indexes, triggers, keys, None if is_there else self.lookalike())

    def lookalike(self) -> str | None:
        """The table of another name that has the columns of the one of tasks; None if none has.

        Of several, the one that has our triggers: they go with a table that is renamed.
        """
        names = self.execute(
            "SELECT name FROM main.sqlite_master AS t WHERE type = 'table' AND lower(name) <> 'scheduled_tasks'"
            " AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY NOT EXISTS (SELECT 1 FROM main.sqlite_master"
            " WHERE type = 'trigger' AND name LIKE 'jarvis_task_%' AND tbl_name = t.name), name"
        ).rows
        return next((row[0] for row in names if self._columns(row[0]) >= TASK_COLUMNS), None)

    def _columns(self, table: str) -> set[str]:
        return {row[0] for row in self.execute("SELECT lower(name) FROM pragma_table_info(?)", (table,)).rows}

    def _info(self, table: str) -> Sequence[Row]:
        return self.execute(f"PRAGMA main.table_info({table})").rows

    def _keys(self, table: str, info: Sequence[Row]) -> list[tuple[str, ...]]:
        primary = sorted((row["pk"], str(row["name"]).lower()) for row in info if row["pk"])
        keys = [tuple(name for _, name in primary)]
        for index in self.execute(f"PRAGMA main.index_list({table})").rows:
            if index["unique"] and not index["partial"]:
                columns = self.execute(f"PRAGMA main.index_info('{index['name']}')").rows
                keys.append(tuple(str(row["name"]).lower() for row in columns))
        return keys

    def close(self) -> None:
        self.sqlite.close()

    # What can happen to the file while it is open.

    def look_after(self) -> tuple[int, int] | None:
        if self._in_memory:  # nobody replaces what lies in memory
            return self.marks()
        try:
            status = os.stat(self.location)
        except OSError as error:
            says = f"Memory DB not found at {self.path} ({error.strerror})"
            raise StoreMissingError(says, fix=permission_fix(self.path, error, "put it back")) from None
        if not self._is_open or (status.st_dev, status.st_ino) != self._file:
            self._open_again(was_replaced=(status.st_dev, status.st_ino) != self._file)
            return None
        if self._read_only:
            return self.marks()
        self._tell_of_names(status)
        if not (self._keep_log() and self._keep_index()):
            return None
        return self._keep_tables(), self.sqlite.total_changes

    def _open_again(self, *, was_replaced: bool) -> None:
        """Open the file that is there now. If that is refused, each further look tries it."""
        if self._is_open:  # it is closed already if the file could not be used for a while
            self._empty_log(f"{self.path} was replaced while another program has the old file open")
            self._close()
        self.sqlite = self._open()
        if was_replaced:
            _logger.warning("The database %s was replaced; the new one is used", self.location)

    def _empty_log(self, says: str) -> None:
        if self.execute("PRAGMA wal_checkpoint(TRUNCATE)").rows[0][0]:
            raise StoreBusyError(says, fix="close it")

    def _tell_of_names(self, status: os.stat_result) -> None:
        """Tell once of a second name of the open file. Nobody else can open it then."""
        if status.st_nlink > 1 and status.st_nlink != self._told_names:
            _logger.error("%s", several_names(self.path, status.st_nlink))
        self._told_names = status.st_nlink

    def _keep_log(self) -> bool:
        """See that the log is the one that was open.

        Returns False if the file had to be opened again.
        """
        found = identity(self._log_name)
        if self._log is None or found == self._log:
            self._log = found
            return True
        if found is not None:
            says = f"the log {self._log_name} was exchanged under the open database"
            raise StoreError(says, fix="end every program that uses it, then start them again")
        self._empty_log(f"the log of {self.path} was deleted while another program reads it")
        self._reopen()
        _logger.error("The log %s was deleted under the open database; nothing is lost", self._log_name)
        return False

    def _reopen(self) -> None:
        """Open the same file again. If that is refused now, each further look tries it."""
        self._close()
        self.sqlite = self._open()

    def _close(self) -> None:
        self._is_open = False
        self.sqlite.close()

    def _keep_index(self) -> bool:
        """See that the log's index is the one that others use, since the locks lie in it.

        Returns False if the file had to be opened again.
        """
        found = identity(self._index_name)
        if self._index is None or found == self._index:
            self._index = found
            return True
        what = "deleted" if found is None else "exchanged"
        _logger.error("The index %s was %s under the open database; run `jarvis-trio doctor`", self._index_name, what)
        self._reopen()
        return False

    def _keep_tables(self) -> int:
        """Add what another program took away of the tables; see that rows can still be numbered.

        Only if others have written. Returns the counter of their writes.
        """
        if (writes := self._data_version()) == self._others_writes:
            return writes
        if self._schema_version() != self._schema:
            found = ladder.look(self, self._steps)
            words = ladder.missing(self, found, self._steps)
            if words:
                self._climb(found, copy=bool(found.keyless(shape(self._steps))))
                _logger.warning(
                    "Another program changed the tables of %s; added again: %s", self.location, ", ".join(words)
                )
            self._schema = self._schema_version()
        self._free_numbers()
        self._others_writes = writes
        return writes

    def _schema_version(self) -> int:
        return int(self.execute("PRAGMA schema_version").rows[0][0])

    def _free_numbers(self) -> None:
        """Renumber a row of ours that has the highest number there is: none could follow it."""
        for table in self._used_up():
            self.begin()
            try:
                self.execute(
                    f"UPDATE {table} SET id = (SELECT coalesce(max(id), 0) + 1 FROM {table} WHERE id < ?) WHERE id = ?",
                    (_HIGHEST // 2, _HIGHEST),
                )
                self.execute(
                    f"UPDATE sqlite_sequence SET seq = (SELECT coalesce(max(id), 0) FROM {table}) WHERE name = ?",
                    (table,),
                )
                self.commit()
            except BaseException:
                self.roll_back()
                raise
            _logger.warning("A row of %s bore the highest number there is, and was given the next free one", table)

    def _used_up(self) -> list[str]:
        ours = {
            name
            for name, table in shape(self._steps).tables.items()
            if table.columns.get("id") == NUMBERED and not table.theirs
        }
        found = self.execute("SELECT name FROM main.sqlite_sequence WHERE seq = ?", (_HIGHEST,)).rows
        noted = {row[0] for row in found}  # an UPDATE of a row's number is not noted there
        query = "SELECT 1 FROM {} WHERE id = ?"
        return [name for name in ours if name in noted or self.execute(query.format(name), (_HIGHEST,)).rows]

    # Opening.

    def _open(self) -> sqlite3.Connection:
        if self._read_only:
            require_file(self.path)
        try:
            if not self._read_only:
                create_private(self.path)
            check_usable(self.path, os.R_OK if self._read_only else os.R_OK | os.W_OK)
        except OSError as error:
            raise StoreError(
                f"cannot use the database {self.path}: {error.strerror}", fix=fix_of(self.path, error)
            ) from None
        if not self._read_only and (problem := second_name(self.path)) is not None:
            raise problem
        try:
            return self._connect()
        except sqlite3.IntegrityError as error:
            raise _conflict(self.location, error) from error
        except sqlite3.DatabaseError as error:
            raise self._explained(error) from error

    def _connect(self) -> sqlite3.Connection:
        self.sqlite = self._connected()
        try:
            self.sqlite.row_factory = sqlite3.Row
            self.sqlite.text_factory = _TEXT
            if self._read_only:
                self._stand_in()
                self.sqlite.execute("PRAGMA query_only=ON")
            else:
                self._prepare()
                self._set_durability()
        except BaseException:
            self.sqlite.close()
            raise
        self._file, self._is_open = identity(self.path), True
        self._log_name = str(log_of(self.path))  # once: to follow links costs more than an idle tick
        self._index_name = str(index_of(self.path))
        self._log, self._index = identity(self._log_name), identity(self._index_name)
        return self.sqlite

    def _connected(self) -> sqlite3.Connection:
        with one_thread_opens():
            connection = sqlite3.connect(
                self._address(),
                uri=True,
                timeout=self._busy_timeout.total_seconds(),
                isolation_level=None,
                check_same_thread=False,
            )
            try:
                if not self._read_only and not self._in_memory:
                    self._look_at_others(connection)
            except BaseException:
                connection.close()
                raise
        return connection

    def _look_at_others(self, connection: sqlite3.Connection) -> None:
        """Refuse a file that others have open by another name, or with an index that is gone."""
        with one_process_opens(self.path):
            if used_by_another_name(self.path):
                raise used_by_two_names(self.path)
            if index_was_deleted(self.path, index_of(self.path)):
                raise open_without_index(self.path)
            connection.execute("PRAGMA schema_version").fetchone()  # the first read makes the index

    def _address(self) -> str:
        """The file as SQLite's URI (sqlite.org/uri.html)."""
        if self._read_only:
            return read_only_uri(self.path)
        return file_uri(self.path) + ("?vfs=memdb" if self._in_memory else "")

    def _prepare(self) -> None:
        """Take a new, an assistant's or an older file up to the last step.

        A copy of a file that holds somebody's tasks is made first.
        """
        found = ladder.look(self, self._steps)
        if ladder.missing(self, found, self._steps):
            self._climb(found, copy="scheduled_tasks" in found.made.tables and not found.half_way)
        self._use_log()  # whatever the version: a copy that VACUUM INTO made is in another mode
        self._free_numbers()
        self._schema, self._others_writes = self._schema_version(), self._data_version()

    def _climb(self, found: ladder.Found, *, copy: bool) -> None:
        """Take the file up, after a copy if one is wanted."""
        kept = back_up(self.sqlite, self.path, lambda: self._is_as(found)) if copy else None
        if kept is not None:
            _logger.info("Adding our tables to %s; a copy as it was is at %s", self.path, kept)
        try:
            ladder.climb(self, self._steps)
        except StoreError:
            if kept is not None:
                self._drop(kept, found)
            raise

    def _drop(self, copy: Path, found: ladder.Found) -> None:
        """Remove a copy of a file that stayed as it was.

        A daemon that cannot go up is started again and again, and would fill the disk with them.
        """
        with suppress(StoreError):
            if self._is_as(found):
                copy.unlink(missing_ok=True)
                _logger.info("%s is as it was, so the copy is removed", self.path)

    def _is_as(self, found: ladder.Found) -> bool:
        """Whether nobody has taken a step since; if so, a copy of now is one from before."""
        return ladder.look(self, self._steps).version == found.version

    def _stand_in(self) -> None:
        """Read a file that lacks something of ours as if it were complete; it stays as it is.

        What is missing is made, empty, in the connection's own temporary schema, whose names are
        looked up first (sqlite.org/lang_naming.html).
        """
        found = ladder.look(self, self._steps)
        if not ladder.missing(self, found, self._steps):
            return
        ladder.refuse_renamed(self, found)

        self.execute("PRAGMA temp_store=MEMORY")
        for name, table in shape(self._steps).tables.items():
            if name not in found.made.tables:
                self.execute(self.dialect.make_table(name, table).replace("CREATE TABLE", "CREATE TEMP TABLE", 1))
            elif absent := found.absent(name, table):
                columns = ", ".join(f"{default_of(table.columns[column])} AS {column}" for column in absent)
                self.execute(f"CREATE TEMP VIEW {name} AS SELECT *, {columns} FROM main.{name}")

    def _use_log(self) -> None:
        """Switch to the write-ahead log; the file remembers it.

        SQLite does not wait for other programs' locks here, so wait for the file to be free first.
        """
        while True:
            with suppress(StoreBusyError):
                self.execute("PRAGMA journal_mode=WAL")
                return
            self.execute("BEGIN EXCLUSIVE")
            self.execute("ROLLBACK")

    def _set_durability(self) -> None:
        """A commit is on the disk when it returns.

        With NORMAL a power cut could take back a claim whose command has run, and the slot would
        run twice (law 2). FULL costs one fsync a commit; `fullfsync` is what macOS needs for
        fsync to reach the disk (fcntl(2), F_FULLFSYNC). Without a limit the log keeps the size
        that a long reader has once made it grow to.
        """
        self.execute("PRAGMA synchronous=FULL")
        self.execute("PRAGMA fullfsync=ON")
        self.execute(f"PRAGMA journal_size_limit={self._log_limit}")

    def _explained(self, error: sqlite3.DatabaseError) -> StoreError:
        code = getattr(error, "sqlite_errorcode", 0)
        kind, meaning, fix = _ERRORS.get(code) or _ERRORS.get(code & 0xFF, _UNKNOWN)
        says = [f"cannot use the database {self.location}", on_one_line(str(error)), meaning]
        return kind(": ".join(filter(None, says)), fix=fix)


def _conflict(place: str, error: sqlite3.IntegrityError) -> ConflictError:
    duplicate = error.sqlite_errorcode in (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
    return ConflictError(f"the database {place} refuses a row: {on_one_line(str(error))}", duplicate=duplicate)
