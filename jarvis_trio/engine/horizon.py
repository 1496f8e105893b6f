"""What is to be done next, as of the last look at the queue.

Guarantees:

- While nobody has written, a look costs one counter, however many tasks there are.
- Only the head of the queue is wanted ahead of its time, and each head once.

This code assumes that whatever the queue's question depends on shows in what is compared: the
write counters, the tasks that are passed over, and whether other machines share the database.

The races, each with what decides it:

1. Somebody writes between the look at the queue and the sleep. The counters are read before the
   queue is, so the next look sees others and asks again.
2. Two ticks look at the same time, and the older look comes back last. One look follows the other,
   so what is `known` is never older than what somebody has seen before.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable
from datetime import datetime, timedelta

from jarvis_trio.engine.outcomes import Outcomes
from jarvis_trio.engine.peers import Peers
from jarvis_trio.engine.recovery import Recovery
from jarvis_trio.engine.refusals import Refusals
from jarvis_trio.errors import StoreError
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.queue import Ahead


class Horizon:
    """Knows when there is something to do. Several threads may call it.

    Args:
        store: the database.
        peers: this process, and the others.
        refusals: the tasks that are passed over.
        recovery: which has claims to look for that may not be on the disk.
        outcomes: which may have some to write.
        lead: how long before its time a slot is claimed.
    """

    def __init__(
        self,
        store: MemoryStore,
        peers: Peers,
        refusals: Refusals,
        recovery: Recovery,
        outcomes: Outcomes,
        lead: timedelta,
    ) -> None:
        self._store = store
        self._peers = peers
        self._refusals = refusals
        self._recovery = recovery
        self._outcomes = outcomes
        self._lead = lead
        self._seen: tuple[Hashable, Ahead | None] = (None, None)
        self._early_at: datetime | None = None
        self._looks = threading.Lock()

    def keep_database(self) -> Hashable | None:
        """Look after the database, as each tick does first.

        Returns the write marks; None if it was opened again, which makes the old marks worthless.
        """
        marks = self._store.look_after()
        if marks is None:
            with self._looks:
                self._seen = (None, None)
        return marks

    def look(self) -> Ahead:
        """What is to be done next, asked again only if somebody has written.

        If it cannot be seen, the database is looked after first: another program has taken a table
        away, or the server was away. Without that a loop that was woken because of it would hear
        nothing, and wait for its next regular tick.
        """
        try:
            return self._look()
        except StoreError:
            self.keep_database()
            return self._look()

    def known(self) -> Ahead:
        """As `look`, as of the last look: free, for a loop after a tick."""
        _, ahead = self._seen
        return ahead or self.look()

    def unchanged(self, marks: Hashable | None) -> Ahead | None:
        """What the last look saw; None if anything has changed since, by these write marks."""
        seen, ahead = self._seen
        return ahead if seen == self._compared(marks) else None

    def came_early(self, at: datetime | None) -> None:
        """The head of the queue, which is due at `at`, cannot be claimed ahead of its time."""
        self._early_at = at or self._early_at

    def slot_at(self, ahead: Ahead, lead: timedelta) -> datetime | None:
        """When to come for the head of the queue: ahead of its time, unless that was too early."""
        if ahead.slot_at is None or ahead.slot_at == self._early_at:
            return ahead.slot_at
        return ahead.slot_at - lead

    def earliest(self, ahead: Ahead, *, sends: bool) -> datetime | None:
        """When a tick has something to do next; None for never.

        `sends` is whether it sends messages.
        """
        letter_at = ahead.letter_at if sends else None
        instants = (self.slot_at(ahead, self._lead), ahead.deadline_at, letter_at)
        again_at = (
            self._refusals.next_try_at(),
            self._peers.look_at,
            self._recovery.doubted_at,
            self._outcomes.next_try_at(),
        )
        return min(filter(None, (*instants, *again_at)), default=None)

    def _look(self) -> Ahead:
        with self._looks:
            seen = self._compared(self._store.write_marks())
            known, ahead = self._seen
            if ahead is None or known != seen:
                _, passed_over, may_share = seen
                ahead = self._store.queue.look_ahead(self._peers.owner, passed_over, shared=may_share)
                self._seen = (seen, ahead)
            return ahead

    def _compared(self, marks: Hashable | None) -> tuple[Hashable | None, frozenset[int], bool]:
        return marks, self._refusals.passed_over(), self._peers.may_share
