"""What the schedulers have to run, the same for all. Some of them find a job by `jobs:NAME`."""

from __future__ import annotations

import threading
import time

PATIENCE_SECONDS = 300.0
"""How long a program waits for the next of what it measures before it gives up."""


class Arrivals:
    """Collects what jobs tell from their threads, until as many as expected have."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self._complete = threading.Condition()

    def add(self, value: float) -> None:
        """Note one."""
        with self._complete:
            self.values.append(value)
            self._complete.notify_all()

    def wait_for(self, count: int) -> list[float]:
        """The values, when so many are there. Raises TimeoutError."""
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
    """Tells by how many milliseconds it is late against its nominal time (seconds since 1970)."""
    arrivals.add((time.time() - nominal) * 1000)


def hold() -> None:
    """Keeps its thread until the measurement is over."""
    released.wait()


def nominal_times(count: int, gap_seconds: float) -> list[float]:
    """So many instants (seconds since 1970), that far apart, the first so far ahead that all can be stored before."""
    first = time.time() + 0.4 + count * 0.04
    return [first + number * gap_seconds for number in range(count)]
