"""Which slot is run next, and by whom: laws 2 and 3.

Everything here is decided inside one write transaction of the store, so that two
processes cannot decide differently about one slot. Only the decision is here; what
a handler does with a claim is the engine's.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Container, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jarvis_trio.clock import Clock
from jarvis_trio.errors import ScheduleError, TaskRunningError
from jarvis_trio.instants import duration_text, local_text, parse_instant
from jarvis_trio.models import (
    Claim,
    Due,
    OnInterrupt,
    RunStatus,
    ScheduledTask,
    Trigger,
    TroubleKind,
    require_id,
    task_policy,
)
from jarvis_trio.owner import owner_alive, owner_pid
from jarvis_trio.reports import Reports
from jarvis_trio.schedule import Interval, Once, Schedule, plan, task_schedule
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.queue import READ_ANEW

MAX_ATTEMPTS_AFTER_INTERRUPT = 3
"""A slot whose attempts die with their process is not tried more often than this."""

_BATCH = 500
"""Rows decided in one transaction, so that other processes get the write lock in between."""

CLOCK_SLACK = timedelta(seconds=5)
"""A clock set back by less than this is a correction (ntpd steps by parts of a second): no schedule is moved."""

_logger = logging.getLogger(__name__)

@dataclass(frozen=True, slots=True)
class Unrun:
    """A slot that came due and was not run, with its reason (law 3)."""

    task: ScheduledTask
    status: RunStatus
    reason: str


class Claims:
    """Decides, for one process, what of the queue is due and claims it.

    Args:
        store: the database.
        clock: the machine's zone is asked of it; instants are arguments.
        owner: the text that tells this process from all others.
        known_handlers: the handler types that can be run here.
        reports: is told of slots that are missed and of tasks that are set aside.
        is_alive: whether the process of another owner's text still lives.
    """

    def __init__(
        self,
        store: MemoryStore,
        clock: Clock,
        owner: str,
        known_handlers: Container[str],
        reports: Reports,
        is_alive: Callable[[str | None], bool] = owner_alive,
    ) -> None:
        self._store = store
        self._clock = clock
        self._owner = owner
        self._known = known_handlers
        self._reports = reports
        self._is_alive = is_alive

    def settle(self, now: datetime) -> None:
        """Read the tasks that somebody added or changed, and queue each one's next slot.

        A task that cannot be scheduled is set aside: disabled, once, with the reason
        in its history. It comes back when it is mended.
        """
        while self._store.changed_tasks(1):
            with self._store.transaction():
                for task, set_aside in self._store.changed_tasks(_BATCH):
                    self._settle_task(task, set_aside, now)

    def _settle_task(self, task: ScheduledTask, set_aside: str | None, now: datetime) -> None:
        task_id = require_id(task)
        if not task.enabled and set_aside is None:
            self._store.dequeue(task_id)
            return
        try:
            slot = self._slot_of_row(task, now)
        except ScheduleError as error:
            self._set_aside(task, set_aside, str(error), now)
            return
        if set_aside is None:
            self._reports.watch(task, now)
        else:
            self._store.set_enabled(task_id, True)
            self._reports.mended(task, now)
            _logger.info("Task %r was mended and is scheduled again", task.name, extra={"task": task.name})
        if slot is None or task.next_run_at is None:
            self._store.set_next_run(task_id, slot)
        else:
            self._store.enqueue(task_id, slot)

    def _slot_of_row(self, task: ScheduledTask, now: datetime) -> datetime | None:
        zone = self._clock.zone()
        schedule = task_schedule(task, zone)
        if task.next_run_at is not None:
            return parse_instant(task.next_run_at, zone)
        if isinstance(schedule, Once):
            return None if self._store.slot_has_run(require_id(task), schedule.at) else schedule.at
        return schedule.next_after(now)

    def _set_aside(self, task: ScheduledTask, before: str | None, reason: str, now: datetime) -> None:
        if not task.enabled and before == reason:  # told already
            self._store.dequeue(require_id(task))
            return
        self._store.record_unrun(task, now, RunStatus.SKIPPED, f"set aside: {reason}", at=now)
        self._store.set_enabled(require_id(task), False)
        self._store.end_troubles(require_id(task), [TroubleKind.SET_ASIDE])
        self._reports.set_aside(task, reason, now)
        _logger.error("Task %r is set aside until it is mended: %s", task.name, reason, extra={"task": task.name})

    def next_claim(self, now: datetime, started_at: datetime) -> tuple[Claim | None, list[Unrun]]:
        """Claim what has been due the longest at `now`.

        Returns the claim, or None where nothing is due any more; and the slots found on
        the way that are recorded as missed or skipped.
        """
        unrun: list[Unrun] = []
        while (first := self._store.first_due(now)) is not None:
            if first == READ_ANEW:
                self.settle(now)
            try:
                with self._store.transaction():
                    for _ in range(_BATCH):
                        due = self._store.head(now)
                        if due is None:
                            break
                        decided = self._decide(due, now, started_at)
                        if isinstance(decided, Claim):
                            return decided, unrun
                        if decided is not None:
                            unrun.append(decided)
            except sqlite3.IntegrityError:
                # Another run of the task became alive between the head and the claim;
                # the next look at the queue shows it.
                continue
        return None, unrun

    def _decide(self, due: Due, now: datetime, started_at: datetime) -> Claim | Unrun | None:
        if due.attempt > 1:
            return self._claim_retry(due, started_at)
        task = due.task
        try:
            schedule = task_schedule(task, self._clock.zone())
            planned = plan(schedule, due.scheduled_for, now)
        except ScheduleError as error:
            self._set_aside(task, None, str(error), now)
            return Unrun(task, RunStatus.SKIPPED, f"set aside: {error}")
        collapsed = due.collapsed + planned.collapsed
        if planned.slot != due.scheduled_for:
            # Back into the queue at its new nominal time: what is overdue runs in that order.
            self._store.enqueue(require_id(task), planned.slot, collapsed=collapsed)
            return None
        waits_from = planned.slot if isinstance(schedule, Interval) else None
        next_run_at = self._store.set_next_run(require_id(task), planned.next, waits_from=waits_from)
        task = replace(task, next_run_at=next_run_at)
        if (refusal := self._refusal(due, now)) is not None:
            status, reason = refusal
            if not self._store.record_unrun(task, planned.slot, status, reason, at=now, collapsed=collapsed):
                return None
            if status is RunStatus.MISSED:
                self._reports.slots_missed(task, reason, now)
            return Unrun(task, status, reason)
        return self._store.claim_run(
            task, planned.slot, 1, started_at=started_at, owner=self._owner, collapsed=collapsed
        )

    def _claim_retry(self, due: Due, started_at: datetime) -> Claim | None:
        self._store.dequeue_retry(require_id(due.task), due.scheduled_for, due.attempt)
        return self._store.claim_run(
            due.task, due.scheduled_for, due.attempt, started_at=started_at, owner=self._owner
        )

    def _refusal(self, due: Due, now: datetime) -> tuple[RunStatus, str] | None:
        """Why a due slot is not run, or None where it is."""
        if due.task.handler_type not in self._known:
            return RunStatus.SKIPPED, f"no handler of type {due.task.handler_type!r} is installed"
        if due.running_since is not None:
            since = local_text(due.running_since, self._clock.zone())
            return RunStatus.SKIPPED, f"still running since {since}"
        grace = task_policy(due.task.policy).misfire_grace_seconds
        late = now - due.scheduled_for
        if grace is not None and late > timedelta(seconds=grace):
            allowed = duration_text(timedelta(seconds=grace))
            return RunStatus.MISSED, f"{duration_text(late)} late; more than {allowed} late is useless to it"
        return None

    def claim_manually(self, task: ScheduledTask, now: datetime) -> Claim:
        """Claim a run that a person asked for; it moves no slot.

        Raises TaskRunningError while another run of the task is alive.
        """
        try:
            claim = self._store.claim_run(
                task, now, 1, started_at=now, owner=self._owner, trigger=Trigger.MANUAL
            )
        except sqlite3.IntegrityError:
            claim = None
        if claim is None:
            raise TaskRunningError(f"task {task.name!r} runs already; try again when that run is over")
        return claim

    def recover(self, now: datetime) -> None:
        """End the runs whose process is gone, and have their slots run again as the policy says.

        Runs of processes that live (another `tick`, a `run-now`) are not touched.
        """
        for live in self._store.live_runs_of_others(self._owner):
            if self._is_alive(live.owner):
                continue
            reason = f"process {owner_pid(live.owner)}, which ran it, ended before it was done"
            with self._store.transaction():
                self._store.interrupt_run(live.run, reason, now)
                if live.run.status is RunStatus.RUNNING and live.run.trigger is Trigger.SCHEDULE:
                    reason += self._retry_interrupted(live.run.task_id, live.run.scheduled_for, live.run.attempt, now)
            if live.run.status is RunStatus.RUNNING:
                name = live.run.task_name
                _logger.warning("Task %r was interrupted: %s", name, reason, extra={"task": name})

    def _retry_interrupted(self, task_id: int, slot: datetime, attempt: int, now: datetime) -> str:
        task = self._store.get_scheduled_task(task_id)
        try:
            again = task is not None and task.enabled and task_policy(task.policy).on_interrupt is OnInterrupt.RETRY
        except ScheduleError:
            again = False
        if not again or attempt >= MAX_ATTEMPTS_AFTER_INTERRUPT:
            return ""
        self._store.enqueue_retry(task_id, slot, attempt + 1, now)
        return "; its slot runs again"

    def rezone(self, now: datetime) -> None:
        """The machine's zone changed: tasks without a zone of their own follow it.

        What was due before the change stays due. Texts are written with the new offset.
        """
        with self._store.transaction():
            for task, schedule, slot, waits_from in self._queued():
                follows = task_policy(task.policy).timezone is None and not isinstance(schedule, Interval)
                moved: datetime | None = slot
                if follows and slot > now:
                    moved = schedule.at if isinstance(schedule, Once) else schedule.next_after(now)
                self._store.set_next_run(require_id(task), moved, waits_from=waits_from)

    def rewind(self, now: datetime) -> None:
        """The wall clock was set back: no interval waits longer than it says, no slot runs twice."""
        with self._store.transaction():
            for task, schedule, slot, waits_from in self._queued():
                if isinstance(schedule, Interval):
                    if waits_from is not None and waits_from > now + CLOCK_SLACK:
                        self._restart_interval(require_id(task), schedule, now)
                elif not isinstance(schedule, Once):
                    self._go_back(require_id(task), schedule, now, slot)

    def _queued(self) -> Iterator[tuple[ScheduledTask, Schedule, datetime, datetime | None]]:
        for task, slot, waits_from in self._store.queued_slots():
            with suppress(ScheduleError):  # it is set aside when it comes due
                yield task, task_schedule(task, self._clock.zone()), slot, waits_from

    def _restart_interval(self, task_id: int, schedule: Interval, now: datetime) -> None:
        # Its old slots up to the clock's former time have run, so it counts anew from
        # here; a microsecond earlier where that very instant was a slot before.
        slot = now + schedule.step
        while self._store.slot_has_run(task_id, slot):
            slot -= timedelta(microseconds=1)
        self._store.set_next_run(task_id, slot, waits_from=now)

    def _go_back(self, task_id: int, schedule: Schedule, now: datetime, queued: datetime) -> None:
        """Queue the first slot after `now` that has no row, where that is before the queued one."""
        slot = schedule.next_after(now)
        while slot is not None and slot < queued:
            if not self._store.slot_has_run(task_id, slot):
                self._store.set_next_run(task_id, slot)
                return
            slot = schedule.next_after(slot)
