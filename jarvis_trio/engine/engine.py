"""The synchronous engine: claim what is due, run it, record it (laws 2, 3, 4).

It knows no event loop (law 7), and several threads may call it: each call of
`evaluate_due_tasks` is one tick.

Guarantees:

- A tick claims only what is due at the instant at which it began, so it ends however fast new
  work comes due.
- A claim that a tick has made is run, and its outcome is recorded or kept, before the tick returns.
- A claim is made only if there is a place for its run, so what is recorded as running runs.
- A tick that raises has started nothing that is not recorded or kept.

This code assumes that the store serialises the threads of this process, and that a call of the
runner never raises.

The races, each with what decides it:

1. Two ticks see one slot due. `Claims.decide` decides inside the write transaction; see there.
2. Somebody writes between the look at the queue and the sleep. The write counter is read before
   the queue is, so the next look sees another counter and asks again.
3. Two ticks notice one change of the zone or of the clock. Under the guard the first one takes
   note of it, so the second one sees nothing new.
4. A tick finds all places taken as one is given back. Under the guard of `Places` either it gets
   that place, or whoever gives it back hears of it and tells the loop, which starts another tick.
5. The outcome of a run cannot be written. It is kept in memory, and the row stays `running`: the
   task does not start again, and every later tick tries to write it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from jarvis_trio.clock import Clock
from jarvis_trio.engine.attempts import Attempts, Present, UnderWay
from jarvis_trio.engine.calls import Calls
from jarvis_trio.engine.claims import Claims, Decision, TaskRefusedError
from jarvis_trio.engine.equipment import equip
from jarvis_trio.engine.errands import Errands
from jarvis_trio.engine.history import History
from jarvis_trio.engine.limits import Limits
from jarvis_trio.engine.notices import Notices
from jarvis_trio.engine.outcomes import Ended, Outcomes
from jarvis_trio.engine.peers import Peers
from jarvis_trio.engine.places import Places
from jarvis_trio.engine.planner import Planner
from jarvis_trio.engine.refusals import Refusals
from jarvis_trio.engine.results import Results
from jarvis_trio.engine.runner import Runner, run_in_thread
from jarvis_trio.engine.running import Running
from jarvis_trio.engine.wallclock import CLOCK_SLACK, WallClock
from jarvis_trio.engine.zones import ZoneWatch
from jarvis_trio.errors import ConflictError, StoreError, StoreUnsureError
from jarvis_trio.handlers.outputs import Outputs
from jarvis_trio.models import (
    Claim,
    Handler,
)
from jarvis_trio.notation.instants import as_utc, duration_text
from jarvis_trio.notation.text import error_text
from jarvis_trio.process.watch import Watch, database_files
from jarvis_trio.schedules.schedule import load_all_kinds
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.queue import Ahead

DEFAULT_TIMEOUT = timedelta(seconds=300)
DELIVERY_GRACE = timedelta(seconds=3)
"""How long a tick that was stopped waits for its messages."""

_logger = logging.getLogger(__name__)

KEPT_PATIENCE = timedelta(seconds=10)
"""How long a command tries to write an outcome that could not be written, before it gives up."""

_KEPT_LOOK = timedelta(seconds=0.5)
"""How often it tries."""

_TELLS_AGAIN_AFTER = timedelta(seconds=0.5)
"""How long a tick waits before it tells the loop again what that did not take."""

_NOTHING = Decision((), ())


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
        handlers, notices, outputs = _complete(memory_store, handlers, notices, outputs)
        limits = limits or Limits()
        self.memory_store = memory_store
        self.tell_due: Callable[[datetime | None], None] | None = None
        self._is_untold = False
        self._handlers = handlers
        self._notices = notices
        self._lead = lead
        self._clock = clock or memory_store.clock

        self._deliveries = notices.deliveries
        self._peers = peers or Peers.beside(memory_store.path)
        # The store reads its zone once for each transaction; another clock has a zone of its own.
        self._read_zone = memory_store.zone if self._clock is memory_store.clock else self._clock.zone
        self._outcomes = Outcomes(memory_store, notices, random or Random())
        self._zones = ZoneWatch(memory_store)
        self._planner = Planner(memory_store, self._clock, notices, handlers, self._zones, self._peers)
        self._refusals = Refusals(memory_store, self._clock, notices, limits.refused_pause)
        self._claims = self._make_claims(limits)
        self._calls = Calls(memory_store, self._clock, self._read_zone, handlers, runner, timeout, lead)
        self._results = Results(memory_store, handlers)
        self._wall = WallClock(self._clock)
        self._history = History(memory_store, limits, outputs)
        self._running = Running(memory_store)
        self._errands = Errands(memory_store, self._claims, self._running, self._peers, handlers)

        self._guard = threading.Lock()
        self._seen: tuple[Hashable, Ahead | None] = (None, None)
        self._early_at: datetime | None = None
        self._zone: str | None = None
        self._stopped_at: float | None = None
        self._attempts = Attempts(notices, self._calls, self._peers, self._running)
        self._places = Places()

    def _make_claims(self, limits: Limits) -> Claims:
        return Claims(
            self.memory_store,
            self._read_zone,
            self._peers,
            self._handlers,
            self._notices,
            self._planner,
            limits,
            self._refusals,
        )

    def let_run(self, at_once: int) -> None:
        """Let all ticks together have that many runs under way at once, from the next tick on.

        Until then a tick runs one task after the other, however many ticks there are. So it
        does in any case if the runner calls handlers in the tick's own thread.
        """
        if self._calls.overlap:
            self._places = Places(at_once)

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
        marks = self._look_after(instant)
        if now is None and self._is_quiet(marks, instant):
            return []
        return self._evaluate(instant, present, follows_clock=now is None)

    def _evaluate(self, instant: datetime, present: Present, *, follows_clock: bool) -> list[dict[str, Any]]:
        self._prepare(instant, follows_clock=follows_clock)

        ahead = self._look_ahead()
        if ahead.others_run or self._claims.doubted_at is not None:
            self._tell()  # to end what a dead process left can take seconds
            self._claims.recover(instant)
            ahead = self._look_ahead()

        results: list[dict[str, Any]] = []
        lead = self._lead if follows_clock else timedelta(0)
        if _is_due(self._wanted_at(ahead, lead), instant):
            results = self._run_due(instant, present, lead)
            ahead = self._look_ahead()
        if _is_due(ahead.deadline_at, instant):
            self._unless_refused(lambda: self._notices.check_deadlines(instant))
            ahead = self._look_ahead()
        if self.delivers_itself and ahead.letter_at is not None and ahead.letter_at <= (at := present()):
            self._deliveries.deliver_waiting(at, self._is_in_a_hurry)
        return [self._results.with_delivery(report) for report in results]

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
        run = UnderWay(self._attempts, self._clock.now, Places())
        run.begin([claim])
        [ended] = run.wait()
        self._outcomes.record(ended)
        report = self._results.of_run(ended, waits_for_delivery=self.delivers_itself)
        if self.delivers_itself:
            self._deliveries.deliver_waiting(self._clock.now(), self._is_in_a_hurry)
        return self._results.with_delivery(report)

    def recover(self) -> None:
        """End the runs whose process is gone, as a tick does."""
        now = self._clock.now()
        self._peers.check_in(now, self._handlers)
        self._claims.recover(now)

    def stop(self, run_id: int, by: str) -> bool:
        """Tell a run of this process to stop; it ends as `interrupted`.

        Returns whether this process makes that run.
        """
        return self._running.stop(run_id, by)

    def next_due_at(self) -> datetime | None:
        """When there is something to do next (aware UTC); in the past if there is now."""
        return self._earliest(self._look_ahead())

    def known_due_at(self) -> datetime | None:
        """As `next_due_at`, as of the last look at the queue: free, for a loop after a tick."""
        _, ahead = self._seen
        return self._earliest(ahead or self._look_ahead())

    def next_delivery_at(self) -> datetime | None:
        """When `deliver_due` has something to send (aware UTC); None if nothing waits.

        As of the last look at the queue, as `known_due_at`.
        """
        _, ahead = self._seen
        waits = (ahead or self._look_ahead()).letter_at is not None
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

    def wind_down(self) -> None:
        """Claim nothing more: a tick ends with the run it has in hand.

        Messages get a short grace.
        """
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

    def write_kept(self, patience: timedelta = KEPT_PATIENCE) -> bool:
        """Write what could not be written so far; a full disk may have room in a moment.

        Tries for at most `patience`. Returns whether all is written.
        """
        for _ in range(int(patience / _KEPT_LOOK)):
            self._outcomes.write_kept()
            if not self._outcomes.keeps_any:
                return True
            time.sleep(_KEPT_LOOK.total_seconds())
        self._outcomes.write_kept()
        return not self._outcomes.keeps_any

    def finish(self) -> None:
        """Write what could not be written so far; call it when the last tick has ended."""
        self._outcomes.write_kept()
        self._peers.close()

    def is_asked(self) -> bool:
        """Whether somebody has asked for something that `obey_stop` or `obey_run` would do.

        As of the last look at the queue, as `known_due_at`.
        """
        _, ahead = self._seen
        return (ahead or self._look_ahead()).asked

    def obey_stop(self) -> bool:
        """Tell one run of this process to stop, if somebody asks for that.

        The run ends as `interrupted`. Returns whether it told one. Raises StoreError.
        """
        return self._errands.stop_one()

    def obey_run(self) -> bool:
        """Run one task that somebody asks for, to its end.

        Returns whether it ran one. Raises StoreError.
        """
        claim = self._errands.claim_one()
        if claim is not None:
            self.run_claimed(claim)
        return claim is not None

    def busy_until(self) -> datetime | None:
        """When what runs is over at the latest (aware UTC), as far as time limits say."""
        return self._running.until()

    def running(self) -> list[tuple[str, datetime]]:
        """What runs in this process, and since when."""
        return self._running.names()

    def _wanted_at(self, ahead: Ahead, lead: timedelta) -> datetime | None:
        """When to come for the head of the queue: ahead of its time, unless that was too early."""
        if ahead.slot_at is None or ahead.slot_at == self._early_at:
            return ahead.slot_at
        return ahead.slot_at - lead

    def _run_due(self, instant: datetime, present: Present, lead: timedelta) -> list[dict[str, Any]]:
        """Claim and run what is due, as much at once as there are places.

        The outcomes of some and the claims of the next are one transaction: each commit waits for
        the disk.
        """
        runs = UnderWay(self._attempts, present, self._places)
        try:
            return self._work_off(runs, instant, present, lead)
        except Exception:
            while runs:
                for ended in runs.wait():
                    self._outcomes.record(ended)
            raise
        finally:
            self._give_back(runs)

    def _work_off(self, runs: UnderWay, instant: datetime, present: Present, lead: timedelta) -> list[dict[str, Any]]:
        results: list[dict[str, Any]] = []
        ended: list[Ended] = []
        told, posted = False, self._notices.posted
        while runs.free:  # at first there may be none: whoever gives a place back tells the loop
            try:
                step = self._record_and_claim(ended, runs.free, instant, present, lead)
            except StoreError:
                if not results and not runs:
                    raise
                step = _NOTHING  # the next tick says what is wrong
            self._early_at = step.early_at or self._early_at
            self._refusals.tell(present())
            for one in ended:
                results.append(self._result_of(one))
            for slot in step.unrun:
                results.append(self._results.of_unrun(slot))

            runs.begin(step.claims)
            told = self._tell_others(runs, step, told=told, has_mail=posted != self._notices.posted)
            posted = self._notices.posted
            if not runs and not step.more:
                break
            ended = self._await_one(runs, shortly=step.more and runs.free > 0) if runs else []
        return results

    def _await_one(self, runs: UnderWay, *, shortly: bool) -> list[Ended]:
        """Wait for the end of a run, or `shortly`.

        What the loop could not be told is told again meanwhile: the run can be a long one.
        """
        while self._is_untold and not shortly:
            if ended := runs.wait(_TELLS_AGAIN_AFTER.total_seconds()):
                return ended
            self._tell()
        return runs.wait(runs.moment) if shortly else runs.wait()

    def _tell_others(self, runs: UnderWay, step: Decision, *, told: bool, has_mail: bool) -> bool:
        """Let other ticks have what this one leaves. Returns whether the loop has been told.

        A tick that waits for runs without a claim in this step has recorded others, from which a
        retry may follow. To tell of each record was rejected: that is another look at the queue
        for each run. A message is told in any case: it needs no place, and a backlog can be long.
        """
        if not step.more and self._give_back(runs):
            return True
        is_news = (not told and self._places.are_free) if step.claims else (bool(runs) and not step.more)
        if is_news or (has_mail and runs) or self._is_untold:
            return self._tell()
        return told

    def _give_back(self, runs: UnderWay) -> bool:
        """Leave to other ticks what is free, and tell the loop if one has gone away without.

        Returns whether it has been told.
        """
        return runs.give_back() and self._tell()

    def _result_of(self, ended: Ended) -> dict[str, Any]:
        return self._results.of_run(ended, waits_for_delivery=self.delivers_itself)

    def _tell(self) -> bool:
        """Say what is due next, now that the claim of this tick is committed.

        If the queue cannot be seen, that is now: a tick then finds out what is wrong. Returns
        whether it was said; if not, it is said again soon.
        """
        if self.tell_due is None:
            return True
        self._is_untold = False
        try:
            self.tell_due(self._due_or_now())
        except Exception as error:  # noqa: BLE001  # border of law 4: whatever the loop does, the claim is run
            _logger.error("The loop could not be told what is due next: %s", error_text(error))
            self._is_untold = True
        return not self._is_untold

    def _due_or_now(self) -> datetime | None:
        try:
            return self.next_due_at()
        except StoreError:
            return self._clock.now()

    def _record_and_claim(
        self, ended: Sequence[Ended], places: int, instant: datetime, present: Present, lead: timedelta
    ) -> Decision:
        decision = _NOTHING
        try:
            with self.memory_store.transaction():
                for one in ended:
                    self._outcomes.write(one)
                if self._stopped_at is not None:
                    return _NOTHING
                now = present()  # the wait for the write lock is over
                # The clock may have been set back since the tick began, so cap the instant at the
                # present.
                decision = self._claims.decide(min(instant, now), now, lead, places)
            return decision
        except Exception as error:
            if isinstance(error, StoreUnsureError):
                self._claims.doubt(decision.claims)
            # What is in hand is kept whatever the claim met; it was rolled back with it.
            for one in ended:
                self._outcomes.record(one)
            if isinstance(error, TaskRefusedError):
                return _NOTHING._replace(more=True)
            if not ended or not isinstance(error, StoreError):
                raise
            return _NOTHING._replace(more=isinstance(error, ConflictError))

    def _is_in_a_hurry(self) -> bool:
        stopped = self._stopped_at
        return stopped is not None and self._clock.monotonic() - stopped > DELIVERY_GRACE.total_seconds()

    def _look_after(self, now: datetime) -> Hashable | None:
        """What every tick does first.

        Returns the write marks; None if another database has taken the place of ours.
        """
        marks = self._keep_database()
        self._peers.check_in(now, self._handlers)
        return marks

    def _keep_database(self) -> Hashable | None:
        marks = self.memory_store.look_after()
        if marks is None:
            _logger.warning("The database %s was replaced; the new one is used", self.memory_store.place)
            self._seen = (None, None)
        return marks

    def _is_quiet(self, marks: Hashable | None, now: datetime) -> bool:
        """Whether nothing has changed since the last look at the queue, and no instant has come.

        Most ticks end here. So whatever a tick has to notice must show in one of these: what is
        written (the marks), what is kept in memory, an instant, the zones or the clocks.
        """
        seen, ahead = self._seen
        if ahead is None or seen != (marks, self._refusals.passed_over(), self._peers.may_share):
            return False
        if ahead.others_run or self._outcomes.keeps_some:
            return False
        if _is_due(self._earliest(ahead), now) or self._history.is_wanted(now):
            return False
        return self._zones.are_as_seen(self._clock.zone()) and self._wall.is_steady(now)

    def _earliest(self, ahead: Ahead) -> datetime | None:
        """When a tick has something to do next; None for never."""
        letter_at = ahead.letter_at if self.delivers_itself else None
        instants = (self._wanted_at(ahead, self._lead), ahead.deadline_at, letter_at)
        again_at = (self._refusals.next_try_at(), self._peers.look_at, self._claims.doubted_at)
        return min(filter(None, (*instants, *again_at)), default=None)

    def _prepare(self, now: datetime, *, follows_clock: bool) -> None:
        self._outcomes.write_kept()
        if follows_clock:
            self._notice_zone(now)
            self._notice_clock()
        if self._history.is_wanted(now):
            self._unless_refused(lambda: self._history.prune(now, self._wall.steady_for()))

    @staticmethod
    def _unless_refused(work: Callable[[], None]) -> None:
        """Do work that a tick can do without.

        Another program's trigger may refuse it, and that must not end the tick (law 4).
        """
        try:
            work()
        except ConflictError as error:
            _logger.error("Something is not done in this tick: %s", error)

    def _look_ahead(self) -> Ahead:
        """What is to be done next; see `_look`.

        If it cannot be seen, the database is looked after, as at the beginning of a tick: another
        program has taken a table away, or the server was away. Without that a loop that was woken
        because of it would hear nothing, and wait for its next regular tick.
        """
        try:
            return self._look()
        except StoreError:
            self._keep_database()
            return self._look()

    def _look(self) -> Ahead:
        """What is to be done next, asked again only if somebody has written.

        So an idle tick reads one counter, however many tasks there are.
        """
        seen = (self.memory_store.write_marks(), self._refusals.passed_over(), self._peers.may_share)
        known, ahead = self._seen
        if ahead is None or known != seen:
            ahead = self.memory_store.queue.look_ahead(self._peers.owner, seen[1], shared=seen[2])
            self._seen = (seen, ahead)
        return ahead

    def _notice_zone(self, now: datetime) -> None:
        machine = self._clock.zone()
        zone = str(machine)
        with self._guard:
            first, moved = self._zone is None, self._zone != zone
            self._zone = zone
        if first:
            self._unless_refused(self.memory_store.queue.drop_orphans)
            self._unless_refused(self.memory_store.runs.adopt_running)
            self._unless_refused(self._planner.wake_parked)
            moved = self.memory_store.notes.note("zone") not in (None, zone)
        if first or moved:
            self.memory_store.notes.remember("zone", zone)
            self._zones.use(zone)
        changed = self._zones.changed(machine)
        if changed:
            _logger.info("The rules of %s changed; schedules are read again", ", ".join(changed))
            self._unless_refused(lambda: self._planner.reread(now))
        if moved:
            _logger.info("The machine's zone is %s now; tasks without a zone of their own follow", zone)
            self._unless_refused(lambda: self._planner.rezone(now))

    def _notice_clock(self) -> None:
        jump = self._wall.look(self._planner.last_sign)
        if jump.was_set:
            self._history.look_again(jump.now)
        if jump.back > CLOCK_SLACK:
            _logger.warning("The clock was set back by %s; schedules are read again", duration_text(jump.back))
            self._unless_refused(lambda: self._planner.rewind(jump))


def _complete(
    store: MemoryStore, handlers: Mapping[str, Handler] | None, notices: Notices | None, outputs: Outputs | None
) -> tuple[Mapping[str, Handler], Notices, Outputs | None]:
    """What was given, and in place of what was not, what the program comes with."""
    if handlers is not None and notices is not None:
        return handlers, notices, outputs
    default = equip(store)
    return (
        default.handlers if handlers is None else handlers,
        notices or default.notices,
        outputs or default.outputs,
    )


def _standing(instant: datetime) -> Present:
    return lambda: instant


def _is_due(at: datetime | None, now: datetime) -> bool:
    return at is not None and at <= now
