"""Waiting for what a service manager only begins: bounded, and never in silence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

FIRST_POLL_SECONDS = 0.25
LONGEST_POLL_SECONDS = 1.0
FIRST_PROGRESS_SECONDS = 1.0
PROGRESS_SECONDS = 5.0


@dataclass(frozen=True)
class Patience:
    """How to wait. `sleep` and `monotonic` count in seconds; `emit` takes a line of progress."""

    sleep: Callable[[float], None]
    monotonic: Callable[[], float]
    emit: Callable[[str], None]

    def until(self, is_so: Callable[[], bool], limit_seconds: float, what: str) -> bool:
        """Ask `is_so` again and again; return False if it is not so within `limit_seconds`.

        `what` ends the line of progress: "waiting for ...".
        """
        start = self.monotonic()
        pause, next_word = FIRST_POLL_SECONDS, FIRST_PROGRESS_SECONDS

        while not is_so():
            waited = self.monotonic() - start
            if waited >= limit_seconds:
                return False
            if waited >= next_word:
                self.emit(f"    waiting for {what}: {waited:.0f} s of at most {limit_seconds:.0f} s")
                next_word += PROGRESS_SECONDS
            self.sleep(pause)
            pause = min(pause * 1.5, LONGEST_POLL_SECONDS)
        return True
