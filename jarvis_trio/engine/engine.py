"""The synchronous engine: claim what is due, run it, record it (laws 2, 3, 4).

It knows no event loop (law 7) and can be called from several threads at once: each
call of `evaluate_due_tasks` is one tick.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, tzinfo
from random import Random
from typing import Any, Self

from jarvis_trio.clock import Clock, SystemClock
from jarvis_trio.engine.claims import Claims, Step, Unrun, end_orphans
from jarvis_trio.engine.notices import Notices
from jarvis_trio.engine.outcomes import Ended, Outcomes
from jarvis_trio.engine.planner import CLOCK_SLACK, Planner
from jarvis_trio.engine.runner import Attempt, EndedAttempt, Runner, run_in_thread
from jarvis_trio.errors import StoreError
from jarvis_trio.handlers.making import make_channels, make_handlers
from jarvis_trio.instants import as_utc, duration_text
from jarvis_trio.models import (
    FAILED,
    Claim,
    Handler,
    HandlerContext,
    Outcome,
    RunStatus,
    ScheduledTask,
    task_policy,
)
from jarvis_trio.process.identity import current_owner, owner_alive
from jarvis_trio.schedules.schedule import task_zone
from jarvis_trio.settings import read_settings
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.queue import Outlook

DEFAULT_TIMEOUT = timedelta(seconds=300)
_PRUNE_EVERY = timedelta(days=1)
_PRUNE_AT_ONCE = 1000

_logger = logging.getLogger(__name__)

Present = Callable[[], datetime]
"""What the time is (aware UTC)."""


class SchedulerEngine:
    """Evaluates the due tasks of a store.

    Args:
        memory_store: the database.
        clock: what the time and the machine's zone are.
        handlers: the callables by handler type; by default those that come with the program
            and the installed ones, with their files beside the database.
        timeout: the time limit of a handler whose task sets none.
        runner: calls a handler; `runner.run_inline` for simulations.
        owner: the text that tells this process from all others.
        is_alive: whether the process of another owner's text still lives.
        end_orphans: ends what the process of another owner's text has left of its commands.
        notices: tells people of runs and of troubles; by default of the former alone.
        keep_days: how old a row of the run history may grow.
        keep_runs: how many rows of it a task may have. Its last run is always kept.
        random: spreads the retries.
    """

    allows_concurrent_ticks = True

    def __init__(
        self,
        memory_store: MemoryStore,
        *,
        clock: Clock | None = None,
        handlers: Mapping[str, Handler] | None = None,
        timeout: timedelta = DEFAULT_TIMEOUT,
        runner: Runner = run_in_thread,
        owner: str | None = None,
        is_alive: Callable[[str | None], bool] = owner_alive,
        end_orphans: Callable[[str], object] = end_orphans,
        notices: Notices | None = None,
        keep_days: int = 90,
        keep_runs: int = 10_000,
        random: Random | None = None,
    ) -> None:
        self.memory_store = memory_store
        self._clock = clock or SystemClock()
        settings = read_settings({}, memory_store.path.parent)
        channels = make_channels(settings, os.environ)
        self._notices = notices or Notices(memory_store, self._clock, channels.send)
        self._handlers = make_handlers(settings, channels) if handlers is None else handlers
        self._timeout = timeout
        self._runner = runner
        self._keep = (timedelta(days=keep_days), keep_runs)
        self._outcomes = Outcomes(memory_store, self._notices, random or Random())
        self._owner = owner or current_owner()
        self._planner = Planner(memory_store, self._clock, self._notices)
        self._claims = Claims(
            memory_store, self._clock, self._owner, self._handlers, self._notices, self._planner, is_alive, end_orphans
        )
        self._seen: tuple[tuple[int, int] | None, Outlook | None] = (None, None)
        self._guard = threading.Lock()
        self._running: dict[int, Claim] = {}
        self._told_unknown: set[str] = set()
        self._zone: tzinfo | None = None
        self._zero: datetime | None = None  # what the wall clock read when the monotonic one read 0
        self._pruned_at: datetime | None = None

    def evaluate_due_tasks(self, now: datetime | None = None) -> list[dict[str, Any]]:
        """One tick: run what is due, one task after the other, until nothing is.

        What is due is fixed when the tick starts, so it ends however fast new work comes
        due. Several threads may each be in a tick; a task is run by one of them.

        Args:
            now: the instant to evaluate at, which stands still then; a naive one is local
                time; None is the present.

        Returns one mapping for each slot dealt with: `task_id`, `name`, `handler_type`,
        `status`, `next_run_at`, and `result` or `error` (and `delivery` where one was made).
        Raises StoreError where the database cannot be used; nothing is started then.
        """
        present = self._clock.now if now is None else _standing(as_utc(now, self._clock.zone()))
        instant = present()
        self._prepare(instant, follows_clock=now is None)
        ahead = self._look_ahead()
        if ahead.others_run:
            self._claims.recover(instant)
            ahead = self._look_ahead()
        results: list[dict[str, Any]] = []
        if _is_due(ahead.slot_at, instant):
            results = self._run_due(instant, present)
            ahead = self._look_ahead()
        if _is_due(ahead.deadline_at, instant):
            self._notices.check_deadlines(instant)
            ahead = self._look_ahead()
        if ahead.letter_at is not None and ahead.letter_at <= (at := present()):
            self._notices.send_due(at)
        return results

    def _run_due(self, instant: datetime, present: Present) -> list[dict[str, Any]]:
        """Claim and run one task after the other.

        The outcome of one and the claim of the next are one transaction: half the commits.
        """
        results: list[dict[str, Any]] = []
        ended: Ended | None = None
        while True:
            step = self._record_and_claim(ended, instant, present)
            if ended is not None:
                results.append(self._report(ended, present()))
            results += [self._report_unrun(slot) for slot in step.unrun]
            ended = None if step.claim is None else self._run(step.claim, present)
            if ended is None and not step.more:
                return results
            if ended is not None and ended.claim.task.delivery_channel:
                # Nothing is claimed while a message is on its way: another tick can have it.
                self._outcomes.record(ended)
                results.append(self._report(ended, present()))
                ended = None

    def _record_and_claim(self, ended: Ended | None, instant: datetime, present: Present) -> Step:
        try:
            with self.memory_store.transaction():
                if ended is not None:
                    self._outcomes.write(ended)
                return self._claims.step(instant, present())  # the wait for the write lock is over
        except Exception as error:
            # What is in hand is kept whatever the claim met; it was rolled back with it.
            if ended is None:
                raise
            self._outcomes.record(ended)
            if not isinstance(error, StoreError):
                raise
            return Step(None, [], more=False)

    def run_now(self, name: str) -> dict[str, Any]:
        """Run a task because a person asks for it; no slot moves, and no retry follows.

        Returns a mapping as `evaluate_due_tasks` does. Raises UnknownTaskError,
        TaskRunningError, StoreError.
        """
        now = self._clock.now()
        self._claims.recover(now)
        ended = self._run(self._claims.claim_manually(self.memory_store.require_task(name), now), self._clock.now)
        self._outcomes.record(ended)
        return self._report(ended, self._clock.now())

    def next_due_at(self) -> datetime | None:
        """When there is something to do next (aware UTC); in the past where there is now."""
        return self._look_ahead().next_at()

    def finish(self) -> None:
        """Write what could not be written so far; call it when no tick runs any more."""
        self._outcomes.write_kept()

    def running(self) -> list[tuple[str, datetime]]:
        """What runs in this process, and since when."""
        with self._guard:
            return [(claim.task.name, claim.started_at) for claim in self._running.values()]

    def _prepare(self, now: datetime, *, follows_clock: bool) -> None:
        if not self.memory_store.ensure_same_file():
            _logger.warning("The database %s was replaced; the new one is used", self.memory_store.path)
            self._seen = (None, None)
        self._outcomes.write_kept()
        if follows_clock:
            self._notice_zone(now)
            self._notice_clock()
        self._prune(now)

    def _look_ahead(self) -> Outlook:
        """What is to be done next: asked anew only when somebody has written.

        So an idle tick reads one counter, however many tasks there are. The counter is
        read first, so that a write in between is noticed.
        """
        writes = self.memory_store.write_marks()
        known_at, outlook = self._seen
        if outlook is None or known_at != writes:
            outlook = self.memory_store.look_ahead(self._owner)
            self._seen = (writes, outlook)
        return outlook

    def _notice_zone(self, now: datetime) -> None:
        zone = self._clock.zone()
        with self._guard:
            first, moved = self._zone is None, self._zone != zone
            self._zone = zone
        if first:
            self.memory_store.drop_orphans()
            self.memory_store.adopt_running()
            moved = self.memory_store.note("zone") not in (None, str(zone))
        if first or moved:
            self.memory_store.remember("zone", str(zone))
        if moved:
            _logger.info("The machine's zone is %s now; tasks without a zone of their own follow", zone)
            self._planner.rezone(now)

    def _notice_clock(self) -> None:
        """The wall clock was set back where it lost time against the monotonic one, or against the last run."""
        with self._guard:
            now = self._clock.now()  # read anew: the tick may have waited long for the database
            zero = now - timedelta(seconds=self._clock.monotonic())
            back = (self.memory_store.last_started_at() or now) - now if self._zero is None else self._zero - zero
            self._zero = zero
        if back > CLOCK_SLACK:
            _logger.warning("The clock was set back by %s; schedules are read anew", duration_text(back))
            self._planner.rewind(now, back)

    def _run(self, claim: Claim, present: Present) -> Ended:
        with self._guard:
            self._running[claim.run_id] = claim
        try:
            attempt = self._attempt(claim)
        finally:
            with self._guard:
                del self._running[claim.run_id]
        return Ended(claim, attempt, present())

    def _attempt(self, claim: Claim) -> Attempt:
        kind = claim.task.handler_type
        if kind not in self._handlers:  # a run by hand, or a retry of a task that was edited meanwhile
            return EndedAttempt(Outcome(RunStatus.ERROR, reason=f"no handler of type {kind!r} is installed"))
        return self._runner(self._handlers[kind], claim.task, self._context(claim))

    def _context(self, claim: Claim) -> HandlerContext:
        seconds = task_policy(claim.task.policy).timeout_seconds
        return HandlerContext(
            store=_LentStore(self.memory_store),
            scheduled_for=claim.scheduled_for,
            attempt=claim.attempt,
            started_at=claim.started_at,
            timeout=self._timeout if seconds is None else timedelta(seconds=seconds),
            logger=logging.LoggerAdapter(_logger, {"task": claim.task.name, "run_id": claim.run_id}),
            zone=task_zone(claim.task, self._clock.zone()),
        )

    def _prune(self, now: datetime) -> None:
        """Delete old history once a day, a part at each tick, so that no tick is held up by it."""
        with self._guard:
            if self._pruned_at is not None and abs(now - self._pruned_at) < _PRUNE_EVERY:
                return
            self._pruned_at = now
        age, count = self._keep
        deleted = self.memory_store.prune_old_runs(now - age, _PRUNE_AT_ONCE)
        for task_id in self.memory_store.tasks_with_more_runs(count):
            deleted += self.memory_store.prune_surplus_runs(task_id, count, max(_PRUNE_AT_ONCE - deleted, 0))
        if deleted >= _PRUNE_AT_ONCE:
            self._pruned_at = None

    def _report(self, ended: Ended, now: datetime) -> dict[str, Any]:
        claim, outcome = ended.claim, ended.attempt.outcome
        report = self._describe(claim.task, outcome.status)
        if outcome.status in FAILED:
            extra = {"task": claim.task.name, "run_id": claim.run_id}
            _logger.warning("Task %r ended as %s: %s", claim.task.name, outcome.status, outcome.reason, extra=extra)
        report |= {"result": outcome.result} if outcome.status is RunStatus.EXECUTED else {"error": outcome.reason}
        if claim.task.delivery_channel and (account := self._notices.send_run(claim.run_id, now)) is not None:
            report["delivery"] = account
        return report

    def _report_unrun(self, slot: Unrun) -> dict[str, Any]:
        kind = slot.task.handler_type
        if slot.status is RunStatus.MISSED or kind not in self._told_unknown:
            _logger.warning("Task %r %s: %s", slot.task.name, slot.status, slot.reason, extra={"task": slot.task.name})
        if kind not in self._handlers:
            self._told_unknown.add(kind)
        return self._describe(slot.task, slot.status) | {"error": slot.reason}

    @staticmethod
    def _describe(task: ScheduledTask, status: RunStatus) -> dict[str, Any]:
        return {
            "task_id": task.id,
            "name": task.name,
            "handler_type": task.handler_type,
            "status": str(status),
            "next_run_at": task.next_run_at,
        }


class _LentStore:
    """The store in the hands of a handler: all of it but its end, as every other task needs it open (law 4)."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing: it is not the handler's to close."""


def _standing(instant: datetime) -> Present:
    return lambda: instant


def _is_due(at: datetime | None, now: datetime) -> bool:
    return at is not None and at <= now
