"""The table of tasks, as the commands and other programs see it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from jarvis_trio.errors import ConflictError, DuplicateTaskError, TaskError, UnknownTaskError
from jarvis_trio.models import ScheduledTask
from jarvis_trio.notation.instants import as_utc, local_text, parse_instant, to_microseconds
from jarvis_trio.schedules.schedule import stored_next_run
from jarvis_trio.store.database import Database

_COLUMNS = tuple(f.name for f in fields(ScheduledTask))
TASK = ", ".join(f"t.{name}" for name in _COLUMNS)
"""The columns of a task, from a table called t. A missing one is an error of the database."""

_TEXTS = tuple(name for name in _COLUMNS if name not in ("id", "enabled"))
_REQUIRED = ("name", "schedule_type", "schedule_config", "handler_type")
_EDITABLE = frozenset(_COLUMNS) - {"id", "created_at"}
CONFIGURATIONS = ("schedule_config", "handler_config", "delivery_config", "policy")
"""The columns that hold JSON."""


class TaskTable:
    """`scheduled_tasks`: store, find, list, change, delete."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def store_scheduled_task(self, task: ScheduledTask) -> ScheduledTask:
        """Add `task`, or replace the definition of the one with its name.

        The history and the last result of a replaced task stay. Configurations may be
        given as mappings; they are stored as JSON text.

        Returns the stored task, with its id.
        """
        now = self._now_text()
        values = _as_columns({f: getattr(task, f) for f in _COLUMNS} | {"created_at": task.created_at or now})
        values["updated_at"] = now
        names = [name for name in _COLUMNS if name != "id"]
        changed = [name for name in names if name not in ("name", "created_at", "last_run_at", "last_result")]
        self._database.write(
            f"INSERT INTO scheduled_tasks ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
            f" ON CONFLICT (name) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in changed)}",
            [values[name] for name in names],
        )
        return self.require_task(task.name)

    def get_scheduled_task(self, task_id: int) -> ScheduledTask | None:
        """The task with that number, or None."""
        return self._one_task("id", task_id)

    def get_scheduled_task_by_name(self, name: str) -> ScheduledTask | None:
        """The task with that name, or None."""
        return self._one_task("name", name)

    def require_task(self, name: str) -> ScheduledTask:
        """The task with that name. Raises UnknownTaskError if there is none."""
        task = self.get_scheduled_task_by_name(name)
        if task is None:
            raise UnknownTaskError(f"no task is named {name!r}", fix="`jarvis-trio list` shows the names")
        return task

    def list_scheduled_tasks(self, enabled_only: bool = False) -> list[ScheduledTask]:
        """All tasks by name, or those that are enabled."""
        condition = "WHERE enabled = 1" if enabled_only else ""
        return [
            to_task(row)
            for row in self._database.read(f"SELECT {TASK} FROM scheduled_tasks t {condition} ORDER BY t.name")
        ]

    def numbers(self) -> list[int]:
        """The numbers of all tasks in the order of their names; the rows are not read."""
        return [row[0] for row in self._database.read("SELECT t.id FROM scheduled_tasks t ORDER BY t.name")]

    def numbered(self, task_ids: Collection[int]) -> list[ScheduledTask]:
        """The tasks with these numbers, by name."""
        numbers = ", ".join(map(str, task_ids))
        query = f"SELECT {TASK} FROM scheduled_tasks t WHERE t.id IN ({numbers}) ORDER BY t.name"
        return [to_task(row) for row in self._database.read(query)] if task_ids else []

    def maybe_due(self, now: datetime) -> list[ScheduledTask]:
        """The enabled tasks that can be due at `now`, by the queue.

        Those that the engine has yet to read, or has taken out of the queue, are among them.
        """
        rows = self._database.read(
            f"SELECT {TASK} FROM scheduled_tasks t LEFT JOIN task_queue q ON q.task_id = t.id AND q.attempt = 1"
            " WHERE t.enabled = 1 AND t.next_run_at IS NOT NULL AND (q.task_id IS NULL OR q.due_at <= ?)",
            (to_microseconds(now),),
        )
        return list(map(to_task, rows))

    def with_text(self, text: str) -> set[int]:
        """The numbers of the tasks that have a text in their name, description or configuration.

        In any case of letters, as Python folds it and SQL cannot.
        """
        wanted, columns = text.casefold(), "t.id, t.name, t.description, t.handler_type, t.handler_config"
        rows = self._database.read(f"SELECT {columns} FROM scheduled_tasks t")
        return {
            row[0]
            for row in rows
            if wanted in "\n".join(filter(None, map(as_text, (row[1], row[2], row[3], row[4])))).casefold()
        }

    def run_once(self) -> set[int]:
        """The numbers of the tasks that were to run once and have no time to come."""
        query = "SELECT id FROM scheduled_tasks WHERE schedule_type = 'once' AND next_run_at IS NULL"
        return {row[0] for row in self._database.read(query)}

    def count_scheduled_tasks(self) -> int:
        """How many tasks there are."""
        return int(self._database.value("SELECT count(*) FROM scheduled_tasks"))

    def count_enabled_tasks(self, without: Collection[int]) -> int:
        """How many tasks are enabled, but for those `without`."""
        others = f"AND id NOT IN ({', '.join(map(str, without))})" if without else ""
        return int(self._database.value(f"SELECT count(*) FROM scheduled_tasks WHERE enabled = 1 {others}"))

    def task_names(self, task_ids: Collection[int]) -> dict[int, str]:
        """The names of these tasks, by their number; those that are gone are left out."""
        if not task_ids:
            return {}
        numbers = ", ".join(map(str, task_ids))
        rows = self._database.read(f"SELECT t.id, t.name FROM scheduled_tasks t WHERE t.id IN ({numbers})")
        return {row[0]: str(row[1]) for row in rows}

    def get_due_tasks(self, now: datetime | str | None = None) -> list[ScheduledTask]:
        """The enabled tasks whose next run is due at `now`, the longest overdue first.

        `now` is an instant or its ISO text; naive ones are local time; None is the present.
        """
        instant, zone = self._instant(now), self._database.zone()
        rows = self._database.read(
            f"SELECT {TASK} FROM task_queue q JOIN scheduled_tasks t ON t.id = q.task_id"
            " WHERE q.due_at <= ? AND q.attempt = 1 AND t.enabled = 1",
            (to_microseconds(instant),),
        )
        due = [
            (at, task)
            for task in map(to_task, rows)
            if (at := stored_next_run(task, zone)) is not None and at <= instant
        ]
        return [task for _, task in sorted(due, key=lambda pair: pair[0])]

    def update_scheduled_task(self, task_id: int, **changes: Any) -> ScheduledTask | None:
        """Set columns of one task; its `updated_at` follows.

        Returns the changed task, or None if there is none with that number. Raises
        TaskError for a column that cannot be set, DuplicateTaskError for a taken name.
        """
        if unknown := sorted(set(changes) - _EDITABLE):
            fix = f"the columns are {', '.join(sorted(_EDITABLE))}"
            raise TaskError(f"cannot set {', '.join(unknown)}", fix=fix)
        values = _as_columns(changes | {"updated_at": self._now_text()})
        try:
            self._database.write(
                f"UPDATE scheduled_tasks SET {', '.join(f'{name} = ?' for name in values)} WHERE id = ?",
                [*values.values(), task_id],
            )
        except ConflictError as error:
            if error.duplicate:
                says = f"a task named {changes.get('name')!r} exists"
                raise DuplicateTaskError(says, fix="choose another name") from None
            raise TaskError(f"cannot change the task so: {error}") from None
        return self.get_scheduled_task(task_id)

    def delete_scheduled_task(self, task_id: int) -> bool:
        """Delete one task; its history stays. Returns whether there was one."""
        return self._database.write("DELETE FROM scheduled_tasks WHERE id = ?", (task_id,)).count > 0

    def _one_task(self, column: str, value: object) -> ScheduledTask | None:
        rows = self._database.read(f"SELECT {TASK} FROM scheduled_tasks t WHERE t.{column} = ?", (value,))
        return to_task(rows[0]) if rows else None

    def _instant(self, moment: datetime | str | None) -> datetime:
        if moment is None:
            return self._database.clock.now()
        zone = self._database.zone()
        return parse_instant(moment, zone) if isinstance(moment, str) else as_utc(moment, zone)

    def _now_text(self) -> str:
        return local_text(self._database.clock.now(), self._database.zone())


def to_task(row: Iterable[Any]) -> ScheduledTask:
    """The columns `TASK`, first in a row, as a task.

    SQLite columns hold anything, so what should be text is made text.
    """
    values = dict(zip(_COLUMNS, row, strict=False))
    for name in _TEXTS:
        if values[name] is not None and type(values[name]) is not str:
            values[name] = as_text(values[name])
    for name in _REQUIRED:
        values[name] = values[name] or ""
    values["enabled"] = values["enabled"] == 1
    return ScheduledTask(**values)


def as_text(value: object) -> str | None:
    """What another program wrote where text should be, as text."""
    if value is None:
        return None
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _as_columns(values: Mapping[str, Any]) -> dict[str, Any]:
    columns = dict(values)
    for name in CONFIGURATIONS:
        if isinstance(columns.get(name), Mapping):
            columns[name] = json.dumps(columns[name])
    return columns
