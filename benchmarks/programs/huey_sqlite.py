"""huey on SQLite: a consumer with four threads, which also moves what is due from the schedule to the queue."""

# mypy: disable-error-code="import-not-found,import-untyped,untyped-decorator"
# The peer is installed in an environment of its own.

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jobs
from huey import SqliteHuey
from huey.signals import SIGNAL_COMPLETE
from jobs import arrivals, expect_ahead, released
from protocol import answer, tell


def open_huey(folder: str) -> SqliteHuey:
    """A queue as durable as ours: WAL, each commit on the disk when it returns, results stored."""
    return SqliteHuey(filename=str(Path(folder) / "huey.db"), fsync=True, journal_mode="wal", store_none=True)


def throughput(folder: str, count: int) -> float:
    """Seconds until `count` due jobs of the schedule have run and their results are stored."""
    huey = open_huey(folder)
    no_op = huey.task()(jobs.no_op)
    huey.signal(SIGNAL_COMPLETE)(lambda *_: arrivals.add(0))
    past = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=1)
    for _ in range(count):
        huey.add_schedule(no_op.s(eta=past))
    consumer = huey.create_consumer(workers=4, periodic=False, initial_delay=0.001)
    start = time.perf_counter()
    consumer.start()
    arrivals.wait_for(count)
    seconds = time.perf_counter() - start
    consumer.stop(graceful=True)
    return seconds


def lateness(folder: str, instants: list[float], busy: int) -> list[float]:
    """Milliseconds by which the job of each instant (seconds since 1970) is late, while `busy` others hold threads."""
    huey = open_huey(folder)
    hold, record = huey.task()(jobs.hold), huey.task()(jobs.record)
    consumer = huey.create_consumer(workers=4, periodic=False)
    consumer.start()
    for _ in range(busy):
        hold()
    for nominal in instants:
        record.schedule((nominal,), eta=datetime.fromtimestamp(nominal, UTC))
    expect_ahead(instants)
    late_ms = arrivals.wait_for(len(instants))
    released.set()
    consumer.stop(graceful=True)
    return late_ms


def idle(folder: str) -> None:
    """Ten jobs of which none is due, until SIGTERM."""
    huey = open_huey(folder)
    no_op = huey.task()(jobs.no_op)
    for _ in range(10):
        no_op.schedule(delay=3600)
    huey.on_startup()(lambda: tell("ready"))
    huey.create_consumer(workers=1, periodic=False).run()


if __name__ == "__main__":
    answer({"throughput": throughput, "lateness": lateness, "idle": idle})
