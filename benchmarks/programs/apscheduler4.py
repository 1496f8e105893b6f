"""APScheduler 4.0.0a6: an AsyncScheduler with four threads, on asyncio or on trio.

On asyncio with its SQLAlchemy store on SQLite, by aiosqlite. On trio that store refuses
to start ("requires asyncio"), so there it keeps everything in memory.
"""

# mypy: disable-error-code="import-not-found,import-untyped,untyped-decorator"
# The peer is installed in an environment of its own.

from __future__ import annotations

import signal
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from apscheduler import AsyncScheduler, JobReleased, TaskDefaults
from apscheduler.datastores.memory import MemoryDataStore
from apscheduler.datastores.sqlalchemy import SQLAlchemyDataStore
from apscheduler.executors.thread import ThreadPoolJobExecutor
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger
from jobs import arrivals, expect_ahead, hold, no_op, record, released
from protocol import answer, tell
from sqlalchemy import event
from sqlalchemy.ext.asyncio import create_async_engine


def durable_store(folder: str) -> SQLAlchemyDataStore:
    """A store as durable as ours: WAL, and each commit on the disk when it returns."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{Path(folder) / 'jobs.db'}")

    @event.listens_for(engine.sync_engine, "connect")
    def make_durable(connection, _):  # type: ignore[no-untyped-def]
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    return SQLAlchemyDataStore(engine)


def scheduler(folder: str, backend: str) -> AsyncScheduler:
    """A scheduler that runs jobs in four threads."""
    return AsyncScheduler(
        durable_store(folder) if backend == "asyncio" else MemoryDataStore(),
        max_concurrent_jobs=4,
        job_executors={"threadpool": ThreadPoolJobExecutor(max_workers=4)},
        task_defaults=TaskDefaults(job_executor="threadpool", max_running_jobs=4),
    )


async def throughput(backend: str, folder: str, count: int) -> float:
    """Seconds until `count` due recurring jobs have run and are stored with their next time."""
    async with scheduler(folder, backend) as made:
        start_at = datetime.now(UTC)
        for number in range(count):
            await made.add_schedule(no_op, IntervalTrigger(hours=1, start_time=start_at), id=str(number))
        complete = anyio.Event()

        def count_one(_: JobReleased) -> None:
            arrivals.add(0)
            if len(arrivals.values) == count:
                complete.set()

        made.subscribe(count_one, JobReleased)
        start = time.perf_counter()
        await made.start_in_background()
        await complete.wait()
        return time.perf_counter() - start


async def lateness(backend: str, folder: str, instants: list[float], busy: int) -> list[float]:
    """Milliseconds by which the job of each instant (seconds since 1970) is late, while `busy` others hold threads."""
    async with scheduler(folder, backend) as made:
        await made.start_in_background()
        for _ in range(busy):
            await made.add_job(hold)
        for nominal in instants:
            await made.add_schedule(record, DateTrigger(datetime.fromtimestamp(nominal, UTC)), args=[nominal])
        expect_ahead(instants)
        late_ms: list[float] = await anyio.to_thread.run_sync(arrivals.wait_for, len(instants))
        released.set()
        return late_ms


async def idle(backend: str, folder: str) -> None:
    """Ten jobs of which none is due, until SIGTERM."""
    async with scheduler(folder, backend) as made:
        start_at = datetime.now(UTC) + timedelta(hours=1)
        for number in range(10):
            await made.add_schedule(no_op, IntervalTrigger(hours=1, start_time=start_at), id=str(number))
        await made.start_in_background()
        with anyio.open_signal_receiver(signal.SIGTERM) as received:
            tell("ready")
            async for _ in received:
                return


def in_event_loop(verb: Any, backend: str, **arguments: Any) -> Any:
    """Run a verb on the event loop that is asked for."""
    return anyio.run(partial(verb, backend, **arguments), backend=backend)


if __name__ == "__main__":
    answer({verb.__name__: partial(in_event_loop, verb) for verb in (throughput, lateness, idle)})
