"""The attempts that one tick has under way: begun together, and ended as each of them ends.

Guarantees:

- An attempt that was begun ends once, whatever its handler does and whatever goes wrong around it.
- One that ends is told at once, except that those which began with it get a moment: what ends
  together is recorded together, in one commit.
- A long attempt keeps the end of no other one back for longer than that moment.

This code assumes that a handler's call tells that it is over, or has an outcome at its time limit.
"""

from __future__ import annotations

import logging
import math
import queue
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from jarvis_trio.engine.calls import Calls
from jarvis_trio.engine.notices import Notices
from jarvis_trio.engine.outcomes import Ended
from jarvis_trio.engine.peers import Peers
from jarvis_trio.engine.places import Places
from jarvis_trio.engine.runlog import log_start
from jarvis_trio.engine.runner import Call
from jarvis_trio.engine.running import Running
from jarvis_trio.errors import StoreError
from jarvis_trio.models import Claim, Outcome, RunStatus
from jarvis_trio.notation.text import error_words

Present = Callable[[], datetime]
"""What the time is (aware UTC)."""

_logger = logging.getLogger(__name__)


class Attempts:
    """Makes the attempts of an engine.

    Args:
        notices: is told of starts.
        calls: calls the handlers.
        peers: this process among all that share the database.
        running: knows what runs, for people who stop it.
        moment: how long the end of one waits for those that began with it.
    """

    def __init__(self, notices: Notices, calls: Calls, peers: Peers, running: Running, moment: timedelta) -> None:
        self._notices = notices
        self._calls = calls
        self._peers = peers
        self._running = running
        self._moment = moment

    def of_tick(self, present: Present, places: Places) -> UnderWay:
        """None yet, of one tick, which takes all places that are free."""
        return UnderWay(self, present, places, self._moment)

    def begin(self, claim: Claim, present: Present, over: Callable[[Attempt], object]) -> Attempt | Ended:
        """Begin the attempt of a claim.

        Returns the attempt if it goes on; `over` is called, in its thread, when its handler has
        returned. Otherwise returns how it ended.
        """
        attempt = Attempt(claim, present, over)
        try:
            with suppress(StoreError):  # nobody is told of a start that cannot be noted
                self._notices.run_started(claim)
            outcome = self._start(attempt)
        except Exception as error:  # noqa: BLE001  # border of law 4: a claim always ends as a row (MemoryError, say)
            outcome = _not_started(claim, error)
        return attempt if outcome is None else Ended(claim, outcome, present())

    def _start(self, attempt: Attempt) -> Outcome | None:
        """Returns how the attempt ended, or None if it goes on."""
        claim = attempt.claim
        context = self._calls.context(claim)
        if (refused := self._peers.begin(claim, context)) is not None:
            return refused

        log_start(claim)
        outcome: Outcome | None = Outcome(RunStatus.ERROR, reason="the call could not be made")
        self._running.begin(claim, context)
        try:
            call = self._calls.start(claim, context, attempt.returned)
            if isinstance(call, Outcome):
                outcome = call
            else:
                attempt.call, outcome = call, None
        finally:
            if outcome is not None:
                outcome = self._conclude(claim, outcome)
        return outcome

    def ended(self, attempt: Attempt) -> Ended | None:
        """How and when an attempt ended; None while it goes on. Once it has ended, ask no more."""
        outcome = attempt.call.outcome()
        if outcome is None:
            return None
        try:
            outcome = self._conclude(attempt.claim, outcome)
        except Exception as error:  # noqa: BLE001  # border of law 4, as at its beginning
            outcome = _not_started(attempt.claim, error)
        return Ended(attempt.claim, outcome, attempt.returned_at or attempt.present())

    def keep(self) -> None:
        """See that others can tell that this process lives, while attempts go on."""
        self._peers.keep()

    def _conclude(self, claim: Claim, outcome: Outcome) -> Outcome:
        return self._peers.end(claim, self._running.end(claim, outcome))


class Attempt:
    """An attempt at a claim that goes on beside the tick that has begun it.

    Attributes:
        call: the call of its handler.
        returned_at: when the handler returned (aware UTC); None if it has not.
    """

    __slots__ = ("_over", "call", "claim", "present", "returned_at")

    call: Call

    def __init__(self, claim: Claim, present: Present, over: Callable[[Attempt], object]) -> None:
        self.claim = claim
        self.present = present
        self.returned_at: datetime | None = None
        self._over = over

    def returned(self) -> None:
        """The handler has returned; in its thread."""
        self.returned_at = self.present()
        self._over(self)


class UnderWay:
    """The attempts of one tick, whose thread calls it.

    Args:
        attempts: makes them.
        present: what the time is (aware UTC).
        places: which the attempts need; all that are free are taken.
        moment: how long the end of one waits for those that began with it.

    Attributes:
        free: how many more may be under way.
        moment: how long that is, in seconds.
    """

    def __init__(self, attempts: Attempts, present: Present, places: Places, moment: timedelta) -> None:
        self._attempts = attempts
        self._present = present
        self._places = places
        self.moment = moment.total_seconds()
        self.free = places.take()
        self._over: queue.SimpleQueue[Attempt] = queue.SimpleQueue()
        self._ended: list[Ended] = []
        self._going: list[Attempt] = []
        self._young: list[Attempt] = []
        self._young_until = 0.0

    def __bool__(self) -> bool:
        """Whether any is under way, or has ended and was not told."""
        return bool(self._going or self._ended)

    def give_back(self) -> bool:
        """Leave to other ticks what is free. Returns whether one has gone away without."""
        free, self.free = self.free, 0
        return self._places.give_back(free)

    def begin(self, claims: Sequence[Claim]) -> None:
        """Begin the attempts of claims, which are on the disk."""
        self.free -= len(claims)
        young = []
        for claim in claims:
            begun = self._attempts.begin(claim, self._present, self._over.put)
            if isinstance(begun, Ended):
                self._ended.append(begun)
            else:
                self._going.append(begun)
                young.append(begun)

        if young:
            self._young = young
            self._young_until = time.monotonic() + self.moment

    def wait(self, at_most: float = math.inf) -> list[Ended]:
        """Wait until one has ended, and a moment for those that began with it; returns the ended.

        After `at_most` seconds, or a little more, it returns what there is: none, perhaps.
        """
        ended, self._ended = self._ended, []
        until = time.monotonic() + at_most
        while not ended:
            self._await_one(max(until - time.monotonic(), 0.0))
            ends = [(attempt, self._attempts.ended(attempt)) for attempt in self._going]
            ended = [end for _, end in ends if end is not None]
            self._going = [attempt for attempt, end in ends if end is None]
            if self._going:
                self._attempts.keep()
            if time.monotonic() >= until:
                break
        self.free += len(ended)
        return ended

    def _await_one(self, at_most: float) -> None:
        """Wait for a handler that returns, or until it is time to look at all of them."""
        look_in = min(attempt.call.look_in() for attempt in self._going)
        with suppress(queue.Empty):
            self._over.get(timeout=min(look_in, at_most))
            while any(attempt.returned_at is None for attempt in self._young):
                self._over.get(timeout=max(0.0, self._young_until - time.monotonic()))


def _not_started(claim: Claim, error: Exception) -> Outcome:
    _logger.error("Task %r could not be started", claim.task.name, exc_info=error)
    return Outcome(RunStatus.ERROR, reason=f"it could not be started: {error_words(error)}")
