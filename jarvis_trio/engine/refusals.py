"""Tasks whose rows the database refuses: passed over for a while, so that the others run (law 4).

Another program's trigger or CHECK can refuse any write. What is known of that is kept in memory
and not in a table, since that trigger may refuse the table too.
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


class _Refusal(NamedTuple):
    task: ScheduledTask
    reason: str
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
        self._refusals: dict[int, _Refusal] = {}
        self._untold: list[_Refusal] = []

    def add(self, task: ScheduledTask, error: ConflictError) -> None:
        """Pass a task over for a while. A new reason is logged; `tell` tells people of it."""
        until = self._clock.monotonic() + self._pause.total_seconds()
        refusal = _Refusal(task, error.says, until)
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
            self._refusals[require_id(task)] = _Refusal(task, "", until)

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
            if refusal is None or not refusal.reason:
                return
            del self._refusals[require_id(task)]
        self._store.troubles.end_troubles(require_id(task), [TroubleKind.REFUSED])
        _logger.info("Task %r is no longer refused", task.name, extra={"task": task.name})

    def tell(self, now: datetime) -> None:
        """Tell people of new refusals, if those can be written.

        Call it outside of a transaction.
        """
        while self._untold:
            with self._guard:
                refusal = self._untold.pop()
            self._notices.refused(refusal.task, refusal.reason, now)


def unless_refused(work: Callable[[], object]) -> None:
    """Do work that a tick can do without: a refusal must not end the tick (law 4)."""
    try:
        work()
    except ConflictError as error:
        _logger.error("Something is not done in this tick: %s", error)
