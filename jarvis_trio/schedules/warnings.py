"""What to know about a schedule before it surprises anybody: for `add` and `doctor`. Pure."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import NamedTuple


class Code(StrEnum):
    """What a warning is about."""

    NEVER = "never"
    """The schedule cannot be understood, or no instant matches it: the task never runs."""
    PAST = "past"
    """Its only time has passed, and it runs late."""
    OVER = "over"
    """Its only time has passed, and it has not run and will not."""
    SHORT = "short"
    """Its interval is shorter than the shortest, and the task runs less often than the row says."""
    RARE = "rare"
    """Its next slot is more than a year away."""
    MOVED = "moved"
    """A time that the clock skips; the run comes right after it."""
    SKIPPED = "skipped"
    """Runs that do not take place because the clock skips their times."""
    DOUBLED = "doubled"
    """Runs that take place twice because the clock reads their times twice."""
    FIRST_PASS = "first pass"
    """A time that comes twice; the run takes place once."""


_HARMLESS = frozenset({Code.RARE, Code.FIRST_PASS})


class ScheduleWarning(NamedTuple):
    """Something to know about a schedule, in a sentence, and the local dates on which it shows."""

    code: Code
    sentence: str
    dates: tuple[date, ...] = ()

    @property
    def harmless(self) -> bool:
        """Whether there is nothing to fix: it is only good to know."""
        return self.code in _HARMLESS
