"""The run history: claim, finish, recover, read (`task_runs`).

Guarantees:

- An attempt at a slot has one row, whoever claims it (the unique key), and a task has one live
  run at most (the unique index on `live`). The database refuses a second one.
- A row that runs is ended once: by the process that claimed it, or by recovery, never by both.
- A task's last row is never pruned.

This code assumes that an owner's text names one process for all time, and that a slot is written
as one text whatever the zone (UTC).

The races, each with what decides it:

1. Two processes claim one slot. The second INSERT changes nothing, and it has no claim.
2. A process is taken for dead as it ends its run. Each UPDATE asks that the row still runs; the
   second one changes no row.
3. The file is replaced while a handler runs. The run's number means another run there, so its
   slot and start are compared too; the outcome is told in the log.
4. A task is removed while it runs, and its number is given to another. The history lets go of
   the number, so the outcome reaches the run and not the new task.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import fields
from datetime import datetime, timedelta, tzinfo
from enum import Enum, auto
from typing import Any

from jarvis_trio.errors import ConflictError, ScheduleError
from jarvis_trio.models import Claim, Outcome, Run, RunStatus, ScheduledTask, Trigger
from jarvis_trio.notation.instants import local_text, parse_instant, parse_stamp, utc_text
from jarvis_trio.notation.jsontext import json_value
from jarvis_trio.policy import task_policy
from jarvis_trio.store.connection import Row
from jarvis_trio.store.database import Database
from jarvis_trio.store.places import place_of
from jarvis_trio.store.tasks import TASK, as_text, to_task

RUN = ", ".join(f"r.{field.name}" for field in fields(Run))
"""The columns of a run, from a table called r."""

_JUST_NOW = timedelta(minutes=1)
"""Who writes a row for the present writes it a moment after its time."""

_logger = logging.getLogger(__name__)


class Late(Enum):
    """What becomes of an outcome whose run was taken for dead before."""

    UNKNOWN = auto()
    """There is no longer such a run, or it was not taken for dead."""

    NOTHING = auto()
    """There is nothing to add.

    Its machine ended it because it was cut off, or this very outcome is recorded, and the answer to
    that COMMIT was lost.
    """

    COUNTS = auto()
    """It is the row's outcome now: the slot has not begun again."""

    ADDED = auto()
    """It stands beside the interruption: the slot has begun again."""


class RunTable:
    """`task_runs`: one row for each attempt at each slot (law 3)."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.added = 0
        """How many rows this process has added, at the most: what is rolled back counts too."""

    def claim_run(
        self,
        task: ScheduledTask,
        slot: datetime,
        attempt: int,
        *,
        started_at: datetime,
        owner: str,
        trigger: Trigger = Trigger.SCHEDULE,
        collapsed: int = 0,
    ) -> Claim | None:
        """Claim one attempt at one slot for the process `owner`.

        Returns None if that attempt has a row already. Raises ConflictError if another run of
        the task is alive.
        """
        place = place_of(task, self._database.here)
        run = (task.id, task.name, utc_text(slot), attempt, utc_text(started_at), trigger, collapsed, place)
        number = self._database.insert(
            "INSERT INTO task_runs (task_id, task_name, scheduled_for, attempt, started_at, trigger, collapsed,"
            " place, status, owner, live) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'running', ?, 1)"
            " ON CONFLICT (task_id, scheduled_for, attempt) DO NOTHING",
            (*run, owner),
        )
        if number is None:
            self._require_run(task, slot, attempt)
            return None
        self.added += 1
        return Claim(number, task, slot, attempt, started_at, trigger)

    def record_unrun(
        self, task: ScheduledTask, slot: datetime, status: RunStatus, reason: str, *, at: datetime, collapsed: int = 0
    ) -> bool:
        """Record a slot that is not run, and why. Returns whether it had no row before."""
        row = (task.id, task.name, utc_text(slot), utc_text(at), utc_text(at), status, reason, collapsed)
        answer = self._database.write(
            "INSERT INTO task_runs (task_id, task_name, scheduled_for, attempt, started_at, finished_at, status,"
            " reason, collapsed) VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?)"
            " ON CONFLICT (task_id, scheduled_for, attempt) DO NOTHING",
            row,
        )
        if not answer.count:
            self._require_run(task, slot, 1)
        self.added += answer.count
        return answer.count > 0

    def _require_run(self, task: ScheduledTask, slot: datetime, attempt: int) -> None:
        """Raise ConflictError unless that attempt has a row.

        Another program's RAISE(IGNORE) drops our row in silence.
        """
        query = "SELECT 1 FROM task_runs WHERE task_id = ? AND scheduled_for = ? AND attempt = ?"
        if not self._database.read(query, (task.id, utc_text(slot), attempt)):
            raise ConflictError("a row of task_runs vanished as it was written", fix="look for a trigger on it")

    def finish_run(
        self, claim: Claim, outcome: Outcome, finished_at: datetime, *, note_in_task: bool = True
    ) -> str | None:
        """Record how a claimed attempt ended, in its row and, unless it refuses, in its task's.

        Returns the task's name, which may have changed since the claim. Returns None, and writes
        nothing, if there is no longer such a row: it was recovered, or the file was replaced by
        another one with other runs.
        """
        with self._database.transaction():
            answer = self._database.write(
                "UPDATE task_runs SET status = ?, reason = ?, result = ?, finished_at = ?, live = ?"
                " WHERE id = ? AND scheduled_for = ? AND started_at = ? AND status = 'running'",
                (
                    outcome.status,
                    outcome.reason,
                    outcome.result,
                    utc_text(finished_at),
                    1 if outcome.lingers else None,
                    claim.run_id,
                    utc_text(claim.scheduled_for),
                    utc_text(claim.started_at),
                ),
            )
            if answer.count == 0:
                return None
            if note_in_task and self._note_in_task(claim, outcome, claim.task.name):
                return claim.task.name
            # It was renamed, or removed, meanwhile. To ask in any case is one more statement a run.
            name = str(self._database.value("SELECT task_name FROM task_runs WHERE id = ?", (claim.run_id,)))
            if note_in_task and name != claim.task.name:
                self._note_in_task(claim, outcome, name)
            return name

    def finish_late(self, claim: Claim, outcome: Outcome, at: datetime) -> Late:
        """Record how an attempt ended that was taken for dead before; call it in a transaction."""
        run = self.get_run(claim.run_id)
        if run is None or (run.scheduled_for, run.started_at) != (claim.scheduled_for, claim.started_at):
            return Late.UNKNOWN
        if (run.finished_at, run.status) == (at, outcome.status):
            return Late.NOTHING
        if run.status is not RunStatus.INTERRUPTED:
            return Late.UNKNOWN
        if outcome.cut_off:
            return Late.NOTHING
        if not self._has_later_attempt(run):
            reason = f"{outcome.reason}; " if outcome.reason else ""
            self._put_outcome(claim, outcome.status, f"{reason}it was taken for dead before it ended", outcome, at)
            self._note_in_task(claim, outcome, run.task_name)
            return Late.COUNTS
        ended = f"{run.reason}; it ended after all: {outcome.status}"
        self._put_outcome(claim, RunStatus.INTERRUPTED, f"{ended} {outcome.reason or ''}".rstrip(), outcome, at)
        return Late.ADDED

    def _has_later_attempt(self, run: Run) -> bool:
        query = "SELECT 1 FROM task_runs WHERE task_id = ? AND scheduled_for = ? AND attempt > ? LIMIT 1"
        return bool(self._database.read(query, (run.task_id, utc_text(run.scheduled_for), run.attempt)))

    def _put_outcome(self, claim: Claim, status: RunStatus, reason: str, outcome: Outcome, at: datetime) -> None:
        self._database.write(
            "UPDATE task_runs SET status = ?, reason = ?, result = ?, finished_at = ? WHERE id = ?",
            (status, reason, outcome.result, utc_text(at), claim.run_id),
        )

    def _note_in_task(self, claim: Claim, outcome: Outcome, name: str) -> bool:
        """Tell the task's row of the run. Returns whether there is such a row, of that name."""
        try:
            answer = self._database.write(
                "UPDATE scheduled_tasks SET last_run_at = ?, last_result = ?"
                " WHERE id = (SELECT task_id FROM task_runs WHERE id = ?) AND name = ?",
                (local_text(claim.started_at, self._database.zone()), outcome.last_result, claim.run_id, name),
            )
        except ConflictError as error:
            if not self._database.connection.in_transaction:  # the trigger took back all of it
                raise
            _logger.error("The row of task %r does not take its result: %s", claim.task.name, error)
            return True
        return answer.count > 0

    def record_delivery(self, run_id: int, account: str) -> None:
        """Keep what became of a run's delivery (JSON text)."""
        with self._database.transaction():
            self._database.write("UPDATE task_runs SET delivery = ? WHERE id = ?", (account, run_id))
            rows = self._database.read(
                "SELECT t.id, t.last_result FROM task_runs r JOIN scheduled_tasks t ON t.id = r.task_id"
                " WHERE r.id = ? AND NOT EXISTS (SELECT 1 FROM task_runs n WHERE n.task_id = r.task_id"
                " AND n.id > r.id AND n.status IN ('executed', 'error', 'timeout', 'interrupted'))",
                (run_id,),
            )
            for row in rows:
                self._tell_delivery(row["id"], row["last_result"], account)

    def _tell_delivery(self, task_id: int, last_result: str | None, account: str) -> None:
        """Put the account into the task's `last_result`, where the assistant's tools look."""
        result = json_value(last_result)
        if isinstance(result, dict):
            text = json.dumps(result | {"delivery": json.loads(account)})
            self._database.write("UPDATE scheduled_tasks SET last_result = ? WHERE id = ?", (text, task_id))

    def rename_runs(self, task_id: int, name: str) -> None:
        """Give a task's history its new name."""
        self._database.write("UPDATE task_runs SET task_name = ? WHERE task_id = ?", (name, task_id))

    def release_run(self, run_id: int) -> None:
        """A thread that outlived its time limit has ended: its task may start again.

        What still runs is not released: in a file that replaced ours, the number is another run's.
        """
        self._database.write("UPDATE task_runs SET live = NULL WHERE id = ? AND status <> 'running'", (run_id,))

    def live_runs(self) -> list[Run]:
        """The runs that can still do something, in whatever process, the oldest first."""
        rows = self._database.read(f"SELECT {RUN} FROM task_runs r WHERE r.live = 1 ORDER BY r.started_at, r.id")
        return list(_readable(rows))

    def live_runs_of_others(self, owner: str) -> list[Run]:
        """The runs that can still do something in other processes than `owner`."""
        rows = self._database.read(
            f"SELECT {RUN} FROM task_runs r WHERE r.live = 1 AND (r.owner IS NULL OR r.owner <> ?)", (owner,)
        )
        return list(_readable(rows))

    def adopt_running(self) -> None:
        """Have rows that other programs wrote as running recovered like ours.

        Rows that cannot be read stay: nobody could end them, and they would block their task.
        """
        for run in _readable(
            self._database.read(f"SELECT {RUN} FROM task_runs r WHERE r.status = 'running' AND r.live IS NULL")
        ):
            self._database.write(
                "UPDATE task_runs SET live = 1 WHERE id = ?"
                " AND NOT EXISTS (SELECT 1 FROM task_runs r WHERE r.task_id = task_runs.task_id AND r.live = 1)",
                (run.id,),
            )

    def interrupt_run(self, run: Run, reason: str, at: datetime) -> bool:
        """The process of a live run is gone: what ran is interrupted, what lingered has ended.

        Returns False if the run is no longer as it was: its process ended it before
        it went, or another one was here first.
        """
        answer = self._database.write(
            "UPDATE task_runs SET live = NULL, finished_at = coalesce(finished_at, ?),"
            " reason = CASE status WHEN 'running' THEN ? ELSE reason END,"
            " status = CASE status WHEN 'running' THEN 'interrupted' ELSE status END"
            " WHERE id = ? AND live = 1 AND status = ?",
            (utc_text(at), reason, run.id, run.status),
        )
        return answer.count > 0

    def prune_old_runs(self, before: datetime, limit: int) -> int:
        """Delete up to `limit` ended runs that started before `before`, but never a task's last.

        Returns how many were deleted.
        """
        return self._database.write(
            "DELETE FROM task_runs WHERE id IN (SELECT r.id FROM task_runs r WHERE r.started_at < ? AND r.live IS NULL"
            " AND r.id < (SELECT max(id) FROM task_runs WHERE task_id = r.task_id) ORDER BY r.started_at LIMIT ?)",
            (utc_text(before), limit),
        ).count

    def tasks_with_more_runs(self, count: int) -> list[int]:
        """The numbers of the tasks that have more than `count` rows."""
        rows = self._database.read("SELECT task_id FROM task_runs GROUP BY task_id HAVING count(*) > ?", (count,))
        return [row["task_id"] for row in rows]

    def prune_surplus_runs(self, task_id: int, keep: int, limit: int) -> int:
        """Delete up to `limit` ended runs of a task beyond its newest `keep`. Returns how many."""
        return self._database.write(
            "DELETE FROM task_runs WHERE id IN (SELECT id FROM task_runs WHERE task_id = ? AND live IS NULL AND id <="
            " (SELECT id FROM task_runs WHERE task_id = ? ORDER BY id DESC LIMIT 1 OFFSET ?) ORDER BY id LIMIT ?)",
            (task_id, task_id, keep, limit),
        ).count

    def slot_has_run(self, task_id: int, slot: datetime) -> bool:
        """Whether that slot has a row."""
        query = "SELECT 1 FROM task_runs WHERE task_id = ? AND scheduled_for = ? LIMIT 1"
        return bool(self._database.read(query, (task_id, utc_text(slot))))

    def has_slot_begun(self, task: ScheduledTask, slot: datetime) -> bool:
        """Whether a run for the single slot that a task's schedule names has begun.

        Of a task that other programs run, its own row tells that it has run.
        """
        query = (
            "SELECT 1 FROM task_runs WHERE task_id = ? AND scheduled_for = ?"
            " AND status NOT IN ('missed', 'skipped') LIMIT 1"
        )
        return task.last_run_at is not None or bool(self._database.read(query, (task.id, utc_text(slot))))

    def is_slot_over(self, task: ScheduledTask, slot: datetime) -> bool:
        """Whether a task is done with the single slot that its schedule names.

        So it is if it was claimed with this very schedule, or has a row at that instant. A row of
        the assistant's that names no next run is done with it too if it has run since, or if it
        was made later than that.
        """
        done = self._database.value(
            "SELECT schedule FROM task_done WHERE task_id = ? AND task_name = ?", (task.id, task.name)
        )
        if done == _schedule_of(task) or (task.id is not None and self.slot_has_run(task.id, slot)):
            return True
        if task.next_run_at is not None:
            return False
        ran_since = self._is_from(task.last_run_at, slot, parse_instant)
        return ran_since or self._is_from(task.created_at, slot + _JUST_NOW, parse_stamp)

    def note_done(self, task: ScheduledTask) -> None:
        """Note that a task's single slot is over, whatever its zone's rules become."""
        self._database.write(
            "INSERT INTO task_done (task_id, task_name, schedule) VALUES (?, ?, ?) ON CONFLICT (task_id)"
            " DO UPDATE SET task_name = excluded.task_name, schedule = excluded.schedule",
            (task.id, task.name, _schedule_of(task)),
        )

    def _is_from(self, text: str | None, slot: datetime, read: Callable[[str, tzinfo], datetime]) -> bool:
        with suppress(ScheduleError):
            return text is not None and read(text, self._database.zone()) >= slot
        return False

    def slots_with_run(self, task_id: int, start: datetime, end: datetime) -> list[datetime]:
        """The task's slots in [start, end) that have a row."""
        rows = self._database.read(
            f"SELECT {RUN} FROM task_runs r WHERE task_id = ? AND attempt = 1"
            " AND scheduled_for >= ? AND scheduled_for < ? AND trigger = 'schedule'",
            (task_id, utc_text(start), utc_text(end)),
        )
        return [run.scheduled_for for run in _readable(rows)]

    def last_started_at(self) -> datetime | None:
        """When the newest run of any task started."""
        rows = self._database.read(f"SELECT {RUN} FROM task_runs r ORDER BY r.id DESC LIMIT 1")
        return next((run.started_at for run in _readable(rows)), None)

    def latest_start(self) -> datetime | None:
        """The latest start of all runs; None if there is none, or if it is not a time."""
        with suppress(ScheduleError):
            return parse_instant(self._database.value("SELECT max(started_at) FROM task_runs") or "")
        return None

    def get_run(self, run_id: int) -> Run | None:
        """The run with that number, or None."""
        rows = self._database.read(f"SELECT {RUN} FROM task_runs r WHERE r.id = ?", (run_id,))
        return next(_readable(rows), None)

    def run_numbers(self) -> set[int]:
        """The numbers of all runs."""
        return {row["id"] for row in self._database.read("SELECT id FROM task_runs")}

    def list_runs(
        self,
        *,
        task: str | None = None,
        status: RunStatus | None = None,
        since: datetime | None = None,
        limit: int | None = None,
    ) -> list[Run]:
        """Runs, the newest first.

        Args:
            task: only those of the task with this name.
            status: only those that stand or ended so.
            since: only those that started at this instant or later.
            limit: at most this many; None for all.
        """
        wanted: list[tuple[str, Any]] = [
            ("task_name = ?", task),
            ("status = ?", status),
            ("started_at >= ?", since and utc_text(since)),
        ]
        conditions = [(condition, value) for condition, value in wanted if value is not None]
        where = "WHERE " + " AND ".join(condition for condition, _ in conditions) if conditions else ""
        values = [value for _, value in conditions]
        most, values = ("", values) if limit is None else ("LIMIT ?", [*values, limit])
        rows = self._database.read(
            f"SELECT {RUN} FROM task_runs r {where} ORDER BY started_at DESC, id DESC {most}", values
        )
        return list(_readable(rows))

    def task_of_run(self, run_id: int) -> ScheduledTask | None:
        """The task that a run belongs to, as it stands now; None if that task was removed.

        Another task may have its number by now.
        """
        rows = self._database.read(
            f"SELECT {TASK} FROM task_runs r JOIN scheduled_tasks t ON t.id = r.task_id WHERE r.id = ?", (run_id,)
        )
        return to_task(rows[0]) if rows else None

    def last_runs(self, task_ids: Collection[int] | None = None) -> dict[int, Run]:
        """The newest run of each task, or of these tasks, by the task's number."""
        if task_ids is not None and not task_ids:
            return {}
        condition = "" if task_ids is None else f"WHERE t.id IN ({', '.join(map(str, task_ids))})"
        rows = self._database.read(
            f"SELECT {RUN} FROM scheduled_tasks t JOIN task_runs r"
            f" ON r.id = (SELECT max(id) FROM task_runs WHERE task_id = t.id) {condition}"
        )
        return {run.task_id: run for run in _readable(rows)}


def _schedule_of(task: ScheduledTask) -> str:
    zone = task_policy(task.policy).timezone
    return f"{task.schedule_config} {zone or ''}"


def _readable(rows: Iterable[Row]) -> Iterator[Run]:
    """The rows as runs, without those of other programs that nobody can read (law 4)."""
    for row in rows:
        try:
            run = _to_run(row)
        except (ScheduleError, ValueError) as error:
            _logger.warning("Row %s of task_runs is passed over, since it cannot be read: %s", row["id"], error)
        else:
            yield run


def _to_run(row: Row) -> Run:
    return Run(**{name: read(row[name]) for name, read in _FIELDS.items()})


def _instant_or_none(text: str | None) -> datetime | None:
    return None if text is None else parse_instant(text)


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "int": int,
    "str": str,
    "str | None": as_text,
    "datetime": parse_instant,
    "datetime | None": _instant_or_none,
    "RunStatus": RunStatus,
    "Trigger": Trigger,
}
_FIELDS = {field.name: _READERS[str(field.type)] for field in fields(Run)}
"""How each column of a run is read. A new field of `Run` needs no line if its type has one."""
