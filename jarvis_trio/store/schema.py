"""The tables, in the numbered steps in which they grew (law 8).

Each step adds to the ones before it: tables, columns, indexes, then statements that move
what is stored already. `ladder` takes a file up, step by step. To change our tables, append a
`Step`; the ones above it are in files that people have, so they stay as they are.

Types are the few words that every database understands in its own way: `NUMBERED`, INTEGER
(64 bits), REAL, TEXT, BLOB. What our tables hold, and why, stands with the step that made them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

NUMBERED = "INTEGER PRIMARY KEY AUTOINCREMENT"
"""The type of a column that numbers its rows; no number is used twice."""

UNSETTLED = 0
"""`task_queue.due_at` of a row whose task was changed: the engine has yet to settle its slot.

Older programs and their triggers use the same value, so it cannot change.
"""


class Table(NamedTuple):
    """A table's columns by name, each with its type, and its key if that has several columns.

    `theirs` marks one of the assistant's: it is made if it is missing, and its rows are left alone.
    `by_key` says that its rows lie in the order of their key.
    """

    columns: Mapping[str, str]
    key: str = ""
    by_key: bool = False
    theirs: bool = False

    def keys(self) -> list[tuple[str, ...]]:
        """The columns of each key that its rows are told apart by."""
        whole: list[tuple[str, ...]] = [(column,) for column, type_ in self.columns.items() if "PRIMARY KEY" in type_]
        if self.key:
            names = self.key.partition("(")[2].rstrip(")")
            whole.append(tuple(name.strip() for name in names.split(",")))
        return whole


class Step(NamedTuple):
    """One change of the tables.

    Args:
        says: what is new, for the log and the next engineer.
        tables: new tables.
        columns: new columns of tables of earlier steps. One that may not be NULL needs a DEFAULT.
        indexes: new indexes by name, as `table (columns)`, with UNIQUE before and WHERE behind.
        then: statements that move what is stored; they run once, and in older files only.
    """

    says: str
    tables: Mapping[str, Table] = MappingProxyType({})
    columns: Mapping[str, Mapping[str, str]] = MappingProxyType({})
    indexes: Mapping[str, str] = MappingProxyType({})
    then: Sequence[str] = ()


_ASSISTANTS = {
    "scheduled_tasks": Table(
        {
            "id": NUMBERED,
            "name": "TEXT NOT NULL UNIQUE",
            "description": "TEXT",
            "schedule_type": "TEXT NOT NULL",
            "schedule_config": "TEXT NOT NULL",
            "handler_type": "TEXT NOT NULL",
            "handler_config": "TEXT",
            "enabled": "INTEGER NOT NULL DEFAULT 1",
            "last_run_at": "TEXT",
            "next_run_at": "TEXT",
            "last_result": "TEXT",
            "created_at": "TEXT",
            "updated_at": "TEXT",
            "delivery_channel": "TEXT",
            "delivery_config": "TEXT",
            "policy": "TEXT",  # ours
        },
        theirs=True,
    ),
    "webhook_events": Table(
        {
            "id": NUMBERED,
            "source": "TEXT NOT NULL",
            "event_type": "TEXT NOT NULL",
            "payload": "TEXT",
            "status": "TEXT NOT NULL DEFAULT 'pending'",
            "received_at": "TEXT",
            "processed_at": "TEXT",
        },
        theirs=True,
    ),
    "alert_rules": Table(
        {
            "id": NUMBERED,
            "name": "TEXT NOT NULL UNIQUE",
            "description": "TEXT",
            "alert_type": "TEXT NOT NULL",
            "condition": "TEXT",
            "enabled": "INTEGER NOT NULL DEFAULT 1",
            "last_triggered_at": "TEXT",
            "created_at": "TEXT",
        },
        theirs=True,
    ),
    "delegations": Table(
        {
            "id": NUMBERED,
            "task": "TEXT NOT NULL",
            "description": "TEXT",
            "delegated_to": "TEXT",
            "delegated_by": "TEXT",
            "due_date": "TEXT",
            "priority": "TEXT",
            "status": "TEXT NOT NULL DEFAULT 'active'",
            "source": "TEXT",
            "notes": "TEXT",
            "created_at": "TEXT",
            "updated_at": "TEXT",
        },
        theirs=True,
    ),
    "decisions": Table(
        {
            "id": NUMBERED,
            "title": "TEXT NOT NULL",
            "description": "TEXT",
            "context": "TEXT",
            "alternatives_considered": "TEXT",
            "decided_by": "TEXT",
            "owner": "TEXT",
            "status": "TEXT NOT NULL DEFAULT 'pending_execution'",
            "follow_up_date": "TEXT",
            "tags": "TEXT",
            "source": "TEXT",
            "created_at": "TEXT",
            "updated_at": "TEXT",
        },
        theirs=True,
    ),
    "facts": Table(
        {
            "id": NUMBERED,
            "category": "TEXT NOT NULL",
            "key": "TEXT NOT NULL",
            "value": "TEXT",
            "confidence": "REAL",
            "source": "TEXT",
            "created_at": "TEXT",
            "updated_at": "TEXT",
        },
        key="UNIQUE (category, key)",
        theirs=True,
    ),
}

TASK_COLUMNS = frozenset(
    ("id", "name", "schedule_type", "schedule_config", "handler_type", "handler_config", "enabled", "next_run_at")
)
"""A table that has these is one of tasks, whatever it is called; the oldest files have them."""

# `task_runs` holds instants as UTC text, so that one instant has one text whatever the
# machine's zone is, and the unique constraint on the slot is exact.
#
# `live` is 1 while an attempt can still do something: it runs, or it ran into its time limit and
# its thread is alive. The unique index on it is law 2's second half, a task never overlaps itself,
# kept by the database for all processes together. `task_runs_foreign` holds what other programs
# wrote as running, so none of our rows.
#
# `task_queue` is what is to be done: one row with attempt 1 for a task's next slot, one for each
# retry. Its times are microseconds since 1970 UTC. `waits_from` is the instant an interval counts
# from. It cannot be told from the slot: by how much the clock was set back while no daemon ran is
# only known to be "at least", and a slot that looks too far off then was either moved there by a
# person, and stays, or was not, and moves with the clock.
#
# `webhook_files` says that a file's event is in `webhook_events` although the file is not yet in
# `processed/`: what a process that dies in between leaves for the next one. Names of folders and
# files are bytes, and need not be UTF-8.
_OURS = {
    "jarvis_meta": Table({"key": "TEXT PRIMARY KEY", "value": "TEXT"}, by_key=True),
    "task_runs": Table(
        {
            "id": NUMBERED,
            "task_id": "INTEGER NOT NULL",
            "task_name": "TEXT NOT NULL",
            "scheduled_for": "TEXT NOT NULL",
            "attempt": "INTEGER NOT NULL",
            "started_at": "TEXT NOT NULL",
            "finished_at": "TEXT",
            "status": "TEXT NOT NULL",
            "reason": "TEXT",
            "result": "TEXT",
            "trigger": "TEXT NOT NULL DEFAULT 'schedule'",
            "collapsed": "INTEGER NOT NULL DEFAULT 0",
            "delivery": "TEXT",
            "owner": "TEXT",
            "live": "INTEGER",
        },
        key="UNIQUE (task_id, scheduled_for, attempt)",
    ),
    "task_queue": Table(
        {
            "task_id": "INTEGER NOT NULL",
            "attempt": "INTEGER NOT NULL",
            "scheduled_for": "INTEGER NOT NULL",
            "due_at": "INTEGER NOT NULL",
            "collapsed": "INTEGER NOT NULL DEFAULT 0",
            "waits_from": "INTEGER",
        },
        key="PRIMARY KEY (task_id, attempt, scheduled_for)",
        by_key=True,
    ),
    "task_troubles": Table(
        {
            "task_id": "INTEGER NOT NULL",
            "kind": "TEXT NOT NULL",
            "since": "TEXT NOT NULL",
            "reason": "TEXT NOT NULL",
        },
        key="PRIMARY KEY (task_id, kind)",
        by_key=True,
    ),
    "task_deadlines": Table({"task_id": "INTEGER PRIMARY KEY", "due_at": "INTEGER NOT NULL"}),
    "outbox": Table(
        {
            "id": NUMBERED,
            "run_id": "INTEGER",
            "channel": "TEXT NOT NULL",
            "config": "TEXT",
            "task_name": "TEXT NOT NULL",
            "status": "TEXT NOT NULL",
            "result": "TEXT",
            "timestamp": "TEXT NOT NULL",
            "attempt": "INTEGER NOT NULL DEFAULT 0",
            "due_at": "INTEGER NOT NULL",
        }
    ),
    "webhook_files": Table(
        {"inbox": "BLOB NOT NULL", "file": "BLOB NOT NULL"}, key="PRIMARY KEY (inbox, file)", by_key=True
    ),
}

STEPS: tuple[Step, ...] = (
    Step(
        "The first release.",
        tables=_ASSISTANTS | _OURS,
        indexes={
            "task_runs_live": "UNIQUE task_runs (task_id) WHERE live = 1",
            "task_runs_foreign": "task_runs (task_id) WHERE status = 'running' AND live IS NULL",
            "task_runs_by_task": "task_runs (task_id)",
            "task_runs_by_start": "task_runs (started_at)",
            "task_queue_due": "task_queue (due_at)",
            "task_deadlines_due": "task_deadlines (due_at)",
            "outbox_due": "outbox (due_at)",
        },
    ),
    Step(
        "The history of a removed task lets go of its number, which the assistant's table gives out again.",
        # Numbers below 0 are in a file that went back to the first release and comes up again.
        then=(
            "UPDATE task_runs SET task_id = -task_id"
            " WHERE task_id > 0 AND task_id NOT IN (SELECT id FROM scheduled_tasks)",
        ),
    ),
    Step(
        "What people ask of a running daemon: to run a task now, to stop a run.",
        tables={
            "requests": Table(
                {
                    "id": NUMBERED,
                    "kind": "TEXT NOT NULL",
                    "task_id": "INTEGER NOT NULL",
                    "run_id": "INTEGER",
                    "asked_by": "TEXT NOT NULL",
                    "asker": "TEXT NOT NULL",
                    "asked_at": "TEXT NOT NULL",
                    "answered_at": "TEXT",
                    "refusal": "TEXT",
                }
            )
        },
        indexes={
            "requests_open": "requests (id) WHERE answered_at IS NULL",
            "requests_by_run": "requests (run_id) WHERE run_id IS NOT NULL",
        },
    ),
    Step(
        "A task that is set aside keeps its row as it is; before, its `enabled` was taken away.",
        then=(
            "UPDATE scheduled_tasks SET enabled = 1 WHERE id IN"
            " (SELECT task_id FROM task_troubles WHERE kind = 'set aside')",
        ),
    ),
    Step(
        # By that schedule, and not by its instant: new rules of its zone give it another one.
        "What runs once is done with the schedule by which it ran.",
        tables={
            "task_done": Table(
                {"task_id": "INTEGER PRIMARY KEY", "task_name": "TEXT NOT NULL", "schedule": "TEXT NOT NULL"}
            )
        },
    ),
    Step(
        "Several machines may share a database: who they are, and on which of them a slot is run.",
        # `place` is NULL for a slot that any machine may run, as all are in a file.
        tables={
            "machines": Table(
                {
                    "name": "TEXT PRIMARY KEY",
                    "identity": "TEXT NOT NULL",
                    "seen_at": "TEXT NOT NULL",
                },
                by_key=True,
            )
        },
        columns={"task_queue": {"place": "TEXT"}},
    ),
    Step(
        "The history of one task is found by its name, among a million rows.",
        indexes={"task_runs_by_name": "task_runs (task_name, started_at)"},
    ),
    Step(
        "Several machines: what each of them takes, where a run and a message belong, which processes are lost.",
        # `place` is NULL if it may be any machine; a run's stays as it was when it was claimed.
        # `labels` and `handlers` are JSON lists; `takes` is own or any.
        tables={
            "lost_processes": Table({"owner": "TEXT PRIMARY KEY", "since": "TEXT NOT NULL"}, by_key=True),
        },
        columns={
            "machines": {"labels": "TEXT", "takes": "TEXT", "handlers": "TEXT"},
            "task_runs": {"place": "TEXT"},
            "outbox": {"place": "TEXT"},
        },
    ),
    Step(
        "Several machines: what people are told of each.",
        columns={"machines": {"version": "TEXT", "clock_ahead_seconds": "REAL"}},
    ),
)
"""Append here. A step's number is its place; a file says in `jarvis_meta` how many it has seen."""

# Other programs change `scheduled_tasks`; the triggers see it, whoever it is.
#
# DELETE and INSERT, not INSERT OR REPLACE: the conflict clause of the statement that fires a
# trigger overrides those inside (sqlite.org/lang_createtrigger.html), so an UPDATE OR IGNORE by
# another program would leave the queue as it was.
_UNSETTLE = f"""
    DELETE FROM task_queue WHERE task_id = NEW.id AND attempt = 1;
    INSERT INTO task_queue (task_id, attempt, scheduled_for, due_at) VALUES (NEW.id, 1, {UNSETTLED}, {UNSETTLED});
"""

# In the assistant's own file the numbers of tasks are given out again (INTEGER PRIMARY KEY without
# AUTOINCREMENT). The history of a task that is gone therefore gets a number below 0 that nobody
# else has. Otherwise a new task would show the old one's last run, be blocked by its live run, and
# never run in a slot that the old one had. A subquery that looks at no outer row is evaluated once,
# before the update (sqlite.org/lang_expr.html, "Correlated Subqueries").
_LET_GO = """
    UPDATE task_runs
    SET task_id = (SELECT CASE WHEN min(task_id) < 0 THEN min(task_id) ELSE 0 END - 1 FROM task_runs)
    WHERE task_id = {row}.id"""

TRIGGERS: Mapping[str, tuple[str, str]] = {
    "jarvis_task_added": (
        "AFTER INSERT ON scheduled_tasks",
        # REPLACE by another program fires no trigger for the row that it deletes.
        f"{_LET_GO.format(row='NEW')} AND task_name <> NEW.name;{_UNSETTLE}",
    ),
    "jarvis_task_changed": (
        "AFTER UPDATE OF enabled, next_run_at, schedule_type, schedule_config, handler_type, policy ON scheduled_tasks",
        # Who pauses a task means its retries too.
        f"{_UNSETTLE}    DELETE FROM task_queue WHERE task_id = NEW.id AND attempt > 1"
        " AND (NEW.enabled IS NULL OR NEW.enabled <> 1);\n",
    ),
    "jarvis_task_removed": (
        "AFTER DELETE ON scheduled_tasks",
        f"""{_LET_GO.format(row="OLD")};
    DELETE FROM task_queue WHERE task_id = OLD.id;
    DELETE FROM task_troubles WHERE task_id = OLD.id;
    DELETE FROM task_deadlines WHERE task_id = OLD.id;
    DELETE FROM task_done WHERE task_id = OLD.id;
""",
    ),
}
"""Each trigger: when it fires, and what it does. A trigger that differs from this is made again."""

UNSETTLE_ALL = (
    "DELETE FROM task_queue WHERE attempt = 1",
    "INSERT INTO task_queue (task_id, attempt, scheduled_for, due_at)"
    f" SELECT id, 1, {UNSETTLED}, {UNSETTLED} FROM scheduled_tasks",
)
"""Have every task read again: a trigger was missing, so nobody knows what was changed meanwhile."""


class Shape(NamedTuple):
    """All tables and indexes that a file of one version has."""

    tables: Mapping[str, Table]
    indexes: Mapping[str, str]


def shape(steps: Sequence[Step] = STEPS) -> Shape:
    """What is there after `steps`."""
    tables: dict[str, Table] = {}
    indexes: dict[str, str] = {}
    for step in steps:
        tables |= step.tables
        for name, columns in step.columns.items():
            tables[name] = _with_columns(tables[name], columns)
        indexes |= step.indexes
    return Shape(tables, indexes)


def _with_columns(table: Table, columns: Mapping[str, str]) -> Table:
    return Table({**table.columns, **columns}, table.key, table.by_key, table.theirs)
