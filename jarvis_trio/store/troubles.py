"""What is wrong with a task, told once: `task_troubles`, and by when it has to succeed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from jarvis_trio.errors import ScheduleError
from jarvis_trio.models import ASIDE, ScheduledTask, TroubleKind
from jarvis_trio.notation.instants import from_microseconds, parse_instant, to_microseconds, utc_text
from jarvis_trio.store.connection import Row
from jarvis_trio.store.database import Database
from jarvis_trio.store.tasks import TASK, to_task


class Trouble(NamedTuple):
    """One thing that is wrong with a task, since when (aware UTC), and why."""

    task_id: int
    kind: TroubleKind
    since: datetime
    reason: str


class TroubleTable:
    """A row for each trouble of a task. It begins once and ends once, however often it shows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin_trouble(self, task_id: int, kind: TroubleKind, reason: str, at: datetime) -> bool:
        """Note that a task is in trouble. Returns whether that is new."""
        answer = self._database.write(
            "INSERT INTO task_troubles (task_id, kind, since, reason) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (task_id, kind) DO NOTHING",
            (task_id, kind, utc_text(at), reason),
        )
        return answer.count > 0

    def end_troubles(self, task_id: int, kinds: Iterable[TroubleKind]) -> list[Trouble]:
        """Note that a task is out of these troubles. Returns those that it was in."""
        found = self.list_troubles(task_id)
        wanted = tuple(kinds) if found else ()
        return [trouble for trouble in found if trouble.kind in wanted and self._is_ended(trouble)]

    def _is_ended(self, trouble: Trouble) -> bool:
        """End it. Returns whether it was this call that did."""
        query = "DELETE FROM task_troubles WHERE task_id = ? AND kind = ?"
        return self._database.write(query, (trouble.task_id, trouble.kind)).count > 0

    def list_troubles(self, task_id: int | None = None) -> list[Trouble]:
        """What is wrong, with one task or with all, by task."""
        condition, values = ("", ()) if task_id is None else ("WHERE task_id = ?", (task_id,))
        rows = self._database.read(f"SELECT * FROM task_troubles {condition} ORDER BY task_id, kind", values)
        return list(_readable(rows))

    def is_in_trouble(self, task_id: int, kind: TroubleKind) -> bool:
        """Whether a task is in a trouble of that kind."""
        return bool(self._database.read("SELECT 1 FROM task_troubles WHERE task_id = ? AND kind = ?", (task_id, kind)))

    def tasks_in_trouble(self, kind: TroubleKind) -> list[ScheduledTask]:
        """The tasks that are in a trouble of that kind."""
        rows = self._database.read(
            f"SELECT {TASK} FROM task_troubles d JOIN scheduled_tasks t ON t.id = d.task_id WHERE d.kind = ?", (kind,)
        )
        return [to_task(row) for row in rows]

    def reasons_set_aside(self) -> dict[int, str]:
        """The tasks that are set aside or held, each with its reason."""
        return {trouble.task_id: trouble.reason for trouble in self.list_troubles() if trouble.kind in ASIDE}

    def held_tasks(self) -> set[int]:
        """The tasks that wait until a person resumes them."""
        return {trouble.task_id for trouble in self.list_troubles() if trouble.kind is TroubleKind.HELD}

    def reason_set_aside(self, task_id: int) -> str | None:
        """Why that task is set aside, or None."""
        query = "SELECT reason FROM task_troubles WHERE task_id = ? AND kind = ?"
        reason: str | None = self._database.value(query, (task_id, TroubleKind.SET_ASIDE))
        return reason

    def set_deadline(self, task_id: int, due_at: datetime | None) -> None:
        """By when a task has to succeed next; None for no limit."""
        if due_at is None:
            self._database.write("DELETE FROM task_deadlines WHERE task_id = ?", (task_id,))
        else:
            self._database.write(
                "INSERT INTO task_deadlines (task_id, due_at) VALUES (?, ?)"
                " ON CONFLICT (task_id) DO UPDATE SET due_at = excluded.due_at",
                (task_id, to_microseconds(due_at)),
            )

    def is_deadline_passed(self, task_id: int, now: datetime) -> bool:
        """Whether that task should have succeeded by now."""
        query = "SELECT 1 FROM task_deadlines WHERE task_id = ? AND due_at <= ?"
        return bool(self._database.read(query, (task_id, to_microseconds(now))))

    def passed_deadlines(self, now: datetime) -> list[ScheduledTask]:
        """The enabled tasks that should have succeeded by now."""
        rows = self._database.read(
            f"SELECT {TASK} FROM task_deadlines d JOIN scheduled_tasks t ON t.id = d.task_id"
            " WHERE d.due_at <= ? AND t.enabled = 1",
            (to_microseconds(now),),
        )
        return [to_task(row) for row in rows]


def _readable(rows: Iterable[Row]) -> Iterator[Trouble]:
    """Without the kinds that another program, or a later one of ours, has written there."""
    for row in rows:
        if row["kind"] in set(TroubleKind):
            yield Trouble(row["task_id"], TroubleKind(row["kind"]), _since(row["since"]), str(row["reason"]))


def _since(text: str) -> datetime:
    """The Unix epoch for what nobody can read: the trouble is there all the same."""
    try:
        return parse_instant(text)
    except ScheduleError:
        return from_microseconds(0)
