"""What the program asks of a schedule. A new kind of schedule is one class that answers. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from jarvis_trio.schedules.firing import Firing, Moment
    from jarvis_trio.schedules.warnings import ScheduleWarning

TICK = timedelta(microseconds=1)
"""The least difference of two instants."""


class Schedule(Protocol):
    """What the program asks of a schedule, whatever its kind."""

    @property
    def only(self) -> datetime | None:
        """The single slot of a schedule that has no more than one; None for all others."""

    def first(
        self, now: datetime, is_over: Callable[[datetime], bool], stored: datetime | None = None
    ) -> datetime | None:
        """The next slot of a task, as its row was just read.

        Args:
            now: the present; a recurring task whose row names no slot has none before it.
            is_over: whether a slot was dealt with already, or came before there was a task.
            stored: the next run that the row names. A single slot is where the schedule says,
                whatever that is.

        Returns None if nothing is left to run.
        """

    def next_after(self, slot: datetime) -> datetime | None:
        """The first slot after `slot`; None if there are no more."""

    def latest(self, after: datetime, until: datetime) -> tuple[datetime | None, int]:
        """The last slot in (after, until], and how many slots lie there."""

    def at_or_after(
        self, start: datetime, next_run: datetime | None, known_since: datetime | None = None
    ) -> datetime | None:
        """The first slot at `start` or later.

        An interval counts from its slot `next_run`, and back from there to `known_since`.
        """

    def back_from(self, slot: datetime, count: int) -> datetime | None:
        """The slot that is `count` slots before `slot`; None if its slots are not counted."""

    def moved_to_zone(self, slot: datetime, now: datetime) -> datetime | None:
        """What a queued slot after `now` becomes if this schedule's zone has just changed."""

    def reread(self, slot: datetime) -> datetime | None:
        """The slot by the zone's rules of today, which may have changed since it was queued."""

    def origin(self, slot: datetime, now: datetime) -> datetime | None:
        """The instant from which the schedule leads to `slot`; None if `slot` was moved by hand.

        An interval counts from it, so it moves if the clock is set back.
        """

    def set_back(self, slot: datetime, clock: SetBack) -> datetime:
        """What a queued slot becomes if the wall clock was set back."""

    def words(self) -> str:
        """When it runs, as in `every 5m`."""

    def as_option(self) -> tuple[str, timedelta | str]:
        """How `add` is asked for it: the option's name, and a duration or the row's text."""

    def firing(
        self, moment: Moment, *, next_run: datetime | None = None, known_since: datetime | None = None
    ) -> Firing:
        """Whether it fires at `moment`, and why.

        An interval counts its slots from `next_run`, and has none before `known_since`, the first
        that is known; both are aware UTC. Without `next_run` an interval has no slots yet.
        """

    def warnings(
        self, now: datetime, has_begun: Callable[[datetime], bool], is_over: Callable[[datetime], bool]
    ) -> Iterator[ScheduleWarning]:
        """What to know about it, with the clock changes of the next two years.

        `has_begun` says whether a run for a slot began, ended or not; `is_over` is as for `first`.
        """


class SetBack(NamedTuple):
    """The wall clock was set back by `back` and reads `now`.

    `origin` is what `Schedule.origin` said of the queued slot, before.
    `has_run` says whether the task has a run at an instant already.
    """

    now: datetime
    back: timedelta
    origin: datetime | None
    has_run: Callable[[datetime], bool]
