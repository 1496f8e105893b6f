"""Copies all of our tables from one database to another, and proves that they arrived.

Guarantees:

- Everything arrives, or nothing: the target is written in one transaction, and each table is read
  back and its digest compared before that ends.
- The source stays as it is, but for a note of where it went. `open_store` refuses a database with
  such a note, so that no daemon with an old setting goes on with it.

This code assumes that no daemon runs on either side; whoever calls it sees to that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from jarvis_trio.errors import ScheduleError, StoreError
from jarvis_trio.models import require_id
from jarvis_trio.policy import Policy
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.opening import MOVED_TO
from jarvis_trio.store.places import named_place
from jarvis_trio.store.schema import NUMBERED, Table, shape
from jarvis_trio.store.tasks import as_text

_LEFT_OUT = ("machines", "lost_processes", "requests", "jarvis_meta")
"""What belongs to the database and not to the tasks."""


@dataclass(frozen=True, slots=True)
class Moved:
    """How many rows of a table arrived, and the digest that both sides have."""

    table: str
    rows: int
    digest: str


def move(source: MemoryStore, target: MemoryStore) -> list[Moved]:
    """Copy all tables of `source` into `target`, and note in `source` where they went.

    Tasks that say nothing of a machine are bound to the target's, if it is shared: their
    programs and approvals are there. Raises StoreError; then the target is as it was.
    """
    _require_quiet(source)
    with target.transaction():
        _make_room(target)
        target.write("DELETE FROM jarvis_meta WHERE key = ?", (MOVED_TO,))
        moved = [_copy(name, table, source, target) for name, table in _tables(target)]
    source.notes.remember(MOVED_TO, target.location)
    return moved


def _require_quiet(source: MemoryStore) -> None:
    live = source.value("SELECT count(*) FROM task_runs WHERE live = 1")
    if live:
        raise StoreError(f"{live} runs of {source.location} are not over", fix="move it when they are")


def _make_room(target: MemoryStore) -> None:
    """Refuse a database in use; empty one whose tasks were moved away, and may come back now."""
    stale = target.notes.note(MOVED_TO) is not None
    for name, table in shape().tables.items():
        if name in _LEFT_OUT or (table.theirs and name != "scheduled_tasks"):
            continue
        if stale:
            target.write(f"DELETE FROM {name}")
        elif target.value(f"SELECT count(*) FROM {name}"):
            raise StoreError(f"the database {target.location} holds {name} already", fix="name an empty one")
    if stale:  # removing the tasks has let their history go, too
        target.write("DELETE FROM task_runs")


def _tables(target: MemoryStore) -> Iterable[tuple[str, Table]]:
    """The tasks first, since their triggers fill the queue. Others' rows that are there stay."""
    for name, table in shape().tables.items():
        is_empty = not table.theirs or not target.value(f"SELECT count(*) FROM {name}")
        if name not in _LEFT_OUT and is_empty:
            yield name, table


def _copy(name: str, table: Table, source: MemoryStore, target: MemoryStore) -> Moved:
    columns = list(table.columns)
    change = _change(name, target)
    rows = [change(_as_written(name, table, row)) for row in _rows(source, name, columns)]
    if name == "task_queue":
        target.write("DELETE FROM task_queue")

    marks = ", ".join("?" * len(columns))
    values = [[row[column] for column in columns] for row in rows]
    target.write_many(f"INSERT INTO {name} ({', '.join(columns)}) VALUES ({marks})", values)
    if NUMBERED in table.columns.values():
        target.connection.renumber(name)

    arrived = [_as_written(name, table, row) for row in _rows(target, name, columns)]
    digest = _digest(rows)
    if digest != _digest(arrived):
        raise StoreError(
            f"the table {name} did not arrive in {target.location} as it was", fix="report this as a fault"
        )
    return Moved(name, len(rows), digest)


def _rows(store: MemoryStore, name: str, columns: Sequence[str]) -> Sequence[Any]:
    return store.read(f"SELECT {', '.join(columns)} FROM {name}")


def _as_written(name: str, table: Table, row: Any) -> dict[str, Any]:
    return {column: _value(name, column, type_, row[column]) for column, type_ in table.columns.items()}


def _value(name: str, column: str, type_: str, value: Any) -> Any:
    """A value as every database can hold it. SQLite holds anything in any column."""
    if value is None:
        return None
    try:
        if type_.startswith("INTEGER"):
            return int(value)
        if type_.startswith("REAL"):
            return float(value)
        return bytes(value) if type_.startswith("BLOB") else str(as_text(value)).replace("\0", "\ufffd")
    except (TypeError, ValueError):
        says = f"{name}.{column} holds {value!r:.60}, which is not {type_.partition(' ')[0].lower()}"
        raise StoreError(says, fix="repair or delete that row, then move again") from None


Change = Callable[[Mapping[str, Any]], dict[str, Any]]


def _change(name: str, target: MemoryStore) -> Change:
    """What becomes other in a table on the way: where tasks run, which a file does not say."""
    machine = target.machine
    if name == "scheduled_tasks" and machine is not None:
        return lambda row: {**row, "policy": _placed(row["policy"], machine)}
    if name == "task_queue":
        places = {} if machine is None else dict(_places(target, machine))
        return lambda row: {**row, "place": places.get(row["task_id"])}
    return dict


def _places(target: MemoryStore, machine: str) -> Iterator[tuple[int, str | None]]:
    """Where each of the tasks, which have arrived, is to run.

    A slot that was queued in a file has no place, though its task may name another machine.
    """
    for task in target.list_scheduled_tasks():
        place: str | None = machine
        with suppress(ScheduleError):  # it is set aside, wherever that is
            place = named_place(task.policy)
        yield require_id(task), place


def _placed(policy: str | None, machine: str) -> str | None:
    try:
        values = json.loads(policy) if policy and policy.strip() else {}
        if isinstance(values, dict) and values.get("on") is None:
            Policy.from_json(policy)
            return json.dumps({**values, "on": machine})
    except ValueError:  # it is set aside, and stays so
        pass
    return policy


def _digest(rows: Iterable[Mapping[str, Any]]) -> str:
    """The same for the same rows, in whatever order they come."""
    lines = sorted(repr(sorted(row.items())) for row in rows)
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()[:16]
