"""When to start the next tick. Pure: no trio, no clock, no engine.

A pace is told what happens (a tick started, a tick ended, the daemon was woken, the engine
said what is due) and is asked how long to wait. Every answer follows from what it was told
and from the moment that it is asked at.

Guarantees:

- No more ticks run than there are places.
- A tick starts at the latest one interval after the last one ended.
- A tick starts when the engine says that something is due, but never in a spin: see
  "The two spins" below.
- A tick starts at once when the wall clock has lost more than a second against `seconds` since the
  last one started. It was set back, so what is due was planned on a clock that is gone. A smaller
  step back is a correction, as a server's clock makes one at each write; what is due waits for it.

This code assumes that `seconds` of the moments never run backwards. Their `instant` may jump
either way, since a wall clock can be set.

The two spins, both of an engine that says "due now" and then does nothing about it:

1. It names an instant that the last fruitless tick had already reached (its database is
   locked, say). The next tick waits for the interval. That a tick was fruitless says nothing of
   work that another one has left which ended beside it.
2. It names ever newer instants. The pauses between the ticks double. An engine that tells what is
   due is believed more: another daemon may be faster at each of them, and the next one may be for
   this daemon alone. So there they end at `LONGEST_PAUSE`.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from datetime import datetime, timedelta

QUESTION_AFTER = 1.0
"""If a routine tick is still busy after this many seconds, ask whether another tick has work."""

FIRST_PAUSE = 0.002
"""Seconds between the second and the third tick in a row that found nothing to do."""

LONGEST_PAUSE = 1.0
"""Seconds that such a pause lasts at the most if the engine tells what is due."""

_CORRECTION = timedelta(seconds=1)
"""A wall clock that loses no more than this was corrected, and not set."""

_SOON = timedelta(seconds=0.1)
"""How near an instant is that looks like a spin; the next slot of a task is seldom that near."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A point of time on both clocks.

    `seconds` is the monotonic one. `instant` is the wall clock's, aware UTC.
    """

    seconds: float
    instant: datetime


class Pace:
    """Decides when to start the next tick.

    Args:
        interval: seconds, the longest wait between two ticks.
        places: how many ticks may run at the same time.
        woken: whether the first tick starts at once.
        asks: whether to ask what is due while ticks are at work. An engine that tells it by
            itself is not asked.
    """

    def __init__(self, interval: float, places: int, *, woken: bool = True, asks: bool = True) -> None:
        self._interval = interval
        self._places = places
        self.asks = asks
        self._running: dict[int, Moment] = {}
        self._last_start: Moment | None = None
        self._numbers = itertools.count(1)
        self._woken = woken
        self._regular_at = math.inf
        self._question_at = math.inf
        self._question_open = False
        self._due_at: datetime | None = None
        self._told_at: datetime | None = None
        self._fruitless_since: datetime | None = None
        self._overtaken = 0
        self._fruitless_ticks = 0
        self._pause_until = -math.inf

    def started(self, now: Moment) -> int:
        """A tick starts. Returns its number, for `ended`."""
        work_is_known = self._woken or now.seconds < self._regular_at
        self._woken = False
        self._regular_at = now.seconds + self._interval
        if not self.asks:
            self._due_at = self._told_at = None  # this tick claims what is due, and tells then what is next
        else:
            self._question_at = now.seconds + (0 if work_is_known else QUESTION_AFTER)

        number = next(self._numbers)
        self._running[number] = now
        self._last_start = now
        return number

    def ended(self, number: int, now: Moment, *, fruitful: bool, due_at: datetime | None) -> None:
        """A tick has ended.

        Args:
            number: which one, as `started` returned it.
            now: when it ended.
            fruitful: whether it did anything.
            due_at: when the engine wants the next tick (aware UTC); None if it does not say.
        """
        start = self._running.pop(number)
        self._regular_at = now.seconds + self._interval
        self._question_at = math.inf
        self._question_open = False
        self._due_at = due_at  # beside what was told meanwhile, which may be newer

        if fruitful:
            self._fruitless_since = None
            self._overtaken = max(self._running, default=number)  # what these saw was before this one's last write
        elif number > self._overtaken:
            self._fruitless_since = start.instant

        is_soon = due_at is not None and due_at - now.instant <= _SOON
        self._fruitless_ticks = self._fruitless_ticks + 1 if is_soon and not fruitful else 0
        longest = math.inf if self.asks else LONGEST_PAUSE
        self._pause_until = now.seconds + min(_pause_seconds(self._fruitless_ticks), longest)

    def woken(self) -> None:
        """Somebody wants a tick as soon as there is a place for one."""
        self._woken = True

    def due(self, at: datetime | None) -> bool:
        """Take the next due time from somebody other than a tick (aware UTC, or None for never).

        Returns whether that is news.
        """
        is_news = at != self._due_at
        self._due_at = at
        if not self.asks:
            self._told_at = at
        return is_news

    def asked(self) -> None:
        """The engine is being asked what is due; `answered` follows."""
        self._question_at = math.inf
        self._question_open = True

    def answered(self, due_at: datetime | None) -> None:
        """The engine has answered. If a tick ended meanwhile, that tick knows better."""
        if self._question_open:
            self._due_at = due_at
        self._question_open = False

    def wants_answer(self, now: Moment) -> bool:
        """Whether to ask the engine what is due: ticks are at work, and one more could start."""
        return self._question_at <= now.seconds and len(self._running) < self._places

    def seconds_to_wait(self, now: Moment) -> float:
        """How long to wait before a tick may start.

        0 is "not at all", infinity is "until told more".
        """
        if len(self._running) >= self._places:
            return math.inf
        if self._woken or self._is_set_back(now):
            return 0.0
        next_look = min(self._regular_at, self._question_at) - now.seconds
        return max(0.0, min(next_look, self._seconds_to_due(now)))

    @property
    def has_one_place(self) -> bool:
        """Whether nothing can start while a tick runs."""
        return self._places == 1

    @property
    def running_since(self) -> list[datetime]:
        """When each tick that is at work started (aware UTC)."""
        return [start.instant for start in self._running.values()]

    def _seconds_to_due(self, now: Moment) -> float:
        wanted = [at for at in (self._due_at, self._told_at) if at is not None and not self._seen_in_vain(at)]
        if not wanted:
            return math.inf
        return max((min(wanted) - now.instant).total_seconds(), self._pause_until - now.seconds)

    def _is_set_back(self, now: Moment) -> bool:
        last = self._last_start
        if last is None:
            return False
        lost = timedelta(seconds=now.seconds - last.seconds) - (now.instant - last.instant)
        return lost > _CORRECTION

    def _seen_in_vain(self, due_at: datetime) -> bool:
        return self._fruitless_since is not None and due_at <= self._fruitless_since


def _pause_seconds(fruitless_ticks: int) -> float:
    """After none, one, two, three ... of them: 0, 0, 0.002, 0.004 ..."""
    return FIRST_PAUSE * (1 << min(fruitless_ticks, 30) >> 2)
