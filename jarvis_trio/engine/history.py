"""Deletes old history, a part at each tick: so no tick is held up by it.

It looks once a day, and earlier if this process has added as many rows as a task may have: a task
each hundredth of a second would else have millions of them by then.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from jarvis_trio.engine.limits import Limits
from jarvis_trio.handlers.outputs import Outputs
from jarvis_trio.store import MemoryStore

_EVERY = timedelta(days=1)


class History:
    """Keeps the history within its limits. Several threads may call it.

    What is old is known only by a clock that has not been set for a while.

    Args:
        store: the database.
        limits: how old and how long the history may get, and how much is deleted at once.
        outputs: what commands wrote; it goes with their rows.
    """

    def __init__(self, store: MemoryStore, limits: Limits, outputs: Outputs | None) -> None:
        self._store = store
        self._limits = limits
        self._outputs = outputs
        self._guard = threading.Lock()
        self._pruned_at: dict[str, datetime] = {}
        self._at = datetime.min.replace(tzinfo=UTC)
        self._counted = 0

    def is_wanted(self, now: datetime) -> bool:
        """Whether `prune` may have something to do."""
        return self._at <= now or self._has_grown()

    def _has_grown(self) -> bool:
        many = max(self._limits.history_runs, self._limits.pruned_at_once)  # to count is dear, too
        return self._store.runs.added - self._counted >= many

    def look_again(self, now: datetime) -> None:
        """The clock was set: what is known of the last times does not hold."""
        self._at = now

    def prune(self, now: datetime, steady_for: timedelta) -> None:
        """Delete what is too old or too much, a part of it.

        Args:
            now: the present (aware UTC).
            steady_for: how long the wall clock has not been set.
        """
        deleted = 0
        steady_in = self._limits.steady_clock - steady_for
        steady = steady_in <= timedelta(0)
        if steady and self._is_day_over("age", now):
            before = now - timedelta(days=self._limits.history_days)
            deleted += self._or_go_on("age", self._store.runs.prune_old_runs(before, self._limits.pruned_at_once))
        if self._may_be_too_much(now):
            deleted += self._or_go_on("number", self._prune_surplus())
        if self._outputs is not None and (self._is_day_over("outputs", now) or deleted):
            self._outputs.sweep(self._store.runs.run_numbers)

        goes_on = "number" not in self._pruned_at or (steady and "age" not in self._pruned_at)
        self._at = now if goes_on else now + (_EVERY if steady else min(steady_in, _EVERY))

    def _or_go_on(self, kind: str, deleted: int) -> int:
        """How many rows were deleted; if there are more of that kind, the next tick goes on."""
        if deleted >= self._limits.pruned_at_once:
            self._pruned_at.pop(kind, None)  # another tick may have been as fast
        return deleted

    def _may_be_too_much(self, now: datetime) -> bool:
        grown = self._has_grown()
        if grown:
            self._counted = self._store.runs.added
        return self._is_day_over("number", now) or grown

    def _is_day_over(self, kind: str, now: datetime) -> bool:
        with self._guard:
            pruned_at = self._pruned_at.get(kind)
            if pruned_at is not None and abs(now - pruned_at) < _EVERY:
                return False
            self._pruned_at[kind] = now
        return True

    def _prune_surplus(self) -> int:
        deleted, keep, most = 0, self._limits.history_runs, self._limits.pruned_at_once
        for task_id in self._store.runs.tasks_with_more_runs(keep):
            deleted += self._store.runs.prune_surplus_runs(task_id, keep, max(most - deleted, 0))
        return deleted
