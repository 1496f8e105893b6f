"""Makes a database with rows of every kind, for the tests of later versions (docs/releasing.md).

    python -m tests.support.release_file > tests/support/releases/NUMBER.sql

NUMBER is how many steps `jarvis_trio.store.schema` has. Two calls print the same, so a difference
is one of the program.
"""

from __future__ import annotations

import logging
import sqlite3
import sys
import tempfile
from collections.abc import Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

from jarvis_trio.engine.deliveries import AlertChannel
from jarvis_trio.engine.engine import SchedulerEngine
from jarvis_trio.engine.notices import Notices
from jarvis_trio.engine.runner import run_inline
from jarvis_trio.errors import DeliveryError, HandlerTimeoutError
from jarvis_trio.models import ScheduledTask
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.requests import RequestKind
from tests.support.core_fakes import START, FakeClock, a_task

OWNER = "4711:123456@0d1e2f3a-boot/1.2"
"""A process that is gone, on whatever machine this is read."""

MINUTE = timedelta(minutes=1)
TASKS: tuple[ScheduledTask, ...] = (
    a_task("every 5 minutes"),
    a_task("weekday mornings", cron="0 7 * * MON-FRI", policy={"timezone": "Europe/Berlin"}),
    a_task("once, done", at="2026-03-02T02:10:00"),
    a_task("once, to come", at="2026-12-01T09:00:00"),
    a_task("paused", every={"hours": 1}, enabled=False),
    a_task(
        "fails",
        every={"minutes": 10},
        handler="fail",
        policy={"retries": 1, "retry_delay_seconds": 7200, "alert_after_seconds": 3600},
        delivery_channel="email",
        delivery_config='{"to": "a@example.org"}',
    ),
    a_task("has no time left", every={"minutes": 30}, handler="hang"),
    a_task("unknown type", every={"minutes": 15}, handler="morning_brief"),
    a_task(
        "late is useless",
        every={"minutes": 23},
        policy={"misfire_grace_seconds": 60, "alert_after_seconds": 864_000},
    ),
    a_task("set aside", every={"minutes": 0}),
    a_task("anywhere", every={"days": 1}, policy={"on": "any"}),
    a_task("removed"),
)
OTHERS = (
    "INSERT INTO webhook_events (source, event_type, payload, received_at)"
    " VALUES ('github', 'push', '{\"n\": 1}', '2026-03-02T02:00:00-07:00')",
    "INSERT INTO webhook_files VALUES (x'2f696e626f78', x'612e6a736f6e')",
    "INSERT INTO alert_rules (name, alert_type, condition)"
    " VALUES ('old backups', 'stale_backup', '{\"max_age_hours\": 48}')",
    "INSERT INTO delegations (task, delegated_to, due_date) VALUES ('write the report', 'Ada', '2026-03-01')",
    "INSERT INTO decisions (title, created_at) VALUES ('which bank', '2026-02-01T10:00:00')",
    "INSERT INTO facts (category, key, value, confidence)"
    " VALUES ('work', 'backup_last_success', '2026-03-01: ok', 0.9)",
    "INSERT INTO machines (name, identity, seen_at, labels, takes, handlers, version, clock_ahead_seconds)"
    " VALUES ('attic', 'a1b2', '2026-03-02T09:00:00+00:00', '[\"gpu\"]', 'any', '[\"custom\"]', '2.0.0', 0.25)",
    "INSERT INTO lost_processes VALUES ('attic/12:34', '2026-03-02T09:00:00+00:00')",
)


def write_file(path: Path) -> None:
    """Write the database: two hours of a daemon, as they leave it when it is killed."""
    clock = FakeClock(START, ZoneInfo("America/Denver"))
    with MemoryStore(path, clock=clock) as store:
        for task in TASKS:
            store.store_scheduled_task(task)
        _run(store, clock)
        _leave(store, clock)
        for statement in OTHERS:
            store.write(statement)
        store.write("UPDATE task_runs SET owner = ? WHERE owner IS NOT NULL", (OWNER,))


def _run(store: MemoryStore, clock: FakeClock) -> None:
    notices = Notices(store, clock, _refuse, AlertChannel("notification", None))
    handlers = {"note": _note, "fail": _fail, "hang": _hang}
    engine = SchedulerEngine(store, handlers=handlers, notices=notices, runner=run_inline, random=Random(0))
    for _ in range(8):
        engine.evaluate_due_tasks()
        clock.advance(minutes=5)
    clock.advance(minutes=55)  # asleep
    engine.evaluate_due_tasks()
    engine.run_now("every 5 minutes")
    store.delete_scheduled_task(store.tasks.require_task("removed").id or 0)
    clock.advance(minutes=5)
    engine.finish()


def _leave(store: MemoryStore, clock: FakeClock) -> None:
    """A run under way, one that was taken for dead, and what people have asked for."""
    task, now = store.tasks.require_task("every 5 minutes"), clock.now()
    other = store.tasks.require_task("anywhere")
    claim = store.runs.claim_run(other, now - MINUTE, 1, started_at=now - MINUTE, owner=OWNER)
    run = None if claim is None else store.runs.get_run(claim.run_id)
    assert run is not None
    store.runs.interrupt_run(run, "stopped by ada", now)
    store.runs.claim_run(task, now, 1, started_at=now, owner=OWNER)

    stop = store.requests.ask(RequestKind.STOP, run.task_id, run_id=run.id, asked_by="ada", asker=OWNER, at=now)
    store.requests.answer(stop, now)
    store.requests.ask(RequestKind.RUN, task.id or 0, asked_by="ada", asker=OWNER, at=now)


def _note(task: object, context: object) -> Mapping[str, str]:
    return {"status": "ok", "said": "hé\u202e"}


def _fail(task: object, context: object) -> None:
    raise RuntimeError("no such backup")


def _hang(task: object, context: object) -> None:
    raise HandlerTimeoutError("ended at its time limit of 5m (processes ended: 2)")


def _refuse(*_: object) -> None:
    raise DeliveryError("the server is away")


def main() -> None:
    """Print the dump."""
    logging.disable()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "memory.db"
        write_file(path)
        with closing(sqlite3.connect(path)) as connection:
            sys.stdout.writelines(f"{statement}\n" for statement in connection.iterdump())


if __name__ == "__main__":
    main()
