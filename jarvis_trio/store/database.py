"""One connection, shared by the threads of this process: transactions, and their parts.

Guarantees:

- A transaction is all of its block, or nothing of it, whatever ends it.
- After `close` everything raises StoreClosedError, whatever a thread is about to do.
- No statement of a block is ever written alone. If the database undoes a transaction by itself (a
  full disk, another program's trigger), what follows in the block is refused.

This code assumes that a block runs in one thread, and that its thread waits for nobody in it.

The races that it is made for:

1. Two threads each begin a transaction. SQLite has one writer anyway, so a lock lets one block
   follow the other; between processes the database's own lock decides.
2. A thread reads while another is in a block. It waits, since one connection would show it what
   is not committed.
3. A thread that outlived its time limit comes back after `close`. It finds a flag, and never the
   connection.
4. A block goes on after the database has undone its transaction. SQLite would take each further
   statement for one of its own and write it. The depth that we count ourselves tells.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Self

from jarvis_trio.clock import Clock, SystemClock
from jarvis_trio.errors import StoreClosedError, StoreError
from jarvis_trio.notation.instants import to_microseconds
from jarvis_trio.store.connection import Answer, Connection, Row
from jarvis_trio.store.places import Here
from jarvis_trio.store.sqlite import SqliteFile


class Database:
    """What every table stands on.

    Args:
        path: the SQLite file.
        clock: what the time is, for the columns that hold one, and for the engine.
        busy_timeout: how long a write waits for another process's lock.
        read_only: only look; see `SqliteFile`.
        connection: the database, if it is not to be that file opened as usual.
        machine: this machine, if several share the database, or its name: it runs what is
            to run here or anywhere.

    Raises StoreError if the database cannot be used.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        clock: Clock | None = None,
        busy_timeout: timedelta = timedelta(seconds=90),
        read_only: bool = False,
        connection: Connection | None = None,
        machine: Here | str | None = None,
    ) -> None:
        self.path = Path(path).absolute()  # a handler may change the current folder
        self.clock: Clock = clock or SystemClock()
        self.connection: Connection = connection or SqliteFile(
            self.path, busy_timeout=busy_timeout, read_only=read_only
        )
        self.here = Here(machine) if isinstance(machine, str) else machine
        self._lock = threading.RLock()
        self._depth = 0
        self._zone: tzinfo | None = None
        self._transaction = _Transaction(self)
        self._is_closed = False

    @property
    def machine(self) -> str | None:
        """The name of this machine, if several share the database."""
        return None if self.here is None else self.here.name

    @property
    def location(self) -> str:
        """Which database, for messages."""
        return self.connection.location

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; a second call does nothing."""
        with self._lock:
            self._is_closed = True
            self.connection.close()

    def transaction(self) -> AbstractContextManager[None]:
        """A write transaction: all of the block, or nothing of it.

        Inside another transaction of the same thread it is a part of that one.

        Raises StoreBusyError, StoreFullError or StoreError; nothing is written then.
        """
        return self._transaction

    def _end(self, *, succeeded: bool) -> None:
        try:
            if succeeded:
                self._check_open()
                self.connection.commit()
        except BaseException:
            self.connection.roll_back()
            raise
        if not succeeded:
            self.connection.roll_back()

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """A part of a transaction, undone alone if its block raises.

        Outside of a transaction it is a transaction.

        What was written before it stays, unless the database has undone the whole transaction.
        """
        with self._lock:
            if not self._depth:
                with self._transaction:
                    yield
                return
            name = f"part_{self._depth}"
            self._execute(f"SAVEPOINT {name}")
            try:
                with self._transaction:
                    yield
            except BaseException:
                if self.connection.in_transaction:
                    self._execute(f"ROLLBACK TO SAVEPOINT {name}")
                    self._execute(f"RELEASE SAVEPOINT {name}")
                raise
            self._execute(f"RELEASE SAVEPOINT {name}")

    def write(self, sql: str, parameters: Sequence[Any] = ()) -> Answer:
        """Execute one statement, in the thread's transaction or else in one of its own.

        Returns how many rows it changed (`count`), and the `rows` of its RETURNING. Raises as
        `transaction` does, and ConflictError if the database refuses a row.
        """
        with self._lock:
            if self._depth:
                return self._execute(sql, parameters)
            with self._transaction:
                return self._execute(sql, parameters)

    def insert(self, sql: str, parameters: Sequence[Any]) -> int | None:
        """Insert one row into a table whose rows are numbered, as `write` does.

        Returns its number; None if it was not inserted, as `ON CONFLICT ... DO NOTHING` wants it.
        """
        with self._transaction:
            self._check_open()
            return self.connection.insert(sql, parameters)

    def write_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Execute one statement for each of `rows`, in one transaction. Raises as `write` does."""
        with self.transaction():
            for row in rows:
                self._execute(sql, row)

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> Sequence[Row]:
        """All rows of a query. Raises StoreError."""
        with self._lock:
            return self._execute(sql, parameters).rows

    def value(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """The first column of a query's first row; None if there is none. Raises StoreError."""
        rows = self.read(sql, parameters)
        return rows[0][0] if rows else None

    def zone(self) -> tzinfo:
        """The machine's zone, by the clock. In a transaction it stands still."""
        zone = self._zone if self._depth else None
        if zone is None:
            zone = self._zone = self.clock.zone()
        return zone

    def keep_waits(self, table: str, now: datetime, back: timedelta, *, condition: str = "TRUE") -> None:
        """The clock was set back by `back` to `now` (aware UTC): what waits does not wait longer.

        `condition` says which rows of the table, by their column `due_at`, are meant.
        """
        at, step = to_microseconds(now), back // timedelta(microseconds=1)
        self.write(
            f"UPDATE {table} SET due_at = CASE WHEN due_at - ? > ? THEN due_at - ? ELSE ? END"
            f" WHERE {condition} AND due_at > ?",
            (step, at, step, at, at),
        )

    def write_marks(self) -> Hashable:
        """A value that changes with each write of anybody, other programs included."""
        with self._lock:
            self._require_open()
            return self.connection.marks()

    def others_write(self) -> bool:
        """Whether another program may be committing at this moment what can be read in a moment.

        Does not wait for it. Raises StoreError.
        """
        with self._lock:
            self._require_open()
            return not self._depth and self.connection.others_write()

    def look_after(self) -> Hashable | None:
        """Notice what happened to the database since the last call; call it before each tick.

        A file that was replaced is opened; tables that another program changed are put right, and
        that is told in the log. Returns the `write_marks` of now; None if the database had to be
        opened: another has taken its place, or it could not be used for a while. Raises
        StoreMissingError, StoreError.
        """
        with self._lock:
            self._require_open()
            return self.connection.look_after()

    def find_damage(self) -> str | None:
        """The first damage that is found, in one line; None if the database is whole.

        Raises StoreError.
        """
        with self._lock:
            self._require_open()
            return self.connection.find_damage()

    def _execute(self, sql: str, parameters: Sequence[Any] = ()) -> Answer:
        if self._is_closed or self._depth:
            self._require_open()
            self._check_open()
        return self.connection.execute(sql, parameters)

    def _require_open(self) -> None:
        if self._is_closed:
            raise StoreClosedError(f"the database {self.connection.location} is closed")

    def _check_open(self) -> None:
        if self._depth and not self.connection.in_transaction:
            raise StoreError(f"the transaction in {self.connection.location} was undone before it was done")


class _Transaction:
    """The block of `Database.transaction`: its own depth, and the lock for its thread.

    An interrupt of the main thread between two of its lines can leave the lock taken, so a process
    that goes on after one opens its database again; the ticks of a daemon are in other threads.

    One object serves all blocks, in each other too: a generator for each was a tenth of what a
    run costs beside its SQL.
    """

    __slots__ = ("_database",)

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> None:
        database = self._database
        database._lock.acquire()
        if not database._depth:
            try:
                database._require_open()
                database.connection.begin()
            except BaseException:
                try:
                    database.connection.roll_back()  # an interrupt can come when it has begun
                finally:
                    database._lock.release()
                raise
            database._zone = None
        database._depth += 1

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        database = self._database
        try:
            if database._depth == 1:
                database._end(succeeded=kind is None)
        finally:
            database._depth -= 1
            database._lock.release()
