"""The slots of a cron expression in a zone. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from jarvis_trio.errors import CronError
from jarvis_trio.notation.text import duration_words, joined, moment_words
from jarvis_trio.schedules.clock_changes import ClockChange, change_at
from jarvis_trio.schedules.cron import CronExpression, FieldCheck
from jarvis_trio.schedules.cron_warnings import cron_warnings
from jarvis_trio.schedules.firing import Firing, Moment, in_minute, jump_words, mismatch_words
from jarvis_trio.schedules.kind import TICK, SetBack
from jarvis_trio.schedules.warnings import Code, ScheduleWarning

_MINUTE = timedelta(minutes=1)
_RARE = timedelta(days=366)
# 29 February on a given weekday comes every 28 years, or every 40 around a year like 2100.
_LOOK_BACK = tuple(timedelta(days=days) for days in (1, 32, 366, 366 * 40))


@dataclass(frozen=True, slots=True)
class Cron:
    """The slots of a cron expression, read in a zone."""

    expression: CronExpression
    zone: tzinfo

    @property
    def only(self) -> None:
        return None

    def first(
        self, now: datetime, is_over: Callable[[datetime], bool], stored: datetime | None = None
    ) -> datetime | None:
        return stored or self.next_after(now)

    def next_after(self, slot: datetime) -> datetime | None:
        try:
            return self.expression.next_time(slot.astimezone(self.zone)).astimezone(UTC)
        except (CronError, OverflowError):  # nothing more before the end of the calendar
            return None

    def latest(self, after: datetime, until: datetime) -> tuple[datetime | None, int]:
        slot, count = self.expression.latest(after.astimezone(self.zone), until)
        return (slot.astimezone(UTC) if slot else None), count

    def at_or_after(
        self, start: datetime, next_run: datetime | None, known_since: datetime | None = None
    ) -> datetime | None:
        return self.next_after(start - TICK)

    def back_from(self, slot: datetime, count: int) -> None:
        return None

    def moved_to_zone(self, slot: datetime, now: datetime) -> datetime | None:
        return self.next_after(now)

    def reread(self, slot: datetime) -> datetime | None:
        """The slot itself if it is one, or the nearest one: new rules move it by hours at most."""
        following = self.next_after(slot - TICK)
        if following is None or following == slot:
            return following
        earlier, _ = self.latest(slot - (following - slot), slot)
        return earlier or following

    def origin(self, slot: datetime, now: datetime) -> datetime | None:
        return slot if self.next_after(slot - TICK) == slot else None

    def set_back(self, slot: datetime, clock: SetBack) -> datetime:
        """The first slot after the present that has not run, if that is before the queued one."""
        earlier = self.next_after(clock.now)
        while earlier is not None and earlier < slot:
            if not clock.has_run(earlier):
                return earlier
            earlier = self.next_after(earlier)
        return slot

    def words(self) -> str:
        return self.expression.words()

    def as_option(self) -> tuple[str, str]:
        return "cron", self.expression.text

    def firing(
        self, moment: Moment, *, next_run: datetime | None = None, known_since: datetime | None = None
    ) -> Firing:
        expression = self.expression
        fields = tuple(expression.describe(moment.reading))
        matches = all(check.matches for check in fields)
        slot = in_minute(self.next_after(moment.start - TICK), moment)
        if moment.in_gap and not (matches and expression.is_fixed_time):
            slot = None  # what fires right after the gap is one of its other times
        change = moment.change
        if slot is not None and not matches:  # a fixed time does that only right after a gap
            change = change_at(moment.reading - _MINUTE, moment.zone)
        return Firing(
            slot=slot,
            why=_why(expression, moment, change, fields),
            before=self._last_before(moment.start),
            after=self.next_after(moment.end - TICK),
            fields=fields,
            by_clock_change=change is not None and (matches or slot is not None),
            note=jump_words(change, moment.zone),
        )

    def warnings(
        self, now: datetime, has_begun: Callable[[datetime], bool], is_over: Callable[[datetime], bool]
    ) -> Iterator[ScheduleWarning]:
        slot = self.next_after(now)
        if slot is not None and slot - now > _RARE:
            when = moment_words(slot, self.zone)
            day = slot.astimezone(self.zone).date()
            yield ScheduleWarning(Code.RARE, f"it runs next on {when}, in {duration_words(slot - now)}", (day,))
        yield from cron_warnings(self.expression, self.zone, now)

    def _last_before(self, end: datetime) -> datetime | None:
        looks = (self.latest(end - span, end - TICK)[0] for span in _LOOK_BACK)
        return next((last for last in looks if last is not None), None)


def cron_of(text: str, zone: tzinfo) -> Cron:
    """The slots of the expression `text`, read in `zone`.

    Raises CronError, also for an expression that can never fire.
    """
    expression = CronExpression(text)
    if not expression.can_fire:
        raise CronError(f"cron expression {text!r} can never fire: no date matches its day, month and weekday")
    return Cron(expression, zone)


def _why(expression: CronExpression, moment: Moment, change: ClockChange | None, fields: tuple[FieldCheck, ...]) -> str:
    mismatch = mismatch_words(fields)
    if change is None or (mismatch and not change.skips):
        return mismatch or "all five fields match"
    if not change.skips:
        which = "the first time" if expression.is_fixed_time else "both times"
        return f"{moment.reading:%H:%M} comes twice that day, and such a schedule runs {which}"
    if mismatch and moment.in_gap:
        return f"{mismatch}; also, {moment.reading:%H:%M} does not exist that day"
    times = [moment.reading] if moment.in_gap else list(change.times_of(expression))
    missing = "does not exist" if len(times) == 1 else "do not exist"
    effect = f"so it runs right after, at {change.after:%H:%M}"
    if not expression.is_fixed_time:
        effect = "and a schedule whose minute or hour starts with * leaves it out"
    return f"{joined([f'{time:%H:%M}' for time in times])} {missing} that day, {effect}"
