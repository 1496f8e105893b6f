"""What is to be done and when: `task_queue`.

A task's next slot is the row with attempt 1. Triggers make that row, unsettled, whenever
somebody adds or changes the task. `UNSETTLED` sorts before every instant, so the engine sees
it first, reads the task, and settles the row on a slot (`settle`, `set_next_run`).

Guarantees:

- Whoever writes a task's row, the engine reads it before anything else that is due.
- What is not due costs nothing: every question goes by the index on `due_at`.

This code assumes that the triggers are there (`sqlite` sees to it at each tick), and that `head`
is asked in the transaction that acts on its answer.

The races, each with what decides it:

1. A person edits a task while the engine settles it. The edit's trigger leaves the row unsettled,
   before or after: then the engine reads it once more.
2. Two processes ask for the head at once. The second one asks again under the write lock.
3. A retry becomes due while another run of its task is alive. It waits; a slot does not, because
   it is recorded as skipped.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from jarvis_trio.errors import ScheduleError
from jarvis_trio.models import Due, ScheduledTask, require_id
from jarvis_trio.notation.instants import from_microseconds, local_text, parse_instant, to_microseconds
from jarvis_trio.schedules.schedule import stored_next_run
from jarvis_trio.store.connection import Row
from jarvis_trio.store.database import Database
from jarvis_trio.store.places import Condition, place_of
from jarvis_trio.store.schema import UNSETTLED
from jarvis_trio.store.tasks import TASK, to_task

# A retry waits while another run of its task is alive; a slot does not, since it is
# recorded as skipped then.
_READY = "(q.attempt = 1 OR NOT EXISTS (SELECT 1 FROM task_runs r WHERE r.task_id = q.task_id AND r.live = 1))"
# `+`, so that statistics which another program's ANALYZE has left there, of a time with few tasks,
# do not have all tasks read first: the index on task_id cannot serve this
# (sqlite.org/optoverview.html, 2).
_QUEUE = "FROM task_queue q JOIN scheduled_tasks t ON t.id = +q.task_id"

_LOOK_AHEAD = """
SELECT (SELECT q.due_at {queue} WHERE {ready} {others} ORDER BY q.due_at LIMIT 1),
    (SELECT min(due_at) FROM outbox {letters}),
    (SELECT d.due_at FROM task_deadlines d
        WHERE (SELECT t.enabled FROM scheduled_tasks t WHERE t.id = d.task_id) = 1 ORDER BY d.due_at LIMIT 1),
    EXISTS (SELECT 1 FROM task_runs WHERE live = 1 AND (owner IS NULL OR owner <> ?)),
    EXISTS (SELECT 1 FROM requests WHERE answered_at IS NULL)
"""


_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)
_logger = logging.getLogger(__name__)


class Ahead(NamedTuple):
    """When the next slot or retry, message and deadline are due; None if there is none.

    `slot_at` lies before every instant if a task was changed and must be read again. `others_run`
    tells of other processes, `asked` of requests that nobody has answered.
    """

    slot_at: datetime | None
    letter_at: datetime | None
    deadline_at: datetime | None
    others_run: bool
    asked: bool


class Backlog(NamedTuple):
    """How many tasks are overdue, and whose slot comes first, with its instant (aware UTC)."""

    overdue: int
    next: tuple[str, datetime] | None


class TaskQueue:
    """The queue of slots and retries, ordered by when they are due."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def look_ahead(self, owner: str, without: Collection[int] = (), *, shared: bool = True) -> Ahead:
        """What is to be done next, and whether processes other than `owner` run something.

        The slots of the tasks `without` are passed over, and unless `shared`, those that other
        machines may run as well.
        """
        ready, values = self._ready(shared=shared)
        letters, senders = self._letters()
        query = _look_ahead(ready, _others(without), letters)
        row = self._database.read(query, (*values, *senders, owner))[0]
        slot_at, letter_at, deadline_at = map(_instant_or_none, (row[0], row[1], row[2]))
        return Ahead(slot_at, letter_at, deadline_at, bool(row[3]), bool(row[4]))

    def head(self, now: datetime, without: Collection[int] = (), *, shared: bool = True) -> Due | None:
        """What has been due the longest at `now`; a task that was changed comes before all others.

        The tasks `without` are passed over, and unless `shared`, those that other machines may
        run as well. A row of another program that makes no sense is made again.
        """
        while row := self._head_row(now, without, shared=shared):
            try:
                return _to_due(row)
            except (TypeError, ValueError, OverflowError):
                self._make_again(row)
        return None

    def _head_row(self, now: datetime, without: Collection[int], *, shared: bool) -> Row | None:
        ready, values = self._ready(shared=shared)
        rows = self._database.read(_head(ready, _others(without)), (to_microseconds(now), *values))
        return rows[0] if rows else None

    def _make_again(self, row: Row) -> None:
        task = to_task(row)
        self._database.write(
            "DELETE FROM task_queue WHERE task_id = ? AND attempt = ? AND scheduled_for = ?",
            (require_id(task), row["q_attempt"], row["q_slot"]),
        )
        self.unsettle(task)
        _logger.warning("A row of the queue made no sense; task %r is read again", task.name, extra={"task": task.name})

    def _ready(self, *, shared: bool) -> Condition:
        """What can be run now, and here. Any machine may read a task that was changed."""
        if self._database.here is None:
            return _READY, ()
        condition, values = self._database.here.takes("q.place", shared=shared)
        return f"{_READY} AND (q.due_at = {UNSETTLED} OR {condition})", values

    def _letters(self) -> Condition:
        if self._database.here is None:
            return "", ()
        condition, values = self._database.here.sends()
        return f"WHERE {condition}", values

    def _place(self, task: ScheduledTask) -> str | None:
        return place_of(task, self._database.here)

    def settle(
        self, task: ScheduledTask, slot: datetime, *, collapsed: int = 0, origin: datetime | None = None
    ) -> None:
        """Settle the task's queue row, which a trigger made, on `slot`.

        Args:
            task: a stored task; the text in its own row stays as it is.
            slot: its next slot, aware UTC.
            collapsed: how many earlier slots this one stands for.
            origin: the instant from which the schedule leads to `slot`, or None if `slot` was
                moved by hand.
        """
        instant = to_microseconds(slot)
        since = None if origin is None else to_microseconds(origin)
        self._database.write(
            "UPDATE task_queue SET scheduled_for = ?, due_at = ?, collapsed = ?, waits_from = ?, place = ?"
            " WHERE task_id = ? AND attempt = 1",
            (instant, max(instant, UNSETTLED + 1), collapsed, since, self._place(task), require_id(task)),
        )

    def unsettle(self, task: ScheduledTask) -> None:
        """Have the engine read the task's row again, as if somebody had changed it."""
        with self._database.transaction():
            self.dequeue_slot(require_id(task))
            self._database.write(
                "INSERT INTO task_queue (task_id, attempt, scheduled_for, due_at) VALUES (?, 1, ?, ?)",
                (require_id(task), UNSETTLED, UNSETTLED),
            )

    def enqueue_retry(self, task: ScheduledTask, slot: datetime, attempt: int, due_at: datetime) -> None:
        """Have `slot` tried again at `due_at`, as attempt number `attempt`."""
        self._database.write(
            "INSERT INTO task_queue (task_id, attempt, scheduled_for, due_at, place) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (task_id, attempt, scheduled_for) DO UPDATE SET due_at = excluded.due_at",
            (
                require_id(task),
                attempt,
                to_microseconds(slot),
                to_microseconds(due_at),
                self._place(task),
            ),
        )

    def keep_retries_waiting(self, now: datetime, back: timedelta) -> None:
        """The clock was set back by `back` to `now` (aware UTC): no retry waits longer for it."""
        self._database.keep_waits("task_queue", now, back, condition="attempt > 1")

    def dequeue(self, task_id: int) -> None:
        """Take a task out of the queue, with its retries."""
        self._database.write("DELETE FROM task_queue WHERE task_id = ?", (task_id,))

    def dequeue_slot(self, task_id: int) -> None:
        """Take a task's next slot out of the queue; its retries stay."""
        self._database.write("DELETE FROM task_queue WHERE task_id = ? AND attempt = 1", (task_id,))

    def dequeue_retry(self, task_id: int, slot: datetime, attempt: int) -> None:
        """Take one retry out of the queue."""
        self._database.write(
            "DELETE FROM task_queue WHERE task_id = ? AND attempt = ? AND scheduled_for = ?",
            (task_id, attempt, to_microseconds(slot)),
        )

    def queued_slot(self, task_id: int) -> datetime | None:
        """The task's next slot, or None if it has none."""
        query = "SELECT scheduled_for FROM task_queue WHERE task_id = ? AND attempt = 1"
        return _instant_or_none(self._database.value(query, (task_id,)))

    def queued_slots(self) -> list[tuple[ScheduledTask, datetime, datetime | None]]:
        """Every enabled task's next slot, and its origin as in `Due`."""
        rows = self._database.read(
            f"SELECT {TASK}, q.scheduled_for AS q_slot, q.waits_from AS q_from {_QUEUE}"
            f" WHERE q.attempt = 1 AND q.due_at > {UNSETTLED} AND t.enabled = 1"
        )
        found = ((to_task(row), _instant_or_none(row["q_slot"]), _instant_or_none(row["q_from"])) for row in rows)
        return [(task, slot, origin) for task, slot, origin in found if slot is not None]

    def backlog(self, now: datetime, without: Collection[int] = ()) -> Backlog:
        """How many enabled tasks are overdue at `now` (aware UTC), and which one is next.

        The tasks `without` do not count. By index: only the rows of tasks that the engine has
        not read yet, or that wait outside of the queue, are read one by one.
        """
        others, instant = _others(without), to_microseconds(now)
        settled = f"{_QUEUE} WHERE q.attempt = 1 AND q.due_at > {UNSETTLED} AND t.enabled = 1 {others}"
        overdue = int(self._database.value(f"SELECT count(*) {settled} AND q.due_at <= ?", (instant,)))
        first = self._database.read(f"SELECT t.name, q.scheduled_for {settled} ORDER BY q.due_at LIMIT 1")
        slots = [(str(row[0]), at) for row in first if (at := _instant_or_none(row[1])) is not None]

        for task in self._unsettled(others):
            if (at := stored_next_run(task, self._database.zone())) is not None:
                overdue += at <= now
                slots.append((task.name, at))
        return Backlog(overdue, min(slots, key=lambda slot: slot[1], default=None))

    def _unsettled(self, others: str) -> Iterator[ScheduledTask]:
        rows = self._database.read(
            f"SELECT {TASK} FROM scheduled_tasks t LEFT JOIN task_queue q ON q.task_id = t.id AND q.attempt = 1"
            " WHERE t.enabled = 1 AND t.next_run_at IS NOT NULL"
            f" AND (q.task_id IS NULL OR q.due_at = {UNSETTLED}) {others.replace('q.task_id', 't.id')}"
        )
        return map(to_task, rows)

    def latest_origin(self) -> datetime | None:
        """The latest instant from which an interval counts to its next slot; None if there is none.

        The clock has read that, or a moment less, when the slot was queued.
        """
        query = (
            "SELECT max(q.waits_from) FROM task_queue q JOIN scheduled_tasks t ON t.id = q.task_id"
            " WHERE q.attempt = 1 AND t.schedule_type = 'interval'"
        )
        return _instant_or_none(self._database.value(query))

    def drop_orphans(self) -> None:
        """Forget what belongs to tasks that are gone.

        A REPLACE by another program fires no trigger for the row that it deletes.
        """
        with self._database.transaction():
            for table in ("task_queue", "task_troubles", "task_deadlines", "task_done"):
                self._database.write(f"DELETE FROM {table} WHERE task_id NOT IN (SELECT id FROM scheduled_tasks)")

    def set_next_run(
        self, task: ScheduledTask, slot: datetime | None, *, collapsed: int = 0, origin: datetime | None = None
    ) -> str | None:
        """Write a task's next run twice: in its row for other programs, and in the queue for us.

        Args:
            task: a stored task.
            slot: its next slot, aware UTC; None takes the slot out of the queue.
            collapsed: as for `settle`.
            origin: as for `settle`.

        Returns the text. It is local, with the offset: programs that compare it as text with
        their naive local time stay right.
        """
        text = None if slot is None else local_text(slot, self._database.zone())
        with self._database.transaction():
            self._database.write("UPDATE scheduled_tasks SET next_run_at = ? WHERE id = ?", (text, require_id(task)))
            if slot is None:
                self.dequeue_slot(require_id(task))
            else:
                self.settle(task, slot, collapsed=collapsed, origin=origin)
        return text


@lru_cache(maxsize=8)
def _head(ready: str, others: str) -> str:
    """The statement of `TaskQueue.head`, made and hashed once and not in each run."""
    return (
        f"SELECT {TASK}, q.attempt AS q_attempt, q.due_at = {UNSETTLED}, q.scheduled_for AS q_slot,"
        " q.collapsed, q.waits_from, q.due_at,"
        " (SELECT r.started_at FROM task_runs r WHERE r.task_id = q.task_id AND r.live = 1)"
        f" {_QUEUE} WHERE q.due_at <= ? AND {ready} {others}"
        " ORDER BY q.due_at, q.task_id, q.attempt LIMIT 1"
    )


@lru_cache(maxsize=8)
def _look_ahead(ready: str, others: str, letters: str) -> str:
    return _LOOK_AHEAD.format(queue=_QUEUE, ready=ready, others=others, letters=letters)


def _others(without: Collection[int]) -> str:
    return f"AND q.task_id NOT IN ({', '.join(map(str, without))})" if without else ""


def _to_due(row: Row) -> Due:
    """Raises TypeError, ValueError or OverflowError for a row that makes no sense."""
    *columns, attempt, changed, slot, collapsed, origin, due_at, since = row
    if not (_is_number(attempt, 1) and _is_number(collapsed, 0) and isinstance(slot, int)):
        raise ValueError("not a number of attempts or slots, or of microseconds")
    if changed and attempt > 1:
        raise ValueError("only a next slot can be unsettled")
    return Due(
        task=to_task(columns),
        attempt=attempt,
        scheduled_for=from_microseconds(slot),
        changed=bool(changed),
        collapsed=collapsed,
        running_since=None if since is None else _since(since),
        due_at=from_microseconds(due_at),
        origin=_instant_or_none(origin),
    )


def _is_number(value: object, least: int) -> bool:
    return isinstance(value, int) and least <= value < 1 << 31


def _since(text: str) -> datetime:
    """When a live run started; the Unix epoch if another program wrote what nobody can read."""
    try:
        return parse_instant(text)
    except ScheduleError:
        return from_microseconds(0)


def _instant_or_none(microseconds: int | None) -> datetime | None:
    """The instant; None too for what never comes: beyond the calendar, or not a number."""
    if microseconds is None:
        return None
    try:
        return from_microseconds(microseconds)
    except (TypeError, OverflowError):
        is_before = isinstance(microseconds, int) and microseconds < UNSETTLED
        return _BEFORE_ALL if is_before else None
