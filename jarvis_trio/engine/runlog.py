"""What the log tells of runs: a line for each end, and one for each start if somebody debugs."""

from __future__ import annotations

import logging
from datetime import timedelta

from jarvis_trio.engine.outcomes import Ended
from jarvis_trio.models import Claim, RunStatus
from jarvis_trio.notation.instants import duration_text, time_between

_MILLISECOND = timedelta(milliseconds=1)
_logger = logging.getLogger("jarvis_trio.runs")


def log_start(claim: Claim) -> None:
    """A handler is about to be called."""
    _logger.debug("Task %r starts, run %d, attempt %d", claim.task.name, claim.run_id, claim.attempt, extra=_of(claim))


def log_end(ended: Ended) -> None:
    """A run has ended: as what, after how long, and why."""
    claim, outcome = ended.claim, ended.outcome
    level = logging.INFO if outcome.status in (RunStatus.EXECUTED, RunStatus.INTERRUPTED) else logging.WARNING
    if not _logger.isEnabledFor(level):  # in a simulation, for one
        return
    duration = time_between(claim.started_at, ended.at)
    took = "an unknown time" if duration is None else duration_text(duration // _MILLISECOND * _MILLISECOND)
    reason = "" if outcome.reason is None else f": {outcome.reason}"
    _logger.log(level, "Task %r: %s in %s%s", claim.task.name, outcome.status, took, reason, extra=_of(claim))


def _of(claim: Claim) -> dict[str, object]:
    return {"task": claim.task.name, "run_id": claim.run_id}
