"""The runs of the last hours and the slots of the next, one lane a task. Reads only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo

from jarvis_trio.insight.forecast import forecast
from jarvis_trio.models import UNRUN, Run, RunStatus
from jarvis_trio.notation.instants import as_utc
from jarvis_trio.store import MemoryStore

BY_WEIGHT = (
    RunStatus.ERROR,
    RunStatus.TIMEOUT,
    RunStatus.INTERRUPTED,
    RunStatus.MISSED,
    RunStatus.SKIPPED,
    RunStatus.RUNNING,
    RunStatus.EXECUTED,
)
"""The ends of a run; first what a person must not overlook."""

GONE_WRONG = frozenset(BY_WEIGHT[:3])

_AHEAD = 4
"""The chart looks ahead a quarter of the time that it looks back."""

_STEPS = tuple(
    timedelta(minutes=minutes) for minutes in (1, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10_080, 20_160)
)


@dataclass(frozen=True, slots=True)
class Bar:
    """A run as drawn: from its start to its end, or at its nominal time if nobody attempted it."""

    start: datetime
    end: datetime
    run: Run

    @property
    def status(self) -> RunStatus:
        return self.run.status


@dataclass(frozen=True, slots=True)
class Lane:
    """What is drawn for one task: its runs by start, and its slots to come."""

    task: str
    bars: tuple[Bar, ...]
    ahead: tuple[datetime, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """A chart of [start, end) around `now`. Instants are aware UTC; `zone` is for the labels."""

    start: datetime
    now: datetime
    end: datetime
    zone: tzinfo
    lanes: tuple[Lane, ...]

    def ticks(self, least: timedelta) -> Iterator[tuple[datetime, str]]:
        """Round local times at least `least` apart, labelled with time or date."""
        step = next((step for step in _STEPS if step >= least), _STEPS[-1])
        local = datetime.combine(self.start.astimezone(self.zone).date(), time())
        while (instant := as_utc(local, self.zone)) < self.end:
            exists = instant.astimezone(self.zone).replace(tzinfo=None) == local
            if instant >= self.start and exists:
                yield instant, f"{local:%m-%d}" if local.time() == time() else f"{local:%H:%M}"
            local += step


def timeline(store: MemoryStore, past: timedelta, now: datetime) -> Timeline:
    """The chart of the time `past` before `now` (aware UTC), and of a quarter as much ahead.

    Each enabled task has a lane, and each other task with a run in that time. Raises StoreError.
    """
    start, end = now - past, now + past / _AHEAD
    tasks = store.list_scheduled_tasks(enabled_only=True)
    ahead: dict[str, list[datetime]] = defaultdict(list)
    for slot in forecast(store, tasks, now, end, now).slots:
        ahead[slot.task].append(slot.at)
    bars: dict[str, list[Bar]] = defaultdict(list)
    for bar in _bars(_runs(store, start, past), start, now):
        bars[bar.run.task_name].append(bar)
    names = sorted({task.name for task in tasks} | set(bars))
    lanes = tuple(
        Lane(name, tuple(sorted(bars[name], key=lambda bar: bar.start)), tuple(ahead[name])) for name in names
    )
    return Timeline(start, now, end, store.clock.zone(), lanes)


def _runs(store: MemoryStore, start: datetime, past: timedelta) -> Iterable[Run]:
    # A run that began before the chart may reach into it. Looking back twice the span finds all but
    # those that took longer than the chart itself; of these, only one that still runs is drawn.
    recent = {run.id: run for run in store.runs.list_runs(since=start - past)}
    return (recent | {run.id: run for run in store.runs.list_runs(status=RunStatus.RUNNING)}).values()


def _bars(runs: Iterable[Run], start: datetime, now: datetime) -> Iterator[Bar]:
    for run in runs:
        if run.status in UNRUN:
            bar = Bar(run.scheduled_for, run.scheduled_for, run)
        else:
            # A clock that was set back meanwhile makes an end before the start.
            bar = Bar(run.started_at, max(run.started_at, run.finished_at or now), run)
        if bar.end >= start and bar.start <= now:
            yield bar
