"""The database on a PostgreSQL server, which several machines share.

Guarantees, besides those of any connection:

- One program at a time writes: a transaction begins with an advisory lock of the whole store. So
  whatever was decided in it was decided on rows that nobody else changes, as in SQLite.
- What was committed is on the server's disk (`synchronous_commit`), whatever the server says.
- The unique index on a slot and the one on live runs are the last word, as they are in SQLite.

This code assumes that a session is ours from its beginning to its end. A pooler that gives each
transaction another session (PgBouncer in transaction mode) breaks that; it is found at the start.

The races that it is made for:

1. Two machines claim one slot. The second one waits for the lock, then sees the first one's row.
2. The connection breaks in a transaction. The server undoes it, and its lock goes with it. If a
   COMMIT got no answer, StoreUnsureError says that. What counts is found by reading: an outcome
   that is recorded is not recorded again, and a claim that is there is given up.
3. A machine is cut off, or stands still, during a transaction, and keeps the lock. The server ends
   its session after 20 s, or 30 s, which undoes the transaction.
4. The server restarts under a daemon. Statements fail until a tick has connected again; what could
   not be written is kept by the engine, as with a full disk.
5. Another program takes a table, a column or a trigger away. A server has no counter of that, as
   SQLite has: a statement that misses something tells it, and of what no statement would miss (a
   trigger, an index) a look each minute.
"""

from __future__ import annotations

import functools
import logging
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

import psycopg
from psycopg import errors, pq

from jarvis_trio.clock import SharedClock, SystemClock
from jarvis_trio.errors import (
    ConflictError,
    ScheduleError,
    StoreBusyError,
    StoreError,
    StoreFullError,
    StoreMissingError,
    StoreUnsureError,
)
from jarvis_trio.notation.instants import parse_zone
from jarvis_trio.store import ladder
from jarvis_trio.store.connection import Answer, Made, Steps, Trace
from jarvis_trio.store.dialects import PostgresDialect, on_one_line
from jarvis_trio.store.news import CHANNEL, ServerWatch
from jarvis_trio.store.presence import IS_FREE, ServerPresence, notice_the_end
from jarvis_trio.store.schema import STEPS, shape

OLDEST_SERVER = 14
"""The oldest major version of a server that is accepted; 15 is what was tried."""

_LOCK = 0x6A61_7276
"""The advisory lock of a writer. Its second number tells the schemas of a database apart."""

_BEAT_SECONDS = 5
"""A machine that says nothing for four times this long is cut off, to itself and to the server."""

_MOST_IDLE_MILLISECONDS = 30_000
"""How long a machine may do nothing during a transaction, which keeps all others from writing.

One that stands still does that; the cable of one that is cut off is known to be dead sooner.
"""

_CHECKS_TABLES_EVERY_SECONDS = 60.0

_PUTS_BACK_WITHIN_MILLISECONDS = 2_000
"""How long what is missing may wait for the lock of a table: all machines wait for it meanwhile."""

_MISSED = (errors.UndefinedTable, errors.UndefinedColumn, errors.UndefinedFunction)
_REFUSED = (psycopg.IntegrityError, errors.RaiseException)
_IDLE = pq.TransactionStatus.IDLE
_FAILED = pq.TransactionStatus.INERROR
_logger = logging.getLogger(__name__)


class Row:
    """A row, whose values are found by the column's name or by its place."""

    __slots__ = ("_places", "_values")

    def __init__(self, places: dict[str, int], values: Sequence[Any]) -> None:
        self._places = places
        self._values = values

    def __getitem__(self, key: int | str, /) -> Any:
        return self._values[key if isinstance(key, int) else self._places[key]]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def keys(self) -> list[str]:
        """The columns' names."""
        return list(self._places)


def _rows_of(cursor: psycopg.Cursor[Any]) -> Any:
    places = {column.name: place for place, column in enumerate(cursor.description or ())}
    return functools.partial(Row, places)


class PostgresDatabase:
    """One session of a PostgreSQL server, in the schema that the address puts first on its path.

    Args:
        address: `postgresql://user@host/database?...`, as libpq takes it. The password comes
            from `~/.pgpass`, a service file or PGPASSWORD; it is never shown.
        busy_timeout: how long a write waits for another one's lock.
        read_only: only look; each write is refused with StoreError.
        create: whether tables are made if there are none of ours.
        connect_timeout: how long the server may take to answer at the start.
        steps: what the tables are to be.
        oldest_server: the oldest major version of the server that is accepted.

    Raises StoreError in one line if the server cannot be used, and StoreMissingError if there
    are no tables of ours that may be used or made.
    """

    dialect = PostgresDialect()

    def __init__(
        self,
        address: str,
        *,
        busy_timeout: timedelta = timedelta(seconds=90),
        read_only: bool = False,
        create: bool = True,
        connect_timeout: timedelta = timedelta(seconds=10),
        steps: Steps = STEPS,
        oldest_server: int = OLDEST_SERVER,
    ) -> None:
        self._address = address
        self._busy_timeout = busy_timeout
        self._read_only = read_only
        self._create = create and not read_only
        self._connect_timeout = connect_timeout
        self._steps = steps
        self._oldest_server = oldest_server
        self.location = _location_of(address)
        self.trace: Trace | None = None
        self._wrote = False
        self._misses_something = False
        self._checked_at = 0.0
        self._could_not = ""
        self.clock = SharedClock()
        """What the server's clock says, carried on by this machine's steady one."""
        self._session = self._open()

    @property
    def in_transaction(self) -> bool:
        return self._session.info.transaction_status != _IDLE

    def begin(self) -> None:
        """Begin, and wait for the lock of the store; the server's clock comes along."""
        self._run("BEGIN")
        self._wrote = False
        try:
            self._correct_clock(self._run(_TAKE_LOCK.format(lock=_LOCK)).rows[0][0])
        except BaseException:
            self.roll_back()
            raise

    def commit(self) -> None:
        """End the transaction. If the server has given it up, that is an error."""
        if self._session.info.transaction_status == _FAILED:
            self.roll_back()
            raise StoreError(f"the transaction in {self.location} was undone before it was done")
        # Who listens hears of it with the commit. Of a transaction that wrote nothing nobody does:
        # two machines that look at each other's looks would never come to rest.
        try:
            self._run(f"NOTIFY {CHANNEL}; COMMIT" if self._wrote else "COMMIT", prepare=False)
        except StoreError as error:
            if self._session.closed:
                raise StoreUnsureError(error.says, fix=error.fix) from error
            raise

    def roll_back(self) -> None:
        if not self._session.closed and self.in_transaction:
            self._run("ROLLBACK")

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Answer:
        answer = self._run(_translated(sql), [_value(value) for value in parameters] or None)
        self._wrote = self._wrote or (answer.count > 0 and not sql.lstrip().startswith("SELECT"))
        return answer

    def insert(self, sql: str, parameters: Sequence[Any]) -> int | None:
        rows = self.execute(f"{sql} RETURNING id", parameters).rows
        return int(rows[0][0]) if rows else None

    def _run(self, text: str, parameters: Sequence[Any] | None = None, *, prepare: bool | None = None) -> Answer:
        if self.trace is not None:
            self.trace(text, parameters or ())
        try:
            cursor = self._session.execute(text.encode(), parameters, prepare=prepare)
            return Answer(cursor.fetchall() if cursor.description else [], cursor.rowcount)
        except _REFUSED as error:
            duplicate = isinstance(error, errors.UniqueViolation)
            says = f"the database {self.location} refuses a row: {_first_line(error)}"
            raise ConflictError(says, duplicate=duplicate) from error
        except psycopg.Error as error:
            self._misses_something = self._misses_something or isinstance(error, _MISSED)
            raise self._explained(error) from error

    def marks(self) -> str:
        """The server's snapshot: it changes when a transaction that wrote ends."""
        return str(self._run("SELECT pg_current_snapshot()::text").rows[0][0])

    def others_write(self) -> bool:
        return False  # a notification comes after its commit

    def look_after(self) -> str:
        if self._session.closed or self._session.broken:
            self._session = self._open()
        elif self._misses_something or time.monotonic() - self._checked_at > _CHECKS_TABLES_EVERY_SECONDS:
            self._keep_tables()
        return self.marks()

    def _keep_tables(self) -> None:
        """Add what another program took away of the tables.

        If that cannot be done (they belong to another user, or somebody keeps one locked), what
        needs it fails by itself, and the rest goes on.
        """
        words = ladder.missing(self, ladder.look(self, self._steps), self._steps)
        self._misses_something, self._checked_at = False, time.monotonic()  # a newer schema is refused at each look
        if not words or self._read_only:
            return
        try:
            self._put_back()
        except StoreError as error:
            if self._session.closed:
                raise
            if self._could_not != str(error):
                _logger.error("Missing in the tables of %s: %s. %s", self.location, ", ".join(words), error)
            self._could_not = str(error)
            return
        _logger.warning("Another program changed the tables of %s; added again: %s", self.location, ", ".join(words))

    def _put_back(self) -> None:
        self._run(f"SET lock_timeout = {_PUTS_BACK_WITHIN_MILLISECONDS}")
        try:
            ladder.climb(self, self._steps)
        finally:
            if not self._session.closed:
                self._set_session()

    def find_damage(self) -> None:
        """The server looks after its own files."""

    def renumber(self, table: str) -> None:
        self._run(
            f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), coalesce(max(id), 0) + 1, false) FROM {table}"
        )

    def made(self) -> Made:
        known = shape(self._steps).tables
        tables: dict[str, set[str]] = {}
        for row in self._run(_COLUMNS).rows:
            if row[0] in known:
                tables.setdefault(row[0], set()).add(row[1])
        indexes = {row[0] for row in self._run(_INDEXES).rows}
        return Made(tables, indexes, {row[0]: row[1] for row in self._run(_TRIGGERS).rows})

    def watch(self) -> ServerWatch:
        """Listens to what other machines write."""
        connect = functools.partial(psycopg.connect, self._address, autocommit=True, **self._options())
        return ServerWatch(connect, lambda number: number == self._session.info.backend_pid)

    def hold(self, owner: str, machine: str, beat: timedelta) -> ServerPresence:
        """A session of its own, since this one can wait for another machine's transaction."""
        seconds = max(int(beat.total_seconds()), 1)
        options = {**self._options(), **_dead_after(seconds)}
        connect = functools.partial(psycopg.connect, self._address, autocommit=True, **options)
        return ServerPresence(connect, owner, machine, seconds)

    def is_held(self, owner: str) -> bool:
        return not self._run(IS_FREE, (owner,)).rows[0][0]

    def close(self) -> None:
        self._session.close()

    def _open(self) -> psycopg.Connection[Any]:
        try:
            session = psycopg.connect(self._address, autocommit=True, row_factory=_rows_of, **self._options())
        except (psycopg.Error, UnicodeError) as error:
            raise _unreachable(self.location, str(error).replace(self._address, "...")) from None
        self._session = session
        try:
            self._check_server()
            self._set_session()
            self._prepare()
        except BaseException:
            session.close()
            raise
        return session

    def _options(self) -> dict[str, Any]:
        """What makes a dead cable known after about 20 s. The address itself may say otherwise."""
        ours = {
            "application_name": "jarvis-trio",
            "client_encoding": "UTF8",
            "connect_timeout": max(int(self._connect_timeout.total_seconds()), 2),
            **_dead_after(_BEAT_SECONDS),
        }
        return {name: value for name, value in ours.items() if name not in _parts_of(self._address)}

    def _check_server(self) -> None:
        found = self._session.info.server_version // 10_000
        if found < self._oldest_server:
            says = f"the server of {self.location} is PostgreSQL {found}"
            raise StoreError(says, fix=f"use PostgreSQL {self._oldest_server} or newer")
        row = self._run("SELECT current_setting('server_encoding'), current_schema(), clock_timestamp()").rows[0]
        if row[0] != "UTF8":
            says = f"the database {self.location} has the encoding {row[0]}"
            raise StoreError(says, fix="make one with: createdb --encoding=UTF8 --template=template0 NAME")
        if row[1] is None:
            raise StoreError(
                f"the database {self.location} has no schema on its search path", fix="CREATE SCHEMA public"
            )
        self._correct_clock(row[2])
        self._check_session()

    def _check_session(self) -> None:
        """Refuse a pooler that gives each transaction another session.

        A pooler makes up the process number that it tells its clients. If there is one, a second
        client is asked for its number on the server: only such a pooler gives it ours.
        """
        ours = self._run("SELECT pg_backend_pid()").rows[0][0]
        if ours == self._session.info.backend_pid:
            return
        with psycopg.connect(self._address, autocommit=True, **self._options()) as second:
            theirs = second.execute("SELECT pg_backend_pid()").fetchone()
        if theirs is not None and theirs[0] == ours:
            says = f"{self.location} is a pooler that gives each transaction another session"
            raise StoreError(says, fix="name the server itself, or a pool in session mode")

    def _set_session(self) -> None:
        wait = max(int(self._busy_timeout.total_seconds() * 1000), 1)
        self._run(
            f"SET synchronous_commit = on; SET lock_timeout = {wait}; SET TimeZone = 'UTC';"
            f" SET idle_in_transaction_session_timeout = {_MOST_IDLE_MILLISECONDS}; {notice_the_end(_BEAT_SECONDS)}"
        )

    def _prepare(self) -> None:
        found = ladder.look(self, self._steps)
        if not self._create and (found.version == 0 or (self._read_only and ladder.missing(self, found, self._steps))):
            raise StoreMissingError(f"Memory DB not found at {self.location}", fix="make it with: jarvis-trio init")
        if self._read_only:
            self._run("SET SESSION default_transaction_read_only = on")
        elif ladder.missing(self, found, self._steps):
            ladder.climb(self, self._steps)
        self._misses_something, self._checked_at = False, time.monotonic()
        self._take_zone()

    def _take_zone(self) -> None:
        """Read tasks in the zone of the store: of the machine that was first, for all machines."""
        rows = self._run("SELECT value FROM jarvis_meta WHERE key = 'shared_zone'").rows
        if not rows and not self._read_only:
            self.execute(
                "INSERT INTO jarvis_meta (key, value) VALUES ('shared_zone', ?) ON CONFLICT (key) DO NOTHING",
                (str(SystemClock().zone()),),
            )
            rows = self._run("SELECT value FROM jarvis_meta WHERE key = 'shared_zone'").rows
        with suppress(ScheduleError):  # a zone that only a file on that machine describes
            self.clock.set_zone(parse_zone(rows[0][0]) if rows else UTC)

    def _correct_clock(self, now: datetime) -> None:
        self.clock.correct(now.astimezone(UTC))

    def _explained(self, error: psycopg.Error) -> StoreError:
        kind, meaning, fix = _meaning(error)
        says = [f"cannot use the database {self.location}", _first_line(error), meaning]
        return kind(": ".join(filter(None, says)), fix=fix)


def _dead_after(beat_seconds: int) -> dict[str, int]:
    """How this machine notices after four beats that the server is gone; see `notice_the_end`."""
    return {
        "keepalives_idle": beat_seconds,
        "keepalives_interval": beat_seconds,
        "keepalives_count": 3,
        "tcp_user_timeout": 4000 * beat_seconds,
    }


_TAKE_LOCK = "SELECT clock_timestamp() FROM pg_advisory_xact_lock({lock}, hashtext(current_schema()))"
# Not `information_schema`: tables that this user may not read would look missing.
_COLUMNS = (
    "SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
    " WHERE c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace"
    " AND a.attnum > 0 AND NOT a.attisdropped"
)
_INDEXES = "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()"
_TRIGGERS = (
    "SELECT t.tgname, coalesce(obj_description(t.oid, 'pg_trigger'), '') FROM pg_trigger t"
    " JOIN pg_class c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal AND c.relnamespace = current_schema()::regnamespace"
)


@functools.lru_cache(maxsize=1024)
def _translated(text: str) -> str:
    """A statement of the tables in psycopg's words."""
    return text.replace("%", "%%").replace("?", "%s") if "?" in text else text


def _value(value: Any) -> Any:
    """A value as the column takes it: text without NUL, and 0 or 1 for a truth."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        text = str(value.value) if isinstance(value, Enum) else value
        return text.replace("\0", "\ufffd")
    return value


def _parts_of(address: str) -> dict[str, Any]:
    """What the address says, by libpq's names; nothing if it cannot be read."""
    with suppress(psycopg.Error):
        return psycopg.conninfo.conninfo_to_dict(address)
    return {}


def _location_of(address: str) -> str:
    """The address without a password, for messages."""
    parts = _parts_of(address)
    if not parts:
        return "at that address"
    host = parts.get("host") or parts.get("hostaddr") or ""
    port = f":{parts['port']}" if parts.get("port") else ""
    return f"postgresql://{host}{port}/{parts.get('dbname') or ''}"


def _first_line(error: BaseException) -> str:
    return on_one_line(str(error).partition("\n")[0]) or type(error).__name__


def _unreachable(place: str, text: str) -> StoreError:
    """Why no session could be had, in one line with what to do."""
    cause = _last_cause(on_one_line(text))
    fix = next((fix for words, fix in _CONNECT_FIXES if re.search(words, cause)), "see whether the server runs")
    return StoreError(f"cannot reach the database {place}: {cause}", fix=fix)


_PASSWORD = "put the password into ~/.pgpass (mode 0600), or name a service file"
_ADDRESS = "give the address as postgresql://USER@HOST/DATABASE"
_CONNECT_FIXES = (
    ("password authentication failed|no password supplied", _PASSWORD),
    ("no pg_hba.conf entry", "let this machine in: pg_hba.conf on the server"),
    ("permission denied for database", "GRANT CONNECT on it to this user"),
    ("^role .* does not exist", "make it on the server: createuser NAME"),
    ("^database .* does not exist", "make it on the server: createdb NAME"),
    ("too many (clients|connections)", "end sessions that nobody needs, or raise max_connections on the server"),
    ("starting up", "try again in a moment"),
    ("SSL|certificate", "set sslmode and sslrootcert in the address as the server wants it"),
    ("resolve host", "give the right host in the address"),
    ("definition of service", "write it into ~/.pg_service.conf, or name another one"),
    ("timeout expired", "see whether the server runs, and whether a firewall is between"),
    ('invalid|in URI|missing "="', _ADDRESS),
)
"""What to do about what libpq or the server said last; the first pattern that fits decides."""


def _last_cause(text: str) -> str:
    """What was said last: without what failed because of it, and without questions."""
    for words in ("FATAL: ", "failed: ", "connection is bad: "):
        text = text.rpartition(words)[2]
    return text.partition(" Is the server running")[0].strip()


def _meaning(error: psycopg.Error) -> tuple[type[StoreError], str, str]:
    match error:
        case errors.LockNotAvailable():
            return StoreBusyError, "another machine keeps it locked", "try again, or see who is connected to it"
        case errors.DiskFull() | errors.OutOfMemory() | errors.InsufficientResources():
            return StoreFullError, "the server has no room", "make room; a running daemon keeps what it could not write"
        case errors.InsufficientPrivilege():
            return StoreError, "", "GRANT it to this user, or run `jarvis-trio init` as the owner"
        case errors.ReadOnlySqlTransaction():
            return StoreError, "it cannot be written (readonly database)", "name the primary server, not a standby"
        case psycopg.OperationalError():
            return StoreError, "the server is gone", "nothing is lost: it is tried again at the next tick"
    return StoreError, "", "run `jarvis-trio doctor` to see more"
