"""The synchronous engine: claim what is due, run it, record it (laws 2, 3, 4).

It knows no event loop (law 7), and several threads may call it: each call of
`evaluate_due_tasks` is one tick.

Guarantees:

- A tick claims only what is due at the instant at which it began, so it ends however fast new
  work comes due.
- A tick that finds nothing changed asks the database for one counter.

This code assumes that the store serialises the threads of this process, and that a call of the
runner never raises. The races are told in the modules that decide them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from jarvis_trio.clock import Clock
from jarvis_trio.engine.attempts import Attempts, Present
from jarvis_trio.engine.calls import Calls
from jarvis_trio.engine.claims import Claims
from jarvis_trio.engine.equipment import equip
from jarvis_trio.engine.errands import Errands
from jarvis_trio.engine.history import History
from jarvis_trio.engine.horizon import Horizon
from jarvis_trio.engine.limits import Limits
from jarvis_trio.engine.notices import Notices
from jarvis_trio.engine.outcomes import Outcomes
from jarvis_trio.engine.peers import Peers
from jarvis_trio.engine.places import Places
from jarvis_trio.engine.planner import Planner
from jarvis_trio.engine.recovery import Recovery
from jarvis_trio.engine.refusals import Refusals, unless_refused
from jarvis_trio.engine.results import Results
from jarvis_trio.engine.rounds import Rounds, When
from jarvis_trio.engine.runner import Runner, run_in_thread
from jarvis_trio.engine.running import Running
from jarvis_trio.engine.surroundings import Surroundings
from jarvis_trio.engine.under_way import UnderWay
from jarvis_trio.engine.zones import ZoneWatch
from jarvis_trio.errors import StoreError, StoreUnsureError
from jarvis_trio.handlers.outputs import Outputs
from jarvis_trio.models import Claim, Handler
from jarvis_trio.notation.instants import as_utc
from jarvis_trio.notation.text import error_text
from jarvis_trio.process.watch import Watch, database_files
from jarvis_trio.schedules.schedule import load_all_kinds
from jarvis_trio.store import MemoryStore

DEFAULT_TIMEOUT = timedelta(seconds=300)
STOP_GRACE = timedelta(seconds=3)
"""How long a stop waits for its messages, and for room to write how runs ended."""

_logger = logging.getLogger(__name__)

KEPT_PATIENCE = timedelta(seconds=10)
"""How long a command tries to write an outcome that could not be written, before it gives up."""

_KEPT_LOOK = timedelta(seconds=0.5)
"""How often it tries."""


class SchedulerEngine:
    """Evaluates the due tasks of a store, by the store's clock.

    Args:
        memory_store: the database. Its clock tells the time and the machine's zone.
        handlers: the callables by handler type. By default those that come with the program
            and the installed ones, with their files beside the database.
        notices: tells people of runs and of troubles; by default of runs only.
        timeout: the time limit of a handler whose task sets none.
        limits: how much is kept, and how much is done at once.
        runner: calls a handler; `runner.run_inline` for simulations.
        peers: this process among all that share the database.
        random: spreads the retries.
        outputs: what commands wrote; it goes with the rows of the history.
        clock: another clock than the store's.
        lead: how long before its time a slot is claimed, so that its handler starts at the very
            instant. 0 in simulations: a claim takes no time there.

    Attributes:
        tell_due: called in a tick, in its thread, with what is due next (aware UTC, or None): as
            soon as it has made its claims and has left places for another tick. A loop sets it;
            then it need not ask.
    """

    allows_concurrent_ticks = True
    logs_runs = True
    obeys_requests = True
    delivers_itself = True
    """Whether a tick sends messages at its end; a daemon that calls `deliver_due` says no."""

    def __init__(
        self,
        memory_store: MemoryStore,
        *,
        handlers: Mapping[str, Handler] | None = None,
        notices: Notices | None = None,
        timeout: timedelta = DEFAULT_TIMEOUT,
        limits: Limits | None = None,
        runner: Runner = run_in_thread,
        peers: Peers | None = None,
        random: Random | None = None,
        outputs: Outputs | None = None,
        clock: Clock | None = None,
        lead: timedelta = timedelta(0),
    ) -> None:
        self._clock = clock or memory_store.clock
        handlers, notices, outputs = _complete(memory_store, self._clock, handlers, notices, outputs)
        limits = limits or Limits()
        self.memory_store = memory_store
        self.tell_due: Callable[[datetime | None], None] | None = None
        self._handlers = handlers
        self._notices = notices
        self._lead = lead

        self._deliveries = notices.deliveries
        self._peers = peers or Peers.beside(memory_store.path)
        # The store reads its zone once for each transaction; another clock has a zone of its own.
        self._read_zone = memory_store.zone if self._clock is memory_store.clock else self._clock.zone
        self._outcomes = Outcomes(memory_store, notices, random or Random(), self._clock, limits.refused_pause)
        self._history = History(memory_store, limits, outputs)
        zones = ZoneWatch(memory_store)
        planner = Planner(memory_store, self._clock, notices, handlers, zones, self._peers)
        self._surroundings = Surroundings(memory_store, self._clock, planner, zones, self._history)
        self._refusals = Refusals(memory_store, self._clock, notices, limits.refused_pause)
        self._claims = self._make_claims(limits, planner)
        self._recovery = Recovery(memory_store, self._clock, self._peers, notices, limits)
        self._horizon = Horizon(memory_store, self._peers, self._refusals, self._recovery, self._outcomes, lead)
        self._calls = Calls(memory_store, self._clock, self._read_zone, handlers, runner, timeout, lead)
        self._results = Results(memory_store, handlers)
        self._running = Running(memory_store)
        self._errands = Errands(
            memory_store, self._clock, self._claims, self._recovery, self._running, self._peers, handlers
        )
        self._stopped_at: float | None = None
        self._recovers = False
        self._attempts = Attempts(notices, self._calls, self._peers, self._running, limits.moment)
        self._rounds = self._make_rounds(notices)

    def _make_claims(self, limits: Limits, planner: Planner) -> Claims:
        return Claims(
            self.memory_store,
            self._read_zone,
            self._peers,
            self._handlers,
            self._notices,
            planner,
            limits,
            self._refusals,
        )

    def _make_rounds(self, notices: Notices) -> Rounds:
        return Rounds(
            self.memory_store,
            self._claims,
            self._recovery,
            self._attempts,
            self._outcomes,
            self._results,
            self._refusals,
            self._horizon,
            notices,
            self._say_due,
        )

    def let_run(self, at_once: int) -> None:
        """Let all ticks together have that many runs under way at once, from the next tick on.

        Until then a tick runs one task after the other, however many ticks there are. So it
        does in any case if the runner calls handlers in the tick's own thread.
        """
        if self._calls.overlap:
            self._rounds.places = Places(at_once)

    def evaluate_due_tasks(self, now: datetime | None = None) -> list[dict[str, Any]]:
        """One tick: run what is due, until nothing is.

        What is due is fixed when the tick starts. Several threads may each be in a tick; a
        task is run by one of them.

        Args:
            now: the instant to evaluate at, which stands still then; a naive one is local
                time; None is the present.

        Returns one mapping for each slot dealt with: `task_id`, `name`, `handler_type`,
        `status`, `next_run_at`, and `result` or `error` (and `delivery` if one was made).
        Raises StoreError if the database cannot be used; nothing is started then.
        """
        present = self._clock.now if now is None else _standing(as_utc(now, self._clock.zone()))
        instant = present()
        try:
            marks = self._horizon.keep_database()
            self._peers.check_in(instant, self._handlers)
        except StoreError:
            self._outcomes.put_off()
            raise
        if now is None and self._is_quiet(marks, instant):
            return []
        if now is None:
            self._surroundings.note_writes(marks)
        return self._evaluate(instant, present, follows_clock=now is None)

    def _evaluate(self, instant: datetime, present: Present, *, follows_clock: bool) -> list[dict[str, Any]]:
        self._prepare(instant, follows_clock=follows_clock)

        ahead = self._horizon.look()
        if ahead.others_run or self._recovery.doubted_at is not None:
            self._recover(instant)
            ahead = self._horizon.look()

        results: list[dict[str, Any]] = []
        when = When(instant, present, self._lead if follows_clock else timedelta(0))
        if _is_due(self._horizon.slot_at(ahead, when.lead), instant):
            results = self._rounds.run(when, waits_for_delivery=self.delivers_itself)
            ahead = self._horizon.look()
        if _is_due(ahead.deadline_at, instant):
            unless_refused(lambda: self._notices.check_deadlines(instant))
            ahead = self._horizon.look()
        if self.delivers_itself and ahead.letter_at is not None and ahead.letter_at <= (at := present()):
            self._deliveries.deliver_waiting(at, self._is_in_a_hurry)
        return [self._results.with_delivery(report) for report in results]

    def _recover(self, instant: datetime) -> None:
        """End what dead processes left, which can take seconds: others may tick beside it.

        The loop is not told again if the last recovery has failed: it starts a tick at once for
        what is due, and that one would fail and tell it, without a pause.
        """
        if not self._recovers:
            self._rounds.tell()
        self._recovers = True
        self._recovery.recover(instant)
        self._recovers = False

    def run_now(self, name: str) -> dict[str, Any]:
        """Run a task because a person asks for it; no slot moves, and no retry follows.

        Returns a mapping as `evaluate_due_tasks` does. Raises UnknownTaskError,
        TaskRunningError, StoreError.
        """
        return self.run_claimed(self.claim_now(name))

    def claim_now(self, name: str) -> Claim:
        """Claim the run that `run_claimed` then makes; it has a number from now on.

        Raises the errors of `run_now`.
        """
        self.recover()
        return self._claims.claim_manually(self.memory_store.tasks.require_task(name), self._clock.now())

    def run_claimed(self, claim: Claim) -> dict[str, Any]:
        """Make a claimed run, to its end. Returns as `run_now` does."""
        run = self._attempts.of_tick(self._clock.now, Places())
        run.begin([claim])
        [ended] = run.wait()
        report = self._results.of_run(self._outcomes.record(ended), waits_for_delivery=self.delivers_itself)
        if self.delivers_itself:
            self._deliveries.deliver_waiting(self._clock.now(), self._is_in_a_hurry)
        return self._results.with_delivery(report)

    def recover(self) -> None:
        """End the runs whose process is gone, as a tick does."""
        now = self._clock.now()
        self._peers.check_in(now, self._handlers)
        self._recovery.recover(now)

    def stop(self, run_id: int, by: str) -> bool:
        """Tell a run of this process to stop; it ends as `interrupted`.

        Returns whether this process makes that run.
        """
        return self._running.stop(run_id, by)

    def next_due_at(self) -> datetime | None:
        """When there is something to do next (aware UTC); in the past if there is now."""
        return self._horizon.earliest(self._horizon.look(), sends=self.delivers_itself)

    def known_due_at(self) -> datetime | None:
        """As `next_due_at`, as of the last look at the queue: free, for a loop after a tick."""
        return self._horizon.earliest(self._horizon.known(), sends=self.delivers_itself)

    def next_delivery_at(self) -> datetime | None:
        """When `deliver_due` has something to send (aware UTC); None if nothing waits.

        As of the last look at the queue, as `known_due_at`.
        """
        waits = self._horizon.known().letter_at is not None
        return self._deliveries.next_at() if waits else None

    def deliver_due(self) -> bool:
        """Send one message that is due. Returns whether there was one. Raises StoreError.

        At most one is on its way on each channel, so as many calls may overlap as there
        are channels. A call can hang with its server: leave its thread alone after
        `delivery_deadline`; the engine notices by itself, and tries the message again.
        """
        return self._deliveries.deliver_due()

    @property
    def delivery_deadline(self) -> timedelta:
        """How long one delivery may take."""
        return self._deliveries.deadline

    @property
    def under_way(self) -> UnderWay:
        """The calls of handlers that have not returned."""
        return self._calls.under_way

    def wind_down(self) -> None:
        """Claim nothing more: a tick ends with the run it has in hand.

        Messages get a short grace.
        """
        self._rounds.is_stopped = True
        self._stopped_at = self._clock.monotonic()

    def load_the_rest(self) -> None:
        """Import what later ticks may need: an upgrade exchanges the files under a process.

        A loop that goes on calls it soon after its first tick, which people wait for.
        """
        with suppress(ImportError):
            load_all_kinds()
            self.memory_store.load_all()

    def make_watch(self) -> Watch | None:
        """The database's own watch for other programs' writes.

        None if the database offers nothing better than its files.
        """
        return self.memory_store.connection.watch()

    def watched_files(self) -> tuple[Path, ...]:
        """The files in which a write of other programs shows."""
        return tuple(database_files(self.memory_store.path))

    def others_write(self) -> bool:
        """Whether another program may be committing at this moment what the next look cannot see.

        Does not wait. Raises StoreError.
        """
        return self.memory_store.others_write()

    def write_kept(self, patience: timedelta = KEPT_PATIENCE) -> bool:
        """Write what could not be written so far; a full disk may have room in a moment.

        Begins no other try after `patience`; one can last as long as a write waits for another
        process's lock, or a server for a new session. Returns whether all is written.
        """
        until = time.monotonic() + patience.total_seconds()
        self._try_kept()
        while not self._outcomes.are_written and time.monotonic() < until:
            time.sleep(_KEPT_LOOK.total_seconds())
            self._try_kept()
        return self._outcomes.are_written

    def _try_kept(self) -> None:
        """Try once, as a tick does: a server that was away has ended the session."""
        if not self._outcomes.are_settled:
            with suppress(StoreError):  # the write then says what is wrong, or works in spite of it
                self._horizon.keep_database()
            self._outcomes.write_kept()

    def finish(self) -> None:
        """Write what could not be written so far; call it when the last tick has ended.

        A full disk gets a short grace: what is not written then counts as interrupted.
        """
        self.write_kept(STOP_GRACE)
        self._peers.close()

    def is_asked(self) -> bool:
        """Whether somebody has asked for something that `obey_stop` or `obey_run` would do.

        As of the last look at the queue, as `known_due_at`.
        """
        return self._horizon.known().asked

    def obey_stop(self) -> bool:
        """Tell one run of this process to stop, if somebody asks for that.

        The run ends as `interrupted`. Returns whether it told one. Raises StoreError.
        """
        return self._errands.stop_one()

    def obey_run(self) -> bool:
        """Run one task that somebody asks for, to its end.

        Returns whether it ran one. Raises StoreError.
        """
        try:
            claim = self._errands.claim_one()
        except StoreUnsureError:
            self._say_due()  # a tick ends that run, and the loop may know of none for a long time
            raise
        if claim is not None:
            self.run_claimed(claim)
            if not self._outcomes.are_settled:
                self._say_due()  # when to try again; whoever asked waits for the outcome
        return claim is not None

    def busy_until(self) -> datetime | None:
        """When what runs is over at the latest (aware UTC), as far as time limits say."""
        return self._running.until()

    def running(self) -> list[tuple[str, datetime]]:
        """What runs in this process, and since when."""
        return self._running.names()

    def _is_in_a_hurry(self) -> bool:
        stopped = self._stopped_at
        return stopped is not None and self._clock.monotonic() - stopped > STOP_GRACE.total_seconds()

    def _is_quiet(self, marks: Hashable | None, now: datetime) -> bool:
        """Whether nothing has changed since the last look at the queue, and no instant has come.

        Most ticks end here. So whatever a tick has to notice must show in one of these: what is
        written (the marks), what is kept in memory, an instant, the zones or the clocks.
        """
        ahead = self._horizon.unchanged(marks)
        if ahead is None or ahead.others_run or not self._outcomes.are_settled:
            return False
        if _is_due(self._horizon.earliest(ahead, sends=self.delivers_itself), now) or self._history.is_wanted(now):
            return False
        return self._surroundings.are_as_seen(now)

    def _prepare(self, now: datetime, *, follows_clock: bool) -> None:
        self._outcomes.write_kept()
        if follows_clock:
            self._surroundings.notice(now)
        if self._history.is_wanted(now):
            unless_refused(lambda: self._history.prune(now, self._surroundings.steady_for()))

    def _say_due(self) -> bool:
        """Tell the loop what is due next, now that the claim of this tick is committed.

        If the queue cannot be seen, that is now: a tick then finds out what is wrong. Returns
        whether it was told.
        """
        if self.tell_due is None:
            return True
        try:
            self.tell_due(self._due_or_now())
        except Exception as error:  # noqa: BLE001  # border of law 4: whatever the loop does, the claim is run
            _logger.error("The loop could not be told what is due next: %s", error_text(error))
            return False
        return True

    def _due_or_now(self) -> datetime | None:
        try:
            return self.next_due_at()
        except StoreError:
            return self._clock.now()


def _complete(
    store: MemoryStore,
    clock: Clock,
    handlers: Mapping[str, Handler] | None,
    notices: Notices | None,
    outputs: Outputs | None,
) -> tuple[Mapping[str, Handler], Notices, Outputs | None]:
    """What was given, and in place of what was not, what the program comes with."""
    if handlers is not None and notices is not None:
        return handlers, notices, outputs
    default = equip(store, clock=clock)
    return (
        default.handlers if handlers is None else handlers,
        notices or default.notices,
        outputs or default.outputs,
    )


def _standing(instant: datetime) -> Present:
    return lambda: instant


def _is_due(at: datetime | None, now: datetime) -> bool:
    return at is not None and at <= now
