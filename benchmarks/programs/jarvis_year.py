"""jarvis-trio's simulation kit: the real daemon, engine and store in simulated time."""

from __future__ import annotations

import time
from typing import Any

from protocol import answer

from jarvis_trio.testing import Simulation


def simulate(schedules: list[dict[str, Any]], days: int) -> dict[str, float]:
    """CPU seconds, and runs, of simulated days in America/Denver at 60 s ticks."""
    with Simulation("2026-01-01T00:00", zone="America/Denver") as simulation:
        for number, schedule in enumerate(schedules):
            simulation.add(f"task {number}", **schedule)
        start = time.process_time()
        simulation.run(days=days)
        seconds = time.process_time() - start
        return {"seconds": seconds, "runs": simulation.store.value("SELECT count(*) FROM task_runs")}


if __name__ == "__main__":
    answer({"simulate": simulate})
