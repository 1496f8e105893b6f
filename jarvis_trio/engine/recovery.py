"""Ends what processes that are gone have left running, and what has never begun (laws 2, 3).

Guarantees:

- A run whose process is gone ends as a row with its reason, in whatever process sees that first.
- Nothing of its command is alive when its slot runs again.
- One thread recovers at a time; the others wait for it a moment, and then run what they can.

This code assumes that the owner in a row names one process for all time.

The races, each with what decides it:

1. The process dies between the claim and the end of the run. The row stays `running` with its
   owner; `recover`, in any other process, ends it and queues its slot again.
2. A run looks orphaned, and its owner ends it meanwhile. `interrupt_run` changes only a row that
   is still as it was read.
3. The answer to the COMMIT of a claim is lost. Nobody makes that run, so `recover` ends it if it
   is there, and its slot runs again. If another program's trigger refuses that end, it is tried
   again, as it is for the runs of a process that is gone.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from jarvis_trio.clock import Clock
from jarvis_trio.engine.limits import Limits
from jarvis_trio.engine.notices import Notices
from jarvis_trio.engine.peers import Peers, Survivor
from jarvis_trio.errors import ConflictError, ScheduleError
from jarvis_trio.models import Claim, Run, RunStatus, Trigger, TroubleKind
from jarvis_trio.policy import OnInterrupt, task_policy
from jarvis_trio.process.identity import owner_pid
from jarvis_trio.store import MemoryStore

MAX_ATTEMPTS_AFTER_INTERRUPT = 3
"""A slot whose attempts die with their process is tried at most this often."""

_logger = logging.getLogger(__name__)


class _Doubt(NamedTuple):
    """A claim that may not be on the disk, and when `recover` looks for it (aware UTC)."""

    claim: Claim
    look_at: datetime


class Recovery:
    """Recovers for the ticks of one engine. Several threads may call it.

    Args:
        store: the database.
        clock: how long a recovery is awaited.
        peers: this process, and what is known of the others.
        notices: is told of tasks whose runs cannot be ended, or do not run again.
        limits: how long that may be, and how soon a refused end is tried again.
    """

    def __init__(self, store: MemoryStore, clock: Clock, peers: Peers, notices: Notices, limits: Limits) -> None:
        self._store = store
        self._clock = clock
        self._peers = peers
        self._notices = notices
        self._limits = limits
        self._unended: set[int] = set()
        self._survivors: dict[str, Sequence[Survivor]] = {}
        self._recovering = threading.Lock()
        self._recovers_since = 0.0
        self._doubts: list[_Doubt] = []

    @property
    def doubted_at(self) -> datetime | None:
        """When `recover` has claims to look for (aware UTC); None if it has none."""
        return min((doubt.look_at for doubt in self._doubts), default=None)

    def doubt(self, claims: Sequence[Claim]) -> None:
        """It is not known whether these claims are on the disk, and nobody makes their runs."""
        self._doubts += [_Doubt(claim, claim.started_at) for claim in claims]

    def recover(self, now: datetime) -> None:
        """End the runs whose process is gone, and queue their slots again as the policy says.

        Runs of processes that live (another `tick`, a `run-now`) are not touched. Commands
        that outlived their process are ended first, so that no attempt overlaps them; that
        can take as long as a command may resist SIGTERM. If one cannot be ended, because it hangs
        in the kernel, its run goes on until it is gone.

        The runs of claims that were doubted are ended too: they have never begun.
        """
        if not self._may_recover():
            return
        try:
            others = self._store.runs.live_runs_of_others(self._peers.owner)
            dead = [run for run in others if self._peers.is_gone(run)]
            left = {owner: self._survivors_of(owner) for owner in {run.owner for run in dead} if owner is not None}
            for run in dead:
                if not any(survivor.holds(run) for survivor in left.get(run.owner or "", ())):
                    self._end(run, now, self._peers.why_gone(run))
            self._peers.settled()
            for doubt in tuple(self._doubts):
                is_over = self._give_up(doubt.claim, now)
                self._doubts.remove(doubt)  # only now, or an error would lose it
                if not is_over:
                    self._doubts.append(doubt._replace(look_at=now + self._limits.refused_pause))
        finally:
            self._recovering.release()

    def _may_recover(self) -> bool:
        """Whether this thread is the one that recovers; wait for one that has just begun to.

        The patience counts from the beginning of that recovery. A hunt that takes seconds would
        make each tick late by as much, and not only the first one.
        """
        steady = self._clock.monotonic
        patience = self._recovers_since + self._limits.recovery_patience.total_seconds() - steady()
        if not self._recovering.acquire(timeout=max(patience, 0.0)):
            return False
        self._recovers_since = steady()
        return True

    def _give_up(self, claim: Claim, now: datetime) -> bool:
        """End the run of a doubted claim, if it is there. Returns False if that is refused.

        The transaction in which it is read ends first: another program's trigger may undo that in
        which it is ended, and a tick must go on.
        """
        with self._store.transaction():  # so the one of the claim is over: there is one at a time
            run = self._store.runs.get_run(claim.run_id)
        if run is not None and (run.scheduled_for, run.started_at) == (claim.scheduled_for, claim.started_at):
            return self._end(run, now, "it never began: the database did not confirm its claim in time")
        return True

    def _survivors_of(self, owner: str) -> Sequence[Survivor]:
        """End what a dead process has left, and return what lives on.

        To hunt takes seconds, so as long as one of them lives there is no further hunt.
        """
        living = [survivor for survivor in self._survivors.pop(owner, ()) if survivor.is_alive()]
        if not living:
            living = list(self._peers.end_orphans(owner))
            for survivor in living:
                _logger.error(
                    "PID %d, which process %s left, cannot be ended; until it is gone its task does not start again",
                    survivor.pid,
                    owner_pid(owner),
                )
        if living:
            self._survivors[owner] = living
        return living

    def _end(self, run: Run, now: datetime, reason: str) -> bool:
        """End a run. Returns False if the database refuses that."""
        try:
            self._interrupt(run, now, reason)
        except ConflictError as error:
            if run.id not in self._unended:
                self._unended.add(run.id)
                _logger.error("Run %d of task %r cannot be ended: %s", run.id, run.task_name, error)
                if (task := self._store.runs.task_of_run(run.id)) is not None:
                    self._notices.refused(task, error.says, now)
            return False
        return True

    def _interrupt(self, run: Run, now: datetime, reason: str) -> None:
        stopped_by = self._store.requests.stopped_by(run.id)
        if stopped_by is not None:
            reason = f"stopped by {stopped_by}"
        with self._store.transaction():
            if not self._store.runs.interrupt_run(run, reason, now):
                return
            if run.status is RunStatus.RUNNING and run.trigger is Trigger.SCHEDULE and stopped_by is None:
                reason += run_again(self._store, self._notices, run, reason, now)
        if run.status is RunStatus.RUNNING:
            name = run.task_name
            _logger.warning("Task %r was interrupted: %s", name, reason, extra={"task": name})


def run_again(store: MemoryStore, notices: Notices, run: Run, reason: str, now: datetime) -> str:
    """Queue the slot of an interrupted run again, as its task's policy says.

    Call it in the transaction that records the end. Returns what to add to the reason.
    """
    task = store.runs.task_of_run(run.id)
    if task is None or not task.enabled:
        return ""
    try:
        wanted = task_policy(task.policy).on_interrupt is OnInterrupt.RETRY
    except ScheduleError:
        wanted = False

    if not wanted or run.attempt >= MAX_ATTEMPTS_AFTER_INTERRUPT:
        notices.trouble(task, TroubleKind.FAILING, reason, now)
        return ""
    store.queue.enqueue_retry(task, run.scheduled_for, run.attempt + 1, max(now, run.scheduled_for))
    return "; its slot runs again"
