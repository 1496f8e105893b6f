"""The seam below the tables: what they need of a database, whichever it is.

Above it stand the modules of tables, with SQL that SQLite and PostgreSQL both understand and `?`
for each value. Below it `sqlite` and `postgres` know one database each. Whatever those raise is a
StoreError, and ConflictError is the one that a caller may expect.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from jarvis_trio.store.schema import Step, Table

Trace = Callable[[str, Sequence[Any]], None]
"""Is told each statement, with its values, before it is executed."""


class Row(Protocol):
    """A row, whose values are found by the column's name or by its place."""

    def __getitem__(self, key: int | str, /) -> Any: ...

    def __iter__(self) -> Iterator[Any]: ...

    def keys(self) -> Iterable[str]: ...


@dataclass(slots=True)
class Answer:
    """What a statement gave back: its rows, and how many rows it changed."""

    rows: Sequence[Row]
    count: int


class Made(NamedTuple):
    """What a database has of the tables that this program knows.

    `tables` has the columns of each; `triggers` and `indexes` the names, and of a trigger what it
    does, in a form that can be compared with what it should do (`Dialect.trigger_mark`). `keys` has
    the columns of each key of a table, the primary one first; None if nobody but us makes tables.
    `renamed` is the table that the one of tasks has probably become; None if it has its name.
    """

    tables: Mapping[str, Set[str]]
    indexes: Set[str]
    triggers: Mapping[str, str]
    keys: Mapping[str, Sequence[tuple[str, ...]]] | None = None
    renamed: str | None = None


class Dialect(Protocol):
    """How one database says what the steps of `schema` want."""

    def make_table(self, name: str, table: Table) -> str:
        """The statement that makes a table."""

    def add_column(self, table: str, column: str, type_: str) -> str:
        """The statement that adds a column to a table that stands."""

    def make_index(self, name: str, index: str) -> str:
        """The statement that makes an index."""

    def make_trigger(self, name: str) -> Sequence[str]:
        """The statements that make a trigger, or make it again."""

    def trigger_mark(self, name: str) -> str:
        """What a trigger should do, to be compared with what is there."""

    def remake_table(self, name: str, table: Table, found: Set[str]) -> Sequence[str]:
        """The statements that make a table again, with its keys, and keep its rows.

        `found` are the columns that it has now. Rows that the keys refuse are left out.
        """


class Watch(Protocol):
    """Its descriptor is readable when others have written; as `process.watch` has them on files."""

    def fileno(self) -> int:
        """The descriptor to wait for."""

    def renew(self, paths: Sequence[Path]) -> None:
        """Watch these files, if it is files that it watches.

        Raises OSError if the system lets no more be watched.
        """

    def drain(self) -> bool:
        """Forget what happened so far, without waiting. Returns whether anything did."""

    def close(self) -> None:
        """Watch nothing more."""


class Presence(Protocol):
    """Tells the other machines that a process of this one is there."""

    def confirm(self) -> None:
        """Have the database say that the process is there. Raises StoreError if it does not."""

    def close(self) -> None:
        """Be there no longer."""


class Connection(Protocol):
    """One connection. The threads of a process take turns (see `database`)."""

    location: str
    """Which database, for messages; never with a password."""

    trace: Trace | None
    """Is told each statement, for tests that count them."""

    @property
    def dialect(self) -> Dialect:
        """Its words."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""

    def begin(self) -> None:
        """Begin to write: from here on nobody else does."""

    def commit(self) -> None:
        """End the transaction. What was written is on the disk when this returns.

        Raises StoreUnsureError if it may be, and nobody can tell at this moment.
        """

    def roll_back(self) -> None:
        """Undo the transaction, if one is open."""

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Answer:
        """Execute one statement.

        Raises StoreError, and ConflictError if the database refuses the row.
        """

    def insert(self, sql: str, parameters: Sequence[Any]) -> int | None:
        """Insert one row into a table whose rows are numbered.

        Returns its number; None if it was not inserted. Raises as `execute`.
        """

    def marks(self) -> Hashable:
        """A value that changes with each write of anybody."""

    def others_write(self) -> bool:
        """Whether another program may be committing at this moment what can be read in a moment.

        Does not wait. False tells that all can be read of which anything could be noticed so far.
        """

    def look_after(self) -> Hashable | None:
        """Look after the connection before a tick: did anything happen to the database since?

        What can be put right is put right, and told in the log. Returns the marks as they are
        now; None if it had to be opened: another database has taken its place, or it could not be
        used for a while. Raises StoreError.
        """

    def made(self) -> Made:
        """What is there of our tables."""

    def renumber(self, table: str) -> None:
        """Have new rows of a table numbered after those that were written with their numbers."""

    def watch(self) -> Watch | None:
        """What tells at once of others' writes; None if that shows in the files."""

    def hold(self, owner: str, machine: str, beat: timedelta) -> Presence | None:
        """What tells other machines that the process `owner` is there; None if there are none.

        Its end is noticed after a few beats.
        """

    def is_held(self, owner: str) -> bool:
        """Whether the process `owner` of another machine is there.

        If it is not, it stays away until the end of the transaction.
        """

    def find_damage(self) -> str | None:
        """What is found first to be damaged; None if the database is whole."""

    def close(self) -> None:
        """Close the connection; a second call does nothing."""


Steps = Sequence[Step]
