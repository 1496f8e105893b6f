"""What the schedulers have to run, the same for all. Some of them find a job by `jobs:NAME`."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

PATIENCE_SECONDS = 300.0
"""A program that waits longer than this for its next job gives up."""


class Arrivals:
    """Collects what jobs tell from their threads, until the expected number is there."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self._complete = threading.Condition()

    def add(self, value: float) -> None:
        """Note one."""
        with self._complete:
            self.values.append(value)
            self._complete.notify_all()

    def wait_for(self, count: int) -> list[float]:
        """The values, once `count` of them are there. Raises TimeoutError if no job arrives for PATIENCE_SECONDS."""
        with self._complete:
            while (seen := len(self.values)) < count:
                if not self._complete.wait_for(lambda seen=seen: len(self.values) > seen, PATIENCE_SECONDS):  # type: ignore[misc]  # bound
                    raise TimeoutError(f"{seen} of {count} jobs arrived, and none in {PATIENCE_SECONDS:.0f} s")
            return self.values


arrivals = Arrivals()
released = threading.Event()


def no_op() -> None:
    """Nothing."""


def record(nominal: float) -> None:
    """Note how many milliseconds after its nominal time (seconds since 1970) this is called."""
    arrivals.add((time.time() - nominal) * 1000)


def hold() -> None:
    """Keeps its thread until the measurement is over."""
    released.wait()


def expect_ahead(instants: Sequence[float]) -> None:
    """Raise an error if the first of the instants passed while the jobs were stored: it would be late for that."""
    if (passed := time.time() - instants[0]) > 0:
        raise TimeoutError(f"the first instant passed {passed:.1f} s before everything was stored")
