"""Tasks that are passed over for a while, so that the others run (law 4).

The database refuses the rows of such a task, or another machine has its handler and this one has
not. Another program's trigger or CHECK can refuse any write. What is known of that is kept in
memory and not in a table, since that trigger may refuse the table too.

Guarantees:

- A task that is passed over is tried again when its pause is over.
- People are told of a refusal once, until it is over or has another reason.

The race: two ticks have one refusal to tell. Under the guard one of them takes it, and the other
one finds that nothing is left.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from jarvis_trio.clock import Clock
from jarvis_trio.engine.notices import Notices
from jarvis_trio.errors import ConflictError
from jarvis_trio.models import ScheduledTask, TroubleKind, require_id
from jarvis_trio.store import MemoryStore

_logger = logging.getLogger(__name__)


class _PassedOver(NamedTuple):
    """`reason` is why the database refuses it; None if it is left to another machine."""

    task: ScheduledTask
    reason: str | None
    until: float  # by the monotonic clock


class Refusals:
    """The tasks that are passed over, each until its pause is over.

    Args:
        store: the database.
        clock: measures the pauses.
        notices: is told of each refusal, once.
        pause: how long a task is passed over.
    """

    def __init__(self, store: MemoryStore, clock: Clock, notices: Notices, pause: timedelta) -> None:
        self._store = store
        self._clock = clock
        self._notices = notices
        self._pause = pause
        self._guard = threading.Lock()
        self._refusals: dict[int, _PassedOver] = {}
        self._untold: list[_PassedOver] = []

    def add(self, task: ScheduledTask, error: ConflictError) -> None:
        """Pass a task over for a while. A new reason is logged; `tell` tells people of it."""
        until = self._clock.monotonic() + self._pause.total_seconds()
        refusal = _PassedOver(task, error.says, until)
        with self._guard:
            before = self._refusals.get(require_id(task))
            self._refusals[require_id(task)] = refusal
            if before is not None and before.reason == refusal.reason:
                return
            self._untold.append(refusal)
        _logger.error("Task %r is passed over: %s", task.name, error, extra={"task": task.name})

    def leave(self, task: ScheduledTask) -> None:
        """Pass a task over for a while, because other machines run it; nobody is told."""
        until = self._clock.monotonic() + self._pause.total_seconds()
        with self._guard:
            self._refusals[require_id(task)] = _PassedOver(task, None, until)

    def passed_over(self) -> frozenset[int]:
        """The numbers of the tasks that are passed over at present."""
        if not self._refusals:
            return frozenset()
        now = self._clock.monotonic()
        with self._guard:
            return frozenset(number for number, refusal in self._refusals.items() if refusal.until > now)

    def next_try_at(self) -> datetime | None:
        """When the next of them is tried again (aware UTC); None if there is none."""
        if not self._refusals:
            return None
        now = self._clock.monotonic()
        with self._guard:
            pauses = [refusal.until - now for refusal in self._refusals.values() if refusal.until > now]
        return self._clock.now() + timedelta(seconds=min(pauses)) if pauses else None

    def end(self, task: ScheduledTask) -> None:
        """A task could be written: forget what was; call it in a transaction."""
        if not self._refusals:
            return
        with self._guard:
            refusal = self._refusals.get(require_id(task))
            if refusal is None or refusal.reason is None:
                return
            del self._refusals[require_id(task)]
        self._store.troubles.end_troubles(require_id(task), [TroubleKind.REFUSED])
        _logger.info("Task %r is no longer refused", task.name, extra={"task": task.name})

    def tell(self, now: datetime) -> None:
        """Tell people of new refusals, if those can be written.

        Call it outside of a transaction.
        """
        while self._untold and (refusal := self._take_untold()) is not None:
            self._notices.refused(refusal.task, str(refusal.reason), now)

    def _take_untold(self) -> _PassedOver | None:
        with self._guard:
            return self._untold.pop() if self._untold else None


def unless_refused(work: Callable[[], object]) -> None:
    """Do work that a tick can do without: a refusal must not end the tick (law 4)."""
    try:
        work()
    except ConflictError as error:
        _logger.error("Something is not done in this tick: %s", error)
