"""DBOS on SQLite: durable workflows, each recorded before it starts and again when it ends.

Its schedules are cron expressions. A thread of each enqueues a workflow at the slot, after a random
delay of up to a tenth of the wait (in its own words against a thundering herd), and a worker looks
at the queue once a second.
"""

# mypy: disable-error-code="import-not-found,import-untyped,untyped-decorator"
# The peer is installed in an environment of its own.

from __future__ import annotations

import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from dbos import DBOS
from jobs import arrivals, expect_ahead, record
from protocol import answer, tell


@DBOS.workflow()
def no_op() -> None:
    """Nothing."""


@DBOS.workflow()
def note(scheduled_at: datetime, context: Any) -> None:
    """Note by how much a slot is late, if it is not before the instant that `context` gives."""
    if scheduled_at.timestamp() >= context:
        record(scheduled_at.timestamp())


@contextmanager
def launched(folder: str) -> Iterator[None]:
    """DBOS as durable as ours: WAL, and by SQLite's default each commit is on the disk when it returns."""
    database = Path(folder) / "dbos.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")  # the file keeps that

    url = f"sqlite:///{database}"
    DBOS(config={"name": "bench", "system_database_url": url, "run_admin_server": False, "log_level": "ERROR"})
    DBOS.launch()
    try:
        yield
    finally:
        DBOS.destroy()


def throughput(folder: str, count: int) -> float:
    """Seconds until `count` workflows were started, have run, and are recorded with their outcome."""
    with launched(folder):
        start = time.perf_counter()
        for handle in [DBOS.start_workflow(no_op) for _ in range(count)]:
            handle.get_result()
        return time.perf_counter() - start


def lateness(folder: str, instants: list[float], schedule: str) -> list[float]:
    """Milliseconds by which each slot of a cron expression is late, from the first instant on, one for each."""
    with launched(folder):
        expect_ahead(instants)
        DBOS.create_schedule(schedule_name="note", workflow_fn=note, schedule=schedule, context=instants[0])
        return arrivals.wait_for(len(instants))[: len(instants)]


def idle(folder: str) -> None:
    """Ten schedules of which none is due, until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with launched(folder):
        for number in range(10):
            DBOS.create_schedule(schedule_name=str(number), workflow_fn=note, schedule="0 0 1 1 *", context=0)
        tell("ready")
        stop.wait()


if __name__ == "__main__":
    answer({"throughput": throughput, "lateness": lateness, "idle": idle})
