"""How often a task may tell of its troubles: a flapping task tells once an hour. Pure.

The first trouble and the recovery from it are told at once. What follows within the hour waits
until the hour is over. Then one message tells the present state, and how often it changed.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple, Self

from jarvis_trio.errors import ScheduleError
from jarvis_trio.notation.instants import parse_instant, utc_text
from jarvis_trio.notation.text import counted, moment_words

HOUR = timedelta(hours=1)
AT_ONCE = 2
"""Messages of a task that are told at once within an hour."""


class Told(NamedTuple):
    """What a task has told.

    Attributes:
        times: when its last messages went out, or will go out (aware UTC); a deferred one counts as
            `AT_ONCE`.
        waiting: the number of the letter that is deferred.
        changes: how many changes that letter stands for.
        since: when the first of them was (aware UTC).
    """

    times: tuple[datetime, ...] = ()
    waiting: int | None = None
    changes: int = 0
    since: datetime | None = None

    @classmethod
    def read(cls, text: str | None) -> Self:
        """What `text` remembers; nothing if it is not there or makes no sense."""
        try:
            kept = json.loads(text or "{}")
            times = tuple(parse_instant(time) for time in kept.get("times", ()))
            since = parse_instant(kept["since"]) if kept.get("since") else None
            return cls(times, kept.get("waiting"), int(kept.get("changes", 0)), since)
        except (ValueError, TypeError, AttributeError, ScheduleError):
            return cls()

    def text(self) -> str:
        """The inverse of `read`."""
        times = [utc_text(time) for time in self.times]
        since = self.since and utc_text(self.since)
        return json.dumps({"times": times, "waiting": self.waiting, "changes": self.changes, "since": since})

    def joined(self) -> Self:
        """The letter that waits was taken back: the next message stands for its changes too."""
        return self._replace(changes=self.changes + 1)

    def alone(self, at: datetime) -> Self:
        """The same, with no letter waiting.

        The next message stands for one change, at `at`, and goes out as soon as it may.
        """
        recent = tuple(time for time in self.times if time > at - HOUR)[-AT_ONCE:]
        if len(recent) < AT_ONCE:
            return self._replace(times=(*recent, at), waiting=None, changes=1, since=at)
        return self._replace(times=(max(recent) + HOUR,) * AT_ONCE, waiting=None, changes=1, since=at)

    @property
    def due_at(self) -> datetime:
        """When the next message goes out (aware UTC)."""
        return self.times[-1]

    def words(self, reason: str, at: datetime, zone: tzinfo) -> str:
        """The reason; in a message that waited also how often it changed, and since when."""
        if self.since is None or (self.due_at <= at and self.changes == 1):
            return reason
        return f"{reason}; {counted(self.changes, 'change')} since {moment_words(self.since, zone)}"

    def posted(self, number: int, at: datetime) -> Self:
        """The next message is in the outbox under that number."""
        return self._replace(waiting=number if self.due_at > at else None)
