"""Brings a database's tables up to date, and keeps them so while other programs change them.

Guarantees:

- A database is at one whole version at any instant: each step is one transaction, and a process
  that dies in between leaves it at the step before. Where nothing is ours yet, all are one.
- What is not ours stays: only tables, columns, indexes and triggers that are missing are added. A
  table of ours without its keys is made again with its rows; a copy of the database was made first.
- While the table of tasks has another name, nothing takes its place: a program that changes it step
  by step makes one itself, or renames that one back, and an empty one would be in its way.
- A database that is half-way up says so, until the last step: the next program that goes on makes
  no second copy, and one that can never go on does not fill the disk with copies.
- A database of a newer program is refused before anything is changed.

This code assumes that one program at a time writes, and that the next one may be another version
of this program. So whatever was decided before the write lock is decided again under it.

The race that it is made for: two daemons, of two versions, open one file.

1. Both read version 1.
2. The newer one takes the lock, climbs, and notes version 2.
3. The older one has seen nothing to do and works on with tables that have grown. Columns are only
   ever added, so its statements stay right.
4. It looks again at its next tick, reads 2, and refuses to go on.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import NamedTuple

from jarvis_trio.errors import ConflictError, StoreError
from jarvis_trio.store.connection import Connection, Made, Steps
from jarvis_trio.store.schema import STEPS, TRIGGERS, UNSETTLE_ALL, Shape, Table, shape

_NOTE = "INSERT INTO jarvis_meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
_HALF_WAY = "half_way_up"
"""The note in a database that has taken some of its steps: a copy of it as it was has been made."""


class Found(NamedTuple):
    """What a database has, and how many steps it has seen; 0 if it knows nothing of us.

    `half_way` says that a program began to take it up and did not come to the last step.
    """

    version: int
    made: Made
    half_way: bool = False

    def absent(self, name: str, table: Table) -> list[str]:
        """The columns that a table of the database does not have."""
        return [column for column in table.columns if column not in self.made.tables[name]]

    def keyless(self, wanted: Shape) -> list[str]:
        """The tables that have lost a key, because another program made them again without it."""
        keys = self.made.keys or {}
        return [
            name
            for name, table in wanted.tables.items()
            if name in keys and (not table.theirs or name == "scheduled_tasks")
            if not {*self._needed(name, table)} <= {*keys[name]}
        ]

    @staticmethod
    def _needed(name: str, table: Table) -> list[tuple[str, ...]]:
        return table.keys() if name != "scheduled_tasks" else [("id",)]


def look(connection: Connection, steps: Steps = STEPS) -> Found:
    """Read what the database has. Raises StoreError for one that a newer program made."""
    made = connection.made()
    if "jarvis_meta" not in made.tables:
        return Found(0, made)
    half_way = connection.execute("SELECT 1 FROM jarvis_meta WHERE key = ?", (_HALF_WAY,)).rows
    return Found(_version(connection, len(steps)), made, bool(half_way))


def _version(connection: Connection, known: int) -> int:
    rows = connection.execute("SELECT value FROM jarvis_meta WHERE key = 'schema_version'").rows
    try:
        found = int(rows[0][0]) if rows else 0
    except (ValueError, TypeError):
        found = -1
    if found < 0:
        says = f"the database's schema version makes no sense: {rows[0][0]!r}"
        raise StoreError(says, fix="restore a backup of it") from None
    if found > known:
        says = f"the database {connection.location} has schema {found}, this program knows {known}"
        raise StoreError(says, fix="install a newer jarvis-trio")
    return found


def missing(connection: Connection, found: Found, steps: Steps = STEPS) -> list[str]:
    """What of all steps the database does not have, in words; nothing if it is complete."""
    wanted, words = shape(steps), []
    for name, table in wanted.tables.items():
        if name in found.made.tables:
            words += [f"column {name}.{column}" for column in found.absent(name, table)]
        else:
            words.append(f"table {name}")
    words += [f"keys of table {name}" for name in found.keyless(wanted)]
    words += [f"index {name}" for name in wanted.indexes if name not in found.made.indexes]
    words += [f"trigger {name}" for name in _other_triggers(connection, found)]
    return words or ([] if found.version == len(steps) else [f"schema {len(steps)}"])


def climb(connection: Connection, steps: Steps) -> None:
    """Take the steps that the database has not seen, then add what is missing of the last.

    A database that knows nothing of us has no rows to move: it takes all steps at once.

    Raises StoreError if that cannot be done; the database is at the last step that could be taken.
    """
    seen, last = look(connection, steps).version, len(steps)
    for number in range(seen + 1 if seen else last, last):
        _take_step(connection, steps, number)
    _take_step(connection, steps, last)


def _take_step(connection: Connection, steps: Steps, number: int) -> None:
    """Take the steps up to `number` in one transaction: add what is missing, move rows, note it."""
    connection.begin()
    try:
        found = look(connection, steps)  # another program may have been faster
        if number == len(steps) and (keyless := found.keyless(shape(steps))):
            _remake(connection, keyless, found, shape(steps))
            found = look(connection, steps)  # its indexes went with it
        _add_missing(connection, found, shape(steps[:number]))
        for step in steps[found.version : number] if found.version else ():
            _execute_all(connection, step.then)
        if number == len(steps):
            _make_triggers(connection, found)
        # In the step that makes it: killed between two steps, a process leaves no empty queue.
        if "task_queue" in shape(steps[:number]).tables.keys() - found.made.tables.keys():
            _execute_all(connection, UNSETTLE_ALL)
        _note_progress(connection, found, number, len(steps))
        connection.commit()
    except ConflictError as error:
        connection.roll_back()
        says = f"the tables of {connection.location} cannot be brought up to date: {error.says}"
        raise StoreError(says, fix="restore a backup of it, or repair those rows") from error
    except BaseException:
        connection.roll_back()
        raise


def _note_progress(connection: Connection, found: Found, number: int, last: int) -> None:
    if found.version < number:
        connection.execute(_NOTE, ("schema_version", str(number)))
    if number < last and not found.half_way:
        connection.execute(_NOTE, (_HALF_WAY, "1"))
    if number == last and found.half_way:
        connection.execute("DELETE FROM jarvis_meta WHERE key = ?", (_HALF_WAY,))


def beyond_repair(connection: Connection, found: Found, wanted: Shape) -> StoreError | None:
    """Why `climb` cannot put right the assistant's tables; None if it can."""
    lost = (name for name in found.keyless(wanted) if wanted.tables[name].theirs)
    return next((_lost_key(connection, name) for name in lost), None)


def _lost_key(connection: Connection, name: str) -> StoreError:
    says = f"the table {name} of {connection.location} has lost its key, id: another program made it again without"
    return StoreError(says, fix="restore a backup of the database, and have that program keep the key")


def _remake(connection: Connection, keyless: Iterable[str], found: Found, wanted: Shape) -> None:
    for name in keyless:
        if wanted.tables[name].theirs:
            raise _lost_key(connection, name)
        columns = found.made.tables[name]
        _execute_all(connection, connection.dialect.remake_table(name, wanted.tables[name], columns))


def refuse_renamed(connection: Connection, found: Found) -> None:
    """Raises StoreError while the table of tasks has another name."""
    name = found.made.renamed
    if name is None:
        return
    says = f"the table scheduled_tasks of {connection.location} is gone; {name} has its columns: nothing can run"
    statement = f'ALTER TABLE "{name.replace(chr(34), chr(34) * 2)}" RENAME TO scheduled_tasks'
    command = f"sqlite3 {shlex.quote(connection.location)} {shlex.quote(statement)}"
    fix = f"let the program finish that renamed it; if none is at work, rename it back: {command}"
    raise StoreError(says, fix=fix)


def _add_missing(connection: Connection, found: Found, wanted: Shape) -> None:
    refuse_renamed(connection, found)
    for name, table in wanted.tables.items():
        if name not in found.made.tables:
            connection.execute(connection.dialect.make_table(name, table))
            continue
        for column in found.absent(name, table):
            _add_column(connection, name, column, table.columns[column])
    for name, index in wanted.indexes.items():
        if name not in found.made.indexes:
            connection.execute(connection.dialect.make_index(name, index))


def _add_column(connection: Connection, table: str, column: str, type_: str) -> None:
    if "PRIMARY KEY" in type_:
        says = f"the table {table} of {connection.location} has no column {column}: another program has changed it"
        raise StoreError(says, fix="restore a backup of the database")
    connection.execute(connection.dialect.add_column(table, column, type_))


def _other_triggers(connection: Connection, found: Found) -> list[str]:
    """The triggers that are not there, or do something else."""
    return [name for name in TRIGGERS if found.made.triggers.get(name) != connection.dialect.trigger_mark(name)]


def _make_triggers(connection: Connection, found: Found) -> None:
    others = _other_triggers(connection, found)
    for name in others:
        _execute_all(connection, connection.dialect.make_trigger(name))
    if others:
        _execute_all(connection, UNSETTLE_ALL)


def _execute_all(connection: Connection, statements: Iterable[str]) -> None:
    for statement in statements:
        connection.execute(statement)
