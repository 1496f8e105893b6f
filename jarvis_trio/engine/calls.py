"""The call of a handler: what it is told, and when it starts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta, tzinfo
from typing import Any, Self, cast

from jarvis_trio.clock import Clock
from jarvis_trio.engine.punctual import Punctual
from jarvis_trio.engine.runner import Call, Runner, Threads
from jarvis_trio.engine.under_way import UnderWay
from jarvis_trio.models import Claim, Handler, HandlerContext, HandlerStore, Outcome, RunStatus, Trigger
from jarvis_trio.policy import task_policy
from jarvis_trio.schedules.schedule import task_zone
from jarvis_trio.store import MemoryStore

_logger = logging.getLogger(__name__)


class Calls:
    """Calls the handlers of claimed runs.

    Args:
        store: the database; it is lent to handlers.
        clock: what the time is.
        zone: the machine's zone.
        handlers: the callables by handler type.
        runner: calls a handler within its time limit; `Threads` does so beside the caller.
        timeout: the limit of a task that sets none.
        lead: how long a claim may lie before its slot's time.

    Attributes:
        under_way: the calls that have not returned.
    """

    def __init__(
        self,
        store: MemoryStore,
        clock: Clock,
        zone: Callable[[], tzinfo],
        handlers: Mapping[str, Handler],
        runner: Runner,
        timeout: timedelta,
        lead: timedelta,
    ) -> None:
        self._store = store
        self._clock = clock
        self._zone = zone
        self._handlers = handlers
        self._runner = runner
        self._timeout = timeout
        self._lead = lead
        self.under_way = UnderWay()

    @property
    def overlap(self) -> bool:
        """Whether a call goes on beside the thread that has started it."""
        return isinstance(self._runner, Threads)

    def start(self, claim: Claim, context: HandlerContext, over: Callable[[], object]) -> Call | Outcome:
        """Have the handler of a claimed run called, at its time.

        Returns the call, which goes on, and calls `over` in its thread as soon as the handler has
        returned; or how the call ended, if it is over already.
        """
        kind = claim.task.handler_type
        if kind not in self._handlers:  # a run by hand, or a retry of a task that was edited meanwhile
            return Outcome(RunStatus.ERROR, reason=f"no handler of type {kind!r} is installed")
        handler = self.under_way.around(self._handlers[kind])
        if (ahead := claim.scheduled_for - self._clock.now()) > timedelta(0) and claim.trigger is Trigger.SCHEDULE:
            # No longer than the lead, whatever the wall clock says: it can be set in between.
            wait = min(ahead, self._lead).total_seconds()
            handler = Punctual(handler, self._clock.monotonic, self._clock.monotonic() + wait)

        if isinstance(self._runner, Threads):
            return self._runner.start(handler, claim.task, context, over)
        return self._runner(handler, claim.task, context)

    def context(self, claim: Claim) -> HandlerContext:
        """What the handler of a claimed run is told."""
        seconds = task_policy(claim.task.policy).timeout_seconds
        return HandlerContext(
            store=cast(HandlerStore, _LentStore(self._store)),
            scheduled_for=claim.scheduled_for,
            attempt=claim.attempt,
            started_at=claim.started_at,
            timeout=self._timeout if seconds is None else timedelta(seconds=seconds),
            logger=logging.LoggerAdapter(_logger, {"task": claim.task.name, "run_id": claim.run_id}),
            zone=task_zone(claim.task, self._zone()),
            run_id=claim.run_id,
        )


class _LentStore:
    """The store as a handler gets it: the handler cannot close it.

    Every other task needs the store open (law 4).
    """

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
