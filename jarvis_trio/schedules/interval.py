"""Slots at equal distances of elapsed time. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from jarvis_trio.errors import ScheduleError
from jarvis_trio.notation.instants import YEARS, duration_text
from jarvis_trio.notation.text import duration_words, joined, moment_words, time_words
from jarvis_trio.schedules.kind import TICK, SetBack
from jarvis_trio.schedules.warnings import Code, ScheduleWarning

if TYPE_CHECKING:
    from jarvis_trio.schedules.firing import Firing, Moment

_UNITS = ("days", "hours", "minutes", "seconds")
_LONGEST = timedelta(days=366_000)

SHORTEST = timedelta(seconds=0.01)
"""A row that names a shorter interval gets this one: any other would keep the daemon busy for good.

A second, as peers have it, was considered and rejected: parts of a second are in existing rows.
To set the task aside was rejected too: a row is valid if its interval is greater than zero.
"""


@dataclass(frozen=True, slots=True)
class Interval:
    """Slots at `start + k * step`: elapsed time, so DST changes nothing and nothing drifts.

    It holds no start: each slot is counted from the one before it, exactly. `written` is what the
    row says, if that is shorter than the shortest interval.
    """

    step: timedelta
    written: timedelta | None = None

    @property
    def only(self) -> None:
        return None

    def first(
        self, now: datetime, is_over: Callable[[datetime], bool], stored: datetime | None = None
    ) -> datetime | None:
        return stored or self.next_after(now)

    def next_after(self, slot: datetime) -> datetime | None:
        try:
            following = slot + self.step
        except OverflowError:
            return None
        return following if following.year in YEARS else None

    def latest(self, after: datetime, until: datetime) -> tuple[datetime | None, int]:
        count = max((until - after) // self.step, 0)
        return (after + count * self.step if count else None), count

    def at_or_after(
        self, start: datetime, next_run: datetime | None, known_since: datetime | None = None
    ) -> datetime | None:
        if next_run is None:
            return None
        first = max(start, known_since or next_run)
        return next_run - (next_run - first) // self.step * self.step

    def back_from(self, slot: datetime, count: int) -> datetime:
        return slot - count * self.step

    def moved_to_zone(self, slot: datetime, now: datetime) -> datetime | None:
        return slot

    def reread(self, slot: datetime) -> datetime:
        return slot

    def origin(self, slot: datetime, now: datetime) -> datetime | None:
        # A slot further off than one step was put there by hand.
        return slot - self.step if slot <= now + self.step else None

    def set_back(self, slot: datetime, clock: SetBack) -> datetime:
        """Elapsed time is what it counts, so the slot moves with the clock."""
        if clock.origin is None:
            return slot
        moved = min(clock.origin - clock.back, clock.now) + self.step
        while clock.has_run(moved):  # that very instant was a slot before
            moved -= TICK
        return moved

    def words(self) -> str:
        return f"every {duration_text(self.step)}"

    def as_option(self) -> tuple[str, timedelta]:
        return "every", self.written or self.step

    def firing(
        self, moment: Moment, *, next_run: datetime | None = None, known_since: datetime | None = None
    ) -> Firing:
        from jarvis_trio.schedules.firing import Firing  # noqa: PLC0415  # cron comes with it: see schedule.py

        every = f"it has a slot every {duration_words(self.step)}"
        if next_run is None:
            return Firing(None, f"{every}, and the daemon has not seen it yet", None, None)
        first = known_since or next_run
        if moment.end <= first:
            return Firing(None, f"its first slot is that of {moment_words(first, moment.zone)}", None, first)
        steps = (moment.at - next_run) // self.step
        around = (_grid(next_run, self.step, steps + count, first) for count in (-1, 0, 1, 2))
        one_before, before, after, one_after = around
        if before is not None and before >= moment.start:
            return Firing(before, every, one_before, after)
        if after is not None and after < moment.end:
            return Firing(after, every, before, one_after)
        clauses = []
        if before is not None:
            clauses.append(f"{duration_words(moment.at - before)} after its slot of {_near(before, moment)}")
        if after is not None:
            clauses.append(f"{duration_words(after - moment.at)} before the next, {_near(after, moment)}")
        return Firing(None, f"that is {joined(clauses)}", before, after)

    def warnings(
        self, now: datetime, has_begun: Callable[[datetime], bool], is_over: Callable[[datetime], bool]
    ) -> Iterator[ScheduleWarning]:
        if self.written is not None:
            written, step = duration_text(self.written), duration_text(self.step)
            says = f"its interval of {written} is shorter than the shortest, {step}; it runs every {step}"
            yield ScheduleWarning(Code.SHORT, says)


def interval_of(values: Mapping[str, Any]) -> Interval:
    """What a row's configuration means, such as `{"minutes": 5}`. Raises ScheduleError."""
    amounts = {unit: values[unit] for unit in _UNITS if unit in values}
    for unit, amount in amounts.items():
        if isinstance(amount, bool) or not isinstance(amount, int | float):
            raise ScheduleError(f"interval: {unit} must be a number, not {amount!r}")
    try:
        step = timedelta(**amounts)
    except (OverflowError, ValueError):
        step = timedelta.max
    if step > _LONGEST:
        raise ScheduleError(f"interval out of range: {amounts}", fix="it may be up to 1000 years")
    if step < TICK:
        raise ScheduleError(f"interval must be greater than zero in days, hours, minutes or seconds: {dict(values)}")
    return Interval(step) if step >= SHORTEST else Interval(SHORTEST, written=step)


def interval_config(step: timedelta) -> dict[str, float]:
    """The step in the largest unit that it is a whole number of, as existing rows have it."""
    for unit in _UNITS:
        if not step % timedelta(**{unit: 1}):
            return {unit: step // timedelta(**{unit: 1})}
    return {"seconds": step.total_seconds()}


def _near(instant: datetime, moment: Moment) -> str:
    """The time alone if it is on the same day."""
    same_day = instant.astimezone(moment.zone).date() == moment.reading.date()
    return time_words(instant, moment.zone) if same_day else moment_words(instant, moment.zone)


def _grid(origin: datetime, step: timedelta, count: int, first: datetime) -> datetime | None:
    try:
        slot = origin + count * step
    except OverflowError:  # beyond the years 1 to 9999
        return None
    return slot if slot >= first else None
