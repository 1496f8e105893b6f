"""The SQLite connection: opening, transactions, and errors a person understands."""

from __future__ import annotations

import errno
import functools
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from jarvis_trio.clock import Clock, SystemClock
from jarvis_trio.errors import StoreBusyError, StoreError, StoreFullError, StoreMissingError
from jarvis_trio.store import ladder

_ERRORS: dict[int, tuple[type[StoreError], str]] = {
    sqlite3.SQLITE_BUSY: (StoreBusyError, "another program keeps it locked; try again, or see who has it open"),
    sqlite3.SQLITE_LOCKED: (StoreBusyError, "another program keeps it locked; try again, or see who has it open"),
    sqlite3.SQLITE_FULL: (StoreFullError, "the disk is full; make room, what could not be written is kept until then"),
    sqlite3.SQLITE_READONLY: (StoreError, "it cannot be written; check the file's and its folder's permissions"),
    sqlite3.SQLITE_CANTOPEN: (StoreError, "it cannot be opened; check the file's and its folder's permissions"),
    sqlite3.SQLITE_NOTADB: (StoreError, "it is not a SQLite database; give the right MEMORY_DB_PATH"),
    sqlite3.SQLITE_CORRUPT: (StoreError, "it is damaged; stop the daemon and restore a backup of it"),
}

# Other programs' rows can hold text that is no UTF-8; by default reading one raises.
_TEXT = functools.partial(str, encoding="utf-8", errors="replace")


class Database:
    """One connection to the database, shared by the threads of this process.

    A lock serialises the threads, since SQLite has one writer anyway. Between
    processes SQLite's own lock decides; a writer waits for it up to `busy_timeout`.

    Args:
        path: the file; made, with mode 0600, where it is missing.
        clock: what the time is, for the columns that hold one.
        busy_timeout: how long a write waits for another process's lock.
        read_only: only look. Nothing is made, added or changed, each write is refused with
            StoreError, and a file that lacks our tables is shown as if it had them, empty.

    Raises:
        StoreError: the file cannot be used; it is left as it was. StoreMissingError where
            there is none to look at.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        clock: Clock | None = None,
        busy_timeout: timedelta = timedelta(seconds=90),
        read_only: bool = False,
    ) -> None:
        self.path = Path(path).absolute()  # a handler may change the current folder
        self.read_only = read_only
        self.clock: Clock = clock or SystemClock()
        self._busy_timeout = busy_timeout
        self._lock = threading.RLock()
        self._identity: tuple[int, int] | None = None
        self._connection = self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; a second call does nothing."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A write transaction: all of the block, or nothing of it.

        It takes the write lock at once (`BEGIN IMMEDIATE`): a lock taken later could
        fail half-way, where waiting no longer helps. Inside another transaction of the
        same thread it is a part of that one.

        Raises StoreBusyError, StoreFullError or StoreError; nothing is written then.
        """
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            self._begin()
            try:
                yield
                self._commit()
            except BaseException:
                self._roll_back()
                raise

    def _begin(self) -> None:
        self._execute("BEGIN IMMEDIATE")

    def _commit(self) -> None:
        self._execute("COMMIT")

    def write(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Execute one statement, in the thread's transaction or else in one of its own.

        Raises as `transaction` does, and sqlite3.IntegrityError.
        """
        with self._lock:
            if self._connection.in_transaction:
                return self._execute(sql, parameters)
            with self.transaction():
                return self._execute(sql, parameters)

    def write_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Execute one statement for each of `rows`, in one transaction. Raises as `write` does."""
        with self.transaction():
            for row in rows:
                self._execute(sql, row)

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """All rows of a query. Raises StoreError."""
        with self._lock:
            cursor = self._execute(sql, parameters)
            try:
                return cursor.fetchall()
            except sqlite3.DatabaseError as error:  # a damaged page shows only when it is read
                raise self._explained(error) from error

    def value(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """The first column of a query's first row; None where there is none. Raises StoreError."""
        rows = self.read(sql, parameters)
        return rows[0][0] if rows else None

    def write_marks(self) -> tuple[int, int]:
        """Two counters of which one changes with each write: of other connections, and of this one."""
        with self._lock:
            others: int = self._execute("PRAGMA data_version").fetchone()[0]
            return others, self._connection.total_changes

    def find_damage(self) -> str | None:
        """What SQLite's `integrity_check` finds first; None where the file is whole. Raises StoreError.

        It reads all of the file: about a second for 100 MB.
        """
        found = " ".join(self.value("PRAGMA integrity_check(1)").split())
        return None if found == "ok" else found

    def _execute(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        try:
            return self._connection.execute(sql, parameters)
        except sqlite3.IntegrityError:
            raise
        except sqlite3.DatabaseError as error:
            raise self._explained(error) from error

    def _roll_back(self) -> None:
        if self._connection.in_transaction:  # SQLite may have rolled back by itself, on a full disk for one
            self._execute("ROLLBACK")

    def ensure_same_file(self) -> bool:
        """Notice that the file was deleted or replaced under the open connection.

        SQLite would go on writing into the file that nobody can see any more. A
        replaced file is opened instead.

        Returns whether it is still the same file. Raises StoreMissingError where
        there is none, StoreError where the new one cannot be used.
        """
        try:
            status = os.stat(self.path)
        except OSError as error:
            raise StoreMissingError(f"Memory DB not found at {self.path} ({error.strerror}); put it back") from None
        if (status.st_dev, status.st_ino) == self._identity:
            return True
        with self._lock:
            self._leave_file()
            self._connection = self._open()
        return False

    def _leave_file(self) -> None:
        """Close the connection to a file that is gone from its place.

        Its log is emptied into it first: the log has kept its place, and SQLite would
        take it for the new file's.
        """
        if self._identity is None:  # done before, when the new file could not be used
            return
        if self._execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            raise StoreBusyError(f"{self.path} was replaced while another program has the old file open; close it")
        self._connection.close()
        self._identity = None

    def _open(self) -> sqlite3.Connection:
        if self.read_only and not os.path.lexists(self.path):
            raise StoreMissingError(f"Memory DB not found at {self.path}; make it with: jarvis-trio init")
        try:
            if not self.read_only:
                _create_private(self.path)
            _check_usable(self.path, os.R_OK if self.read_only else os.R_OK | os.W_OK)
        except OSError as error:
            raise StoreError(f"cannot use the database {self.path}: {error.strerror}") from None
        try:
            connection = self._connect()
        except sqlite3.DatabaseError as error:
            raise self._explained(error) from error
        status = os.stat(self.path)
        self._identity = (status.st_dev, status.st_ino)
        return connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._address(),
            uri=True,
            timeout=self._busy_timeout.total_seconds(),
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            connection.row_factory = sqlite3.Row
            connection.text_factory = _TEXT
            if self.read_only:
                ladder.stand_in(connection, self.path)
                connection.execute("PRAGMA query_only=ON")
            else:
                ladder.prepare(connection, self.path)
                _set_durability(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _address(self) -> str:
        """The file as SQLite's URI (sqlite.org/uri.html)."""
        return _read_only_uri(self.path) if self.read_only else self.path.as_uri()

    def _explained(self, error: sqlite3.DatabaseError) -> StoreError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        kind, mend = _ERRORS.get(code, (StoreError, "run `jarvis-trio doctor` to see more"))
        return kind(f"cannot use the database {self.path}: {error}: {mend}")


def _create_private(path: Path) -> None:
    """Make the file with mode 0600 where it is missing."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _check_usable(path: Path, access: int) -> None:
    """Refuse what is no plain file, or may not be used so.

    A file that is there is not opened: to close any descriptor of it would drop the
    locks of this process's other connections (sqlite.org/howtocorrupt.html, 2.2).
    """
    if not path.is_file():
        raise OSError(errno.EINVAL, "it is not a plain file; give the right MEMORY_DB_PATH")
    if not os.access(path, access):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _read_only_uri(path: Path) -> str:
    """How to open the file so that nothing on the disk changes (sqlite.org/uri.html).

    A reader of a database in WAL mode makes the log and its index where they are missing,
    and may not remove them. They are missing where no program has the file open; then
    nothing changes under us, and `immutable` does without them.
    """
    place = path.resolve()
    unused = not os.path.lexists(f"{place}-wal") and _is_in_wal_mode(place)
    return f"{place.as_uri()}?mode=ro{'&immutable=1' if unused else ''}"


def _is_in_wal_mode(path: Path) -> bool:
    # To be asked only where there is no log: then no connection of this process has locks to lose.
    with path.open("rb") as file:
        return file.read(20)[18:] == b"\2\2"  # sqlite.org/fileformat2.html, 1.3: write and read version


def _set_durability(connection: sqlite3.Connection) -> None:
    """A commit is on the disk when it returns.

    With NORMAL a power cut could take back a claim whose command has run, and the
    slot would run twice (law 2). FULL costs one fsync a commit; `fullfsync` is what
    macOS needs for fsync to reach the disk (fcntl(2), F_FULLFSYNC).
    """
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA fullfsync=ON")
