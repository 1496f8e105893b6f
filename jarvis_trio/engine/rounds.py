"""The work of one tick, round by round: record what has ended, claim what can begin, begin it.

Guarantees:

- A claim is made only if there is a place for its run, so what is recorded as running runs.
- A claim is run, and its outcome is recorded or kept, before the tick ends.
- A tick that raises has started nothing that is not recorded or kept.

This code assumes that `Claims.decide` claims only what was due when the tick began.

The races, each with what decides it:

1. Two ticks see one slot due. `Claims.decide` decides inside the write transaction; see there.
2. A tick finds all places taken as one is given back. Under the guard of `Places` either it gets
   that place, or whoever gives it back hears of it and tells the loop, which starts another tick.
3. The outcome of a run cannot be written. It is kept in memory, and the row stays `running`: the
   task does not start again, and every later tick tries to write it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from jarvis_trio.engine.attempts import Attempts, Present, UnderWay
from jarvis_trio.engine.claims import Claims, Decision, TaskRefusedError
from jarvis_trio.engine.horizon import Horizon
from jarvis_trio.engine.notices import Notices
from jarvis_trio.engine.outcomes import Ended, Outcomes
from jarvis_trio.engine.places import Places
from jarvis_trio.engine.recovery import Recovery
from jarvis_trio.engine.refusals import Refusals
from jarvis_trio.engine.results import Results
from jarvis_trio.errors import ConflictError, StoreError, StoreUnsureError
from jarvis_trio.store import MemoryStore

_NOTHING = Decision((), ())

_TELLS_AGAIN_AFTER = timedelta(seconds=0.5)
"""How long a tick waits before it tells the loop again what that did not take."""


class When(NamedTuple):
    """The times of one tick.

    It began at `instant` (aware UTC), `present` tells what the time is, and a slot is claimed
    `lead` before its own.
    """

    instant: datetime
    present: Present
    lead: timedelta


class Rounds:
    """Makes the rounds of an engine's ticks. Several threads may each be in one.

    Args:
        store: the database.
        claims: decides what runs.
        recovery: is told of claims that may not be on the disk.
        attempts: runs it.
        outcomes: records how it ended.
        results: says so.
        refusals: tells people of tasks whose rows the database refuses.
        horizon: is told if the head of the queue was looked at too early.
        notices: counts the messages that are written.
        say_due: tells the loop what is due beside this tick, and returns whether it could.

    Attributes:
        places: how many runs may be under way, in all ticks together.
        is_stopped: whether nothing more is claimed.
    """

    def __init__(
        self,
        store: MemoryStore,
        claims: Claims,
        recovery: Recovery,
        attempts: Attempts,
        outcomes: Outcomes,
        results: Results,
        refusals: Refusals,
        horizon: Horizon,
        notices: Notices,
        say_due: Callable[[], bool],
    ) -> None:
        self._store = store
        self._claims = claims
        self._recovery = recovery
        self._attempts = attempts
        self._outcomes = outcomes
        self._results = results
        self._refusals = refusals
        self._horizon = horizon
        self._notices = notices
        self._say_due = say_due
        self._is_untold = False
        self.places = Places()
        self.is_stopped = False

    def run(self, when: When, *, waits_for_delivery: bool) -> list[dict[str, Any]]:
        """Claim and run what is due, as much at once as there are places.

        The outcomes of some and the claims of the next are one transaction: each commit waits for
        the disk. Returns a result for each slot dealt with; `waits_for_delivery` says whether the
        tick will send its messages. Raises StoreError if nothing could be claimed.
        """
        runs = self._attempts.of_tick(when.present, self.places)
        try:
            return self._work_off(runs, when, waits_for_delivery=waits_for_delivery)
        except Exception:
            while runs:
                self._record(runs.wait())
            raise
        finally:
            self._give_back(runs)

    def tell(self) -> bool:
        """Tell the loop what is due beside this tick; later, if it does not take it.

        Returns whether it has been told.
        """
        self._is_untold = not self._say_due()
        return not self._is_untold

    def _work_off(self, runs: UnderWay, when: When, *, waits_for_delivery: bool) -> list[dict[str, Any]]:
        results: list[dict[str, Any]] = []
        ended: list[Ended] = []
        told, posted = False, self._notices.posted
        while runs.free:  # at first there may be none: whoever gives a place back tells the loop
            try:
                step = self._record_and_claim(ended, runs.free, when)
            except StoreError:
                if not results and not runs:
                    raise
                step = _NOTHING  # the next tick says what is wrong
            self._horizon.came_early(step.early_at)
            self._refusals.tell(when.present())
            results += [self._results.of_run(one, waits_for_delivery=waits_for_delivery) for one in ended]
            results += [self._results.of_unrun(slot) for slot in step.unrun]

            runs.begin(step.claims)
            told = self._tell_others(runs, step, told=told, has_mail=posted != self._notices.posted)
            posted = self._notices.posted
            if not runs and not step.more:
                break
            ended = self._await_one(runs, shortly=step.more) if runs else []
        return results

    def _record_and_claim(self, ended: list[Ended], places: int, when: When) -> Decision:
        """Record what has ended, each with its task's name of now, and claim."""
        decision = _NOTHING
        try:
            with self._store.transaction():
                ended[:] = [self._outcomes.write(one) for one in ended]
                if self.is_stopped:
                    return _NOTHING
                now = when.present()  # the wait for the write lock is over
                # The clock may have been set back since the tick began, so cap the instant at the
                # present.
                decision = self._claims.decide(min(when.instant, now), now, when.lead, places)
            return decision
        except Exception as error:
            if isinstance(error, StoreUnsureError):
                self._recovery.doubt(decision.claims)
            # What is in hand is kept whatever the claim met; it was rolled back with it.
            self._record(ended)
            if isinstance(error, TaskRefusedError):
                return _NOTHING._replace(more=True)
            if not ended or not isinstance(error, StoreError):
                raise
            return _NOTHING._replace(more=isinstance(error, ConflictError))

    def _record(self, ended: Sequence[Ended]) -> None:
        for one in ended:
            self._outcomes.record(one)

    def _await_one(self, runs: UnderWay, *, shortly: bool) -> list[Ended]:
        """Wait for the end of a run, or `shortly`.

        What the loop could not be told is told again meanwhile: the run can be a long one.
        """
        while self._is_untold and not shortly:
            if ended := runs.wait(_TELLS_AGAIN_AFTER.total_seconds()):
                return ended
            self.tell()
        return runs.wait(runs.moment) if shortly else runs.wait()

    def _tell_others(self, runs: UnderWay, step: Decision, *, told: bool, has_mail: bool) -> bool:
        """Let other ticks have what this one leaves. Returns whether the loop has been told.

        A tick that waits for runs without a claim in this step has recorded others, from which a
        retry may follow. To tell of each record was rejected: that is another look at the queue
        for each run. A message is told in any case: it needs no place, and a backlog can be long.
        """
        if not step.more and self._give_back(runs):
            return True
        is_news = (not told and self.places.are_free) if step.claims else (bool(runs) and not step.more)
        if is_news or (has_mail and runs) or self._is_untold:
            return self.tell()
        return told

    def _give_back(self, runs: UnderWay) -> bool:
        """Leave to other ticks what is free, and tell the loop if one has gone away without.

        Returns whether it has been told.
        """
        return runs.give_back() and self.tell()
