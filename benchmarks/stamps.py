"""The times at which a scheduler of commands called `date`, which is how its lateness is known."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.running import BenchmarkError, Process


@dataclass(frozen=True, slots=True)
class Stamps:
    """A file of seconds since 1970, one a line, that a command appends to at each multiple of a period."""

    path: Path
    instants: Sequence[float]
    period_seconds: float

    @property
    def command(self) -> str:
        """The command, for /bin/sh."""
        return f"date +%s.%N >> '{self.path}'"

    def late_ms(self, process: Process) -> list[float]:
        """Wait for the last instant, stop the scheduler, and tell by how many milliseconds each call was late."""
        time.sleep(max(self.instants[-1] + 1 - time.time(), 0))
        process.stop()

        lines = self.path.read_text().splitlines() if self.path.exists() else []
        late_ms = [stamp % self.period_seconds * 1000 for stamp in map(float, lines) if stamp >= self.instants[0]]
        if not late_ms:
            raise BenchmarkError(f"no call in {self.instants[-1] - self.instants[0]:.0f} s")
        return late_ms
