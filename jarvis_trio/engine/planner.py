"""Keeps the queue in step with the rows, the machine's zone and its clock.

Whoever writes a row, the queue has its next slot soon after; a row that cannot be
scheduled is set aside, once (law 4).
"""

from __future__ import annotations

import logging
from collections.abc import Container, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

from jarvis_trio.clock import Clock
from jarvis_trio.engine.notices import Notices
from jarvis_trio.engine.peers import Peers
from jarvis_trio.engine.wallclock import Jump
from jarvis_trio.engine.zones import ZoneWatch
from jarvis_trio.errors import ConflictError, ScheduleError
from jarvis_trio.models import RunStatus, ScheduledTask, TroubleKind, require_id
from jarvis_trio.notation.instants import parse_instant, utc_text
from jarvis_trio.policy import task_policy
from jarvis_trio.schedules.kind import Schedule, SetBack
from jarvis_trio.schedules.schedule import is_of_another_zone, task_schedule
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.places import place_of

_CLOCK = "planned at"
_logger = logging.getLogger(__name__)


class Planner:
    """Puts tasks into the queue.

    Args:
        store: the database.
        clock: the machine's zone is asked of it; instants are arguments.
        notices: is told of tasks that are set aside and of those that were fixed.
        known_handlers: the handler types that can run here.
        zones: is told which zones the queue is filled by.
        peers: knows which handlers other machines have.
    """

    def __init__(
        self,
        store: MemoryStore,
        clock: Clock,
        notices: Notices,
        known_handlers: Container[str],
        zones: ZoneWatch,
        peers: Peers,
    ) -> None:
        self._store = store
        self._known = known_handlers
        self._zones = zones
        self._peers = peers
        self._clock = clock
        self._notices = notices

    def settle(self, task: ScheduledTask, now: datetime) -> None:
        """Read the row of a task that somebody added or changed, and queue its next slot.

        One that cannot be scheduled is set aside; one that was and now can comes back.
        """
        if self._waits(task):
            return
        try:
            schedule = task_schedule(task, self._clock.zone())
            self._watch_zone(task)
            stored = None if task.next_run_at is None else parse_instant(task.next_run_at, self._clock.zone())
            kept = None if is_of_another_zone(task, schedule, stored, now) else stored
            slot = schedule.first(now, partial(self._store.runs.is_slot_over, task), kept)
        except ScheduleError as error:
            self.set_aside(task, str(error), now)
            return

        self._notices.watch(task, now)
        if self._store.troubles.reason_set_aside(require_id(task)) is not None:
            self._notices.scheduled_again(task, now)
            _logger.info("Task %r was fixed and is scheduled again", task.name, extra={"task": task.name})

        origin = None if slot is None else schedule.origin(slot, now)
        if slot is None or slot != stored:
            self._store.queue.set_next_run(task, slot, origin=origin)
        else:
            self._store.queue.settle(task, slot, origin=origin)

    def _waits(self, task: ScheduledTask) -> bool:
        """Take a task that is held, paused or without a handler out of the queue; whether it is."""
        task_id, troubles = require_id(task), self._store.troubles
        if troubles.is_in_trouble(task_id, TroubleKind.HELD):
            self._store.queue.dequeue(task_id)
        elif not self._is_known(task) and troubles.is_in_trouble(task_id, TroubleKind.NO_HANDLER):
            self._store.queue.dequeue_slot(task_id)  # its next run stays as it is, until its handler is there
        elif not task.enabled:
            self._store.queue.dequeue(task_id)
        else:
            return False
        return True

    def _is_known(self, task: ScheduledTask) -> bool:
        """Whether its handler is here, or on another machine that may run it."""
        if task.handler_type in self._known:
            return True
        try:
            place = place_of(task, self._store.here)
        except ScheduleError:
            return False
        return self._peers.others_have(task.handler_type, place)

    def _watch_zone(self, task: ScheduledTask) -> None:
        if (name := task_policy(task.policy).timezone) is not None:
            self._zones.use(name)

    def set_aside(self, task: ScheduledTask, reason: str, now: datetime) -> None:
        """Take a task that cannot be scheduled out of the queue.

        Its history gets the reason, which is told once. The row stays as it is: `enabled` says what
        people want, and other programs read it.
        """
        task_id, reason = require_id(task), reason[:1000]  # it can quote as much as the row holds
        self._store.queue.dequeue(task_id)
        if self._store.troubles.reason_set_aside(task_id) == reason:
            return
        self._store.runs.record_unrun(task, now, RunStatus.SKIPPED, f"set aside: {reason}", at=now)
        self._store.troubles.set_deadline(task_id, None)
        self._store.troubles.end_troubles(task_id, [TroubleKind.SET_ASIDE])
        self._notices.trouble(task, TroubleKind.SET_ASIDE, reason, now)
        _logger.error("Task %r is set aside until it is fixed: %s", task.name, reason, extra={"task": task.name})

    def wake_parked(self) -> None:
        """Have the tasks read again that waited for a handler which is there now."""
        for task in self._store.troubles.tasks_in_trouble(TroubleKind.NO_HANDLER):
            if task.handler_type in self._known:
                self._store.queue.unsettle(task)

    def rezone(self, now: datetime) -> None:
        """The machine's zone changed: tasks without a zone of their own follow it.

        What was due before the change stays due. Texts are written with the new offset.
        """
        with self._store.transaction():
            for task, schedule, slot, _ in self._queued():
                moved: datetime | None = slot
                if slot > now and task_policy(task.policy).timezone is None:
                    moved = schedule.moved_to_zone(slot, now)
                self._move(task, moved, None if moved is None else schedule.origin(moved, now))

    def reread(self) -> None:
        """The rules of a zone changed: what is queued follows them.

        A time that somebody set by hand stays.
        """
        with self._store.transaction():
            for task, schedule, slot, origin in self._queued():
                moved = slot if origin is None else schedule.reread(slot)
                self._move(task, moved, origin and moved)

    def last_sign(self) -> datetime | None:
        """The latest instant that the clock is known to have read before this process.

        A process that planned and was killed before it ran anything leaves no run to tell.
        """
        noted = None
        with suppress(ScheduleError):
            noted = parse_instant(self._store.notes.note(_CLOCK) or "")
        signs = (self._store.runs.last_started_at(), self._store.queue.latest_origin(), noted)
        return max(filter(None, signs), default=None)

    def note_clock(self, now: datetime) -> None:
        """Remember what the clock read when the queue was filled, for `last_sign`."""
        self._store.notes.remember(_CLOCK, utc_text(now))

    def rewind(self, jump: Jump) -> None:
        """The wall clock was set back: keep the schedules right.

        No interval, retry or message waits longer than it says, and no slot runs twice.
        """
        now, back = jump.now, jump.back
        if jump.is_guess:
            # Runs stay ahead of the clock at each start until it has caught up, and origins do not:
            # they are what an earlier rewind, of this jump too, has left.
            back = max((self._store.queue.latest_origin() or now) - now, timedelta(0))
        with self._store.transaction():
            for task, schedule, slot, origin in self._queued():
                has_run = partial(self._store.runs.slot_has_run, require_id(task))
                moved = schedule.set_back(slot, SetBack(now, back, origin, has_run))
                if moved != slot:
                    self._move(task, moved, schedule.origin(moved, now))
            self._store.queue.keep_retries_waiting(now, back)
            self._store.outbox.keep_waiting(now, back)
            self.note_clock(now)

    def _move(self, task: ScheduledTask, slot: datetime | None, origin: datetime | None) -> None:
        try:
            with self._store.savepoint():
                self._store.queue.set_next_run(task, slot, origin=origin)
        except ConflictError as error:
            _logger.error("Task %r keeps its next run: %s", task.name, error, extra={"task": task.name})

    def _queued(self) -> Iterator[tuple[ScheduledTask, Schedule, datetime, datetime | None]]:
        for task, slot, origin in self._store.queue.queued_slots():
            with suppress(ScheduleError):  # it is set aside when it comes due
                yield task, task_schedule(task, self._clock.zone()), slot, origin
