"""What runs in this process, and how a person ends it.

Guarantees:

- A run that was told to stop ends as `interrupted`, whatever its handler makes of that.
- Who told it stands in the database before the run is told, so the reason survives this process.

The race: a run ends by itself as it is being stopped. Under the guard either `stop` finds it, and
`end` says who stopped it; or it is gone, and `stop` says that it was not there.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from jarvis_trio.errors import StoreError
from jarvis_trio.models import Claim, HandlerContext, Outcome, RunStatus
from jarvis_trio.store import MemoryStore


@dataclass(slots=True)
class _Live:
    claim: Claim
    context: HandlerContext
    stopped_by: str | None = None


class Running:
    """The runs of one engine that are under way. Several threads may call it."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._guard = threading.Lock()
        self._live: dict[int, _Live] = {}

    def begin(self, claim: Claim, context: HandlerContext) -> None:
        """A handler is about to be called."""
        with self._guard:
            self._live[claim.run_id] = _Live(claim, context)

    def end(self, claim: Claim, outcome: Outcome) -> Outcome:
        """The call is over. Returns its outcome, `interrupted` if somebody stopped it."""
        with self._guard:
            live = self._live.pop(claim.run_id)
        stopped_by = live.stopped_by
        if stopped_by is None and outcome.status is not RunStatus.EXECUTED:
            stopped_by = self._stopped_elsewhere(claim.run_id)
        return outcome if stopped_by is None else _interrupted(outcome, stopped_by)

    def stop(self, run_id: int, by: str) -> bool:
        """Tell a run to stop. Returns whether it runs here."""
        with self._guard:
            live = self._live.get(run_id)
            if live is None:
                return False
            live.stopped_by = by
        live.context.cancelled.set()
        return True

    def names(self) -> list[tuple[str, datetime]]:
        """The tasks that run, and since when."""
        with self._guard:
            return [(live.claim.task.name, live.claim.started_at) for live in self._live.values()]

    def until(self) -> datetime | None:
        """The latest instant at which the last of them is over (aware UTC).

        None if nothing runs, or if a run has no limit.
        """
        with self._guard:
            contexts = [live.context for live in self._live.values()]
        with suppress(OverflowError):
            return max((context.deadline for context in contexts), default=None)
        return None

    def _stopped_elsewhere(self, run_id: int) -> str | None:
        """Who ended its processes from another process."""
        with suppress(StoreError):
            return self._store.requests.stopped_by(run_id)
        return None


def _interrupted(outcome: Outcome, by: str) -> Outcome:
    reason = f"stopped by {by}"
    if outcome.lingers:
        reason += "; its handler goes on, and the task starts again when it is over"
    return replace(outcome, status=RunStatus.INTERRUPTED, reason=reason)
