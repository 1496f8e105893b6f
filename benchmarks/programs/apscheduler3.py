"""APScheduler 3.11: a BackgroundScheduler, four threads, and its SQLAlchemy job store on SQLite."""

# mypy: disable-error-code="import-not-found,import-untyped,untyped-decorator"
# The peer is installed in an environment of its own.

from __future__ import annotations

import signal
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from apscheduler.events import EVENT_JOB_EXECUTED
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from jobs import arrivals, expect_ahead, hold, no_op, record, released
from protocol import answer, tell
from sqlalchemy import create_engine, event


def scheduler(folder: str, journal: str = "WAL") -> BackgroundScheduler:
    """A scheduler as durable as ours: each commit is on the disk when it returns. As it comes `journal` is DELETE."""
    engine = create_engine(f"sqlite:///{Path(folder) / 'jobs.db'}")

    @event.listens_for(engine, "connect")
    def make_durable(connection, _):  # type: ignore[no-untyped-def]
        connection.execute(f"PRAGMA journal_mode={journal}")
        connection.execute("PRAGMA synchronous=FULL")

    return BackgroundScheduler(
        jobstores={"default": SQLAlchemyJobStore(engine=engine)},
        executors={"default": ThreadPoolExecutor(4)},
        job_defaults={"misfire_grace_time": None},
        timezone="UTC",
    )


def throughput(folder: str, count: int, journal: str = "WAL") -> float:
    """Seconds until `count` due recurring jobs have run and are stored with their next time."""
    made = scheduler(folder, journal)
    made.start(paused=True)
    for number in range(count):
        made.add_job(no_op, "interval", hours=1, next_run_time=datetime.now(UTC), id=str(number))
    made.add_listener(lambda _: arrivals.add(0), EVENT_JOB_EXECUTED)
    start = time.perf_counter()
    made.resume()
    arrivals.wait_for(count)
    seconds = time.perf_counter() - start
    made.shutdown()
    return seconds


def lateness(folder: str, instants: list[float], busy: int) -> list[float]:
    """Milliseconds by which the job of each instant (seconds since 1970) is late, while `busy` others hold threads."""
    made = scheduler(folder)
    made.start()
    for _ in range(busy):
        made.add_job(hold)
    for nominal in instants:
        made.add_job(record, "date", run_date=datetime.fromtimestamp(nominal, UTC), args=[nominal])
    expect_ahead(instants)
    late_ms = arrivals.wait_for(len(instants))
    released.set()
    made.shutdown()
    return late_ms


def idle(folder: str) -> None:
    """Ten jobs of which none is due, until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    made = scheduler(folder)
    for number in range(10):
        made.add_job(no_op, "interval", hours=1, id=str(number), replace_existing=True)
    made.start()
    tell("ready")
    stop.wait()
    made.shutdown()


if __name__ == "__main__":
    answer({"throughput": throughput, "lateness": lateness, "idle": idle})
