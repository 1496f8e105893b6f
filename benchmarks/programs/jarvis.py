"""jarvis-trio, this version or 1.0.0, as a library: the real daemon, engine and store, with functions as handlers.

What concerns a process as a person or launchd starts it (start, stop, memory, wake-ups,
the CPU of a week) is measured on the command itself.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import trio
from jobs import arrivals, expect_ahead, hold, record, released
from protocol import answer

from jarvis_trio.daemon import JarvisDaemon
from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.models import ScheduledTask
from jarvis_trio.store import MemoryStore

try:
    from jarvis_trio.engine.assembly import LEAD
except ImportError:  # version 1.0.0 claims a slot at its instant
    AHEAD: dict[str, Any] = {}
else:
    AHEAD = {"lead": LEAD}

SECOND = timedelta(seconds=1)


class CountingEngine(SchedulerEngine):
    """Counts the runs that are over and recorded."""

    ended = 0

    def evaluate_due_tasks(self, now: datetime | None = None) -> list[dict[str, Any]]:
        """As the engine does."""
        results = super().evaluate_due_tasks(now)
        self.ended += len(results)
        return results


def make_engine(store: MemoryStore) -> CountingEngine:
    """An engine whose tasks do nothing, are noted, or hold their thread."""
    handlers = {
        "no_op": lambda task, context: None,
        "record": lambda task, context: record(context.scheduled_for.timestamp()),
        "hold": lambda task, context: hold(),
    }
    return CountingEngine(store, handlers=handlers, **AHEAD)


def a_task(name: str, handler: str, due_at: datetime, **schedule: Any) -> ScheduledTask:
    """A task that is due at `due_at`: once, or from then on at the interval that is given."""
    config = schedule or {"run_at": due_at.isoformat()}
    return ScheduledTask(
        name=name,
        schedule_type="interval" if schedule else "once",
        schedule_config=json.dumps(config),
        handler_type=handler,
        next_run_at=due_at.isoformat(),
    )


def throughput(folder: str, count: int) -> float:
    """Seconds until `count` due recurring tasks have run, each claimed and recorded in the history."""
    with MemoryStore(Path(folder) / "memory.db") as store:
        engine = make_engine(store)
        now = datetime.now(UTC)
        with store.transaction():
            for number in range(count):
                store.store_scheduled_task(a_task(str(number), "no_op", now, hours=1))
        engine.evaluate_due_tasks(now - SECOND)  # reads the new tasks and finds none due

        def stop_when_done(_: datetime) -> None:
            if engine.ended >= count:
                daemon.shutdown()

        daemon = JarvisDaemon(store, engine=engine, on_tick=stop_when_done)
        start = time.perf_counter()
        trio.run(daemon.run)
        return time.perf_counter() - start


def lateness(folder: str, instants: list[float], busy: int) -> list[float]:
    """Milliseconds by which the task of each instant (seconds since 1970) is late, while `busy` others hold threads."""
    with MemoryStore(Path(folder) / "memory.db") as store:
        with store.transaction():
            for number in range(busy):
                store.store_scheduled_task(a_task(f"hold {number}", "hold", datetime.now(UTC)))
            for number, nominal in enumerate(instants):
                at = datetime.fromtimestamp(nominal, UTC)
                store.store_scheduled_task(a_task(f"record {number}", "record", at))
        daemon = JarvisDaemon(store, engine=make_engine(store))

        async def observe() -> list[float]:
            async with trio.open_nursery() as nursery:
                await nursery.start(daemon.run)
                expect_ahead(instants)
                late_ms = await trio.to_thread.run_sync(arrivals.wait_for, len(instants))
                released.set()
                daemon.shutdown()
            return late_ms

        late_ms: list[float] = trio.run(observe)
        return late_ms


if __name__ == "__main__":
    answer({"throughput": throughput, "lateness": lateness})
