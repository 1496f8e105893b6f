"""Which slot is run next, and by whom: laws 2 and 3.

Everything here is decided inside one write transaction of the store, so that two
processes cannot decide differently about one slot. Only the decision is here; what
a handler does with a claim is the engine's.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Container
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil

from jarvis_trio.clock import Clock
from jarvis_trio.engine.notices import Notices
from jarvis_trio.engine.planner import Planner
from jarvis_trio.errors import ScheduleError, TaskRunningError
from jarvis_trio.instants import duration_text
from jarvis_trio.models import (
    Claim,
    Due,
    OnInterrupt,
    Run,
    RunStatus,
    ScheduledTask,
    Trigger,
    TroubleKind,
    require_id,
    task_policy,
)
from jarvis_trio.process.identity import owner_alive, owner_pid
from jarvis_trio.schedules.schedule import Schedule, plan, task_schedule
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.runs import LiveRun
from jarvis_trio.text import moment_words

MAX_ATTEMPTS_AFTER_INTERRUPT = 3
"""A slot whose attempts die with their process is not tried more often than this."""

RECOVERY_PATIENCE = timedelta(seconds=1)
"""So long a tick waits for another one that ends what a dead process left behind; then it runs what it can."""

_BATCH = 500
"""Rows decided in one transaction, so that other processes get the write lock in between."""

_logger = logging.getLogger(__name__)


def end_orphans(owner: str) -> None:
    """`handlers.processes.end_orphans`, imported only where a process has died."""
    from jarvis_trio.handlers import processes  # noqa: PLC0415  # psutil: 20 ms

    processes.end_orphans(owner)


@dataclass(frozen=True, slots=True)
class Unrun:
    """A slot that came due and was not run, with its reason (law 3)."""

    task: ScheduledTask
    status: RunStatus
    reason: str


@dataclass(frozen=True, slots=True)
class Step:
    """What was decided: a claim or none, what is not run, and whether more may be due where nothing is claimed."""

    claim: Claim | None
    unrun: list[Unrun]
    more: bool = False


class Claims:
    """Decides, for one process, what of the queue is due and claims it.

    Args:
        store: the database.
        clock: the machine's zone is asked of it; instants are arguments.
        owner: the text that tells this process from all others.
        known_handlers: the handler types that can be run here.
        notices: is told of slots that are missed.
        planner: reads the rows that were changed.
        is_alive: whether the process of another owner's text still lives.
        end_orphans: ends what the process of another owner's text has left of its commands.
    """

    def __init__(
        self,
        store: MemoryStore,
        clock: Clock,
        owner: str,
        known_handlers: Container[str],
        notices: Notices,
        planner: Planner,
        is_alive: Callable[[str | None], bool] = owner_alive,
        end_orphans: Callable[[str], object] = end_orphans,
    ) -> None:
        self._store = store
        self._clock = clock
        self._owner = owner
        self._known = known_handlers
        self._notices = notices
        self._planner = planner
        self._is_alive = is_alive
        self._end_orphans = end_orphans
        self._recovering = threading.Lock()

    def step(self, now: datetime, started_at: datetime) -> Step:
        """Claim what has been due the longest at `now`; call it in a transaction.

        Rows that were changed are read on the way, and slots that are not to be run are
        recorded as missed or skipped.
        """
        unrun: list[Unrun] = []
        for _ in range(_BATCH):
            due = self._store.head(now)
            if due is None:
                return Step(None, unrun)
            decided = self._decide(due, now, started_at)
            if isinstance(decided, Claim):
                return Step(decided, unrun)
            if decided is not None:
                unrun.append(decided)
        return Step(None, unrun, more=True)

    def _decide(self, due: Due, now: datetime, started_at: datetime) -> Claim | Unrun | None:
        task = due.task
        if due.changed:
            self._planner.settle(task, now)
            return None
        if due.attempt > 1:
            return self._claim_retry(due, started_at)
        try:
            schedule = task_schedule(task, self._clock.zone())
            planned = plan(schedule, due.scheduled_for, now)
        except ScheduleError as error:
            self._planner.set_aside(task, str(error), now)
            return Unrun(task, RunStatus.SKIPPED, f"set aside: {error}")
        collapsed = due.collapsed + planned.collapsed
        if planned.collapsed:
            collapsed -= self._count_recorded(require_id(task), schedule, due.scheduled_for, planned.slot)
        if planned.slot != due.scheduled_for:
            # Back into the queue at its new nominal time: what is overdue runs in that order.
            self._store.settle(task, planned.slot, collapsed=collapsed)
            return None
        next_run_at = self._store.set_next_run(task, planned.next, waits_from=planned.slot)
        task = replace(task, next_run_at=next_run_at)
        if (refusal := self._refusal(due, now)) is not None:
            status, reason = refusal
            if self._store.record_unrun(task, planned.slot, status, reason, at=now, collapsed=collapsed):
                if status is RunStatus.MISSED:
                    self._notices.trouble(task, TroubleKind.MISSED, reason, now)
                return Unrun(task, status, reason)
        elif claim := self._store.claim_run(
            task, planned.slot, 1, started_at=started_at, owner=self._owner, collapsed=collapsed
        ):
            return claim
        if planned.next is not None:  # it ran before the clock was set back; the next one counts what it stood for
            self._store.settle(task, planned.next, collapsed=collapsed, waits_from=planned.slot)
        return None

    def _count_recorded(self, task_id: int, schedule: Schedule, first: datetime, end: datetime) -> int:
        """How many slots in [first, end) have a row of their own, of a time before the clock was set back."""
        recorded = self._store.slots_with_run(task_id, first, end)
        return sum(slot == first or schedule.latest(first, slot)[0] == slot for slot in recorded)

    def _claim_retry(self, due: Due, started_at: datetime) -> Claim | None:
        self._store.dequeue_retry(require_id(due.task), due.scheduled_for, due.attempt)
        return self._store.claim_run(due.task, due.scheduled_for, due.attempt, started_at=started_at, owner=self._owner)

    def _refusal(self, due: Due, now: datetime) -> tuple[RunStatus, str] | None:
        """Why a due slot is not run, or None where it is."""
        if due.task.handler_type not in self._known:
            return RunStatus.SKIPPED, f"no handler of type {due.task.handler_type!r} is installed"
        if due.running_since is not None:
            since = moment_words(due.running_since, self._clock.zone())
            return RunStatus.SKIPPED, f"still running since {since}"
        grace = task_policy(due.task.policy).misfire_grace_seconds
        late = now - due.scheduled_for
        if grace is not None and late > timedelta(seconds=grace):
            allowed = duration_text(timedelta(seconds=grace))
            seconds = timedelta(seconds=ceil(late.total_seconds()))
            return RunStatus.MISSED, f"{duration_text(seconds)} late; more than {allowed} late is useless to it"
        return None

    def claim_manually(self, task: ScheduledTask, now: datetime) -> Claim:
        """Claim a run that a person asked for; it moves no slot, and takes none's place.

        Raises TaskRunningError while another run of the task is alive, ScheduleError
        where its policy makes no sense.
        """
        task_policy(task.policy)
        with self._store.transaction():
            # Never on a whole second, where slots are: after the clock is set back one that comes finds its place free.
            nominal = now if now.microsecond else now + timedelta(microseconds=1)
            while self._is_slot(task, nominal):
                nominal += timedelta(microseconds=1)
            try:
                claim = self._store.claim_run(
                    task, nominal, 1, started_at=now, owner=self._owner, trigger=Trigger.MANUAL
                )
            except sqlite3.IntegrityError:
                claim = None
        if claim is None:
            raise TaskRunningError(f"task {task.name!r} runs already; try again when that run is over")
        return claim

    def _is_slot(self, task: ScheduledTask, instant: datetime) -> bool:
        """Whether a run has that very instant for its slot, or what is due now will have it."""
        if self._store.slot_has_run(require_id(task), instant):
            return True
        queued = self._store.queued_slot(require_id(task))
        if queued is None:
            return False
        with suppress(ScheduleError):
            return plan(task_schedule(task, self._clock.zone()), queued, instant).slot == instant
        return False

    def recover(self, now: datetime) -> None:
        """End the runs whose process is gone, and have their slots run again as the policy says.

        Runs of processes that live (another `tick`, a `run-now`) are not touched. Commands
        that outlived their process are ended first, so that no attempt overlaps them; that
        can take as long as a command may resist SIGTERM.
        """
        if not self._recovering.acquire(timeout=RECOVERY_PATIENCE.total_seconds()):
            return
        try:
            dead = [live for live in self._store.live_runs_of_others(self._owner) if not self._is_alive(live.owner)]
            for owner in {live.owner for live in dead if live.owner is not None}:
                self._end_orphans(owner)
            self._interrupt(dead, now)
        finally:
            self._recovering.release()

    def _interrupt(self, dead: list[LiveRun], now: datetime) -> None:
        for live in dead:
            reason = f"process {owner_pid(live.owner)}, which ran it, ended before it was done"
            with self._store.transaction():
                if not self._store.interrupt_run(live.run, reason, now):
                    continue
                if live.run.status is RunStatus.RUNNING and live.run.trigger is Trigger.SCHEDULE:
                    reason += self._retry_interrupted(live.run, reason, now)
            if live.run.status is RunStatus.RUNNING:
                name = live.run.task_name
                _logger.warning("Task %r was interrupted: %s", name, reason, extra={"task": name})

    def _retry_interrupted(self, run: Run, reason: str, now: datetime) -> str:
        task = self._store.task_of_run(run.id)
        if task is None or not task.enabled:
            return ""
        try:
            wanted = task_policy(task.policy).on_interrupt is OnInterrupt.RETRY
        except ScheduleError:
            wanted = False
        if not wanted or run.attempt >= MAX_ATTEMPTS_AFTER_INTERRUPT:
            self._notices.trouble(task, TroubleKind.FAILING, reason, now)
            return ""
        self._store.enqueue_retry(task, run.scheduled_for, run.attempt + 1, now)
        return "; its slot runs again"
