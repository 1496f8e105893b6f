"""Does what people ask of the process that runs an engine: run a task now, stop a run."""

from __future__ import annotations

import logging
from collections.abc import Container
from datetime import timedelta

from jarvis_trio.clock import Clock
from jarvis_trio.engine.claims import Claims
from jarvis_trio.engine.peers import Peers
from jarvis_trio.engine.recovery import Recovery
from jarvis_trio.engine.running import Running
from jarvis_trio.errors import JarvisError, StoreUnsureError
from jarvis_trio.models import Claim
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.requests import Request, RequestKind

WAITED_FOR = timedelta(minutes=10)
"""How old a request may be. Whoever asked is gone by then, even if nobody can tell."""

_logger = logging.getLogger(__name__)


class Errands:
    """Answers the requests of one database, one at a time; several threads may call it.

    Args:
        store: the database.
        clock: tells how old a request is.
        claims: makes the claims of runs.
        recovery: is told of a claim that may not be on the disk.
        running: what runs in this process.
        peers: knows whether a process that asked still lives.
        known_handlers: the handler types that can run here.
    """

    def __init__(
        self,
        store: MemoryStore,
        clock: Clock,
        claims: Claims,
        recovery: Recovery,
        running: Running,
        peers: Peers,
        known_handlers: Container[str],
    ) -> None:
        self._store = store
        self._clock = clock
        self._claims = claims
        self._recovery = recovery
        self._running = running
        self._peers = peers
        self._known = known_handlers

    def stop_one(self) -> bool:
        """Tell a run of this process to stop, if somebody asks for that.

        Returns whether it told one.
        """
        for request in self._open(RequestKind.STOP):
            if request.run_id is not None and self._running.stop(request.run_id, request.asked_by):
                self._store.requests.answer(request.id, self._clock.now())
                _logger.info("Run %d is stopped by %s", request.run_id, request.asked_by)
                return True
        return False

    def claim_one(self) -> Claim | None:
        """Claim a run that somebody asks for; None if there is none."""
        for request in self._open(RequestKind.RUN):
            claim = self._claim(request)
            if claim is not None:
                _logger.info("Task %r runs now, as %s asks", claim.task.name, request.asked_by)
                return claim
        return None

    def _open(self, kind: RequestKind) -> list[Request]:
        """The requests of a kind for which somebody still waits; the others are refused."""
        wanted = []
        for request in self._store.requests.open_requests():
            if self._is_void(request):
                self._store.requests.answer(request.id, self._clock.now(), refusal="nobody waits for it now")
            elif request.kind is kind:
                wanted.append(request)
        return wanted

    def _is_void(self, request: Request) -> bool:
        if request.kind is RequestKind.STOP:  # it is wanted also if its asker does not wait
            return False
        age = self._clock.now() - request.asked_at
        return abs(age) > WAITED_FOR or not self._peers.is_alive(request.asker)

    def _claim(self, request: Request) -> Claim | None:
        """Write the claim and the answer in one transaction.

        Returns None if the claim is refused, or if the request was withdrawn meanwhile.
        """
        now = self._clock.now()
        try:
            with self._store.transaction():
                task = self._store.get_scheduled_task(request.task_id)
                if task is None:
                    raise JarvisError("the task was removed")
                if task.handler_type not in self._known:
                    says = f"no handler of type {task.handler_type!r} is installed where the daemon runs"
                    raise JarvisError(says, fix="install the package that brings it, and restart the daemon")
                claim = self._claims.claim_manually(task, now)
                if not self._store.requests.answer(request.id, now, run_id=claim.run_id):
                    raise _Withdrawn
        except _Withdrawn:
            return None
        except StoreUnsureError:
            self._recovery.doubt([claim])
            raise
        except JarvisError as refusal:
            self._store.requests.answer(request.id, now, refusal=str(refusal))
            return None
        return claim


class _Withdrawn(Exception):  # not an error: the transaction is rolled back, and nobody hears of it
    pass
