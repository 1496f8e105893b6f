"""jarvis-trio's engine on a clock that is moved by hand: many stored tasks, and many ticks."""

from __future__ import annotations

import resource
import sys
import time
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

from protocol import answer

from jarvis_trio.engine import SchedulerEngine
from jarvis_trio.store import MemoryStore

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


class SteppedClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.instant = START

    def now(self) -> datetime:
        """The instant that it was moved to."""
        return self.instant

    def zone(self) -> tzinfo:
        """UTC."""
        return UTC

    def monotonic(self) -> float:
        """Seconds since 1970."""
        return self.instant.timestamp()


class World:
    """A store with `stored` daily tasks, of which `due` come due in a day and the others in a year, and an engine."""

    def __init__(self, folder: str, stored: int, due: int = 0) -> None:
        self.clock = SteppedClock()
        self.store = MemoryStore(Path(folder) / "memory.db", clock=self.clock)
        self.engine = SchedulerEngine(self.store, clock=self.clock, handlers={"no_op": lambda task, context: None})
        instants = [START + (DAY if number < due else 365 * DAY) for number in range(stored)]
        # As another program adds them: by SQL. The engine reads each of them at the first tick.
        self.store.write_many(
            "INSERT INTO scheduled_tasks (name, schedule_type, schedule_config, handler_type, next_run_at)"
            " VALUES (?, 'interval', '{\"days\": 1}', 'no_op', ?)",
            ((str(number), instant.isoformat()) for number, instant in enumerate(instants)),
        )

    def tick(self, count: int, step: timedelta) -> None:
        """What the daemon asks at each tick, `count` times, with `step` between."""
        for _ in range(count):
            self.clock.instant += step
            self.engine.evaluate_due_tasks()
            self.engine.next_due_at()


def scaling(folder: str, stored: int, due: int, ticks: int) -> dict[str, float]:
    """CPU microseconds of an idle tick and of each due task among `stored`, and seconds to read all at first."""
    world = World(folder, stored, due)
    start = time.perf_counter()
    world.tick(1, SECOND)
    read_seconds = time.perf_counter() - start
    start = time.process_time()
    world.tick(ticks, SECOND)
    idle_us = (time.process_time() - start) / ticks * 1e6
    world.clock.instant = START + DAY
    start = time.process_time()
    ran = len(world.engine.evaluate_due_tasks())
    due_us = (time.process_time() - start) / due * 1e6
    assert ran == due, f"{ran} tasks ran, not {due}"
    return {"idle_us": idle_us, "due_us": due_us, "read_seconds": read_seconds}


def growth(folder: str, ticks: int, samples: int) -> list[int]:
    """Resident bytes, `samples` times at equal distances while `ticks` ticks pass; ten tasks, none due."""
    world = World(folder, stored=10)
    resident = []
    for _ in range(samples):
        world.tick(ticks // samples, SECOND)
        resident.append(resident_bytes())
    return resident


def resident_bytes() -> int:
    """The resident memory of this process; without /proc, its highest so far."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    answer({"scaling": scaling, "growth": growth})
