"""A single slot. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

from jarvis_trio.notation.instants import as_utc, parse_instant
from jarvis_trio.notation.text import duration_words, moment_words, time_words
from jarvis_trio.schedules.clock_changes import change_at
from jarvis_trio.schedules.firing import Firing, Moment, in_minute, jump_words
from jarvis_trio.schedules.kind import SetBack
from jarvis_trio.schedules.warnings import Code, ScheduleWarning


@dataclass(frozen=True, slots=True)
class Once:
    """A single slot: `at`, written as `text` in the row and read in `zone`."""

    at: datetime
    text: str = field(default="", compare=False)
    zone: tzinfo = field(default=UTC, compare=False)

    @property
    def only(self) -> datetime:
        return self.at

    def first(
        self, now: datetime, is_over: Callable[[datetime], bool], stored: datetime | None = None
    ) -> datetime | None:
        return None if is_over(self.at) else self.at

    def next_after(self, slot: datetime) -> datetime | None:
        return self.at if self.at > slot else None

    def latest(self, after: datetime, until: datetime) -> tuple[datetime | None, int]:
        return (self.at, 1) if after < self.at <= until else (None, 0)

    def at_or_after(
        self, start: datetime, next_run: datetime | None, known_since: datetime | None = None
    ) -> datetime | None:
        return self.at if self.at >= start else None

    def back_from(self, slot: datetime, count: int) -> None:
        return None

    def moved_to_zone(self, slot: datetime, now: datetime) -> datetime | None:
        return self.at

    def reread(self, slot: datetime) -> datetime:
        return self.at

    def origin(self, slot: datetime, now: datetime) -> datetime | None:
        return slot if slot == self.at else None

    def set_back(self, slot: datetime, clock: SetBack) -> datetime:
        return slot

    def words(self) -> str:
        return f"once, {moment_words(self.at, self.zone)}"

    def as_option(self) -> tuple[str, str]:
        return "at", self.text

    def firing(
        self, moment: Moment, *, next_run: datetime | None = None, known_since: datetime | None = None
    ) -> Firing:
        before, after = (self.at if self.at < moment.start else None), (self.at if self.at >= moment.end else None)
        why = f"it runs once, at {moment_words(self.at, moment.zone)}"
        note = jump_words(moment.change, moment.zone)
        if moment.in_gap and as_utc(moment.reading, moment.zone) == self.at:
            why = f"{moment.reading:%H:%M} does not exist that day; {why}"
            return Firing(self.at, why, None, None, by_clock_change=True, note=note)
        return Firing(in_minute(self.at, moment), why, before, after, note=note)

    def warnings(
        self, now: datetime, has_begun: Callable[[datetime], bool], is_over: Callable[[datetime], bool]
    ) -> Iterator[ScheduleWarning]:
        if self.at < now and not has_begun(self.at):
            yield self._past(now, is_over(self.at))
        yield from self._reading()

    def _past(self, now: datetime, is_over: bool) -> ScheduleWarning:
        code, effect = Code.PAST, "it runs as soon as the daemon sees it"
        if is_over:
            code, effect = Code.OVER, "it has not run, and will not"
        when, ago = moment_words(self.at, self.zone), duration_words(now - self.at)
        sentence = f"its only time, {when}, was {ago} ago; {effect}"
        return ScheduleWarning(code, sentence, (self.at.astimezone(self.zone).date(),))

    def _reading(self) -> Iterator[ScheduleWarning]:
        """What a clock change makes of a local time that the row names."""
        written = datetime.fromisoformat(self.text.strip())
        change = None if written.tzinfo else change_at(written, self.zone)
        if change is None:
            return
        code, effect = Code.FIRST_PASS, "comes twice in {zone}; it runs the first time, at {time}"
        if change.skips:
            code, effect = Code.MOVED, "does not exist in {zone}; it runs at {time}"
        local = self.at.astimezone(self.zone)
        effect = effect.format(zone=self.zone, time=f"{time_words(local, self.zone)} {local.tzname()}")
        yield ScheduleWarning(code, f"on {written.date()} {written:%H:%M} {effect}", (written.date(),))


def once_of(text: str, zone: tzinfo) -> Once:
    """The slot that a row's `run_at` means in `zone`. Raises ScheduleError."""
    return Once(parse_instant(text, zone), text, zone)
