"""Records how attempts ended: now, or as soon as the database can be written (law 3).

Guarantees:

- What follows from an outcome, a retry or a message, is in the transaction that writes it.
- An outcome that cannot be written is kept, and its task does not start again before it is.
- It is tried again soon: after a second, then after twice as long each time, up to `longest_pause`.

This code assumes that a kept outcome is tried again (`write_kept`) by each tick and at the end, and
that there is a tick at `next_try_at`.

The races, each with what decides it:

1. Two ticks write what was kept. Under the guard the first one takes all of it.
2. A run is taken for dead before its outcome comes. `finish_run` then changes no row, and
   `_write_late` adds what people must know.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple

from jarvis_trio.clock import Clock
from jarvis_trio.engine.notices import Notices
from jarvis_trio.engine.recovery import run_again
from jarvis_trio.errors import ConflictError, StoreClosedError, StoreError
from jarvis_trio.models import FAILED, Claim, Outcome, RunStatus, Trigger, require_id
from jarvis_trio.notation.text import error_text
from jarvis_trio.policy import task_policy
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.runs import Late

LONGEST_RETRY_DELAY = timedelta(hours=1)
_FIRST_PAUSE = timedelta(seconds=1)
_logger = logging.getLogger(__name__)


class Ended(NamedTuple):
    """A claim whose attempt has ended or was given up: how, and when (aware UTC)."""

    claim: Claim
    outcome: Outcome
    at: datetime


class Outcomes:
    """Writes outcomes, and what follows from them: a retry, or the message about the run.

    Args:
        store: the database.
        notices: is told of runs that are not tried again.
        random: spreads the retries.
        clock: measures the pauses between two tries to write what is kept.
        longest_pause: how long such a pause may be.
    """

    def __init__(
        self, store: MemoryStore, notices: Notices, random: Random, clock: Clock, longest_pause: timedelta
    ) -> None:
        self._store = store
        self._notices = notices
        self._random = random
        self._clock = clock
        self._longest_pause = longest_pause
        self._pause = _FIRST_PAUSE
        self._try_at = 0.0  # by the monotonic clock
        self._guard = threading.Lock()
        self._unwritten: list[Ended] = []
        self._unreleased: list[Claim] = []

    def record(self, ended: Ended, *, again: bool = False) -> Ended:
        """Write the outcome. If that cannot be done now, keep it for the next tick.

        The log tells so once, and not `again` at each try.
        Until it is written the run stays `running`, so its task does not start again. Returns the
        outcome with the name that the task has now.
        """
        try:
            ended = self._write_alone(ended)
        except Exception as error:  # noqa: BLE001  # border of law 3: also MemoryError, or others that wait are lost
            with self._guard:
                self._unwritten.append(ended)
            if not again:
                self._set_next_try()
                name, why = ended.claim.task.name, error_text(error) or type(error).__name__
                _logger.error("The outcome of task %r is kept, as it cannot be written now: %s", name, why)
                if isinstance(error, ConflictError):
                    self._notices.refused(ended.claim.task, error.says, ended.at)
        else:
            if again:
                self._notices.taken_again(ended.claim.task)
        return ended

    def _write_alone(self, ended: Ended) -> Ended:
        try:
            with self._store.transaction():
                return self.write(ended)
        except ConflictError:
            with self._store.transaction():
                return self.write(ended, note_in_task=False)  # which another program's trigger takes back

    def write(self, ended: Ended, *, note_in_task: bool = True) -> Ended:
        """Write the outcome in the open transaction, by default in the task's row too.

        Returns as `record` does, so that it can be written again if the transaction is undone.
        Raises StoreError.
        """
        claim, written = ended.claim, ended
        if ended.outcome.cut_off:
            reason = f"{ended.outcome.reason}{self._run_again(ended)}"
            written = ended._replace(outcome=replace(ended.outcome, reason=reason))
        name = self._store.runs.finish_run(claim, written.outcome, ended.at, note_in_task=note_in_task)
        if name is None:
            self._write_late(written)
            return ended
        if name != claim.task.name:
            claim = claim._replace(task=replace(claim.task, name=name))
        self._follow_up(written._replace(claim=claim))
        return ended._replace(claim=claim)

    def _follow_up(self, ended: Ended) -> None:
        claim, outcome = ended.claim, ended.outcome
        if outcome.status in FAILED and self._may_retry(claim):
            due_at = ended.at + self._retry_delay(claim)
            self._store.queue.enqueue_retry(claim.task, claim.scheduled_for, claim.attempt + 1, due_at)
        else:
            self._notices.run_ended(claim, outcome, ended.at)

        if outcome.lingers:
            outcome.when_over(lambda: self._release(claim))

    @property
    def are_written(self) -> bool:
        """Whether no outcome waits to be written."""
        return not self._unwritten

    @property
    def are_settled(self) -> bool:
        """Whether `write_kept` has nothing to do: all is written, and no task waits for that."""
        return not self._unwritten and not self._unreleased

    def _run_again(self, ended: Ended) -> str:
        """The slot of a run that was ended from here because its machine was cut off runs again."""
        run = self._store.runs.get_run(ended.claim.run_id)
        if run is None or run.status is not RunStatus.RUNNING or run.trigger is not Trigger.SCHEDULE:
            return ""
        return run_again(self._store, self._notices, run, str(ended.outcome.reason), ended.at)

    def _write_late(self, ended: Ended) -> None:
        """Add the outcome of a run that other machines took for dead meanwhile.

        If its slot has not begun again, the outcome counts, and the slot does not run again.
        Otherwise the row stays interrupted and says what came of it: people must know that the
        slot ran twice.
        """
        claim, outcome, name = ended.claim, ended.outcome, ended.claim.task.name
        late = self._store.runs.finish_late(claim, outcome, ended.at)
        if late is Late.UNKNOWN:
            _logger.error("Run %d of task %r is no longer in the database", claim.run_id, name)
        elif late is Late.COUNTS:
            _logger.warning("Run %d of task %r, taken for dead, has ended after all", claim.run_id, name)
            self._store.queue.dequeue_retry(require_id(claim.task), claim.scheduled_for, claim.attempt + 1)
            self._follow_up(ended)
        elif late is Late.ADDED:
            _logger.warning("Run %d of task %r, taken for dead, ended beside another attempt", claim.run_id, name)
            self._notices.ran_beside(claim, outcome, ended.at)

    def write_kept(self) -> None:
        """Write what could not be written before."""
        if self.are_settled:
            return
        with self._guard:
            kept, self._unwritten = self._unwritten, []
            over, self._unreleased = self._unreleased, []
        for ended in kept:
            self.record(ended, again=True)
        for claim in over:
            self._release(claim)
        self.put_off()

    def put_off(self) -> None:
        """Try again later, since what is kept could not be written now, or not even tried."""
        self._pause = _FIRST_PAUSE if self.are_settled else min(2 * self._pause, self._longest_pause)
        self._set_next_try()

    def next_try_at(self) -> datetime | None:
        """When to try again to write what is kept (aware UTC); None if nothing is."""
        if self.are_settled:
            return None
        return self._clock.now() + timedelta(seconds=max(0.0, self._try_at - self._clock.monotonic()))

    def _set_next_try(self) -> None:
        self._try_at = self._clock.monotonic() + self._pause.total_seconds()

    def _may_retry(self, claim: Claim) -> bool:
        """Whether the slot has another attempt.

        It has none if its task was paused or removed during the run.
        """
        if claim.trigger is not Trigger.SCHEDULE or claim.attempt > task_policy(claim.task.policy).retries:
            return False
        task = self._store.runs.task_of_run(claim.run_id)
        return task is not None and task.enabled

    def _retry_delay(self, claim: Claim) -> timedelta:
        """Twice as long with each attempt, at most an hour, and up to a tenth longer by chance.

        The chance keeps tasks that failed together from coming back together.
        """
        base = timedelta(seconds=task_policy(claim.task.policy).retry_delay_seconds)
        doubled = min(base * (1 << min(claim.attempt - 1, 16)), LONGEST_RETRY_DELAY)
        return doubled * (1 + self._random.random() / 10)

    def _release(self, claim: Claim) -> None:
        try:
            self._store.runs.release_run(claim.run_id)
        except StoreClosedError:  # the process ends; the next one finds it gone
            return
        except StoreError as error:
            _logger.error("Task %r stays blocked, as that cannot be written now: %s", claim.task.name, error)
            with self._guard:
                self._unreleased.append(claim)
            self._set_next_try()
