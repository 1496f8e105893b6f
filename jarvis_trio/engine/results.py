"""What a tick and a run by hand return: a mapping for each slot that was dealt with."""

from __future__ import annotations

import json
import logging
from collections.abc import Container
from typing import Any

from jarvis_trio.engine.claims import Unrun
from jarvis_trio.engine.outcomes import Ended
from jarvis_trio.engine.runlog import log_end
from jarvis_trio.models import RunStatus, ScheduledTask
from jarvis_trio.store import MemoryStore

_logger = logging.getLogger(__name__)


class Results:
    """Makes results, and logs what they tell of.

    Args:
        store: the database, which knows what became of a run's message.
        known_handlers: the handler types that can run here; of others the log tells once.
    """

    def __init__(self, store: MemoryStore, known_handlers: Container[str]) -> None:
        self._store = store
        self._known = known_handlers
        self._told_unknown: set[str] = set()

    def of_run(self, ended: Ended, *, waits_for_delivery: bool) -> dict[str, Any]:
        """How a run ended; the result has its number until `with_delivery` has seen it."""
        claim, outcome = ended.claim, ended.outcome
        log_end(ended)
        result = _described(claim.task, outcome.status)
        result |= {"result": outcome.result} if outcome.status is RunStatus.EXECUTED else {"error": outcome.reason}
        return result | ({"run": claim.run_id} if claim.task.delivery_channel and waits_for_delivery else {})

    def with_delivery(self, result: dict[str, Any]) -> dict[str, Any]:
        """The result, with what became of its run's message if one was sent."""
        run_id = result.pop("run", None)
        run = None if run_id is None else self._store.runs.get_run(run_id)
        return result if run is None or run.delivery is None else result | {"delivery": json.loads(run.delivery)}

    def of_unrun(self, slot: Unrun) -> dict[str, Any]:
        """Why a slot was not run."""
        kind = slot.task.handler_type
        if slot.status is RunStatus.MISSED or kind not in self._told_unknown:
            _logger.warning("Task %r %s: %s", slot.task.name, slot.status, slot.reason, extra={"task": slot.task.name})
        if kind not in self._known:
            self._told_unknown.add(kind)
        return _described(slot.task, slot.status) | {"error": slot.reason}


def _described(task: ScheduledTask, status: RunStatus) -> dict[str, Any]:
    return {
        "task_id": task.id,
        "name": task.name,
        "handler_type": task.handler_type,
        "status": str(status),
        "next_run_at": task.next_run_at,
    }
