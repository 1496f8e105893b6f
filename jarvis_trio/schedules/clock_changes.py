"""The changes of a zone's clock, as people meet them: local times skipped, or read twice. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from jarvis_trio.schedules.cron import CronExpression
from jarvis_trio.schedules.walltime import at_minute, instant_seconds, is_plain, stretches

_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)


class ClockChange(NamedTuple):
    """The clock of a zone is set on or back.

    `at` (aware UTC) is the first instant with the new offset. `before` and `after` are
    naive local times: what the clock would read at that instant, and what it reads.
    """

    at: datetime
    before: datetime
    after: datetime

    @property
    def skips(self) -> bool:
        """Whether the clock is set on, so that times between do not exist; else they come twice."""
        return self.after > self.before

    @property
    def start(self) -> datetime:
        """The first local time (naive) that is skipped, or that comes twice."""
        return min(self.before, self.after)

    @property
    def end(self) -> datetime:
        """The local time (naive) at which the clock reads each minute once again."""
        return max(self.before, self.after)

    def times_of(self, expression: CronExpression) -> Iterator[datetime]:
        """The local times (naive) of the expression among those that are skipped, or come twice."""
        time = expression.next_time(self.start - _MINUTE)
        while time < self.end:
            yield time
            time = expression.next_time(time)


@lru_cache(maxsize=64)
def clock_changes(zone: tzinfo, start: datetime, end: datetime) -> tuple[ClockChange, ...]:
    """The changes of the zone's clock in [start, end), in order; instants are aware UTC."""
    pieces = stretches(zone, instant_seconds(start) - 60, instant_seconds(end))  # a stretch has whole minutes
    changes = (
        ClockChange(
            at=later.datetime_at(later.first, zone).astimezone(UTC),
            before=at_minute(earlier.end, None),
            after=at_minute(later.first, None),
        )
        for earlier, later in pairwise(pieces)
    )
    return tuple(change for change in changes if change.at >= start)


def change_at(reading: datetime, zone: tzinfo) -> ClockChange | None:
    """The change that skips or repeats the local time `reading` (naive) in `zone`, if one does."""
    if is_plain(reading, zone):
        return None
    near = reading.replace(tzinfo=UTC)
    changes = clock_changes(zone, near - 2 * _DAY, near + 2 * _DAY)
    return next((change for change in changes if change.start <= reading < change.end), None)
