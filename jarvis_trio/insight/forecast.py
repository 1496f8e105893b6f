"""What will run when: the slots of tasks, merged in order. Reads the store, writes nothing."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from functools import partial
from typing import NamedTuple

from jarvis_trio.errors import ScheduleError
from jarvis_trio.models import ScheduledTask, aside_words, require_id
from jarvis_trio.schedules.kind import Schedule
from jarvis_trio.schedules.schedule import slots_between, stored_next_run, task_schedule, task_zone
from jarvis_trio.store import MemoryStore

_TICK = timedelta(microseconds=1)


class Upcoming(NamedTuple):
    """A slot to come: its instant (aware UTC), its task, and the zone that the task is read in."""

    at: datetime
    task: str
    zone: tzinfo


@dataclass(frozen=True, slots=True)
class Forecast:
    """The slots to come, in order and each computed when it is asked for; and who has none.

    `left_out` has the reason for each task that will not run as it stands: it is
    paused, or it cannot be scheduled.
    """

    slots: Iterator[Upcoming]
    left_out: dict[str, str]


def forecast(
    store: MemoryStore, tasks: Sequence[ScheduledTask], start: datetime, end: datetime, now: datetime
) -> Forecast:
    """The slots of `tasks` in [start, end), in order of time and then of name.

    From `now` on they are the slots that a running daemon will run, counted from each
    task's stored next run. If `start` is in the past, a cron task has the
    slots before `now` that its expression names; other tasks have none before their next run.
    Instants are aware UTC; tasks without a zone are read in the machine's.

    Raises StoreError.
    """
    set_aside = store.troubles.reasons_set_aside()
    machine_zone = store.clock.zone()
    left_out: dict[str, str] = {}
    streams: list[Iterator[Upcoming]] = []
    for task in tasks:
        try:
            schedule, zone = task_schedule(task, machine_zone), task_zone(task, machine_zone)
        except ScheduleError as error:
            left_out[task.name] = f"cannot be scheduled: {error}"
            continue
        reason = set_aside.get(require_id(task))
        if reason is not None or not task.enabled:
            left_out[task.name] = "paused" if reason is None else aside_words(reason)
            continue
        slots = _slots(schedule, queued_slot(store, task, schedule, now), start, end, now)
        streams.append(_named(slots, task.name, zone))
    return Forecast(heapq.merge(*streams), left_out)


def queued_slot(store: MemoryStore, task: ScheduledTask, schedule: Schedule, now: datetime) -> datetime | None:
    """The stored next run, or what the daemon will store as soon as it sees the task."""
    return schedule.first(now, partial(store.runs.is_slot_over, task), stored_next_run(task, store.clock.zone()))


def _slots(
    schedule: Schedule, next_run: datetime | None, start: datetime, end: datetime, now: datetime
) -> Iterator[datetime]:
    if schedule.only is None:
        yield from slots_between(schedule, None, start, min(now, next_run or now, end))
    if next_run is None:
        return
    # The row is right even if it differs from the expression: that is when the task runs.
    if start <= next_run < end:
        yield next_run
    yield from slots_between(schedule, schedule.next_after(next_run), max(start, next_run + _TICK), end)


def _named(slots: Iterator[datetime], name: str, zone: tzinfo) -> Iterator[Upcoming]:
    # Not a generator expression in a loop: it would see the loop's last task.
    return (Upcoming(at, name, zone) for at in slots)
